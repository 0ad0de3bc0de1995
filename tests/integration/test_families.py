"""A parent deleted on one side while a child was written on the other: what `on_fk` makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from testbed import oracle
from tests.integration.harness import syncer as command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.provision import Pair
    from tests.integration.harness import Product

ON_TWO = pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
ROWS = 3000
"""More than are compared together with other small tables."""
RESTRICTS = ""
CASCADES = "ON DELETE CASCADE"
ACTIONS = pytest.mark.parametrize("action", [RESTRICTS, CASCADES], ids=["restricts", "cascades"])


def family(action: str = RESTRICTS) -> tuple[str, ...]:
    """Grandparents, parents, children and grandchildren; 1 is there in each of the first two, 2 in all of them."""
    return (
        "CREATE TABLE gp (id INT PRIMARY KEY, note VARCHAR(20))",
        f"CREATE TABLE p (id INT PRIMARY KEY, gp INT, note VARCHAR(20), FOREIGN KEY (gp) REFERENCES gp (id) {action})",
        f"CREATE TABLE c (id INT PRIMARY KEY, p INT, note VARCHAR(20), FOREIGN KEY (p) REFERENCES p (id) {action})",
        f"CREATE TABLE g (id INT PRIMARY KEY, c INT, note VARCHAR(20), FOREIGN KEY (c) REFERENCES c (id) {action})",
        "INSERT INTO gp VALUES (1, 'o'), (2, 'o')",
        "INSERT INTO p VALUES (1, 1, 'o'), (2, 2, 'o')",
        "INSERT INTO c VALUES (2, 2, 'o')",
        "INSERT INTO g VALUES (2, 2, 'o')",
    )


@pytest.fixture
def begin(
    pair: Pair, database: str, product: Callable[..., Product], tmp_path: Path
) -> Callable[..., Product]:
    """Give ``begin(policy, action, **tables) -> Product``: a family in sync, each table with what its entry says."""

    def start(policy: str, action: str = RESTRICTS, **tables: str) -> Product:
        config = tmp_path / "families.toml"
        entries = [f'[[table]]\nmatch = "{database}.{name}"\n{tables[name]}' for name in tables]
        words = ["[engine]", "retry_limit = 2", "[policy]", policy, *entries]
        config.write_text("\n".join(words) + "\n", "utf-8")
        pair.script(*family(action), db=database)
        syncer = product("--config", config)
        syncer.until_in_sync()
        return syncer

    return start


def keys(pair: Pair, database: str) -> dict[str, tuple[list[int], list[int]]]:
    """Give the keys of every table on both sides."""
    found = oracle.read_pair(pair, database)
    return {
        name: tuple(sorted(key for (key,) in side) for side in both) for name, both in found.items()
    }


def decided(
    syncer: Product, status: str = "applied"
) -> dict[tuple[str, str], tuple[str, str, str | None]]:
    return {
        (c.table.split(".")[1], *c.key): (c.kind, c.rule, c.winner)
        for c in syncer.conflicts(status)
    }


@ACTIONS
@ON_TWO
def test_the_parent_comes_back_where_it_was_deleted(pair, database, begin, action):
    """One side's delete loses, by name; the child then travels by itself."""
    syncer = begin('on_fk = "restore_parent"', action)
    pair.a.script("INSERT INTO c VALUES (10, 1, 'a'), (11, 1, 'a')", db=database)
    pair.b.script("DELETE FROM p WHERE id = 1", db=database)
    syncer.until_in_sync()
    assert keys(pair, database)["p"] == ([1, 2], [1, 2])
    assert keys(pair, database)["c"] == ([2, 10, 11], [2, 10, 11])
    assert decided(syncer) == {("p", "1"): ("fk_child_exists", "on_fk=restore_parent", "a")}
    assert decided(syncer, "held") == {}


