"""A run at one moment, put together from its parts for whoever watches."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from syncer.binlog.progress import ProgressSnapshot, StreamProgress
from syncer.clock import Ages, Clock
from syncer.config import Config
from syncer.core.pulse import Skew, greater, percentile_ms
from syncer.core.side import SIDES, Side
from syncer.ledger import Ledger
from syncer.ledger.records import ConflictStatus, LedgerSummary
from syncer.mysql.connection import Session
from syncer.mysql.preflight import SKEW_WARNING_S
from syncer.service.catalog import Catalog
from syncer.service.delivery import Deliverer
from syncer.service.loop import Loop
from syncer.service.pulse import Pulse, skew
from syncer.service.reconciler import Reconciler
from syncer.service.reports import (
    BaselineProgress,
    ClockReport,
    RunSnapshot,
    SideStatus,
)
from syncer.service.standing import CLOCKS, paused_lines, recent_conflicts

NOTE_EVERY_S = 5.0
SILENT_S = 5.0
"""A stream that is connected and silent for so long may have lost its server."""


class SnapshotSource:
    """Builds snapshots. Used by the main thread; reads counters of other threads, which may be a moment old."""

    def __init__(
        self,
        config: Config,
        sessions: Mapping[Side, Session],
        ledger: Ledger,
        catalog: Catalog,
        progress: Mapping[Side, StreamProgress],
        pulses: Mapping[Side, Pulse],
        deliveries: Mapping[Side, Deliverer],
        reconciler: Reconciler,
        loop: Loop,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """Take the parts."""
        self._endpoints = {side: config.endpoint(side).address for side in SIDES}
        self._servers = {side: sessions[side].server_info for side in SIDES}
        self._ledger = ledger
        self._catalog = catalog
        self._progress = progress
        self._pulses = pulses
        self._deliveries = deliveries
        self._reconciler = reconciler
        self._loop = loop
        self._clock = clock
        self._ages = Ages(clock)
        self._noter = Noter(ledger, clock, log)
        self._started = clock.monotonic()
        self._seen: dict[Side, int] = {}
        self._resolved_before = self._resolved(ledger.summary())

    def snapshot(self) -> RunSnapshot:
        """Return the present state."""
        summary = self._ledger.summary()
        for pulse in self._pulses.values():
            pulse.look()
        apart = skew(self._pulses)
        latencies = [
            latency for side in SIDES for latency in list(self._deliveries[side].latencies_s)
        ]
        taken = RunSnapshot(
            phase=self._loop.phase,
            uptime_s=self._clock.monotonic() - self._started,
            a=self._side(Side.A),
            b=self._side(Side.B),
            dirty_keys=summary.keys,
            dirty_spans=summary.spans,
            held=summary.held_keys,
            conflicts_resolved=self._resolved(summary) - self._resolved_before,
            conflicts_held=summary.conflicts.get(ConflictStatus.HELD, 0),
            baseline=self.baseline(),
            cycles=self._reconciler.cycles,
            chunk_rows=self._reconciler.chunks.chunk_rows,
            latency_p50_ms=percentile_ms(latencies, 0.50),
            latency_p99_ms=percentile_ms(latencies, 0.99),
            recent_conflicts=tuple(recent_conflicts(self._ledger)),
            throttled_by=self._loop.trouble or self._reconciler.throttle.reason,
            clock_skew_s=apart.seconds if apart else None,
            clock_skew_error_s=apart.error_s if apart else None,
            paused=paused_lines(self._ledger),
            conflicts_skipped=summary.conflicts.get(ConflictStatus.SKIPPED, 0),
        )
        self._noter.note(taken, apart)
        return taken

    @staticmethod
    def _resolved(summary: LedgerSummary) -> int:
        return summary.conflicts.get(ConflictStatus.APPLIED, 0)

    def _side(self, side: Side) -> SideStatus:
        stream = self._progress[side].snapshot()
        applied = self._deliveries[side].applied
        position = self._ledger.position(side)
        pulse = self._pulses[side].report()
        by_commits = self._lag_s(side, stream.transactions, stream.last_commit_us)
        lag_s = by_commits if pulse.lag_s is None else pulse.lag_s
        silent_s = self._silent_s(stream)
        if silent_s is not None:
            lag_s = max(lag_s or 0.0, silent_s)
        return SideStatus(
            endpoint=self._endpoints[side],
            server=self._servers[side],
            state=stream.state,
            error=stream.error,
            position=f"{position.file}:{position.offset}" if position else "",
            lag_s=lag_s,
            behind_s=greater(pulse.behind_s, silent_s),
            lag_p50_ms=pulse.lag_p50_ms,
            lag_p99_ms=pulse.lag_p99_ms,
            beats=pulse.beats,
            transactions=stream.transactions,
            marks=stream.keys,
            applied_inserts=applied["insert"],
            applied_updates=applied["update"],
            applied_deletes=applied["delete"],
        )

    def _silent_s(self, stream: ProgressSnapshot) -> float | None:
        """
        For how long nothing has come from a server that cannot be heard, the least that its stream is behind; None where it can.

        An idle server says so once a second. Where nobody can write a heartbeat, none is missed.
        """
        if stream.state == "stopped" or not stream.last_event_at:
            return None
        silent_s = self._ages.age_s(stream.last_event_at)
        if silent_s is None or (stream.state == "connected" and silent_s < SILENT_S):
            return None
        return silent_s

    def _lag_s(self, side: Side, transactions: int, last_commit_us: int) -> float | None:
        """
        Age of the newest transaction where some came since the last look; 0 where none did.

        By the server's own clock, as our monotonic one knows it. MariaDB logs whole seconds: what they may hide is taken off.
        """
        if not last_commit_us:
            return None
        if transactions == self._seen.get(side):
            return 0.0
        self._seen[side] = transactions
        hidden_s = 0.0 if last_commit_us % 1_000_000 else 1.0
        offset = self._pulses[side].offset()
        if offset is None:
            return None
        return max(0.0, self._clock.monotonic() + offset.ahead_s - last_commit_us / 1e6 - hidden_s)

    def baseline(self) -> BaselineProgress:
        """Progress of whole-table comparisons that are under way or were made by this ledger."""
        tables = self._catalog.flowing
        spans = [s for s in self._ledger.span_progress() if s.table_id in tables]
        estimates = {
            s.table_id: max(tables[s.table_id].a.rows, tables[s.table_id].b.rows, s.rows)
            for s in spans
        }
        opened = [s for s in spans if s.open_spans]
        total = sum(s.rows if not s.open_spans else estimates[s.table_id] for s in spans)
        done = sum(s.rows for s in spans)
        eta = None
        if opened and done:
            elapsed = self._ages.age_s(min(s.started_at for s in opened))
            eta = None if elapsed is None else max(0.0, elapsed * (total - done) / done)
        return BaselineProgress(
            tables_total=len(spans),
            tables_done=len(spans) - len(opened),
            rows_total=total,
            rows_done=done,
            differing=sum(s.differing for s in spans),
            table=str(opened[0].table) if opened else "",
            eta_s=eta,
        )


class Noter:
    """Writes measures down in the ledger now and then, and warns of clocks that differ."""

    def __init__(self, ledger: Ledger, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        """Nothing is written yet."""
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._noted: float | None = None
        self._skewed = False

    def note(self, taken: RunSnapshot, apart: Skew | None) -> None:
        """Take a snapshot; most are passed over."""
        now = self._clock.monotonic()
        if self._noted is not None and now - self._noted < NOTE_EVERY_S:
            return
        self._noted = now
        self._ledger.set_meta(
            CLOCKS, msgspec.json.encode(_clock_report(taken, self._clock)).decode()
        )
        if apart is None:
            return
        skewed = apart.certainly_above(SKEW_WARNING_S / 2 if self._skewed else SKEW_WARNING_S)
        if skewed != self._skewed:
            self._skewed = skewed
            facts = {"seconds": round(apart.seconds, 3), "error_s": round(apart.error_s, 3)}
            if skewed:
                self._log.warning("clock.skewed", **facts)
            else:
                self._log.info("clock.agreed", **facts)


def _clock_report(taken: RunSnapshot, clock: Clock) -> ClockReport:
    return ClockReport(
        measured_at=clock.now(),
        skew_s=taken.clock_skew_s,
        skew_error_s=taken.clock_skew_error_s,
        a_lag_s=taken.a.lag_s,
        b_lag_s=taken.b.lag_s,
        a_behind_s=taken.a.behind_s,
        b_behind_s=taken.b.behind_s,
        throttled_by=taken.throttled_by,
        a_state=taken.a.state,
        b_state=taken.b.state,
        a_error=taken.a.error,
        b_error=taken.b.error,
    )
