"""
Many rows as lines: what ``LOAD DATA`` takes in the place of VALUES, at half to six tenths of the price [measured]. Pure; no I/O.

A line is a row's image (``columns.image``): the literals that an INSERT would hold. ``LOAD DATA`` reads numbers, quoted text and
NULL as an INSERT does, bytes in hex and numbers that are not to be taken for text once it is told so. Where a literal has a form
that it does not know (some floats have), a wrong value is written, and found by the read back (INV-15).

It passes over a row that is there already, where an INSERT fails: such a row is not counted, so the count is the guard (INV-9).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from syncer.core.schema import Column, TableSchema
from syncer.mysql import columns as cols
from syncer.mysql.columns import quote_name
from syncer.mysql.statements import quote_table

LINE_END = "\n"
"""A line break within a text is within quotes: it ends no line."""
_FORMAT = r"CHARACTER SET utf8mb4 FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\'' ESCAPED BY '\\' LINES TERMINATED BY '\n'"


class _Form(StrEnum):
    """What the literals of a column look like."""

    PLAIN = "plain"
    HEX = "hex"
    NUMBER = "number"
    OTHER = "other"


def fits(source: Sequence[Column], target: Sequence[Column]) -> bool:
    """Say whether rows of *source*, the columns to be written, may go to *target*, the same there, as lines."""
    forms = [_form(column) for column in target]
    return _Form.OTHER not in forms and forms == [_form(column) for column in source]


def load_lines(schema: TableSchema, columns: Sequence[Column]) -> str:
    """Return the statement that inserts lines of *columns*."""
    fields, assigned = [], []
    for number, column in enumerate(columns):
        form = _form(column)
        if form is _Form.PLAIN:
            fields.append(quote_name(column.name))
            continue
        field = f"@syncer_{number}"
        fields.append(field)
        value = (
            f"UNHEX(SUBSTR({field},3,LENGTH({field})-3))"
            if form is _Form.HEX
            else f"CAST({field} AS UNSIGNED)"
        )
        assigned.append(f"{quote_name(column.name)}={value}")
    more = f" SET {','.join(assigned)}" if assigned else ""
    table = quote_table(schema.on_server)
    return (
        f"LOAD DATA LOCAL INFILE 'syncer' INTO TABLE {table} {_FORMAT} ({','.join(fields)}){more}"
    )


def _form(column: Column) -> _Form:
    """Return what ``columns.literal`` makes of values of *column*."""
    if column.data_type in cols.BINARY:
        return _Form.HEX
    if column.data_type in {"bit", "year"}:
        return _Form.NUMBER  # as texts, these would be bytes, and 0 the year 2000
    # Number 0 of an ENUM, which is no member, could not be told from a member '0'.
    unclear = column.raw_text or (column.data_type == "enum" and "0" in column.members)
    return _Form.OTHER if unclear else _Form.PLAIN
