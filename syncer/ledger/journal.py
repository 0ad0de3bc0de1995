"""The conflict journal: what was decided, by which rule, and what both sides had (conflicts.md §8)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from syncer.core.decision import ConflictKind
from syncer.core.key import StoredKey
from syncer.ledger import journal_queries as jq
from syncer.ledger import queries as q
from syncer.ledger.records import ConflictEntry, ConflictRecord, ConflictStatus
from syncer.ledger.store import Store

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ConflictEntry).decode

TOP_ID = (1 << 63) - 1
_SKIPS_END = "skips_end"
"""Names the time at which the first of what is skipped is held again."""


class Journal(Store):
    """The part of the ledger that people read."""

    skip_s = 0.0
    """For so long a difference is skipped where nobody said; 0: until either side changes the row again."""

    def journal_held(self, entries: Sequence[ConflictEntry], *, skipped: bool = False) -> list[int]:
        """
        Write entries of keys that wait for a person, and return their ids in the order given.

        An entry with the kind and both images of one that is held already for that key adds nothing but its note, and what is in
        its way: it gets that id.

        Args:
            skipped: nobody is to answer: the differences are accepted.
        """
        now = self._clock.now()
        with self._writing():
            if skipped:
                return [self._add_skipped(entry, now) for entry in entries]
            return [self._same_held(entry) or self._add_held(entry, now) for entry in entries]

    def _same_held(self, entry: ConflictEntry) -> int | None:
        where = (entry.table, _key_text(entry.key))
        for number, text in self._db.execute(jq.HELD_ENTRIES, where):
            old = _decode(text)
            if (old.kind, old.a_image, old.b_image) == (entry.kind, entry.a_image, entry.b_image):
                noted = msgspec.structs.replace(
                    old, note=entry.note or old.note, in_the_way=entry.in_the_way
                )
                if noted != old:
                    self._db.execute(jq.SET_ENTRY, (_encode(noted).decode(), number))
                return int(number)
        return None

    def _add_skipped(self, entry: ConflictEntry, now: float) -> int:
        if entry.expires_at is None and self.skip_s:
            entry = msgspec.structs.replace(entry, expires_at=now + self.skip_s)
        if entry.expires_at is not None:
            due = self._get_meta(_SKIPS_END)
            self._put_meta(_SKIPS_END, repr(min(float(due or math.inf), entry.expires_at)))
        return self._add_conflict(entry, ConflictStatus.SKIPPED, None, now)

    def open_skipped(self, limit: int = 500) -> int:
        """Hold again what was skipped until now, at most *limit*; return how many. Most calls read one value."""
        now = self._clock.now()
        with self._reading():
            if float(self._get_meta(_SKIPS_END) or math.inf) > now:
                return 0
        with self._writing() as db:
            rows = db.execute(jq.SKIPS_ENDED, (now, limit)).fetchall()
            for number, text in rows:
                entry = msgspec.structs.replace(
                    _decode(text), note="it was skipped until now", expires_at=None
                )
                db.execute(jq.SET_ENTRY, (_encode(entry).decode(), number))
                db.execute(jq.SET_STATUS, (ConflictStatus.HELD.value, now, number))
            # What begins to be skipped later brings its own time.
            (due,) = db.execute(jq.NEXT_SKIP_END).fetchone()
            self._put_meta(_SKIPS_END, repr(math.inf if due is None else float(due)))
            return len(rows)

    def _add_held(self, entry: ConflictEntry, now: float) -> int:
        return self._add_conflict(entry, ConflictStatus.HELD, None, now)

    def _add_conflict(
        self, entry: ConflictEntry, status: ConflictStatus, batch_id: int | None, now: float
    ) -> int:
        entry = msgspec.structs.replace(entry, run=int(self._get_meta("epoch") or 0))
        cursor = self._db.execute(
            jq.ADD_CONFLICT,
            (
                status.value,
                entry.table,
                _key_text(entry.key),
                entry.kind.value,
                entry.detected_at,
                now,
                batch_id,
                _encode(entry).decode(),
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _note_kept(self, conflict_id: int, key: int) -> None:
        """Note under which key the losing row was inserted again."""
        entry = self._entry(conflict_id)
        if entry is not None:
            kept = msgspec.structs.replace(entry, kept_key=(str(key),))
            self._db.execute(jq.SET_ENTRY, (_encode(kept).decode(), conflict_id))

    def _entry(self, conflict_id: int) -> ConflictEntry | None:
        row = self._db.execute(jq.CONFLICT, (conflict_id,)).fetchone()
        return None if row is None else _decode(row[4])

    def _settle_holds(
        self, table_id: int, keys: Sequence[StoredKey], now: float, *, but: int | None = None
    ) -> None:
        """Supersede the entries that hold *keys*, but for the entry *but*: they are decided anew."""
        if table_id not in self._hold_tables:
            return
        db = self._db
        for key in keys:
            row = db.execute(jq.GET_HOLD, (table_id, key)).fetchone()
            if row is None or row[0] == but:
                continue
            db.execute(jq.SUPERSEDE, (now, row[0]))
            db.execute(jq.DROP_HOLD, (table_id, key))
        if db.execute(q.HAS_HOLD, (table_id,)).fetchone() is None:
            self._hold_tables.discard(table_id)

    def conflicts(
        self,
        *,
        status: ConflictStatus | None = None,
        table: str | None = None,
        kind: ConflictKind | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[ConflictRecord]:
        """Return journal entries, newest first, at most *limit*; *table* is ``database.name``; *before* an id (exclusive)."""
        wanted: dict[str, str] = {}
        if status is not None:
            wanted["status"] = status.value
        if table is not None:
            wanted["table_name"] = table
        if kind is not None:
            wanted["kind"] = kind.value
        with self._reading() as db:
            upto = TOP_ID if before is None else before
            rows = db.execute(jq.conflicts(tuple(wanted)), (*wanted.values(), upto, limit))
            return [_record(row) for row in rows]

    def prune_images(self, before: float, limit: int = 500) -> int:
        """
        Forget the images of entries that got their status before a time, at most *limit*; return how many.

        What is held or not finished keeps them; what was decided, and by which rule, is kept in any case.
        """
        with self._writing() as db:
            rows = db.execute(jq.OLD_ENTRIES, (before, limit)).fetchall()
            for number, text in rows:
                entry = msgspec.structs.replace(
                    _decode(text),
                    a_image=None,
                    b_image=None,
                    base_image=None,
                    result_image=None,
                    columns=(),
                )
                db.execute(jq.PRUNE_ENTRY, (_encode(entry).decode(), number))
            if rows:
                db.execute(jq.PRUNE_RESTORATIONS, (before,))
            return len(rows)

    def conflict(self, conflict_id: int) -> ConflictRecord | None:
        """Return one journal entry; None where there is none."""
        with self._reading() as db:
            row = db.execute(jq.CONFLICT, (conflict_id,)).fetchone()
            return None if row is None else _record(row)

    def applied_to(self, table: str, key: tuple[str, ...]) -> int | None:
        """Return the entry that was applied last to a row; None where none was."""
        with self._reading() as db:
            row = db.execute(jq.APPLIED_TO, (table, _key_text(key))).fetchone()
            return None if row is None else int(row[0])


def _key_text(key: tuple[str, ...]) -> str:
    return msgspec.json.encode(key).decode()


def _record(row: Sequence[Any]) -> ConflictRecord:
    number, status, changed_at, batch_id, entry, pruned, gtid = row
    return ConflictRecord(
        conflict_id=number,
        status=ConflictStatus(status),
        changed_at=changed_at,
        batch_id=batch_id,
        entry=_decode(entry),
        pruned=bool(pruned),
        applied_gtid=gtid,
    )
