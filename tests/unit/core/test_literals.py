"""Splitting a row image into its literals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.literals import split_image

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
