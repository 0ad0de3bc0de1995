"""A row that was deleted and inserted again is another incarnation (conflicts.md §4, recreate)."""

from __future__ import annotations

import pytest

from syncer.core.decision import ConflictKind, Verdict
from syncer.core.side import Side
from tests.unit.core.facts import ABSENT, exact, judge, policy, row

FULL = {"on_delete": "hold", "on_tie": "hold", "on_null": "hold"}


@pytest.mark.parametrize(
    ("rule", "winner"),
    [
        ("newest:t", Side.A),
        ("highest_version:v", Side.A),
        ("newest", Side.A),
        ("oldest:t", Side.B),
        ("lowest_version:v", Side.B),
        ("oldest", Side.B),
    ],
)
@pytest.mark.parametrize(("a", "b"), [(1, 7), (7, 1), (None, 7), (7, 7)])
def test_the_incarnation_is_compared_before_the_value(rule, winner, a, b):
    """A new row begins its version at 1: it does not lose to an update of the row that it replaced."""
    found = judge(
        exact("di", commit_us=3),
        exact("u", commit_us=9),
        row("a", a),
        row("b", b),
        policy(rule, **FULL),
    )
    assert (found.verdict, found.winner) == (Verdict.COPY, winner)
    assert (found.conflict, found.path) == (ConflictKind.RECREATE, "incarnation")


@pytest.mark.parametrize(("rule", "winner"), [("newest:t", Side.B), ("oldest:t", Side.A)])
def test_two_new_incarnations_are_compared_by_value(rule, winner):
    found = judge(exact("di"), exact("di"), row("a", 1), row("b", 2), policy(rule, **FULL))
    assert (found.winner, found.path) == (winner, "rule")


@pytest.mark.parametrize(
    ("on_delete", "verdict"),
    [("delete_wins", Verdict.COPY), ("update_wins", Verdict.COPY), ("hold", Verdict.HOLD)],
)
@pytest.mark.parametrize("ops", ["di", "i"])
def test_a_delete_never_takes_a_row_that_it_did_not_see(ops, on_delete, verdict):
    """The delete was of the row before, or of the deleting side's own: the new one survives."""
    gone = exact("id") if ops == "i" else exact("d")
    found = judge(
        exact(ops), gone, row("a", 1), ABSENT, policy("newest:t", on_delete=on_delete, on_tie="a")
    )
    assert found.verdict is verdict
    assert found.winner is (Side.A if verdict is Verdict.COPY else None)


def test_a_delete_of_the_new_incarnation_s_line_follows_on_delete():
    """A deleted, inserted and deleted again; B only updated: that is an update against a delete."""
    found = judge(
        exact("did"),
        exact("u"),
        ABSENT,
        row("b", 1),
        policy("newest:t", on_delete="delete_wins", on_tie="a"),
    )
    assert found.winner is Side.A


def test_rows_new_on_both_sides_are_two_inserts():
    """Insert, delete, insert of a key that did not exist is one insert to everybody else."""
    found = judge(exact("idi"), exact("i"), row("a", 1), row("b", 2), policy("newest:t", **FULL))
    assert (found.conflict, found.winner) == (ConflictKind.INSERT_INSERT, Side.B)
    found = judge(exact("idid"), exact("i"), ABSENT, row("b", 2), policy("newest:t", **FULL))
    assert found.conflict is ConflictKind.UPDATE_DELETE
