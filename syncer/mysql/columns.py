"""
One column as SQL text: its literal, its key scalar, and what ``digests.py`` makes its canonical text of. Pure; no I/O.

Every expression relies on the session that ``connection.py`` sets up (utf8mb4, UTC).

Text in a character set that is not Unicode may have no exact counterpart in Unicode, or share one with other text. Where both
sides have the same set, the bytes are compared and carried over; else such text has a form of its own, equal to nothing else.
"""

from __future__ import annotations

import contextlib
import ipaddress
import uuid
from collections.abc import Sequence

from syncer.core.key import Key, Scalar
from syncer.core.schema import ADDRESS_BYTES, Column

INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
DECIMALS = frozenset({"decimal"})
FLOATS = frozenset({"float", "double"})
TEMPORALS = frozenset({"date", "time", "datetime", "timestamp"})
SHORT_TEXTS = frozenset({"char", "varchar"})
LONG_TEXTS = frozenset({"tinytext", "text", "mediumtext", "longtext"})
MEMBERS = frozenset({"enum", "set"})
SHORT_BINARIES = frozenset({"binary", "varbinary"})
LONG_BINARIES = frozenset({"tinyblob", "blob", "mediumblob", "longblob", "vector"})
GEOMETRIES = frozenset(
    [
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
        "geomcollection",
    ]
)
ADDRESSES = frozenset({"uuid", "inet4", "inet6"})

BINARY = SHORT_BINARIES | LONG_BINARIES | GEOMETRIES
CHARACTERS = SHORT_TEXTS | LONG_TEXTS

_UTF16 = frozenset({"ucs2", "utf16", "utf16le", "utf32"})
"""Half of a surrogate pair may stand in some of these, and would come as invalid UTF-8; UTF-16 does not let it pass."""

_TEXT = CHARACTERS | MEMBERS
_KNOWN = INTEGERS | DECIMALS | FLOATS | TEMPORALS | _TEXT | BINARY | ADDRESSES | {"bit", "json"}
_PREFIX_KEYS = frozenset({"tinytext", "text", "tinyblob", "blob"})
"""Only the beginning of these can be in a key; longer ones are no keys."""
_KEYS = (
    INTEGERS
    | DECIMALS
    | TEMPORALS
    | SHORT_TEXTS
    | MEMBERS
    | SHORT_BINARIES
    | ADDRESSES
    | {"bit"}
    | _PREFIX_KEYS
)


def quote_name(name: str) -> str:
    """Return *name* in back-quotes."""
    return "`" + name.replace("`", "``") + "`"


def unsupported(column: Column, *, key: bool = False) -> str | None:
    """
    Say in words why *column* cannot be kept in sync; None where it can.

    Args:
        key: it is part of the key, where fewer types will do.
    """
    kind = column.data_type
    if kind not in _KNOWN:
        return f"column {column.name}: type {kind} is not supported"
    if key and kind not in _KEYS:
        return f"key column {column.name}: type {kind} is not supported in a key"
    if len(set(column.members)) < len(column.members):
        return f"column {column.name}: two of its members look alike"
    if key and kind == "enum" and "" in column.members:
        return (
            f"key column {column.name}: its member '' cannot be told from an invalid value in a key"
        )
    return None


def plain_number(column: Column) -> str:
    """Return the column as a number without ZEROFILL's padding."""
    name = quote_name(column.name)
    return f"({name}+0)" if "zerofill" in column.column_type or column.data_type == "year" else name


def float_bits(number: str) -> str:
    """
    Return an expression for the IEEE bits of *number* as hex digits, alike on both flavours.

    No server has a function for them, but a point's bytes are its SRID, a head, and its coordinates. Text would not do: how many
    digits a server renders depends on where it does.
    """
    return f"HEX(POINT({number},0))"


def utf8(column: Column) -> str:
    """Return the column's text as UTF-8."""
    return f"CONVERT({quote_name(column.name)} USING utf8mb4)"


def joined_text(column: Column) -> str:
    """Return the column's text as UTF-8 where it is joined with others: converting what is UTF-8 costs as much as hashing it."""
    return quote_name(column.name) if column.charset == "utf8mb4" else utf8(column)


