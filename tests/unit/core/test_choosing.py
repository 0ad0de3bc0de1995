"""
Every kind of conflict under every rule that needs no base row: the table of conflicts.md §4, cell by cell.

The comparing rules, their ties, NULLs and commit times: test_decision.py.
"""

from __future__ import annotations

import pytest

from syncer.core.decision import Around, ConflictKind, decide
from syncer.core.mark import KeyMarks
from syncer.core.outcome import Answer, Verdict
from syncer.core.side import Side
from syncer.core.visibility import Horizon
from tests.unit.core.facts import ABSENT, exact, inexact, judge, policy, row

A, B = Side.A, Side.B
K = ConflictKind
COPY = Verdict.COPY
HELD = (Verdict.HOLD, None)
EU, US = row("x", "eu"), row("y", "us")

CELLS = {
    # name: marks of a and b, rows of a and b, kind
    "insert_insert": (exact("i"), exact("i"), EU, US, K.INSERT_INSERT),
    "update_update": (exact("u"), exact("u"), EU, US, K.UPDATE_UPDATE),
    "update_delete": (exact("u"), exact("d"), EU, ABSENT, K.UPDATE_DELETE),
    "delete_update": (exact("d"), exact("u"), ABSENT, US, K.UPDATE_DELETE),
    "recreate_update": (exact("di"), exact("u"), EU, US, K.RECREATE),
    "update_recreate": (exact("u"), exact("di"), EU, US, K.RECREATE),
    "recreate_delete": (exact("di"), exact("d"), EU, ABSENT, K.RECREATE),
    "recreate_recreate": (exact("di"), exact("di"), EU, US, K.RECREATE),
    "drift": (inexact(), inexact(), EU, US, K.DRIFT),
}
LIVE = ("insert_insert", "update_update", "recreate_recreate", "drift")

TABLE = [
    *(
        (rule, cell, (verdict, None), "rule")
        for cell in CELLS
        for rule, verdict in (
            ("hold", Verdict.HOLD),
            ("halt", Verdict.HALT),
            ("skip", Verdict.SKIP),
        )
    ),
    *(("prefer:a", cell, (COPY, A), "rule") for cell in CELLS),
    *(("prefer:b", cell, (COPY, B), "rule") for cell in CELLS),
    # update_wins and delete_wins: exactly one side absent
    ("update_wins", "update_delete", (COPY, A), "rule"),
    ("update_wins", "delete_update", (COPY, B), "rule"),
    ("update_wins", "recreate_delete", (COPY, A), "rule"),
    ("delete_wins", "update_delete", (COPY, B), "rule"),
    ("delete_wins", "delete_update", (COPY, A), "rule"),
    ("delete_wins", "recreate_delete", (COPY, A), "incarnation"),
    *(
        (f"{rule}_wins", cell, (COPY, side), "incarnation")
        for rule in ("update", "delete")
        for cell, side in (
            ("recreate_update", A),
            ("update_recreate", B),
        )
    ),
    *((f"{rule}_wins", cell, HELD, "rule") for rule in ("update", "delete") for cell in LIVE),
    # equals and matches
    *(
        (rule, cell, (COPY, A), "rule")
        for rule in ("equals:region=eu", "matches:region=^e")
        for cell in (*LIVE, "recreate_update", "update_recreate")
    ),
    *(("equals:region=us", cell, (COPY, B), "rule") for cell in LIVE),
    *(
        (rule, cell, HELD, "rule")
        for rule in ("equals:region=uk", "matches:region=.")
        for cell in LIVE
    ),
    *(
        ("equals:region=eu", cell, HELD, "on_delete")
        for cell in ("update_delete", "delete_update", "recreate_delete")
    ),
    # keep_both
    *(("keep_both:a", cell, (COPY, A), "rule") for cell in LIVE if cell != "update_update"),
    *(("keep_both:b", cell, (COPY, B), "rule") for cell in LIVE if cell != "update_update"),
    *(
        ("keep_both:a", cell, HELD, "rule")
        for cell in ("update_update", "recreate_update", "update_recreate")
    ),
    *(("keep_both:a", cell, HELD, "on_delete") for cell in ("update_delete", "recreate_delete")),
]


@pytest.mark.parametrize(("rule", "cell", "expected", "path"), TABLE)
def test_a_cell_has_its_outcome(rule, cell, expected, path):
    *facts, kind = CELLS[cell]
    found = judge(*facts, policy(rule))
    assert ((found.verdict, found.winner), found.path, found.conflict) == (expected, path, kind)
    assert found.rule
    assert found.keeps == (rule.startswith("keep_both") and found.verdict is COPY)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "open_rule",
    [
        "update_wins",
        "delete_wins",
        "equals:region=uk",
        "matches:region=.",
        "keep_both:a",
        "custom:m:f",
    ],
)
def test_what_a_rule_leaves_open_goes_to_the_next(cell, open_rule):
    *facts, _ = CELLS[cell]
    alone = judge(*facts, policy(open_rule))
    chained = judge(*facts, policy(f"{open_rule} then prefer:b"))
    if alone.verdict is Verdict.HOLD:
        assert (chained.verdict, chained.winner, chained.rule) == (COPY, B, "prefer:b")
    else:
        assert chained == alone


