"""What a guard withholds is not written, and not lost: a person lets it through, or takes the other side's row back."""

from __future__ import annotations

from collections import Counter

import pytest

from testbed import oracle
from tests.fault.runner import start_doomed
from tests.integration.harness import syncer as command
from tests.integration.harness import wait_until

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


REJECTED = """
[guard]
deletes_max = 50
updates_max = 50
"""


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_a_mass_change_that_was_a_mistake_is_turned_back(pair, database, product, tmp_path):
    """Row by row, with the other side's rows; each has an entry, and what comes later travels as ever."""
    rows = ",".join(f"({n},'o')" for n in range(1, 201))
    for name in ("deleted", "updated", "emptied", "c"):
        parent = ", FOREIGN KEY (id) REFERENCES deleted (id)" if name == "c" else ""
        pair.script(
            f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL{parent})",
            f"INSERT INTO {name} VALUES {rows}",
            db=database,
        )
    (tmp_path / "guards.toml").write_text(REJECTED)
    syncer = product("-c", tmp_path / "guards.toml")
    syncer.until_in_sync()
    pair.a.script(
        "DELETE FROM c WHERE id <= 120",
        "DELETE FROM deleted WHERE id <= 100",
        "UPDATE updated SET v = 'a' WHERE id <= 100",
        "TRUNCATE TABLE emptied",
        "INSERT INTO emptied VALUES (1000,'a')",
        "INSERT INTO deleted VALUES (1000,'a')",
        db=database,
    )
    pair.b.script("UPDATE deleted SET v = 'b' WHERE id IN (1, 150)", db=database)
    syncer.until_in_sync(codes=(5,))
    tables = [f"{database}.{name}" for name in ("c", "deleted", "updated", "emptied")]
    assert {one["table"] for one in stopped(syncer)} == set(tables)
    done = guard(syncer, "reject", *tables, "--dry-run").must(0)
    assert "would be turned back" in done.stdout
    assert len(stopped(syncer)) == 4
    guard(syncer, "reject", *tables).must(0)
    left = guard(syncer, "list", "--json").must(0).document()
    assert (left["stopped"], len(left["rejected"])) == ([], 4)
    # What comes after the answer is not part of it.
    pair.a.script("DELETE FROM c WHERE id = 200", "DELETE FROM deleted WHERE id = 200", db=database)
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert sorted(key for (key,) in found["deleted"][0]) == [*range(1, 200), 1000]
    assert sorted(key for (key,) in found["c"][0]) == [*range(1, 200)]
    assert sorted(key for (key,) in found["emptied"][0]) == [*range(1, 201), 1000]
    assert {row[1] for row in found["updated"][0].values()} == {"o"}
    # What both sides changed was counted too.
    assert (found["deleted"][0][1,][1], found["deleted"][0][150,][1]) == ("b", "b")
    applied = syncer.conflicts("applied")
    assert {(c.kind, c.winner, c.path) for c in applied} == {("guard", "b", "reject")}
    counts = Counter(c.table.split(".")[1] for c in applied)
    assert counts == {"c": 120, "deleted": 100, "updated": 100, "emptied": 200}
    assert guard(syncer, "list", "--json").must(0).document()["rejected"] == []
    # The guard counts anew.
    pair.a.script("UPDATE updated SET v = 'x'", db=database)
    syncer.until_in_sync(codes=(5,))
    assert [one["table"] for one in stopped(syncer)] == [f"{database}.updated"]


ROWS = 1200


def fill(server, database, *names):
    rows = ",".join(f"({n},'o')" for n in range(1, ROWS + 1))
    server.script(*(f"INSERT INTO {name} VALUES {rows}" for name in names), db=database)


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_more_than_half_of_a_table_goes_only_where_a_person_says_so(
    pair, database, product, tmp_path
):
    """By default. What both delete is nobody's mistake, and one table may do without."""
    (tmp_path / "free.toml").write_text('[[table]]\nmatch = "*.free"\ndeletes_percent_max = 0\n')
    names = ("gone", "emptied", "half", "free", "twice")
    pair.script(
        *(f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL)" for name in names),
        db=database,
    )
    fill(pair.a, database, *names)
    syncer = product("-c", tmp_path / "free.toml")
    syncer.until_in_sync()
    pair.a.script(
        "DELETE FROM gone WHERE id <= 700",
        "TRUNCATE TABLE emptied",
        "DELETE FROM half WHERE id <= 500",
        "TRUNCATE TABLE free",
        "DELETE FROM twice WHERE id <= 1000",
        db=database,
    )
    pair.b.script("DELETE FROM twice WHERE id <= 998", db=database)
    syncer.until_in_sync(codes=(5,))
    assert sorted(one["table"].split(".")[1] for one in stopped(syncer)) == ["emptied", "gone"]
    counts = {name: len(both[1]) for name, both in oracle.read_pair(pair, database).items()}
    gone = {"half": 500, "free": ROWS, "twice": 1000}
    assert counts == {name: ROWS - gone.get(name, 0) for name in names}


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_source_that_came_up_empty_empties_no_target(pair, database, product):
    """One way, the first comparison decides what the target has too much: not before a person has seen how much that is."""
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL)", db=database)
    fill(pair.b, database, "t")
    syncer = product("--direction", "a-to-b")
    syncer.until_in_sync(codes=(5,))
    assert len(oracle.read_pair(pair, database)["t"][1]) == ROWS
    assert [one["amount"] for one in stopped(syncer)] == [ROWS]
    guard(syncer, "confirm", f"{database}.t").must(0)
    syncer.until_in_sync()
    assert oracle.read_pair(pair, database)["t"] == ({}, {})


