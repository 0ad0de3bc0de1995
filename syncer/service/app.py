"""The service's front: what the command line calls."""

from __future__ import annotations

import contextlib
import threading

import msgspec

from syncer.clock import SystemClock
from syncer.config import Config
from syncer.core.side import SIDES
from syncer.ledger import Ledger
from syncer.ledger.records import LedgerSummary, SpanProgress
from syncer.mysql.preflight import Finding
from syncer.service.checking import find
from syncer.service.memory import share_arenas
from syncer.service.opening import open_sessions
from syncer.service.reports import (
    ClockReport,
    ConflictLine,
    Observer,
    PausedLine,
    RunReport,
    VerifyReport,
)
from syncer.service.run import Run, RunOptions
from syncer.service.snapshot import noted_clocks, paused_lines, recent_conflicts
from syncer.service.tables import select
from syncer.service.verify import verify_tables

__all__ = ["CheckReport", "RunOptions", "StatusReport", "check", "run", "status", "verify"]


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``check`` found; errors stop a run, warnings name what is not promised."""

    findings: tuple[Finding, ...]
    tables: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """No error was found."""
        return not any(finding.level == "error" for finding in self.findings)


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says; nothing is asked of the servers. *clocks*: None where no run wrote them down."""

    summary: LedgerSummary
    spans: tuple[SpanProgress, ...]
    recent_conflicts: tuple[ConflictLine, ...]
    clocks: ClockReport | None = None
    paused: tuple[PausedLine, ...] = ()


def check(config: Config) -> CheckReport:
    """Examine the pair. Raises SyncerError where a server cannot be asked at all."""
    with contextlib.ExitStack() as stack:
        sessions = open_sessions(config, stack)
        selection = select(config, sessions)
        return CheckReport(
            findings=tuple(find(config, sessions, selection)),
            tables=tuple(str(name) for name in selection.names),
        )


def run(
    config: Config, options: RunOptions, observer: Observer, stop: threading.Event
) -> RunReport:
    """Keep the pair equal until *stop* is set or the options' end is reached."""
    share_arenas()
    return Run(config, options, observer, stop)()


def verify(config: Config, observer: Observer, stop: threading.Event) -> VerifyReport:
    """Compare every selected table in full, read-only, while writes go on."""
    share_arenas()
    with contextlib.ExitStack() as stack:
        sessions = open_sessions(config, stack)
        return verify_tables(config, sessions, observer, stop, SystemClock())


def status(config: Config) -> StatusReport:
    """Read the ledger. Raises LedgerError where there is none."""
    ledger = Ledger.open(
        config.ledger,
        pair_id=None,
        identity={side.value: "" for side in SIDES},
        clock=SystemClock(),
        read_only=True,
    )
    try:
        return StatusReport(
            summary=ledger.summary(),
            spans=tuple(ledger.span_progress()),
            recent_conflicts=tuple(recent_conflicts(ledger)),
            clocks=noted_clocks(ledger),
            paused=paused_lines(ledger),
        )
    finally:
        ledger.close()
