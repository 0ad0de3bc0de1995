"""When a run is done: by positions read from the servers, never because nothing arrived for a while."""

from __future__ import annotations

import enum
import threading
from collections.abc import Mapping

from syncer.binlog.progress import StreamProgress
from syncer.core.position import Coordinate
from syncer.core.side import SIDES, Side
from syncer.ledger import Ledger
from syncer.service.catalog import Catalog
from syncer.service.positions import end_behind
from syncer.service.sides import Workers

REACH_TIMEOUT_S = 5.0


class Ending(enum.Enum):
    """Why the reconciler's loop ended."""

    STOPPED = "stopped"
    IN_SYNC = "in_sync"
    ONE_PASS = "one_pass"  # noqa: S105 - no secret


class Goal:
    """
    Decides whether the run may end. Used by the reconciler's thread alone.

    In sync: the ledger is empty; the ends of both binlogs are read *then*; both tailers reach them; and the ledger is
    still empty. Every write before those ends was seen, and none left a mark. Tables that wait are left out: the report
    says that they are not in sync. A table that waits only until its definition has been looked at may flow again at any
    moment, marks and all: that none does and that the ledger is empty has to hold at once.

    Attributes:
        asked: the end that was asked for; None: none, it runs until it is stopped.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        workers: Workers,
        progress: Mapping[Side, StreamProgress],
        catalog: Catalog,
        until_in_sync: bool,
        once: bool,
    ) -> None:
        """Take the sources; with neither flag the goal is never reached."""
        self.asked = Ending.ONE_PASS if once else Ending.IN_SYNC if until_in_sync else None
        self._ledger = ledger
        self._workers = workers
        self._progress = progress
        self._catalog = catalog
        self._until_in_sync = until_in_sync
        self._once = once
        self._pass_ends: dict[Side, Coordinate] | None = None

    def begin(self) -> None:
        """Note where both streams stand when the run begins."""
        if self._once:
            self._pass_ends = self._ends()

    def reached(self, stop: threading.Event) -> Ending | None:
        """
        Say whether the goal is reached; call it when the reconciler finds nothing to do.

        Blocks while a tailer is behind, at most some seconds.
        """
        if not self._catalog.settled:
            return None
        if self._once and self._pass_ends is not None:
            return Ending.ONE_PASS if self._pass_done(self._pass_ends, stop) else None
        if not self._until_in_sync or not self._ledger.is_empty():
            return None
        ends = self._ends()
        if not self._wait(ends, stop):
            return None
        return Ending.IN_SYNC if self._catalog.settled_and(self._ledger.is_empty) else None

    def _pass_done(self, ends: Mapping[Side, Coordinate], stop: threading.Event) -> bool:
        if not self._wait(ends, stop):
            return False
        upto = {side: self._progress[side].upper_by_coordinate(ends[side]) for side in SIDES}
        return self._catalog.settled_and(lambda: not self._ledger.has_marks_up_to(upto))

    def _ends(self) -> dict[Side, Coordinate]:
        return self._workers.both(
            lambda worker: end_behind(worker.reader().session, self._progress[worker.side])
        )

    def _wait(self, ends: Mapping[Side, Coordinate], stop: threading.Event) -> bool:
        return all(
            self._progress[side].wait_until(ends[side], REACH_TIMEOUT_S, stop) for side in SIDES
        )
