"""Nothing is deleted on a guess, and nothing that is overwritten goes unrecorded (INV-6, conflicts.md §4)."""

from __future__ import annotations

import itertools

import pytest

from syncer.core.decision import ConflictKind, Verdict
from syncer.core.mark import Reason
from syncer.core.side import Direction, Side
from tests.unit.core.facts import ABSENT, CLEAN, both, exact, inexact, judge, policy, row

TOLD = {Reason.TRUNCATE, Reason.STATEMENT, Reason.CASCADE}


def test_an_alarm_s_marks_are_no_history():
    """Marks of an alarm and of unknown own batches carry no reason: a delete may hide behind them."""
    found = judge(inexact(None), inexact(None), row("1"), ABSENT)
    assert (found.verdict, found.conflict) == (Verdict.HOLD, ConflictKind.PRESENCE_AMBIGUOUS)


@pytest.mark.parametrize("other", [CLEAN, inexact(), inexact(Reason.PURGED)])
@pytest.mark.parametrize("reason", [*sorted(set(Reason) - TOLD - {Reason.BASELINE}), None])
def test_one_way_deletes_nothing_after_a_gap(reason, other):
    found = judge(inexact(reason), other, ABSENT, row("b"), policy(direction=Direction.A_TO_B))
    assert (found.verdict, found.conflict) == (Verdict.HOLD, ConflictKind.PRESENCE_AMBIGUOUS)


def test_one_way_the_source_decides_at_the_baseline_and_the_loser_is_journaled():
    """A row of the target alone goes, unless presence says hold."""
    marks = (inexact(), inexact())
    found = judge(*marks, ABSENT, row("b"), policy(direction=Direction.A_TO_B))
    assert (found.verdict, found.winner) == (Verdict.COPY, Side.A)
    assert found.conflict is ConflictKind.PRESENCE_AMBIGUOUS
    held = judge(*marks, ABSENT, row("b"), policy(direction=Direction.A_TO_B, presence="hold"))
    assert held.verdict is Verdict.HOLD


@pytest.mark.parametrize("reason", sorted(TOLD))
def test_one_way_follows_an_event_that_empties_the_source(reason):
    found = judge(inexact(reason), CLEAN, ABSENT, row("b"), policy(direction=Direction.A_TO_B))
    assert (found.verdict, found.winner) == (Verdict.COPY, Side.A)


@pytest.mark.parametrize("direction", [Direction.A_TO_B, Direction.B_TO_A])
@pytest.mark.parametrize(
    ("source", "target", "possible"),
    [
        (CLEAN, exact(), False),
        (exact(), exact(), False),
        (inexact(), exact(), False),
        (inexact(), inexact(), True),
        (exact(), inexact(), True),
        (CLEAN, inexact(Reason.STATEMENT), True),
    ],
)
def test_one_way_journals_what_it_overwrites(direction, source, target, possible):
    chosen = policy(direction=direction)
    marks = (source, target) if direction is Direction.A_TO_B else (target, source)
    found = judge(*marks, row("a"), row("b"), chosen)
    assert (found.verdict, found.winner) == (Verdict.COPY, direction.source)
    assert found.conflict is not None
    assert found.possible is possible


def test_one_way_writes_no_entry_for_the_ordinary_copy():
    chosen = policy(direction=Direction.A_TO_B)
    for source, target_row in ((exact(), row("b")), (exact("i"), ABSENT), (inexact(), ABSENT)):
        target = inexact() if target_row is ABSENT else CLEAN
        found = judge(source, target, row("a"), target_row, chosen)
        assert (found.verdict, found.conflict) == (Verdict.COPY, None)


def test_a_row_that_came_and_went_says_nothing_of_the_other_side_s_row():
    """A inserted and deleted its own row: B's row, which no stream told of, was not what it deleted."""
    found = judge(exact("id"), inexact(), ABSENT, row("b"))
    assert (found.verdict, found.winner, found.rule) == (Verdict.COPY, Side.B, "presence=copy")
    found = judge(exact("id"), inexact(Reason.STATEMENT), ABSENT, row("b"))
    assert found.verdict is Verdict.HOLD


def test_a_delete_of_an_agreed_row_wins_over_unknown_history():
    for ops in ("d", "ud", "did"):
        found = judge(exact(ops), inexact(), ABSENT, row("b"))
        assert (found.verdict, found.winner, found.possible) == (Verdict.COPY, Side.A, True)


MARKS = [
    CLEAN,
    exact(),
    exact("i"),
    exact("d"),
    exact("id"),
    exact("di"),
    *(inexact(reason) for reason in (*Reason, None)),
    both(exact("d"), inexact()),
]


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("presence", ["copy", "hold"])
@pytest.mark.parametrize("rule", ["hold", "prefer:a", "newest:t", "newest"])
def test_no_deletion_without_exact_history_or_an_event_that_says_so(direction, presence, rule):
    chosen = policy(
        rule, direction=direction, presence=presence, on_delete=None, on_tie="a", on_null="lose"
    )
    for a, b in itertools.product(MARKS, MARKS):
        found = judge(a, b, ABSENT, row("b", "2020"), chosen)
        if found.verdict is not Verdict.COPY or found.winner is not Side.A:
            continue
        known = a.exact is not None or b.exact is not None
        by_source = direction is Direction.A_TO_B and presence == "copy" and found.conflict
        # A cascade changed B's row, so A had it too, and it went without an event: a conflict that the rule decided.
        unseen = b.reason is Reason.CASCADE and found.conflict
        assert known or a.reason in TOLD or by_source or unseen, (a, b)


def test_a_changed_row_that_only_one_side_ever_had_is_no_conflict_at_the_baseline():
    """As an unchanged one is none (presence=copy): the other side is only about to be filled."""
    found = judge(exact(), inexact(Reason.BASELINE), row("1"), ABSENT)
    assert (found.verdict, found.winner, found.conflict) == (Verdict.COPY, Side.A, None)
    for marks, chosen in (
        (inexact(Reason.PURGED), policy()),
        (inexact(Reason.BASELINE), policy(presence="hold")),
    ):
        assert judge(exact(), marks, row("1"), ABSENT, chosen).conflict is not None
    assert judge(exact(), inexact(Reason.BASELINE), row("1"), row("2")).conflict is not None
