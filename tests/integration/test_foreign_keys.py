"""Foreign keys that change children without an event: what went stays gone, and what others wrote is never lost with it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from syncer.core.side import Side
from syncer.service.probes import Moment
from testbed import oracle
from tests.integration.inside import Inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.provision import Pair
    from tests.integration.harness import Product

FAMILY = (
    (
        "CREATE TABLE p (id INT PRIMARY KEY, code VARCHAR(9) NOT NULL, x INT NOT NULL, y DATE NOT NULL,"
        " UNIQUE (code), UNIQUE (x, y)) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci"
    ),
    "CREATE TABLE q (id INT PRIMARY KEY, v INT)",
    (
        "CREATE TABLE by_id (id INT PRIMARY KEY, pid INT NOT NULL, UNIQUE (pid),"
        " FOREIGN KEY (pid) REFERENCES q (id) ON DELETE CASCADE ON UPDATE CASCADE)"
    ),
    (
        "CREATE TABLE by_code (id INT PRIMARY KEY, code VARCHAR(9),"
        " FOREIGN KEY (code) REFERENCES p (code) ON DELETE SET NULL ON UPDATE CASCADE)"
        " DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci"
    ),
    (
        "CREATE TABLE by_two (id INT PRIMARY KEY, x INT, y DATE,"
        " FOREIGN KEY (x, y) REFERENCES p (x, y) ON DELETE CASCADE ON UPDATE SET NULL)"
    ),
    (
        "CREATE TABLE tree (id INT PRIMARY KEY, up INT, pid INT,"
        " FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE,"
        " FOREIGN KEY (pid) REFERENCES by_id (pid) ON DELETE CASCADE ON UPDATE CASCADE)"
    ),
)
ROWS = (
    "INSERT INTO p SELECT n, CONCAT('c', n), n, '2024-01-01' FROM numbers",
    "INSERT INTO q SELECT n, 0 FROM numbers",
    "INSERT INTO by_id SELECT n + 100, n FROM numbers",
    "INSERT INTO by_code SELECT n + 200, CONCAT('c', n) FROM numbers",
    "INSERT INTO by_two SELECT n + 300, n, '2024-01-01' FROM numbers",
    "INSERT INTO tree SELECT n, NULL, n FROM numbers",
    "INSERT INTO tree SELECT n + 20, n, NULL FROM numbers",
    "INSERT INTO tree SELECT n + 40, n + 20, NULL FROM numbers",
)


def test_what_a_parent_s_change_does_to_its_children_is_done_on_both_sides(
    pair: Pair,
    database: str,
    make_database: Callable[[Pair], str],
    make_product: Callable[..., Product],
) -> None:
    """Chains, a tree, a table of another database, unique keys and two columns referred to; each side changes parents."""
    other = make_database(pair)
    pair.script(
        "CREATE TABLE numbers (n INT PRIMARY KEY)",
        f"INSERT INTO numbers VALUES {','.join(f'({n})' for n in range(1, 13))}",
        *FAMILY,
        *ROWS,
        "DROP TABLE numbers",
        f"CREATE TABLE `{other}`.far (id INT PRIMARY KEY, pid INT NOT NULL,"
        f" FOREIGN KEY (pid) REFERENCES `{database}`.by_id (id) ON DELETE CASCADE)",
        f"INSERT INTO `{other}`.far SELECT id, id FROM by_id",
        db=database,
    )
    product = make_product(pair, tables=f"{database}.*,{other}.*")
    running = product.start()
    running.connected()
    product.settled()
    running.pause()  # both sides' changes are met at once
    pair.a.script(
        "DELETE FROM p WHERE id = 1",
        "DELETE FROM q WHERE id = 1",
        "UPDATE q SET id = 50 WHERE id = 2",
        "UPDATE p SET code = 'new' WHERE id = 3",
        "UPDATE p SET y = '2025-01-01' WHERE id = 4",
        "DELETE FROM tree WHERE id = 5",
        "UPDATE by_code SET id = 999 WHERE id = 212",
        db=database,
    )
    pair.b.script(
        "DELETE FROM q WHERE id IN (7, 8)",
        "UPDATE q SET id = 51 WHERE id = 9",
        "UPDATE p SET code = 'C9' WHERE id = 9",
        "START TRANSACTION",
        "DELETE FROM q WHERE id = 10",
        "INSERT INTO q VALUES (10, 1)",
        "INSERT INTO by_id VALUES (110, 10)",
        "COMMIT",
        db=database,
    )
    after = [oracle.read_pair(pair, name) for name in (database, other)]
    running.resume()
    product.settled()
    running.stop().must(0)
    merged = {name: oracle.read_pair(pair, name) for name in (database, other)}
    pair.script(f"DROP TABLE `{other}`.far")  # or the other database could not be dropped
    for name, before in zip((database, other), after, strict=True):
        found = merged[name]
        assert oracle.differences(found) == []
        # What neither side has any more has gone, what one side has changed is as it made it.
        for table, (a, b) in before.items():
            assert found[table][0].keys() == _merged(a, b, table), table
    rows = {n: t[0] for n, t in merged[database].items()}
    assert rows["by_id"][102,][1] == 50
    assert rows["by_code"][203,][1] == "new"
    assert rows["by_code"][201,][1] is None
    assert rows["by_code"][209,][1] == "C9"
    assert rows["by_two"][304,][1:] == (None, None)
    assert rows["by_id"][109,][1] == rows["tree"][9,][2] == 51
    assert product.conflicts() == []


def _merged(a: oracle.Table, b: oracle.Table, table: str) -> set[tuple[object, ...]]:
    """The keys after both sides' changes, which concern different families: what both have, and what one has added."""
    added = {"q": {(50,), (51,)}, "by_code": {(999,)}}.get(table, set())
    return (a.keys() & b.keys()) | (added & (a.keys() | b.keys()))


