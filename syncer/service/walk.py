"""One walk through tables, chunk by chunk and several at a time: which keys differ, as of one look. Read-only, and without proof."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial

import msgspec

from syncer.clock import Clock
from syncer.config import Config
from syncer.core.chunking import ChunkSizer, IntegerSteps
from syncer.core.key import Key
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.errors import Interrupted
from syncer.service.boundaries import learn, next_boundary, rows_per_chunk
from syncer.service.differing import Differing, by_entries, by_rows, closer_look
from syncer.service.lanes import Lanes
from syncer.service.reports import BaselineProgress, Observer
from syncer.service.sides import SideWorker, Workers
from syncer.service.throttle import Throttle

HELD_UP_S = 0.2
"""Work that is held up asks again after so long."""
UNFINISHED = "interrupted: not everything was compared; start it again"


class Found(msgspec.Struct):
    """Rows and differences of one table so far."""

    table: PairedTable
    rows: dict[Side, int]
    chunks: int = 0
    differing: Differing = msgspec.field(default_factory=dict)


class Progress:
    """What an observer is told."""

    def __init__(self, observer: Observer, tables: int, rows: int) -> None:
        self._observer = observer
        self._tables = tables
        self._rows = rows
        self._table = ""
        self.tables_done = self.rows_done = 0

    def tell(self, table: PairedTable | None = None, *, waits: str | None = None) -> None:
        """Tell how far it is, and what it waits for; *table*: the one of the last time."""
        if table is not None:
            self._table = str(table.name)
        self._observer.verify_progress(
            BaselineProgress(
                tables_total=self._tables,
                tables_done=self.tables_done,
                rows_total=max(self._rows, self.rows_done),
                rows_done=self.rows_done,
                table=self._table,
            ),
            waits,
        )


class _Compared(msgspec.Struct, frozen=True):
    """One chunk, looked at once."""

    low: Key | None
    end: Key | None
    rows: dict[Side, int]
    differing: Differing
    seconds: float


class Walk:
    """Goes through tables chunk by chunk, several at a time; differing keys are looked at again later."""

    def __init__(
        self,
        workers: Workers,
        lanes: Lanes,
        config: Config,
        stop: threading.Event,
        clock: Clock,
        progress: Progress,
        throttle: Throttle,
    ) -> None:
        """*workers* find out where chunks end; they are read on *lanes*, when *throttle* lets them."""
        engine = config.engine
        self._workers = workers
        self._lanes = lanes
        self._stop = stop
        self._clock = clock
        self._progress = progress
        self._throttle = throttle
        self._sizer = ChunkSizer(
            target_s=engine.chunk_time_s, low=engine.chunk_rows_min, high=engine.chunk_rows_max
        )
        self._reading: dict[Future[_Compared], tuple[Found, IntegerSteps]] = {}

    def through(self, table: PairedTable) -> Found:
        """
        Have all of *table* compared; what is returned is whole after ``finish``.

        Raises TransientDatabaseError where a server failed, Interrupted where the comparison is stopped.
        """
        found = Found(table, dict.fromkeys(SIDES, 0))
        steps = IntegerSteps()
        low: Key | None = None
        paced = self._throttle.most_rows
        while True:
            self.give_way()
            rows = rows_per_chunk(table, self._sizer)
            rows = min(rows, paced or rows)
            end = next_boundary(self._workers, table, low, None, rows, steps)
            work = partial(_compare, table=table, low=low, end=end, size=rows, clock=self._clock)
            self._reading[self._lanes.submit(work)] = found, steps
            self._collect(0 if paced else self._lanes.count)
            if end is None:
                return found
            low = end

    def give_way(self) -> None:
        """Wait until the throttle lets work go on. Raises as ``through``."""
        while not self._stop.is_set():
            if self._throttle.free():
                return
            pace_s = self._throttle.free_in_s()
            self._progress.tell(waits=self._throttle.reason)
            self._stop.wait(HELD_UP_S if pace_s is None else min(pace_s, HELD_UP_S))
        raise Interrupted(UNFINISHED)

    def finish(self) -> None:
        """Wait for all that is being read. Raises as ``through``."""
        self._collect(0)

    def _collect(self, most: int) -> None:
        """Take what has been read, until no more than *most* chunks are being read."""
        while len(self._reading) > most:
            done, _ = wait(self._reading, return_when=FIRST_COMPLETED)
            for future in done:
                found, steps = self._reading.pop(future)
                self._take(future.result(), found, steps)

    def _take(self, chunk: _Compared, found: Found, steps: IntegerSteps) -> None:
        found.differing |= chunk.differing
        for side in SIDES:
            found.rows[side] += chunk.rows[side]
        found.chunks += 1
        rows = max(chunk.rows.values())
        learn(steps, found.table, chunk.low, chunk.end, rows)
        self._sizer.took(rows, chunk.seconds)
        if chunk.end is None:
            self._progress.tables_done += 1
        self._throttle.used(rows)
        self._progress.rows_done += rows
        self._progress.tell(found.table, waits=self._throttle.reason)


def _compare(
    workers: Workers,
    *,
    table: PairedTable,
    low: Key | None,
    end: Key | None,
    size: int,
    clock: Clock,
) -> _Compared:
    at = clock.monotonic()
    digests = workers.both(_digest_of(table, low, end, size))
    seconds = clock.monotonic() - at
    rows = {side: digests[side][0] for side in SIDES}
    if digests[Side.A] == digests[Side.B]:
        return _Compared(low, end, rows, {}, seconds)
    entries = workers.both(lambda worker: worker.reader().key_digests(table, low, end))
    differing = by_entries(table, entries)
    look = closer_look(table, low, end, differing)
    if look is not None:
        differing = by_rows(workers.both(lambda worker: look(worker.reader())))
    return _Compared(low, end, rows, differing or {}, seconds)


def _digest_of(
    table: PairedTable, low: Key | None, high: Key | None, size: int
) -> Callable[[SideWorker], tuple[int, int]]:
    return lambda worker: worker.reader().chunk_digest(table, low, high, size)
