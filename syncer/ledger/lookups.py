"""Lookups: children that changed without an event, until somebody has found their keys (``core/cascade.py``)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from syncer.core.key import StoredKey
from syncer.core.mark import Lookup, Reason
from syncer.core.progression import Progression
from syncer.core.side import Side
from syncer.core.visibility import NOTHING
from syncer.ledger import queries as q
from syncer.ledger.ranges import Ranges
from syncer.ledger.records import ClaimedLookup


class Lookups(Ranges):
    """The part of the ledger that knows whose children are to be found."""

    def _add_lookups(
        self,
        side: Side,
        lookups: Iterable[Lookup],
        now: float,
        seqs: tuple[int, int] | None = None,
    ) -> None:
        """Add *lookups*, of their own transactions or of *seqs*, the first and the last (inclusive)."""
        for one in lookups:
            columns = msgspec.json.encode(one.columns).decode()
            self._db.execute(
                q.ADD_LOOKUP,
                (
                    *(one.table_id, side.value, columns, one.value, int(one.removes)),
                    *((one.seq, one.seq) if seqs is None else seqs),
                    now,
                ),
            )

    def claim_lookups(self, limit: int, upto: Mapping[Side, int]) -> list[ClaimedLookup]:
        """Return lookups of transactions up to *upto* (inclusive, per side), oldest first; a claim locks nothing."""
        bounds = (upto.get(Side.A, NOTHING), upto.get(Side.B, NOTHING))
        with self._reading() as db:
            rows = db.execute(q.CLAIM_LOOKUPS, (*bounds, limit)).fetchall()
        return [
            ClaimedLookup(
                lookup_id=number,
                table_id=table_id,
                side=Side(side),
                columns=msgspec.json.decode(columns, type=tuple[str, ...]),
                value=value,
                removes=bool(removes),
                first_seq=first_seq,
                last_seq=last_seq,
            )
            for number, table_id, side, columns, value, removes, first_seq, last_seq in rows
        ]

    def open_lookups(self) -> dict[tuple[int, Side], int]:
        """Return, per table and side with lookups, the first transaction that they are about."""
        with self._reading() as db:
            return {(row[0], Side(row[1])): row[2] for row in db.execute(q.OPEN_LOOKUPS)}

    def changed_keys(self, table_id: int, side: Side, at_once: int) -> Iterator[list[StoredKey]]:
        """
        Yield the keys that *side* changed exactly and that both had when they agreed, at most *at_once* together.

        Keys marked before it begins are among them, unless they are cleared meanwhile; a key may come twice.
        """
        with self._reading() as db:
            scope = (table_id, side.value)
            runs = [Progression(*row) for row in db.execute(q.CHANGED_RUNS, scope).fetchall()]
        numbers = (n for run in runs for n in range(run.low, run.high + 1, run.step))
        while some := list(itertools.islice(numbers, at_once)):
            yield list(some)
        after: StoredKey | None = None
        while True:
            page = {"table_id": table_id, "side": side.value, "after": after, "limit": at_once}
            with self._reading() as db:
                found = [row[0] for row in db.execute(q.CHANGED_POINTS, page)]
            if not found:
                return
            yield found
            after = found[-1]

    def settle_lookups(
        self, done: Sequence[ClaimedLookup], found: Mapping[StoredKey, Sequence[Lookup]]
    ) -> None:
        """
        Mark the children found inexactly and drop the lookups, in one transaction.

        A lookup that a later transaction was folded into stays. What follows from a child is added unless the child has
        such a mark of these transactions already, so that cycles end; a mark for another reason is one of all the tables
        that these changes may reach.

        Args:
            done: of one table, side, set of columns and kind of change; at least one.
            found: by key, the lookups that follow from that child's change; their ``seq`` is of no account.
        """
        now = self._clock.now()
        head = done[0]
        first = min(one.first_seq for one in done)
        last = max(one.last_seq for one in done)
        with self._writing() as db:
            for key, onward in found.items():
                scope = (head.table_id, key, head.side.value)
                known = db.execute(q.KNOWN_INEXACT, scope).fetchone()
                self._add_inexact(
                    head.table_id,
                    head.side,
                    key,
                    (first, last, "u", "u", 0, 0),
                    Reason.CASCADE.value,
                    now,
                )
                if known is None or known[0] < last:
                    self._add_lookups(head.side, onward, now, (first, last))
            db.executemany(q.DROP_LOOKUP, [(one.lookup_id, one.last_seq) for one in done])
