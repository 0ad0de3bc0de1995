"""What two-way sync must get right beside load: deletes, keys of every kind, triggers, cascades, silence, dry runs."""

from __future__ import annotations

import json

import pymysql
import pytest

from testbed import oracle
from tests.integration.harness import binlog_end, wait_until

ORDER = "INSERT INTO orders (id, customer_id, status, updated_at) VALUES ({}, 1, 'new', NOW(6))"


def test_deletes_travel_both_ways_and_stay_deleted(pair, database, shop, product):
    first = shop(100)
    syncer = product()
    running = syncer.start()
    running.connected()
    syncer.settled()
    pair.a.script("DELETE FROM orders WHERE id BETWEEN 1 AND 19", db=database)
    pair.b.script(
        "DELETE FROM orders WHERE id BETWEEN 51 AND 69", "DELETE FROM counters", db=database
    )
    syncer.settled()
    # They stay deleted whatever comes after them: other writes, a restart, a comparison of the whole tables.
    pair.script("UPDATE orders SET total = 1 WHERE id = 71", db=database)
    syncer.settled()
    running.stop().must(0)
    syncer.until_in_sync()
    syncer.ledger.unlink()
    for more in ("-wal", "-shm"):
        syncer.ledger.with_name(syncer.ledger.name + more).unlink(missing_ok=True)
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    gone = {*range(1, 20), *range(51, 70)}
    kept = {key for key in first["orders"] if key[0] not in gone}
    assert found["orders"][0].keys() == kept
    assert found["counters"][0] == {}


UNKNOWN_XID = 1397


def end_elsewhere(server, statement):
    """End a branch from another session, as soon as its own has let go of it."""

    def ask():
        try:
            server.query(statement)
        except pymysql.err.OperationalError as error:
            if error.args[0] != UNKNOWN_XID:
                raise
            return False, "still of its own session"
        return True, ""

    wait_until(statement, ask)


def test_xa_transactions_travel_both_ways_beside_one_that_stays_prepared(pair, database, product):
    """Their COMMIT comes from their own session and from another one; a branch that has not ended holds nothing up."""
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", db=database)
    syncer = product()
    running = syncer.start()
    running.connected()
    for side, server in enumerate(pair.sides):

        def run(*statements: str, server=server) -> None:
            server.script(*statements, db=database)

        def branch(name: str, key: int) -> list[str]:
            row = f"INSERT INTO t VALUES ({key}, 1)"
            return [f"XA START '{name}'", row, f"XA END '{name}'", f"XA PREPARE '{name}'"]

        first = 100 * side
        run(*branch(f"{database}-{side}-open", first + 50))
        for key in range(first, first + 10):
            name = f"{database}-{key}"
            if key % 2:
                run(*branch(name, key), f"XA COMMIT '{name}'")
            else:
                run(*branch(name, key))
                end_elsewhere(server, f"XA COMMIT '{name}'")
            run(f"UPDATE t SET n = n + 1 WHERE id = {key}")
    syncer.settled()
    for side, server in enumerate(pair.sides):
        end_elsewhere(server, f"XA ROLLBACK '{database}-{side}-open'")
    syncer.settled()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    keys = [*range(10), *range(100, 110)]
    assert sorted(found["t"][0].values()) == [(key, 2) for key in keys]
    assert syncer.conflicts() == []
    running.stop().must(0)


def test_a_delete_and_a_new_row_at_its_key_travel_as_what_is_there_in_the_end(
    pair, database, shop, product
):
    shop(50)
    syncer = product()
    syncer.until_in_sync()
    pair.a.script("DELETE FROM orders WHERE id = 1", ORDER.format(1), db=database)
    pair.b.script(ORDER.format(900), "DELETE FROM orders WHERE id = 900", db=database)
    pair.b.script("UPDATE orders SET id = 901 WHERE id = 2", db=database)
    pair.a.script(
        "UPDATE orders SET id = -3 WHERE id = 3",
        "UPDATE orders SET id = 3 WHERE id = 4",
        "UPDATE orders SET id = 4 WHERE id = -3",
        db=database,
    )
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    orders = {key: row[2] for (key,), row in found["orders"][0].items()}
    assert orders[1] == "new"
    assert {2, 900, -3} & orders.keys() == set()
    assert {3, 4, 901} <= orders.keys()
    customers = {key: row[1] for (key,), row in found["orders"][0].items()}
    assert (customers[3], customers[4], customers[901]) == (4, 3, 2)
    assert syncer.conflicts() == []


