"""How rules are written, chained and tested against values."""

from __future__ import annotations

import decimal

import pytest

from syncer.core.policy import Policy
from syncer.core.rules import Rule, RuleKind, parse_chain, show_chain
from syncer.core.side import Side

ARGUMENTS = {
    RuleKind.NEWEST: ("", ":t"),
    RuleKind.OLDEST: ("", ":t"),
    RuleKind.HIGHEST_VERSION: (":v",),
    RuleKind.LOWEST_VERSION: (":v",),
    RuleKind.PREFER: (":a", ":b"),
    RuleKind.KEEP_BOTH: (":a", ":b"),
    RuleKind.EQUALS: (":region=eu", ":region=", ":note=a=b"),
    RuleKind.MATCHES: (":region=^e[uw]$",),
    RuleKind.CUSTOM: (":shop.rules:decide", ":rules:decide"),
    RuleKind.COLUMN_MERGE: ("", ":amount+currency", ":a+b,c+d+e"),
    RuleKind.DELTA: (":stock", ":stock,reserved"),
    RuleKind.MAX: (":seen",),
    RuleKind.MIN: (":seen,since",),
}
ALL = [f"{kind}{argument}" for kind in RuleKind for argument in ARGUMENTS.get(kind, ("",))]


@pytest.mark.parametrize("text", ALL)
def test_every_rule_reads_what_it_writes(text):
    assert str(Rule.parse(text)) == text
    assert Rule.parse(str(Rule.parse(text))) == Rule.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "equals",
        "equals:region",
        "equals:=eu",
        "matches:region=(",
        "custom",
        "custom:decide",
        "custom:rules:",
        "custom:rules:decide it",
        "custom:../rules:decide",
        "keep_both",
        "keep_both:c",
        "halt:a",
        "skip:a",
        "update_wins:a",
    ],
)
def test_a_rule_without_its_argument_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        Rule.parse(text)


def test_a_chain_reads_what_it_writes():
    text = "equals:region=eu then keep_both:b then newest:t then hold"
    chain = parse_chain(text)
    assert [rule.kind for rule in chain] == ["equals", "keep_both", "newest", "hold"]
    assert show_chain(chain) == text
    assert parse_chain("newest:t  THEN  hold") == parse_chain("newest:t then hold")
    policy = Policy(rule=chain[0], fallbacks=chain[1:])
    assert (policy.chain, policy.columns) == (chain, ("region", "t"))
    assert chain[1].side is Side.B


@pytest.mark.parametrize("first", ["hold", "halt", "skip", "prefer:a"])
def test_nothing_stands_behind_a_rule_that_leaves_nothing_open(first):
    with pytest.raises(ValueError, match="never asked"):
        parse_chain(f"{first} then newest")


@pytest.mark.parametrize("text", ["", "then", "newest:t then", "newest then newest", "a then b"])
def test_a_broken_chain_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse_chain(text)


@pytest.mark.parametrize(
    ("text", "value", "passes"),
    [
        ("equals:c=eu", "eu", True),
        ("equals:c=eu", "EU", False),
        ("equals:c=eu", "eu ", False),
        ("equals:c=", "", True),
        ("equals:c=7", 7, True),
        ("equals:c=07", 7, True),
        ("equals:c=7.0", 7, True),
        ("equals:c=1.5", decimal.Decimal("1.50"), True),
        ("equals:c=seven", 7, False),
        ("equals:c=eu", None, False),
        ("equals:c=", None, False),
        ("matches:c=^e", "eu", True),
        ("matches:c=u", "eu", True),
        ("matches:c=^u", "eu", False),
        ("matches:c=^7", 71, True),
        ("matches:c=", None, False),
        ("matches:c=z", "a" * 2000 + "z", False),
        ("newest:c", "2020-01-01", False),
    ],
)
def test_a_value_passes_a_test_or_not(text, value, passes):
    assert Rule.parse(text).holds_for(value) is passes