@ACTIONS
@ON_TWO
def test_the_child_goes_where_it_was_written(pair, database, begin, action):
    """Its row is in the journal; the parent's delete then travels by itself. What refers to another parent stays."""
    syncer = begin('on_fk = "drop_child"', action)
    pair.a.script(
        "INSERT INTO c VALUES (10, 1, 'a'), (11, 2, 'a')",
        # It has a parent on the other side: it is again what is there.
        "UPDATE c SET p = 1, note = 'moved' WHERE id = 2",
        db=database,
    )
    pair.b.script("DELETE FROM p WHERE id = 1", db=database)
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert found["p"][0] == found["p"][1] == {(2,): (2, 2, "o")}
    assert found["c"][0] == found["c"][1] == {(2,): (2, 2, "o"), (11,): (11, 2, "a")}
    dropped = ("fk_parent_missing", "on_fk=drop_child", "b")
    assert decided(syncer) == {("c", "10"): dropped, ("c", "2"): dropped}
    images = {c.key: c.value("a", "note") for c in syncer.conflicts("applied")}
    assert images == {("10",): "a", ("2",): "moved"}


@ACTIONS
@ON_TWO
def test_a_cascade_goes_down_as_far_as_nobody_says_otherwise(pair, database, begin, action):
    """Said of the parent's table alone. Each row that goes has an entry and a guard of its own."""
    syncer = begin("", action, p='on_fk = "cascade"')
    pair.a.script(
        "INSERT INTO c VALUES (10, 1, 'a')",
        "INSERT INTO g VALUES (100, 10, 'a'), (101, 10, 'a')",
        db=database,
    )
    pair.b.script("DELETE FROM p WHERE id = 1", db=database)
    syncer.until_in_sync()
    assert keys(pair, database) == {
        "gp": ([1, 2], [1, 2]),
        "p": ([2], [2]),
        "c": ([2], [2]),
        "g": ([2], [2]),
    }
    gone = ("fk_parent_missing", "on_fk=cascade", "b")
    assert decided(syncer) == {("c", "10"): gone, ("g", "100"): gone, ("g", "101"): gone}


@pytest.mark.parametrize(
    "tables",
    [
        {"p": 'on_fk = "cascade"', "g": 'on_fk = "hold"'},
        {"p": 'on_fk = "cascade"', "g": 'on_fk = "restore_parent"'},
        {"c": 'on_fk = "drop_child"'},
        {"p": 'on_fk = "cascade"', "c": 'on_fk = "hold"'},
        {"p": 'on_fk = "restore_parent"', "c": 'on_fk = "hold"'},
        {},
    ],
    ids=["grandchild", "contradicts", "unsaid", "child", "restored", "nothing"],
)
@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_one_row_that_is_to_be_held_holds_the_family(pair, database, begin, tables):
    """Nothing of it is written, and every row waits for a person: half a family is nobody's answer."""
    syncer = begin("", **tables)
    pair.a.script(
        "INSERT INTO c VALUES (10, 1, 'a')", "INSERT INTO g VALUES (100, 10, 'a')", db=database
    )
    pair.b.script("DELETE FROM p WHERE id = 1", db=database)
    before = keys(pair, database)
    syncer.until_in_sync(codes=(1,))
    assert keys(pair, database) == before
    assert {at: kind for at, (kind, _, _) in decided(syncer, "held").items()} == {
        ("p", "1"): "fk_child_exists",
        ("c", "10"): "fk_parent_missing",
        ("g", "100"): "fk_parent_missing",
    }
    assert decided(syncer) == {}


@ON_TWO
def test_a_parent_that_comes_back_brings_its_own_parent_back(pair, database, begin):
    syncer = begin('on_fk = "restore_parent"')
    pair.a.script(
        "INSERT INTO c VALUES (10, 1, 'a')", "INSERT INTO g VALUES (100, 10, 'a')", db=database
    )
    pair.b.script("DELETE FROM p WHERE id = 1", "DELETE FROM gp WHERE id = 1", db=database)
    syncer.until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert {name: found[1] for name, found in keys(pair, database).items()} == {
        "gp": [1, 2],
        "p": [1, 2],
        "c": [2, 10],
        "g": [2, 100],
    }
    restored = ("fk_child_exists", "on_fk=restore_parent", "a")
    assert decided(syncer) == {("p", "1"): restored, ("gp", "1"): restored}


