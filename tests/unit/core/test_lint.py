"""The linter: it names exactly the cells that the decision itself would leave open."""

from __future__ import annotations

import itertools

import pytest

from syncer.core.lint import Cell, depends_on_timing, holes, left_open
from syncer.core.outcome import Verdict
from syncer.core.side import Direction
from tests.unit.core.facts import ABSENT, exact, inexact, judge, policy, row
from tests.unit.core.schemas import column, table, text

SHOP = table(
    column("id", auto_increment=True),
    column("t", nullable=True),
    column("v"),
    text("region"),
    column("photo", "blob"),
    column("weight", "double"),
)
ONE_RULE = {
    "newest:t": {"on_delete", "on_tie", "on_null"},
    "newest:v": {"on_delete", "on_tie"},
    "highest_version:v": {"on_delete", "on_tie"},
    "newest": {"on_tie"},
    "hold": set(),
    "halt": set(),
    "skip": set(),
    "prefer:a": set(),
    "update_wins": {"behind"},
    "delete_wins": {"behind"},
    "equals:region=eu": {"on_delete", "behind"},
    "matches:region=e": {"on_delete", "behind"},
    "keep_both:a": {"on_delete", "behind"},
    "custom:m:f": {"behind"},
    "column_merge": {"on_delete", "behind"},
    "column_merge:t+v": {"on_delete", "behind"},
    "delta:v": {"on_delete", "behind"},
    "max:t,weight": {"on_delete", "behind"},
    "min:v": {"on_delete", "behind"},
}
WORDS = ("on_delete", "on_tie", "on_null", "behind")


def named(found):
    return {word for word in WORDS if any(f" {word} " in hole for hole in found)}


@pytest.mark.parametrize(("rule", "expected"), ONE_RULE.items())
def test_the_holes_of_every_rule_are_named(rule, expected):
    found = holes(policy(rule), SHOP)
    assert named(found) == expected
    assert all("\n" not in hole for hole in found)
    assert holes(policy(f"{rule} then hold"), SHOP) == [] if expected else True


def test_a_hole_names_its_cells():
    (found,) = holes(policy("update_wins"))
    assert found == (
        "rule update_wins leaves rows open (insert_insert, update_update, recreate on both sides, drift of two rows, "
        "key_change_divergent, key_change_collision): "
        "add a rule behind it, as in 'update_wins then hold'"
    )


@pytest.mark.parametrize(
    "rule",
    [
        "equals:region=eu then newest:v then hold",
        "update_wins then newest:v then prefer:a",
        "keep_both:a then delete_wins then newest:t then skip",
        "newest:t then highest_version:v then hold",
        "custom:m:f then halt",
    ],
)
def test_a_chain_with_an_end_is_total(rule):
    assert holes(policy(rule), SHOP) == []


def test_a_hole_in_the_middle_of_a_chain_is_none():
    """Only what the last rule leaves open is open."""
    found = holes(policy("equals:region=eu then newest:v", on_tie="a"), SHOP)
    assert named(found) == {"on_delete"}
    assert all("newest:v" in hole for hole in found)
    assert holes(policy("update_wins then newest:v", on_tie="a"), SHOP) == []


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("newest:gone then hold", "has no column 'gone'"),
        ("newest:region then hold", "shop.t.region is varchar"),
        ("equals:photo=1 then hold", "shop.t.photo is blob"),
        ("equals:weight=1 then hold", "shop.t.weight is double"),
        ("hold", None),
    ],
)
@pytest.mark.parametrize("direction", list(Direction))
def test_a_column_that_does_not_fit_is_named(rule, words, direction):
    found = holes(policy(rule, direction=direction), SHOP)
    assert len(found) == (words is not None)
    assert all(words in hole for hole in found)


@pytest.mark.parametrize(
    "schema",
    [table(), table(text()), table(column(auto_increment=True), column("n"), key=("id", "n"))],
)
def test_both_rows_are_kept_only_where_the_table_makes_keys(schema):
    (found,) = holes(policy("keep_both:a then hold"), schema)
    assert "AUTO_INCREMENT" in found


FACTS = {
    Cell.INSERT_INSERT: ("i", "i"),
    Cell.UPDATE_UPDATE: ("u", "u"),
    Cell.UPDATE_DELETE: ("u", "d"),
    Cell.RECREATE_UPDATE: ("di", "u"),
    Cell.RECREATE_DELETE: ("di", "d"),
    Cell.RECREATE_RECREATE: ("di", "di"),
    Cell.KEY_CHANGE_DIVERGENT: ("i", "i"),
    Cell.KEY_CHANGE_COLLISION: ("i", "i"),
}
VALUES = [(1, 2), (2, 1), (1, 1), (None, 1), (1, None), (None, None)]
RULES = [rule for rule in ONE_RULE if "region" not in rule and "custom" not in rule]


@pytest.mark.parametrize("cell", Cell)
@pytest.mark.parametrize("rule", RULES)
def test_what_the_linter_calls_closed_is_decided(rule, cell):
    """Against the decision itself: where nothing is left open no row goes to the rule behind, whatever is found there."""
    for on_delete, on_tie, on_null in itertools.product(
        (None, "update_wins"), (None, "a"), (None, "lose")
    ):
        chosen = policy(rule, on_delete=on_delete, on_tie=on_tie, on_null=on_null)
        opened = left_open(chosen.rule, cell, chosen, nullable=True)
        chained = (
            policy(f"{rule} then skip", on_delete=on_delete, on_tie=on_tie, on_null=on_null)
            if not chosen.rule.kind.total
            else chosen
        )
        fell = False
        for a, b in VALUES:
            rows = row("x", a), ABSENT if cell.absent else row("y", b)
            for us in ((1_000_001, 3_000_001), (3_000_001, 1_000_001), (2_000_001, 2_000_001)):
                marks = (
                    (inexact(), inexact())
                    if cell is Cell.DRIFT
                    else [exact(ops, commit_us=at) for ops, at in zip(FACTS[cell], us, strict=True)]
                )
                found = judge(*marks, *rows, chained)
                fell = fell or (found.verdict is Verdict.SKIP and rule != "skip")
        unknown_time = cell is Cell.DRIFT and rule in {"newest", "oldest"}
        assert fell == bool(opened) or unknown_time


@pytest.mark.parametrize(
    ("rule", "modifiers", "labelled"),
    [
        ("hold", {}, False),
        ("skip", {}, False),
        ("newest", {"on_tie": "hold"}, False),
        ("newest", {"on_tie": "a"}, True),
        ("newest:v", {"on_tie": "hold", "on_delete": "hold"}, False),
        ("newest:v", {"on_tie": "hold", "on_delete": "delete_wins"}, True),
        ("oldest", {"on_tie": "hold"}, True),
        ("lowest_version:v", {"on_tie": "hold", "on_delete": "hold"}, True),
        ("prefer:a", {}, True),
        ("hold", {"on_truncate": "halt"}, True),
        ("hold", {"on_fk": "hold"}, False),
        *(("hold", {"on_fk": word}, True) for word in ("restore_parent", "drop_child", "cascade")),
        ("update_wins then hold", {}, True),
        ("equals:region=eu then hold", {}, True),
        ("custom:m:f then hold", {}, True),
        ("keep_both:a then hold", {}, True),
    ],
)
def test_rules_that_depend_on_timing_are_labelled(rule, modifiers, labelled):
    assert bool(depends_on_timing(policy(rule, **modifiers))) is labelled
    assert depends_on_timing(policy(rule, direction="a-to-b", **modifiers)) == []
