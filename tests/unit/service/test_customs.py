"""Custom rules in a process of their own: what they are told, what they may say, and that they can be stopped."""

from __future__ import annotations

import decimal

import pytest

from syncer.core.decision import ConflictKind
from syncer.core.policy import Policy
from syncer.core.rules import Rule
from syncer.core.side import Side
from syncer.errors import ConfigError
from syncer.service.customs import LOAD_TIMEOUT_S, CustomRules, question
from syncer.service.sandbox import answer, load
from tests.unit.core.schemas import column, paired, table

MODULE = """
import time
from decimal import Decimal

print("printed while it is imported")


def richer(kind, a, b, base, meta):
    print("printed while it is asked")
    if a is None or b is None:
        return "hold"
    return "a" if a["total"] > b["total"] else "b" if b["total"] > a["total"] else None


def broken(kind, a, b, base, meta):
    raise ValueError("row value 4711")


def endless(kind, a, b, base, meta):
    while True:
        time.sleep(1)


def nonsense(kind, a, b, base, meta):
    return [a]


def summed(kind, a, b, base, meta):
    return {**a, "total": a["total"] + b["total"], "note": None}


def unnamed(kind, a, b, base, meta):
    return {4711: 1}


number = 7
"""
TABLE = paired(table(column(), column("total", "decimal"), column("note", "varchar")))
K = ConflictKind.UPDATE_UPDATE


@pytest.fixture
def customs(tmp_path, monkeypatch):
    (tmp_path / "shop_rules.py").write_text(MODULE, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = CustomRules()
    yield made
    made.close()


def asked(a, b):
    images = {Side.A: a, Side.B: b}
    return question(TABLE, K, images, {"key": ["1"]})


def test_a_question_has_plain_values():
    found = asked(("1", "12.50", "'it\\'s'"), ("1", "NULL", "''"))
    assert found.a == {"id": 1, "total": decimal.Decimal("12.50"), "note": "it's"}
    assert found.b == {"id": 1, "total": None, "note": ""}
    assert (found.kind, found.base, found.meta) == (
        "update_update",
        None,
        {"table": "shop.t", "key": ["1"]},
    )
    assert asked(None, None).a is None


def test_a_function_answers(customs):
    rule = Rule.parse("custom:shop_rules:richer")
    rich, poor = ("1", "12", "NULL"), ("1", "11", "NULL")
    ask = customs.ask
    assert ask(rule, asked(rich, poor), LOAD_TIMEOUT_S).winner is Side.A
    assert ask(rule, asked(poor, rich), LOAD_TIMEOUT_S).winner is Side.B
    assert ask(rule, asked(rich, rich), LOAD_TIMEOUT_S).leaves
    held = ask(rule, asked(rich, None), LOAD_TIMEOUT_S)
    assert (held.winner, held.leaves, held.reason) == (None, False, "")


def test_a_function_may_return_a_row(customs):
    rule = Rule.parse("custom:shop_rules:summed")
    images = ("1", "12.50", "'x'"), ("1", "0.25", "'y'")
    given = customs.ask(rule, asked(*images), LOAD_TIMEOUT_S)
    assert given == {"id": ("int", 1), "total": ("decimal", "12.75"), "note": ("null", None)}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken", "the function raised ValueError"),
        ("nonsense", "the function returned a list that is not"),
        ("unnamed", "the function returned a row with a column whose name is no text"),
    ],
)
def test_a_function_that_fails_gives_a_reason_without_row_values(customs, name, reason):
    found = customs.ask(
        Rule.parse(f"custom:shop_rules:{name}"), asked(None, ("1", "2", "NULL")), LOAD_TIMEOUT_S
    )
    assert (found.winner, found.leaves) == (None, False)
    assert found.reason.startswith(reason)
    assert "4711" not in found.reason


def test_a_function_that_takes_too_long_is_stopped_and_started_anew(customs):
    rule = Rule.parse("custom:shop_rules:endless")
    for _ in range(2):
        found = customs.ask(rule, asked(None, None), 0.05)
        assert found.reason == "no answer within 0.05 s"


@pytest.mark.parametrize("name", ["no_such_module:f", "shop_rules:gone", "shop_rules:number"])
def test_a_function_that_is_not_there_is_refused_at_the_start(customs, name):
    chosen = paired(policy=Policy(rule=Rule.parse(f"custom:{name}")))
    with pytest.raises(ConfigError, match=f"^rule custom:{name}: [^\\n]+$"):
        customs.load([chosen])
    assert customs.ask(chosen.policy.rule, asked(None, None), 1).reason


def test_a_function_that_is_there_is_loaded_once(customs):
    chosen = paired(policy=Policy(rule=Rule.parse("custom:shop_rules:richer")))
    customs.load([chosen, chosen, paired()])
    assert customs.ask(chosen.policy.rule, asked(None, None), LOAD_TIMEOUT_S).reason == ""


def test_a_process_that_dies_is_an_answer_too(customs):
    rule = Rule.parse("custom:os:_exit")
    assert customs.ask(rule, asked(None, None), LOAD_TIMEOUT_S).reason


def test_the_sandbox_imports_and_answers():
    function = load("json:dumps")
    said = answer(function, dict.fromkeys(("kind", "a", "b", "base", "meta")))
    assert said == "the function raised TypeError"
    with pytest.raises(ValueError, match="imported: ModuleNotFoundError"):
        load("no_such_module:f")