@pytest.mark.parametrize(
    ("a", "b", "marks", "modifier", "value", "rule"),
    [
        (row("x", 7), row("y", 7), "uu", "on_tie", "a", "on_tie=a"),
        (row("x", None), row("y", 7), "uu", "on_null", "lose", "on_null=lose"),
        (row("x", 7), ABSENT, "ud", "on_delete", "update_wins", "on_delete=update_wins"),
    ],
)
def test_a_modifier_goes_before_the_next_rule(a, b, marks, modifier, value, rule):
    facts = exact(marks[0]), exact(marks[1]), a, b
    assert judge(*facts, policy("newest:t then prefer:b")).rule == "prefer:b"
    assert judge(*facts, policy("newest:t then prefer:b", **{modifier: value})).rule == rule
    held = judge(*facts, policy("newest:t then prefer:b", **{modifier: "hold"}))
    assert (held.verdict, held.rule) == (Verdict.HOLD, f"{modifier}=hold")


def test_a_commit_time_that_is_not_known_goes_to_the_next_rule():
    found = judge(inexact(), inexact(), EU, US, policy("newest then prefer:b"))
    assert (found.verdict, found.winner, found.rule) == (COPY, B, "prefer:b")


def test_each_rule_reads_its_own_column():
    chain = policy("newest:t then highest_version:v then lowest_version:T then prefer:b")
    assert chain.columns == ("t", "v")
    found = judge(exact(), exact(), row("x", 5, 2), row("y", 5, 1), chain)
    assert (found.winner, found.rule) == (A, "highest_version:v")
    found = judge(exact(), exact(), row("x", 5, 2), row("y", 5, 2), chain)
    assert (found.winner, found.rule) == (B, "prefer:b")


def test_the_last_reason_is_the_one_that_is_journaled():
    found = judge(
        exact(), exact(), row("x", "eu", 1), row("y", "us", 1), policy("equals:r=uk then newest:t")
    )
    assert (found.verdict, found.rule, found.path) == (Verdict.HOLD, "on_tie=hold", "tie")


def asked(answer, rule="custom:m:f", cell="update_update"):
    a, b, row_a, row_b, _ = CELLS[cell]
    seen = []

    def consult(rule, kind):
        seen.append((str(rule), kind))
        return answer

    found = decide(
        KeyMarks(a, b),
        {A: row_a, B: row_b},
        {A: Horizon(10, 10), B: Horizon(10, 10)},
        policy(rule),
        Around(consult=consult),
    )
    return found, seen


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("winner", [A, B])
def test_a_function_may_choose_in_every_cell(cell, winner):
    found, seen = asked(Answer(winner=winner), cell=cell)
    assert (found.verdict, found.winner, found.path) == (COPY, winner, "custom")
    assert seen == [("custom:m:f", CELLS[cell][-1])]


@pytest.mark.parametrize("cell", LIVE)
def test_a_function_may_make_a_third_row(cell):
    found, _ = asked(Answer(row=("third",)), cell=cell)
    assert (found.verdict, found.winner, found.path) == (COPY, B, "custom")
    assert (found.merged, found.rule) == (("third",), "custom:m:f")


def test_a_function_that_fails_holds_the_row_with_its_reason():
    for reason, shown in (("no answer within 1 s", "no answer within 1 s"), ("", "hold")):
        found, _ = asked(Answer(reason=reason), "custom:m:f then prefer:a")
        assert (found.verdict, found.rule, found.path) == (
            Verdict.HOLD,
            f"custom:m:f: {shown}",
            "custom",
        )


def test_a_function_may_leave_it_to_the_next_rule():
    found, _ = asked(Answer(leaves=True), "custom:m:f then prefer:a")
    assert (found.winner, found.rule) == (A, "prefer:a")
    held, _ = asked(Answer(leaves=True))
    assert (held.verdict, held.path) == (Verdict.HOLD, "custom")


def test_a_function_is_asked_about_conflicts_only():
    a, b = exact("u"), inexact()
    calls = []
    around = Around(consult=lambda *what: calls.append(what) or Answer(winner=A))
    horizons = {A: Horizon(10, 10), B: Horizon(10, 10)}
    for rows in ({A: EU, B: EU}, {A: EU, B: US}):
        decide(KeyMarks(a, b), rows, horizons, policy("custom:m:f"), around)
    assert calls == []
