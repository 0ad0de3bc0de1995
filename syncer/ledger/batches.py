"""Intents: what is about to be written, and what was (INV-8, INV-10 to INV-13)."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from syncer.core.key import StoredKey
from syncer.core.mark import Op
from syncer.core.record import BatchItem
from syncer.core.side import Side
from syncer.errors import LedgerError
from syncer.ledger import journal_queries as jq
from syncer.ledger import queries as q
from syncer.ledger import stop_queries as sq
from syncer.ledger.journal import TOP_ID, Journal
from syncer.ledger.ranges import key_bounds
from syncer.ledger.records import Batch, ConflictStatus, CopiedRange, IntentItem
from syncer.ledger.spans import Spans
from syncer.ledger.undo import Overwritten, OverwrittenRows, Restoration, pack, unpack

_NEXT = "next_batch"
NONE_KEPT: Mapping[int, int] = {}
RECENT_BATCHES = 4
"""Two of each side, one written and one in its stream; each may hold megabytes of what is kept for an undo."""


class _Item(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An IntentItem as stored: the entry by its id; *undo* is of so many rows as one record, 0: of one row by itself."""

    table_id: int
    keys: tuple[StoredKey, ...]
    action: Op
    present: bool
    conflict_id: int | None
    copied: CopiedRange | None = None
    undo: bytes | None = None
    base: bytes | None = None
    commit_us: int = 0
    rows: int = 1
    undo_rows: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[_Item, ...]).decode
_encode_undo = msgspec.json.Encoder().encode
_decode_undo = msgspec.json.Decoder(Restoration).decode


