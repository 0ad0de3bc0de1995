"""A policy is total or it does not load (conflicts.md §3)."""

from __future__ import annotations

import itertools

import pytest

from syncer.core.lint import holes
from syncer.core.policy import OnDelete, OnNull, OnTie, Policy, Presence, Rule, RuleKind
from syncer.core.side import Direction, Side
from tests.unit.core.schemas import column, table

COLUMN_RULES = [f"{kind}:c" for kind in RuleKind if kind.compares]
COMMIT_RULES = ["newest", "oldest"]


@pytest.mark.parametrize("text", [*COLUMN_RULES, *COMMIT_RULES, "prefer:a", "prefer:b", "hold"])
def test_a_rule_reads_what_it_writes(text):
    assert str(Rule.parse(text)) == text
    assert Rule.parse(str(Rule.parse(text))) == Rule.parse(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (" Newest : Changed_At ", Rule(RuleKind.NEWEST, column="Changed_At")),
        ("PREFER:B", Rule(RuleKind.PREFER, side=Side.B)),
        ("newest:", Rule(RuleKind.NEWEST)),
        ("hold:", Rule(RuleKind.HOLD)),
    ],
)
def test_letter_case_and_spaces_of_a_rule_do_not_matter_but_in_names(text, rule):
    assert Rule.parse(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "latest:c",
        "prefer",
        "prefer:c",
        "hold:a",
        "highest_version",
        "lowest_version:",
    ],
)
def test_a_rule_that_means_nothing_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        Rule.parse(text)


def test_an_unknown_rule_is_told_the_known_ones():
    with pytest.raises(
        ValueError,
        match=r"newest, oldest, highest_version, lowest_version, prefer, .*, hold, halt, skip",
    ):
        Rule.parse("latest")


@pytest.mark.parametrize("text", COLUMN_RULES)
def test_every_hole_of_a_column_rule_is_named(text):
    nullable = table(column(), column("c", nullable=True))
    chosen = Policy(rule=Rule.parse(text))
    found = holes(chosen, nullable)
    assert [
        word for word in ("on_delete", "on_tie", "on_null") if any(word in h for h in found)
    ] == [
        "on_delete",
        "on_tie",
        "on_null",
    ]
    assert all("\n" not in hole for hole in found)
    assert len(holes(chosen)) == 2, "whether the column is nullable is not known here"
    assert len(holes(chosen, table(column(), column("c")))) == 2


@pytest.mark.parametrize("text", COMMIT_RULES)
def test_commit_times_can_judge_a_delete(text):
    (hole,) = holes(Policy(rule=Rule.parse(text)), table())
    assert "on_tie" in hole


@pytest.mark.parametrize("text", ["hold", "prefer:a"])
def test_rules_that_compare_nothing_have_no_holes(text):
    assert holes(Policy(rule=Rule.parse(text)), table()) == []


@pytest.mark.parametrize("text", [*COLUMN_RULES, *COMMIT_RULES])
def test_every_modifier_fills_exactly_its_hole(text):
    """Over all combinations: as many holes as reachable modifiers are missing."""
    nullable = table(column(), column("c", nullable=True))
    for on_delete, on_tie, on_null, presence in itertools.product(
        (None, *OnDelete), (None, *OnTie), (None, *OnNull), Presence
    ):
        chosen = Policy(
            rule=Rule.parse(text),
            on_delete=on_delete,
            on_tie=on_tie,
            on_null=on_null,
            presence=presence,
        )
        by_column = ":" in text
        missing = (
            (on_delete is None and by_column) + (on_tie is None) + (on_null is None and by_column)
        )
        assert len(holes(chosen, nullable)) == missing


def test_a_column_in_any_letter_case_is_found():
    chosen = Policy(rule=Rule.parse("newest:C"), on_delete=OnDelete.HOLD, on_tie=OnTie.A)
    assert holes(chosen, table(column(), column("c"))) == []


@pytest.mark.parametrize("direction", list(Direction))
def test_a_column_that_is_not_there_is_named_whatever_the_direction(direction):
    """The reader selects the rule's column of one-way tables too."""
    chosen = Policy(
        rule=Rule.parse("newest:gone"),
        on_delete=OnDelete.HOLD,
        on_tie=OnTie.A,
        direction=direction,
    )
    (hole,) = holes(chosen, table())
    assert "shop.t" in hole
    assert "'gone'" in hole


@pytest.mark.parametrize("direction", [Direction.A_TO_B, Direction.B_TO_A])
def test_a_one_way_table_needs_no_modifiers(direction):
    chosen = Policy(rule=Rule.parse("newest:c"), direction=direction)
    assert holes(chosen) == []
    assert holes(chosen, table(column(), column("c", nullable=True))) == []


def test_the_default_policy_holds():
    assert Policy().rule == Rule(RuleKind.HOLD)
    assert holes(Policy(), table()) == []