@pytest.mark.parametrize("on_fk", ["restore_parent", "drop_child"])
@ON_TWO
def test_a_child_that_was_changed_while_its_parent_took_it_along(pair, database, begin, on_fk):
    """The other side's delete of it is logged on MySQL 9.7 and looked up on MariaDB: the same comes of it."""
    syncer = begin(f'rule = "prefer:a"\non_fk = "{on_fk}"', CASCADES, g='rule = "prefer:b"')
    pair.a.script("UPDATE c SET note = 'a' WHERE id = 2", db=database)
    pair.b.script("DELETE FROM p WHERE id = 2", db=database)
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert found["g"][0] == {}
    if on_fk == "restore_parent":
        assert (found["p"][1][2,], found["c"][1]) == ((2, 2, "o"), {(2,): (2, 2, "a")})
        assert decided(syncer)["p", "2"] == ("fk_child_exists", "on_fk=restore_parent", "a")
        return
    assert (list(found["p"][0]), found["c"][0]) == ([(1,)], {})
    assert decided(syncer)["c", "2"] == ("fk_parent_missing", "on_fk=drop_child", "b")


@pytest.mark.parametrize("on_fk", ["restore_parent", "drop_child", "cascade"])
@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_nothing_is_made_of_a_parent_about_which_a_person_is_asked(pair, database, begin, on_fk):
    """It was changed here and deleted there, and held: whoever answers that decides about its children too."""
    syncer = begin(f'on_fk = "{on_fk}"')
    pair.a.script(
        "UPDATE p SET note = 'a' WHERE id = 1", "INSERT INTO c VALUES (10, 1, 'a')", db=database
    )
    pair.b.script("DELETE FROM p WHERE id = 1", db=database)
    syncer.until_in_sync(codes=(1,))
    held = {at: kind for at, (kind, _, _) in decided(syncer, "held").items()}
    assert held == {("p", "1"): "update_delete", ("c", "10"): "fk_parent_missing"}
    assert keys(pair, database)["c"] == ([2, 10], [2])
    # The answer brings the parent, and that brings the child.
    resolve(syncer, "p", "a")
    syncer.until_in_sync()
    assert keys(pair, database)["c"] == ([2, 10], [2, 10])


@ON_TWO
def test_what_a_person_answers_lets_the_other_row_go_by_itself(pair, database, begin):
    """Held as ever; the row that a held one waits for opens it, whichever of both was answered."""
    syncer = begin("")
    pair.a.script("INSERT INTO c VALUES (10, 1, 'a'), (11, 2, 'a')", db=database)
    pair.b.script("DELETE FROM p WHERE id = 1", db=database)
    pair.b.script("DELETE FROM g", "DELETE FROM c", "DELETE FROM p WHERE id = 2", db=database)
    syncer.until_in_sync(codes=(1,))
    assert {at: kind for at, (kind, _, _) in decided(syncer, "held").items()} == {
        ("p", "1"): "fk_child_exists",
        ("p", "2"): "fk_child_exists",
        ("c", "10"): "fk_parent_missing",
        ("c", "11"): "fk_parent_missing",
    }
    resolve(syncer, "p", "a", "key:1")
    resolve(syncer, "c", "b", "key:11")
    syncer.until_in_sync()
    assert keys(pair, database) == {
        "gp": ([1, 2], [1, 2]),
        "p": ([1], [1]),
        "c": ([10], [10]),
        "g": ([], []),
    }


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_parent_that_one_side_alone_wrote_lets_its_held_child_go(pair, database, begin):
    """It would travel with others, and nobody asks then who waits for it. Side A has no foreign keys here."""
    syncer = begin("")
    pair.a.script("ALTER TABLE c DROP FOREIGN KEY c_ibfk_1", db=database)
    pair.a.script("INSERT INTO c VALUES (10, 7, 'a')", db=database)
    syncer.until_in_sync(codes=(1,))
    assert decided(syncer, "held") == {("c", "10"): ("fk_parent_missing", "hold", None)}
    pair.a.script("INSERT INTO p VALUES (7, 1, 'a')", db=database)
    syncer.until_in_sync()
    assert keys(pair, database)["c"] == ([2, 10], [2, 10])


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_parent_in_a_range_that_one_side_has_no_row_of_lets_its_held_child_go(
    pair, database, begin
):
    """Statements without their rows mark the table whole, and nobody knows the keys of such a range when it travels."""
    syncer = begin("", p='direction = "a-to-b"')
    pair.a.script("ALTER TABLE c DROP FOREIGN KEY c_ibfk_1", db=database)
    pair.a.script("DELETE FROM g", "DELETE FROM c", "DELETE FROM p", db=database)
    syncer.until_in_sync()
    pair.a.script("INSERT INTO c VALUES (10, 7, 'a')", db=database)
    syncer.until_in_sync(codes=(1,))
    assert decided(syncer, "held") == {("c", "10"): ("fk_parent_missing", "hold", None)}
    statements = "SET SESSION binlog_format = 'STATEMENT'"
    parents = ",".join(f"({key}, 1, 'a')" for key in range(1, ROWS))
    pair.a.script(statements, f"INSERT INTO p VALUES {parents}", db=database)
    pair.b.script(statements, "DELETE FROM p WHERE note = 'none'", db=database)
    syncer.until_in_sync()
    assert keys(pair, database)["c"] == ([10], [10])