def test_nothing_is_carried_back_and_silence_writes_nothing(pair, database, shop, product):
    """Every applied row comes back in the stream of its target; it must not be taken for a change there."""
    shop(50)
    syncer = product("--json")
    running = syncer.start("--heartbeat", "off")
    syncer.settled()
    rounds = 5
    for at in range(rounds):
        pair.a.script(ORDER.format(1001 + 2 * at), db=database)
        pair.b.script(
            f"UPDATE counters SET value = value + 1 WHERE id = {1 + 10 * at}",
            f"DELETE FROM orders WHERE id = {1 + 5 * at}",
            db=database,
        )
        syncer.settled()
    # The ledger is empty and both streams were read to their ends: what else is written now is an echo.
    ends = [binlog_end(server) for server in pair.sides]
    for server in pair.sides:
        server.script(
            "CREATE TABLE IF NOT EXISTS moves_the_stream (id INT PRIMARY KEY)", db="mysql"
        )
        server.script("DROP TABLE mysql.moves_the_stream")
    syncer.settled()
    done = running.stop().must(0)
    last = json.loads(done.stdout)["last"]
    written = {
        (side, op): last[side][f"applied_{op}"]
        for side in "ab"
        for op in ("inserts", "updates", "deletes")
    }
    assert written == {
        ("a", "inserts"): 0,
        ("a", "updates"): rounds,
        ("a", "deletes"): rounds,
        ("b", "inserts"): rounds,
        ("b", "updates"): 0,
        ("b", "deletes"): 0,
    }
    for server, end in zip(pair.sides, ends, strict=True):
        assert _row_events_after(server, end) == [], server.name
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert syncer.conflicts() == []


def _row_events_after(server, end: tuple[int, int]) -> list[str]:
    """Give the types of the row events in a server's binary log from *end* on."""
    number, offset = end
    file = next(
        name
        for name, *_ in server.query("SHOW BINARY LOGS")
        if int(name.rpartition(".")[2]) == number
    )
    events = server.query(f"SHOW BINLOG EVENTS IN '{file}' FROM {offset}")
    return [kind for _, _, kind, *_ in events if "rows" in kind.lower()]


def test_a_dry_run_prints_its_plan_and_writes_nothing(pair, database, shop, product):
    shop(50)
    pair.a.script("UPDATE orders SET status = 'x', version = 2 WHERE id = 1", db=database)
    pair.b.script("DELETE FROM orders WHERE id = 2", ORDER.format(900), db=database)
    syncer = product(
        *("--rule", "highest_version:version", "--on-delete", "update_wins", "--on-tie", "a")
    )
    ends = [binlog_end(server) for server in pair.sides]
    before = oracle.read_pair(pair, database)
    done = syncer("run", "--dry-run", "--json").must(1)
    assert [binlog_end(server) for server in pair.sides] == ends, "something was written"
    assert oracle.read_pair(pair, database) == before
    assert not syncer.ledger.exists()
    planned = done.document()["planned"]
    assert len(planned) == 3, planned
    for key in ("1", "2", "900"):
        assert any(f"{database}.orders" in line and key in line for line in planned), planned
    text = syncer("run", "--dry-run").must(1).stdout
    assert all(line in text for line in planned), text
    # The real run does what the plan said; a plan after it is empty.
    report = syncer.until_in_sync()
    written = {
        side: sum(report["last"][side][f"applied_{op}"] for op in ("inserts", "updates", "deletes"))
        for side in "ab"
    }
    assert written == {"a": 1, "b": 2}
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    kept = syncer.ledger.read_bytes()
    assert syncer("run", "--dry-run", "--json").must(0).document()["planned"] == []
    assert syncer.ledger.read_bytes() == kept


