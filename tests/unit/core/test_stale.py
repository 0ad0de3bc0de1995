"""Versions and times that a change left alone, or set back, where the row is known that both agreed on."""

from __future__ import annotations

import pytest

from syncer.core.decision import RowFact, decide
from syncer.core.explain import explain
from syncer.core.lint import depends_on_timing
from syncer.core.mark import KeyMarks
from syncer.core.outcome import Around, Base, ConflictKind, Verdict
from syncer.core.side import SIDES, Direction, Side
from syncer.core.stale import stale_sides
from syncer.core.visibility import Horizon
from tests.unit.core.facts import AT, exact, policy

A, B = Side.A, Side.B
HOLD, COPY = Verdict.HOLD, Verdict.COPY
OLD, NEW = "2026-01-01 10:00:00", "2026-01-02 10:00:00"
OLDER = "2025-12-31 10:00:00"


def ask(rule, was, a, b, *, times=(2_000_001, 9_000_001), ops=("u", "u"), base="o", **modifiers):
    """Two rows of a note and the rule's column; their notes differ from the base's unless they are its text."""
    chosen = policy(rule, on_tie="hold", on_null="hold", on_delete="hold", base="keep", **modifiers)
    notes = (a[1], b[1]) if isinstance(a, tuple) else ("a", "b")
    values = [one[0] if isinstance(one, tuple) else one for one in (a, b)]
    rows = {
        side: RowFact(f"{note}{value}", (value,), cells=(note, str(value)))
        for side, note, value in zip(SIDES, notes, values, strict=True)
    }
    known = Base() if base is None else Base((base, str(was)), "", (was,))
    marks = KeyMarks(*(exact(op, commit_us=us) for op, us in zip(ops, times, strict=True)))
    return decide(marks, rows, dict.fromkeys(SIDES, Horizon(AT, AT)), chosen, Around(base=known))


@pytest.mark.parametrize(
    ("rule", "was", "a", "b", "expected"),
    [
        # both moved
        ("highest_version:v", 5, 7, 6, (COPY, A, "rule")),
        ("lowest_version:v", 5, 7, 6, (COPY, B, "rule")),
        ("newest:t", OLDER, OLD, NEW, (COPY, B, "rule")),
        # one stayed or went back, or both
        ("highest_version:v", 5, 6, 5, (HOLD, None, "stale")),
        ("highest_version:v", 5, 6, 4, (HOLD, None, "stale")),
        ("highest_version:v", 5, 5, 5, (HOLD, None, "stale")),
        ("lowest_version:v", 5, 6, 4, (HOLD, None, "stale")),
        ("highest_version:v then prefer:a", 5, 4, 6, (COPY, A, "rule")),
        ("newest:t", OLD, NEW, OLD, (COPY, B, "stale")),
        ("newest:t", OLD, NEW, OLDER, (COPY, B, "stale")),
        ("oldest:t", OLD, NEW, OLD, (COPY, A, "stale")),
        # its own NULLs are on_null's
        ("highest_version:v", 5, 6, None, (HOLD, None, "null")),
        ("highest_version:v", None, 6, 5, (COPY, A, "rule")),
        # a row that is again what both agreed on was not changed
        ("highest_version:v", 5, (6, "a"), (5, "o"), (COPY, A, "rule")),
        ("newest:t", OLD, (NEW, "a"), (OLD, "o"), (COPY, A, "rule")),
    ],
)
def test_a_value_that_did_not_move_forward_wins_nothing(rule, was, a, b, expected):
    found = ask(rule, was, a, b)
    assert (found.verdict, found.winner, found.path) == expected
    if expected[2] != "rule":
        assert found.rule.startswith(f"{rule}, stale on side") == (expected[2] == "stale")


@pytest.mark.parametrize("rule", ["highest_version:v", "newest:v"])
def test_without_a_base_values_are_compared_as_they_are(rule):
    found = ask(rule, 5, 6, 5, base=None)
    assert (found.winner, found.path) == (A, "rule")


def test_two_inserted_rows_have_nothing_to_be_stale_against():
    assert ask("highest_version:v", 9, 6, 5, ops=("i", "i")).winner is A


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((9_000_001, 2_000_001), (COPY, A, "stale")),
        ((5_000_001, 5_000_001), (HOLD, None, "tie")),
        ((0, 5_000_001), (HOLD, None, "stale")),
    ],
)
def test_commit_times_decide_in_the_place_of_a_stale_time(times, expected):
    found = ask("newest:t", OLD, NEW, OLDER, times=times)
    assert (found.verdict, found.winner, found.path) == expected
    assert "stale on side b" in found.rule


def test_the_stale_sides_are_named():
    rule = policy("newest:v").rule
    kept = Base(("o", "5"), "", (5,))
    rows = {side: RowFact(side, (5,), cells=(side, "5")) for side in SIDES}
    chosen = policy("newest:v")
    update = ConflictKind.UPDATE_UPDATE
    assert stale_sides(rule, update, rows, chosen, kept) == (A, B)
    assert stale_sides(rule, ConflictKind.RECREATE, rows, chosen, kept) == ()
    assert stale_sides(policy("newest").rule, update, rows, chosen, kept) == ()


def test_a_policy_that_keeps_bases_says_so():
    kept = policy("newest:v", on_tie="hold", on_delete="hold", on_null="hold", base="keep")
    auto = policy("newest:v", on_tie="hold", on_delete="hold", on_null="hold")
    assert kept.needs_base
    assert not auto.needs_base
    assert not policy("newest:v", base="keep", direction=Direction.A_TO_B).needs_base
    assert len(depends_on_timing(kept)) == len(depends_on_timing(auto)) + 1
    said = [(one.when, one.outcome) for one in explain(kept) if "update_update" in one.kinds]
    assert ("a change left v as it was, or set it back", "the later change stands") in said
    version = policy("highest_version:v then prefer:b", base="keep")
    said = [(one.when, one.outcome) for one in explain(version) if "update_update" in one.kinds]
    assert ("a change left v as it was, or set it back", "what side B has stands") in said
    assert not any("set it back" in one.when for one in explain(auto))
