"""Definitions that change while the pair is kept equal: tables wait, flow again, join and leave, and nothing is lost."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text
from syncer.mysql.introspect import being_changed, load_schemas
from syncer.service.keeper import Keeper
from testbed import oracle
from testbed.workload import Workload
from tests.integration.harness import wait_until
from tests.integration.inside import Inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncer.core.pairing import PairedTable
    from testbed.provision import Pair
    from tests.integration.harness import Product, Running

ONE_PAIR = pytest.mark.parametrize("pair", ["mixed"], indirect=True)


LOOKED_AT = "being read"


def paused(syncer: Product) -> dict[str, str]:
    """Give the tables that wait, and why; from the file: it is quick."""
    with contextlib.closing(sqlite3.connect(f"file:{syncer.ledger}?mode=ro", uri=True)) as db:
        found = db.execute(
            "SELECT t.name, p.reason FROM pause p JOIN tables t ON t.id = p.table_id"
        )
        return dict(found)


def wait_paused(syncer: Product, running: Running, *tables: str) -> dict[str, str]:
    """Wait until exactly *tables* wait, and none is still being looked at: until then nothing is said of it."""

    def ask() -> tuple[bool, Any]:
        assert running.code is None, str(running)
        found = paused(syncer)
        looked_at = any(LOOKED_AT in why for why in found.values())
        return set(found) == set(tables) and not looked_at, found

    return wait_until(f"paused are exactly {tables}", ask)


@ONE_PAIR
@pytest.mark.parametrize("side", list(Side))
def test_a_definition_that_is_being_changed_is_told(pair: Pair, database: str, side: Side) -> None:
    """As one whose change is logged and waits for a replica: information_schema would show the old one."""
    server = pair.a if side is Side.A else pair.b
    server.script("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE u (id INT)", db=database)
    names = [TableName(database, name) for name in ("t", "u", "nowhere")]
    with Session.open(from_text(server.url()), side, purpose="schema") as session:
        session.execute("SET SESSION lock_wait_timeout = 1")
        with server.connect(database=database) as other, other.cursor() as cursor:
            cursor.execute("LOCK TABLES t WRITE")
            cursor.execute("ALTER TABLE t ADD COLUMN n INT")
            assert being_changed(session, names) == {names[0]}
        assert being_changed(session, names) == set()
        assert [column.name for column in load_schemas(session, names)[names[0]].columns] == [
            "id",
            "n",
        ]


def test_a_column_added_and_dropped_under_writers_on_both_sides(
    pair: Pair, database: str, shop, product: Callable[..., Product], write_for
) -> None:
    """The altered table waits and keeps its marks, the others flow, and the log of the writers holds to the row."""
    first = shop(200)
    syncer = product()
    running = syncer.start()
    running.connected()
    syncer.settled()
    with Workload.disjoint(pair, database, rate=60) as workload:
        write_for(workload, 0.5, running)
        pair.a.script("ALTER TABLE orders ADD COLUMN extra INT DEFAULT 7", db=database)
        reasons = wait_paused(syncer, running, "orders")
        assert reasons == {"orders": "column extra is missing on side b"}
        write_for(workload, 0.5, running)
        pair.a.insist(
            "INSERT INTO counters (name, value, updated_at) VALUES ('flows', 1, NOW())", db=database
        )
        wait_until(
            "other tables flow",
            lambda: (
                bool(pair.b.query(f"SELECT 1 FROM `{database}`.counters WHERE name = 'flows'")),
                paused(syncer),
            ),
        )
        pair.a.insist("DELETE FROM counters WHERE name = 'flows'", db=database)
        pair.b.script("ALTER TABLE orders ADD COLUMN extra INT DEFAULT 7", db=database)
        wait_paused(syncer, running)
        write_for(workload, 0.3, running)
        pair.b.script("ALTER TABLE orders DROP COLUMN extra", db=database)
        assert wait_paused(syncer, running, "orders")["orders"].endswith("missing on side b")
        write_for(workload, 0.3, running)
        pair.a.script("ALTER TABLE orders DROP COLUMN extra", db=database)
        wait_paused(syncer, running)
    syncer.settled()
    assert workload.log.trouble == []
    wanted = oracle.expected(first, workload.log)
    assert oracle.differences(oracle.read_pair(pair, database), wanted) == []
    assert [entry for entry in syncer.conflicts() if entry.status == "held"] == []
    running.stop().must(0)


def _create(pair: Pair, database: str, table: str = "t", columns: str = "") -> None:
    columns = columns or "id INT PRIMARY KEY, v VARCHAR(20), n INT"
    pair.script(f"CREATE TABLE `{database}`.{table} ({columns})")


def _rows(pair: Pair, database: str, table: str = "t") -> list[tuple[Any, ...]]:
    """Give the rows of a table, the same on both sides."""
    a, b = (
        sorted(server.query(f"SELECT * FROM `{database}`.{table}"), key=str)
        for server in pair.sides
    )
    assert a == b
    return a


@ONE_PAIR
def test_a_copied_table_is_swapped_in_on_one_side_after_the_other(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """As the tools for online changes do it; meanwhile both sides write, and every write is on both sides in the end."""
    _create(pair, database)
    pair.a.script(
        "INSERT INTO t SELECT seq, 'row', 0 FROM (SELECT 1 seq UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 "
        "UNION SELECT 6) s",
        db=database,
    )
    syncer = product()
    running = syncer.start()
    running.connected()
    syncer.settled()
    for number, (server, other) in enumerate([pair.sides, pair.sides[::-1]]):
        server.script(
            "CREATE TABLE _t_new LIKE t",
            "ALTER TABLE _t_new ADD COLUMN c INT NOT NULL DEFAULT 5 AFTER id",
            "INSERT INTO _t_new (id, v, n) SELECT id, v, n FROM t",
            f"UPDATE t SET n = {number + 10} WHERE id = {number + 1}",
            f"UPDATE _t_new SET n = {number + 10} WHERE id = {number + 1}",
            "RENAME TABLE t TO _t_old, _t_new TO t",
            "DROP TABLE _t_old",
            f"UPDATE t SET n = {number + 20} WHERE id = {number + 3}",
            db=database,
        )
        other.script(f"UPDATE t SET n = {number + 30} WHERE id = {number + 5}", db=database)
        if number == 0:
            wait_paused(syncer, running, "t")
    wait_paused(syncer, running)
    syncer.settled()
    assert _rows(pair, database) == [
        (1, 5, "row", 10),
        (2, 5, "row", 11),
        (3, 5, "row", 20),
        (4, 5, "row", 21),
        (5, 5, "row", 30),
        (6, 5, "row", 31),
    ]
    assert syncer.conflicts("held") == []
    running.stop().must(0)


@ONE_PAIR
def test_tables_join_part_and_leave(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    _create(pair, database, "kept")
    syncer = product()
    running = syncer.start()
    running.connected()
    syncer.settled()
    pair.a.script("CREATE TABLE t (id INT PRIMARY KEY, v INT)", db=database)
    pair.a.script("INSERT INTO t VALUES (1, 1), (2, 2)", db=database)
    assert wait_paused(syncer, running, "t") == {"t": "it does not exist on side b"}
    pair.b.script("CREATE TABLE t (id INT PRIMARY KEY, v INT)", db=database)
    pair.b.script("INSERT INTO t VALUES (3, 3)", db=database)
    wait_paused(syncer, running)
    syncer.settled()
    assert _rows(pair, database) == [(1, 1), (2, 2), (3, 3)]
    pair.b.script("DELETE FROM t WHERE id = 1", "TRUNCATE TABLE kept", db=database)
    syncer.settled()
    assert _rows(pair, database) == [(2, 2), (3, 3)]

    pair.a.script("DROP TABLE t", db=database)
    assert wait_paused(syncer, running, "t") == {"t": "it does not exist on side a"}
    pair.b.script("UPDATE t SET v = 20 WHERE id = 2", db=database)
    running.kill()  # the pause outlives it, and does not refuse the next start
    done = syncer("run", "--until-in-sync", "--json").must(1)
    report = done.document()
    assert report["in_sync"] is False
    [line] = report["last"]["paused"]
    assert (line["table"], line["reason"]) == (f"{database}.t", "it does not exist on side a")
    assert f"{database}.t" in report["message"]
    assert [one["table"] for one in syncer.status()["paused"]] == [f"{database}.t"]

    running = syncer.start()
    running.connected()
    pair.a.script("CREATE TABLE t (id INT PRIMARY KEY, v INT)", db=database)
    wait_paused(syncer, running)
    syncer.settled()
    assert _rows(pair, database) == [(2, 20), (3, 3)]
    pair.b.script("DROP TABLE t", db=database)
    wait_paused(syncer, running, "t")
    pair.a.script("DROP TABLE t", db=database)
    running.wait_event(
        "the table leaves",
        lambda event: event.get("event") == "table.left" and event["table"] == f"{database}.t",
    )
    wait_paused(syncer, running)
    running.stop().must(0)
    assert syncer.status()["summary"]["tables"] == []
    syncer.until_in_sync()


@ONE_PAIR
def test_a_table_suspended_while_it_joins_is_still_compared(
    pair: Pair, database: str, product: Callable[..., Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change met between the layout's taking over and the marks makes the look void; the comparison stays owed."""
    _create(pair, database, "kept")
    read_anew = Keeper._read_anew
    suspended: list[TableName] = []

    def then_suspend(keeper: Keeper, table: PairedTable, *, owed: bool) -> None:
        read_anew(keeper, table, owed=owed)
        if not suspended:
            suspended.append(table.name)
            keeper._catalog.suspend(table.name)

    monkeypatch.setattr(Keeper, "_read_anew", then_suspend)
    syncer = product()
    inside = Inside(syncer)
    syncer.settled()
    pair.a.script(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "INSERT INTO t VALUES (1, 1)", db=database
    )
    pair.b.script("CREATE TABLE t (id INT PRIMARY KEY, v INT)", db=database)
    wait_until("the table was suspended as it joined", lambda: (bool(suspended), suspended))
    syncer.settled()
    wait_until("t flows", lambda: ("t" not in paused(syncer), paused(syncer)))
    assert _rows(pair, database) == [(1, 1)]
    inside.end()


