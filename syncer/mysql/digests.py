"""
Rows as digests: the canonical text of a value, and the digest of a row and of a chunk, as SQL text. Pure; no I/O in here.

Canonical text (design §4) is equal for equal values on both flavours, whatever the column's charset, collation or display
attributes; ``row_text`` joins it injectively: no field holds what stands between fields, and a large one is its SHA-256.

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

COMMA = "','"
NO_TEXT = "X'FF'"
"""Stands between fields where texts are among them: no UTF-8 has that byte, and no server takes a text that is none."""
NULL_TEXT = "~"
"""What stands for NULL; no other field is it but a text, of which a bit says whether it is NULL, or which is hashed."""
NULLS_AT_ONCE = 60
"""Bits in one number."""
_NEVER_TOO_LARGE = (
    cols.INTEGERS
    | cols.DECIMALS
    | cols.FLOATS
    | cols.TEMPORALS
    | cols.SHORT_TEXTS
    | cols.SHORT_BINARIES
    | cols.MEMBERS
    | cols.ADDRESSES
    | {"bit"}
)
"""A row holds 65,535 bytes of these at most, so no text of them comes near ``connection.LEAST_PACKET_BYTES``."""
UNLIKE = "LEFT(SHA2(UUID_SHORT(),256),16)"
"""64 bits that no other row has. A hash, since UUID_SHORT counts: of two numbers that follow each other the XOR is mostly a small one."""
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
    """One column within ``row_text``; NULL for NULL, and else only where it is too large (see there)."""
    name = quote_name(column.name)
    kind = column.data_type
    if kind in cols.LONG_BINARIES or kind in cols.GEOMETRIES:
        return f"SHA2({name},256)"
    if kind in cols.LONG_TEXTS or kind == "json":
        return _long_text(column, flavor)
    if kind in cols.SHORT_TEXTS:
        return _short_text(column)
    if kind == "enum":
        return f"IF({name}+0=0,'{INVALID}',{_measured(joined_text(column))})"
    if kind == "set":
        return _measured(_sorted_members(column))
    if kind in cols.INTEGERS or kind in cols.DECIMALS:
        return cols.plain_number(column)  # joined, it is the text that CAST makes
    return name if kind in cols.TEMPORALS else canonical(column, flavor)


def _is_text(column: Column) -> bool:
    """Whether the field is any text."""
    return column.data_type in cols.SHORT_TEXTS and not bytes_count(column)


def has_texts(columns: Sequence[Column]) -> bool:
    """Say whether ``NO_TEXT`` stands between the fields of *columns*; else a comma does."""
    return any(c.data_type in _NEVER_TOO_LARGE and _is_text(c) for c in columns)


def _short_text(column: Column) -> str:
    """The text, or what stands for one without an exact form in Unicode: bytes that begin as no text does."""
    if bytes_count(column):
        return _raw(column)
    if not column.raw_text:
        return joined_text(column)
    head = b"\xfe" + f"{column.charset}:".encode()
    raw = f"UNHEX(CONCAT('{head.hex()}',HEX(HEX({quote_name(column.name)}))))"
    return f"IF({survives(column)},CONVERT({utf8(column)} USING binary),{raw})"


def _long_text(column: Column, flavor: Flavor | None) -> str:
    """The SHA-256 of the text where it is exact, else that of its bytes."""
    if column.data_type == "json" or not column.raw_text:
        return f"SHA2({canonical(column, flavor)},256)"
    raw = _raw(column, "SHA2({},256)")
    return raw if bytes_count(column) else f"IF({survives(column)},SHA2({utf8(column)},256),{raw})"


def _nulls(texts: Sequence[Column]) -> list[str]:
    """Which of *texts* are NULL, a bit each: a word for it is a text that another row may have. One side may not know NULL."""
    return [
        "|".join(
            f"ISNULL({quote_name(column.name)})" + (f"<<{place}" if place else "")
            for place, column in enumerate(texts[at : at + NULLS_AT_ONCE])
            if column.nullable
        )
        or "0"
        for at in range(0, len(texts), NULLS_AT_ONCE)
    ]


def _or_empty(column: Column, text: str) -> str:
    """*text*, empty for NULL."""
    return f"IFNULL({text},'')" if column.nullable else text


def _measured(text: str) -> str:
    return f"CONCAT(OCTET_LENGTH({text}),':',{text})"


def _or_null_text(column: Column, text: str) -> str:
    """*text*, or what stands for NULL where the column can be NULL; NULL where *text* is one for want of room."""
    if not column.nullable:
        return text
    if column.data_type in _NEVER_TOO_LARGE:
        return f"IFNULL({text},'{NULL_TEXT}')"
    return f"IF({quote_name(column.name)} IS NULL,'{NULL_TEXT}',{text})"


def row_text(columns: Sequence[Column], flavor: Flavor | None = None) -> str:
    """
    Return an expression that is equal for equal rows and for no others; *columns* in the same order on both sides.

    Without short texts fields are joined by a comma; none holds one but members, which have their length in front. With such
    texts they are joined as bytes, by one that is in no field: so lengths need not be told, which cost MySQL a quarter of a
    digest. One text that is made bytes makes the whole bytes. A text that is NULL is empty, and a number behind all fields says
    which are.

    Types that may be large come last, as the SHA-256 of their text: no row comes near ``max_allowed_packet``. Where one of
    them is beyond it, as a document may be, the whole is NULL: CONCAT_WS leaves out what is NULL, CONCAT becomes it. Nothing
    else is NULL, so both make the same text; each flavour gets the one that it is faster with.
    """
    short = [c for c in columns if c.data_type in _NEVER_TOO_LARGE]
    long = [c for c in columns if c.data_type not in _NEVER_TOO_LARGE]
    fields = [(_or_empty if _is_text(c) else _or_null_text)(c, _field(c, flavor)) for c in short]
    texts = [place for place, c in enumerate(short) if _is_text(c)]
    if texts:
        fields[texts[0]] = f"CONVERT({fields[texts[0]]} USING binary)"
    fields += _nulls([short[place] for place in texts])
    if not fields:
        fields = ["''"]
    more = [_or_null_text(c, _field(c, flavor)) for c in long]
    between = NO_TEXT if texts else COMMA
    joint = f",{between},"
    if flavor is Flavor.MYSQL:
        return f"CONCAT({joint.join(fields + more)})"
    text = f"CONCAT_WS({between},{','.join(fields)})"
    return f"CONCAT({joint.join([text, *more])})" if more else text


def row_digest(columns: Sequence[Column], flavor: Flavor | None = None) -> str:
    """Return an expression: the first 128 bits of the SHA-256 of the row, as 32 hex digits in lower case."""
    return f"LEFT(SHA2({row_text(columns, flavor)},256),32)"


def short_digest(columns: Sequence[Column], flavor: Flavor | None = None) -> str:
    """Return an expression: the first 64 bits of the same, as 16 hex digits, which ``chunk_digest`` puts together; NULL as ``row_text``."""
    return f"LEFT(SHA2({row_text(columns, flavor)},256),16)"


def chunk_digest(columns: Sequence[Column], flavor: Flavor | None = None) -> str:
    """
    Return two select expressions: the row count and the XOR of 64 bits of every row's SHA-256 (design §4).

    The second is 0 for no rows. A row without a digest (see ``row_text``) makes it a number that no other digest has, so
    that the rows are looked at one by one.
    """
    return f"COUNT(*), {_joined(_bits(columns, flavor), flavor)}"


def multiset_digest(columns: Sequence[Column], flavor: Flavor | None = None) -> str:
    """Return three select expressions: ``chunk_digest``'s, and the sum, which equal rows do not cancel out of."""
    number = _number(columns, flavor)
    return f"COUNT(*), BIT_XOR({number}), SUM({number})"