KEYS = """
CREATE TABLE pairs (a INT NOT NULL, b VARCHAR(20) NOT NULL, v INT, PRIMARY KEY (a, b))
    DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE words (word VARCHAR(40) NOT NULL PRIMARY KEY, v INT)
    DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE bytes (k VARBINARY(16) NOT NULL PRIMARY KEY, v INT);
CREATE TABLE times (at DATETIME(6) NOT NULL, n DECIMAL(10,3) NOT NULL, v INT, PRIMARY KEY (n, at));
CREATE TABLE big (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, v INT)
"""


def test_keys_of_every_kind_travel_both_ways(pair, database, product):
    pair.script(*KEYS.split(";"), db=database)
    pair.script(
        "INSERT INTO pairs VALUES (1, 'x', 1), (1, 'X', 2), (1, 'xx', 3), (2, 'p#q', 4), (2, 'p', 5)",
        "INSERT INTO words VALUES ('hello', 1), ('Straße', 2), ('é', 3), ('', 4)",
        "INSERT INTO bytes VALUES (x'', 1), (x'00', 2), (x'0000', 3), (x'ff27', 4)",
        "INSERT INTO times VALUES ('2024-01-01 00:00:00.000001', 1.5, 1), ('2024-01-01', -1.5, 2)",
        "INSERT INTO big VALUES (0, 1), (18446744073709551615, 2), (9223372036854775808, 3)",
        db=database,
    )
    syncer = product("--rule", "prefer:a")
    running = syncer.start()
    running.connected()
    syncer.settled()
    pair.a.script(
        "UPDATE pairs SET v = v + 10 WHERE b IN ('x', 'p')",
        "DELETE FROM pairs WHERE b = 'X'",
        "UPDATE words SET word = 'HELLO' WHERE word = 'hello'",  # the same key in other letters
        "INSERT INTO words VALUES ('new', 5)",
        "UPDATE bytes SET k = x'01' WHERE k = x'00'",
        "DELETE FROM bytes WHERE k = x''",
        "UPDATE times SET v = 7 WHERE n = 1.5",
        "UPDATE big SET v = v + 1 WHERE id > 9223372036854775807",
        db=database,
    )
    pair.b.script(
        "INSERT INTO pairs VALUES (3, 'a,b', 6), (3, '''', 7), (3, '\\\\', 8)",
        "UPDATE pairs SET b = 'moved' WHERE b = 'p#q'",
        "UPDATE words SET v = 30 WHERE word = 'E'",  # finds the row of 'é'
        "DELETE FROM words WHERE word = ''",
        "INSERT INTO bytes VALUES (x'0102030405060708090a0b0c0d0e0f10', 9)",
        "UPDATE times SET at = '2031-12-31 23:59:59.999999' WHERE n = -1.5",
        "DELETE FROM big WHERE id = 0",
        db=database,
    )
    syncer.settled()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == [], str(running)
    assert syncer.conflicts() == []
    tables = {name: list(both[0].values()) for name, both in found.items()}
    assert sorted(tables["pairs"]) == [
        (1, "x", 11),
        (1, "xx", 3),
        (2, "moved", 4),
        (2, "p", 15),
        (3, "'", 7),
        (3, "\\", 8),
        (3, "a,b", 6),
    ]
    assert sorted(tables["words"]) == [("HELLO", 1), ("Straße", 2), ("new", 5), ("é", 30)]
    assert sorted(tables["big"]) == [(9223372036854775808, 4), (18446744073709551615, 3)]
    assert len(tables["bytes"]) == 4
    assert len(tables["times"]) == 2
    # One key, spelt differently on each side at once: one conflict, and one row in the end.
    running.pause()
    pair.a.script("INSERT INTO words VALUES ('Twice', 1)", db=database)
    pair.b.script("INSERT INTO words VALUES ('tWICE', 2)", db=database)
    running.resume()
    syncer.settled()
    running.stop().must(0)
    for server in pair.sides:
        assert server.query("SELECT * FROM words WHERE word = 'twice'", db=database) == [
            ("Twice", 1)
        ]
    assert [(c.kind, c.winner) for c in syncer.conflicts()] == [("insert_insert", "a")]


