"""The keyboard review: what is accepted beforehand, what the keys choose, and that nothing happens before it is confirmed."""

from __future__ import annotations

import asyncio

import pytest

from syncer.cli.review.app import Confirm, ReviewApp
from syncer.cli.review.choices import Choice, Review, recommended
from syncer.core.decision import ConflictKind
from syncer.core.mark import Op
from syncer.core.side import Side
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


def press(*keys):
    """Press keys; return what the review ended with, and the review."""
    under = review()
    app = ReviewApp(under)

    async def run():
        async with app.run_test(size=(110, 30)) as pilot:
            for key in keys:
                await pilot.press(key)
            await pilot.pause()
            return app.return_value, isinstance(app.screen, Confirm)

    takes, asking = asyncio.run(run())
    found = None if takes is None else {one.conflict_id: wanted.side for one, wanted in takes}
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
    assert press("d", "<", "/", "g", "y")[0] == {1: B}


def test_without_a_decision_there_is_nothing_to_confirm():
    assert not press("down", "/", "g")[2]


def test_a_terminal_is_needed(syncer):
    result = syncer("conflicts", "review")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "needs a terminal" in result.err
