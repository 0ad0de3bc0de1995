"""Rows made of two, cell by cell of the table in docs/conflicts.md."""

from __future__ import annotations

from decimal import Decimal

import pytest

from syncer.core.agreement import KeptRow, agreed
from syncer.core.decision import RowFact, decide
from syncer.core.mark import KeyMarks, Reason
from syncer.core.outcome import NO_BASE, Answer, Around, Base, ConflictKind, Verdict, WrittenColumn
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from tests.unit.core.facts import ABSENT, AT, CLEAN, both, exact, inexact, policy

COLUMNS = (
    WrittenColumn("id", key=True),
    WrittenColumn("n", Decimal(-100), Decimal(100)),
    WrittenColumn("m", Decimal("-9.99"), Decimal("9.99"), 2),
    WrittenColumn("x"),
    WrittenColumn("y"),
    WrittenColumn("z"),
)
BASE = ("1", "10", "1.00", "'x'", "'y'", "'z'")


def made(**changed):
    names = [column.name for column in COLUMNS]
    return tuple(changed.get(name, cell) for name, cell in zip(names, BASE, strict=True))


def ask(rule, a, b, base=BASE, *, marks=None, **modifiers):
    """Decide rows given as cells, or None; values of rule columns are read from the cells."""
    chosen = policy(rule, **modifiers)
    names = [column.name for column in COLUMNS]

    def fact(cells):
        if cells is None:
            return ABSENT
        values = [cells[names.index(name)] for name in chosen.columns]
        read = tuple(v if v[0] == "'" else None if v == "NULL" else Decimal(v) for v in values)
        return RowFact(repr(cells), read, cells=cells)

    return decide(
        KeyMarks(*(marks or (exact(), exact()))),
        {Side.A: fact(a), Side.B: fact(b)},
        dict.fromkeys(SIDES, Horizon(AT, AT)),
        chosen,
        Around(columns=COLUMNS, base=base if isinstance(base, Base) else Base(base, "")),
    )


def outcome(found):
    """One word for what stands: a, b, equal, hold, skip, or the cells of a third row."""
    if found.merged is not None:
        assert found.winner is Side.B  # A is written, and B follows (INV-16)
        return found.merged
    return found.winner.value if found.winner else found.verdict.value


