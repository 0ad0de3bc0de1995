"""The service's front: what the command line calls. Each function imports what it needs, so that no command waits for another's."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from syncer.config import Config
from syncer.core.side import SIDES
from syncer.service.memory import share_arenas

if TYPE_CHECKING:
    from syncer.service.reports import CheckReport, Observer, RunReport, VerifyReport
    from syncer.service.run import RunOptions
    from syncer.service.standing import StatusReport

__all__ = ["check", "run", "status", "verify"]


def check(config: Config) -> CheckReport:
    """Examine the pair. Raises SyncerError where a server cannot be asked at all."""
    from syncer.service.checking import find_all
    from syncer.service.opening import open_sessions
    from syncer.service.reports import CheckReport
    from syncer.service.tables import select

    with contextlib.ExitStack() as stack:
        sessions = open_sessions(config, stack)
        selection = select(config, sessions)
        return CheckReport(
            findings=tuple(find_all(config, sessions, selection)),
            tables=tuple(str(name) for name in selection.names),
        )


def run(
    config: Config, options: RunOptions, observer: Observer, stop: threading.Event
) -> RunReport:
    """Keep the pair equal until *stop* is set or the options' end is reached."""
    from syncer.service.run import Run

    share_arenas()
    return Run(config, options, observer, stop)()


def verify(config: Config, observer: Observer, stop: threading.Event) -> VerifyReport:
    """Compare every selected table in full, read-only, while writes go on."""
    from syncer.clock import SystemClock
    from syncer.service.opening import open_sessions
    from syncer.service.verify import verify_tables

    share_arenas()
    with contextlib.ExitStack() as stack:
        sessions = open_sessions(config, stack)
        return verify_tables(config, sessions, observer, stop, SystemClock())


def status(config: Config) -> StatusReport:
    """Read the ledger. Raises LedgerError where there is none."""
    from syncer.clock import SystemClock
    from syncer.ledger import Ledger
    from syncer.service.standing import standing

    ledger = Ledger.open(
        config.ledger,
        pair_id=None,
        identity={side.value: "" for side in SIDES},
        clock=SystemClock(),
        read_only=True,
    )
    try:
        return standing(ledger)
    finally:
        ledger.close()
