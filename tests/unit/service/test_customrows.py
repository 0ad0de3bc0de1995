"""Rows that functions return: what of them can be written, and why not, without a value in the reason."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import msgspec
import pytest

from syncer.core.side import Side
from syncer.service.customrows import answer_of
from syncer.service.sandbox import _told
from tests.unit.core.schemas import column, paired, table

A, B = Side.A, Side.B
SECRET = "4711"


def made(*columns):
    return paired(table(column(), *columns))


def ask(of, value, a="'x'", b="'y'", *, named="v"):
    """Ask for a row with *value* in the one column beside the key."""
    given = {"id": _told(1), named: _told(value)}
    return answer_of(of, {A: ("1", a), B: ("1", b)}, given)


def text(kind="varchar", **facts):
    return column("v", kind, **({"charset": "utf8mb4", "length": 5} | facts))


FITTING = [
    (column("v", "int"), 5, "5"),
    (column("v", "int"), True, "1"),
    (column("v", "bit", length=3), 7, "7"),
    (column("v", "year"), 2026, "2026"),
    (column("v", "int", nullable=True), None, "NULL"),
    (column("v", "decimal", precision=5, scale=2), Decimal("1.5"), "1.50"),
    (column("v", "decimal", precision=5, scale=2), Decimal("-0.0"), "0.00"),
    (column("v", "decimal", precision=5, scale=2), 3, "3.00"),
    (column("v", "double"), 0.5, "'0.5'"),
    (column("v", "float"), 0.1, "'0.10000000149011612'"),
    (
        column("v", "datetime", fraction=3),
        dt.datetime(2026, 1, 2, 3, 4, 5, 6000),  # noqa: DTZ001 - a column's value has no zone
        "'2026-01-02 03:04:05.006'",
    ),
    (column("v", "timestamp"), "2026-01-02T03:04:05", "'2026-01-02 03:04:05'"),
    (column("v", "date"), dt.date(2026, 1, 2), "'2026-01-02'"),
    (column("v", "time"), -dt.timedelta(hours=30, seconds=5), "'-30:00:05'"),
    (column("v", "varbinary", length=4), b"\x00\xff", "X'00FF'"),
    (column("v", "binary", length=3), b"\x01", "X'010000'"),
    (text(), "it's\\", "'it\\'s\\\\'"),
    (text("char"), "ab  ", "'ab'"),
    (text("enum", members=("p", "q")), "q", "'q'"),
    (text("set", members=("p", "q")), "q,p", "'p,q'"),
    (text("json"), '{"k": 1}', "'{\"k\": 1}'"),
]
UNFIT = [
    (column("v", "tinyint"), 128, "a v that is out of range"),
    (column("v", "int", unsigned=True), -1, "a v that is out of range"),
    (column("v", "bit", length=3), 8, "a v that is out of range"),
    (column("v", "year"), 4711, "a v that is out of range"),
    (column("v", "int"), SECRET, "a value of type text in v, which is int"),
    (column("v", "int"), 1.0, "a value of type float in v, which is int"),
    (column("v", "int"), [SECRET], "a value of type list in v, which is int"),
    (column("v", "int"), None, "NULL in v, which cannot be NULL"),
    (
        column("v", "decimal", precision=5, scale=2),
        Decimal("0.001"),
        "more digits in v than it has",
    ),
    (column("v", "decimal", precision=5, scale=2), Decimal(1000), "a v that is out of range"),
    (column("v", "decimal", precision=5, scale=2), Decimal("sNaN"), "a v that is out of range"),
    (column("v", "double"), float("inf"), "a v that is out of range"),
    (column("v", "float"), 1e300, "a v that is out of range"),
    (column("v", "datetime"), "2026-02-30 00:00:00", "a v that is no day of the calendar"),
    (column("v", "datetime"), "0000-00-00 00:00:00", "a v that is no day of the calendar"),
    (column("v", "datetime"), "2026-01-01 00:00:00.5", "more digits in v than it has"),
    (column("v", "date"), "2026-01-01 00:00:00", "a v that is no date"),
    (
        column("v", "datetime"),
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "a value of type datetime in v",
    ),
    (column("v", "varbinary", length=1), b"ab", "a v that is too long"),
    (column("v", "varbinary", length=9), "ab", "a value of type text in v"),
    (text(), "abcdef", "a v that is too long"),
    (text("text", length=5), "äöü", "a v that is too long"),
    (text(), "\ud800", "a v that is no text"),
    (text("enum", members=("p",)), SECRET, "a v that is none of its members"),
    (text("set", members=("p",)), f"p,{SECRET}", "a v that is none of its members"),
    (text("json"), "NaN", "a v that is no JSON"),
    (text("json"), "{", "a v that is no JSON"),
    (text(charset="cp1250"), "a", "a new value in v, which is varchar"),
    (column("v", "geometry"), b"ab", "a new value in v, which is geometry"),
    (column("v", "uuid"), "ab", "a new value in v, which is uuid"),
]


@pytest.mark.parametrize(("of", "value", "cell"), FITTING)
def test_a_value_is_told_in_its_server_s_words(of, value, cell):
    assert ask(made(of), value).row == ("1", cell)


@pytest.mark.parametrize(("of", "value", "reason"), UNFIT)
def test_what_a_column_cannot_hold_holds_the_row(of, value, reason):
    told = _told(value)
    found = answer_of(made(of), {A: ("1", "'x'"), B: ("1", "'y'")}, {"v": told})
    assert (found.winner, found.leaves, found.row) == (None, False, None)
    assert found.reason.startswith(f"the function returned a row with {reason}")
    assert SECRET not in found.reason


@pytest.mark.parametrize(
    ("value", "winner"), [("x", A), ("y", B), (b"\x01", None), (Decimal("1.0"), None)]
)
def test_a_row_that_a_side_has_is_that_side_s(value, winner):
    assert ask(made(text()), value).winner is winner
    # in whatever words its server has for it, and of whatever type
    assert ask(made(column("v", "geometry")), b"\x01", "X'01'", "X'02'").winner is A
    assert ask(made(column("v", "decimal")), 1, "1.00", "2.00").winner is A


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"id": 2, "v": 5}, "with another id, which is a part of the key"),
        ({"id": 1}, "without v, in which both differ"),
        ({"v": 5, SECRET: 1}, "with a column that the table does not have"),
        ({"v": 5, "V": 5}, "that has v twice"),
        ({"v": 5, "made": 1}, "with made, which is generated"),
    ],
)
def test_what_no_row_can_be(given, reason):
    of = made(column("v", "int"), column("made", "int", generated=True))
    of = msgspec.structs.replace(of, written=("id", "v"))
    images = {A: ("1", "7"), B: ("1", "8")}
    found = answer_of(of, images, {name: _told(value) for name, value in given.items()})
    assert found.reason == f"the function returned a row {reason}"


def test_a_column_left_out_keeps_what_both_have():
    of = paired(table(column(), column("n", "int"), text()))
    found = answer_of(of, {A: ("1", "7", "'x'"), B: ("1", "7", "'y'")}, {"v": ("text", "z")})
    assert found.row == ("1", "7", "'z'")


def test_a_row_is_made_of_two_rows_only():
    found = answer_of(made(text()), {A: ("1", "'x'"), B: None}, {"v": ("text", "z")})
    assert found.reason.endswith("one side has none: name a side")
    spelt = answer_of(made(text()), {A: ("1", "'x'"), B: ("2", "'y'")}, {"v": ("text", "z")})
    assert "spelt in two ways" in spelt.reason
