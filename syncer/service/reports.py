"""What the service tells the outside: frozen facts, rendered by ``cli/`` as tables, lines or JSON."""

from __future__ import annotations

from typing import Protocol

import msgspec

from syncer.core.side import Side
from syncer.mysql.findings import Finding


class SideStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    One side as a run sees it.

    Attributes:
        state: starting, connected, interrupted, failed, stopped.
        lag_s: how far the stream is behind its server, in seconds: by heartbeats where this side has them, else the age
            of the last transaction when it was tailed; None while nothing is known. A stream that is broken or silent is so far
            behind at least.
        behind_s: what was written here up to so many seconds ago has arrived at the other side, held rows apart; None
            without heartbeats.
        lag_p50_ms, lag_p99_ms: of this run's heartbeats, from before one was written until it was tailed.
        beats: heartbeats tailed.
        transactions: tailed since the start of this run, heartbeats left out.
        marks: row changes read from the stream since the start of this run, our own writes included.
        applied_inserts, applied_updates, applied_deletes: rows written to this side since the start of this run.
    """

    endpoint: str = ""
    server: str = ""
    state: str = "starting"
    error: str | None = None
    position: str = ""
    lag_s: float | None = None
    behind_s: float | None = None
    lag_p50_ms: float | None = None
    lag_p99_ms: float | None = None
    beats: int = 0
    transactions: int = 0
    marks: int = 0
    applied_inserts: int = 0
    applied_updates: int = 0
    applied_deletes: int = 0


class BaselineProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Whole-table comparisons under way; rows are estimates of the servers where a table is not done."""

    tables_total: int = 0
    tables_done: int = 0
    rows_total: int = 0
    rows_done: int = 0
    differing: int = 0
    table: str = ""
    eta_s: float | None = None


class ConflictLine(msgspec.Struct, frozen=True, kw_only=True):
    """A conflict in one line: what, where, who won by which rule (winner None: held)."""

    conflict_id: int
    kind: str
    table: str
    key: str
    rule: str
    winner: str | None
    status: str
    possible: bool = False


class PausedLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    A table that waits: why, in words, and since when, in seconds since the epoch.

    Attributes:
        guard: a mass guard has stopped it: it goes on once a person agrees.
    """

    table: str
    reason: str
    since: float
    guard: bool = False


class RunSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """
    A run at one moment.

    Attributes:
        held, conflicts_held: rows and journal entries of the ledger that wait for a person, whenever they began to.
        paused: tables that wait until both sides' definitions fit each other, or until a person lets them go on.
        conflicts_skipped: differences that a person or a rule has accepted, and that are still there.
        conflicts_resolved: decided by a rule and written since the start of this run.
        latency_p50_ms, latency_p99_ms: from the moment a change was marked to its commit on the other side.
        clock_skew_s: side B's clock minus side A's; the true value is within *clock_skew_error_s* of it.
    """

    phase: str
    uptime_s: float
    a: SideStatus
    b: SideStatus
    dirty_keys: int
    dirty_spans: int
    held: int
    conflicts_resolved: int
    conflicts_held: int
    baseline: BaselineProgress
    cycles: int
    chunk_rows: int
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    recent_conflicts: tuple[ConflictLine, ...] = ()
    throttled_by: str | None = None
    clock_skew_s: float | None = None
    clock_skew_error_s: float | None = None
    paused: tuple[PausedLine, ...] = ()
    conflicts_skipped: int = 0


class ClockReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a run last wrote down of its measures, for ``status``.

    Attributes:
        measured_at: when, seconds since the epoch.
        skew_s: side B's clock minus side A's; the true value is within *skew_error_s* of it.
        a_lag_s, b_lag_s, a_behind_s, b_behind_s: see ``SideStatus``.
        throttled_by: what whole-table work waited for; None: for nothing.
        a_state, b_state, a_error, b_error: of the streams, see ``SideStatus``; None where an earlier version wrote it down.
    """

    measured_at: float
    skew_s: float | None = None
    skew_error_s: float | None = None
    a_lag_s: float | None = None
    b_lag_s: float | None = None
    a_behind_s: float | None = None
    b_behind_s: float | None = None
    throttled_by: str | None = None
    a_state: str | None = None
    b_state: str | None = None
    a_error: str | None = None
    b_error: str | None = None

    @property
    def unheard(self) -> dict[Side, str]:
        """The sides whose stream was broken, with the reason in words."""
        states = {
            Side.A: (self.a_state, self.a_error),
            Side.B: (self.b_state, self.b_error),
        }
        return {
            side: error or state
            for side, (state, error) in states.items()
            if state in {"interrupted", "failed"}
        }


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a run ended.

    Attributes:
        in_sync: both tailers stood at positions read after the last write and the ledger was empty, differences that are
            accepted (*last.conflicts_skipped*) apart; False where it was stopped before; None: not asked.
        rows_read: rows that reconciler reads returned, both sides together.
        planned: what a dry run would have written, one line each.
        ended: by what: in_sync, one_pass or stopped (by a signal, or its time was up).
    """

    in_sync: bool | None
    exit_code: int
    last: RunSnapshot
    rows_read: int = 0
    rows_compared: int = 0
    planned: tuple[str, ...] = ()
    message: str = ""
    ended: str = "stopped"


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``check`` found; errors stop a run, warnings name what is not promised."""

    findings: tuple[Finding, ...]
    tables: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """No error was found."""
        return not any(finding.level == "error" for finding in self.findings)


class TableVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One table of a verification; *note*: what is to be known of it beside."""

    table: str
    rows_a: int
    rows_b: int
    chunks: int
    only_a: int
    only_b: int
    differing: int
    samples: tuple[str, ...] = ()
    skipped: str | None = None
    note: str | None = None

    @property
    def equal(self) -> bool:
        """No difference was found, and nothing was left out."""
        return self.skipped is None and not (self.only_a or self.only_b or self.differing)


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """A full comparison."""

    tables: tuple[TableVerdict, ...]
    seconds: float

    @property
    def equal(self) -> bool:
        """Every table is equal."""
        return all(table.equal for table in self.tables)


class Observer(Protocol):
    """Somebody who watches. Called from the main thread only; must return soon."""

    def update(self, snapshot: RunSnapshot) -> None:
        """Take the present state of a run."""
        ...

    def verify_progress(self, progress: BaselineProgress, waits: str | None = None) -> None:
        """Take the present state of a verification; *waits*: what it gives way to."""
        ...
