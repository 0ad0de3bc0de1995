"""A policy in words: what is said is what is decided."""

from __future__ import annotations

import pytest

from syncer.core.explain import explain
from syncer.core.lint import Cell, holes
from tests.unit.core.facts import policy

ALL = {cell.value for cell in Cell}


def told(chosen, kind):
    return [(one.when, one.outcome, one.rule) for one in explain(chosen) if kind in one.kinds]


@pytest.mark.parametrize(
    "rule",
    [
        *("hold", "halt", "skip", "prefer:a", "prefer:b"),
        "newest then hold",
        "oldest:t then hold",
        "equals:region=eu then keep_both:b then newest:t then skip",
        "matches:region=^e then delete_wins then highest_version:v then halt",
        "custom:m:f then update_wins then lowest_version:v then prefer:a",
        "column_merge then highest_version:v then newest:t then hold",
        "delta:stock then max:seen then column_merge:amount+currency then newest:t then hold",
        "column_merge then equals:region=eu then min:since then prefer:b",
    ],
)
def test_every_kind_is_told_and_nothing_is_left_open(rule):
    chosen = policy(rule)
    assert holes(chosen) == []
    found = explain(chosen)
    assert {kind for one in found for kind in one.kinds} == {
        *ALL,
        "presence_ambiguous",
        "truncate_dml",
        "fk_parent_missing",
        "fk_child_exists",
    }
    assert all(one.outcome and one.rule for one in found)
    assert not any("nobody" in one.rule for one in found)


def test_the_default_policy_is_told_in_few_words():
    first, *_ = explain(policy())
    assert first.kinds == tuple(cell.value for cell in Cell)
    assert (first.when, first.outcome, first.rule) == ("", "held: a person decides", "hold")


def test_a_comparing_rule_tells_its_modifiers():
    chosen = policy("newest:t", on_tie="a", on_null="lose", on_delete="update_wins")
    assert told(chosen, "update_update") == [
        ("t differs", "the row with the greater t stands", "newest:t"),
        ("t is equal", "what side A has stands", "on_tie=a"),
        ("t is NULL on one side", "the row with a value stands", "on_null=lose"),
        ("t is NULL on both sides", "what side A has stands", "on_tie=a"),
    ]
    assert told(chosen, "update_delete") == [("", "the row stays", "on_delete=update_wins")]
    assert told(policy("oldest:t then hold"), "drift of two rows")[0] == (
        *("t differs", "the row with the smaller t stands", "oldest:t"),
    )


def test_commit_times_tell_deletes_too():
    chosen = policy("newest", on_tie="b")
    assert told(chosen, "update_delete")[0] == (
        *("the commit times differ", "the later change stands", "newest"),
    )
    assert told(policy("oldest", on_tie="b"), "update_delete")[0][1] == "the earlier change stands"
    assert told(chosen, "drift of two rows") == [
        ("a commit time is not known", "held: a person decides", "no commit time: hold")
    ]


def test_a_chain_is_told_to_its_end():
    chosen = policy("equals:region=eu then newest:t then prefer:b", on_delete="delete_wins")
    assert told(chosen, "update_update") == [
        ("one row passes equals:region=eu", "the row that passes stands", "equals:region=eu"),
        (
            "both or neither pass equals:region=eu; t differs",
            "the row with the greater t stands",
            "newest:t",
        ),
        *(
            (f"both or neither pass equals:region=eu; {when}", "what side B has stands", "prefer:b")
            for when in ("t is equal", "t is NULL on one side", "t is NULL on both sides")
        ),
    ]
    assert told(chosen, "update_delete") == [("", "the row is deleted", "on_delete=delete_wins")]


def test_kinds_of_their_own_are_told_apart():
    chosen = policy("keep_both:a then delete_wins then skip")
    assert told(chosen, "insert_insert") == [
        ("", "the row of side A keeps the key, the other one gets a new key", "keep_both:a")
    ]
    assert told(chosen, "update_update") == [
        ("", "left as it is, until either side changes the row again", "skip")
    ]
    assert told(chosen, "key_change_collision") == told(chosen, "insert_insert")
    assert told(chosen, "key_change_divergent") == [
        ("", "both rows stay, each under its own key", "keep_both:a")
    ]
    assert told(chosen, "recreate against delete")[0][1] == "the row stays"
    assert told(chosen, "recreate against update")[0][1] == "the new row stands"
    asked = told(policy("custom:m:f then halt"), "update_delete")
    assert asked == [
        ("custom:m:f names a side", "what it names stands", "custom:m:f"),
        (
            "custom:m:f leaves it open",
            "held, and the table waits until a person decides",
            "halt",
        ),
    ]


def test_presence_and_direction_are_told():
    baseline, gap = told(policy(), "presence_ambiguous")
    assert baseline[1:] == ("the row is copied", "presence=copy")
    assert gap[1] == "held: a person decides"
    assert told(policy(presence="hold"), "presence_ambiguous")[0][2] == "presence=hold"
    (one,) = explain(policy("newest:t", direction="b-to-a"))
    assert (one.outcome, one.rule) == ("what side B has stands", "direction=b-to-a")


@pytest.mark.parametrize(
    ("on_fk", "outcome"),
    [
        (None, "what the parent's table says; held: a person decides"),
        ("hold", "held: a person decides"),
        ("restore_parent", "the parent comes back, the child stays"),
        ("drop_child", "the child goes where it was written"),
        ("cascade", "the child goes where it was written, and so do its own children"),
    ],
)
def test_families_are_told(on_fk, outcome):
    chosen = policy(on_fk=on_fk)
    assert told(chosen, "fk_parent_missing") == told(chosen, "fk_child_exists")
    ((_, said, rule),) = told(chosen, "fk_child_exists")
    assert (said, rule) == (outcome, f"on_fk={on_fk or 'hold'}")
