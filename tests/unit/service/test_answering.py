"""A merge that a person asked for."""

from __future__ import annotations

import msgspec
import pytest

from syncer.core.decision import ConflictKind, Verdict
from syncer.core.mark import KeyMarks
from syncer.core.outcome import Base
from syncer.core.policy import Policy
from syncer.core.side import Direction, Side
from syncer.ledger.requests import AskedConflict, Resolution
from syncer.mysql.reader import RowRead
from syncer.service.answering import merge
from syncer.service.planning import answered
from tests.unit.core.facts import exact, policy
from tests.unit.core.schemas import column, paired, table
from tests.unit.service.test_planning import planned

A, B = Side.A, Side.B
TABLE = paired(
    table(column(), column("note", "varchar"), column("city", "varchar"), column("n", "int"))
)
BASE = Base(("1", "'o'", "'Rome'", "10"), "")
CHANGED = KeyMarks(a=exact(), b=exact())


def row(*cells):
    return RowRead((int(cells[0]),), ",".join(cells), (), ",".join(cells))


def ask(a, b, *, rule="hold", base=BASE, marks=CHANGED, otherwise=None, **chosen):
    decided = policy(rule, **chosen) if isinstance(rule, str) else rule
    under = msgspec.structs.replace(TABLE, policy=decided)
    rows = {A: a, B: b}
    kind = ConflictKind.UPDATE_UPDATE
    return merge(under, kind, rows, marks, base, otherwise=otherwise, actor="somebody")


LEFT = row("1", "'a'", "'Rome'", "10")
RIGHT = row("1", "'o'", "'Oslo'", "10")
OTHER = row("1", "'b'", "'Oslo'", "10")


def test_what_one_side_changed_is_taken():
    found = ask(LEFT, RIGHT)
    assert found.merged == ("1", "'a'", "'Oslo'", "10")
    assert (found.verdict, found.winner) == (
        Verdict.COPY,
        B,
    )  # A is written, and B follows (INV-16)
    assert found.rule == "resolved by somebody: take merge"


def test_one_sides_row_is_no_third_one():
    found = ask(LEFT, row("1", "'o'", "'Rome'", "10"))
    assert (found.merged, found.winner) == (None, A)


def test_what_both_changed_is_somebodys_to_say():
    found = ask(LEFT, OTHER)
    assert found.verdict is Verdict.HOLD
    assert found.rule == "merge asked for by somebody was left: column_merge leaves note"
    assert ask(LEFT, OTHER, otherwise=B).winner is B
    assert ask(LEFT, OTHER, otherwise=B).merged is None, "it is side B's row"
    assert ask(LEFT, OTHER, otherwise=A).merged == ("1", "'a'", "'Oslo'", "10")


def test_columns_of_the_policy_go_together():
    found = ask(LEFT, RIGHT, rule="column_merge:note+city then hold")
    assert found.rule.endswith("column_merge:note+city leaves note, city")
    found = ask(LEFT, RIGHT, rule="column_merge:note+city then hold", otherwise=A)
    assert (found.merged, found.winner) == (None, A)


def test_counters_of_the_policy_are_added_up():
    left, right = row("1", "'a'", "'Rome'", "11"), row("1", "'b'", "'Rome'", "12")
    found = ask(left, right, rule="delta:n then hold", otherwise=B)
    assert found.merged == ("1", "'b'", "'Rome'", "13")
    full = str(2**31 - 1)
    left, right = row("1", "'a'", "'Rome'", full), row("1", "'o'", "'Rome'", "12")
    found = ask(left, right, rule="delta:n then hold")
    assert found.rule.endswith("n would be out of range")
    assert ask(left, right, rule="delta:n then hold", otherwise=B).merged == (
        "1",
        "'a'",
        "'Rome'",
        "12",
    )
    alike = row("1", "'a'", "'Rome'", full)
    assert (
        ask(alike, row("1", "'o'", "'Rome'", full), rule="delta:n then hold").verdict
        is Verdict.HOLD
    )


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"base": Base(why="not kept")}, "no base row is known.*not kept"),
        ({"b": None}, "a row is absent"),
        ({"marks": KeyMarks(a=exact("di", last=9), b=exact())}, "no versions of one"),
        ({"rule": Policy(direction=Direction.A_TO_B)}, "the source decides"),
        ({"b": row("2", "'o'", "'Oslo'", "10")}, "spelt in two ways"),
    ],
)
def test_what_cannot_be_merged_says_why(facts, says):
    found = ask(**{"a": LEFT, "b": RIGHT, "otherwise": A} | facts)
    assert found.verdict is Verdict.HOLD
    with pytest.raises(ValueError, match=says):
        raise ValueError(found.rule)


def answer(item, entry, **facts):
    resolution = Resolution(
        **{"take": None, "actor": "somebody", "asked_at": 1.0, "merge": True} | facts
    )
    return answered(
        item,
        AskedConflict(conflict_id=1, resolution=resolution, table_id=1, keys=(1,), entry=entry),
    )


@pytest.mark.parametrize("hidden", [(), ("note",)])
def test_an_answer_counts_while_rows_and_base_are_what_was_shown(hidden):
    under = msgspec.structs.replace(TABLE, redacted=hidden, policy=policy("column_merge then hold"))
    item = planned(LEFT, RIGHT, in_table=under, marks=CHANGED, conflict=ConflictKind.UPDATE_UPDATE)
    item = msgspec.structs.replace(item, base=BASE)
    seen = item.entry(1.0, winner=None)
    done = answer(item, seen)
    assert (done.decision.merged, done.actor) == (("1", "'a'", "'Oslo'", "10"), "somebody")
    entry = done.item(1.0).conflict
    assert entry.result_image == ("1", None if hidden else "'a'", "'Oslo'", "10")
    assert (entry.winner, entry.path) == (None, "person")
    write = done.write()
    assert (done.target, write.made, write.expected) == (A, True, LEFT.digest)
    # Another row than what was seen: asked again, by the policy.
    moved = msgspec.structs.replace(item, group=planned(LEFT, OTHER).group)
    assert answer(moved, seen).decision is moved.decision or hidden
    other = msgspec.structs.replace(item, base=Base(("1", "'o'", "'Bonn'", "10"), ""))
    left = answer(other, seen)
    assert left.decision.verdict is Verdict.HOLD
    assert "not the one that was shown" in left.entry(1.0, winner=None).note


def test_a_difference_is_skipped_for_a_time_or_held_again():
    item = planned(LEFT, RIGHT, in_table=TABLE, marks=CHANGED, conflict=ConflictKind.UPDATE_UPDATE)
    seen = item.entry(1.0, winner=None)
    skipped = answer(item, seen, merge=False, skip=True, until=99.0)
    assert (skipped.decision.verdict, skipped.actor) == (Verdict.SKIP, "somebody")
    entry = skipped.entry(1.0, winner=None)
    assert (entry.expires_at, entry.note, entry.path) == (99.0, "", "person")
    moved = msgspec.structs.replace(item, group=planned(LEFT, OTHER).group)
    assert answer(moved, seen, merge=False, skip=True).decision is moved.decision
    held = answer(moved, seen, merge=False)
    assert held.decision.verdict is Verdict.HOLD, "to be held needs no row that was seen"
    assert held.entry(1.0, winner=None).note == "resolved by somebody: take hold"
