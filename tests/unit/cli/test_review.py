"""The keyboard review: what is accepted beforehand, what the keys choose, and that nothing happens before it is confirmed."""

from __future__ import annotations

import asyncio
import io
import tomllib

import pytest
from rich.console import Console
from textual.widgets import DataTable

from syncer.cli.review import panes
from syncer.cli.review.app import ReviewApp
from syncer.cli.review.choices import Choice, Review, recommended
from syncer.cli.review.screens import Confirm
from syncer.core.decision import ConflictKind
from syncer.core.mark import Op
from syncer.core.side import Side
from syncer.ledger import selector
from syncer.ledger.records import Wanted
from syncer.ledger.requests import Resolution
from syncer.ledger.wants import wanted
from tests.unit.ledger.test_selector import record

A, B = Side.A, Side.B
LEFT, RIGHT, BASE = ("1", "'left'"), ("1", "'right'"), ("1", "'base'")


def conflict(number, **facts):
    plain = {"columns": ("id", "note"), "a_image": LEFT, "b_image": RIGHT}
    return record(number, **{**plain, "a_op": Op.UPDATE, "b_op": Op.UPDATE, **facts})


@pytest.mark.parametrize(
    ("facts", "choice"),
    [
        ({}, Choice.OPEN),
        ({"b_op": None}, Choice.TAKE_A),
        ({"a_op": None, "b_op": Op.DELETE, "b_image": None}, Choice.TAKE_B),
        ({"a_op": None, "b_op": None}, Choice.OPEN),
        ({"base_image": LEFT}, Choice.TAKE_B),
        ({"base_image": RIGHT}, Choice.TAKE_A),
        ({"base_image": BASE, "b_op": None}, Choice.OPEN),
        ({"kind": ConflictKind.GUARD, "b_op": None}, Choice.OPEN),
        ({"kind": ConflictKind.FK_PARENT_MISSING, "b_op": None, "b_image": None}, Choice.OPEN),
        ({"kind": ConflictKind.UNIQUE_VIOLATION, "b_op": None}, Choice.OPEN),
        ({"kind": ConflictKind.APPLY_ERROR, "b_op": None}, Choice.OPEN),
    ],
)
def test_what_one_side_changed_is_accepted_beforehand_conflicts_are_not(facts, choice):
    assert recommended(conflict(1, **facts).entry) is choice


def review():
    return Review(
        [
            conflict(1),
            conflict(2, b_op=None),
            conflict(3, a_commit_us=1_000_001, b_commit_us=9_000_001),
            conflict(4, key=("a\x1b[31m\n",), a_image=("1", "'[red]x[/red]'")),
        ]
    )


MERGED = {
    "columns": ("id", "note", "city"),
    "a_image": ("1", "'left'", "'Rome'"),
    "b_image": ("1", "'o'", "'Oslo'"),
    "base_image": ("1", "'o'", "'Rome'"),
}


def merging():
    """The first can be merged, of the second both sides changed a column, of the third nothing is known."""
    both = {"b_image": ("1", "'right'", "'Oslo'")}
    return Review([conflict(1, **MERGED), conflict(2, **MERGED | both), conflict(3)])


def press(*keys, under=None):
    """Press keys; return what the review ended with, and the review."""
    under = under or review()
    app = ReviewApp(under)

    async def run():
        async with app.run_test(size=(110, 30)) as pilot:
            for key in keys:
                await pilot.press(key)
                await pilot.pause()
            return app.return_value, isinstance(app.screen, Confirm)

    takes, asking = asyncio.run(run())
    found = None
    if takes is not None:
        found = {
            one.conflict_id: wanted if wanted.side is None or wanted.merge else wanted.side
            for one, wanted in takes
        }
    return found, under, asking


def choices(under):
    return [under.choice(at) for at in range(len(under.records))]


def test_keys_choose_and_go_on_to_the_next_row():
    found, under, _ = press(">", "<", "]", "/")
    assert found is None, "nothing is confirmed"
    assert choices(under) == [Choice.TAKE_A, Choice.TAKE_B, Choice.TAKE_B, Choice.SKIP]


def test_the_recommendation_can_be_had_back():
    _, under, _ = press("down", "<", "up", "r", "up", "<", "up", "r")
    assert choices(under)[:2] == [Choice.OPEN, Choice.TAKE_A]


def test_where_times_say_nothing_nothing_is_chosen():
    _, under, _ = press("]", "[")
    assert choices(under)[0] is Choice.OPEN
    _, under, _ = press("down", "down", "[")
    assert choices(under)[2] is Choice.TAKE_A


