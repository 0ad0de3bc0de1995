"""A person decides held conflicts; only what was seen is decided."""

from __future__ import annotations

import pytest

from testbed import oracle
from tests.integration.harness import syncer as command
from tests.integration.harness import wait_until


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_held_conflicts_are_decided_beside_a_running_syncer(pair, database, product):
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL)",
        "INSERT INTO t VALUES (1,'o'),(2,'o'),(3,'o'),(4,'o')",
        db=database,
    )
    syncer = product()
    syncer.until_in_sync()
    pair.a.script(
        "UPDATE t SET v='from a' WHERE id IN (1,2,4)", "DELETE FROM t WHERE id=3", db=database
    )
    pair.b.script("UPDATE t SET v='from b'", db=database)
    syncer.until_in_sync(codes=(1,))
    numbers = {
        record["entry"]["key"][0]: record["conflict_id"]
        for record in conflicts(syncer, "list", "--json").must(1).document()["conflicts"]
    }
    assert set(numbers) == {"1", "2", "3", "4"}

    def resolve(key: str, take: str, *more: str):
        return conflicts(syncer, "resolve", numbers[key], "--take", take, *more)

    resolve("1", "a", "--dry-run").must(0)
    # What the person saw of row 4 is not what is there when the answer is carried out.
    resolve("4", "a").must(0)
    pair.b.script("UPDATE t SET v='later' WHERE id=4", db=database)
    running = syncer.start()
    running.connected()
    resolve("1", "a").must(0)
    resolve("2", "b").must(0)
    resolve("3", "a").must(0)

    def decided() -> tuple[bool, object]:
        held = syncer.conflicts("held")
        return [c.key for c in held] == [("4",)], held

    wait_until("three are decided, one is held anew", decided)
    running.stop().must(0, 1)
    found = oracle.read_pair(pair, database)["t"]
    assert found[0][1,] == found[1][1,] == (1, "from a")
    assert found[0][2,] == found[1][2,] == (2, "from b")
    assert (3,) not in found[0] | found[1]
    assert (found[0][4,], found[1][4,]) == ((4, "from a"), (4, "later"))
    applied = {c.key[0]: c for c in syncer.conflicts("applied")}
    assert {key: c.winner for key, c in applied.items()} == {"1": "a", "2": "b", "3": "a"}
    assert all(c.path == "person" and "resolved by" in c.rule for c in applied.values())
    assert applied["3"].value("b", "v") == "from b", "the losing row is kept"
    assert resolve("1", "a").must(5).stderr.count("\n") == 1


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_in_sync_says_how_many_differences_are_accepted(pair, database, product):
    """By a person or by a rule: the rows differ, nothing is open, and the exit code is 0."""
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, v INT)", db=database)
    pair.a.script("INSERT INTO t VALUES (1, 1), (2, 1)", db=database)
    pair.b.script("INSERT INTO t VALUES (1, 2), (2, 2)", db=database)
    syncer = product()
    syncer.until_in_sync(codes=(1,))
    conflicts(syncer, "resolve", "--take", "skip", "--table", "t").must(0)
    pair.script("CREATE TABLE s (id INT PRIMARY KEY, v INT)", db=database)
    pair.a.script("INSERT INTO s VALUES (1, 1)", db=database)
    pair.b.script("INSERT INTO s VALUES (1, 2)", db=database)
    skipping = product("--rule", "skip")
    skipping.ledger = syncer.ledger
    report = skipping.until_in_sync()
    assert report["last"]["conflicts_skipped"] == 3
    assert report["message"].startswith("in sync but for 3 accepted differences")
    told = skipping("run", "--until-in-sync").must(0).stdout.splitlines()
    assert told[-1] == "IN SYNC  but for 3 accepted differences"
    pair.b.script("UPDATE t SET v = 1", "UPDATE s SET v = 1", db=database)
    assert syncer.until_in_sync()["message"] == "in sync"


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_plan_that_holds_withdraws_an_answer_that_waits(pair, database, product):
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL)",
        "INSERT INTO t VALUES (1,'o'),(2,'o')",
        db=database,
    )
    syncer = product()
    syncer.until_in_sync()
    pair.a.script("UPDATE t SET v='from a'", db=database)
    pair.b.script("UPDATE t SET v='from b'", db=database)
    syncer.until_in_sync(codes=(1,))
    listed = conflicts(syncer, "list", "--json").must(1).document()["conflicts"]
    numbers = {record["entry"]["key"][0]: record["conflict_id"] for record in listed}
    conflicts(syncer, "export", "-o", "plan.toml").must(0)
    conflicts(syncer, "resolve", *numbers.values(), "--take", "a").must(0)
    plan = syncer.folder / "plan.toml"
    plan.write_text(
        plan.read_text().replace(f"id = {numbers['2']}\n", f"id = {numbers['2']}\ntake = 'b'\n")
    )
    done = conflicts(syncer, "apply", "plan.toml", "--json").must(0).document()
    assert (done["held"], done["withdrawn"]) == ([numbers["1"]], [numbers["1"]])
    syncer.until_in_sync(codes=(1,))
    assert [c.key for c in syncer.conflicts("held")] == [("1",)]
    found = oracle.read_pair(pair, database)["t"]
    assert (found[0][1,], found[1][1,]) == ((1, "from a"), (1, "from b"))
    assert found[0][2,] == found[1][2,] == (2, "from b")


def conflicts(product, *words):
    return command("conflicts", *words, "--ledger", product.ledger, cwd=product.folder)
