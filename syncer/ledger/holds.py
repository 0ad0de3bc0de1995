"""Held keys by what they are held for, and keys that are to be looked at at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from syncer.core.decision import ConflictKind
from syncer.core.key import StoredKey
from syncer.ledger import journal_queries as jq
from syncer.ledger import queries as q
from syncer.ledger.journal import Journal
from syncer.ledger.ranges import Ranges

KEYS_AT_ONCE = 256


class Holds(Journal, Ranges):
    """The part of the ledger that knows why a key waits for a person."""

    def tables_with_holds(self) -> frozenset[int]:
        """
        Return the tables of which keys are held, skipped ones included, or were and are not decided yet.

        Asked all the time, so it waits for nobody who writes: what is being written may count or not.
        """
        return frozenset(self._hold_tables)

    def held_as(self, table_id: int, keys: Sequence[StoredKey]) -> dict[StoredKey, ConflictKind]:
        """Return the kinds of the conflicts for which *keys* are held or skipped; keys that are not are left out."""
        if table_id not in self.tables_with_holds():
            return {}
        found: dict[StoredKey, ConflictKind] = {}
        rest = iter(keys)
        while some := list(itertools.islice(rest, KEYS_AT_ONCE)):
            with self._reading() as db:
                rows = db.execute(jq.held_as(len(some)), (table_id, *some)).fetchall()
            found |= {key: ConflictKind(kind) for key, kind in rows}
        return found

    def held_for(self, table_id: int, kind: ConflictKind, most: int) -> list[StoredKey]:
        """Return keys of a table that are held for a conflict of *kind*, at most *most*."""
        if table_id not in self.tables_with_holds():
            return []
        with self._reading() as db:
            return [key for (key,) in db.execute(jq.HELD_FOR, (table_id, kind.value, most))]

    def make_due(self, table_id: int, keys: Sequence[StoredKey]) -> None:
        """Let *keys* be claimed at once, whether they are held or put off; an entry stays held until its key is decided."""
        with self._writing() as db:
            db.executemany(jq.MAKE_DUE, [(table_id, key) for key in keys])
            if db.execute(q.HAS_HELD, (table_id,)).fetchone() is None:
                self._held_tables.discard(table_id)
