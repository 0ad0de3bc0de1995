"""A row that went, or was changed, by a foreign key without an event: what the decision makes of it (core/cascade.py)."""

from __future__ import annotations

import pytest

from syncer.core.decision import ConflictKind, Verdict
from syncer.core.mark import Reason
from syncer.core.side import Side
from tests.unit.core.facts import ABSENT, CLEAN, both, exact, inexact, judge, policy, row

A, B = Side.A, Side.B
CASCADE = inexact(Reason.CASCADE, first=5)


def seen(decision):
    return decision.verdict, decision.winner, decision.conflict


@pytest.mark.parametrize("rule", ["hold", "prefer:b", "newest"])
def test_a_row_that_a_cascade_deleted_goes_at_the_other_side_too(rule):
    assert seen(judge(CASCADE, CLEAN, ABSENT, row("b"), policy(rule))) == (Verdict.COPY, A, None)


def test_a_row_that_a_cascade_changed_travels():
    assert seen(judge(CASCADE, CLEAN, row("null"), row("b"))) == (Verdict.COPY, A, None)


@pytest.mark.parametrize("mark", [CASCADE, CLEAN], ids=["marked", "unmarked"])
@pytest.mark.parametrize("ops", ["u", "di"])
@pytest.mark.parametrize(
    ("modifiers", "winner"),
    [({}, None), ({"on_delete": "update_wins"}, B), ({"on_delete": "delete_wins"}, A)],
)
def test_a_row_deleted_here_unseen_and_changed_there_is_a_conflict(mark, ops, modifiers, winner):
    """It is never brought back for want of an event."""
    rule = policy("highest_version:v" if modifiers else "hold", **modifiers)
    found = judge(mark, exact(ops), ABSENT, row("b", 1), rule)
    if ops == "di":
        assert found.conflict is ConflictKind.RECREATE
        assert found.winner in {None, B}  # another row: the delete was not of it
        return
    assert found.conflict is ConflictKind.UPDATE_DELETE
    assert found.winner is winner
    assert (found.verdict is Verdict.HOLD) == (winner is None)


def test_a_new_row_of_a_parent_that_went_travels_and_meets_the_foreign_key():
    """Nothing was deleted: the key was not there when both agreed."""
    assert seen(judge(CASCADE, exact("i"), ABSENT, row("b"))) == (Verdict.COPY, B, None)


def test_a_cascade_that_changed_here_what_another_deleted_there_is_a_conflict():
    assert seen(judge(CASCADE, CLEAN, row("a"), ABSENT)) == (
        Verdict.HOLD,
        None,
        ConflictKind.UPDATE_DELETE,
    )


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.CASCADE}))
def test_a_gap_that_may_hide_the_delete_decides_as_before(reason):
    """Only history that is known to the last transaction proves that a row went unseen."""
    found = judge(inexact(reason), exact("u"), ABSENT, row("b"))
    assert (found.verdict, found.winner) == (Verdict.COPY, B)


def test_a_later_mark_is_no_explanation():
    found = judge(exact("d", first=11), exact("u"), ABSENT, row("b"))
    assert found.conflict is ConflictKind.UPDATE_DELETE


@pytest.mark.parametrize("mark", [inexact(), both(exact("d"), CASCADE)])
def test_what_is_known_to_have_gone_needs_no_proof(mark):
    assert judge(mark, CLEAN, ABSENT, row("b")).conflict in {
        None,
        ConflictKind.PRESENCE_AMBIGUOUS,
    }


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.CASCADE}))
def test_a_mark_that_may_hide_an_insert_is_no_proof_that_both_had_the_row(reason):
    """A statement inserted the row here, then it was updated: nobody has deleted it there."""
    rule = policy("highest_version:v", on_delete="delete_wins")
    hidden = both(exact("u", first=5), inexact(reason, first=4))
    assert seen(judge(hidden, CLEAN, row("a", 1), ABSENT, rule)) == (Verdict.COPY, A, None)
    later = both(exact("u", first=5), inexact(reason, first=6))
    assert judge(later, CLEAN, row("a", 1), ABSENT, rule).conflict is ConflictKind.UPDATE_DELETE


def test_a_cascade_hides_no_insert():
    hidden = both(exact("u", first=5), inexact(Reason.CASCADE, first=4))
    assert judge(hidden, CLEAN, row("a"), ABSENT).conflict is ConflictKind.UPDATE_DELETE
