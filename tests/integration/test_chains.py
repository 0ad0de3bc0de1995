"""
What both sides did to one row, in every order that makes peers diverge: it ends equal, as the policy says, and journaled.

Everything is done while no syncer runs, so that every key is a conflict for certain. Times are an application's, in a column: whose
clock is 10 s ahead writes times that are 10 s ahead.
"""

from __future__ import annotations

import pytest

from testbed import oracle

POLICY = """
[policy]
rule = "newest:at"
on_tie = "a"
on_null = "lose"
on_delete = "update_wins"
[[table]]
match = "*.margin"
clock_margin_s = 15
"""
EARLY, LATER, AHEAD = (f"2020-01-01 00:00:{second}" for second in ("05", "45", "15"))


def wrote(at: str | None, who: str) -> str:
    return f"UPDATE t SET at={(at and repr(at)) or 'NULL'}, v='{who}' WHERE id=1"


def new(at: str, who: str) -> tuple[str, ...]:
    return ("DELETE FROM t WHERE id=1", f"INSERT INTO t VALUES (1,'{at}','{who}')")


GONE = ("DELETE FROM t WHERE id=1",)
CHAINS = {
    # what A did, what B did, whose row stands (a, b, or none), the kind
    "same_time": ((wrote(EARLY, "a"),), (wrote(EARLY, "b"),), "a", "update_update"),
    "newer": ((wrote(EARLY, "a"),), (wrote(LATER, "b"),), "b", "update_update"),
    "older_on_b": ((wrote(LATER, "a"),), (wrote(EARLY, "b"),), "a", "update_update"),
    "ahead": ((wrote(EARLY, "a"),), (wrote(AHEAD, "b"),), "b", "update_update"),
    "margin": ((wrote(EARLY, "a"),), (wrote(AHEAD, "b"),), "a", "update_update"),
    "null_on_a": ((wrote(None, "a"),), (wrote(EARLY, "b"),), "b", "update_update"),
    "null_on_b": ((wrote(EARLY, "a"),), (wrote(None, "b"),), "a", "update_update"),
    "two_nulls": ((wrote(None, "a"),), (wrote(None, "b"),), "a", "update_update"),
    "deleted_on_a": (GONE, (wrote(LATER, "b"),), "b", "update_delete"),
    "deleted_on_b": ((wrote(LATER, "a"),), GONE, "a", "update_delete"),
    "deleted_twice": (GONE, GONE, None, None),
    "new_on_a": (new(EARLY, "a"), (wrote(LATER, "b"),), "a", "recreate"),
    "new_on_b": ((wrote(LATER, "a"),), new(EARLY, "b"), "b", "recreate"),
    "new_and_gone": (new(EARLY, "a"), GONE, "a", "recreate"),
    "new_on_both": (new(EARLY, "a"), new(LATER, "b"), "b", "recreate"),
    "came_and_went": ((*new(EARLY, "a"), *GONE), (wrote(LATER, "b"),), "b", "recreate"),
}


@pytest.mark.parametrize("pair", ["mariadb", "mysql", "mixed"], indirect=True)
def test_every_chain_ends_equal(pair, database, product, tmp_path):
    for name in CHAINS:
        pair.script(
            f"CREATE TABLE {name} (id INT PRIMARY KEY, at TIMESTAMP(6) NULL, v VARCHAR(9) NOT NULL)",
            f"INSERT INTO {name} VALUES (1,'2020-01-01 00:00:00','o')",
            db=database,
        )
    (tmp_path / "policy.toml").write_text(POLICY, "utf-8")
    syncer = product("-c", tmp_path / "policy.toml")
    syncer.until_in_sync()
    for name, (on_a, on_b, _, _) in CHAINS.items():
        for server, statements in ((pair.a, on_a), (pair.b, on_b)):
            server.script(*(one.replace(" t ", f" {name} ") for one in statements), db=database)
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    stands = {name: [row[2] for row in both[0].values()] for name, both in found.items()}
    assert stands == {
        name: [] if winner is None else [winner] for name, (_, _, winner, _) in CHAINS.items()
    }
    journal = {c.table.split(".")[1]: (c.kind, c.winner) for c in syncer.conflicts("applied")}
    assert journal == {
        name: (kind, winner) for name, (_, _, winner, kind) in CHAINS.items() if kind
    }
    # What both deleted is no conflict; it is counted.
    assert syncer.status()["summary"]["counters"]["agreed.deleted"] == 1