@ONE_PAIR
def test_another_primary_key_on_both_sides_while_both_write(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """Keys are stored otherwise from then on; what was marked by the old ones is compared whole."""
    _create(
        pair,
        database,
        columns="id INT NOT NULL, code VARCHAR(20) NOT NULL, n INT, PRIMARY KEY (id)",
    )
    pair.a.script(
        "INSERT INTO t VALUES (1, '1', 0), (2, 'b', 0), (3, 'c', 0), (4, 'd', 0)", db=database
    )
    syncer = product("--rule", "prefer:a")
    running = syncer.start()
    running.connected()
    syncer.settled()
    alter = "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (code), ADD KEY (id)"
    pair.a.script("UPDATE t SET n = 1 WHERE id = 1", alter, db=database)
    wait_paused(syncer, running, "t")
    pair.a.script("UPDATE t SET n = 2 WHERE id = 2", db=database)
    pair.b.script("UPDATE t SET n = 3 WHERE id = 3", db=database)
    running.kill()
    pair.b.script("UPDATE t SET n = 4 WHERE id = 4", alter, db=database)
    running = syncer.start()
    running.connected()
    wait_paused(syncer, running)
    syncer.settled()
    # By the old key B's changes can no longer be told: they look like A's, and the rule has taken A's rows.
    assert {row[1]: row[2] for row in _rows(pair, database)} == {"1": 1, "b": 2, "c": 0, "d": 0}
    beaten = {
        entry.key: entry.value("b", "n") for entry in syncer.conflicts() if entry.winner == "a"
    }
    assert beaten["c",] == "3"
    assert beaten["d",] == "4"
    pair.b.script(
        "UPDATE t SET n = 9 WHERE code = '1'", "DELETE FROM t WHERE code = 'b'", db=database
    )
    syncer.settled()
    assert {row[1]: row[2] for row in _rows(pair, database)} == {"1": 9, "c": 0, "d": 0}
    # Back again, and no start comes between that would notice.
    alter = "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id)"
    pair.a.script(alter, db=database)
    wait_paused(syncer, running, "t")
    pair.b.script("UPDATE t SET n = 7 WHERE code = 'c'", alter, db=database)
    wait_paused(syncer, running)
    syncer.settled()
    assert {row[1]: row[2] for row in _rows(pair, database)} == {"1": 9, "c": 0, "d": 0}
    assert [entry.value("b", "n") for entry in syncer.conflicts() if entry.key == ("3",)] == ["7"]
    running.stop().must(0)


@ONE_PAIR
def test_a_change_that_no_binlog_tells_of(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """Rolling changes are made with sql_log_bin=0; the events themselves, or a statement that fails, give them away."""
    _create(pair, database)
    _create(pair, database, "u")
    pair.a.script(
        "INSERT INTO t VALUES (1, 'one', 1)", "INSERT INTO u VALUES (1, 'one', 1)", db=database
    )
    syncer = product("--rule", "prefer:a")
    running = syncer.start()
    running.connected()
    syncer.settled()
    quiet = "SET SESSION sql_log_bin = 0"
    pair.a.script(
        quiet, "ALTER TABLE t ADD COLUMN c INT AFTER id", "ALTER TABLE u DROP COLUMN v", db=database
    )
    pair.a.script("UPDATE t SET c = 5", db=database)
    pair.b.script("UPDATE u SET n = 5", db=database)
    wait_paused(syncer, running, "t", "u")
    pair.b.script(
        quiet, "ALTER TABLE t ADD COLUMN c INT AFTER id", "ALTER TABLE u DROP COLUMN v", db=database
    )
    wait_paused(syncer, running)
    syncer.settled()
    assert _rows(pair, database) == [(1, 5, "one", 1)]
    # How B's change was to be read is not known for certain: it counts as a conflict, and is in the journal.
    [row] = _rows(pair, database, "u")
    beaten = [entry for entry in syncer.conflicts() if entry.table.endswith(".u")]
    assert row == (1, 5) or [entry.value("b", "n") for entry in beaten] == ["5"]
    running.stop().must(0)


@ONE_PAIR
def test_columns_of_one_side_alone_are_left_out_where_that_was_asked(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    _create(pair, database)
    syncer = product("--schema-difference", "ignore-extra")
    running = syncer.start()
    running.connected()
    syncer.settled()
    pair.a.script("ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 5", db=database)
    pair.a.script("INSERT INTO t VALUES (1, 'one', 1, 6)", db=database)
    pair.b.script("INSERT INTO t VALUES (2, 'two', 2)", db=database)
    syncer.settled()
    assert sorted(pair.a.query(f"SELECT id, c FROM `{database}`.t")) == [(1, 6), (2, 5)]
    assert sorted(pair.b.query(f"SELECT id FROM `{database}`.t")) == [(1,), (2,)]
    assert paused(syncer) == {}
    pair.b.script("ALTER TABLE t ADD COLUMN d INT NOT NULL", db=database)
    assert wait_paused(syncer, running, "t") == {"t": "column d is missing on side a"}
    running.stop().must(1)


@ONE_PAIR
def test_a_difference_ends_the_run_where_that_was_asked(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    _create(pair, database)
    syncer = product("--schema-difference", "stop")
    running = syncer.start()
    running.connected()
    syncer.settled()
    pair.a.script("ALTER TABLE t ADD COLUMN c INT", db=database)
    done = running.wait().must(3)
    assert f"{database}.t: column c is missing on side b" in done.stderr
    syncer("run", "--until-in-sync").must(3)
    pair.b.script("ALTER TABLE t ADD COLUMN c INT", db=database)
    syncer.until_in_sync()
