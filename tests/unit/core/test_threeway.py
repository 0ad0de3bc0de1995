"""Which side changed what of a row."""

from __future__ import annotations

import pytest

from syncer.core.rules import Rule
from syncer.core.threeway import NO_GROUPS, Changed, Groups, changes
from tests.unit.core.facts import policy

NAMES = ("id", "Amount", "currency", "n")
BASE = ("1", "10", "'EUR'", "5")
TOGETHER = Groups((("amount", "currency"),))


@pytest.mark.parametrize(
    ("a", "b", "groups", "hidden", "found"),
    [
        (("1", "20", "'EUR'", "5"), ("1", "10", "'USD'", "5"), NO_GROUPS, (), ["", "a", "b", ""]),
        (("1", "20", "'EUR'", "5"), ("1", "10", "'USD'", "5"), TOGETHER, (), ["", "both", "both", ""]),
        (("1", "20", "'CHF'", "5"), ("1", "10", "'EUR'", "5"), TOGETHER, (), ["", "a", "a", ""]),
        (("1", "20", "'CHF'", "5"), ("1", "20", "'EUR'", "5"), TOGETHER, (), ["", "", "a", ""]),
        (("1", "20", "'CHF'", "5"), ("1", "30", "'EUR'", "6"), TOGETHER, (), ["", "both", "both", "b"]),
        (("1", "20", "'EUR'", "6"), ("1", "20", "'EUR'", "7"), NO_GROUPS, (), ["", "", "", "both"]),
        (("1", "10", "'EUR'", "6"), ("1", "10", "'EUR'", "7"), Groups((), frozenset({"n"})), (), ["", "", "", "rule"]),
        (("1", "10", None, "6"), ("1", "10", None, "5"), NO_GROUPS, ("CURRENCY",), ["", "", "?", "a"]),
    ],
)  # fmt: skip
def test_who_changed_which_column(a, b, groups, hidden, found):
    who = changes(NAMES, a, BASE, b, groups, hidden)
    assert [one.value for one in who] == found
    turned = changes(NAMES, b, BASE, a, groups, hidden)
    other = {Changed.A: Changed.B, Changed.B: Changed.A}
    assert turned == tuple(other.get(one, one) for one in who)


def test_a_base_that_cannot_be_told_takes_no_side():
    who = changes(("id", "doc"), ("1", "x"), ("1", None), ("1", "y"))
    assert who == (Changed.NOBODY, Changed.BOTH)
    assert changes(("doc",), ("x",), (None,), ("x",)) == (Changed.NOBODY,)


def test_groups_are_those_of_the_policy():
    chosen = policy("delta:N then column_merge:Amount+currency,street+city then hold")
    groups = Groups.of(chosen)
    assert groups.together == (("amount", "currency"), ("street", "city"))
    assert groups.ruled == {"n"}
    assert Groups.of(policy("hold")) == NO_GROUPS
    assert Rule.parse("column_merge").groups == ()
