"""Answers that wait: they are seen, replaced and withdrawn, and a dry run says what the real one does."""

import msgspec
import pytest

from syncer.clock import SystemClock
from syncer.core.mark import Reason
from syncer.core.position import StreamPosition
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.ledger import ConflictStatus, Ledger
from tests.unit.cli.test_commands import entry


def opened(path="syncer.db"):
    return Ledger.open(path, pair_id="pair-1", identity={}, clock=SystemClock())


@pytest.fixture
def ledger():
    """Three held conflicts; number 3 is superseded."""
    with opened() as found:
        position = StreamPosition(
            server="s1", gtids="0-1-7", file="binlog.000003", offset=1234, seq=7
        )
        found.start({Side.A: position}, [], Reason.BASELINE)
        table = found.table_id(TableName("shop", "orders"))
        numbers = found.journal_held([entry(key) for key in ("1", "2", "3")])
        for number in numbers:
            found.hold(table, [number], number)
        found.clear(table, [3], dict.fromkeys(Side, 7))
    return "syncer.db"


def waiting():
    with opened() as found:
        return {number: said.wanted.word for number, said in found.answers().items()}


def test_an_answer_that_waits_is_seen(syncer, ledger):
    assert "next run" not in syncer("conflicts", "list").out
    assert syncer("conflicts", "show", "2").out.count("answer") == 0
    assert syncer("conflicts", "resolve", "2", "--take", "a").code == 0
    shown = syncer("conflicts", "list").out
    assert "next run" in shown.splitlines()[0]
    assert [("take a" in line) for line in shown.splitlines()[1:3]] == [True, False]
    assert "1 answer waits: a running syncer takes it within a second" in shown
    listed = syncer("conflicts", "list", "--json").json["conflicts"]
    answer = listed[0]["answer"]
    assert (answer["take"], answer["actor"] != "", answer["asked_at"] > 0) == ("a", True, True)
    assert listed[1]["answer"] is None
    assert syncer("conflicts", "show", "2", "--json").json["answer"] == answer
    assert syncer("conflicts", "show", "1", "--json").json["answer"] is None
    facts = syncer("conflicts", "show", "2").out
    assert "answer" in facts
    assert "take a: the row of side a goes to side b" in facts
    assert (
        "it waits: a running syncer takes it within a second, else the next `syncer run`" in facts
    )


def test_a_merge_and_a_skip_that_wait_are_seen(syncer):
    with opened() as found:
        base = ("1", "'base'", "'Rome'")
        found.journal_held([entry("1", base_image=base), entry("2")])
    assert syncer("conflicts", "resolve", "1", "--take", "merge", "--else", "b").code == 0
    assert syncer("conflicts", "resolve", "2", "--take", "skip", "--for", "7d").code == 0
    listed = [c["answer"] for c in syncer("conflicts", "list", "--json").json["conflicts"]]
    assert (listed[0]["take"], listed[0]["until"] > 0) == ("skip", True)
    assert (listed[1]["take"], listed[1]["else"]) == ("merge", "b")
    assert "take merge, else b" in syncer("conflicts", "list").out
    assert "2 answers wait" in syncer("conflicts", "list").out


def test_an_answer_that_takes_the_place_of_another_says_so(syncer, ledger):
    syncer("conflicts", "resolve", "2", "--take", "a")
    said = "the answer that waited is withdrawn: take a"
    assert said not in syncer("conflicts", "resolve", "2", "--take", "a").out
    dry = syncer("conflicts", "resolve", "2", "--take", "b", "--dry-run", "--json").json["taken"]
    assert dry == [{"conflict_id": 2, "take": "b", "replaces": {"take": "a"}}]
    assert waiting() == {2: "a"}
    again = syncer("conflicts", "resolve", "2", "--take", "b").out
    assert f"2: shop.orders 2: the row of side b goes to side a; {said}" in again
    held = syncer("conflicts", "resolve", "2", "--take", "hold").out
    assert "2: shop.orders 2: it stays held; the answer that waited is withdrawn: take b" in held


def test_a_plan_that_holds_withdraws_the_answer_that_waits(syncer, ledger, tmp_path):
    plan = tmp_path / "plan.toml"
    syncer("conflicts", "resolve", "2", "--take", "a")
    syncer("conflicts", "resolve", "1", "--take", "b")
    syncer("conflicts", "export", "-o", plan)
    assert "#   an answer waits: take a; what this plan takes or holds goes before it" in (
        plan.read_text()
    )
    plan.write_text(plan.read_text().replace("id = 1\n", 'id = 1\ntake = "a"\n'))
    said = "2: shop.orders 2: it {} held; the answer that waited {} withdrawn: take a"
    dry = syncer("conflicts", "apply", plan, "--dry-run")
    assert (dry.code, said.format("would stay", "would be") in dry.out) == (0, True)
    assert "would go to side b; the answer that waited would be withdrawn: take b" in dry.out
    assert waiting() == {1: "b", 2: "a"}
    done = syncer("conflicts", "apply", plan, "--json")
    assert done.code == 0
    assert done.json["taken"] == [{"conflict_id": 1, "take": "a", "replaces": {"take": "b"}}]
    assert (done.json["held"], done.json["withdrawn"]) == ([2], [2])
    assert waiting() == {1: "a"}
    again = syncer("conflicts", "apply", plan)
    assert "withdrawn" not in again.out
    syncer("conflicts", "resolve", "2", "--take", "a")
    assert said.format("stays", "is") in syncer("conflicts", "apply", plan).out


@pytest.mark.parametrize("more", [(), ("--json",)])
@pytest.mark.parametrize("take", ["a", "hold", "skip"])
def test_a_dry_run_refuses_what_the_real_one_refuses(syncer, ledger, take, more):
    for words in ((), ("--dry-run",)):
        result = syncer("conflicts", "resolve", "1", "3", "--take", take, *words, *more)
        assert (result.code, result.out) == (5, "")
        assert "conflict 3 is not held" in result.err
    assert waiting() == {}


def test_a_dry_run_of_a_plan_leaves_what_the_real_one_leaves(syncer, ledger, tmp_path):
    plan = tmp_path / "plan.toml"
    syncer("conflicts", "export", "-o", plan)
    plan.write_text(plan.read_text().replace('default = "hold"', 'default = "a"'))
    with opened() as found:
        found.clear(found.table_id(TableName("shop", "orders")), [2], dict.fromkeys(Side, 7))
    dry = syncer("conflicts", "apply", plan, "--dry-run", "--json")
    done = syncer("conflicts", "apply", plan, "--json")
    assert dry.code == done.code == 1
    assert dry.json["left"] == done.json["left"]


def test_what_is_held_no_more_has_no_answer(syncer, ledger):
    syncer("conflicts", "resolve", "1", "--take", "a")
    with opened() as found:
        found.clear(found.table_id(TableName("shop", "orders")), [1], dict.fromkeys(Side, 7))
        record = found.conflict(1)
    assert record.status is ConflictStatus.SUPERSEDED
    assert syncer("conflicts", "show", "1", "--json").json["answer"] is None
    assert (
        msgspec.json.decode(syncer("conflicts", "list", "--json").out)["conflicts"][0]["answer"]
        is None
    )
