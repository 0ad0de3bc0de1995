"""Tables, epoch, free facts, counters, and the ledger at a glance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from syncer.core.position import StreamPosition
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.ledger import journal_queries as jq
from syncer.ledger import queries as q
from syncer.ledger import status_queries as sq
from syncer.ledger.records import ConflictStatus, LedgerSummary, SideSummary, TableSummary
from syncer.ledger.store import Store

_SCOPE = "scope"


class _Sum:
    """What is counted for one side of one table."""

    __slots__ = ("held", "keys", "spans")

    def __init__(self) -> None:
        self.keys = self.held = self.spans = 0

    def summary(self) -> SideSummary:
        return SideSummary(self.keys, self.held, self.spans)


class Status(Store):
    """The part of the ledger that describes it."""

    def table_id(self, name: TableName) -> int:
        """Return the number of a table, and give it one at the first use."""
        with self._mutex:
            known = self._table_ids.get((name.database, name.name))
            if known is not None:
                self._refuse_closed()
                return known
            with self._writing() as db:
                number = db.execute(q.ADD_TABLE, (name.database, name.name)).lastrowid
                assert number is not None
            self._table_ids[name.database, name.name] = number
            return number

    def tables(self) -> dict[int, TableName]:
        """Return every table that has a number."""
        with self._reading() as db:
            return {row[0]: TableName(row[1], row[2]) for row in db.execute(q.TABLES)}

    def set_table(self, table_id: int, *, integer: bool, unsigned: bool) -> None:
        """Remember how the keys of a table are stored (``core/key.py``), for those that print them later."""
        with self._writing() as db:
            db.execute(q.SET_TABLE, (int(integer), int(unsigned), table_id))

    def table_keys(self, table_id: int) -> tuple[bool, bool] | None:
        """Return (integer, unsigned) as ``set_table`` was told; None where it was not."""
        with self._reading() as db:
            row = db.execute(q.TABLE_KEYS, (table_id,)).fetchone()
            return None if row is None else (bool(row[0]), bool(row[1]))

    def scope(self) -> set[int]:
        """Return the ids of the tables that were tailed until now, see ``set_scope``."""
        with self._reading():
            text = self._get_meta(_SCOPE)
            return set() if not text else {int(number) for number in text.split(",")}

    def set_scope(self, table_ids: Iterable[int]) -> None:
        """Say which tables are tailed from now on: a table that comes in anew has to be compared whole."""
        with self._writing():
            self._put_meta(_SCOPE, ",".join(str(number) for number in sorted(table_ids)))

    def forget_table(self, table_id: int) -> None:
        """Drop the marks, spans and progress of a table that is no longer tailed; its held conflicts are superseded."""
        with self._writing() as db:
            db.execute(q.SUPERSEDE_TABLE, (self._clock.now(), table_id))
            for statement in q.FORGET_TABLE:
                db.execute(statement, (table_id,))
            db.execute(jq.DROP_META, (q.debt(table_id),))
            self._load()

    def pair_id(self) -> str:
        """Return the pair that this ledger belongs to."""
        with self._reading():
            return self._get_meta("pair_id") or ""

    def identity(self) -> dict[str, str]:
        """Return what was last known of both servers."""
        with self._reading():
            return msgspec.json.decode(self._get_meta("identity") or "{}", type=dict[str, str])

    def epoch(self) -> int:
        """Return the epoch last raised (INV-13); 0 before the first."""
        with self._reading():
            return int(self._get_meta("epoch") or 0)

    def set_epoch(self, epoch: int) -> None:
        """Remember the epoch, durably."""
        with self._writing(durable=True):
            self._put_meta("epoch", str(epoch))

    def get_meta(self, name: str) -> str | None:
        """Return a fact that ``set_meta`` stored; None where it did not."""
        with self._reading():
            return self._get_meta(f"user.{name}")

    def set_meta(self, name: str, value: str) -> None:
        """Store a fact of the caller's under a name of its own."""
        with self._writing():
            self._put_meta(f"user.{name}", value)

    def add_counters(self, amounts: Mapping[str, int]) -> None:
        """Add to counters; a new name begins at 0."""
        with self._writing() as db:
            db.executemany(q.ADD_COUNTER, list(amounts.items()))

    def counters(self) -> dict[str, int]:
        """Return all counters by name."""
        with self._reading() as db:
            return dict(db.execute(q.COUNTERS).fetchall())

    def is_empty(self) -> bool:
        """Say whether nothing is left to do: no marks but held ones, no intent without an outcome."""
        with self._reading() as db:
            return not db.execute(q.HAS_MARKS).fetchone()[0]

    def has_open_marks(self, table_ids: Iterable[int]) -> bool:
        """Say whether one of the tables has marks that are not held."""
        with self._reading() as db:
            return any(
                db.execute(q.HAS_MARKS_OF, {"id": number}).fetchone()[0] for number in table_ids
            )

    def next_claim(self) -> int:
        """Return the number that the next mark gets: every mark there is has a lower one."""
        with self._mutex:
            return self._next_id

    def oldest_undecided(self, tries: int) -> int | None:
        """
        Return the number of the oldest mark that was put off fewer than *tries* times; None where there is none.

        0 while a range is compared: what it finds gets numbers later. Held marks are left out, and tables that wait or are stopped.
        """
        with self._reading() as db:
            found = db.execute(q.OLDEST_UNDECIDED, {"tries": tries}).fetchone()[0]
            return None if found is None else int(found)

    def has_marks_up_to(self, seqs: Mapping[Side, int]) -> bool:
        """Say whether marks that begin at or before the given transaction of their side are left, but for held ones."""
        with self._reading() as db:
            return any(
                db.execute(q.HAS_MARKS_UP_TO, {"side": side.value, "seq": seq}).fetchone()[0]
                for side, seq in seqs.items()
            )

    def has_settled(self, side: Side, seq: int) -> bool:
        """Say whether all that *side* wrote up to transaction *seq* and that was tailed is carried over or held."""
        return not self.has_marks_up_to({side: seq})

    def held_count(self) -> int:
        """Return how many keys are held."""
        with self._reading() as db:
            return int(db.execute(sq.COUNT_HELD).fetchone()[0])

    def summary(self) -> LedgerSummary:
        """Describe the ledger; reads an index of every mark, so call it at the pace of a display."""
        sums: dict[tuple[int, str], _Sum] = {}
        oldest: list[float] = []
        with self._reading() as db:
            for table_id, of_a, held_of_a, points, held in db.execute(sq.SUM_POINTS):
                of_b, held_of_b = points - of_a, held - held_of_a
                for side, keys, waiting in (("a", of_a, held_of_a), ("b", of_b, held_of_b)):
                    if keys:
                        at = sums.setdefault((table_id, side), _Sum())
                        at.keys += keys - waiting
                        at.held += waiting
            oldest += [since for (since,) in db.execute(sq.OLDEST_POINT) if since is not None]
            for table_id, side, keys, since in db.execute(sq.SUM_RUNS):
                sums.setdefault((table_id, side), _Sum()).keys += keys
                oldest.append(since)
            for table_id, side, lookups, since in db.execute(sq.SUM_LOOKUPS):
                sums.setdefault((table_id, side), _Sum()).keys += lookups
                oldest.append(since)
            for table_id, side, spans, since in db.execute(sq.SUM_SPANS):
                sums.setdefault((table_id, side), _Sum()).spans += spans
                oldest.append(since)
            names = {row[0]: TableName(row[1], row[2]) for row in db.execute(q.TABLES)}
            positions = {
                side: msgspec.json.decode(row[0], type=StreamPosition)
                for side in SIDES
                for row in db.execute(q.POSITION, (side.value,))
            }
            return LedgerSummary(
                pair_id=self._get_meta("pair_id") or "",
                epoch=int(self._get_meta("epoch") or 0),
                tables=tuple(
                    TableSummary(
                        table_id,
                        names.get(table_id, TableName("", f"#{table_id}")),
                        sums.get((table_id, Side.A.value), _Sum()).summary(),
                        sums.get((table_id, Side.B.value), _Sum()).summary(),
                    )
                    for table_id in sorted({table_id for table_id, _ in sums})
                ),
                keys=sum(s.keys for s in sums.values()),
                held=sum(s.held for s in sums.values()),
                held_keys=int(db.execute(sq.COUNT_HELD).fetchone()[0]),
                spans=sum(s.spans for s in sums.values()),
                oldest_s=max(0.0, self._clock.now() - min(oldest)) if oldest else 0.0,
                positions=positions,
                open_batches=int(db.execute(jq.COUNT_OPEN).fetchone()[0]),
                conflicts={
                    ConflictStatus(status): count
                    for status, count in db.execute(jq.COUNT_CONFLICTS).fetchall()
                },
                counters=dict(db.execute(q.COUNTERS).fetchall()),
            )