MERGES = [
    # column by column
    ("column_merge then skip", {"x": "'a'"}, {"y": "'b'"}, {"x": "'a'", "y": "'b'"}),
    ("column_merge then skip", {"x": "'a'"}, {"x": "'b'"}, "skip"),
    (
        "column_merge then skip",
        {"x": "'a'", "y": "'a'"},
        {"x": "'a'", "z": "NULL"},
        {"x": "'a'", "y": "'a'", "z": "NULL"},
    ),
    (
        "column_merge then prefer:b",
        {"x": "'a'", "y": "'a'"},
        {"x": "'b'", "z": "'b'"},
        {"x": "'b'", "y": "'a'", "z": "'b'"},
    ),
    ("column_merge then prefer:a", {"x": "'a'"}, {"x": "'b'"}, "a"),
    (
        "column_merge then prefer:a",
        {"x": "'a'", "y": "'y'"},
        {"x": "'b'", "y": "'b'"},
        {"x": "'a'", "y": "'b'"},
    ),
    # one side changed nothing that the other did not
    ("column_merge then skip", {"x": "'a'", "y": "'a'"}, {"x": "'a'"}, "a"),
    ("column_merge then skip", {"x": "'a'"}, {"x": "'a'", "y": "'b'"}, "b"),
    # groups go together
    ("column_merge:x+y then skip", {"x": "'a'"}, {"z": "'b'"}, {"x": "'a'", "z": "'b'"}),
    ("column_merge:x+y then skip", {"x": "'a'"}, {"y": "'b'"}, "skip"),
    (
        "column_merge:x+y then prefer:b",
        {"x": "'a'", "z": "'a'"},
        {"y": "'b'"},
        {"y": "'b'", "z": "'a'"},
    ),
    # counters
    ("delta:n then skip", {"n": "12"}, {"n": "13"}, {"n": "15"}),
    ("delta:n then skip", {"n": "11"}, {"n": "11"}, {"n": "12"}),
    ("delta:n then skip", {"n": "11"}, {}, "a"),
    ("delta:n then skip", {"n": "8"}, {"n": "11"}, {"n": "9"}),
    ("delta:n then skip", {"n": "8"}, {"n": "12"}, "equal rows"),
    (
        "delta:n,m then skip",
        {"n": "11", "m": "1.50"},
        {"n": "9", "m": "0.99"},
        {"n": "10", "m": "1.49"},
    ),
    ("delta:m then skip", {"m": "-5.00"}, {"m": "-3.99"}, {"m": "-9.99"}),
    ("delta:n then skip", {"n": "60"}, {"n": "61"}, "hold"),
    ("delta:n then skip", {"n": "NULL"}, {"n": "11"}, "hold"),
    ("delta:n then skip", {"n": "NULL"}, {"x": "'b'"}, "skip"),
    ("delta:n then column_merge then skip", {"n": "NULL"}, {"x": "'b'"}, {"n": "NULL", "x": "'b'"}),
    ("delta:x then skip", {"x": "'a'"}, {"x": "'b'"}, "hold"),
    ("delta:n then skip", {"n": "11", "x": "'a'"}, {"n": "11"}, "skip"),
    (
        "delta:n then prefer:b",
        {"n": "11", "x": "'a'"},
        {"n": "11", "y": "'b'"},
        {"n": "12", "y": "'b'"},
    ),
    (
        "delta:n then column_merge then skip",
        {"n": "11", "x": "'a'"},
        {"n": "11"},
        {"n": "12", "x": "'a'"},
    ),
    # elementwise
    ("max:n then skip", {"n": "11"}, {"n": "12"}, "b"),
    (
        "max:n,m then skip",
        {"n": "11", "m": "3.00"},
        {"n": "12", "m": "2.00"},
        {"n": "12", "m": "3.00"},
    ),
    (
        "min:n,m then skip",
        {"n": "11", "m": "3.00"},
        {"n": "12", "m": "2.00"},
        {"n": "11", "m": "2.00"},
    ),
    (
        "max:n then min:m then skip",
        {"n": "9", "m": "3.00"},
        {"n": "12", "m": "5.00"},
        {"n": "12", "m": "3.00"},
    ),
    ("max:n then skip", {"n": "NULL"}, {"n": "-1"}, "b"),
    ("min:n then skip", {"n": "5"}, {"n": "NULL"}, "a"),
    ("max:n then skip", {"n": "11"}, {"n": "12", "x": "'b'"}, "skip"),
    ("max:n then prefer:a", {"n": "11"}, {"n": "12", "x": "'b'"}, {"n": "12"}),
]


@pytest.mark.parametrize(("rule", "a", "b", "expected"), MERGES)
@pytest.mark.parametrize("swapped", [False, True])
def test_two_updates(rule, a, b, expected, swapped):
    rows = made(**a), made(**b)
    if expected == "equal rows":
        expected = dict.fromkeys(("n",), "10")
    wanted = made(**expected) if isinstance(expected, dict) else expected
    if swapped:
        rows = rows[::-1]
        for one, other in (
            ("prefer:a", "prefer:?"),
            ("prefer:b", "prefer:a"),
            ("prefer:?", "prefer:b"),
        ):
            rule = rule.replace(one, other)
        wanted = {"a": "b", "b": "a"}.get(wanted, wanted) if isinstance(wanted, str) else wanted
    found = ask(rule, *rows)
    assert outcome(found) == wanted
    assert found.verdict is Verdict.EQUAL or found.conflict is ConflictKind.UPDATE_UPDATE
    if found.merged is not None:
        assert found.path == "merge"


def test_a_person_is_told_which_columns_wait():
    found = ask(
        "delta:n then column_merge:x+y then hold",
        made(n="11", x="'a'", z="'a'"),
        made(y="'b'", z="'b'"),
    )
    assert (found.verdict, found.rule) == (
        Verdict.HOLD,
        "delta:n then column_merge:x+y leaves x, y, z: hold",
    )
    assert (
        ask("delta:n then hold", made(n="99"), made(n="99")).rule
        == "delta:n: n would be out of range: hold"
    )


