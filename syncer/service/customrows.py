"""
The row that a custom rule's function has returned, as the literals that a server would render; or why it cannot be written.

No I/O, and no value of a row in any reason. What cannot be checked here is found when the row is read back (INV-15).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from syncer.core.literals import value_of
from syncer.core.outcome import Answer
from syncer.core.pairing import PairedTable
from syncer.core.schema import Column, counter_range
from syncer.core.side import SIDES, Side
from syncer.mysql import columns as cols
from syncer.mysql.images import NULL, quoted

Given = Mapping[str, tuple[str, Any]]
"""By column: what the value is (``sandbox.py``), and the value."""
_DAY = r"(\d{4})-(\d\d)-(\d\d)"
_FRACTION = r"(?:\.(\d{1,6}))?"
_TIMES = {
    "date": re.compile(_DAY),
    "datetime": re.compile(rf"{_DAY}[ T](\d\d):(\d\d):(\d\d){_FRACTION}"),
    "timestamp": re.compile(rf"{_DAY}[ T](\d\d):(\d\d):(\d\d){_FRACTION}"),
    "time": re.compile(rf"(-?\d{{2,3}}):([0-5]\d):([0-5]\d){_FRACTION}"),
}


class UnfitError(ValueError):
    """A value cannot be stored in a column; the text says why, without the value."""


def answer_of(
    table: PairedTable, images: Mapping[Side, tuple[str, ...] | None], given: Given
) -> Answer:
    """
    Return the side whose row *given* is, or a third row; an answer with a reason where it can be neither.

    A column that is left out keeps what both rows have. A value that one of the rows has is taken in that row's words.
    """
    a, b = (images[side] for side in SIDES)
    if a is None or b is None:
        return Answer(reason="the function returned a row, and one side has none: name a side")
    try:
        cells = _cells(table, a, b, _by_column(table, given))
    except UnfitError as error:
        return Answer(reason=f"the function returned a row {error}")
    if cells in {a, b}:
        return Answer(winner=Side.A if cells == a else Side.B)
    return Answer(row=cells)


def _by_column(table: PairedTable, given: Given) -> dict[str, tuple[str, Any]]:
    written = {name.lower() for name in table.written}
    known = {column.name.lower(): column for column in table.a.columns}
    found: dict[str, tuple[str, Any]] = {}
    for name, value in given.items():
        lower = name.lower()
        if lower not in known:
            raise UnfitError("with a column that the table does not have")
        if lower not in written:
            what = "generated" if known[lower].generated else "not kept equal"
            raise UnfitError(f"with {known[lower].name}, which is {what}")
        if lower in found:
            raise UnfitError(f"that has {known[lower].name} twice")
        found[lower] = value
    return found


def _cells(
    table: PairedTable, a: tuple[str, ...], b: tuple[str, ...], given: Mapping[str, tuple[str, Any]]
) -> tuple[str, ...]:
    key = {name.lower() for name in table.a.key}
    found = []
    for at, name in enumerate(table.written):
        lower, same = name.lower(), a[at] == b[at]
        if lower in key and not same:
            raise UnfitError(f"and {name}, a part of the key, is spelt in two ways")
        if lower not in given:
            if not same:
                raise UnfitError(f"without {name}, in which both differ")
            found.append(a[at])
            continue
        kind, value = given[lower]
        cell = next((one for one in (a[at], b[at]) if _is(one, kind, value)), None)
        if lower in key and cell is None:
            raise UnfitError(f"with another {name}, which is a part of the key")
        if cell is None:
            sides = {side: table.writable(side)[at] for side in SIDES}
            cells = {_literal(column, kind, value) for column in sides.values()}
            if len(cells) > 1:
                raise UnfitError(f"with a {name} that the two sides would store in two ways")
            (cell,) = cells
        found.append(cell)
    return tuple(found)


def _is(cell: str, kind: str, value: Any) -> bool:
    """Say whether a literal stands for a value."""
    there = value_of(cell)
    if kind == "decimal":
        value = Decimal(value)
        if not value.is_finite():
            return False
    numbers = isinstance(there, int | Decimal) and kind in {"int", "decimal"}
    return (numbers or type(there) is type(value)) and there == value


def _literal(column: Column, kind: str, value: Any) -> str:
    """Return *value* as *column* would render it. Raises UnfitError."""
    name, what = column.name, column.data_type
    if kind == "null":
        if not column.nullable:
            raise UnfitError(f"with NULL in {name}, which cannot be NULL")
        return NULL
    made: str | None = None
    if what in cols.INTEGERS or what == "bit":
        made = _whole(column, value) if kind == "int" else None
    elif what in cols.DECIMALS:
        made = _decimal(column, Decimal(value)) if kind in {"int", "decimal"} else None
    elif what in cols.FLOATS:
        made = _float(column, value) if kind in {"int", "decimal", "float"} else None
    elif what in cols.TEMPORALS:
        made = _time(column, value) if kind in {"text", "time"} else None
    elif what in cols.SHORT_BINARIES or what in cols.LONG_BINARIES - {"vector"}:
        made = _bytes(column, value) if kind == "bytes" else None
    elif what in cols.CHARACTERS | cols.MEMBERS | {"json"} and not column.raw_text:
        made = _text(column, value) if kind == "text" else None
    else:
        raise UnfitError(
            f"with a new value in {name}, which is {what}: only one that a row has can be taken there"
        )
    if made is None:
        said = value if kind == "other" else kind
        raise UnfitError(f"with a value of type {said} in {name}, which is {what}")
    return made


def _whole(column: Column, value: int) -> str:
    limits = counter_range(column)
    if limits is not None:
        fits = limits[0] <= value <= limits[1]
    elif column.data_type == "bit":
        fits = 0 <= value < 1 << column.length
    else:  # YEAR
        fits = value == 0 or 1901 <= value <= 2155
    if not fits:
        raise UnfitError(f"with a {column.name} that is out of range")
    return str(value)


def _decimal(column: Column, value: Decimal) -> str:
    limits = counter_range(column)
    if limits is None or not value.is_finite() or not limits[0] <= value <= limits[1]:
        raise UnfitError(f"with a {column.name} that is out of range")
    text = f"{value or Decimal(0):.{column.scale}f}"
    if Decimal(text) != value:
        raise UnfitError(f"with more digits in {column.name} than it has")
    return text


def _float(column: Column, value: Any) -> str:
    number = None
    with contextlib.suppress(OverflowError):
        number = float(value)
        if column.data_type == "float":
            (number,) = struct.unpack("f", struct.pack("f", number))
    if number is None or number - number != 0:
        raise UnfitError(f"with a {column.name} that is out of range")
    return f"'{number!r}'"


def _time(column: Column, value: str) -> str:
    found = _TIMES[column.data_type].fullmatch(value)
    if found is None:
        raise UnfitError(f"with a {column.name} that is no {column.data_type}")
    whole = value.replace("T", " ").partition(".")[0]
    if column.data_type != "time":
        try:
            dt.datetime.fromisoformat(whole)
        except ValueError:
            raise UnfitError(f"with a {column.name} that is no day of the calendar") from None
    return f"'{whole}{_fraction(column, found)}'"


def _fraction(column: Column, found: re.Match[str]) -> str:
    if column.data_type == "date":
        return ""
    digits = (found[found.re.groups] or "").ljust(6, "0")
    if digits[column.fraction :].strip("0"):
        raise UnfitError(f"with more digits in {column.name} than it has")
    return f".{digits[: column.fraction]}" if column.fraction else ""


def _bytes(column: Column, value: bytes) -> str:
    if len(value) > column.length:
        raise UnfitError(f"with a {column.name} that is too long")
    if column.data_type == "binary":
        value = value.ljust(column.length, b"\0")
    return f"X'{value.hex().upper()}'"


def _text(column: Column, value: str) -> str:
    name, what = column.name, column.data_type
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise UnfitError(f"with a {name} that is no text") from None
    if what == "json":
        try:
            json.loads(value, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise UnfitError(f"with a {name} that is no JSON") from None
        return quoted(value)
    if what == "char":
        value = value.rstrip(" ")
    if what == "enum" and value not in column.members:
        raise UnfitError(f"with a {name} that is none of its members")
    if what == "set":
        chosen = set(value.split(",")) if value else set()
        if not chosen <= set(column.members):
            raise UnfitError(f"with a {name} that is none of its members")
        value = ",".join(one for one in column.members if one in chosen)
    long = size if what in cols.LONG_TEXTS else len(value)
    if what in cols.CHARACTERS and long > column.length:
        raise UnfitError(f"with a {name} that is too long")
    return quoted(value)


def _no_constant(_text: str) -> None:
    raise ValueError("no JSON")
