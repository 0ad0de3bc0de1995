"""
What is sent to both sides: intents, then the writes, on their way while the reconciler reads the next keys.

Each target gets one transaction, or several at a time where much travels together, each with an intent and a marker row of its own
(INV-17). Nothing is sent before all that was sent before has landed, so no marker row ever has two open intents (INV-13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, wait
from typing import NamedTuple

from syncer.core.key import StoredKey
from syncer.core.outcome import Around, Verdict
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.ledger import Ledger
from syncer.ledger.claims import NONE
from syncer.ledger.records import Batch, ClaimedKey
from syncer.service.bulkdelivery import BulkDelivery
from syncer.service.delivery import Deliverer
from syncer.service.lanes import ApplyLane, ApplyLanes
from syncer.service.onesided import OneSided
from syncer.service.planned import Planned
from syncer.service.probes import Moment, Probe
from syncer.service.reading import Rows
from syncer.service.sides import Workers, gathered

ById = dict[int, dict[StoredKey, ClaimedKey]]


class Cycle:
    """
    What was read, and what that is proven to contain.

    Attributes:
        rows: by side and table id.
        settled: keys whose rows were equal, so far.
    """

    def __init__(
        self,
        rows: Mapping[Side, Rows],
        horizons: dict[Side, Horizon],
        claims: ById,
        outside: Around,
    ) -> None:
        """Take what ``PairReader.read_keys`` gave for *claims*; *outside*: the servers' clocks."""
        self.rows = rows
        self.horizons = horizons
        self.claims = claims
        self.outside = outside
        self.lower = {side: horizons[side].lower for side in SIDES}
        self.settled = 0


class Landed(NamedTuple):
    """What has come of what was sent; *left*: what could not be written together, and was not written."""

    cycle: Cycle
    left: list[OneSided]


class _Work(NamedTuple):
    """
    One transaction.

    Attributes:
        rows: what travels together; else *planned*: what was decided one by one.
        lane: the one that it is sent by; None: the side's own session.
    """

    batch: Batch
    rows: list[OneSided]
    planned: list[Planned]
    lane: ApplyLane | None


class _UnderWay(NamedTuple):
    """
    What is being written.

    Attributes:
        cycle: the one that it was read in.
        work: the transactions.
        through: of each, whether it was written, or nothing more is to be done about it.
        keys: by table id, the keys of what travels together.
    """

    cycle: Cycle
    work: list[_Work]
    through: list[Future[bool]]
    keys: Mapping[int, AbstractSet[StoredKey]]