@pytest.mark.parametrize("note", ["o", "again"], ids=["equal", "another"])
@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_parent_that_a_person_inserts_again_lets_its_held_child_go(pair, database, begin, note):
    """Nothing of it is written where the child is to go: it is there, or it came from there."""
    syncer = begin("")
    pair.a.script("INSERT INTO c VALUES (10, 1, 'a')", db=database)
    pair.b.script("DELETE FROM p WHERE id = 1", db=database)
    syncer.until_in_sync(codes=(1,))
    assert sorted(decided(syncer, "held")) == [("c", "10"), ("p", "1")]
    pair.b.script(f"INSERT INTO p VALUES (1, 1, '{note}')", db=database)
    syncer.until_in_sync()
    assert keys(pair, database)["c"] == ([2, 10], [2, 10])


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_what_a_side_never_gets_is_not_written_for_a_family(pair, database, begin):
    """A guard withholds it as it does any other write; the rest of the family is held with it."""
    syncer = begin('on_fk = "drop_child"', c='forbid_a = ["delete"]')
    pair.a.script("INSERT INTO c VALUES (10, 1, 'a')", db=database)
    pair.b.script("DELETE FROM p WHERE id = 1", db=database)
    syncer.until_in_sync(codes=(1,))
    held = {at: kind for at, (kind, _, _) in decided(syncer, "held").items()}
    assert held == {("p", "1"): "fk_child_exists", ("c", "10"): "guard"}
    assert keys(pair, database)["c"] == ([2, 10], [2])


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_child_that_nobody_changed_is_not_touched(pair, database, begin):
    """One side lost the parent without its foreign key: nothing says what was meant, whatever the policy."""
    syncer = begin('on_fk = "cascade"')
    pair.b.script("SET SESSION foreign_key_checks = 0", "DELETE FROM p WHERE id = 2", db=database)
    syncer.until_in_sync(codes=(1,))
    assert {at: kind for at, (kind, _, _) in decided(syncer, "held").items()} == {
        ("p", "2"): "fk_child_exists"
    }
    assert keys(pair, database)["c"] == ([2], [2])


def resolve(syncer: Product, table: str, take: str, where: str = "") -> None:
    words = ["conflicts", "resolve", "--table", table, "--take", take, "--ledger", syncer.ledger]
    if where:
        words += ["--where", where]
    done = command(*words, "--json", cwd=syncer.folder).must(0)
    assert json.loads(done.stdout)
