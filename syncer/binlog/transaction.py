"""One transaction of a stream in the making, and the record that it becomes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import msgspec

from syncer.binlog.events import RowsKind
from syncer.binlog.folding import TableKeys
from syncer.binlog.images import ImageReader
from syncer.binlog.parents import Found
from syncer.binlog.rowimage import RowReader
from syncer.binlog.tablemap import LayoutUnknownError
from syncer.core.keptimage import NOT_KEPT
from syncer.core.key import StoredKey
from syncer.core.mark import KeyMark, Lookup, Op, Reason, SpanMark, Touch
from syncer.core.origins import Named
from syncer.core.record import (
    OPEN_BRANCH,
    OWN_ROW,
    BatchItem,
    BeforeImage,
    Erasure,
    KeyChange,
    MarkStore,
    Record,
    TransactionRecord,
)
from syncer.core.side import Side

SPILL_KEYS = 50_000
IMAGES_KEPT = 10_000
"""Of so many rows of a transaction it is kept what they were; those of a bulk change have no base."""
KEY_CHANGES_KEPT = 10_000
"""A transaction that changes more keys is a bulk change: which key was which is not kept."""
UNREAD_BYTES = 8 << 20
"""Of so many bytes of a transaction the rows of ours are not read until they are asked for."""
_BATCH_ID_BYTES = 8
_OPS = {"insert": Op.INSERT, "delete": Op.DELETE}


class Finished(msgspec.Struct):
    """
    Whole transactions, in stream order.

    Attributes:
        records: of each transaction.
        named: of each transaction, at the same place, what it is called (the GTID may be empty) and its end in the binlog
            (exclusive).
        beats: of those that are heartbeats of our pair, the text of its row and the transaction's number.
        branches: of those that commit a branch of an XA transaction on MariaDB, by number, the branch's id.
    """

    records: list[Record] = msgspec.field(default_factory=list)
    named: list[Named] = msgspec.field(default_factory=list)
    beats: list[tuple[str, int]] = msgspec.field(default_factory=list)
    branches: dict[int, str] = msgspec.field(default_factory=dict)


class LoggedKeys:
    """
    The keys of rows events that nobody has read so far: they are read when somebody asks for them, and mostly nobody does.

    Attributes:
        bytes: the events' length.
        known: further keys.
    """

    def __init__(self) -> None:
        self._events: list[tuple[RowReader, bytes, int, bool]] = []
        self.bytes = 0
        self.known: list[StoredKey] = []

    def add(self, reader: RowReader, body: bytes, at: int, *, compressed: bool) -> None:
        """Take one event of inserted rows, which begin at *at*."""
        self._events.append((reader, body, at, compressed))
        self.bytes += len(body)

    def __iter__(self) -> Iterator[StoredKey]:
        yield from self.known
        for reader, body, at, compressed in self._events:
            # What cannot be read erases nothing: a mark too many is one comparison too many.
            with contextlib.suppress(LayoutUnknownError):
                yield from reader.read(body, at, compressed=compressed)


class OpenTransaction:
    """
    What was seen of a transaction so far.

    Attributes:
        gtid: empty where the stream gave none.
        begun: its end will come as an event of its own; else the next statement is all of it.
        xa: it is an XA branch: its marks are held by its xid until its COMMIT; what is spilled of it is held too.
        beat: the text of our heartbeat row, where it wrote that.
    """

    def __init__(self, gtid: str, commit_us: int, *, begun: bool) -> None:
        self.gtid = gtid
        self.commit_us = commit_us
        self.begun = begun
        self.xa = False
        self.beat: str | None = None
        self._keys: dict[int, TableKeys] = {}
        self._spans: dict[int, Reason] = {}
        self._found: dict[tuple[int, StoredKey], dict[Found, None]] = {}
        self._images: dict[tuple[int, StoredKey], bytes | None] = {}
        self._batch: tuple[int, bytes] | None = None
        self._lane = OWN_ROW
        self._items: tuple[BatchItem, ...] | None = None
        self._copied: dict[int, LoggedKeys] = {}
        self._touched = 0
        self._held = False
        self._merged: list[BatchItem] = []
        self._moved: dict[tuple[int, StoredKey], StoredKey | None] | None = {}

    def rows(self, table_id: int, operation: str, keys: list[StoredKey]) -> None:
        """Take the keys of one rows event; of an update before and after images in turn."""
        states = self._keys.get(table_id)
        if states is None:
            states = self._keys[table_id] = TableKeys()
        if operation == "update":
            moved = states.update(keys)
            if moved:
                self._move(table_id, moved)
        else:
            states.touch(_OPS[operation], keys)
            if self._moved and operation == "delete":
                for key in keys:
                    self._moved.pop((table_id, key), None)
        self._touched += len(keys)

    def _move(self, table_id: int, changes: list[tuple[StoredKey, StoredKey, bool]]) -> None:
        """Remember where rows come from whose keys were changed; None: this transaction has inserted them."""
        moved = self._moved
        if moved is None:
            return
        for old, new, fresh in changes:
            moved[table_id, new] = moved.pop((table_id, old), None if fresh else old)
        if len(moved) > KEY_CHANGES_KEPT:
            self._moved = None

    def keep(
        self,
        table_id: int,
        kind: RowsKind,
        keys: list[StoredKey],
        reader: ImageReader,
        body: bytes,
        at: int,
    ) -> None:
        """Keep what the rows of one event were; the first image of a key in a transaction counts. None: it was not there."""
        images = self._images
        if len(images) > IMAGES_KEPT:
            return  # the ledger finds them missing
        if kind.operation == "insert":
            for key in keys:
                images.setdefault((table_id, key), None)
            return
        update = kind.operation == "update"
        were = reader.before(kind, body, at)
        for place, key in enumerate(keys[::2] if update else keys):
            if (table_id, key) not in images:
                images[table_id, key] = NOT_KEPT if were is None else reader.pack(were[place])
        if update:
            for key in keys[1::2]:
                images.setdefault((table_id, key), None)

    def parents(self, table_id: int, found: Iterable[tuple[StoredKey, Found]]) -> None:
        """Take what changes of parents say of children that have no events, each by the key of its parent."""
        for key, one in found:
            self._found.setdefault((table_id, key), {})[one] = None

    def span(self, table_id: int, reason: Reason) -> None:
        """Make a table dirty as a whole."""
        self._spans.setdefault(table_id, reason)

    def own_batch(self, items: bytes, side: Side, store: MarkStore, lane: str = OWN_ROW) -> None:
        """Take the items of the marker row of *lane*; batch 0 is no apply (design §7)."""
        batch_id = int.from_bytes(items[:_BATCH_ID_BYTES], "big")
        if len(items) < _BATCH_ID_BYTES or not batch_id:
            return
        bitmap = items[_BATCH_ID_BYTES:]
        self._batch = batch_id, bitmap
        self._lane = lane
        # An intent is durable before it is sent (INV-8): what is not known now is not ours, or another ledger's.
        self._items = store.batch_items(side, batch_id)
        for bit, item in enumerate(self._items or ()):
            if item.every and _has(bitmap, bit):
                self._copied.setdefault(item.table_id, LoggedKeys())

    def copied(
        self, table_id: int, reader: RowReader, body: bytes, at: int, *, compressed: bool
    ) -> bool:
        """
        Take inserted rows without reading them, where they are a copied range of our batch; say whether they are.

        The target has no triggers (``service/copying.py``), so that whoever inserts into that table in our transaction is us.
        """
        keys = self._copied.get(table_id)
        if keys is None or keys.bytes > UNREAD_BYTES:
            return False
        keys.add(reader, body, at, compressed=compressed)
        return True

    def spill(self, side: Side, seq: int, store: MarkStore) -> None:
        """Hand the keys so far to the store if they are too many to wait for the transaction's end."""
        if self._touched < SPILL_KEYS or self._batch is not None:
            return
        if sum(map(len, self._keys.values())) >= SPILL_KEYS:
            if self.xa:
                first = not self._held
                store.spill_branch(side, self._marks(seq), self._lookups(seq), first=first)
                self._held = True
            else:
                store.spill(side, self._marks(seq), self._lookups(seq))
            self._keys.clear()
            self._found.clear()
            self._images.clear()
            self._moved = None
        self._touched = sum(map(len, self._keys.values()))

    def record(self, seq: int, **xids: str | None) -> TransactionRecord:
        """Close it under its number; *xids* are the XA attributes of the record."""
        batch_id: int | None = None
        erase: tuple[Erasure, ...] = ()
        exact = True
        if self._batch is not None:
            batch_id, bitmap = self._batch
            if self._items is None:
                exact = False
            else:
                erase = self._drop_own(self._items, bitmap)
        if self._held and not xids.get("prepared_xid"):
            xids["committed_xid"] = OPEN_BRANCH
        spans: tuple[SpanMark, ...] = ()
        if self._spans:
            spans = tuple(SpanMark(table, seq, reason) for table, reason in self._spans.items())
        return TransactionRecord(
            seq=seq,
            marks=self._marks(seq, exact=exact),
            spans=spans,
            lookups=self._lookups(seq) if self._found else (),
            erase=erase,
            images=self._kept() if self._images else (),
            batch_id=batch_id,
            lane=self._lane,
            spilled=self._held,
            gtid="" if batch_id is None else self.gtid,
            key_changes=self._changed_keys() if self._moved and batch_id is None else (),
            commit_us=self.commit_us if xids.get("committed_xid") else 0,
            **xids,
        )

    def _marks(self, seq: int, *, exact: bool = True) -> tuple[KeyMark, ...]:
        found: list[KeyMark] = []
        for table_id, states in self._keys.items():
            found += states.marks(table_id, seq, self.commit_us, exact=exact)
        for item in self._merged:
            # As old as the change that it carries: written by us, it would be newer than what its user has not seen.
            touch = Touch(seq, seq, Op.UPDATE, Op.UPDATE, recreated=False, commit_us=item.commit_us)
            found.append(KeyMark(item.table_id, item.keys[0], item.keys[0], touch))
        return tuple(found)

    def _kept(self) -> tuple[BeforeImage, ...]:
        """Return the images of the keys that are marked and were there before."""
        return tuple(
            BeforeImage(table_id, key, image or None)
            for (table_id, key), image in self._images.items()
            if image is not None
        )

    def _changed_keys(self) -> tuple[KeyChange, ...]:
        moved = self._moved or {}
        return tuple(
            KeyChange(table_id, old, new)
            for (table_id, new), old in moved.items()
            if old is not None and old != new
        )

    def _lookups(self, seq: int) -> tuple[Lookup, ...]:
        found = (one for some in self._found.values() for one in some)
        return tuple(
            dict.fromkeys(
                Lookup(one.edge.child, one.edge.columns, one.value, one.removes, seq)
                for one in found
            )
        )

    def _drop_own(self, items: tuple[BatchItem, ...], bitmap: bytes) -> tuple[Erasure, ...]:
        """Forget the keys that our batch wrote; all others in here are real changes (INV-12)."""
        written: dict[int, list[StoredKey]] = {}
        for bit, item in enumerate(items):
            if _has(bitmap, bit):
                keys = list(self._keys.get(item.table_id, ())) if item.every else item.keys
                written.setdefault(item.table_id, []).extend(keys)
        for table_id, own in written.items():
            if table_id in self._keys:
                self._keys[table_id].forget(own)
            if self._found or self._images:
                for key in own:
                    self._drop_cascades(table_id, key)
                    self._images.pop((table_id, key), None)
        for bit, item in enumerate(items):
            if item.base is not None and item.keys and _has(bitmap, bit):
                # A merged row: as if the other side's row had come first, and a change of this side after it (INV-16). Marked
                # whether or not the server logged a change.
                self._merged.append(item)
                self._images[item.table_id, item.keys[0]] = item.base
        bounds = {item.table_id: item.bounds for item in items if item.every}
        erased = []
        for table_id, own in written.items():
            unread = self._copied.get(table_id)
            if unread is None or not unread.bytes:
                erased.append(Erasure(table_id, tuple(own)))
                continue
            unread.known = own
            erased.append(Erasure(table_id, unread, bounds[table_id]))
        return tuple(erased)

    def _drop_cascades(self, table_id: int, key: StoredKey) -> None:
        """
        Forget what our write of a parent did to children as it did at the source.

        The applier lets no delete of ours delete children. Other effects are looked up by the value that children had: where
        the source's children still have it, the two sides' foreign keys differ.
        """
        found = self._found.pop((table_id, key), {})
        kept = {one: None for one in found if not one.removes and not one.came}
        if kept:
            self._found[table_id, key] = kept


def _has(bitmap: bytes, bit: int) -> bool:
    return bit // 8 < len(bitmap) and bool(bitmap[bit // 8] >> bit % 8 & 1)
