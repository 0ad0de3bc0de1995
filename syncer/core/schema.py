"""What is known of a table: columns, key, and whether two sides fit each other."""

from __future__ import annotations

import enum
from decimal import Decimal
from functools import cached_property

import msgspec

SURE_CHARSETS = frozenset({"utf8", "utf8mb3", "utf8mb4", "latin1", "binary"})
"""
Sets whose texts are Unicode, one to one, and come as valid UTF-8; the servers' latin1 has a character for every byte.

In any other a text may have no exact form in Unicode, or share one with other text.
"""
ADDRESS_BYTES = {"uuid": 16, "inet6": 16, "inet4": 4}
"""MariaDB's types that are bytes in a row image, as BINARY(n) is."""


class SchemaDifference(enum.StrEnum):
    """What becomes of a table that differs on the two sides while a run goes on."""

    PAUSE = "pause"
    """It waits until both sides fit each other."""
    IGNORE_EXTRA = "ignore-extra"
    """Columns of one side alone that have a default are left out; anything else as PAUSE."""
    STOP = "stop"
    """The run ends."""


class TableName(msgspec.Struct, frozen=True, order=True):
    """A table's database and name, unquoted."""

    database: str
    name: str

    def __str__(self) -> str:
        return f"{self.database}.{self.name}"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """
    One column as information_schema describes it.

    Attributes:
        position: 0-based place in the table, hidden and generated columns counted: the place in a FULL row image.
        data_type: lower-case base type, ``int``, ``varchar``, ``datetime``...
        column_type: the full type in lower case, ``int(10) unsigned``, ``enum('a','b')``...
        length: characters of a character type, bytes of a binary type, bits of BIT; else 0.
        precision, scale: of DECIMAL; else 0.
        fraction: digits of fractional seconds of a temporal type; else 0.
        charset, collation: of a character type; else None.
        pad_space: its collation ignores trailing spaces.
        members: of ENUM and SET, in order; else ().
        generated: virtual or stored generated: never written, still compared if stored or virtual.
        expression: of a generated column, in its server's words; else empty.
        has_default: an INSERT that leaves it out does not need a value for it.
        on_update: it becomes the time of any UPDATE that does not name it.
        by_value: the other side is of the other flavour: JSON is compared by its content, and -0 is 0.
        by_bytes: the other side has the same character set: where it is not Unicode, bytes are compared and carried over.
    """

    name: str
    position: int
    data_type: str
    column_type: str
    nullable: bool
    unsigned: bool = False
    length: int = 0
    precision: int = 0
    scale: int = 0
    fraction: int = 0
    charset: str | None = None
    collation: str | None = None
    pad_space: bool = False
    members: tuple[str, ...] = ()
    generated: bool = False
    auto_increment: bool = False
    has_default: bool = True
    on_update: bool = False
    expression: str = ""
    by_value: bool = False
    by_bytes: bool = False

    @property
    def integer(self) -> bool:
        """An integer type that a run of keys can be made of."""
        return self.data_type in {"tinyint", "smallint", "mediumint", "int", "bigint"}

    @property
    def raw_text(self) -> bool:
        """A text whose bytes alone say exactly what it is; as a key it is bytes."""
        return self.data_type in _CHARACTERS and (self.charset or "binary") not in SURE_CHARSETS


_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}


def counter_range(column: Column) -> tuple[Decimal, Decimal, int] | None:
    """Return the least and greatest value and the digits behind the point of an exact number; None for any other type."""
    bits = _INTEGER_BITS.get(column.data_type)
    if bits is not None:
        low = 0 if column.unsigned else -(1 << bits - 1)
        return Decimal(low), Decimal(low + (1 << bits) - 1), 0
    if column.data_type != "decimal":
        return None
    most = Decimal((0, (9,) * column.precision, -column.scale))
    return Decimal(0) if column.unsigned else most.copy_negate(), most, column.scale


_CHARACTERS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})


class ForeignKey(msgspec.Struct, frozen=True, kw_only=True):
    """A foreign key of the table it belongs to."""

    name: str
    columns: tuple[str, ...]
    parent: TableName
    parent_columns: tuple[str, ...]
    on_delete: str
    on_update: str


class TableSchema(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """
    One table on one side.

    Attributes:
        key: the key's column names in key order; () where the table has no usable key.
        key_index: the name of the index that is the key.
        unique: the column names of every other unique index.
        key_prefix: the index holds no more than the beginning of some column: rows of different keys may exclude each other.
        asked_key: the columns that the configuration wants as the key; () where it leaves the choice.
        versioned: MariaDB keeps its past rows in it.
        partitioned: its rows are read one partition after the other.
        where: the configuration's filter: rows that it does not take are not of the pair (``core/filtering.py``).
        stored_as: its name on its server, where *name*, the pair's, is another (``core/naming.py``).
        rows: the server's estimate of the row count.
        row_bytes: the server's estimate of the average row length in bytes.
    """

    name: TableName
    engine: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    triggers: tuple[str, ...] = ()
    rows: int = 0
    row_bytes: int = 0
    key_index: str = "PRIMARY"
    key_prefix: bool = False
    asked_key: tuple[str, ...] = ()
    versioned: bool = False
    partitioned: bool = False
    stored_as: TableName | None = None
    where: str = ""

    @property
    def on_server(self) -> TableName:
        """The name to be used in SQL."""
        return self.stored_as or self.name

    def column(self, name: str) -> Column:
        """Return the column called *name* in any letter case. Raises KeyError."""
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        raise KeyError(name)

    def same_shape(self, other: TableSchema) -> bool:
        """Say whether rows of both read and write alike: all but the server's estimates, the filter and partitions is equal."""
        mine, theirs = (
            msgspec.structs.replace(one, rows=0, row_bytes=0, where="", partitioned=False)
            for one in (self, other)
        )
        return mine == theirs

    @cached_property
    def key_columns(self) -> tuple[Column, ...]:
        """The key's columns in key order."""
        return tuple(self.column(name) for name in self.key)

    @cached_property
    def integer_key(self) -> bool:
        """The key is one integer column: runs of keys are possible."""
        return len(self.key) == 1 and self.key_columns[0].integer

    @cached_property
    def unsigned_key(self) -> bool:
        """The key is one unsigned integer column."""
        return self.integer_key and self.key_columns[0].unsigned

    @cached_property
    def exact_spelling(self) -> bool:
        """Equal keys are equal tuples: no collation folds letters or trailing spaces."""
        return all(
            c.collation is None
            or c.collation == "binary"
            or (c.collation.endswith("_bin") and not c.pad_space)
            for c in self.key_columns
        )
