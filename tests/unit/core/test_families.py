"""What ``on_fk`` makes of a child and its deleted parent: every cell of (stand, word), and what may be turned round."""

from __future__ import annotations

import itertools

import pytest

from syncer.core.decision import ConflictKind, Decision, Verdict
from syncer.core.families import (
    Course,
    Kin,
    Stand,
    Turn,
    course,
    deletes,
    is_new,
    passed_down,
    passed_on,
    stand_of,
    turned,
    word_of,
)
from syncer.core.mark import KeyMarks, Reason
from syncer.core.policy import OnFk
from syncer.core.side import Side
from tests.unit.core.facts import CLEAN, both, exact, inexact, policy

HOLD, WAIT, RESTORE, DROP = Course
WORDS = (None, *OnFk)


@pytest.mark.parametrize(
    ("word", "expected"),
    [("hold", HOLD), ("restore_parent", RESTORE), ("drop_child", DROP), ("cascade", DROP)],
)
def test_every_word_has_its_course(word, expected):
    """The kinds fk_child_exists and fk_parent_missing, by on_fk: one table for both, since they are one family."""
    kin = Kin(OnFk(word), Stand.WANTS)
    assert course([kin]) is expected
    assert course([kin, kin]) is expected


@pytest.mark.parametrize("word", OnFk)
def test_what_is_not_refused_for_want_of_a_parent_is_never_decided(word):
    assert course([Kin(word, Stand.STAYS)]) is HOLD
    assert course([Kin(word, Stand.GOES)]) is WAIT
    assert course([Kin(word, Stand.WAITS)]) is WAIT


def test_of_several_children_the_least_counts():
    """A person, then waiting, then the parent's return: no child goes where one of them may bring the parent back."""
    kin = [Kin(word, stand) for word in OnFk for stand in Stand]
    for one, other in itertools.product(kin, kin):
        assert course([one, other]) is min(course([one]), course([other]))
    assert course([]) is WAIT


@pytest.mark.parametrize("word", OnFk)
@pytest.mark.parametrize("stand", Stand)
def test_what_stands_in_the_way_of_a_child_that_goes_goes_too_or_holds_all(word, stand):
    found = course([Kin(OnFk.DROP_CHILD, Stand.WANTS)], [Kin(word, stand)])
    alone = course([Kin(word, stand)])
    assert found is (HOLD if alone is RESTORE else alone)
    # Where nothing goes, nobody looks at what is below.
    restored = course([Kin(OnFk.RESTORE_PARENT, Stand.WANTS)], [Kin(word, stand)])
    assert restored is RESTORE


@pytest.mark.parametrize("parent", WORDS)
@pytest.mark.parametrize("child", WORDS)
def test_the_child_s_table_says_it_else_the_parent_s_else_it_is_held(child, parent):
    found = word_of(policy(on_fk=child), passed_on(policy(on_fk=parent)))
    if child is not None:
        assert found is OnFk(child)
    elif parent in {OnFk.RESTORE_PARENT, OnFk.CASCADE}:
        assert found is OnFk(parent)
    else:
        assert found is OnFk.HOLD


def test_only_a_cascade_goes_down_further():
    assert {word: passed_down(word) for word in OnFk} == {
        **dict.fromkeys(OnFk),
        OnFk.CASCADE: OnFk.CASCADE,
    }


A, B = Side
GONE = exact("d")
GAP = inexact(Reason.PURGED, 3)
UNSEEN = inexact(Reason.CASCADE, 3)