@pytest.mark.parametrize("rule", ["column_merge", "delta:n", "max:n", "min:n"])
@pytest.mark.parametrize(
    ("ops", "a", "b", "modifiers", "expected"),
    [
        (("u", "d"), made(n="11"), None, {"on_delete": "update_wins"}, "a"),
        (("u", "d"), made(n="11"), None, {"on_delete": "delete_wins"}, "b"),
        (("u", "d"), made(n="11"), None, {}, "skip"),
        (("d", "u"), None, made(n="11"), {"on_delete": "hold"}, "hold"),
        (("di", "u"), made(n="11"), made(n="12"), {}, "skip"),
        (("di", "d"), made(n="11"), None, {"on_delete": "delete_wins"}, "a"),
        (("d", "d"), None, None, {}, "equal"),
    ],
)
def test_rows_that_are_not_two_versions_of_one(rule, ops, a, b, modifiers, expected):
    marks = exact(ops[0]), exact(ops[1])
    assert outcome(ask(f"{rule} then skip", a, b, marks=marks, **modifiers)) == expected


@pytest.mark.parametrize(
    "marks",
    [(exact("i"), exact("i")), (exact("di"), exact("di")), (inexact(), inexact())],
    ids=["insert_insert", "recreate", "drift"],
)
def test_rows_that_never_were_one_have_no_base(marks):
    rows = made(n="11"), made(n="12")
    assert outcome(ask("delta:n then skip", *rows, marks=marks)) == "skip"
    assert outcome(ask("column_merge then skip", *rows, marks=marks)) == "skip"
    assert outcome(ask("max:n then skip", *rows, marks=marks)) == "b"
    assert outcome(ask("min:n then skip", *rows, marks=marks)) == "a"


def test_without_a_base_nothing_is_made_up():
    rows = made(n="11"), made(n="12", x="'b'")
    for rule in ("column_merge", "delta:n"):
        found = ask(f"{rule} then hold", *rows, NO_BASE)
        assert outcome(found) == "hold"
        assert found.rule == "base unknown (not kept): hold"
        assert ask(f"{rule} then prefer:a", *rows, NO_BASE).winner is Side.A
    assert ask("delta:n then custom:m:f", *rows, Base(why="a gap")).rule.startswith("custom")
    # Alike or not, both may have counted; and what max decides does not settle the counter.
    same = made(n="11")
    assert outcome(ask("delta:n then hold", same, same, NO_BASE)) == "hold"
    assert outcome(ask("delta:n then prefer:a", same, same, NO_BASE)) == "equal"
    assert (
        outcome(ask("delta:n then max:m then hold", made(m="2.00"), made(m="3.00"), NO_BASE))
        == "hold"
    )
    assert outcome(ask("column_merge then hold", same, same, NO_BASE)) == "equal"


def test_equal_rows_that_one_side_changed_are_equal():
    same = made(n="11")
    assert outcome(ask("delta:n then hold", same, same, marks=(exact(), CLEAN))) == "equal"
    assert outcome(ask("delta:n then hold", same, same, marks=(exact("i"), exact("i")))) == "equal"
    assert outcome(ask("delta:n then hold", same, same, marks=(exact(), inexact()))) == "equal"
    assert outcome(ask("delta:n then hold", same, same, direction="a-to-b")) == "equal"
    assert outcome(ask("delta:n then hold", BASE, BASE)) == "equal"


def test_a_column_that_cannot_be_told_is_merged_only_where_rows_agree():
    base = (*BASE[:3], None, *BASE[4:])
    assert outcome(ask("column_merge then skip", made(y="'a'"), made(z="'b'"), base)) == made(
        y="'a'", z="'b'"
    )
    assert outcome(ask("column_merge then skip", made(x="'a'"), made(z="'b'"), base)) == "skip"


def test_a_function_decides_what_a_merge_leaves_open():
    calls = []

    def decided(answer, rule="column_merge then custom:m:f then hold", **rows):
        def consult(rule, kind):
            calls.append(kind)
            return answer

        cells = rows or {"a": made(n="11", x="'a'"), "b": made(n="12", y="'b'")}
        chosen = policy(rule)
        facts = {
            side: RowFact(repr(cells[side.value]), (), cells=cells[side.value]) for side in SIDES
        }
        around = Around(columns=COLUMNS, base=Base(BASE, ""), consult=consult)
        marks = KeyMarks(exact(), exact())
        return decide(marks, facts, dict.fromkeys(SIDES, Horizon(AT, AT)), chosen, around)

    # What one side alone changed is taken from there; the function's row says the rest.
    found = decided(Answer(row=made(n="99", x="'not this'")))
    assert found.merged == made(n="99", x="'a'", y="'b'")
    assert found.rule == "column_merge then custom:m:f"
    assert decided(Answer(winner=Side.A)).merged == made(n="11", x="'a'", y="'b'")
    assert len(calls) == 2
    # Rows that look alike are nobody's question, whatever was counted.
    same = made(n="11")
    unknown = decided(Answer(reason="asked"), "delta:n then custom:m:f", a=same, b=same)
    assert unknown.merged == made(n="12")
    calls.clear()
    assert decided(Answer(reason="asked"), "delta:m then custom:m:f", a=same, b=same).verdict is (
        Verdict.EQUAL
    )
    assert calls == []