def small_digest(columns: Sequence[Column], flavor: Flavor | None, rows: str) -> str:
    """
    Return what ``chunk_digest`` selects, of *rows*: the rest of a SELECT, from FROM on, which may have a LIMIT.

    No more than 64 bits of every row are put aside for it.
    """
    bits = _bits(columns, flavor)
    return f"COUNT(*), {_joined('d', flavor)} FROM (SELECT {bits} AS d {rows}) AS t"


def _number(columns: Sequence[Column], flavor: Flavor | None) -> str:
    number = f"CAST(CONV({short_digest(columns, flavor)},16,10) AS UNSIGNED)"
    unlike = f"CAST(CONV({UNLIKE},16,10) AS UNSIGNED)"
    return f"IFNULL({number},{unlike})" if may_be_null(columns, flavor) else number


def _bits(columns: Sequence[Column], flavor: Flavor | None) -> str:
    """What ``_joined`` takes of every row: MySQL joins bytes, which spares it a number made of text and text of a number."""
    if flavor is not Flavor.MYSQL:
        return _number(columns, flavor)
    return f"UNHEX(IFNULL({short_digest(columns, flavor)},{UNLIKE}))"


def may_be_null(columns: Sequence[Column], flavor: Flavor | None) -> bool:
    """
    Whether ``row_text`` may be NULL: CONCAT passes on any NULL, CONCAT_WS makes none of its own.

    An aggregate leaves NULL out without a word, so what may be one is asked; of a number that costs a tenth of a row's digest.
    """
    return flavor is Flavor.MYSQL or any(c.data_type not in _NEVER_TOO_LARGE for c in columns)


def _joined(bits: str, flavor: Flavor | None) -> str:
    if flavor is not Flavor.MYSQL:
        return f"BIT_XOR({bits})"
    return f"CAST(CONV(HEX(BIT_XOR({bits})),16,10) AS UNSIGNED)"