@pytest.mark.parametrize(
    ("mine", "theirs", "refused", "expected"),
    [
        (exact("i"), CLEAN, True, Stand.WANTS),
        (exact("u"), GONE, True, Stand.WANTS),
        (exact("u"), UNSEEN, True, Stand.WANTS),
        (exact("i"), CLEAN, False, Stand.WAITS),
        (exact("u"), GAP, True, Stand.WAITS),
        (both(exact("u"), GAP), CLEAN, True, Stand.WAITS),
        (GAP, CLEAN, True, Stand.WAITS),
        (CLEAN, GONE, False, Stand.GOES),
        (CLEAN, UNSEEN, False, Stand.GOES),
        (CLEAN, both(GONE, GAP), False, Stand.WAITS),
        (CLEAN, exact("u"), False, Stand.WAITS),
        (CLEAN, CLEAN, False, Stand.STAYS),
        (CLEAN, CLEAN, True, Stand.STAYS),
    ],
)
@pytest.mark.parametrize("here", Side)
def test_how_it_is_with_a_child(mine, theirs, refused, expected, here):
    marks = KeyMarks(mine, theirs) if here is A else KeyMarks(theirs, mine)
    assert stand_of(here, marks, refused=refused, turned=None) is expected
    # What is decided about it already says so itself.
    assert stand_of(here, marks, refused=refused, turned=here) is Stand.WANTS
    assert stand_of(here, marks, refused=refused, turned=here.other) is Stand.GOES


def test_a_delete_is_what_an_event_or_a_foreign_key_said_without_a_gap():
    told = [exact("d"), exact("ud"), both(exact("d"), UNSEEN), UNSEEN]
    untold = [CLEAN, exact("u"), exact("di"), GAP, both(exact("d"), GAP), both(exact("u"), UNSEEN)]
    assert [deletes(marks) for marks in told + untold] == [True] * 4 + [False] * 6


def test_a_child_is_new_where_the_other_side_has_none():
    assert is_new(A, KeyMarks(exact("iu"), CLEAN))
    assert is_new(A, KeyMarks(exact("u"), exact("d")))
    assert not is_new(A, KeyMarks(exact("u"), CLEAN))
    assert not is_new(A, KeyMarks(exact("u"), UNSEEN))


def turn(winner, here=A, digest="x"):
    return Turn(
        winner=winner,
        kind=ConflictKind.FK_PARENT_MISSING,
        word=OnFk.CASCADE,
        here=here,
        digest=digest,
        root=(1, 1),
    )


def copy(winner, **more):
    return Decision(verdict=Verdict.COPY, winner=winner, path="one_sided", **more)


def test_a_child_s_change_is_turned_round_and_journaled():
    found = turned(turn(B), copy(A), KeyMarks(exact("i"), CLEAN), "x")
    assert found == Decision(
        verdict=Verdict.COPY,
        winner=B,
        conflict=ConflictKind.FK_PARENT_MISSING,
        rule="on_fk=cascade",
        path="on_fk",
    )


@pytest.mark.parametrize("marks", [GONE, UNSEEN])
def test_a_parent_s_delete_is_turned_round_and_journaled(marks):
    found = turned(turn(A), copy(B), KeyMarks(CLEAN, marks), "x")
    assert (found.winner, found.verdict, found.rule) == (A, Verdict.COPY, "on_fk=cascade")


@pytest.mark.parametrize(
    ("of", "decision", "a", "b", "digest"),
    [
        (B, copy(B), exact("i"), CLEAN, "x"),
        (B, Decision(verdict=Verdict.EQUAL), exact("i"), CLEAN, "x"),
        (B, Decision(verdict=Verdict.HOLD), exact("u"), exact("u"), "x"),
        (B, copy(A, merged=("1",)), exact("u"), exact("u"), "x"),
        (B, copy(A, keeps=True), exact("i"), exact("i"), "x"),
        (B, copy(A), exact("i"), CLEAN, "y"),
        (B, copy(A), exact("i"), CLEAN, None),
        (B, copy(A), both(exact("i"), GAP), CLEAN, "x"),
        (B, copy(A), exact("u"), GAP, "x"),
        (B, copy(A), UNSEEN, CLEAN, "x"),
        (A, copy(B), CLEAN, exact("u"), "x"),
        (A, copy(B), CLEAN, both(exact("d"), GAP), "x"),
        (A, copy(B), CLEAN, inexact(Reason.TRUNCATE, 3), "x"),
    ],
    ids=[
        *("winner", "equal", "held", "merged", "kept", "changed", "gone"),
        *("gap", "gap there", "no event", "no delete", "gap in delete", "truncated"),
    ],
)
def test_whatever_is_not_known_exactly_stays_as_it_was_decided(of, decision, a, b, digest):
    assert turned(turn(of), decision, KeyMarks(a, b), digest) is None
