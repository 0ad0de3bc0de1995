"""The text of keys and digests: what only one side has, whether all of it came, and what is read out of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.side import Side
from syncer.mysql.flavor import Flavor
from syncer.mysql.keydigests import BETWEEN, END, KeyDigests, read_entry, select, unlike
from tests.unit.mysql.tables import column, table, text

ROWS = st.dictionaries(st.integers(0, 400), st.integers(0, 3), max_size=300)


def entry(key, digest):
    # A key now and then is longer than what is compared at once.
    return b"%016x" % digest + str(key).encode() * (1 if key % 50 else 400) + END


def text_of(rows, order):
    return b"".join(entry(key, rows[key]) for key in sorted(rows, key=order))


@given(ROWS, ROWS, st.booleans(), st.booleans())
def test_what_only_one_side_has_is_found_wherever_it_stands(some, changed, alike, turned):
    other = {**some, **changed} if alike else changed
    a = text_of(some, lambda key: key)
    b = text_of(other, lambda key: -key if turned else key)
    only_a, only_b = unlike(a, b)
    of_a, of_b = set(a.split(END)), set(b.split(END))
    assert (set(only_a), set(only_b)) == (of_a - of_b, of_b - of_a)


def test_few_that_differ_among_many_are_told_without_taking_all_apart():
    many = dict.fromkeys(range(1, 5000), 0)
    other = {**many, 7: 1, 2500: 1, 4999: 1} | {5001: 0}
    only_a, only_b = unlike(text_of(many, int), text_of(other, int))
    assert {one[16:] for one in only_a} == {b"7", b"2500" * 400, b"4999"}
    assert {one[16:] for one in only_b} == {b"7", b"2500" * 400, b"4999", b"5001"}


@pytest.mark.parametrize(
    ("rows", "found", "whole"),
    [
        (0, b"", True),
        (1, b"", False),
        (2, entry(1, 1) + entry(2, 2), True),
        (2, entry(1, 1) + entry(2, 2)[:-1], False),
        (2, entry(1, 1), False),
        (1, entry(1, 1) + entry(2, 2)[:5], False),
    ],
)
def test_a_text_that_was_cut_off_is_not_whole(rows, found, whole):
    assert KeyDigests(rows, found).whole is whole


def test_a_key_is_read_as_it_was_made():
    columns = (
        column("i", "bigint"),
        column("d", "decimal", column_type="decimal(6,2)"),
        text("t"),
        column("b", "varbinary", length=5),
        column("f", "binary", length=4),
        column("y", "year"),
        text("raw", "latin1_swedish_ci", "latin1"),
    )
    parts = [b"-5", b"1.50", "wört,~".encode(), b"FEFF00", b"61", b"2024", b"E4"]
    key, digest = read_entry(columns, b"0123456789abcdef" + BETWEEN.join(parts))
    raw = b"\xe4" if columns[-1].raw_text else "E4"
    assert key == (-5, "1.50", "wört,~", b"\xfe\xff\x00", b"a\0\0\0", 2024, raw)
    assert digest == "0123456789abcdef"


def test_a_digest_that_could_not_be_made_is_equal_to_nothing_on_the_other_side():
    one = table(column("id"), column("d", "json"))
    told = [select(one, Flavor.MYSQL, one.columns, side) for side in Side]
    missing = ["x" + 15 * "0", "y" + 15 * "0"]
    assert [word in sql for word, sql in zip(missing, told, strict=True)] == [True, True]
    for word in missing:
        assert read_entry(one.key_columns, word.encode() + b"7") == ((7,), None)
