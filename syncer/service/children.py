"""
Finds the children that changed without an event (``core/cascade.py``) and marks their keys.

A child is found by its foreign key where it still has it: on the other side, which its parent's change has not reached.
One that is not found there has changed there too, and has marks of its own; where it lost its parent here, its foreign key is
NULL here. No row is decided before this is done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import structlog

from syncer.core import key as core_key
from syncer.core.cascade import Edge, Edges, descendants, onward, places
from syncer.core.key import Key, Scalar, StoredKey
from syncer.core.mark import Lookup, Reason
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.ledger import Ledger
from syncer.ledger.records import ClaimedLookup
from syncer.mysql.columns import unsupported
from syncer.mysql.reader import SnapshotReader
from syncer.service.catalog import Catalog
from syncer.service.reading import PairReader

LOOKUPS_AT_ONCE = 200
KEYS_AT_ONCE = 2000
MOST_CHILDREN = 100_000
"""Children of one look at one side; a single parent with more makes the table dirty whole, so that memory stays bounded."""

Rows = list[tuple[Key, tuple[Scalar | None, ...]]]
_Group = tuple[int, Side, tuple[str, ...], bool]


class ChildFinder:
    """Turns lookups into marks. Used by the reconciler's thread alone."""

    def __init__(
        self,
        ledger: Ledger,
        catalog: Catalog,
        reader: PairReader,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """Compose."""
        self._ledger = ledger
        self._catalog = catalog
        self._reader = reader
        self._log = log

    def find(self) -> bool:
        """
        Resolve every lookup whose transaction is visible; say whether there was one.

        Raises TransientDatabaseError; the lookups are kept.
        """
        if not self._ledger.open_lookups():
            return False
        # A parent's change is visible together with what it did to the children.
        _, horizons = self._reader.within_snapshots(lambda _reader, _side: None)
        lower = {side: horizons[side].lower for side in SIDES}
        moved = False
        while claimed := self._ledger.claim_lookups(LOOKUPS_AT_ONCE, lower):
            groups: dict[_Group, list[ClaimedLookup]] = defaultdict(list)
            for one in claimed:
                groups[one.table_id, one.side, one.columns, one.removes].append(one)
            for group in groups.values():
                self._resolve(group)
            moved = True
        return moved

    def _resolve(self, group: Sequence[ClaimedLookup]) -> None:
        head = group[0]
        table = self._catalog.flowing.get(head.table_id)
        if table is None:
            if not self._catalog.waits(head.table_id):
                self._ledger.forget_table(head.table_id)
            return
        if places(head.columns, [c.name for c in table.schema(head.side).columns]) is None:
            self._give_up(group)  # its foreign key was altered since
            return
        ways = onward(self._edges(head.side), head.table_id, head.columns, removes=head.removes)
        also = tuple(dict.fromkeys(name for way in ways for name in way.parent_columns))
        values = [core_key.decode(one.value) for one in group]
        readable = not any(
            unsupported(table.schema(side).column(name), key=True)
            for side in SIDES
            for name in also
        )

        def read(reader: SnapshotReader, _side: Side) -> Rows:
            return reader.children(table, head.columns, values, also, MOST_CHILDREN + 1)

        rows: list[Rows] = []
        if readable:
            with self._catalog.doubting([table]):
                found, _ = self._reader.within_snapshots(read)
            rows = [found[side] for side in SIDES]
        if not readable or any(len(some) > MOST_CHILDREN for some in rows):
            if readable and len(group) > 1:
                for one in group:
                    self._resolve([one])
                return
            self._give_up(group)
            return
        marks: dict[StoredKey, dict[Lookup, None]] = {}
        for key, referred in (row for some in rows for row in some):
            marks.setdefault(table.store(key), {}).update(
                dict.fromkeys(_follow(ways, dict(zip(also, referred, strict=True))))
            )
        if not head.removes and self._may_be_empty(head):
            with self._catalog.doubting([table]):
                emptied = self._emptied(table, head)
            for stored in emptied:
                marks.setdefault(stored, {})
        if not self._catalog.flows(table):
            return  # INV-21
        self._ledger.settle_lookups(group, {key: tuple(some) for key, some in marks.items()})

    def _emptied(self, table: PairedTable, head: ClaimedLookup) -> list[StoredKey]:
        """
        Return the keys of rows without a parent here that the other side has changed and has otherwise (INV-6).

        No value tells which of them lost the parent that was looked up: it went here, and the other side has given the row
        another one, or deleted it. The fence of the look before this one has brought the marks of all of these (INV-4).
        """
        empty = (None,) * len(head.columns)
        found: list[StoredKey] = []
        for stored in self._ledger.changed_keys(head.table_id, head.side.other, KEYS_AT_ONCE):
            keys = [table.load(key) for key in stored]

            def read(reader: SnapshotReader, side: Side, keys: list[Key] = keys) -> Rows:
                columns = table.schema(side).key
                return reader.children(table, columns, keys, head.columns, len(keys))

            rows, _ = self._reader.within_snapshots(read)
            there = dict(rows[head.side.other])
            found += [
                table.store(key)
                for key, value in rows[head.side]
                if value == empty and there.get(key) != empty
            ]
        return found

    def _may_be_empty(self, head: ClaimedLookup) -> bool:
        """Say whether a parent's change may have left the foreign key looked up NULL; CASCADE gives it the parent's value."""
        return any(
            edge.empties
            for some in self._edges(head.side).values()
            for edge in some
            if (edge.child, edge.columns) == (head.table_id, head.columns)
        )

    def _edges(self, side: Side) -> Edges:
        return self._catalog.layouts[side].edges

    def _give_up(self, group: Sequence[ClaimedLookup]) -> None:
        """Nobody can name the children: their table is compared whole, and what is missing there is held."""
        head = group[0]
        last = max(one.last_seq for one in group)
        for table_id in {head.table_id, *descendants(self._edges(head.side), head.table_id)}:
            self._ledger.mark_table(table_id, [head.side], Reason.UNREADABLE, {head.side: last})
            self._log.warning(
                "stream.table_marked", table_id=table_id, reason=str(Reason.UNREADABLE)
            )
        self._ledger.settle_lookups(group, {})


def _follow(ways: Sequence[Edge], row: Mapping[str, Scalar | None]) -> list[Lookup]:
    """Return the lookups that follow from the change of one child row."""
    found = []
    for way in ways:
        value = tuple(part for name in way.parent_columns if (part := row[name]) is not None)
        if len(value) == len(way.parent_columns):
            encoded = core_key.encode(value, integer=False)
            assert isinstance(encoded, bytes)
            found.append(Lookup(way.child, way.columns, encoded, way.removes, 0))
    return found