def test_only_what_is_confirmed_is_returned():
    assert press(">", "g")[2], "it asks"
    assert press(">", "g")[0] is None
    assert press(">", "g", "n")[0] is None
    assert press(">", "g", "n", "q")[0] is None
    assert press(">", "q")[0] is None
    assert press(">", "g", "y")[0] == {1: A, 2: A}
    assert press("d", "<", "/", "g", "y")[0] == {1: B, 2: Wanted(None, skip=True)}


def test_a_difference_is_accepted_as_by_resolve_and_not_where_that_was_taken_back():
    """The same answer as ``resolve --take skip``; r goes back to the recommendation, which for a conflict is none."""
    found, under, _ = press("/", "/", "/", "up", "r", "g", "y")
    assert found == {1: Wanted(None, skip=True), 2: Wanted(None, skip=True)}
    assert under.summary() == "0 from A, 0 from B, 0 merged, 2 skipped, 2 open"
    assert found[1] == wanted(under.records[0].entry, "skip")


def test_without_a_decision_there_is_nothing_to_confirm():
    assert not press("g", under=Review([conflict(1)]))[2]
    assert not press("/", "r", "g", under=Review([conflict(1)]))[2]


def answered():
    """Somebody has answered all but the last; the recommendation for the second is another."""
    said = {
        1: Resolution(take=B, actor="ann", asked_at=5.0),
        2: Resolution(take=None, skip=True, until=9e9, actor="ann", asked_at=5.0),
        3: Resolution(take=A, merge=True, actor="ann", asked_at=5.0),
    }
    both = {"b_image": ("1", "'right'", "'Oslo'")}
    rows = [conflict(1), conflict(2, b_op=None), conflict(3, **MERGED | both), conflict(4)]
    return Review(rows, answers=said)


def test_an_answer_that_waits_stays_unless_another_is_chosen():
    """A second person's recommendations take no answer's place."""
    under = answered()
    assert choices(under) == [Choice.TAKE_B, Choice.SKIP, Choice.MERGE, Choice.OPEN]
    assert under.takes() == []
    assert under.summary() == "0 from A, 1 from B, 1 merged, 1 skipped, 1 open   3 answered before"
    found, under, _ = press("down", "down", "down", ">", "g", "y", under=answered())
    assert found == {4: A}
    found, under, _ = press(*"><i", "g", "y", under=answered())
    assert found == {1: A, 2: B, 3: Wanted(B, merge=True)}
    assert [under.answer(at) for at in range(4)] == [None] * 4
    found, under, _ = press(">", "<", "i", *("up", "up", "r", "down", "r", "down", "r"), "g", under=answered())  # fmt: skip
    assert under.takes() == []
    assert under.merge_of(2) == Wanted(A, merge=True)
    under.select("W")
    assert under.selected == {0, 1, 2}


def test_an_answer_that_waits_is_shown():
    async def run():
        app = ReviewApp(answered())
        async with app.run_test(size=(110, 30)) as pilot:
            table = app.query_one("#list", DataTable)
            before = [str(row[-1]) for row in map(table.get_row_at, range(4))]
            await pilot.press(">")
            await pilot.pause()
            return before, str(table.get_row_at(0)[-1])

    before, after = asyncio.run(run())
    assert before[0] == "[waits: take b]"
    assert before[1].startswith("[waits: take skip until 2255-")
    assert before[2] == "[waits: take merge, else a]"
    assert "waits" not in before[3] + after
    console = Console(width=120, file=io.StringIO())
    console.print(panes.details(answered().records[0], answered().answer(0)))
    assert "take b: the row of side b goes to side a" in console.file.getvalue()
    assert "by ann" in console.file.getvalue()


def test_a_merge_shows_what_it_takes_and_asks_what_both_changed():
    found, under, _ = press("m", "y", "m", "<", "up", "i", "x", "g", "y", under=merging())
    assert found == {1: Wanted(None, merge=True), 2: Wanted(A, merge=True)}
    assert choices(under) == [Choice.MERGE, Choice.MERGE, Choice.OPEN]
    assert under.summary() == "0 from A, 0 from B, 2 merged, 0 skipped, 1 open"
    # Nothing is merged without the answer, nor where there is no base row.
    _, under, _ = press("m", "escape", "down", "m", "y", "escape", "down", "m", under=merging())
    assert choices(under) == [Choice.OPEN] * 3
    _, under, _ = press("m", "y", "up", "r", under=merging())
    assert under.merge_of(0) is None


def test_what_a_merge_takes_from_where():
    under = merging()
    assert [under.merged(at, None) for at in range(3)] == [("", "a", "b"), ("", None, "b"), ()]
    assert under.merged(1, B) == ("", "b", "b")
    for at, one in enumerate(under.records[:2]):
        assert panes.merge(one, under.merged(at, None)).row_count == 3
    assert "both sides changed note" in under.merge(1)
    assert under.merge(1, "newest") == "no commit times, or equal ones"


