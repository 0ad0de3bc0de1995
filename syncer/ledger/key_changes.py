"""
Updates that changed a key: kept with the marks of both keys, gone with that of the new one.

They say which delete and which insert were one row. No decision about what is written needs them to be complete: one that is not
kept leaves two keys that are decided each by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from syncer.core.key import StoredKey
from syncer.core.mark import KeyMark, Op
from syncer.core.record import KeyChange, TransactionRecord
from syncer.core.side import Side
from syncer.ledger import kept_queries as kq
from syncer.ledger.ranges import Ranges

CHANGES_MOST = 100_000
"""What comes above it is not kept."""
KEYS_AT_ONCE = 200


class ChangedKey(msgspec.Struct, frozen=True):
    """A row of *side* that had the key *old* when both sides agreed has *new* since transaction *seq*."""

    side: Side
    old: StoredKey
    new: StoredKey
    seq: int


class KeyChanges(Ranges):
    """The part of the ledger that knows which keys were one row's."""

    changes_most = CHANGES_MOST

    def _load(self) -> None:
        super()._load()
        self._changed_in: set[int] = {row[0] for row in self._db.execute(kq.CHANGED_TABLES)}
        self._changes: int = self._db.execute(kq.COUNT_CHANGES).fetchone()[0]

    def tables_with_key_changes(self) -> frozenset[int]:
        """
        Return the tables of which changes of keys are not settled.

        Asked all the time, so it waits for nobody who writes: what is being written may count or not.
        """
        return frozenset(self._changed_in)

    def key_changes_of(self, table_id: int, keys: Sequence[StoredKey]) -> list[ChangedKey]:
        """Return the changes from and to *keys*, and all others from where these come from."""
        if table_id not in self.tables_with_key_changes():
            return []
        found = self._look_up(table_id, keys)
        olds = {one.old for one in found}.difference(keys)
        return list(dict.fromkeys([*found, *self._look_up(table_id, list(olds))]))

    def _look_up(self, table_id: int, keys: Sequence[StoredKey]) -> list[ChangedKey]:
        found: list[ChangedKey] = []
        with self._reading() as db:
            for at in range(0, len(keys), KEYS_AT_ONCE):
                some = keys[at : at + KEYS_AT_ONCE]
                rows = db.execute(kq.changes_of(len(some)), (table_id, *some, table_id, *some))
                found += [ChangedKey(Side(side), old, new, seq) for side, old, new, seq in rows]
        return found

    def _keep_key_changes(self, side: Side, record: TransactionRecord) -> None:
        """
        Keep what a transaction changed, in the ledger transaction that keeps its marks (INV-1), before these.

        Only of a row that both sides had when they agreed: one that was inserted since is nobody else's. A row that is deleted
        has no key any more, and what is inserted in its place is another one.
        """
        moved = {(one.table_id, one.old) for one in record.key_changes}
        self._end_changes(side, record.marks, moved)
        by_table: dict[int, list[KeyChange]] = defaultdict(list)
        for one in record.key_changes:
            by_table[one.table_id].append(one)
        for table_id, changes in by_table.items():
            # All at once: rows may have swapped their keys.
            sources = {one.new: self._source(side, one) for one in changes}
            self._drop(table_id, side, {key for one in changes for key in (one.old, one.new)})
            for new, old in sources.items():
                if old is not None and old != new and self._changes < self.changes_most:
                    self._db.execute(kq.PUT_CHANGE, (table_id, side.value, new, old, record.seq))
                    self._changes += 1
                    self._changed_in.add(table_id)

    def _source(self, side: Side, change: KeyChange) -> StoredKey | None:
        """Return the key that the row had when both sides agreed; None where it was inserted since."""
        table_id, old = change.table_id, change.old
        row = self._db.execute(kq.SOURCE_OF, (table_id, side.value, old)).fetchone()
        if row is not None:
            source: StoredKey = row[0]
            return source
        touch = self._db.execute(kq.TOUCH_OF, (table_id, old, side.value)).fetchone()
        if touch is None:
            runs, _ = self._runs_over(table_id, [old])
            mine = [run for run in runs if run.side == side.value and run.exact]
            touch = (mine[0].touch[2], mine[0].touch[4]) if mine else (Op.UPDATE.value, 0)
        return None if touch[0] == Op.INSERT.value or touch[1] else old

    def _end_changes(
        self,
        side: Side,
        marks: Iterable[KeyMark],
        moved: Collection[tuple[int, StoredKey]] = (),
    ) -> None:
        """Forget changes to keys whose rows a transaction deletes; *moved*: table and key of those that it gives another key."""
        if not self._changed_in:
            return
        for mark in marks:
            gone = mark.touch.last_op is Op.DELETE or mark.touch.recreated
            if not gone or mark.table_id not in self._changed_in:
                continue
            scope = (mark.table_id, side.value, mark.low, mark.high)
            found = [row[0] for row in self._db.execute(kq.CHANGED_BETWEEN, scope)]
            ended = [key for key in found if (mark.table_id, key) not in moved]
            self._drop(mark.table_id, side, ended)

    def _drop(self, table_id: int, side: Side, keys: Iterable[StoredKey]) -> None:
        for key in keys:
            done = self._db.execute(kq.DROP_CHANGE, (table_id, side.value, key))
            self._changes -= done.rowcount

    def _clear_marks(
        self,
        table_id: int,
        keys: Sequence[StoredKey],
        lower: Mapping[Side, int],
        present: Mapping[StoredKey, bool] | None,
    ) -> None:
        self._drop_key_changes(table_id, keys, lower)
        super()._clear_marks(table_id, keys, lower, present)

    def _drop_key_changes(
        self, table_id: int, keys: Sequence[StoredKey], lower: Mapping[Side, int]
    ) -> None:
        """Forget changes to *keys* that are settled, with their marks."""
        if table_id not in self._changed_in:
            return
        for key in keys:
            for side, seq in lower.items():
                done = self._db.execute(kq.CLEAR_CHANGES, (table_id, key, side.value, seq))
                self._changes -= done.rowcount
        if self._db.execute(kq.HAS_CHANGES, (table_id,)).fetchone() is None:
            self._changed_in.discard(table_id)
