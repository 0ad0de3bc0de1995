"""One transaction of a stream in the making, and the record that it becomes."""

from __future__ import annotations

from collections.abc import Iterable

from syncer.binlog.folding import TableKeys
from syncer.binlog.parents import Found
from syncer.core.key import StoredKey
from syncer.core.mark import KeyMark, Lookup, Op, Reason, SpanMark
from syncer.core.record import OPEN_BRANCH, BatchItem, Erasure, MarkStore, TransactionRecord
from syncer.core.side import Side

SPILL_KEYS = 50_000
_BATCH_ID_BYTES = 8
_OPS = {"insert": Op.INSERT, "delete": Op.DELETE}


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
        self._batch: tuple[int, bytes] | None = None
        self._touched = 0
        self._held = False

    def rows(self, table_id: int, operation: str, keys: list[StoredKey]) -> None:
        """Take the keys of one rows event; of an update before and after images in turn."""
        states = self._keys.get(table_id)
        if states is None:
            states = self._keys[table_id] = TableKeys()
        if operation == "update":
            states.update(keys)
        else:
            states.touch(_OPS[operation], keys)
        self._touched += len(keys)

    def parents(self, table_id: int, found: Iterable[tuple[StoredKey, Found]]) -> None:
        """Take what changes of parents say of children that have no events, each by the key of its parent."""
        for key, one in found:
            self._found.setdefault((table_id, key), {})[one] = None

    def span(self, table_id: int, reason: Reason) -> None:
        """Make a table dirty as a whole."""
        self._spans.setdefault(table_id, reason)

    def own_batch(self, items: bytes) -> None:
        """Take the marker row's items; batch 0 is no apply (design §7)."""
        batch_id = int.from_bytes(items[:_BATCH_ID_BYTES], "big")
        if len(items) >= _BATCH_ID_BYTES and batch_id:
            self._batch = batch_id, items[_BATCH_ID_BYTES:]

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
        self._touched = sum(map(len, self._keys.values()))

    def record(
        self, side: Side, seq: int, store: MarkStore, **xids: str | None
    ) -> TransactionRecord:
        """Close it under its number; *xids* are the XA attributes of the record."""
        batch_id: int | None = None
        erase: tuple[Erasure, ...] = ()
        exact = True
        if self._batch is not None:
            batch_id, bitmap = self._batch
            items = store.batch_items(side, batch_id)
            if items is None:
                exact = False
            else:
                erase = self._drop_own(items, bitmap)
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
            batch_id=batch_id,
            spilled=self._held,
            **xids,
        )

    def _marks(self, seq: int, *, exact: bool = True) -> tuple[KeyMark, ...]:
        found: list[KeyMark] = []
        for table_id, states in self._keys.items():
            found += states.marks(table_id, seq, self.commit_us, exact=exact)
        return tuple(found)

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
            if bit // 8 < len(bitmap) and bitmap[bit // 8] >> bit % 8 & 1:
                keys = list(self._keys.get(item.table_id, ())) if item.every else item.keys
                written.setdefault(item.table_id, []).extend(keys)
        for table_id, own in written.items():
            if table_id in self._keys:
                self._keys[table_id].forget(own)
            for key in own:
                self._drop_cascades(table_id, key)
        return tuple(Erasure(table_id, tuple(own)) for table_id, own in written.items())

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