class Batches(Journal, Spans):
    """
    The part of the ledger that remembers what was sent.

    Attributes:
        undo_rows: rows we overwrote or deleted that are kept, the newest ones.
    """

    undo_rows = 100_000

    def _load(self) -> None:
        super()._load()
        self._recent: dict[int, tuple[_Item, ...]] = {}

    def _remember(self, batch_id: int, items: tuple[_Item, ...]) -> None:
        """Keep the newest items decoded: they are asked for twice soon, when they are written and when the stream shows them."""
        self._recent[batch_id] = items
        while len(self._recent) > RECENT_BATCHES:
            del self._recent[next(iter(self._recent))]

    def next_batch_id(self) -> int:
        """
        Return a number that no batch of this ledger ever had, and none that a stream has shown; 1 is the first.

        A ledger that was put back from a copy meets batches in the streams that it does not know.
        """
        with self._writing() as db:
            met: int = db.execute(q.TOP_CONFIRMED).fetchone()[0]
            number = max(int(self._get_meta(_NEXT) or 1), met + 1)
            self._put_meta(_NEXT, str(number + 1))
            return number

    def last_batch_id(self) -> int:
        """Return the greatest number given out or reserved so far; 0 before the first."""
        with self._reading():
            return int(self._get_meta(_NEXT) or 1) - 1

    def reserve_batch_ids(self, upto: int) -> None:
        """Never give out a number up to *upto* (inclusive): a server has seen it from an earlier ledger."""
        with self._writing():
            if upto >= int(self._get_meta(_NEXT) or 1):
                self._put_meta(_NEXT, str(upto + 1))

    def begin_batches(self, batches: Sequence[Batch]) -> None:
        """Store intents and their entries (pending) durably, before anything is sent (INV-8)."""
        now = self._clock.now()
        with self._writing(durable=True) as db:
            for batch in batches:
                items = tuple(self._store_item(item, batch.batch_id, now) for item in batch.items)
                lower = (batch.lower.get(Side.A), batch.lower.get(Side.B))
                db.execute(
                    jq.ADD_BATCH,
                    (batch.batch_id, batch.target.value, batch.lane, *lower, _encode(items)),
                )
                self._remember(batch.batch_id, items)

    def _store_item(self, item: IntentItem, batch_id: int, now: float) -> _Item:
        number = None
        if item.conflict is not None:
            number = self._add_conflict(item.conflict, ConflictStatus.PENDING, batch_id, now)
        back, undo_rows = item.undo, 0
        undo: bytes | None
        if isinstance(back, OverwrittenRows):
            undo, undo_rows = pack(back), len(back.stored)
        else:
            if back is not None and back.expected_image is not None:
                # What was overwritten is but one of two rows that stood before: the entry has the other.
                back = msgspec.structs.replace(back, conflict_id=number)
            undo = None if back is None else _encode_undo(back)
        return _Item(
            item.table_id,
            item.keys,
            item.action,
            item.present,
            number,
            item.copied,
            undo,
            item.base,
            item.commit_us,
            item.rows,
            undo_rows,
        )

    def finish(
        self, batch_id: int, written: Collection[int], kept: Mapping[int, int] = NONE_KEPT
    ) -> None:
        """
        Close an intent whose transaction is committed, in one transaction (INV-11); agreements to mass changes are the less by it.

        It does not wait for the disk: where a power failure takes it away, the intent is open again, and its target, which was
        sent nothing since, is asked (INV-13).

        Args:
            written: places of the items that the target's marker row names (INV-10). Their marks are cleared and their
                entries become final; the entries of the others are dropped and their marks stay.
            kept: the keys under which overwritten rows were inserted again, by place.

        Raises:
            LedgerError: no such open intent.
        """
        now = self._clock.now()
        done = set(written)
        with self._writing() as db:
            target, lane, lower, items = self._open_batch(batch_id)
            keys: dict[tuple[int, bool], dict[StoredKey, bool]] = {}
            for place, item in enumerate(items):
                if place in done:
                    keys.setdefault((item.table_id, item.base is not None), {}).update(
                        dict.fromkeys(item.keys, item.present)
                    )
                    if item.copied is not None:
                        self._take_out(item.table_id, item.copied, lower, now)
                if item.conflict_id is None:
                    continue
                if place in done:
                    db.execute(jq.SET_STATUS, (ConflictStatus.APPLIED.value, now, item.conflict_id))
                    if place in kept:
                        self._note_kept(item.conflict_id, kept[place])
                else:
                    db.execute(jq.DROP_CONFLICT, (item.conflict_id,))
            # The target's marks of a merged row stay until its stream shows the write: what is still to be carried to the other
            # side is never without a mark (INV-16).
            others = {side: seq for side, seq in lower.items() if side is not target}
            for (table_id, merged), present in keys.items():
                self._clear_marks(table_id, list(present), others if merged else lower, present)
                self._settle_holds(table_id, list(present), now)
            self._take_off(target, [items[place] for place in done])
            self._keep([items[place] for place in sorted(done)], batch_id, now)
            db.execute(jq.FINISH_BATCH, (batch_id,))
            db.execute(jq.DROP_DONE, (batch_id,))
            db.execute(q.CONFIRM, (target.value, lane, batch_id))

    def _take_off(self, target: Side, written: Sequence[_Item]) -> None:
        """Take *written* off what people have agreed to."""
        for table_id, op in self._db.execute(sq.AGREEMENTS, (target.value,)).fetchall():
            count = sum(
                one.rows for one in written if one.table_id == table_id and one.action.value == op
            )
            self._db.execute(sq.TAKE_OFF, (count, table_id))

    def _keep(self, written: Sequence[_Item], batch_id: int, now: float) -> None:
        """Keep what brings the rows back that were overwritten; the oldest go where there are too many."""
        kept = [item for item in written if item.undo is not None]
        if not kept:
            return
        run = int(self._get_meta("epoch") or 0)
        self._db.executemany(
            jq.ADD_OVERWRITTEN,
            [
                (max(1, item.undo_rows), batch_id, run, now, item.undo, item.undo_rows)
                for item in kept
            ],
        )
        self._db.execute(jq.BOUND_OVERWRITTEN, (self.undo_rows,))

    def prune_overwritten(self, before: float) -> None:
        """Forget what was overwritten before a time."""
        with self._writing() as db:
            db.execute(jq.PRUNE_OVERWRITTEN, (before,))

    def overwritten(
        self,
        *,
        since: float = 0.0,
        until: float = math.inf,
        run: int | None = None,
        before: int = TOP_ID,
        limit: int = 1000,
    ) -> list[Overwritten]:
        """Return rows that we overwrote or deleted, newest first: *since* (inclusive), *until* and *before* (exclusive)."""
        chosen = {"since": since, "until": until, "run": run, "before": before}
        found: list[Overwritten] = []
        with self._reading() as db:
            records = db.execute(jq.OVERWRITTEN, chosen)
            for last, batch_id, epoch, at, body, rows in records:
                kept = [*unpack(body).restorations()] if rows else [_decode_undo(body)]
                for number, restoration in zip(
                    range(last, last - len(kept), -1), reversed(kept), strict=True
                ):
                    if number < before and len(found) < limit:
                        found.append(
                            Overwritten(
                                number=number,
                                batch_id=batch_id,
                                run=epoch,
                                at=at,
                                restoration=restoration,
                            )
                        )
                if len(found) == limit:
                    break
            records.close()
        return found

    def drop(self, batch_id: int) -> None:
        """Close an intent of which nothing was written: entries and intent go, marks stay. Durability and errors as in finish."""
        with self._writing() as db:
            *_, items = self._open_batch(batch_id)
            db.executemany(
                jq.DROP_CONFLICT, [(i.conflict_id,) for i in items if i.conflict_id is not None]
            )
            db.execute(jq.DROP_BATCH, (batch_id,))
            self._recent.pop(batch_id, None)

    def _open_batch(self, batch_id: int) -> tuple[Side, str, dict[Side, int], tuple[_Item, ...]]:
        row = self._db.execute(jq.GET_BATCH, (batch_id,)).fetchone()
        if row is None or row[3]:
            raise LedgerError(f"the ledger {self.path} has no open batch {batch_id}")
        return Side(row[0]), row[4], _lower(row[1:3]), self._items(batch_id)

    def _items(self, batch_id: int) -> tuple[_Item, ...]:
        """Return the items of a batch that is in the file."""
        items = self._recent.get(batch_id)
        if items is None:
            items = _decode(self._db.execute(jq.BATCH_ITEMS, (batch_id,)).fetchone()[0])
        return items

    def open_batches(self) -> list[Batch]:
        """Return the intents without an outcome, oldest first."""
        with self._reading() as db:
            rows = db.execute(jq.OPEN_BATCHES).fetchall()
            return [
                Batch(
                    batch_id=number,
                    target=Side(target),
                    lane=lane,
                    lower=_lower(lower),
                    items=tuple(self._load_item(item) for item in _decode(items)),
                )
                for number, target, lane, *lower, items in rows
            ]

    def _load_item(self, item: _Item) -> IntentItem:
        return IntentItem(
            undo=_undo(item),
            rows=item.rows,
            table_id=item.table_id,
            keys=item.keys,
            action=item.action,
            present=item.present,
            base=item.base,
            commit_us=item.commit_us,
            copied=item.copied,
            conflict=None if item.conflict_id is None else self._entry(item.conflict_id),
        )

    def batch_items(self, side: Side, batch_id: int) -> tuple[BatchItem, ...] | None:
        """Return the items of a batch sent to *side*, in bit order; None where this ledger does not know it."""
        with self._reading() as db:
            row = db.execute(jq.GET_BATCH, (batch_id,)).fetchone()
            if row is None or row[0] != side.value:
                return None
            return tuple(
                BatchItem(
                    item.table_id,
                    item.keys,
                    item.copied is not None,
                    item.base,
                    item.commit_us,
                    None if item.copied is None else key_bounds(item.copied.low, item.copied.up_to),
                )
                for item in self._items(batch_id)
            )


def _undo(item: _Item) -> Restoration | OverwrittenRows | None:
    if item.undo is None:
        return None
    return unpack(item.undo) if item.undo_rows else _decode_undo(item.undo)


def _lower(columns: Sequence[Any]) -> dict[Side, int]:
    a, b = columns
    return {side: seq for side, seq in ((Side.A, a), (Side.B, b)) if seq is not None}
