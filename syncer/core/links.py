"""
References between tables that refer to each other: whole rows can be written there in no order.

A row can be written without a reference that may be NULL, and get it once the row that it refers to is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from syncer.core.literals import split_image
from syncer.core.schema import ForeignKey, TableName, TableSchema

NULL = "NULL"


def circular(schemas: Iterable[TableSchema]) -> dict[TableName, tuple[str, ...]]:
    """
    Find the foreign keys between *schemas* that lie on a circle; a table that refers to itself is one.

    Returns:
        By table, one column of each such foreign key, which may be NULL: without a value there the key refers to nothing.
        Tables without such a column are left out, and so are those that lie on no circle.
    """
    tables = {schema.name: schema for schema in schemas}
    reached = {name: _reached(name, tables) for name in tables}
    found = {}
    for name, schema in tables.items():
        keys = [key for key in schema.foreign_keys if name in reached.get(key.parent, ())]
        columns = [column for key in keys if (column := _optional(schema, key)) is not None]
        if columns:
            found[name] = tuple(dict.fromkeys(columns))
    return found


def _reached(start: TableName, tables: Mapping[TableName, TableSchema]) -> set[TableName]:
    """Return the tables that a chain of foreign keys leads to from *start*, and *start*."""
    found: set[TableName] = set()
    left = [start]
    while left:
        name = left.pop()
        if name not in found and name in tables:
            found.add(name)
            left += [key.parent for key in tables[name].foreign_keys]
    return found


def _optional(schema: TableSchema, key: ForeignKey) -> str | None:
    """Return the first column of *key* that may be NULL; None where all need a value."""
    columns = map(schema.column, key.columns)
    return next((c.name for c in columns if c.nullable and not c.generated), None)


def emptied(image: str, names: Sequence[str], columns: Iterable[str]) -> str:
    """Return the row *image* of the columns *names* with NULL in *columns*."""
    without = {column.lower() for column in columns}
    literals = split_image(image)
    return ",".join(
        NULL if name.lower() in without else text
        for name, text in zip(names, literals, strict=True)
    )


def families(
    rows: Sequence[tuple[TableSchema, Mapping[str, str] | None]],
) -> list[list[int]]:
    """
    Put rows that refer to each other together, by the text of their references.

    Args:
        rows: each one's table, and its literals by column name in small letters; None where it is not known.

    Returns:
        The places of the rows of each family, in order; a row that none of the others has to do with is one by itself.
    """
    leader = list(range(len(rows)))

    def lead(at: int) -> int:
        while leader[at] != at:
            leader[at] = leader[leader[at]]
            at = leader[at]
        return at

    known = [(at, schema, row) for at, (schema, row) in enumerate(rows) if row is not None]
    keys = {key for _, schema, _ in known for key in schema.foreign_keys}
    for parent, columns in {(key.parent, key.parent_columns) for key in keys}:
        places = {_values(row, columns): at for at, schema, row in known if schema.name == parent}
        for at, schema, row in known:
            for key in schema.foreign_keys:
                if (key.parent, key.parent_columns) != (parent, columns):
                    continue
                values = _values(row, key.columns)
                if values in places and NULL not in values:
                    first, second = sorted((lead(at), lead(places[values])))
                    leader[second] = first
    found: dict[int, list[int]] = {}
    for at in range(len(rows)):
        found.setdefault(lead(at), []).append(at)
    return list(found.values())


def _values(literals: Mapping[str, str], columns: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(literals.get(column.lower()) for column in columns)
