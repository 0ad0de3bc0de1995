"""Several pairs of connections beside each other: chunks of whole tables are read on all of them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

import structlog

from syncer.clock import Clock
from syncer.core.side import SIDES, Side
from syncer.errors import DatabaseError, OutcomeUnknown
from syncer.mysql import marker
from syncer.service.sides import SideWorker, Workers

T = TypeVar("T")
AGAIN_AFTER_S = 5.0
"""Where a lane could not be had, none is asked for at that side before so long."""


class Lanes:
    """
    So many reads at a time, each on a pair of connections that is its own meanwhile. ``submit`` may be called from any thread.

    A lane opens its connections when it is first needed: a pair of small tables has one.
    """

    def __init__(self, make: Callable[[], Workers], count: int) -> None:
        """Open nothing yet. *make* gives the connections of a further lane; *count* is at least 1."""
        self._make = make
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="lane")
        self._lock = threading.Lock()
        self._idle: list[Workers] = []
        self._rows_read = 0
        self.count = count

    def submit(self, work: Callable[[Workers], T]) -> Future[T]:
        """Run *work* on the next lane that is free."""
        return self._pool.submit(self._run, work)

    def _run(self, work: Callable[[Workers], T]) -> T:
        with self._lock:
            if not self._idle:
                self._idle.append(self._make())
            workers = self._idle.pop()
        try:
            return work(workers)
        finally:
            with self._lock:
                self._idle.append(workers)

    @property
    def rows_read(self) -> int:
        """Rows that reads returned so far, but for those under way."""
        with self._lock:
            return self._rows_read + sum(workers.rows_read for workers in self._idle)

    def rest(self) -> None:
        """Close the connections of all lanes that nothing is read on."""
        with self._lock:
            closing, self._idle = self._idle, []
            self._rows_read += sum(workers.rows_read for workers in closing)
        for workers in closing:
            workers.close()

    def close(self) -> None:
        """Wait for what is being read, then close all connections; what has not begun never does."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.rest()


class ApplyLane(NamedTuple):
    """A session for applies beside others: its worker, and the marker row that its transactions write."""

    worker: SideWorker
    row: str


class ApplyLanes:
    """
    Several transactions at a time at one target, each with a marker row of its own (``mysql/marker.py``).

    Used by the reconciler's thread alone. A lane is opened when it is first needed; who gets none does without.
    """

    def __init__(
        self,
        make: Callable[[], Workers],
        pair_id: str,
        epoch: int,
        count: int,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """Open nothing yet. *epoch* is the one raised at the start of the run."""
        names = [marker.lane_name(pair_id, number) for number in range(1, count + 1)]
        self._names = [name for name in names if name is not None]
        self._make = make
        self._pair_id = pair_id
        self._epoch = epoch
        self._clock = clock
        self._log = log
        self._not_before = dict.fromkeys(SIDES, float("-inf"))
        self._workers: list[Workers] = []
        self._idle: dict[Side, list[ApplyLane]] = {side: [] for side in SIDES}
        self._opened: dict[Side, int] = dict.fromkeys(SIDES, 0)

    @property
    def count(self) -> int:
        """How many transactions of one target may be under way; 0 where the pair's name leaves no room for their rows."""
        return len(self._names)

    @property
    def ready(self) -> int:
        """The same for now, of either target: where one could not be had a while ago, only those that are open."""
        now = self._clock.monotonic()
        waiting = [side for side in SIDES if now < self._not_before[side]]
        return min([self.count, *(self._open_at(side) for side in waiting)])

    def take(self, target: Side) -> ApplyLane | None:
        """
        Return a lane that nothing is under way on; None where there is no further one, or none can be had for now.

        What is in the way of it (no connection is left, the server is read-only) is none of the caller's concern, who has
        the side's own session. Raises EpochLost where another syncer has the pair.
        """
        idle = self._idle[target]
        idle.sort(key=lambda lane: lane.worker.applies)
        if idle and idle[-1].worker.applies:
            return idle.pop()
        if self._clock.monotonic() < self._not_before[target]:
            return None
        try:
            if idle:
                worker = idle[-1].worker
                worker.submit_apply(worker.apply_session).result()
                return idle.pop()
            return self._open(target) if self._opened[target] < self.count else None
        except (DatabaseError, OutcomeUnknown) as error:
            self._not_before[target] = self._clock.monotonic() + AGAIN_AFTER_S
            self._log.debug(
                "lane.missed", side=str(target), error_code=error.code, reason=str(error)
            )
            return None

    def _open(self, target: Side) -> ApplyLane:
        number = self._opened[target]
        if number == len(self._workers):
            self._workers.append(self._make())
        worker, row = self._workers[number][target], self._names[number]
        open_row = partial(marker.open_lane, pair_id=self._pair_id, name=row, epoch=self._epoch)
        worker.submit_apply(lambda: open_row(worker.apply_session())).result()
        self._opened[target] += 1
        return ApplyLane(worker, row)

    def _open_at(self, side: Side) -> int:
        return sum(workers[side].applies for workers in self._workers[: self._opened[side]])

    def give(self, target: Side, lane: ApplyLane) -> None:
        """Give a lane back: what was sent by it is over, and the ledger knows."""
        self._idle[target].append(lane)

    def rest(self) -> None:
        """Close all connections; nothing may be under way."""
        for workers in self._workers:
            workers.close()
        self._workers.clear()
        for side in SIDES:
            self._idle[side].clear()
            self._opened[side] = 0

    close = rest