@pytest.mark.parametrize(
    ("pair", "probe"),
    [
        ("mariadb", None),
        ("mysql", None),
        ("mariadb", "apply.committed.b:1"),
        ("mysql", "apply.finished.b:1"),
    ],
    indirect=["pair"],
)
def test_an_agreement_ends_with_what_was_waiting(pair, database, product, probe):
    """Over restarts, and where the process was killed between a commit and what is counted for it."""
    syncer = filled(pair, database, product)
    pair.a.script("DELETE FROM t WHERE id <= 2900", db=database)
    syncer.until_in_sync(codes=(5,))
    guard(syncer, "confirm", f"{database}.t").must(0)
    if probe:
        start_doomed(syncer, probe).dies()
    syncer.until_in_sync()
    assert rows_of(pair, database) == (1100, 1100)
    assert "no table is stopped" in guard(syncer, "list").must(0).stdout

    pair.a.script("DELETE FROM t WHERE id <= 3890", db=database)
    syncer.until_in_sync(codes=(5,))
    assert rows_of(pair, database) == (110, 1100)
    assert [(one["amount"], one["left"]) for one in stopped(syncer)] == [(990, None)]


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_what_is_deleted_after_the_answer_is_asked_for_again(pair, database, product):
    syncer = filled(pair, database, product)
    pair.a.script("DELETE FROM t WHERE id <= 2900", db=database)
    syncer.until_in_sync(codes=(5,))
    guard(syncer, "confirm", f"{database}.t").must(0)
    pair.a.script("DELETE FROM t WHERE id <= 3890", db=database)
    syncer.until_in_sync(codes=(5,))
    assert rows_of(pair, database)[1] >= 1100
    (one,) = stopped(syncer)
    assert one["left"] is None


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_the_process_that_let_a_mass_change_through_stops_the_next_one(pair, database, product):
    syncer = filled(pair, database, product)
    running = syncer.start()
    for upto, left in ((2900, 1100), (3890, 110)):
        before = rows_of(pair, database)[1]
        pair.a.script(f"DELETE FROM t WHERE id <= {upto}", db=database)
        wait_until("stopped", lambda: ((found := stopped(syncer)) != [], found))
        assert rows_of(pair, database) == (left, before)
        guard(syncer, "confirm", f"{database}.t").must(0)
        wait_until("written", lambda n=left: ((found := rows_of(pair, database)) == (n, n), found))
        wait_until("at rest", lambda: ((found := stopped(syncer)) == [], found))
    running.stop()


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_table_that_was_emptied_and_filled_again_goes_through_once(pair, database, product):
    syncer = filled(pair, database, product)
    pair.a.script(
        "CREATE TABLE kept AS SELECT id + 10000 AS id, v FROM t WHERE id <= 1500",
        "TRUNCATE TABLE t",
        "INSERT INTO t SELECT id, v FROM kept",
        "DROP TABLE kept",
        db=database,
    )
    syncer.until_in_sync(codes=(5,))
    assert rows_of(pair, database)[1] >= 4000
    guard(syncer, "confirm", f"{database}.t").must(0)
    syncer.until_in_sync()
    assert rows_of(pair, database) == (1500, 1500)
    assert stopped(syncer) == []
    pair.a.script("DELETE FROM t WHERE id <= 11000", db=database)
    syncer.until_in_sync(codes=(5,))
    assert rows_of(pair, database) == (500, 1500)


def filled(pair, database, product):
    """Give the product and a table of 4,000 rows, in sync."""
    rows = ",".join(f"({n},'o')" for n in range(1, 4001))
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20) NOT NULL)",
        f"INSERT INTO t VALUES {rows}",
        db=database,
    )
    syncer = product()
    syncer.until_in_sync()
    return syncer


def rows_of(pair, database):
    return tuple(len(rows) for rows in oracle.read_pair(pair, database)["t"])


def stopped(product):
    return guard(product, "list", "--json").must(5, 0).document()["stopped"]
