"""Finer words for conflicts."""

from __future__ import annotations

import pytest

from syncer.core.mark import KeyMarks, Reason
from syncer.core.outcome import ConflictKind
from syncer.core.side import Side
from syncer.core.subkinds import changed_columns, sub_kinds
from tests.unit.core.facts import both, exact, inexact

A, B = Side.A, Side.B
UPDATE, RECREATE, DRIFT = ConflictKind.UPDATE_UPDATE, ConflictKind.RECREATE, ConflictKind.DRIFT
LOWER = {A: 10, B: 10}
BOTH = KeyMarks(exact(), exact())


@pytest.mark.parametrize(
    ("a", "b", "base", "found"),
    [
        (("1", "x"), ("2", "o"), ("1", "o"), ("disjoint",)),
        (("1", "o"), ("2", "o"), ("1", "o"), ("disjoint",)),
        (("2", "x"), ("3", "o"), ("1", "o"), ("overlap",)),
        (("2", "x"), ("2", "o"), ("1", "o"), ("overlap",)),
        (("2", "x"), ("2", "x"), ("1", "o"), ("alike",)),
        (("1", "x"), ("1", "y"), ("1", None), ("overlap",)),
        (("1", "x"), ("2", "x"), ("1", None), ("disjoint",)),
        (("1", "x"), ("2", "x"), None, ()),
        (None, ("2", "x"), ("1", "o"), ()),
    ],
)
def test_columns_that_both_sides_changed(a, b, base, found):
    assert sub_kinds(UPDATE, BOTH, LOWER, {A: a, B: b}, base) == found
    assert sub_kinds(UPDATE, BOTH, LOWER, {A: b, B: a}, base) == found


@pytest.mark.parametrize(
    ("a", "b", "base", "found"),
    [
        (("1", "x"), ("2", "o"), ("1", "o"), (("y",), ("x",))),
        (("2", "o"), ("2", "o"), ("1", "o"), (("x",), ("x",))),
        (("1", "o"), ("2", "o"), ("1", "o"), ((), ("x",))),
        (("1", "x"), ("1", "y"), (None, None), (("y",), ("y",))),
        (("1", "x"), ("1", "y"), None, None),
        (None, ("1", "y"), ("1", "o"), None),
    ],
)
def test_what_each_side_changed(a, b, base, found):
    changed = changed_columns(("x", "y"), {A: a, B: b}, base)
    assert changed == ({} if found is None else {A: found[0], B: found[1]})


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("di", "u", "recreate_update"),
        ("di", "d", "recreate_delete"),
        ("di", "di", "recreate_recreate"),
        ("did", "u", "recreate_update"),
    ],
)
def test_what_a_recreated_row_met(one, other, found):
    for marks in (KeyMarks(exact(one), exact(other)), KeyMarks(exact(other), exact(one))):
        assert sub_kinds(RECREATE, marks, LOWER, {A: None, B: None}, None) == (found,)


@pytest.mark.parametrize(
    ("reason", "found"),
    [
        (Reason.TRUNCATE, "truncate"),
        (Reason.CASCADE, "cascade"),
        (Reason.BASELINE, "baseline"),
        (Reason.PURGED, "gap"),
        (None, "gap"),
    ],
)
def test_why_a_history_is_not_known(reason, found):
    marks = KeyMarks(exact(), both(exact(), inexact(reason)))
    assert sub_kinds(DRIFT, marks, LOWER, {A: None, B: None}, None) == (found,)
    later = KeyMarks(exact(), both(exact(), inexact(reason, 11)))
    assert sub_kinds(DRIFT, later, LOWER, {A: None, B: None}, None) == ()
