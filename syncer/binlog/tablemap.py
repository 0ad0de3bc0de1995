"""TABLE_MAP events: parsing them, and judging whether they fit what is known of the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from syncer.binlog import values
from syncer.core.schema import Column, TableSchema

TINY, SHORT, LONG, FLOAT, DOUBLE, NULL, TIMESTAMP, LONGLONG, INT24 = range(1, 10)
DATE, TIME, DATETIME, YEAR, NEWDATE, VARCHAR, BIT, TIMESTAMP2, DATETIME2, TIME2 = range(10, 20)
TYPED_ARRAY = 20
BLOB_COMPRESSED, VARCHAR_COMPRESSED = 140, 141
VECTOR, JSON, NEWDECIMAL, ENUM, SET = 242, 245, 246, 247, 248
TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, VAR_STRING, STRING, GEOMETRY = range(249, 256)

_ONE_BYTE = {
    FLOAT, DOUBLE, TIMESTAMP2, DATETIME2, TIME2, BLOB_COMPRESSED, VECTOR, JSON,
    TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, GEOMETRY,
}  # fmt: skip
_TWO_BYTES = {VARCHAR, VARCHAR_COMPRESSED, BIT, NEWDECIMAL, ENUM, SET, VAR_STRING, STRING}
_LENGTH_PREFIXED = _ONE_BYTE - {FLOAT, DOUBLE, TIMESTAMP2, DATETIME2, TIME2}
_NUMERIC = {TINY, SHORT, INT24, LONG, LONGLONG, NEWDECIMAL, FLOAT, DOUBLE, YEAR}
_SIGNEDNESS, _NAMES = 1, 4

_BLOBS = {TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, BLOB_COMPRESSED}
_TYPES: dict[str, set[int]] = {
    "tinyint": {TINY}, "smallint": {SHORT}, "mediumint": {INT24}, "int": {LONG}, "bigint": {LONGLONG},
    "float": {FLOAT}, "double": {DOUBLE}, "decimal": {NEWDECIMAL}, "year": {YEAR}, "bit": {BIT},
    "date": {DATE, NEWDATE}, "time": {TIME, TIME2}, "datetime": {DATETIME, DATETIME2},
    "timestamp": {TIMESTAMP, TIMESTAMP2},
    "char": {STRING}, "binary": {STRING}, "enum": {ENUM}, "set": {SET},
    "varchar": {VARCHAR, VAR_STRING, VARCHAR_COMPRESSED},
    "varbinary": {VARCHAR, VAR_STRING, VARCHAR_COMPRESSED},
    "json": _BLOBS | {JSON}, "vector": {VECTOR, VARCHAR}, "uuid": {STRING}, "inet6": {STRING}, "inet4": {STRING},
} | {
    f"{size}{kind}": _BLOBS for size in ("tiny", "", "medium", "long") for kind in ("blob", "text")
} | {
    name: {GEOMETRY}
    for name in (
        "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
        "multipolygon", "geomcollection", "geometrycollection",
    )
}  # fmt: skip

# Their text is made by the server from other bytes than those in the row image, or they have no exact text.
_NOT_IN_KEYS = {"float", "double", "json", "vector", "xmltype"}


class LayoutUnknownError(Exception):
    """A table map or a row image does not fit the schema that is known: the table becomes dirty as a whole."""


class ColumnMap(NamedTuple):
    """
    A column as the table map describes it.

    Attributes:
        kind: the real type; ENUM and SET are told from STRING.
        width: bytes of the value, for types of fixed width; else 0.
        prefix: bytes of the length in front of the value, for the other types; else 0.
        length: the most bytes a string type holds; precision of DECIMAL; bits of BIT.
        detail: scale of DECIMAL; fraction digits of a temporal type.
        unsigned: None where the table map does not say.
    """

    kind: int
    width: int
    prefix: int
    length: int = 0
    detail: int = 0
    unsigned: bool | None = None


class TableMap(NamedTuple):
    """
    A parsed TABLE_MAP event.

    Attributes:
        names: of the columns, under ``binlog_row_metadata=FULL``; else ().
    """

    database: str
    table: str
    columns: tuple[ColumnMap, ...]
    names: tuple[str, ...] = ()


def table_name(body: bytes, at: int) -> tuple[str, str, int]:
    """Read database and table of a table map whose post-header ends at *at*; also where the column count is."""
    length = body[at]
    database = body[at + 1 : at + 1 + length].decode()
    at += length + 2
    length = body[at]
    return database, body[at + 1 : at + 1 + length].decode(), at + length + 2


def packed_integer(data: bytes, at: int) -> tuple[int, int]:
    """Read a length-encoded integer; return it and where it ends."""
    first = data[at]
    if first < 251:
        return first, at + 1
    size = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def parse(body: bytes, at: int) -> TableMap:
    """
    Parse the event body from *at*, the end of its post-header, to the end of *body* (checksum stripped).

    Raises:
        LayoutUnknownError: it holds a column type that is not known here.
    """
    database, table, at = table_name(body, at)
    count, at = packed_integer(body, at)
    kinds = body[at : at + count]
    size, at = packed_integer(body, at + count)
    meta, at = body[at : at + size], at + size + (count + 7) // 8
    optional = _optional(body, at)
    signs = optional.get(_SIGNEDNESS)
    columns: list[ColumnMap] = []
    place = numeric = 0
    for kind in kinds:
        width = 1 if kind in _ONE_BYTE else 2 if kind in _TWO_BYTES else 0
        column = _column(kind, meta[place : place + width])
        place += width
        if kind in _NUMERIC:
            if signs is not None:
                bit = bool(signs[numeric // 8] >> (7 - numeric % 8) & 1)
                column = column._replace(unsigned=bit)
            numeric += 1
        columns.append(column)
    return TableMap(database, table, tuple(columns), tuple(_names(optional.get(_NAMES, b""))))


def _optional(body: bytes, at: int) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    while at < len(body):
        kind = body[at]
        size, at = packed_integer(body, at + 1)
        fields[kind] = body[at : at + size]
        at += size
    return fields


def _names(data: bytes) -> Iterator[str]:
    at = 0
    while at < len(data):
        size, at = packed_integer(data, at)
        yield data[at : at + size].decode()
        at += size


_FIXED = {
    TINY: 1, YEAR: 1, SHORT: 2, INT24: 3, DATE: 3, NEWDATE: 3, TIME: 3, LONG: 4, TIMESTAMP: 4,
    LONGLONG: 8, DATETIME: 8, NULL: 0,
}  # fmt: skip
_FRACTIONAL = {TIME2: 3, TIMESTAMP2: 4, DATETIME2: 5}


def _plausible(kind: int, meta: bytes) -> bool:
    """Judge the details of a type: what is computed from them later must have a meaning. Raises IndexError where they end."""
    if kind in _FRACTIONAL:
        return meta[0] <= 6
    if kind in {FLOAT, DOUBLE}:
        return meta[0] == (4 if kind == FLOAT else 8)
    if kind in _LENGTH_PREFIXED:
        return 1 <= meta[0] <= 4
    if kind == NEWDECIMAL:
        return meta[1] <= meta[0] <= 81
    if kind == BIT:
        return meta[0] < 8 and meta[1] <= 8
    return True


def _column(kind: int, meta: bytes) -> ColumnMap:
    if kind in _FIXED:
        return ColumnMap(kind, _FIXED[kind], 0)
    if not _plausible(kind, meta):
        raise LayoutUnknownError(f"column type {kind} has impossible details")
    if kind in _FRACTIONAL:
        return ColumnMap(kind, _FRACTIONAL[kind] + values.fraction_bytes(meta[0]), 0, 0, meta[0])
    if kind in {FLOAT, DOUBLE}:
        return ColumnMap(kind, meta[0], 0)
    if kind in _LENGTH_PREFIXED:
        return ColumnMap(kind, 0, meta[0])
    if kind in {VARCHAR, VAR_STRING, VARCHAR_COMPRESSED}:
        length = meta[0] | meta[1] << 8
        return ColumnMap(kind, 0, 1 if length < 256 else 2, length)
    if kind == NEWDECIMAL:
        return ColumnMap(kind, values.decimal_bytes(meta[0], meta[1]), 0, meta[0], meta[1])
    if kind == BIT:
        return ColumnMap(kind, meta[1] + (meta[0] > 0), 0, meta[1] * 8 + meta[0])
    if kind in {STRING, ENUM, SET}:
        real, length = meta[0], meta[1]
        if (
            real & 0x30 != 0x30
        ):  # the two high bits of a length above 255 hide, inverted, in the type
            length |= (real & 0x30 ^ 0x30) << 4
            real |= 0x30
        if real in {ENUM, SET}:
            return ColumnMap(real, length, 0, length)
        return ColumnMap(STRING, 0, 1 if length < 256 else 2, length)
    raise LayoutUnknownError(f"column type {kind} is not known")


def check(found: TableMap, schema: TableSchema) -> None:
    """
    Judge whether rows under this table map can be read by what is known of the table.

    Types are compared column by column; the key's columns in every detail that their decoding rests on.

    Raises:
        LayoutUnknownError: they cannot.
    """
    columns = sorted(schema.columns, key=lambda column: column.position)
    if len(columns) != len(found.columns):
        raise LayoutUnknownError(
            f"{len(found.columns)} columns in the binlog, {len(columns)} known"
        )
    names = tuple(column.name.lower() for column in columns)
    if found.names and names != tuple(name.lower() for name in found.names):
        raise LayoutUnknownError("the columns have other names in the binlog")
    if not schema.key:
        raise LayoutUnknownError("no key")
    for column, seen in zip(columns, found.columns, strict=True):
        allowed = _TYPES.get(column.data_type)
        if allowed is not None and seen.kind not in allowed:
            raise LayoutUnknownError(f"column {column.name} has type {seen.kind} in the binlog")
        if seen.unsigned is not None and column.integer and seen.unsigned != column.unsigned:
            raise LayoutUnknownError(f"column {column.name} has the other sign in the binlog")
    for column in schema.key_columns:
        check_column(column, found.columns[columns.index(column)])


def check_column(column: Column, seen: ColumnMap) -> None:
    """Raise LayoutUnknownError where values of *column* cannot be read as a key is from row images of *seen*."""
    reason = unreadable(column)
    if reason is None and seen.kind in {BLOB_COMPRESSED, VARCHAR_COMPRESSED}:
        reason = "is compressed"
    if reason is None and column.data_type == "decimal":
        if (column.precision, column.scale) != (seen.length, seen.detail):
            reason = "has another precision"
    elif reason is None and column.data_type in {"time", "datetime", "timestamp"}:
        if column.fraction != seen.detail:
            reason = "has another fraction"
    elif reason is None and column.data_type == "bit":
        if column.length != seen.length:
            reason = "has another length"
    elif reason is None and column.data_type in {"char", "varchar", "binary", "varbinary"}:
        per_character = values.bytes_per_character(column.charset)
        if column.length * per_character != seen.length:
            reason = "has another length"
    elif reason is None and column.data_type == "enum":
        if seen.width != (1 if len(column.members) < 256 else 2):
            reason = "has another number of members"
    elif reason is None and column.data_type == "set":
        width = (len(column.members) + 7) // 8
        if seen.width != (8 if width > 4 else width):
            reason = "has another number of members"
    if reason is not None:
        raise LayoutUnknownError(f"key column {column.name} {reason}")


_SELF_DESCRIBING = {
    "tinyint",
    "smallint",
    "mediumint",
    "int",
    "bigint",
    "decimal",
    "date",
    "time",
    "datetime",
}


def proves(found: TableMap, schema: TableSchema) -> bool:
    """
    Say whether a table map that passed ``check`` leaves no doubt which column is which and how the key is read.

    It does where it names its columns and signs (``binlog_row_metadata=FULL``) and every key column's type is described by
    the map whole: not text, whose character set, and not ENUM, whose members may be others.
    """
    return bool(found.names) and all(
        column.data_type in _SELF_DESCRIBING for column in schema.key_columns
    )


def unreadable(column: Column) -> str | None:
    """Say why values of *column* cannot be read as a key from a row image; None where they can."""
    if column.data_type in _NOT_IN_KEYS or column.data_type not in _TYPES:
        return f"of type {column.data_type} has no exact form in a row image"
    if _TYPES[column.data_type] == {GEOMETRY}:
        return "is a geometry"
    return None
