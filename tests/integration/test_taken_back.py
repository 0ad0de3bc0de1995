"""A person takes back what syncer wrote; only where nothing changed since."""

from __future__ import annotations

import pytest

from testbed import oracle
from tests.integration.harness import syncer as command

JOURNAL = """
[journal]
redact = ["*.secret.v"]
"""


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_reverted_decision_stands_on_both_sides(pair, database, product, tmp_path):
    for name in ("t", "secret"):
        pair.script(
            f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL, f DOUBLE)",
            f"INSERT INTO {name} VALUES (1,'o',0.1),(2,'o',0.2),(3,'o',0.3)",
            db=database,
        )
    (tmp_path / "journal.toml").write_text(JOURNAL)
    syncer = product("-c", tmp_path / "journal.toml", "--rule", "prefer:a")
    syncer.until_in_sync()
    pair.a.script(
        "UPDATE t SET v='from a' WHERE id IN (1,2)",
        "DELETE FROM t WHERE id=3",
        "UPDATE secret SET v='hidden a' WHERE id=1",
        db=database,
    )
    pair.b.script(
        "UPDATE t SET v='from b', f=1/3",
        "UPDATE secret SET v='hidden b' WHERE id=1",
        db=database,
    )
    syncer.until_in_sync()
    numbers = {
        (one["entry"]["table"].rpartition(".")[2], one["entry"]["key"][0]): one["conflict_id"]
        for one in conflicts(syncer, "list", "--status", "applied", "--json")
        .must(0)
        .document()["conflicts"]
    }
    assert set(numbers) == {("t", "1"), ("t", "2"), ("t", "3"), ("secret", "1")}
    assert b"hidden" not in syncer.ledger.read_bytes()
    assert conflicts(syncer, "revert", numbers["secret", "1"]).must(1).stdout.count("redacted") == 1

    pair.b.script("UPDATE t SET v='later' WHERE id=2", db=database)
    asked = [numbers["t", key] for key in ("1", "2", "3")]
    conflicts(syncer, "revert", *asked).must(0)
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert found["t"][0][1,][:2] == (1, "from b")
    assert found["t"][0][2,][:2] == (2, "later")
    assert found["t"][0][3,][:2] == (3, "from b"), "what was deleted is there again"
    states = {key: show(syncer, numbers["t", key]) for key in ("1", "2", "3")}
    assert {key: one["status"] for key, one in states.items()} == {
        "1": "reverted",
        "2": "applied",
        "3": "reverted",
    }
    assert "changed since" in states["2"]["revert"]["note"]
    for one in states.values():
        entry = one["entry"]
        assert len({entry["a_gtid"], entry["b_gtid"], one["applied_gtid"], None}) == 4
        assert entry["a_server_id"] != entry["b_server_id"] > 0


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_what_was_overwritten_and_deleted_is_undone_but_what_changed_since(pair, database, product):
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL)",
        "INSERT INTO t VALUES (1,'o'),(2,'o'),(3,'o'),(4,'o')",
        db=database,
    )
    syncer = product()
    syncer.until_in_sync()
    pair.a.script(
        "UPDATE t SET v='wrong' WHERE id IN (1,2)",
        "DELETE FROM t WHERE id=3",
        "INSERT INTO t VALUES (5,'new')",
        db=database,
    )
    syncer.until_in_sync()
    pair.a.script("UPDATE t SET v='wrong again' WHERE id=1", db=database)
    syncer.until_in_sync()
    pair.b.script("UPDATE t SET v='later' WHERE id=2", db=database)
    undo(syncer, "--table", f"{database}.t", "--dry-run").must(0)
    asked = undo(syncer, "--table", f"{database}.t", "--json").must(0).document()["rows"]
    assert sorted(one["key"][0] for one in asked) == ["1", "2", "3"]
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert {row[:2] for row in found["t"][0].values()} == {
        (1, "o"),
        (2, "later"),
        (3, "o"),
        (4, "o"),
        (5, "new"),
    }
    status = undo(syncer, "--status", "--json").must(1).document()["restorations"]
    assert {one["key"][0]: one["status"] for one in status} == {
        "1": "done",
        "2": "left",
        "3": "done",
    }


def undo(product, *words):
    return command("undo", *words, "--ledger", product.ledger, cwd=product.folder)


def show(product, number):
    return conflicts(product, "show", number, "--json").must(0).document()


def conflicts(product, *words):
    return command("conflicts", *words, "--ledger", product.ledger, cwd=product.folder)
