"""Rows made of two: what holds whatever the rows are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncer.core.side import Side
from tests.unit.core.test_merging import ask

NUMBERS = st.integers(-12, 12).map(str)
CENTS = st.integers(-99, 99).map(lambda cents: f"{cents / 100:.2f}")
TEXTS = st.sampled_from(["'p'", "'q'", "'r'", "NULL"])
CELLS = st.tuples(st.just("1"), NUMBERS, CENTS, TEXTS, TEXTS, TEXTS)
RULES = st.sampled_from(
    [
        "column_merge then skip",
        "column_merge:x+y then skip",
        "delta:n then max:m then column_merge:x+y then skip",
        "delta:n,m then column_merge then skip",
        "max:n then min:m then skip",
    ]
)


def stands(found, a, b):
    """The row that both sides have then; None where nothing is written."""
    if found.merged is not None:
        return found.merged
    if found.winner is not None:
        return a if found.winner is Side.A else b
    return a if found.verdict.value == "equal" else None


@given(RULES, CELLS, CELLS, CELLS)
def test_neither_label_matters(rule, base, a, b):
    one, other = ask(rule, a, b, base), ask(rule, b, a, base)
    assert stands(one, a, b) == stands(other, b, a)
    assert one.verdict is other.verdict


@given(RULES, CELLS, CELLS)
def test_a_change_of_one_side_alone_is_what_stands(rule, base, changed):
    """As it would be without a conflict; but where both look alike a counter counts them both."""
    if "max" not in rule:
        assert stands(ask(rule, changed, base, base), changed, base) in {changed, None}
    if "delta" not in rule:
        assert stands(ask(rule, changed, changed, base), changed, changed) == changed


@given(CELLS, CELLS, CELLS)
def test_columns_come_from_a_side_or_the_base_agrees(base, a, b):
    found = stands(ask("column_merge then skip", a, b, base), a, b)
    overlap = [x != o != y and x != y for o, x, y in zip(base, a, b, strict=True)]
    assert (found is None) == any(overlap)
    if found is not None:
        for cell, o, x, y in zip(found, base, a, b, strict=True):
            assert cell == (x if y == o else y)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-3, 3), st.booleans()), max_size=8))
def test_additions_end_alike_whenever_they_are_compared(steps):
    """Whatever is merged in between: the sum of all that was added. (max and min: the extreme of all that was written.)"""
    base = ("1", "0", "0.00", "'p'", "'p'", "'p'")

    def counting(reconciled):
        rows = {"a": base, "b": base}
        agreed = base
        for side, amount, stop in [*steps, ("a", 0, True)]:
            row = rows[side]
            rows[side] = (row[0], str(int(row[1]) + amount), *row[2:])
            if reconciled(stop) or (side, amount, stop) == ("a", 0, True):
                found = stands(
                    ask("delta:n then skip", rows["a"], rows["b"], agreed), rows["a"], rows["b"]
                )
                rows = {"a": found, "b": found}
                agreed = found
        return rows["a"][1]

    total = str(sum(amount for _, amount, _ in steps))
    assert counting(lambda stop: stop) == counting(lambda _stop: False) == total


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9), st.booleans()), max_size=8))
def test_extremes_end_alike_whenever_they_are_compared(steps):
    """Of values that only grow on each side, as a lattice wants it."""
    base = ("1", "0", "0.00", "'p'", "'p'", "'p'")

    def growing(reconciled):
        rows = {"a": base, "b": base}
        for side, value, stop in [*steps, ("a", 0, True)]:
            row = rows[side]
            rows[side] = (row[0], str(max(int(row[1]), value)), *row[2:])
            if reconciled(stop) or (side, value, stop) == ("a", 0, True):
                found = stands(ask("max:n then skip", rows["a"], rows["b"]), rows["a"], rows["b"])
                rows = {"a": found, "b": found}
        return rows["a"][1]

    assert growing(lambda stop: stop) == growing(lambda _stop: False)
    assert growing(lambda _stop: False) == str(max([0, *(value for _, value, _ in steps)]))
