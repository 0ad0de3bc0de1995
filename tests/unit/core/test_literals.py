"""Splitting a row image into its literals."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.literals import split_image, value_of

_ESCAPES = {"\0": "\\0", "\x1a": "\\Z", "\\": "\\\\", "'": "\\'"}


def by_backslash(value):
    """What QUOTE() makes of a text."""
    return "'" + "".join(_ESCAPES.get(char, char) for char in value) + "'"


def by_doubling(value):
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


NASTY = st.text(alphabet="'\"\\,() aN\0\x1a\n;é\udc80", max_size=12)
LITERALS = st.one_of(
    NASTY.map(by_backslash),
    NASTY.map(by_doubling),
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.just("NULL"),
    st.binary(max_size=4).map(lambda b: "0x" + b.hex()),
    NASTY.map(lambda t: f"CAST({by_backslash(t)} AS JSON)"),
    NASTY.map(lambda t: f"CONVERT(CONCAT({by_doubling(t)},x'00') USING utf8mb4)"),
)


@given(st.lists(LITERALS, min_size=1, max_size=6))
def test_literals_come_apart_as_they_were_joined(literals):
    assert split_image(",".join(literals)) == literals


@given(NASTY, NASTY)
def test_a_text_never_leaves_its_quotes(one, other):
    for quote in (by_backslash, by_doubling):
        assert split_image(f"{quote(one)},{quote(other)}") == [quote(one), quote(other)]


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("1", ["1"]),
        ("1,'it\\'s',NULL", ["1", "'it\\'s'", "NULL"]),
        ("'it''s',2", ["'it''s'", "2"]),
        ("'\\\\','x'", ["'\\\\'", "'x'"]),
        ("'a,b',f(1,'),',2),3", ["'a,b'", "f(1,'),',2)", "3"]),
        ("''", ["''"]),
        (",", ["", ""]),
        ("", [""]),
    ],
)
def test_what_a_comma_splits(image, parts):
    assert split_image(image) == parts


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("NULL", None),
        ("'NULL'", "NULL"),
        ("0", 0),
        ("-12", -12),
        ("18446744073709551615", 18446744073709551615),
        ("1.50", Decimal("1.50")),
        ("-.5", Decimal("-0.5")),
        ("''", ""),
        ("'it''s'", "it's"),
        (r"'it\'s \\ \"so\"'", 'it\'s \\ "so"'),
        (r"'a\nb\0c\Zd'", "a\nb\0c\x1ad"),
        ("'1.5'", "1.5"),
        ("X''", b""),
        ("X'00FF'", b"\x00\xff"),
        ("_latin1 X'E4'", b"\xe4"),
        ("ST_X(1)", "ST_X(1)"),
    ],
)
def test_a_literal_is_a_value(literal, value):
    assert value_of(literal) == value
    assert type(value_of(literal)) is type(value)
