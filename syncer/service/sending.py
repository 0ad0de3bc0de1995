"""
What is sent to both sides: an intent per target, then the writes, on their way while the reconciler reads the next keys.

Nothing is sent before what was sent before has landed, so no target ever has two open intents (INV-13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import NamedTuple

from syncer.core.key import StoredKey
from syncer.core.outcome import Around, Verdict
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.ledger import Ledger
from syncer.ledger.records import Batch, ClaimedKey
from syncer.service.bulkdelivery import BulkDelivery
from syncer.service.delivery import Deliverer
from syncer.service.onesided import OneSided
from syncer.service.planned import Planned
from syncer.service.probes import Moment, Probe
from syncer.service.reading import Rows
from syncer.service.sides import Workers, results

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


class _UnderWay(NamedTuple):
    """
    What is being written.

    Attributes:
        cycle: the one that it was read in.
        rows: by target, what travels together.
        outcome: by target, whether that went through.
        keys: table ids and keys of *rows*.
    """

    cycle: Cycle
    rows: dict[Side, list[OneSided]]
    outcome: dict[Side, Future[bool]]
    keys: frozenset[tuple[int, StoredKey]]


class Sender:
    """Used by the reconciler's thread alone."""

    def __init__(
        self,
        ledger: Ledger,
        workers: Workers,
        deliveries: Mapping[Side, Deliverer],
        rows_to: Mapping[Side, BulkDelivery] | None,
        probe: Probe,
    ) -> None:
        """Take the targets; without *rows_to* everything goes one by one."""
        self._ledger = ledger
        self._workers = workers
        self._deliveries = deliveries
        self._rows_to = rows_to
        self._probe = probe
        self._under_way: _UnderWay | None = None

    @property
    def takes_rows(self) -> bool:
        """Changes of one side may travel together."""
        return self._rows_to is not None

    @property
    def keys(self) -> frozenset[tuple[int, StoredKey]]:
        """Table ids and keys that are being written together."""
        return frozenset() if self._under_way is None else self._under_way.keys

    def land(self) -> Landed | None:
        """Wait for what is being written; None where nothing is. Raises as ``results`` does; nothing is under way then."""
        writing, self._under_way = self._under_way, None
        if writing is None:
            return None
        done = results(writing.outcome)
        left = [one for side, through in done.items() if not through for one in writing.rows[side]]
        return Landed(writing.cycle, left)

    def end(self) -> None:
        """Wait for what is being written, whatever comes of it."""
        writing, self._under_way = self._under_way, None
        if writing is not None:
            wait(writing.outcome.values())

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
            if one.rows.deletes and not self._rows_to[one.target].deletes_alone(one.table):
                busy.add(one.target)
        return (
            [one for one in moving if one.target not in busy],
            [one for one in moving if one.target in busy],
        )

    def send(self, copies: Sequence[Planned], moving: Sequence[OneSided], cycle: Cycle) -> None:
        """
        INV-8: one intent per target, both in one ledger transaction, before anything is sent.

        Each target gets of *copies* or of *moving*. Nothing may be under way; what is sent now is until ``land``.
        """
        parts = {side: [p for p in copies if p.target is side] for side in SIDES}
        rows = {side: [one for one in moving if one.target is side] for side in SIDES}
        batches: dict[Side, Batch] = {}
        for side in SIDES:
            if rows[side] and self._rows_to is not None:
                batches[side] = self._rows_to[side].prepare_rows(rows[side], cycle.lower)
            elif parts[side]:
                batches[side] = self._deliveries[side].prepare(parts[side], cycle.lower)
        if not batches:
            return
        self._probe(Moment.INTENT_BEFORE, None)
        self._ledger.begin_batches(list(batches.values()))
        self._probe(Moment.INTENT_AFTER, None)
        if len(batches) > 1:
            self._probe(Moment.INTENT_BOTH, None)

        def work(side: Side, batch: Batch) -> bool:
            if rows[side] and self._rows_to is not None:
                return self._rows_to[side].deliver_rows(rows[side], batch)
            self._deliveries[side].deliver(parts[side], batch)
            return True

        outcome = {
            side: self._workers[side].submit_apply(partial(work, side, batch))
            for side, batch in batches.items()
        }
        keys = {(one.table.table_id, stored) for one in moving for stored in one.stored}
        self._under_way = _UnderWay(cycle, rows, outcome, frozenset(keys))
