"""
The reading half of a cycle: rows of both sides, the fence, and the proof of what is in them.

Order within ``read_keys``: on each side L, rows, U; then the fence (INV-3, INV-4). Only then are marks read and anything
decided, so the marks include every event up to both U.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import chain
from typing import TypeVar

import msgspec

from syncer.binlog.events import xid_of_sql
from syncer.binlog.progress import StreamProgress
from syncer.core.key import Key
from syncer.core.origins import Origin
from syncer.core.pairing import PairedTable
from syncer.core.position import Coordinate
from syncer.core.side import SIDES, Side
from syncer.core.visibility import NO_BRANCHES, NOTHING, Branches, Horizon
from syncer.errors import TransientDatabaseError
from syncer.mysql.identity import identities, joined
from syncer.mysql.reader import ReadAgain, RowRead, SnapshotReader
from syncer.mysql.snapshot import Bounds
from syncer.service.lanes import Lanes
from syncer.service.positions import not_before
from syncer.service.probes import Moment, Probe, no_probe
from syncer.service.sides import SideWorker, Workers, gathered, results

T = TypeVar("T")
FENCE_TIMEOUT_S = 30.0
UNPROVEN_MOST = 10_000

Rows = dict[int, dict[Key, RowRead]]
"""Rows by table id and key."""


class KeyGroup(msgspec.Struct, frozen=True):
    """
    One row of the pair: every spelling of its key that was asked for or found, and the row on each side.

    Attributes:
        keys: spellings; more than one only under collations that fold letters or trailing spaces.
        crowded: one side has several rows under what the other side's collation holds to be one key: that cannot hold them
            all, and a person decides.
    """

    keys: tuple[Key, ...]
    rows: dict[Side, RowRead | None]
    crowded: bool = False


def _rows_of(
    wanted: Mapping[int, Sequence[Key]], tables: Mapping[int, PairedTable]
) -> Callable[[SnapshotReader, Side], Rows]:
    return lambda reader, _side: {
        table_id: reader.rows_by_key(tables[table_id], list(keys))
        for table_id, keys in wanted.items()
    }


def _proof(read: tuple[Bounds, object]) -> tuple[int, Coordinate]:
    """Order reads of one side by what they prove to contain: the sets that a server has executed only grow."""
    bounds = read[0]
    known = bounds.end if bounds.committed is None else bounds.committed
    return (0 if bounds.executed is None else len(bounds.executed)), known


def _with_branches(bounds: Bounds, known: Branches, waiting: Mapping[int, str]) -> Bounds:
    """
    Note which branches of XA transactions had ended before the rows were read; *waiting*: those whose COMMIT was logged, by number.

    On MariaDB that is logged before the engine commits, and a snapshot's place does not tell [measured]. ``XA RECOVER`` lists a branch until then.
    """
    if not waiting or bounds.prepared is None:
        return (
            msgspec.structs.replace(bounds, branches=known) if known is not NO_BRANCHES else bounds
        )
    prepared = {xid_of_sql(text) for text in bounds.prepared}
    ended = set() if None in prepared else {n for n, xid in waiting.items() if xid not in prepared}
    return msgspec.structs.replace(
        bounds, branches=Branches(known.since, known.ended | frozenset(ended))
    )


class StoppedWaiting(Exception):
    """The run was asked to stop while it waited for the fence: the cycle is abandoned, nothing was decided."""


class PairReader:
    """Reads both sides at once. Used by the reconciler's thread alone."""

    def __init__(
        self,
        workers: Workers,
        progress: Mapping[Side, StreamProgress],
        stop: threading.Event,
        probe: Probe = no_probe,
    ) -> None:
        """Take the workers and the tailers' progress."""
        self.workers = workers
        self._progress = progress
        self._stop = stop
        self._probe = probe

    def within_snapshots(
        self,
        work: Callable[[SnapshotReader, Side], T],
        *,
        locking: bool = False,
        reads: int | None = None,
    ) -> tuple[dict[Side, T], dict[Side, Horizon]]:
        """
        Run *work* on one snapshot per side at the same time; return its results and what they are proven to contain.

        *reads*: so many reads *work* makes at most, 1 or more; one round trip is spared where that is known.

        Raises:
            TransientDatabaseError: a server failed, or a tailer did not reach the fence in time.
            StoppedWaiting: the run is ending.
        """
        return self._proven(
            self.workers.both(
                lambda worker: self._within_snapshot(worker, work, locking=locking, reads=reads)
            )
        )

    def _proven(
        self, read: Mapping[Side, tuple[T, Bounds]]
    ) -> tuple[dict[Side, T], dict[Side, Horizon]]:
        """Wait for the fence; return what was read and what it is proven to contain."""
        bounds = {side: read[side][1] for side in SIDES}
        self._fence(bounds)
        horizons = {side: self._horizon(side, bounds[side]) for side in SIDES}
        return {side: read[side][0] for side in SIDES}, horizons

    def side_by_side(
        self, lanes: Lanes, works: Sequence[Callable[[SnapshotReader, Side], T]]
    ) -> list[tuple[dict[Side, T], dict[Side, Horizon]]]:
        """
        Do what ``within_snapshots`` does for each of *works*, at the same time, on a lane each; each makes one read at most.

        Waits for all even where one fails; raises as ``within_snapshots`` then.
        """

        def one(
            work: Callable[[SnapshotReader, Side], T],
        ) -> Callable[[Workers], dict[Side, tuple[T, Bounds]]]:
            return lambda workers: workers.both(lambda w: self._within_snapshot(w, work, reads=1))

        found = gathered([lanes.submit(one(work)) for work in works])
        ends = {side: [read[side][1] for read in found] for side in SIDES}
        self._fence({side: max(ends[side], key=lambda bounds: bounds.end) for side in SIDES})
        horizons: list[dict[Side, Horizon]] = [{} for _ in found]
        for side in SIDES:
            # In the order in which they proved it: a read proves nothing once a later one has proven more (INV-3).
            for bounds, horizon in sorted(zip(ends[side], horizons, strict=True), key=_proof):
                horizon[side] = self._horizon(side, bounds)
        return [
            ({side: read[side][0] for side in SIDES}, horizon)
            for read, horizon in zip(found, horizons, strict=True)
        ]

    @property
    def stopping(self) -> bool:
        """The run is ending."""
        return self._stop.is_set()

    def origin(self, side: Side, seq: int) -> Origin | None:
        """Return what a transaction of *side* is called there; None where that is not known any more."""
        return self._progress[side].origin(seq)

    def begin_one(
        self, side: Side, work: Callable[[SnapshotReader], T]
    ) -> Future[tuple[T, Bounds]]:
        """Begin to run *work* on a snapshot of one side; ``end_one`` gives its result. Ask for the result of each."""
        worker = self.workers[side]
        return worker.submit(
            lambda: self._within_snapshot(worker, lambda reader, _side: work(reader))
        )

    def end_one(self, side: Side, begun: Future[tuple[T, Bounds]]) -> tuple[T, Horizon]:
        """
        Wait for a read of one side and for its fence; return its result and what it is proven to contain.

        The other side's rows come from another read, whose fence was waited for then: INV-4 holds for both. Raises as
        ``within_snapshots``.
        """
        result, bounds = begun.result()
        self._fence({side: bounds})
        return result, self._horizon(side, bounds)

    def _within_snapshot(
        self,
        worker: SideWorker,
        work: Callable[[SnapshotReader, Side], T],
        *,
        locking: bool = False,
        reads: int | None = None,
    ) -> tuple[T, Bounds]:
        reader = worker.reader()
        progress = self._progress[worker.side]
        before, (open_branches, branches) = progress.coordinate, progress.branches
        try:
            reader.begin(locking=locking, reads=reads, branches=bool(open_branches))
            if self._probe is not no_probe:
                reader.open_now()
            self._probe(Moment.SNAPSHOT, worker.side)
            result = work(reader, worker.side)
            bounds = reader.end()
            not_before(reader.session.where, before, bounds.end)
        except ReadAgain:
            reader.abandon()
            return self._within_snapshot(worker, work, locking=locking, reads=reads)
        except BaseException:
            reader.abandon()
            raise
        self._probe(Moment.UPPER, worker.side)
        return result, _with_branches(bounds, branches, open_branches)

    def _fence(self, bounds: Mapping[Side, Bounds]) -> None:
        """INV-4: the tailers have persisted up to each U; reached by position only."""
        for side in bounds:
            if self._progress[side].wait_until(bounds[side].end, FENCE_TIMEOUT_S, self._stop):
                continue
            if self._stop.is_set():
                raise StoppedWaiting
            raise TransientDatabaseError(
                f"side {side}: the stream did not reach the binlog's end within {FENCE_TIMEOUT_S:.0f} s; still trying"
            )
        self._probe(Moment.FENCED, None)

    def _horizon(self, side: Side, bounds: Bounds) -> Horizon:
        """
        INV-3: translate the server's words into sequence numbers.

        Rows read under locks contain all that was logged of them; the stream's log learns nothing from that, since other
        rows of the same transactions may still be invisible.
        """
        progress = self._progress[side]
        if bounds.locked:
            upper = progress.upper_by_coordinate(bounds.end)
            return Horizon(upper, upper)
        lower = NOTHING
        if bounds.executed is not None:
            lower = progress.lower_by_gtids(bounds.executed)
        elif bounds.committed is not None:
            lower = progress.lower_by_coordinate(bounds.committed, bounds.branches)
        return Horizon(lower, max(progress.upper_by_coordinate(bounds.end), lower))

    def prove_if_many(self) -> None:
        """
        Read nothing, to let both logs of transactions forget what is visible: heartbeats and tables out of scope pile up.

        Only here, between cycles: proven while a cycle is reading, a transaction would count as contained in older rows.
        """
        if any(self._progress[side].unproven > UNPROVEN_MOST for side in SIDES):
            self.within_snapshots(lambda _reader, _side: None)

    def read_keys(
        self,
        wanted: Mapping[int, Sequence[Key]],
        tables: Mapping[int, PairedTable],
        *,
        locking: bool,
    ) -> tuple[dict[Side, Rows], dict[Side, Horizon]]:
        """Read the rows of *wanted* (keys by table id) on both sides."""
        work = _rows_of(wanted, tables)
        return self.within_snapshots(work, locking=locking, reads=len(wanted))

    def begin_keys(
        self, wanted: Mapping[int, Sequence[Key]], tables: Mapping[int, PairedTable]
    ) -> dict[Side, Future[tuple[Rows, Bounds]]]:
        """Begin to read what ``read_keys`` reads; ``end_keys`` gives it."""

        def read(worker: SideWorker) -> Future[tuple[Rows, Bounds]]:
            work = _rows_of(wanted, tables)
            return worker.submit(lambda: self._within_snapshot(worker, work, reads=len(wanted)))

        return {side: read(self.workers[side]) for side in SIDES}

    def end_keys(
        self, begun: Mapping[Side, Future[tuple[Rows, Bounds]]]
    ) -> tuple[dict[Side, Rows], dict[Side, Horizon]]:
        """
        Wait for what ``begin_keys`` began, and for its fence. Raises as ``within_snapshots``.

        Where another read has proven more meanwhile, this one proves nothing: its lower bound is NOTHING.
        """
        return self._proven(results(begun))

    def read_spellings(
        self,
        wanted: Mapping[int, Sequence[Key]],
        tables: Mapping[int, PairedTable],
        waiting: Mapping[int, Sequence[Key]],
        *,
        locking: bool,
    ) -> tuple[Mapping[int, Sequence[Key]], dict[Side, Rows], dict[Side, Horizon]]:
        """
        Do what ``read_keys`` does, and return what was read in the place of *wanted* as well.

        Where the sides take different spellings for one key, one that either takes for one of *wanted* may be a row of its own: all
        such of *waiting* (by table id, for each such table) and of what is found are read on both sides, and can be decided together.
        """
        found: dict[Side, Rows] = {side: {} for side in SIDES}
        horizons: dict[Side, Horizon] = {}
        while True:
            more = {
                table_id: self._of_one_key(
                    tables[table_id],
                    [*wanted[table_id], *chain(*(found[side].get(table_id, ()) for side in SIDES))],
                    waiting[table_id],
                )
                for table_id in waiting
            }
            new = any(len(keys) > len(set(wanted[table_id])) for table_id, keys in more.items())
            if horizons and not new:
                return wanted, found, horizons
            wanted = {**wanted, **more}
            found, horizons = self.read_keys(wanted, tables, locking=locking)

    def _of_one_key(
        self, table: PairedTable, keys: Sequence[Key], waiting: Sequence[Key]
    ) -> list[Key]:
        """Return *keys*, each once, and those of *waiting* that either side takes for one of them."""
        same = self._identities(table, list(dict.fromkeys([*keys, *waiting])))
        touched = {same[key] for key in keys}
        return [key for key, representative in same.items() if representative in touched]

    def group(
        self,
        table: PairedTable,
        asked: Sequence[Key],
        rows: Mapping[Side, Mapping[Key, RowRead]],
        also: Sequence[Key] = (),
    ) -> list[KeyGroup]:
        """Put together what either server holds to be one key; *also*: spellings that count where they are of such a key."""
        if table.a.exact_spelling and table.b.exact_spelling:
            return [
                KeyGroup((key,), {side: rows[side].get(key) for side in SIDES}) for key in asked
            ]
        wanted = dict.fromkeys([*asked, *rows[Side.A], *rows[Side.B]])
        spellings = list(dict.fromkeys([*wanted, *also]))
        members: dict[Key, list[Key]] = {}
        for spelling, representative in self._identities(table, spellings).items():
            members.setdefault(representative, []).append(spelling)
        found: list[KeyGroup] = []
        for keys in members.values():
            if keys[0] not in wanted:
                continue
            here = {side: [rows[side][key] for key in keys if key in rows[side]] for side in SIDES}
            present = {side: here[side][0] if here[side] else None for side in SIDES}
            crowded = any(len(here[side]) > 1 for side in SIDES)
            found.append(KeyGroup(tuple(keys), present, crowded))
        return found

    def _identities(self, table: PairedTable, spellings: Sequence[Key]) -> dict[Key, Key]:
        """Map every spelling to one that stands for all that are one key on side A, or on side B, or by way of others on both."""
        sides = (Side.A,) if table.equal_keys_alike else SIDES

        def asked(worker: SideWorker) -> dict[Key, Key]:
            return identities(worker.reader().session, table.schema(worker.side), spellings)

        begun = [self.workers[side].submit(partial(asked, self.workers[side])) for side in sides]
        same = gathered(begun)
        return joined(same)
