"""What a tailer hands to the ledger, and the ledger's side of that bargain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from syncer.core.key import StoredKey
from syncer.core.mark import KeyMark, Lookup, Op, SpanMark, Touch
from syncer.core.position import StreamPosition
from syncer.core.side import Side


class Erasure(msgspec.Struct, frozen=True):
    """
    Keys of one table that a batch of ours wrote: the side's earlier marks of them are obsolete (INV-12).

    Attributes:
        keys: to be gone through where there are such marks only, since it may be costly.
        bounds: where it is known before, the least and the greatest integer that the keys may be.
    """

    table_id: int
    keys: Iterable[StoredKey]
    bounds: tuple[int, int] | None = None


class BeforeImage(msgspec.Struct, frozen=True, gc=False):
    """What a row was before a transaction first touched it (``core/keptimage.py``); None where that is not known."""

    table_id: int
    key: StoredKey
    image: bytes | None


class KeyChange(msgspec.Struct, frozen=True, gc=False):
    """A row has another key than before the transaction; the marks know that as a delete and an insert."""

    table_id: int
    old: StoredKey
    new: StoredKey


LANE_SIGN = "#"
"""Behind it stands the number of a lane in the name of a marker row; no pair's name holds it."""
OWN_ROW = ""
"""In the place of a lane's number: the pair's own marker row."""
ANY_ROW = "?"
"""In the place of a lane's number: nobody knows which marker row."""

OPEN_BRANCH = ""
"""Stands for the xid of the XA branch that is being read; no real one is empty."""


class TransactionRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    One transaction of a stream, reduced to what the ledger keeps. Applied in the order: erase, then marks.

    Attributes:
        seq: its number on that side; consecutive.
        marks: exact marks, and inexact ones for keys of unknown own batches.
        spans: whole tables to mark inexactly.
        lookups: children that changed without an event.
        erase: own writes met in the stream.
        batch_id: the batch of ours that this transaction is; None for anybody else's.
        lane: of a batch of ours, the one whose marker row it was sent by.
        gtid: of a batch of ours; "" where the stream gave none, and for anybody else's.
        prepared_xid: XA PREPARE: *marks* are held under this id, not marked yet (INV-18).
        committed_xid: XA COMMIT: the marks held under this id become marks stamped with *seq*, before *marks*; OPEN_BRANCH: those
            of a branch that was read until now and that ends without a PREPARE.
        commit_us: XA COMMIT: when that was, microseconds since the epoch; 0: the marks keep the time of the PREPARE.
        rolled_back_xid: XA ROLLBACK: the marks held under this id are dropped.
        images: of the keys of *marks* whose tables keep them, but those that were inserted.
        spilled: XA PREPARE: parts of the branch were spilled before; they are the first of what is held.
        key_changes: rows whose keys were changed by updates, each once; none of an XA branch, of a bulk change, and of a batch of ours.
    """

    seq: int
    marks: tuple[KeyMark, ...] = ()
    spans: tuple[SpanMark, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    erase: tuple[Erasure, ...] = ()
    batch_id: int | None = None
    prepared_xid: str | None = None
    committed_xid: str | None = None
    rolled_back_xid: str | None = None
    spilled: bool = False
    images: tuple[BeforeImage, ...] = ()
    gtid: str = ""
    lane: str = OWN_ROW
    key_changes: tuple[KeyChange, ...] = ()
    commit_us: int = 0


class RowRecord(msgspec.Struct, frozen=True, gc=False):
    """
    A transaction that changed one row and not its key, as most of an application do: ``whole`` in fewer objects.

    Attributes:
        seq: its number on that side; consecutive.
        table_id: the row's table.
        key: the row's key, marked exactly.
        op: what became of the row.
        commit_us: microseconds since the epoch, by that server's clock.
    """

    seq: int
    table_id: int
    key: StoredKey
    op: Op
    commit_us: int

    def whole(self) -> TransactionRecord:
        """Return the same in its general form."""
        touch = Touch(self.seq, self.seq, self.op, self.op, False, self.commit_us)
        mark = KeyMark(self.table_id, self.key, self.key, touch)
        return TransactionRecord(seq=self.seq, marks=(mark,))


Record = TransactionRecord | RowRecord


def whole(record: Record) -> TransactionRecord:
    """Return *record* in its general form."""
    return record.whole() if isinstance(record, RowRecord) else record


class BatchItem(msgspec.Struct, frozen=True, gc=False):
    """
    One row of a batch: every spelling of its key that may show up in the target's stream; or many rows by the key of each.

    The place of an item in its batch is its bit in the marker row's bitmap (INV-10).

    Attributes:
        every: a copied range instead: every row of the table in the batch's transaction is the batch's own.
        bounds: of a copied range, the least and the greatest integer that its keys may be.
        base: of a merged row, the other side's row that it was made from: the write is the other side's row, and then a change
            of it by the target (INV-16). None for any other.
        commit_us: of a merged row, when that change of the target was committed, microseconds since the epoch; 0: not known.
    """

    table_id: int
    keys: tuple[StoredKey, ...]
    every: bool = False
    base: bytes | None = None
    commit_us: int = 0
    bounds: tuple[int, int] | None = None


class MarkStore(Protocol):
    """Where tailers persist. Thread-safe; every method is one durable transaction that ends all or nothing."""

    def record(self, side: Side, records: Sequence[Record], position: StreamPosition) -> None:
        """
        Persist whole transactions together with the position after the last of them (INV-1).

        *records* may be empty: the position alone moves (rotation, events of others between transactions).
        """
        ...

    def spill(self, side: Side, marks: Sequence[KeyMark], lookups: Sequence[Lookup] = ()) -> None:
        """
        Persist marks and lookups of a transaction whose end is not in sight, before its position.

        Harmless: marking twice is marking once, and their number is not reached by any proof before the end is recorded.
        """
        ...

    def spill_branch(
        self, side: Side, marks: Sequence[KeyMark], lookups: Sequence[Lookup], *, first: bool
    ) -> None:
        """
        Persist a part of an XA branch whose PREPARE is not in sight: held, not marked (INV-18).

        The *first* one takes the place of what is left of a branch whose PREPARE was never read.
        """
        ...

    def batch_items(self, side: Side, batch_id: int) -> tuple[BatchItem, ...] | None:
        """Return the items of a batch sent to *side*, in bit order; None where this ledger does not know the batch."""
        ...