PARENT = "CREATE TABLE p (id INT PRIMARY KEY, v INT NOT NULL)"
CHILD = (
    "CREATE TABLE c (id INT PRIMARY KEY, pid INT NOT NULL, v INT NOT NULL,"
    " FOREIGN KEY (pid) REFERENCES p (id) ON DELETE CASCADE)"
)


ON_UNLOGGED = pytest.mark.parametrize("pair", ["mariadb", "mixed"], indirect=True)


@ON_UNLOGGED
def test_a_child_that_changed_while_a_cascade_took_it_is_a_conflict(
    pair: Pair, database: str, product: Callable[..., Product], tmp_path: Path
) -> None:
    """Parents go on B, children are written on A: neither the writes nor the deletes disappear without an entry."""
    pair.script(
        PARENT,
        CHILD,
        "INSERT INTO p VALUES (1, 1), (2, 1), (3, 1), (4, 1)",
        "INSERT INTO c VALUES (10, 1, 1), (20, 2, 1)",
        db=database,
    )
    config = tmp_path / "few-tries.toml"
    config.write_text("[engine]\nretry_limit = 3\n")
    syncer = product("--config", config)
    syncer.until_in_sync()
    pair.b.script("DELETE FROM p WHERE id < 4", db=database)
    pair.a.script(
        "UPDATE c SET v = 7 WHERE id = 10",
        "UPDATE c SET pid = 4 WHERE id = 20",
        "INSERT INTO c VALUES (30, 3, 3)",
        db=database,
    )
    syncer.until_in_sync(codes=(1,))
    found = oracle.read_pair(pair, database)
    here, there = found["c"]
    assert sorted(here.values()) == [(10, 1, 7), (20, 4, 1), (30, 3, 3)]
    assert there == {}, "nothing is brought back"
    assert found["p"][0].keys() == {(1,), (3,), (4,)}
    kinds = {(c.table.split(".")[1], *c.key): c.kind for c in syncer.conflicts("held")}
    assert kinds == {
        ("c", "10"): "update_delete",
        ("c", "20"): "update_delete",
        ("c", "30"): "fk_parent_missing",
        ("p", "1"): "fk_child_exists",
        ("p", "3"): "fk_child_exists",
    }


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_a_cascade_may_win_and_what_it_beats_is_in_the_journal(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    pair.script(
        PARENT,
        CHILD,
        "INSERT INTO p VALUES (1, 1)",
        "INSERT INTO c VALUES (10, 1, 1)",
        db=database,
    )
    rule = ("--rule", "highest_version:v", "--on-delete", "delete_wins", "--on-tie", "a")
    syncer = product(*rule)
    syncer.until_in_sync()
    pair.b.script("DELETE FROM p WHERE id = 1", db=database)
    pair.a.script("UPDATE c SET v = 7 WHERE id = 10", db=database)
    syncer.until_in_sync()
    assert oracle.read_pair(pair, database) == {"c": ({}, {}), "p": ({}, {})}
    (entry,) = syncer.conflicts("applied")
    assert (entry.kind, entry.key, entry.value("a", "v")) == ("update_delete", ("10",), "7")


@ON_UNLOGGED
def test_a_child_that_got_another_parent_while_it_lost_its_own_is_journaled(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """SET NULL and a new value from the parent on B, unlogged; on A the child is moved or deleted, so its old value is gone."""
    pair.script(
        PARENT,
        "CREATE TABLE c (id INT PRIMARY KEY, pid INT, v INT NOT NULL,"
        " FOREIGN KEY (pid) REFERENCES p (id) ON DELETE SET NULL ON UPDATE CASCADE)",
        "INSERT INTO p VALUES (1, 1), (2, 1), (3, 1)",
        "INSERT INTO c VALUES (10, 1, 1), (11, 1, 1), (12, 2, 1), (13, NULL, 1), (14, 1, 1)",
        db=database,
    )
    syncer = product()
    syncer.until_in_sync()
    pair.b.script("DELETE FROM p WHERE id = 1", "UPDATE p SET id = 50 WHERE id = 2", db=database)
    pair.a.script(
        "UPDATE c SET pid = 3 WHERE id IN (10, 12)",
        "DELETE FROM c WHERE id = 11",
        "UPDATE c SET v = 2 WHERE id = 13",
        db=database,
    )
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    children = [(10, 3, 1), (12, 3, 1), (13, None, 2), (14, None, 1)]
    assert sorted(found["c"][1].values()) == children
    entries = {c.key[0]: (c.kind, c.winner, c.value("b", "pid")) for c in syncer.conflicts()}
    assert entries == {
        "10": ("update_update", "a", None),
        "11": ("update_delete", "a", None),
        "12": ("update_update", "a", "50"),
    }


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_a_large_family_goes_in_many_batches(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """The parent waits for the last of its children, which do not fit into one batch."""
    pair.script(
        PARENT,
        CHILD,
        "INSERT INTO p VALUES (1, 1), (2, 1)",
        f"INSERT INTO c VALUES {','.join(f'({n}, {1 + n % 2}, 0)' for n in range(1, 10001))}",
        db=database,
    )
    syncer = product()
    syncer.until_in_sync()
    pair.a.script("DELETE FROM p WHERE id = 1", db=database)
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert found["p"][0].keys() == {(2,)}
    assert len(found["c"][0]) == 5000
    assert syncer.conflicts() == []


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_a_child_that_its_parent_takes_along_while_it_is_on_its_way_is_deleted_on_both_sides(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """It is on neither side when its parent's change is known: it is looked for once it has landed."""
    pair.script(
        PARENT,
        CHILD,
        "INSERT INTO p VALUES (1, 1), (2, 1)",
        "INSERT INTO c VALUES (1, 1, 0)",
        db=database,
    )
    syncer = product()
    child_sent, parent_known, looked = threading.Event(), threading.Event(), threading.Event()
    armed = threading.Event()

    def probe(moment: Moment, side: Side | None) -> None:
        if not armed.is_set():
            return
        if moment is Moment.INTENT_AFTER and not child_sent.is_set():
            child_sent.set()
            pair.a.script("DELETE FROM p WHERE id = 1", db=database)
            assert parent_known.wait(60)
        elif moment is Moment.RECORD_AFTER and side is Side.A and child_sent.is_set():
            parent_known.set()
        elif moment is Moment.SNAPSHOT and parent_known.is_set():
            looked.set()
        elif moment is Moment.APPLY_BEFORE and side is Side.B:
            # Whoever reads now reads before the child is there; nobody does who waits for it to land.
            looked.wait(1)

    inside = Inside(syncer, probe=probe)
    try:
        syncer.settled()
        armed.set()
        pair.a.script("INSERT INTO c VALUES (10, 1, 0)", db=database)
        syncer.settled()
    finally:
        inside.end()
    assert parent_known.is_set()
    assert syncer.conflicts() == []
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert found["c"][0] == {}