def json_text(column: Column) -> str:
    """
    Return a document's text as UTF-8; NULL for NULL, and where it would exceed ``max_allowed_packet``.

    MySQL answers with the empty text there [measured], and only a text that may be so long is looked at twice.
    """
    if column.charset is not None:
        return joined_text(column)  # MariaDB's is a text
    text = f"CAST({quote_name(column.name)} AS CHAR)"
    return f"IF({_json_is_short(column)},{text},NULLIF({text},''))"


def _json_is_short(column: Column) -> str:
    """A byte stored is at most six characters of a control character, or two of a number and a comma with a space."""
    return f"JSON_STORAGE_SIZE({quote_name(column.name)})*8<@@max_allowed_packet"


def bytes_count(column: Column) -> bool:
    """Whether the text's bytes are what is compared and carried over."""
    return column.by_bytes and column.raw_text


def survives(column: Column) -> str:
    """Return a condition: the text comes back from Unicode as the same bytes."""
    name = quote_name(column.name)
    through = "utf16" if column.charset in _UTF16 else "utf8mb4"
    back = f"CONVERT(CONVERT({name} USING {through}) USING {column.charset})"
    return f"HEX({back})=HEX({name})"


def literal(column: Column) -> str:
    """
    Return an expression that renders the value as SQL literal text which any server of either flavour can parse.

    NULL is the text ``NULL``. The result is NULL only where it would exceed ``max_allowed_packet``.
    """
    name = quote_name(column.name)
    kind = column.data_type
    if kind in INTEGERS or kind in DECIMALS:
        number = plain_number(column)  # joined with others, or read as text
        return f"IFNULL({number},'NULL')" if column.nullable else number
    if kind == "bit":
        return f"IFNULL(CAST({name}+0 AS CHAR),'NULL')"
    if kind in BINARY:
        # Geometry too: its bytes (SRID, then WKB) are the same on both flavours, and so have no axis order to mix up.
        return _or_null(name, f"CONCAT('X''',HEX({name}),'''')")
    if kind in FLOATS:
        return _or_null(name, _float_literal(name, kind))
    if kind == "enum":
        return _or_null(name, f"IF({name}+0=0,'0',QUOTE({utf8(column)}))")
    if column.raw_text:
        raw = f"CONCAT('_{column.charset} X''',HEX({name}),'''')"
        if not bytes_count(column):
            raw = f"IF({survives(column)},QUOTE({utf8(column)}),{raw})"
        return _or_null(name, raw)
    if kind == "json" and column.charset is None:
        fits = f"{_json_is_short(column)} OR LENGTH({name})>0"
        return _or_null(name, f"IF({fits},QUOTE(CAST({name} AS CHAR)),NULL)")
    if kind in _TEXT or kind == "json":
        return f"QUOTE({joined_text(column)})"
    return f"QUOTE({name})" if kind in TEMPORALS else f"QUOTE(CAST({name} AS CHAR))"


def _float_literal(name: str, kind: str) -> str:
    """
    A float as decimal text where that is exact, which it is but for some values; else as its bits.

    A FLOAT's own text has six digits, so it is widened first.
    """
    text = f"CAST({name} AS CHAR)" if kind == "double" else f"CAST(CAST({name} AS DOUBLE) AS CHAR)"
    bits = f"CONCAT('ST_X(ST_GeomFromWKB(X''',SUBSTR({float_bits(name)},9),'''))')"
    return f"IF({text}+0E0={name},QUOTE({text}),{bits})"


def _or_null(name: str, text: str) -> str:
    return f"IF({name} IS NULL,'NULL',{text})"


def image(columns: Sequence[Column]) -> str:
    """
    Return an expression for a row's image: the literals of *columns*, comma separated (``core/literals.py`` splits it).

    NULL where the row is too large for ``max_allowed_packet``; CONCAT_WS would drop the literal in silence.
    """
    return "CONCAT(" + ",',',".join(literal(column) for column in columns) + ")"


