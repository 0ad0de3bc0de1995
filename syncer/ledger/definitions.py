"""Tables that are paused, and the definitions by which their rows are read."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from syncer.core.mark import Reason
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.ledger import journal_queries as jq
from syncer.ledger import queries as q
from syncer.ledger.records import Definition, PausedTable
from syncer.ledger.spans import Spans

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Definition).decode


class Definitions(Spans):
    """The part of the ledger that knows which tables wait, and how their rows are read."""

    def pause(self, table_id: int, reason: str) -> None:
        """Let the marks of a table wait until ``resume``; they are kept, and new ones are taken. A known pause keeps its age."""
        with self._writing() as db:
            db.execute(q.PUT_PAUSE, (table_id, reason, self._clock.now()))

    def resume(self, table_id: int) -> None:
        """Make the marks of a table claimable again."""
        with self._writing() as db:
            db.execute(q.DROP_PAUSE, (table_id,))

    def paused(self) -> dict[int, PausedTable]:
        """Return the tables that wait, by id."""
        with self._reading() as db:
            return {
                number: PausedTable(number, TableName(database, name), reason, since)
                for number, database, name, reason, since in db.execute(q.PAUSES)
            }

    def define(
        self, side: Side, definitions: Mapping[int, Definition], *, owed: bool = False
    ) -> None:
        """
        Remember how rows of tables (by id) are read in the stream of *side* from now on.

        *owed*: what changed the tables left no mark, so they are to be marked whole; ``owes`` tells of it until
        ``restart_table`` has marked both sides, a crash in between included (INV-21).
        """
        with self._writing() as db:
            if owed:
                for number in definitions:
                    self._put_meta(q.debt(number), "1")
            db.executemany(
                q.PUT_DEFINITION,
                [(number, side.value, _encode(one)) for number, one in definitions.items()],
            )

    def owes(self, table_id: int) -> bool:
        """Say whether a table is still to be marked whole, see ``define``."""
        with self._reading():
            return self._get_meta(q.debt(table_id)) is not None

    def definitions(self, side: Side) -> dict[int, Definition]:
        """Return what ``define`` was told last, by table; one that another version wrote may be missing."""
        found = {}
        with self._reading() as db:
            for number, body in db.execute(q.DEFINITIONS, (side.value,)):
                try:
                    found[number] = _decode(body)
                except (msgspec.DecodeError, msgspec.ValidationError):
                    continue
        return found

    def forget_definitions(self, side: Side) -> None:
        """Forget them: the stream of *side* goes on elsewhere, and what it missed may have altered any table."""
        with self._writing() as db:
            db.execute(q.DROP_DEFINITIONS, (side.value,))

    def leave(self, table_id: int) -> None:
        """Forget all of a table that is no longer there: marks, pause, definitions. Held conflicts are superseded."""
        with self._writing() as db:
            db.execute(q.SUPERSEDE_TABLE, (self._clock.now(), table_id))
            for statement in (*q.FORGET_TABLE, q.DROP_PAUSE, q.DROP_DEFINITION):
                db.execute(statement, (table_id,))
            db.execute(jq.DROP_META, (q.debt(table_id),))
            self._load()

    def restart_table(self, table_id: int, reason: Reason, seqs: Mapping[Side, int]) -> None:
        """
        Give up what some sides marked of single keys of a table, and mark it whole there: its keys mean something else now.

        Nothing is lost by it: the new marks reach as far as any that is given up. Held conflicts are superseded.

        Args:
            seqs: the sides, and the number of a transaction that the new mark of each is to reach at least.
        """
        now = self._clock.now()
        with self._writing() as db:
            db.execute(q.SUPERSEDE_TABLE, (now, table_id))
            db.execute(q.DROP_HOLDS, (table_id,))
            for side, least in seqs.items():
                of_side = (table_id, side.value)
                tops = [row[0] or 0 for row in db.execute(q.TOP_SEQS, of_side * 3)]
                for statement in q.FORGET_SIDE:
                    db.execute(statement, of_side)
                self._mark_span(table_id, side, max(least, *tops), reason, now)
            if all(side in seqs for side in SIDES):
                db.execute(jq.DROP_META, (q.debt(table_id),))
            self._load()
