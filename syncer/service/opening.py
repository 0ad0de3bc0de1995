"""What a run opens first: a session per side, and the ledger."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from syncer.clock import Clock
from syncer.config import Config
from syncer.core.side import SIDES, Side
from syncer.errors import PreflightError, StatementRefused
from syncer.mysql.connection import Session

if TYPE_CHECKING:
    from syncer.ledger import Ledger


def open_sessions(config: Config, stack: contextlib.ExitStack) -> dict[Side, Session]:
    """
    Open one session per side, closed with *stack*.

    Raises:
        PreflightError: a server does not let us in: nothing is gained by trying again.
        TransientDatabaseError: it cannot be reached.
    """
    sessions = {}
    for side in SIDES:
        try:
            sessions[side] = Session.open(
                config.endpoint(side),
                side,
                purpose="control",
                connect_timeout_s=config.engine.connect_timeout_s,
                lock_wait_s=config.engine.lock_wait_s,
                statement_timeout_s=config.engine.statement_timeout_s,
            )
        except StatementRefused as error:
            raise PreflightError(str(error)) from error
        stack.callback(sessions[side].close)
    return sessions


@contextlib.contextmanager
def open_ledger(config: Config, clock: Clock, *, dry_run: bool) -> Iterator[Ledger]:
    """Open the ledger; for a dry run a throw-away copy of it, and nothing is written to the file itself."""
    from syncer.ledger import Ledger  # verify has none
    from syncer.ledger.duplicate import duplicate
    from syncer.ledger.store import is_there

    identity = {side.value: config.endpoint(side).address for side in SIDES}
    with contextlib.ExitStack() as stack:
        path = config.ledger
        if dry_run:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="syncer-dry-run-"))
            path = Path(folder) / "ledger.db"
            if is_there(config.ledger):
                stack.enter_context(duplicate(config.ledger, path, pair_id=config.pair_id))
        ledger = Ledger.open(path, pair_id=config.pair_id, identity=identity, clock=clock)
        stack.callback(ledger.close)
        ledger.end_back_offs()
        yield ledger