def test_a_trigger_on_one_side_writes_once_for_every_row(pair, database, shop, product):
    """What a trigger does to other rows while ours are applied is a change of that side like any other."""
    shop(50)
    pair.script(
        "CREATE TABLE audit (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20), order_id BIGINT)",
        db=database,
    )
    for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        pair.b.script(
            f"CREATE TRIGGER audit_{event} AFTER {event} ON orders FOR EACH ROW "
            f"INSERT INTO audit (what, order_id) VALUES ('{event}', {row}.id)",
            db=database,
        )
    syncer = product()
    running = syncer.start()
    running.connected()
    syncer.settled()
    pair.a.script(
        ORDER.format(901),
        ORDER.format(903),
        "UPDATE orders SET status = 'on A' WHERE id IN (1, 2)",
        "DELETE FROM orders WHERE id = 3",
        db=database,
    )
    pair.b.script("UPDATE orders SET status = 'on B' WHERE id = 4", ORDER.format(906), db=database)
    syncer.until_equal(database)
    syncer.settled()
    syncer.settled()  # the audit rows' own way to A is over too
    done = running.stop().must(0)
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == [], str(done)
    said = sorted((what, order) for _, what, order in found["audit"][0].values())
    assert said == sorted(
        [
            *(("INSERT", key) for key in (901, 903, 906)),
            *(("UPDATE", key) for key in (1, 2, 4)),
            ("DELETE", 3),
        ]
    )
    assert syncer.conflicts() == []


def test_a_delete_that_cascades_takes_the_children_along_on_both_sides(pair, database, product):
    pair.script(
        "CREATE TABLE parents (id INT NOT NULL PRIMARY KEY, v INT)",
        "CREATE TABLE children (id INT NOT NULL PRIMARY KEY, parent INT NOT NULL, v INT, "
        "FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE)",
        "INSERT INTO parents VALUES (1, 1), (2, 1), (3, 1), (4, 1)",
        "INSERT INTO children VALUES (11, 1, 1), (12, 1, 1), (21, 2, 1), (31, 3, 1), (41, 4, 1)",
        db=database,
    )
    syncer = product()
    running = syncer.start()
    running.connected()
    syncer.settled()
    pair.a.script("DELETE FROM parents WHERE id = 1", db=database)
    pair.b.script("DELETE FROM parents WHERE id = 2", db=database)
    pair.a.script(
        "INSERT INTO parents VALUES (5, 1)", "INSERT INTO children VALUES (51, 5, 1)", db=database
    )
    pair.b.script(
        "START TRANSACTION",
        "INSERT INTO parents VALUES (6, 1)",
        "INSERT INTO children VALUES (61, 6, 1)",
        "UPDATE children SET parent = 6 WHERE id = 41",
        "DELETE FROM parents WHERE id = 4",
        "COMMIT",
        db=database,
    )
    syncer.until_equal(database)
    syncer.settled()
    running.stop().must(0)
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert sorted(key for (key,) in found["parents"][0]) == [3, 5, 6]
    assert sorted((key, row[1]) for (key,), row in found["children"][0].items()) == [
        (31, 3),
        (41, 6),
        (51, 5),
        (61, 6),
    ]
    assert syncer.conflicts() == []


@pytest.mark.parametrize("signals", [1, 2])
def test_a_signal_ends_an_idle_run_at_once(pair, database, shop, product, signals):
    shop(20)
    syncer = product()
    running = syncer.start()
    running.connected()
    syncer.settled()
    if signals == 1:
        assert running.stop(20).must(0).seconds < 60
    else:
        running.pause()  # so that both signals are waiting when it goes on
        running.terminate()
        running.interrupt()
        running.resume()
        assert running.wait(20).code in {0, 130}
    assert syncer.until_in_sync()["rows_read"] == 0
