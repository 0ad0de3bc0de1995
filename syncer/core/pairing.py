"""A table as the pair sees it: both schemas, the columns compared, the policy."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import msgspec

from syncer.core.guard import WriteGuard
from syncer.core.key import Key, StoredKey, decode, encode
from syncer.core.outcome import WrittenColumn
from syncer.core.policy import Policy
from syncer.core.schema import Column, TableName, TableSchema, counter_range
from syncer.core.side import SIDES, Side

_IN_ORDER = frozenset(
    {"decimal", "date", "time", "datetime", "timestamp", "char", "varchar", "binary", "varbinary"}
)
"""Key types whose order the type says, and the collation: a member's place is the definition's."""


class PairedTable(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """
    One table kept equal on both sides.

    Attributes:
        columns: names of the columns compared, in side A's order; key columns are always among them.
        written: those of *columns* that may be written (not generated).
        mixed: one side is MySQL, the other MariaDB.
        guard: which writes are withheld, and how many at once.
        redacted: those of *written* whose values the journal never keeps.
        undo: rows that we overwrite or delete are kept for a time.
    """

    table_id: int
    name: TableName
    a: TableSchema
    b: TableSchema
    columns: tuple[str, ...]
    written: tuple[str, ...]
    policy: Policy
    mixed: bool = False
    guard: WriteGuard = WriteGuard()
    redacted: tuple[str, ...] = ()
    undo: bool = False

    def schema(self, side: Side) -> TableSchema:
        """The table as it is on *side*."""
        return self.a if side is Side.A else self.b

    @cached_property
    def full_name(self) -> str:
        """``database.name``."""
        return str(self.name)

    @cached_property
    def row_bytes(self) -> int:
        """The longer of both sides' average row lengths in bytes, at least 1."""
        return max(self.a.row_bytes, self.b.row_bytes, 1)

    @cached_property
    def name_chars(self) -> int:
        """How many characters the names take in a statement that writes a row: each column's twice."""
        return sum(2 * len(name) + 8 for name in self.written) + len(str(self.name))

    @cached_property
    def equal_keys_alike(self) -> bool:
        """Both sides take the same spellings of a key for one."""
        a, b = (
            [(c.collation, c.charset, c.pad_space) for c in self.schema(side).key_columns]
            for side in SIDES
        )
        return (self.a.exact_spelling and self.b.exact_spelling) or a == b

    @cached_property
    def read_alike(self) -> bool:
        """Ranges of the key are read in the same order on both sides: that of a primary key whose types and collations are the same."""
        if not self.same_key or any(
            schema.partitioned or schema.key_index != "PRIMARY" for schema in (self.a, self.b)
        ):
            return False
        return all(map(_ordered_alike, self.a.key_columns, self.b.key_columns))

    def compared(self, side: Side) -> tuple[Column, ...]:
        """The compared columns as they are on *side*, told what their counterparts are."""
        return self._facing[side][0]

    def writable(self, side: Side) -> tuple[Column, ...]:
        """The written columns as they are on *side*, told what their counterparts are."""
        return self._facing[side][1]

    @cached_property
    def _facing(self) -> dict[Side, tuple[tuple[Column, ...], tuple[Column, ...]]]:
        return {
            side: (
                tuple(self._told(side, name) for name in self.columns),
                tuple(self._told(side, name) for name in self.written),
            )
            for side in SIDES
        }

    def _told(self, side: Side, name: str) -> Column:
        column, other = self.schema(side).column(name), self.schema(side.other).column(name)
        return msgspec.structs.replace(
            column,
            by_value=self.mixed,
            by_bytes=column.charset is not None and column.charset == other.charset,
        )

    @cached_property
    def merging(self) -> tuple[WrittenColumn, ...]:
        """The written columns as the merging rules see them."""
        keys = {name.lower() for name in self.a.key}
        found = []
        for name in self.written:
            a, b = (counter_range(self.schema(side).column(name)) for side in SIDES)
            one = WrittenColumn(name.lower(), key=name.lower() in keys)
            if a is not None and b is not None and a[2] == b[2]:
                one = WrittenColumn(one.name, max(a[0], b[0]), min(a[1], b[1]), a[2], one.key)
            found.append(one)
        return tuple(found)

    @property
    def where(self) -> str:
        """The filter; empty where every row is of the pair."""
        return self.a.where

    @property
    def same_key(self) -> bool:
        """Both sides tell rows apart, and by the same columns."""
        a, b = ([name.lower() for name in schema.key] for schema in (self.a, self.b))
        return bool(a) and a == b

    @cached_property
    def integer_key(self) -> bool:
        """Keys are stored as integers: both sides have one integer key column of one signedness."""
        return (
            self.a.integer_key and self.b.integer_key and self.a.unsigned_key == self.b.unsigned_key
        )

    @cached_property
    def unsigned_key(self) -> bool:
        """The single integer key column is unsigned."""
        return self.a.unsigned_key

    def store(self, key: Key) -> StoredKey:
        """Return the ledger's form of *key*."""
        return encode(key, integer=self.integer_key, unsigned=self.unsigned_key)

    def load(self, stored: StoredKey) -> Key:
        """Undo ``store``."""
        return decode(stored, unsigned=self.unsigned_key)

    def load_all(self, stored: Iterable[StoredKey]) -> list[Key]:
        """Do ``load`` for each of *stored*, in their order."""
        if self.integer_key and not self.unsigned_key:
            return [(key,) for key in stored]
        return [decode(key, unsigned=self.unsigned_key) for key in stored]


def _ordered_alike(a: Column, b: Column) -> bool:
    if a.integer and b.integer:
        return True
    return a.data_type in _IN_ORDER and (a.data_type, a.collation) == (b.data_type, b.collation)


def key_signature(schema: TableSchema) -> str:
    """
    Return text that changes whenever a side's stored keys would mean other rows, or would be stored differently.

    A wider integer or a longer text is the same key: its marks stay good. A table mapped elsewhere is another one.
    """
    place = f"{schema.stored_as} " if schema.stored_as else ""
    return place + ",".join(
        f"{column.name.lower()} {_key_type(column)}" for column in schema.key_columns
    )


def _key_type(column: Column) -> str:
    if column.integer:
        return "unsigned" if column.unsigned else "signed"
    if column.raw_text:
        return f"{column.data_type} {column.collation or ''} bytes"
    if column.data_type in {"varchar", "varbinary", "char"}:
        return f"{column.data_type} {column.collation or ''}"
    return f"{column.column_type} {column.collation or ''}"


def write_order(tables: Iterable[PairedTable]) -> list[PairedTable]:
    """
    Order tables so that a foreign key's parent comes before its children.

    Cycles are broken in name order; a table that refers to itself does not count.
    """
    remaining = {table.name: table for table in sorted(tables, key=lambda t: t.name)}
    ordered: list[PairedTable] = []
    while remaining:
        free = [
            table
            for table in remaining.values()
            if not any(
                fk.parent in remaining and fk.parent != table.name
                for fk in (*table.a.foreign_keys, *table.b.foreign_keys)
            )
        ]
        batch = free or [next(iter(remaining.values()))]
        for table in batch:
            ordered.append(table)
            del remaining[table.name]
    return ordered
