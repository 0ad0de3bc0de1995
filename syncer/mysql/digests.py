"""
Rows as digests: the canonical text of a value, and the digest of a row and of a chunk, as SQL text. Pure; no I/O in here.

Canonical text (design §4) is equal for equal values on both flavours, whatever the column's charset, collation or display
attributes; ``row_text`` joins it injectively: a value's text never contains the terminator, or is replaced by its SHA-256.

Every expression relies on the session that ``connection.py`` sets up (utf8mb4, UTC). *flavor* may be None where both
flavours need the same text.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncer.core.schema import Column
from syncer.mysql import columns as cols
from syncer.mysql.columns import (
    bytes_count,
    float_bits,
    joined_text,
    json_text,
    quote_name,
    quote_text,
    survives,
    utf8,
)
from syncer.mysql.flavor import Flavor

TERMINATOR = ","
NULL_TEXT = "~"
"""What stands for NULL; no field is or contains it, since a text of any content has its length in front or is hashed."""
INVALID = "!0"
"""What stands for number 0 of an ENUM, which is no member, not even where one is the empty text."""


def canonical(column: Column, flavor: Flavor | None = None) -> str:  # noqa: ARG001  # one text does for both today
    """
    Return an expression whose text is equal exactly where values are equal; NULL for NULL.

    JSON is MySQL's normalised text, or MariaDB's text as stored: equal texts are equal documents on both, different ones
    need not be different documents.
    """
    name = quote_name(column.name)
    kind = column.data_type
    if kind in cols.INTEGERS or kind in cols.DECIMALS:
        return f"CAST({cols.plain_number(column)} AS CHAR)"
    if kind in cols.FLOATS:
        # MariaDB stores no -0: where the other side is of the other flavour, adding zero makes one value of -0 and 0.
        return float_bits(f"{name}+0E0" if column.by_value else name)
    if kind == "bit":
        return f"CAST({name}+0 AS CHAR)"
    if kind in cols.BINARY or bytes_count(column):
        return f"HEX({name})"
    if kind == "enum":
        return f"IF({name}+0=0,'{INVALID}',{utf8(column)})"
    if kind == "set":
        return _sorted_members(column)
    if column.raw_text:
        return f"IF({survives(column)},{utf8(column)},{_raw(column)})"
    if kind in cols.CHARACTERS:
        return utf8(column)
    if kind == "json":
        return json_text(column)
    return f"CAST({name} AS CHAR)"


def _sorted_members(column: Column) -> str:
    """A SET's members in an order that does not depend on how the set was declared."""
    order = sorted(column.members)
    if tuple(order) == column.members:
        return utf8(column)
    name = quote_name(column.name)
    chosen = ",".join(
        f"IF({name}&{1 << column.members.index(member)},{quote_text(member)},NULL)"
        for member in order
    )
    return f"IF({name} IS NULL,NULL,CONCAT_WS(',',{chosen}))"


def _raw(column: Column, of: str = "HEX({})") -> str:
    """What stands for a text that has no exact form in Unicode; a field that is one begins with a digit or a letter."""
    return f"CONCAT('!{column.charset}:',{of.format(quote_name(column.name))})"


def _field(column: Column, flavor: Flavor | None) -> str:
    """One column within ``row_text``: never holds the terminator, NULL only where it is too large (see there)."""
    name = quote_name(column.name)
    kind = column.data_type
    if kind in cols.LONG_BINARIES or kind in cols.GEOMETRIES:
        text = f"SHA2({name},256)"
    elif kind in cols.LONG_TEXTS or kind == "json":
        text = _either(column, f"SHA2({canonical(column, flavor)},256)", "SHA2({},256)")
    elif kind in cols.SHORT_TEXTS:
        text = _either(column, _measured(joined_text(column)), "HEX({})")
    elif kind == "enum":
        text = f"IF({name}+0=0,'{INVALID}',{_measured(joined_text(column))})"
    elif kind == "set":
        text = _measured(_sorted_members(column))
    elif kind in cols.INTEGERS or kind in cols.DECIMALS:
        return f"IFNULL({cols.plain_number(column)},'{NULL_TEXT}')"  # joined, it is the text that CAST makes
    elif kind in cols.TEMPORALS:
        return f"IFNULL({name},'{NULL_TEXT}')"
    else:
        text = canonical(column, flavor)
    return f"IF({name} IS NULL,'{NULL_TEXT}',{text})"


def _measured(text: str) -> str:
    return f"CONCAT(OCTET_LENGTH({text}),':',{text})"


def _either(column: Column, text: str, raw: str) -> str:
    """*text* where it is exact, else the bytes."""
    if column.data_type == "json" or not column.raw_text:
        return text
    if bytes_count(column):
        return _raw(column, raw)
    if column.data_type in cols.LONG_TEXTS:
        text = f"SHA2({utf8(column)},256)"
    return f"IF({survives(column)},{text},{_raw(column, raw)})"


def row_text(columns: Sequence[Column], flavor: Flavor | None = None) -> str:
    """
    Return an expression that is equal for equal rows and for no others; *columns* in the same order on both sides.

    A field is ``text,``, ``length:text,`` or, for types that may be large, the SHA-256 of its text: so no row comes near
    ``max_allowed_packet``, beyond which CONCAT would answer NULL.
    """
    fields = ",".join(f"{_field(column, flavor)},'{TERMINATOR}'" for column in columns)
    return f"CONCAT({fields})" if fields else "''"


def row_digest(columns: Sequence[Column], flavor: Flavor | None = None) -> str:
    """Return an expression: the first 128 bits of the SHA-256 of the row, as 32 hex digits in lower case."""
    return f"LEFT(SHA2({row_text(columns, flavor)},256),32)"


def chunk_digest(columns: Sequence[Column], flavor: Flavor | None = None) -> str:
    """
    Return two select expressions: the row count and the XOR of 64 bits of every row's SHA-256 (design §4).

    The second is 0 for no rows. A row without a digest (see ``row_text``) makes it a number that no other digest has, so
    that the rows are looked at one by one.
    """
    return f"COUNT(*), BIT_XOR({_number(columns, flavor)})"


def multiset_digest(columns: Sequence[Column], flavor: Flavor | None = None) -> str:
    """Return three select expressions: ``chunk_digest``'s, and the sum, which equal rows do not cancel out of."""
    number = _number(columns, flavor)
    return f"COUNT(*), BIT_XOR({number}), SUM({number})"


def small_digest(columns: Sequence[Column], flavor: Flavor | None, rows: str) -> str:
    """
    Return what ``chunk_digest`` selects, of *rows*: the rest of a SELECT, from FROM on, which may have a LIMIT.

    No more than a number of every row is put aside for it.
    """
    return f"COUNT(*), BIT_XOR(d) FROM (SELECT {_number(columns, flavor)} AS d {rows}) AS t"


def _number(columns: Sequence[Column], flavor: Flavor | None) -> str:
    text = row_text(columns, flavor)
    return f"IFNULL(CAST(CONV(LEFT(SHA2({text},256),16),16,10) AS UNSIGNED),UUID_SHORT())"
