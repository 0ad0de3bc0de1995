"""What a guard withholds is not written, and not lost: a person lets it through, or takes the other side's row back."""

from __future__ import annotations

import pytest

from testbed import oracle
from tests.integration.harness import syncer as command

GUARDS = """
[guard]
deletes_max = 50
[[table]]
match = "*.kept"
forbid_b = ["delete"]
"""


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_withheld_writes_wait_for_a_person(pair, database, product, tmp_path):
    rows = ",".join(f"({n},'o')" for n in range(1, 201))
    for name in ("t", "kept"):
        pair.script(
            f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL)",
            f"INSERT INTO {name} VALUES {rows}",
            db=database,
        )
    (tmp_path / "guards.toml").write_text(GUARDS)
    syncer = product("-c", tmp_path / "guards.toml")
    syncer.until_in_sync()
    pair.a.script(
        "DELETE FROM t WHERE id <= 100",
        "DELETE FROM kept WHERE id = 1",
        "UPDATE kept SET v = 'a' WHERE id = 2",
        db=database,
    )
    pair.b.script("INSERT INTO t VALUES (1000,'b')", db=database)
    report = syncer.until_in_sync(codes=(5,))
    assert [one["guard"] for one in report["last"]["paused"]] == [True]
    found = oracle.read_pair(pair, database)
    assert (len(found["t"][0]), len(found["t"][1])) == (100, 201), "nothing of the table moves"
    assert found["kept"][1][2,] == (2, "a"), "other tables flow"
    assert (1,) in found["kept"][1], "a delete that is forbidden is not written"
    (held,) = syncer.conflicts("held")
    assert (held.kind, held.key, held.images["a"]) == ("guard", ("1",), None)

    listed = guard(syncer, "list", "--json").must(5).document()["stopped"]
    assert [(one["side"], one["amount"]) for one in listed] == [("b", 100)]
    guard(syncer, "confirm", f"{database}.t").must(0)
    syncer.until_in_sync(codes=(1,))
    found = oracle.read_pair(pair, database)
    assert found["t"][0] == found["t"][1]
    assert len(found["t"][0]) == 101
    assert (1,) in found["kept"][1]

    number = conflicts(syncer, "list", "--json").must(1).document()["conflicts"][0]["conflict_id"]
    conflicts(syncer, "resolve", number, "--take", "b").must(0)
    syncer.until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    guard(syncer, "list").must(0)


def guard(product, *words):
    return command("guard", *words, "--ledger", product.ledger, cwd=product.folder)


def conflicts(product, *words):
    return command("conflicts", *words, "--ledger", product.ledger, cwd=product.folder)