@pytest.mark.parametrize("rule", ["newest:y", "highest_version:y"])
def test_a_counter_that_was_counted_up_makes_no_time_stale(rule):
    """One side counts alone, the other one changes the row and its time: whose time did not move has changed nothing else."""
    chosen = policy(
        f"delta:n then {rule} then hold", on_tie="hold", on_delete="hold", on_null="hold"
    )
    at = [column.name for column in COLUMNS].index("y")

    def decided(a, b):
        facts = {
            side: RowFact(repr(cells), (Decimal(cells[1]), cells[at]), cells=cells)
            for side, cells in zip(SIDES, (a, b), strict=True)
        }
        base = Base(BASE, "", (Decimal(10), BASE[at]))
        marks = KeyMarks(exact(commit_us=1_000_001), exact(commit_us=9_000_001))
        around = Around(columns=COLUMNS, base=base)
        return decide(marks, facts, dict.fromkeys(SIDES, Horizon(AT, AT)), chosen, around)

    found = decided(made(n="11", x="'priced'", y="'z'"), made(n="12"))
    assert found.merged == made(n="13", x="'priced'", y="'z'")
    stale = decided(made(n="11", x="'priced'", y="'z'"), made(n="12", x="'b'"))
    version = rule.startswith("highest")
    assert stale.verdict is (Verdict.HOLD if version else Verdict.COPY)
    assert version or "stale on side b: commit times" in stale.rule


def test_a_key_spelt_in_two_ways_is_not_merged():
    assert outcome(ask("column_merge then skip", made(id="'A'", x="'a'"), made(id="'a'"))) == "skip"


def kept(seq=5, cells=BASE):
    return KeptRow(seq, cells)


@pytest.mark.parametrize(
    ("marks", "rows", "why"),
    [
        ((exact(), exact()), (kept(), kept()), ""),
        ((exact(), CLEAN), (kept(), None), "no exact change"),
        ((exact("i"), exact()), (None, kept()), "no row was agreed on"),
        ((exact(), exact()), (kept(), None), "not kept"),
        ((exact(), exact()), (kept(4), kept()), "not kept"),
        ((exact(), exact()), (kept(6), kept()), "not kept"),
        ((exact(), exact()), (KeptRow(5, None, "too long"), kept()), "too long"),
        ((exact(), exact()), (kept(), kept(cells=made(x="'q'"))), "base rows differ"),
        ((exact(), exact()), (kept(), kept(cells=BASE[:3])), "other columns"),
        ((both(exact(), inexact(Reason.PURGED, 3)), exact()), (kept(), kept()), "gap"),
        ((both(exact(), inexact(Reason.BASELINE, 5)), exact()), (kept(), kept()), "gap"),
        ((both(exact(), inexact(Reason.BASELINE, 4)), exact()), (kept(), kept()), ""),
        (
            (both(exact(), inexact(Reason.BASELINE, 4)), exact()),
            (kept(), kept(cells=made(x="'q'"))),
            "never agreed",
        ),
    ],
)
def test_a_base_is_known_or_it_is_not(marks, rows, why):
    found = agreed(KeyMarks(*marks), dict(zip(SIDES, rows, strict=True)))
    assert (found.cells is not None) == (why == "")
    assert why in found.why
    mirrored = agreed(KeyMarks(*marks[::-1]), dict(zip(SIDES, rows[::-1], strict=True)))
    assert (mirrored.cells is None) == (found.cells is None)


def test_what_one_side_cannot_tell_is_not_told():
    found = agreed(
        KeyMarks(exact(), exact()),
        {Side.A: kept(cells=(None, *BASE[1:])), Side.B: kept(cells=(BASE[0], None, *BASE[2:]))},
    )
    assert found.cells == (None, None, *BASE[2:])
