"""Whether a table on one side fits the table on the other: pure, in words."""

from __future__ import annotations

import re

from syncer.core.schema import Column, TableSchema
from syncer.mysql import columns as cols

_FAMILIES: tuple[tuple[str, frozenset[str]], ...] = (
    ("an integer", cols.INTEGERS - {"year"}),
    ("a short text", cols.SHORT_TEXTS),
    ("a long text", cols.LONG_TEXTS),
    ("a blob", cols.LONG_BINARIES - {"vector"}),
)
"""Types within one family hold comparable values and have one canonical form; any other type stands for itself."""

_SPELLING = re.compile(r"[\s()`\\]+|\b_utf8(?:mb[34])?(?=\\?')", re.IGNORECASE)
"""What one server writes into an expression and the other does not."""
_SAME_CHARSET = {"utf8": "utf8mb4", "utf8mb3": "utf8mb4"}


def compare(
    a: TableSchema,
    b: TableSchema,
    ignored: frozenset[str] = frozenset(),
    *,
    ignore_extra: bool = False,
) -> list[str]:
    """
    Name what keeps two tables from being kept equal, but for columns in *ignored* (lower case); [] where nothing does.

    *ignore_extra*: a column of one side alone does no harm where it has a default.

    Differences that a read back would find row by row (a shorter VARCHAR, an added NOT NULL) are not named; charsets and
    collations may differ, but for the charsets of key columns.
    """
    found = []
    names_b = {column.name.lower() for column in b.columns} | ignored
    names_a = {column.name.lower() for column in a.columns} | ignored
    found += [f"column {c.name} is missing on side b" for c in _extra(a, names_b, ignore_extra)]
    found += [f"column {c.name} is missing on side a" for c in _extra(b, names_a, ignore_extra)]
    if a.key_prefix != b.key_prefix:
        found.append(f"the key rests on whole columns on side {'b' if a.key_prefix else 'a'} only")
    found += other_key(a, b)
    key_a = [name.lower() for name in a.key]
    for column in a.columns:
        if column.name.lower() in names_b - ignored:
            other = b.column(column.name)
            found += _columns(column, other, in_key=column.name.lower() in key_a)
    return found


def other_key(a: TableSchema, b: TableSchema) -> list[str]:
    """Say that rows are told apart by other columns on side b than on side a; [] where they are not."""
    if [name.lower() for name in a.key] == [name.lower() for name in b.key]:
        return []
    return [f"the key is ({', '.join(a.key)}) on side a and ({', '.join(b.key)}) on side b"]


def _extra(schema: TableSchema, others: set[str], ignore_extra: bool) -> list[Column]:
    return [
        column
        for column in schema.columns
        if column.name.lower() not in others and not (ignore_extra and column.has_default)
    ]


def _columns(a: Column, b: Column, *, in_key: bool) -> list[str]:
    where = f"column {a.name}"
    if _family(a) != _family(b):
        return [f"{where} is {a.column_type} on side a and {b.column_type} on side b"]
    found = []
    if a.generated != b.generated:
        found.append(f"{where} is generated on side {'a' if a.generated else 'b'} only")
    if a.data_type == "decimal" and a.scale != b.scale:
        found.append(f"{where} has {a.scale} decimals on side a and {b.scale} on side b")
    if a.fraction != b.fraction:
        found.append(
            f"{where} has {a.fraction} fraction digits on side a and {b.fraction} on side b"
        )
    if a.data_type == "binary" and a.length != b.length:
        found.append(f"{where} has {a.length} bytes on side a and {b.length} on side b")
    if a.data_type in cols.MEMBERS and (
        a.members != b.members if in_key else set(a.members) != set(b.members)
    ):
        found.append(f"{where} has other members on side a than on side b")
    if in_key:
        found += _key_columns(a, b, where)
    return found


def _key_columns(a: Column, b: Column, where: str) -> list[str]:
    found = []
    if a.unsigned != b.unsigned:
        found.append(f"key {where} is unsigned on side {'a' if a.unsigned else 'b'} only")
    if _charset(a) != _charset(b):
        found.append(f"key {where} has charset {a.charset} on side a and {b.charset} on side b")
    return found


def _family(column: Column) -> str:
    for name, kinds in _FAMILIES:
        if column.data_type in kinds:
            return name
    return "geometrycollection" if column.data_type == "geomcollection" else column.data_type


def _charset(column: Column) -> str | None:
    return _SAME_CHARSET.get(column.charset or "", column.charset)


def other_expressions(
    a: TableSchema, b: TableSchema, ignored: frozenset[str] = frozenset()
) -> list[tuple[str, str]]:
    """
    Return the columns that both sides generate and by expressions that read differently: (name, what each is).

    Servers write an expression in words of their own, so two that read differently may well be one.
    """
    theirs = {column.name.lower(): column for column in b.columns}
    found = []
    for column in a.columns:
        name = column.name.lower()
        other = theirs.get(name)
        if name in ignored or other is None or not (column.generated and other.generated):
            continue
        if _plain(column.expression) != _plain(other.expression):
            words = f"{column.expression} on side a and {other.expression} on side b"
            found.append((column.name, words))
    return found


def _plain(expression: str) -> str:
    return _SPELLING.sub("", expression).lower()