class Sender:
    """Used by the reconciler's thread alone."""

    def __init__(
        self,
        ledger: Ledger,
        workers: Workers,
        deliveries: Mapping[Side, Deliverer],
        rows_to: Mapping[Side, BulkDelivery] | None,
        lanes: ApplyLanes | None,
        most_rows: int,
        probe: Probe,
    ) -> None:
        """
        Take the targets; without *rows_to* everything goes one by one.

        Args:
            lanes: for further transactions at a time at one target; None: there are none.
            most_rows: rows of one transaction that travel together, at most, where several can be under way.
        """
        self._ledger = ledger
        self._workers = workers
        self._deliveries = deliveries
        self._rows_to = rows_to
        self._lanes = lanes
        self._most_rows = most_rows
        self._probe = probe
        self._under_way: _UnderWay | None = None

    @property
    def takes_rows(self) -> bool:
        """Changes of one side may travel together."""
        return self._rows_to is not None

    @property
    def at_a_time(self) -> int:
        """How many transactions of rows that travel together may be under way at one target for now."""
        return 1 if self._lanes is None or self._rows_to is None else 1 + self._lanes.ready

    @property
    def keys(self) -> Mapping[int, AbstractSet[StoredKey]]:
        """The keys that are being written together, by table id."""
        return NONE if self._under_way is None else self._under_way.keys

    def land(self) -> Landed | None:
        """Wait for what is being written; None where nothing is. Raises as ``gathered`` does; nothing is under way then."""
        writing, self._under_way = self._under_way, None
        if writing is None:
            return None
        try:
            done = gathered(writing.through)
        finally:
            self._give_back(writing.work)
        left = [
            rows
            for one, through in zip(writing.work, done, strict=True)
            if not through
            for rows in one.rows
        ]
        return Landed(writing.cycle, left)

    def end(self) -> None:
        """Wait for what is being written, whatever comes of it."""
        writing, self._under_way = self._under_way, None
        if writing is not None:
            wait(writing.through)
            self._give_back(writing.work)

    def rest(self) -> None:
        """Close what is not needed while little is sent; nothing may be under way."""
        if self._lanes is not None:
            self._lanes.rest()

    def _give_back(self, work: Sequence[_Work]) -> None:
        for one in work:
            if self._lanes is not None and one.lane is not None:
                self._lanes.give(one.batch.target, one.lane)

    def takes_along(self, table: PairedTable, target: Side) -> bool:
        """Say whether *target* deletes other rows together with one of *table*."""
        return self._rows_to is not None and not self._rows_to[target].deletes_alone(table)

    def may_move(
        self, moving: Sequence[OneSided], planned: Sequence[Planned]
    ) -> tuple[list[OneSided], list[OneSided]]:
        """
        Tell what may travel together from what is to be decided one by one after all.

        That is what goes to a side to which something else goes in this cycle, since it all goes in one transaction; what may
        have to wait for children that nobody has looked up yet; and deletes that may take children along.
        """
        if not moving or self._rows_to is None:
            return [], list(moving)
        busy = {item.target for item in planned if item.decision.verdict is Verdict.COPY}
        if self._ledger.open_lookups():
            busy = set(SIDES)
        for one in moving:
            if one.rows.deletes.keys and self.takes_along(one.table, one.target):
                busy.add(one.target)
        return (
            [one for one in moving if one.target not in busy],
            [one for one in moving if one.target in busy],
        )

    def send(self, copies: Sequence[Planned], moving: Sequence[OneSided], cycle: Cycle) -> None:
        """
        INV-8: one intent per transaction, all in one ledger transaction, before anything is sent.

        Each target gets of *copies* or of *moving*; a part of *moving* that no lane is to be had for stays marked. Nothing
        may be under way; what is sent now is until ``land``.
        """
        rows_to, lanes = self._rows_to, self._lanes
        work: list[_Work] = []
        try:
            for side in SIDES:
                planned = [item for item in copies if item.target is side]
                parts = self._parts([one for one in moving if one.target is side])
                if planned and not parts:
                    batch = self._deliveries[side].prepare(planned, cycle.lower)
                    work.append(_Work(batch, [], planned, None))
                for part in parts:
                    assert rows_to is not None  # else nothing may move
                    lane = None
                    if part is not parts[0]:
                        lane = lanes.take(side) if lanes is not None else None
                        if lane is None:
                            break
                    batch = rows_to[side].prepare_rows(part, cycle.lower, lane)
                    work.append(_Work(batch, part, [], lane))
            if not work:
                return
            self._probe(Moment.INTENT_BEFORE, None)
            self._ledger.begin_batches([one.batch for one in work])
        except BaseException:
            self._give_back(work)
            raise
        self._probe(Moment.INTENT_AFTER, None)
        if len({one.batch.target for one in work}) > 1:
            self._probe(Moment.INTENT_BOTH, None)
        keys: dict[int, set[StoredKey]] = {}
        for one in work:
            for rows in one.rows:
                keys.setdefault(rows.table.table_id, set()).update(rows.stored)
        through = [self._begin(one) for one in work]
        self._under_way = _UnderWay(cycle, work, through, keys)

    def _parts(self, rows: Sequence[OneSided]) -> list[list[OneSided]]:
        """Divide *rows* of one target into transactions; the last one that may be under way takes what is left."""
        parts: list[list[OneSided]] = []
        most = 1 if self._lanes is None else 1 + self._lanes.count
        room = 0
        for one in rows:
            size = len(one.stored)
            if not parts or (size > room and len(parts) < most):
                parts.append([])
                room = self._most_rows
            parts[-1].append(one)
            room -= size
        return parts

    def _begin(self, one: _Work) -> Future[bool]:
        side = one.batch.target
        worker = self._workers[side] if one.lane is None else one.lane.worker

        def work() -> bool:
            if one.rows and self._rows_to is not None:
                return self._rows_to[side].deliver_rows(one.rows, one.batch, one.lane)
            self._deliveries[side].deliver(one.planned, one.batch)
            return True

        return worker.submit_apply(work)