def test_the_side_that_alone_changed_it_is_taken_and_turned_round():
    under = Review(
        [conflict(1, kind=ConflictKind.GUARD, b_op=None), conflict(2), conflict(3, **MERGED)]
    )
    assert choices(under)[0] is Choice.OPEN
    assert (under.take_changed(0), choices(under)[0]) == ("", Choice.TAKE_A)
    assert (under.invert(0), choices(under)[0]) == ("", Choice.TAKE_B)
    assert "both sides changed it" in under.take_changed(1)
    assert under.invert(1)
    under.merge(2)
    assert under.invert(2), "no column took a side"


def test_selections_compose_and_a_key_is_about_all_of_them():
    under = review()
    for word, found in (
        ("C", {0, 2, 3}),
        ("X", {1}),
        ("1", {1}),
        ("2", set()),
        ("A", {0, 1, 2, 3}),
    ):
        under.select(word)
        assert under.selected == found, word
    under.select_matching(selector.parse("id:1 | id:2", 0.0))
    under.join("&")
    under.select("U")
    assert under.selected == {0}
    under.join("|")
    under.select("1")
    assert (under.selected, under.targets(3)) == ({0, 1}, [0, 1])
    under.select("")
    assert (under.selected, under.targets(3)) == (frozenset(), [3])


def test_keys_select():
    _, under, _ = press("C", "<", "escape", ">")
    assert choices(under) == [Choice.TAKE_A, Choice.TAKE_A, Choice.TAKE_B, Choice.TAKE_B]
    _, under, _ = press("f", *("i", "d", "colon", "3"), "enter", "vertical_line", "1", "slash")
    assert choices(under) == [Choice.OPEN, Choice.SKIP, Choice.SKIP, Choice.OPEN]
    _, under, _ = press("f", "x", "enter", "question_mark", "escape", "d", "d", "x", ">")
    assert choices(under)[0] is Choice.TAKE_A, "what cannot be read selects nothing"


def test_what_is_ignored_for_good_is_a_line_of_the_configuration():
    under = Review([conflict(1), conflict(2, b_image=None), conflict(3, table="crm.x")])
    _, under, _ = press("I", "w", "h", "y", "enter", under=under)
    assert choices(under)[0] is Choice.SKIP
    (entry,) = tomllib.loads(under.policy_lines("ann", "2026-11-21"))["table"]
    assert entry == {"match": "shop.orders", "ignore_columns": ["note"]}
    assert under.policy_lines("ann", "2026-11-21").startswith("# 2026-11-21 ann: why\n")
    under.ignore(1, "why")
    under.ignore(2, "a\nb")
    first, second = tomllib.loads(under.policy_lines("ann", "today"))["table"]
    assert first == {"match": "shop.orders", "rule": "skip"}
    assert second["match"] == "crm.x"
    # Who decides after all ignores nothing.
    for at in range(3):
        under.choose(at, Choice.TAKE_A)
    assert under.policy_lines("ann", "today") == ""


def test_where_the_changes_come_from_is_shown():
    facts = {"a_gtid": "u:7", "a_seq": 12, "a_commit_us": 5, "note": "said", "possible": True}
    console = Console(width=120, file=io.StringIO())
    console.print(panes.details(conflict(1, **facts, sub_kinds=("overlap",), skew_bound_s=0.5)))
    shown = console.file.getvalue()
    for word in ("u:7", "12", "said", "overlap", "update", "1970-01-01", "may be no conflict"):
        assert word in shown, word
    assert [panes.op(conflict(1, b_op=None).entry, side) for side in (A, B)] == ["upd", "row"]
    assert panes.op(conflict(1, b_op=None, b_image=None).entry, B) == "-"


def test_what_is_in_the_way_of_a_row_is_shown_whichever_pane_is():
    blocked = conflict(1, kind=ConflictKind.UNIQUE_VIOLATION, in_the_way=(("7",), ("a\x1b", "8")))
    console = Console(width=120, file=io.StringIO())
    console.print(panes.details(blocked), panes.difference(blocked))
    assert console.file.getvalue().count("shop.orders key 7; key a\\x1b, 8") == 2
    keys = {"a_old_key": ("1",), "a_new_key": ("10",), "b_old_key": ("1",), "b_new_key": ("20",)}
    moved = conflict(2, kind=ConflictKind.KEY_CHANGE_DIVERGENT, **keys)
    console.print(panes.details(moved), panes.difference(moved))
    assert console.file.getvalue().count("A 1 to 10, B 1 to 20") == 2
    assert recommended(moved.entry) is Choice.OPEN


def test_a_terminal_is_needed(syncer):
    result = syncer("conflicts", "review")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "needs a terminal" in result.err
