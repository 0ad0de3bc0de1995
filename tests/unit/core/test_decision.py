"""
The decision, cell by cell: changed (exactly, inexactly, not) x rows x rule x modifiers x direction (conflicts.md §3-§5).

What deletes and what is journaled where history is unknown: test_decision_history.py; incarnations: test_decision_recreate.py.
"""

from __future__ import annotations

import decimal

import pytest

from syncer.core.decision import ConflictKind, RowFact, Verdict
from syncer.core.mark import Reason, SideMarks
from syncer.core.policy import RuleKind
from syncer.core.side import Direction, Side
from syncer.core.visibility import NOTHING
from tests.unit.core.facts import ABSENT, CLEAN, both, exact, inexact, judge, policy, row

K = ConflictKind
COPY, HOLD, EQUAL = Verdict.COPY, Verdict.HOLD, Verdict.EQUAL
RULES = ["hold", "prefer:a", "prefer:b", "newest:t", "oldest:t", "highest_version:v", "newest"]
A, B = Side.A, Side.B
CHANGES = {"none": CLEAN, "exact": exact(), "inexact": inexact(Reason.STATEMENT)}


# Rows equal


@pytest.mark.parametrize("fact", [row("same"), ABSENT])
@pytest.mark.parametrize("a", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("b", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("direction", list(Direction))
def test_equal_rows_are_equal_whoever_changed_them(a, b, fact, direction):
    """Also "converged / false_conflict" and "delete_delete": nothing to write, nothing to journal."""
    for rule in RULES:
        found = judge(a, b, fact, fact, policy(rule, direction=direction))
        assert (found.verdict, found.winner, found.conflict) == (EQUAL, None, None)


def test_the_rule_s_value_does_not_make_equal_rows_differ():
    assert judge(exact(), exact(), row("same", 1), row("same", 2)).verdict is EQUAL


# One side changed


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("side", [A, B])
@pytest.mark.parametrize("mine", [row("mine", 1), ABSENT])
@pytest.mark.parametrize("theirs", [row("theirs", 2), ABSENT])
@pytest.mark.parametrize("ops", ["i", "u", "d", "di", "id"])
def test_a_change_of_one_side_travels_whatever_the_rule(rule, side, mine, theirs, ops):
    if mine == theirs or (not theirs.present and ops[0] != "i"):
        return
    marks, rows = (exact(ops), CLEAN), (mine, theirs)
    if side is B:
        marks, rows = marks[::-1], rows[::-1]
    found = judge(*marks, *rows, policy(rule))
    assert (found.verdict, found.winner, found.conflict, found.possible) == (
        COPY,
        side,
        None,
        False,
    )


@pytest.mark.parametrize("reason", [*Reason, None])
def test_an_inexact_change_of_one_side_travels_where_its_row_is_there(reason):
    """The rows were equal before, so the marked side did change."""
    for other in (row("b"),) if reason is Reason.CASCADE else (row("b"), ABSENT):
        found = judge(inexact(reason), CLEAN, row("a"), other)
        assert (found.verdict, found.winner, found.conflict) == (COPY, A, None)


@pytest.mark.parametrize("reason", [*Reason, None])
def test_an_inexact_absence_deletes_only_where_an_event_said_so(reason):
    found = judge(inexact(reason), CLEAN, ABSENT, row("b"))
    if reason in {Reason.TRUNCATE, Reason.STATEMENT, Reason.CASCADE}:
        assert (found.verdict, found.winner, found.conflict) == (COPY, A, None)
    else:
        assert (found.verdict, found.conflict) == (HOLD, K.PRESENCE_AMBIGUOUS)


# INV-7: exact against inexact


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("reason", [*Reason, None])
@pytest.mark.parametrize("winner", [A, B])
def test_the_exactly_changed_side_wins_whatever_the_rule(rule, reason, winner):
    marks = [exact("u"), inexact(reason)]
    if winner is B:
        marks.reverse()
    found = judge(*marks, row("a", 1), row("b", 2), policy(rule))
    assert (found.verdict, found.winner) == (COPY, winner)
    assert (found.conflict, found.possible, found.rule) == (K.UPDATE_UPDATE, True, "exact_history")


def test_an_exact_change_beats_another_that_is_inexact_too():
    """A covers its exact mark with an inexact one: it is exactly changed."""
    found = judge(both(exact(), inexact()), inexact(), row("a"), row("b"))
    assert (found.winner, found.possible) == (A, True)


def test_a_new_row_under_a_baseline_is_no_conflict():
    found = judge(exact("i"), inexact(), row("a"), ABSENT)
    assert (found.verdict, found.winner, found.conflict) == (COPY, A, None)
    found = judge(exact("i"), inexact(), row("a"), row("b"))
    assert (found.winner, found.conflict, found.possible) == (A, K.INSERT_INSERT, True)


def test_an_update_against_an_unknown_absence_restores_the_row_and_says_so():
    found = judge(exact("u"), inexact(Reason.STATEMENT), row("a"), ABSENT)
    assert (found.winner, found.conflict, found.possible) == (A, K.UPDATE_DELETE, True)


# Both exactly changed: the table of conflicts.md §4

ROWS = {
    "live/live": (row("a", 1), row("b", 2)),
    "absent/live": (ABSENT, row("b", 2)),
    "live/absent": (row("a", 1), ABSENT),
}
LIVE, A_GONE, B_GONE = ROWS
HELD = (HOLD, None)
TABLE = [
    # rule, modifiers, rows, (verdict, winner), path
    ("hold", {}, LIVE, HELD, "rule"),
    ("hold", {}, A_GONE, HELD, "rule"),
    ("hold", {"on_delete": "delete_wins"}, A_GONE, HELD, "rule"),
    ("prefer:a", {}, LIVE, (COPY, A), "rule"),
    ("prefer:a", {}, A_GONE, (COPY, A), "rule"),
    ("prefer:a", {}, B_GONE, (COPY, A), "rule"),
    ("prefer:b", {}, LIVE, (COPY, B), "rule"),
    ("prefer:b", {"on_delete": "delete_wins"}, A_GONE, (COPY, B), "rule"),
    ("prefer:b", {}, B_GONE, (COPY, B), "rule"),
    *(
        (rule, modifiers, rows, expected, path)
        for rule, greater in (
            ("newest:t", True),
            ("oldest:t", False),
            ("highest_version:v", True),
            ("lowest_version:v", False),
        )
        for modifiers, rows, expected, path in (
            ({}, LIVE, (COPY, B if greater else A), "rule"),
            ({"on_delete": "update_wins"}, A_GONE, (COPY, B), "on_delete"),
            ({"on_delete": "update_wins"}, B_GONE, (COPY, A), "on_delete"),
            ({"on_delete": "delete_wins"}, A_GONE, (COPY, A), "on_delete"),
            ({"on_delete": "delete_wins"}, B_GONE, (COPY, B), "on_delete"),
            ({"on_delete": "hold"}, A_GONE, HELD, "on_delete"),
            ({"on_delete": "hold"}, B_GONE, HELD, "on_delete"),
            ({}, A_GONE, HELD, "on_delete"),
        )
    ),
    ("newest", {"on_delete": "update_wins"}, A_GONE, (COPY, B), "on_delete"),
    ("newest", {"on_delete": "delete_wins"}, A_GONE, (COPY, A), "on_delete"),
    ("newest", {"on_delete": "hold"}, A_GONE, HELD, "on_delete"),
    ("oldest", {"on_delete": "hold"}, LIVE, (COPY, A), "rule"),
]


@pytest.mark.parametrize(("rule", "modifiers", "rows", "expected", "path"), TABLE)
def test_two_exact_changes_follow_the_rule(rule, modifiers, rows, expected, path):
    ops = {ABSENT: "d"}
    facts = ROWS[rows]
    marks = [exact(ops.get(fact, "u"), commit_us=1_500_000 + at) for at, fact in enumerate(facts)]
    found = judge(*marks, *facts, policy(rule, **modifiers))
    assert ((found.verdict, found.winner), found.path) == (expected, path)
    assert found.conflict is (K.UPDATE_UPDATE if rows == LIVE else K.UPDATE_DELETE)
    assert not found.possible


@pytest.mark.parametrize("presence", ["copy", "hold"])
@pytest.mark.parametrize("rule", RULES)
def test_presence_has_no_say_where_history_is_known(rule, presence):
    full = {"on_delete": "update_wins", "on_tie": "a", "on_null": "lose"}
    one = judge(exact("d"), exact(), ABSENT, row("b", 2), policy(rule, presence=presence, **full))
    assert one == judge(exact("d"), exact(), ABSENT, row("b", 2), policy(rule, **full))


@pytest.mark.parametrize(
    ("ops", "rows", "kind"),
    [
        (("i", "i"), LIVE, K.INSERT_INSERT),
        (("iu", "iu"), LIVE, K.INSERT_INSERT),
        (("u", "u"), LIVE, K.UPDATE_UPDATE),
        (("u", "d"), B_GONE, K.UPDATE_DELETE),
        (("ud", "uu"), A_GONE, K.UPDATE_DELETE),
        (("id", "i"), A_GONE, K.UPDATE_DELETE),
        (("di", "u"), LIVE, K.RECREATE),
        (("di", "d"), B_GONE, K.RECREATE),
        (("did", "u"), A_GONE, K.RECREATE),
        (("idi", "i"), LIVE, K.INSERT_INSERT),
    ],
)
def test_a_conflict_is_named_by_what_was_done_and_what_is_there(ops, rows, kind):
    found = judge(exact(ops[0]), exact(ops[1]), *ROWS[rows])
    assert (found.verdict, found.conflict) == (HOLD, kind)


# Ties, NULLs, zero dates


@pytest.mark.parametrize("rule", ["newest:t", "oldest:t", "highest_version:v", "lowest_version:v"])
@pytest.mark.parametrize(
    ("value", "path"), [(7, "tie"), ("2020-01-01 00:00:00.000000", "tie"), (None, "null")]
)
def test_equal_values_and_two_nulls_are_a_tie(rule, value, path):
    for on_tie, expected in (("a", (COPY, A)), ("b", (COPY, B)), ("hold", HELD), (None, HELD)):
        found = judge(
            exact(), exact(), row("a", value), row("b", value), policy(rule, on_tie=on_tie)
        )
        assert ((found.verdict, found.winner), found.path) == (expected, path)


def test_numbers_tie_whatever_their_scale():
    one, other = row("a", decimal.Decimal("1.50")), row("b", decimal.Decimal("1.5"))
    found = judge(exact(), exact(), one, other, policy("highest_version:v", on_tie="b"))
    assert (found.winner, found.path) == (B, "tie")


@pytest.mark.parametrize("rule", ["newest:t", "oldest:t", "highest_version:v", "lowest_version:v"])
@pytest.mark.parametrize("null_side", [A, B])
def test_a_null_never_wins(rule, null_side):
    """A zero date is read as None too (mysql/reader.py): one of them is a missing value, whatever the rule takes."""
    values = (None, 1) if null_side is A else (1, None)
    facts = row("a", values[0]), row("b", values[1])
    lose = judge(exact(), exact(), *facts, policy(rule, on_null="lose"))
    assert (lose.verdict, lose.winner, lose.path) == (COPY, null_side.other, "null")
    for on_null in ("hold", None):
        held = judge(exact(), exact(), *facts, policy(rule, on_null=on_null))
        assert (held.verdict, held.path) == (HOLD, "null")


@pytest.mark.parametrize(("rule", "winner"), [("newest:t", A), ("oldest:t", B)])
def test_times_compare_by_fraction_too(rule, winner):
    found = judge(
        exact(),
        exact(),
        row("a", "2020-01-01 00:00:00.000010"),
        row("b", "2020-01-01 00:00:00.000009"),
        policy(rule, on_tie="hold"),
    )
    assert found.winner is winner


# Commit times


def by_time(a_us, b_us, rule="newest", rows=LIVE, **modifiers):
    a, b = ROWS[rows]
    return judge(
        exact("u" if a.present else "d", commit_us=a_us),
        exact("u" if b.present else "d", commit_us=b_us),
        a,
        b,
        policy(rule, **{"on_tie": "hold", **modifiers}),
    )


S = 1_000_000


@pytest.mark.parametrize("rows", [LIVE, A_GONE, B_GONE])
@pytest.mark.parametrize(("rule", "winner"), [("newest", B), ("oldest", A)])
def test_without_a_column_commit_times_decide_deletes_too(rows, rule, winner):
    """The tombstone has a time, so on_delete may be left out: an update against a delete is a comparison."""
    found = by_time(100 * S + 1, 102 * S + 1, rule, rows)
    assert (found.verdict, found.winner, found.path) == (COPY, winner, "rule")
    assert found.rule == rule


def test_microseconds_decide_where_both_servers_give_them():
    assert by_time(100 * S + 1, 100 * S + 2).winner is B
    assert by_time(100 * S + 2, 100 * S + 2).path == "tie"


@pytest.mark.parametrize(
    ("a_us", "b_us", "path"),
    [
        (100 * S, 100 * S, "tie"),
        (100 * S, 101 * S, "tie"),
        (100 * S, 100 * S + 999_999, "tie"),
        (100 * S + 5, 101 * S, "tie"),
        (100 * S, 102 * S, "rule"),
        (100 * S, 101 * S + 1, "rule"),
    ],
)
def test_whole_seconds_tie_within_a_second(a_us, b_us, path):
    """MariaDB logs whole seconds: what is closer may have come in either order."""
    assert by_time(a_us, b_us).path == path
    assert by_time(b_us, a_us).path == path


@pytest.mark.parametrize("rows", [LIVE, A_GONE, B_GONE])
def test_a_tie_of_commit_times_follows_on_tie(rows):
    for on_tie, winner in (("a", A), ("b", B), ("hold", None)):
        assert by_time(100 * S, 100 * S, rows=rows, on_tie=on_tie).winner is winner


@pytest.mark.parametrize(("a_us", "b_us"), [(0, 5 * S + 1), (5 * S + 1, 0), (0, 0)])
def test_a_commit_time_that_is_not_known_is_not_compared(a_us, b_us):
    found = by_time(a_us, b_us, on_tie="a")
    assert (found.verdict, found.path) == (HOLD, "null")


# Unknown history on both sides


@pytest.mark.parametrize(
    ("rule", "expected", "path"),
    [
        ("hold", HELD, "rule"),
        ("prefer:a", (COPY, A), "rule"),
        ("prefer:b", (COPY, B), "rule"),
        ("newest:t", (COPY, B), "rule"),
        ("lowest_version:v", (COPY, A), "rule"),
        ("newest", HELD, "null"),
    ],
)
@pytest.mark.parametrize("reason", [Reason.BASELINE, Reason.PURGED])
def test_drift_of_two_live_rows_follows_the_rule(rule, expected, path, reason):
    """Commit times are those of events: of drift there is none."""
    found = judge(inexact(reason), inexact(), row("a", 1), row("b", 2), policy(rule))
    assert ((found.verdict, found.winner), found.path, found.conflict) == (expected, path, K.DRIFT)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("there", [A, B])
def test_a_baseline_copies_a_row_that_only_one_side_has(rule, there):
    rows = (row("a", 1), ABSENT) if there is A else (ABSENT, row("b", 1))
    found = judge(inexact(), inexact(), *rows, policy(rule, on_delete="delete_wins"))
    assert (found.verdict, found.winner, found.conflict) == (COPY, there, None)
    held = judge(inexact(), inexact(), *rows, policy(rule, presence="hold"))
    assert (held.verdict, held.conflict) == (HOLD, K.PRESENCE_AMBIGUOUS)


@pytest.mark.parametrize("reason", [*sorted(set(Reason) - {Reason.BASELINE}), None])
@pytest.mark.parametrize("gap", [A, B])
def test_after_a_gap_a_row_on_one_side_only_is_held(reason, gap):
    """The gap may hide a delete: copying would bring the row back."""
    marks = (inexact(reason), inexact()) if gap is A else (inexact(), inexact(reason))
    for rows in ((row("a"), ABSENT), (ABSENT, row("b"))):
        found = judge(*marks, *rows, policy(presence="copy"))
        assert (found.verdict, found.conflict) == (HOLD, K.PRESENCE_AMBIGUOUS)


# No marks, later marks, ambiguous marks (INV-5, INV-6)


@pytest.mark.parametrize("direction", list(Direction))
def test_a_difference_without_any_mark_is_an_alarm(direction):
    chosen = policy("prefer:a", direction=direction)
    for rows in ROWS.values():
        assert judge(CLEAN, CLEAN, *rows, chosen).verdict is Verdict.ALARM


@pytest.mark.parametrize("later", [exact(first=11), inexact(first=11), exact(first=11, last=99)])
def test_marks_after_the_rows_say_nothing_yet(later):
    for marks in ((later, CLEAN), (CLEAN, later), (later, later)):
        assert judge(*marks, row("a"), row("b")).verdict is Verdict.LATER
    found = judge(exact(), later, row("a"), row("b"))
    assert (found.verdict, found.winner, found.conflict) == (COPY, A, None)


@pytest.mark.parametrize("fact", [row("same"), ABSENT])
@pytest.mark.parametrize("later", [exact(first=11), inexact(first=11)])
def test_equal_rows_that_only_later_marks_speak_of_wait(fact, later):
    """There is nothing to clear yet: taken for done, the reconciler would read them again without a pause."""
    for marks in ((later, CLEAN), (CLEAN, later), (later, later)):
        assert judge(*marks, fact, fact).verdict is Verdict.LATER
    assert judge(exact(), later, fact, fact).verdict is EQUAL
    assert judge(CLEAN, CLEAN, fact, fact).verdict is EQUAL


LOWER, UPPER = 10, 13
SPREADS = [(first, last) for first in range(8, 17) for last in range(first, 17)]


@pytest.mark.parametrize(("first", "last"), SPREADS)
@pytest.mark.parametrize("make", [exact, inexact])
@pytest.mark.parametrize("side", [A, B])
def test_every_way_a_mark_can_lie_around_the_bounds(first, last, make, side):
    """INV-5. A folded mark stands for any number from its first to its last."""
    mark = make(first=first, last=last)
    marks = (mark, CLEAN) if side is A else (CLEAN, mark)
    found = judge(*marks, row("a"), row("b"), at=(LOWER, UPPER)).verdict
    may_lie_between = any(LOWER < seq <= UPPER for seq in range(first, last + 1))
    if may_lie_between:
        assert found is Verdict.AMBIGUOUS
    elif last <= LOWER:
        assert found is COPY
    else:
        assert first > UPPER
        assert found is Verdict.LATER


@pytest.mark.parametrize(("first", "last"), SPREADS)
def test_with_one_bound_nothing_is_ambiguous(first, last):
    """A locking read, or MariaDB's snapshot: L = U."""
    found = judge(exact(first=first, last=last), CLEAN, row("a"), row("b")).verdict
    assert found is (COPY if first <= 10 else Verdict.LATER)


def test_ambiguity_comes_before_everything():
    """Equal rows too: their marks would be cleared."""
    between = exact(first=11)
    for rows in (*ROWS.values(), (row("same"), row("same"))):
        for marks in ((between, CLEAN), (exact(), between), (CLEAN, between)):
            for direction in Direction:
                chosen = policy("prefer:a", direction=direction)
                assert judge(*marks, *rows, chosen, at=(10, 13)).verdict is Verdict.AMBIGUOUS


def test_an_inexact_mark_between_the_bounds_is_ambiguous_beside_an_exact_one_below():
    marks = both(exact(first=5), inexact(first=12))
    assert judge(marks, CLEAN, row("a"), row("b"), at=(10, 13)).verdict is Verdict.AMBIGUOUS


def test_bounds_are_each_side_s_own():
    found = judge(exact(first=12), exact(first=12), row("a"), row("b"), at=((20, 20), (5, 5)))
    assert (found.verdict, found.winner, found.conflict) == (COPY, A, None)


def test_a_read_that_proves_nothing_decides_nothing():
    for mark in (exact(first=0), inexact(first=0)):
        found = judge(mark, CLEAN, row("a"), row("b"), at=((NOTHING, 4), (0, 0)))
        assert found.verdict is Verdict.AMBIGUOUS


# One way


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("direction", [Direction.A_TO_B, Direction.B_TO_A])
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_one_way_the_source_decides_whatever_the_rule(rule, direction, rows):
    for a, b in ((exact(), CLEAN), (CLEAN, exact()), (exact(), exact())):
        found = judge(a, b, *rows, policy(rule, direction=direction, on_delete="hold"))
        assert (found.verdict, found.winner) == (COPY, direction.source)
        assert found.path == "direction"
        overwritten = exact() in ((b,) if direction is Direction.A_TO_B else (a,))
        assert (found.conflict is not None) is overwritten


def test_one_way_a_change_of_the_target_alone_is_drift():
    found = judge(CLEAN, exact(), row("a"), row("b"), policy(direction=Direction.A_TO_B))
    assert (found.conflict, found.possible) == (K.DRIFT, False)
    found = judge(exact(), exact(), row("a"), row("b"), policy(direction=Direction.A_TO_B))
    assert found.conflict is K.UPDATE_UPDATE


# TRUNCATE


def test_a_truncate_of_one_side_deletes_what_the_other_side_did_not_change():
    """The inexact mark of one side, and it says why: model README §6."""
    found = judge(inexact(Reason.TRUNCATE), CLEAN, ABSENT, row("b"))
    assert (found.verdict, found.winner) == (COPY, A)


def test_a_truncate_takes_no_row_that_the_other_side_changed():
    """truncate_dml: the exactly changed row wins and comes back, as a possible conflict."""
    for ops in ("i", "u", "di"):
        found = judge(inexact(Reason.TRUNCATE), exact(ops), ABSENT, row("b"))
        assert (found.verdict, found.winner) == (COPY, B)


@pytest.mark.parametrize(("on_truncate", "verdict"), [("hold", HOLD), ("halt", Verdict.HALT)])
@pytest.mark.parametrize("rule", ["hold", "prefer:a", "prefer:b", "newest then hold"])
def test_what_was_changed_and_truncated_away_may_wait_for_a_person(on_truncate, verdict, rule):
    chosen = policy(rule, on_truncate=on_truncate)
    gone = inexact(Reason.TRUNCATE)
    for truncated in (gone, both(exact("u"), gone)):
        for ops in ("u", "di"):
            found = judge(truncated, exact(ops), ABSENT, row("b"), chosen)
            assert (found.verdict, found.conflict) == (verdict, K.TRUNCATE_DML)
            found = judge(exact(ops), truncated, row("a"), ABSENT, chosen)
            assert (found.verdict, found.rule) == (verdict, f"on_truncate={on_truncate}")
    # What nobody changed goes, what was inserted since is new, a deleted row is gone anyway.
    assert judge(gone, CLEAN, ABSENT, row("b"), chosen).winner is A
    inserted = judge(gone, exact("i"), ABSENT, row("b"), chosen)
    assert inserted.verdict is COPY
    assert judge(gone, exact("d"), ABSENT, ABSENT, chosen).verdict is Verdict.EQUAL
    purged = judge(inexact(Reason.PURGED), exact("u"), ABSENT, row("b"), chosen)
    assert (purged.verdict, purged.conflict) == (COPY, K.UPDATE_DELETE)
    one_way = policy(rule, on_truncate=on_truncate, direction="a-to-b")
    assert judge(gone, exact("u"), ABSENT, row("b"), one_way).winner is A


def test_a_row_that_comes_back_after_a_truncate_is_journaled_as_such():
    found = judge(inexact(Reason.TRUNCATE), exact("u"), ABSENT, row("b"))
    assert (found.conflict, found.possible) == (K.TRUNCATE_DML, True)


def test_a_row_inserted_after_a_truncate_replaces_the_other_side_s():
    marks = both(exact("i", first=9), inexact(Reason.TRUNCATE, first=8))
    found = judge(marks, CLEAN, row("a"), row("b"))
    assert (found.verdict, found.winner, found.conflict) == (COPY, A, None)


def test_a_truncate_of_both_sides_holds_what_is_left():
    one = inexact(Reason.TRUNCATE)
    found = judge(one, one, row("a"), ABSENT)
    assert (found.verdict, found.conflict) == (HOLD, K.PRESENCE_AMBIGUOUS)


def test_rules_and_facts_are_described():
    assert [kind.compares for kind in RuleKind] == [True] * 4 + [False] * 14
    assert RowFact("x").present
    assert not ABSENT.present
    assert SideMarks() == CLEAN
