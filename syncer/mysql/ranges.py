"""
Conditions on keys: which rows a statement is about. Pure text.

Written so that both optimisers turn them into range access [measured with EXPLAIN, see tests/integration/test_statements.py];
collations are the server's affair, since the server compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from syncer.core.key import Key, Scalar
from syncer.core.schema import Column, TableSchema
from syncer.mysql.columns import key_literal, order_expression, order_literal, quote_name

NO_ROWS = "FALSE"
ALL_ROWS = "TRUE"
_PART_BYTES = 24
"""An integer, or what stands around a text or bytes."""
_WORDS_BYTES = 16
"""What stands around one column of a composite key."""


def keys_condition(schema: TableSchema, keys: Sequence[Key]) -> str:
    """
    Return the condition for exactly the rows of *keys*; no row for no keys.

    Composite keys become ORs of ANDs, the last column as a list where the columns before it are the same; a row
    constructor list would be a scan on MariaDB.
    """
    columns = schema.key_columns
    if not keys:
        return NO_ROWS
    last = columns[-1]
    head = columns[:-1]
    if not head and all(type(key[0]) is int for key in keys):
        return (
            f"{quote_name(last.name)} IN ({','.join(map(str, sorted({key[0] for key in keys})))})"
        )
    parts = []
    for prefix, group in groupby(sorted(keys, key=_spelling), key=lambda key: key[:-1]):
        values = ",".join(dict.fromkeys(key_literal(last, key[-1]) for key in group))
        equal = [_compare(c, "=", v) for c, v in zip(head, prefix, strict=True)]
        parts.append(" AND ".join([*equal, f"{quote_name(last.name)} IN ({values})"]))
    if len(parts) == 1:
        return parts[0]
    return "(" + " OR ".join(f"({part})" for part in parts) + ")"


def split_keys(schema: TableSchema, keys: Sequence[Key], limit: int) -> list[Sequence[Key]]:
    """
    Divide *keys* so that the condition for each part is at most about *limit* bytes, for ``max_allowed_packet``.

    Lengths are estimated from above; what is divided is put into an order first, so that locks are taken in one.
    """
    words = 0
    if len(schema.key) > 1:
        words = sum(4 * len(name) + _WORDS_BYTES for name in schema.key)
    if not keys or all(type(part) is int for part in keys[0]):
        # Types do not mix within a column: nothing needs to be known of the others.
        each = words + _PART_BYTES * len(schema.key)
        most = max(1, limit // each)
        if len(keys) <= most:
            return [keys]
        ordered = sorted(keys)
        return [ordered[at : at + most] for at in range(0, len(keys), most)]
    lengths = {key: words + sum(map(_length, key)) for key in keys}
    if sum(lengths.values()) <= limit:
        return [keys]
    parts: list[list[Key]] = [[]]
    room = limit
    for key in sorted(lengths, key=_spelling):
        if lengths[key] > room and parts[-1]:
            parts.append([])
            room = limit
        parts[-1].append(key)
        room -= lengths[key]
    return [*parts]


def key_condition(schema: TableSchema, key: Key) -> str:
    """Return the condition for the one row of *key*."""
    pairs = zip(schema.key_columns, key, strict=True)
    return " AND ".join(_compare(column, "=", scalar) for column, scalar in pairs)


def range_condition(schema: TableSchema, low: Key | None, high: Key | None) -> str:
    """Return the condition for the keys from *low* (inclusive) to *high* (exclusive) in key order; None is unbounded."""
    columns = schema.key_columns
    parts = []
    shared = 0
    if low is not None and high is not None:
        # What both ends share is said once, so that a range within one tenant reads no more than that range.
        while shared < len(columns) - 1 and low[shared] == high[shared]:
            parts.append(_compare(columns[shared], "=", low[shared]))
            shared += 1
    if low is not None:
        parts.append(_beyond(columns[shared:], low[shared:], ">", ">="))
    if high is not None:
        parts.append(_beyond(columns[shared:], high[shared:], "<", "<"))
    return " AND ".join(parts) if parts else ALL_ROWS


def scope_condition(schema: TableSchema, condition: str) -> str:
    """Narrow *condition* to the rows that the table's filter takes."""
    return f"{condition} AND ({schema.where})" if schema.where else condition


def _beyond(columns: Sequence[Column], key: Key, strict: str, final: str) -> str:
    """Compare in key order, as an OR of intervals: ``(a > 1) OR (a = 1 AND b > 2) OR (a = 1 AND b = 2 AND c >= 3)``."""
    ways = []
    for at in range(len(columns)):
        sign = final if at == len(columns) - 1 else strict
        equal = [_compare(c, "=", v) for c, v in zip(columns[:at], key[:at], strict=True)]
        ways.append(" AND ".join([*equal, _compare(columns[at], sign, key[at])]))
    return ways[0] if len(ways) == 1 else "(" + " OR ".join(f"({way})" for way in ways) + ")"


def _compare(column: Column, sign: str, scalar: Scalar) -> str:
    """Equality by text uses the index for ENUM and SET too; their order is by number."""
    if sign == "=":
        return f"{quote_name(column.name)}={key_literal(column, scalar)}"
    return f"{order_expression(column)} {sign} {order_literal(column, scalar)}"


def _length(part: Scalar) -> int:
    if isinstance(part, int):
        return _PART_BYTES
    # Two digits a byte; a character is 4 bytes at most, an escaped one 2.
    return _PART_BYTES + (2 if isinstance(part, bytes) else 4) * len(part)


def _spelling(key: Key) -> tuple[tuple[str, Key], ...]:
    """An order that brings equal prefixes together; types do not mix within a column."""
    return tuple((type(part).__name__, (part,)) for part in key)
