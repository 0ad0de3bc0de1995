"""Rows that enter and leave a table's filter: what travels, what is left alone, and what is said of it (docs/protocol.md, Filters)."""

from __future__ import annotations

import itertools

import pytest

from syncer.core.decision import OUTSIDE, ConflictKind, Verdict
from syncer.core.mark import Reason
from syncer.core.side import Direction, Side
from tests.unit.core.facts import ABSENT, CLEAN, exact, inexact, judge, outside, policy, row

COPY, HOLD, EQUAL = Verdict.COPY, Verdict.HOLD, Verdict.EQUAL
A, B = Side.A, Side.B
CHANGES = {"none": CLEAN, "exact": exact(), "deleted": exact("d"), "inexact": inexact()}
RULES = ["hold", "prefer:a", "prefer:b", "newest"]


def judged(a, b, row_a, row_b, *words, **more):
    return judge(a, b, row_a, row_b, *words, filtered=True, **more)


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("rule", RULES)
def test_rows_outside_on_both_sides_are_neither_compared_nor_written(rule, direction):
    """Absence is outside too: so a row that has left the filter on one side is not deleted by the other one's delete."""
    gone = [outside("x"), outside("y"), ABSENT]
    for a, b in itertools.product(CHANGES.values(), repeat=2):
        for row_a, row_b in itertools.product(gone, repeat=2):
            found = judged(a, b, row_a, row_b, policy(rule, direction=direction))
            assert (found.verdict, found.winner, found.conflict) == (EQUAL, None, None)
            assert found.path == OUTSIDE


def test_a_change_still_to_be_proven_is_waited_for_outside_too():
    assert judged(exact(first=11), CLEAN, outside("x"), ABSENT).verdict is Verdict.LATER
    ambiguous = judged(exact(first=11), CLEAN, outside("x"), ABSENT, at=(10, 12))
    assert ambiguous.verdict is Verdict.AMBIGUOUS


@pytest.mark.parametrize("side", [A, B])
@pytest.mark.parametrize("rule", RULES)
def test_an_update_that_leaves_the_filter_travels_once(side, rule):
    marks, rows = (exact(), CLEAN), (outside("new"), row("old"))
    if side is B:
        marks, rows = marks[::-1], rows[::-1]
    found = judged(*marks, *rows, policy(rule))
    assert (found.verdict, found.winner, found.conflict) == (COPY, side, None)
    again = judged(*marks, outside("new"), outside("new"), policy(rule))
    assert again.path == OUTSIDE


@pytest.mark.parametrize("rule", RULES)
def test_a_row_that_enters_is_inserted_where_it_is_not(rule):
    """Its first operation is an UPDATE, and the other side never had it: no conflict."""
    found = judged(exact("u"), CLEAN, row("in"), ABSENT, policy(rule))
    assert (found.verdict, found.winner, found.conflict) == (COPY, A, None)


@pytest.mark.parametrize("rule", RULES)
def test_a_row_that_enters_over_one_that_was_outside_leaves_an_entry(rule):
    """Nobody kept the two equal while they were outside, so what is overwritten may be somebody's change."""
    found = judged(exact(), CLEAN, row("in"), outside("other"), policy(rule))
    assert (found.verdict, found.winner, found.possible) == (COPY, A, True)
    assert found.conflict is ConflictKind.UPDATE_UPDATE


def test_both_changed_is_a_conflict_whether_the_filter_takes_the_rows_or_not():
    for a, b in ((outside("x"), row("y")), (row("x"), outside("y")), (row("x"), row("y"))):
        assert judged(exact(), exact(), a, b).verdict is HOLD
        assert judged(exact(), exact(), a, b, policy("prefer:b")).winner is B


def test_a_delete_travels_only_to_a_row_that_is_in_scope():
    assert judged(exact("d"), CLEAN, ABSENT, row("in")).winner is A
    assert judged(exact("d"), CLEAN, ABSENT, outside("out")).path == OUTSIDE


def test_leaving_the_filter_deletes_nothing():
    """Whatever is known: the row is there, so its state is what travels; an absence decides only where a row was deleted."""
    for a, b in itertools.product([CLEAN, exact(), inexact(), inexact(Reason.DDL)], repeat=2):
        for rule in RULES:
            found = judged(a, b, outside("x"), row("y"), policy(rule))
            assert found.verdict in {COPY, HOLD, Verdict.ALARM}
            assert found.conflict is not ConflictKind.PRESENCE_AMBIGUOUS


def test_where_no_side_changed_a_row_outside_is_no_explanation():
    assert judged(CLEAN, CLEAN, outside("x"), row("y")).verdict is Verdict.ALARM
    gap = judged(inexact(Reason.PURGED), CLEAN, row("in"), outside("y"))
    assert (gap.verdict, gap.conflict) == (HOLD, ConflictKind.DRIFT)


def test_one_way_the_source_decides_of_what_is_in_scope():
    to_b = policy(direction="a-to-b")
    assert judged(exact(), CLEAN, outside("x"), row("y"), to_b).winner is A
    entered = judged(exact(), CLEAN, row("x"), outside("y"), to_b)
    assert (entered.winner, entered.possible) == (A, True)
    baseline = judged(inexact(), inexact(), outside("x"), row("y"), to_b)
    assert (baseline.verdict, baseline.winner) == (COPY, A)