def key_select(column: Column) -> str:
    """Return the expression to select for a key column; ``key_scalar`` reads its result."""
    if column.data_type in ADDRESS_BYTES:
        return f"CAST({quote_name(column.name)} AS BINARY({ADDRESS_BYTES[column.data_type]}))"
    if column.raw_text:
        return f"CAST({quote_name(column.name)} AS BINARY)"
    if column.data_type in _TEXT:
        return utf8(column)
    if column.data_type == "bit":
        return f"({quote_name(column.name)}+0)"
    if column.data_type in INTEGERS or column.data_type in DECIMALS:
        return plain_number(column)
    return quote_name(column.name)


def key_scalar(column: Column, value: object) -> Scalar:
    """Turn a selected key value into the scalar of ``core/key.py``."""
    if type(value) is int:
        return value  # the driver makes integers of integer types and bits alone
    kind = column.data_type
    if kind in BINARY or kind in ADDRESS_BYTES or column.raw_text:
        raw = value if isinstance(value, bytes) else str(value).encode()
        return raw.ljust(column.length, b"\0") if kind == "binary" else raw
    if isinstance(value, bytes):
        value = value.decode()
    if kind in INTEGERS or kind == "bit":
        return int(str(value))
    return str(value)


def read_key(columns: Sequence[Column], row: Sequence[object]) -> Key:
    """Read a key from the first columns of a result row; *row* may hold more."""
    if len(columns) == 1:
        return (key_scalar(columns[0], row[0]),)
    return tuple(key_scalar(column, value) for column, value in zip(columns, row, strict=False))


_SHOWN = {"ucs2": "utf-16-be", "utf16": "utf-16-be", "utf16le": "utf-16-le", "utf32": "utf-32-be"}


def key_text(column: Column, scalar: Scalar) -> str:
    """Return a key part for a person's eyes; bytes that are no readable text as ``0x...``."""
    if not isinstance(scalar, bytes):
        return str(scalar)
    if column.data_type == "uuid":
        return str(uuid.UUID(bytes=scalar))
    if column.data_type in ADDRESS_BYTES:
        return str(ipaddress.ip_address(scalar))
    if column.raw_text:
        with contextlib.suppress(UnicodeDecodeError):
            return scalar.decode(_SHOWN.get(column.charset or "", "ascii"))
    return "0x" + scalar.hex()


_ESCAPES = str.maketrans(
    {"\\": "\\\\", "'": "''", "\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z"}
)


def quote_text(text: str) -> str:
    """Return *text* as a quoted SQL literal."""
    return "'" + text.translate(_ESCAPES) + "'"


def key_literal(column: Column, scalar: Scalar) -> str:
    """Return a literal to compare *column* with, in a form that lets the index be used."""
    if isinstance(scalar, bytes):
        return f"{'_' + str(column.charset) if column.raw_text else ''} X'{scalar.hex()}'".lstrip()
    if isinstance(scalar, int):
        return str(scalar)
    if column.data_type in DECIMALS:
        return _number(scalar)
    return quote_text(scalar)


def _number(text: str) -> str:
    """A DECIMAL's text as it is: quoted, it would be compared as a float."""
    if not text.lstrip("-").replace(".", "", 1).isdecimal():
        raise ValueError("a decimal key holds a number")
    return text


def order_expression(column: Column) -> str:
    """The expression that sorts like the index: ENUM and SET sort by number, but compare as text."""
    name = quote_name(column.name)
    # Not +0: a SET of 64 members would be a negative or a rounded number.
    return f"CAST({name} AS UNSIGNED)" if column.data_type in MEMBERS else name


def order_literal(column: Column, scalar: Scalar) -> str:
    """The literal to compare ``order_expression`` with."""
    if column.data_type == "enum":
        return str(column.members.index(str(scalar)) + 1 if scalar in column.members else 0)
    if column.data_type == "set":
        chosen = set(str(scalar).split(",")) if scalar else set()
        return str(sum(1 << at for at, member in enumerate(column.members) if member in chosen))
    return key_literal(column, scalar)


def as_text(value: object) -> str:
    """Return what the driver gives for text; bytes that are no UTF-8 as surrogates."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
