"""Two new keys of one row: every rule's word about them, and what is no unit."""

from __future__ import annotations

import pytest

from syncer.core.decision import ConflictKind, Decision, Verdict
from syncer.core.keyunits import KIND, Half, decide_unit
from syncer.core.mark import KeyMarks, Reason
from syncer.core.outcome import ALONE, Answer, Around, RowFact, WrittenColumn
from syncer.core.side import SIDES, Side
from tests.unit.core.facts import ABSENT, CLEAN, both, exact, inexact, policy

A, B = Side


def half(side, *, value=1, commit_us=0, ops="i", decision=None, other=CLEAN, there=ABSENT, **more):
    marks = exact(ops, commit_us=commit_us)
    return Half(
        decision or Decision(verdict=Verdict.COPY, winner=side, path="one_sided"),
        KeyMarks(marks, other) if side is A else KeyMarks(other, marks),
        {side: RowFact(f"row of {side}", (value,), cells=(str(value),)), side.other: there},
        **more,
    )


def decide(rule, a=None, b=None, around=ALONE, **modifiers):
    chosen = policy(rule, **modifiers)
    halves = {A: half(A) if a is None else a, B: half(B) if b is None else b}
    return decide_unit(halves, chosen, around)


def outcome(found):
    """Both halves are decided alike, whatever that is."""
    assert set(found) == set(SIDES)
    assert found[A] == found[B]
    assert found[A].conflict is KIND
    return found[A].verdict, found[A].winner


HELD = (Verdict.HOLD, None)
WINS_A, WINS_B = (Verdict.COPY, A), (Verdict.COPY, B)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("prefer:a", WINS_A),
        ("prefer:b", WINS_B),
        ("newest then hold", WINS_B),
        ("oldest then hold", WINS_A),
        ("newest:v then hold", WINS_B),
        ("oldest:v then hold", WINS_A),
        ("highest_version:v then hold", WINS_B),
        ("lowest_version:v then hold", WINS_A),
        ("equals:v=2 then hold", WINS_B),
        ("matches:v=^1$ then hold", WINS_A),
        ("update_wins then hold", HELD),
        ("delete_wins then prefer:b", WINS_B),
        ("column_merge then hold", HELD),
        ("column_merge then prefer:b", WINS_B),
        ("delta:v then hold", HELD),
        ("max:v then hold", HELD),
        ("min:v then prefer:a", WINS_A),
        ("hold", HELD),
        ("halt", (Verdict.HALT, None)),
        ("skip", (Verdict.SKIP, None)),
    ],
)
def test_every_rule_compares_the_two_rows(rule, expected):
    """As two versions of one row, that no merging rule can make one key of (conflicts.md §4)."""
    a, b = half(A, value=1, commit_us=1_000_001), half(B, value=2, commit_us=9_000_001)
    around = Around(columns=(WrittenColumn("v"),))
    assert outcome(decide(rule, a, b, around, on_tie="hold", on_delete="hold")) == expected


@pytest.mark.parametrize("rule", ["keep_both:a then hold", "keep_both:b then hold"])
def test_kept_both_each_goes_its_way(rule):
    assert decide(rule) == {}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(winner=B), WINS_B),
        (Answer(leaves=True), WINS_A),
        (Answer(reason="no"), HELD),
        (Answer(row=("3",)), HELD),
    ],
)
def test_a_function_names_a_side_and_makes_no_row(answer, expected):
    asked = []

    def consult(_rule, kind):
        asked.append(kind)
        return answer

    found = decide("custom:m:f then prefer:a", around=Around(consult=consult))
    assert outcome(found) == expected
    assert asked == [ConflictKind.KEY_CHANGE_DIVERGENT]


def test_which_side_is_called_a_makes_no_difference():
    for rule in ("newest then hold", "highest_version:v then hold", "equals:v=2 then hold"):
        one = decide(
            rule,
            half(A, value=1, commit_us=1_000_001),
            half(B, value=2, commit_us=9_000_001),
            on_tie="hold",
            on_delete="hold",
        )
        other = decide(
            rule,
            half(A, value=2, commit_us=9_000_001),
            half(B, value=1, commit_us=1_000_001),
            on_tie="hold",
            on_delete="hold",
        )
        assert outcome(one)[1] is outcome(other)[1].other


@pytest.mark.parametrize(
    "b",
    [
        half(B, decision=Decision(verdict=Verdict.EQUAL)),
        half(B, decision=Decision(verdict=Verdict.COPY, winner=A)),
        half(B, decision=Decision(verdict=Verdict.COPY, winner=B, conflict=ConflictKind.DRIFT)),
        half(B, there=RowFact("x")),
        half(B, other=exact("d")),
        half(B, other=inexact(Reason.BASELINE)),
        Half(
            Decision(verdict=Verdict.COPY, winner=B),
            KeyMarks(CLEAN, both(exact("i"), inexact(Reason.PURGED))),
            {A: ABSENT, B: RowFact("row of b", (1,))},
        ),
        Half(
            Decision(verdict=Verdict.COPY, winner=B),
            KeyMarks(CLEAN, exact("id")),
            {A: ABSENT, B: ABSENT},
        ),
    ],
    ids=["equal", "other way", "conflict", "there", "touched there", "baseline", "gap", "gone"],
)
@pytest.mark.parametrize("rule", ["prefer:a", "hold"])
def test_what_is_no_plain_new_row_is_no_unit(b, rule):
    assert decide(rule, b=b) == {}


@pytest.mark.parametrize("verdict", [Verdict.AMBIGUOUS, Verdict.LATER])
def test_what_one_half_lacks_both_wait_for(verdict):
    """INV-5: nothing of the unit is decided before all of it can be."""
    unread = half(B, decision=Decision(verdict=verdict))
    assert {side: one.verdict for side, one in decide("prefer:a", b=unread).items()} == {
        A: Verdict.LATER
    }
    assert decide("prefer:a", half(A, decision=Decision(verdict=verdict)), unread) == {}


def test_a_half_that_is_a_person_s_holds_the_other_one():
    """Answered, or held for another reason: whoever decides about it decides about its row."""
    large = half(B, decision=Decision(verdict=Verdict.HOLD, conflict=ConflictKind.APPLY_ERROR))
    for b in (half(B, taken=True), large):
        (found,) = decide("prefer:a", b=b).items()
        assert (found[0], found[1].verdict, found[1].conflict) == (A, Verdict.HOLD, KIND)
    assert decide("prefer:a", half(A, taken=True), half(B, taken=True)) == {}
    assert decide("prefer:a", half(A, taken=True), large) == {}
