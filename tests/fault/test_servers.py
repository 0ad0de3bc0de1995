"""Servers that restart, are killed, and sessions that hold locks: delays, nothing else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pymysql
import pytest

from testbed import dataset, oracle
from testbed.provision import Pair
from testbed.workload import Workload
from tests.fault.runner import FULL, check_nothing_lost, flavors, present, settle_maybe
from tests.figures import totals
from tests.integration.harness import Product, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.harness import Running


LOCKS = {
    "gaps": "SELECT id FROM counters WHERE id > 0 FOR UPDATE",
    "row": "SELECT id FROM counters WHERE id = 1 FOR UPDATE",
    "many rows": "UPDATE counters SET version = version WHERE id > 100",
}


@pytest.fixture
def own_pair(fresh_server) -> Callable[[str], Pair]:
    """Give ``own_pair(flavor) -> Pair`` that the test may hurt."""

    def make(flavor: str) -> Pair:
        made = Pair(flavor, *(fresh_server(flavor, start=False) for _ in range(2)))
        made.start()
        return made

    return make


@pytest.mark.parametrize("flavor", flavors("mysql"))
@pytest.mark.parametrize("how", ["killed", "restarted"] if FULL else ["killed"])
def test_primary_goes_down_under_load_and_comes_back(own_pair, make_product, how, flavor):
    pair = own_pair(flavor)
    first = _fill(pair, "shop")
    syncer: Product = make_product(pair, tables="shop.*")
    syncer.until_in_sync()
    running = syncer.start()
    running.connected()
    with Workload.disjoint(pair, "shop", rate=25) as workload:
        write_on(workload, running)
        for server in pair.sides:
            if how == "killed":
                server.kill()
                server.start()
            else:
                server.restart()
            write_on(workload, running)
    syncer.settled()
    settle_maybe(pair, "shop", first, workload.log)
    assert check_nothing_lost(pair, "shop", first, workload) > 0
    assert syncer.conflicts() == []
    running.stop().must(0)
    totals["faults survived"] += 2


def write_on(workload: Workload, running: Running) -> None:
    """Wait until twenty more transactions are acknowledged."""
    before = len(workload.log.acknowledged)

    def ask():
        assert running.code is None, f"syncer ended\n{running}"
        more = len(workload.log.acknowledged) - before
        return more >= 20, (more, workload.log.trouble)

    wait_until("writers write", ask, 60)


def _fill(pair: Pair, db: str) -> dict[str, oracle.Table]:
    pair.script(f"CREATE DATABASE `{db}` CHARACTER SET utf8mb4")
    for server in pair.sides:
        dataset.create(server, db, foreign_keys=True)
        dataset.load(server, db, 200)
    return present(pair, db)


@pytest.mark.parametrize("pair", flavors("mariadb"), indirect=True)
@pytest.mark.parametrize("hostile", LOCKS if FULL else ["gaps", "row"])
def test_hostile_locks_only_delay(pair, database, shop, product, hostile):
    """A session at the target holds locks; all that can be had goes on meanwhile, in both directions."""
    shop(200)
    syncer = product()
    syncer.until_in_sync()
    running = syncer.start("--log-level", "debug")
    running.connected()
    with pair.b.connect(database=database, autocommit=False) as session, session.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("START TRANSACTION")
        cursor.execute(LOCKS[hostile])
        pair.a.script(
            "UPDATE counters SET value = -1 WHERE id IN (1, 111, 191)",
            "INSERT INTO counters (id, name, value, updated_at) VALUES (100001, 'new', 1, NOW())",
            "DELETE FROM counters WHERE id = 131",
            db=database,
        )
        running.wait_event("held up", lambda line: line.get("event") == "rows.locked")
        pair.a.script("UPDATE customers SET credit = 77 WHERE id = 7", db=database)
        pair.b.script("UPDATE orders SET status = 'late' WHERE id = 9", db=database)

        def others() -> tuple[bool, object]:
            assert running.code is None, str(running)
            found = (
                pair.b.query("SELECT credit FROM customers WHERE id = 7", db=database),
                pair.a.query("SELECT status FROM orders WHERE id = 9", db=database),
            )
            return [int(found[0][0][0]), found[1][0][0]] == [77, "late"], found

        wait_until("the other tables go on", others)
        if hostile == "row":

            def beside() -> tuple[bool, object]:
                found = pair.b.query(
                    "SELECT value FROM counters WHERE id IN (111, 191)", db=database
                )
                return found == [(-1,), (-1,)], found

            wait_until("the other rows go on", beside)
        assert pair.b.query("SELECT value FROM counters WHERE id = 1", db=database) != [(-1,)]
        session.rollback()
    syncer.until_equal(database)
    syncer.settled()
    assert pair.b.query("SELECT value FROM counters WHERE id = 111", db=database) == [(-1,)]
    assert syncer.conflicts() == []
    running.stop().must(0)
    totals["faults survived"] += 1


@pytest.mark.parametrize("pair", flavors("mixed"), indirect=True)
def test_deadlocks_with_hostile_sessions_only_delay(pair, database, shop, product, write_for):
    """Two sessions a side lock rows in descending order, against the order of every apply."""
    shop(200, foreign_keys=True)
    syncer = product()
    syncer.until_in_sync()
    first = present(pair, database)
    running = syncer.start("--log-level", "debug")
    running.connected()
    stop = threading.Event()
    rounds = [0, 0]

    def hostile(at, server) -> None:
        with server.connect(database=database, autocommit=False) as session:
            cursor = session.cursor()
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 2")
            while not stop.is_set():
                try:
                    cursor.execute(
                        "SELECT id FROM orders WHERE id > 100 ORDER BY id DESC FOR UPDATE"
                    )
                    cursor.execute("SELECT id FROM counters ORDER BY id DESC FOR UPDATE")
                    cursor.execute("SELECT id FROM customers ORDER BY id DESC FOR UPDATE")
                    stop.wait(0.05)
                except pymysql.err.OperationalError as error:
                    if error.args[0] not in {1205, 1213, 1020}:
                        raise
                session.rollback()
                rounds[at] += 1
                stop.wait(0.1)

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(hostile, at, server) for at, server in enumerate(pair.sides)]
        try:
            with Workload.disjoint(pair, database, rate=15) as workload:
                write_for(workload, 3.0, running)
                wait_until("some rounds", lambda: (min(rounds) > 3, rounds))
        finally:
            stop.set()
        for future in futures:
            future.result(60)
    syncer.settled()
    assert check_nothing_lost(pair, database, first, workload) > 0
    assert syncer.conflicts() == []
    running.stop().must(0)
    totals["faults survived"] += 1


@pytest.mark.parametrize("pair", flavors("mariadb"), indirect=True)
def test_long_transaction_only_delays_its_own_rows(pair, database, shop, product):
    shop(200)
    syncer = product()
    syncer.until_in_sync()
    running = syncer.start()
    running.connected()
    with pair.a.connect(database=database, autocommit=False) as session, session.cursor() as cursor:
        cursor.execute("UPDATE counters SET value = 7 WHERE id = 1")
        pair.b.script("UPDATE counters SET value = 8 WHERE id IN (11, 21)", db=database)
        pair.a.script("UPDATE customers SET credit = 1 WHERE id < 50", db=database)

        def arrived():
            there = pair.b.query("SELECT SUM(credit = 1) FROM customers WHERE id < 50", db=database)
            here = pair.a.query("SELECT SUM(value = 8) FROM counters", db=database)
            return (int(there[0][0]), int(here[0][0])) == (49, 2), (there, here)

        wait_until("the other rows are there while the transaction is open", arrived)
        session.commit()
    syncer.settled()
    assert pair.b.query("SELECT value FROM counters WHERE id = 1", db=database) == [(7,)]
    present(pair, database)
    running.stop().must(0)
    totals["faults survived"] += 1
