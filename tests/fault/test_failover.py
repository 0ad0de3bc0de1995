"""Another server in a primary's place: followed where it holds everything, refused with the way out where it does not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from testbed import dataset, oracle
from testbed.provision import Pair
from testbed.proxy import Proxy
from testbed.replication import replicate
from testbed.servers import Server
from testbed.workload import Workload
from tests.fault.runner import FULL, check_nothing_lost, present
from tests.fault.test_servers import write_on
from tests.figures import totals

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.endpoint import Endpoint
    from tests.integration.harness import Product

FLAVORS = pytest.mark.parametrize("flavor", ["mysql", "mariadb"])


@pytest.fixture
def replicated(fresh_server) -> Callable[[str], tuple[Pair, Endpoint]]:
    """Give ``replicated(flavor) -> (pair, replica of its A)``, with a filled database ``shop``."""

    def make(flavor: str) -> tuple[Pair, Endpoint]:
        pair = own_pair(fresh_server, flavor)
        options = {"log_slave_updates": "ON"} if flavor == "mariadb" else None
        replica = fresh_server(flavor, options=options)
        replicate(pair.a, replica)
        return pair, replica

    return make


def own_pair(fresh_server: Callable[..., Endpoint], flavor: str) -> Pair:
    """Give a pair that the test may hurt, with a filled database ``shop``."""
    pair = Pair(flavor, *(fresh_server(flavor, start=False) for _ in range(2)))
    pair.start()
    pair.script("CREATE DATABASE shop CHARACTER SET utf8mb4")
    for server in pair.sides:
        dataset.create(server, "shop")
        dataset.load(server, "shop", 200)
    return pair


def caught_up(source: Endpoint, replica: Endpoint) -> None:
    """Wait until *replica* has applied all that *source* holds."""
    if source.flavor == "mysql":
        told = source.query("SELECT @@GLOBAL.gtid_executed")[0][0]
        [(late,)] = replica.query("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, 60)", (told,))
    else:
        told = source.query("SELECT @@GLOBAL.gtid_binlog_pos")[0][0]
        [(late,)] = replica.query("SELECT MASTER_GTID_WAIT(%s, 60)", (told,))
    assert late == 0


def stop_replica(server: Endpoint) -> None:
    server.script("STOP REPLICA")


def counters(server: Endpoint) -> dict[int, int]:
    return dict(server.query("SELECT id, value FROM counters", db="shop"))


@FLAVORS
def test_a_promoted_replica_is_followed_without_a_restart(replicated, make_product, flavor):
    """The address stays, as behind a virtual IP; the stream goes on by GTID, and no table is compared again."""
    pair, replica = replicated(flavor)
    with Proxy(pair.a) as proxy:
        syncer: Product = make_product(pair, tables="shop.*")
        syncer.urls = (proxy.url(), pair.b.url())
        syncer.until_in_sync()
        first = present(pair, "shop")
        running = syncer.start()
        running.connected()
        with Workload.disjoint(pair, "shop", rate=25) as workload:
            write_on(workload, running)
        first = oracle.expected(first, workload.log)
        syncer.settled()
        caught_up(pair.a, replica)
        proxy.refuse()
        pair.a.kill()
        stop_replica(replica)
        syncer.pair = after = Pair(flavor, replica, pair.b)
        # What the new primary takes before anybody reads it must come by its stream.
        with Workload.disjoint(after, "shop", rate=25) as workload:
            write_on(workload, running)
            proxy.server = replica
            proxy.resume()
            running.wait_event("followed", lambda line: line.get("event") == "stream.followed")
            write_on(workload, running)
        syncer.settled()
        assert check_nothing_lost(after, "shop", first, workload) > 0
        assert syncer.conflicts() == []
        compared = [line for line in running.events() if line.get("event") == "baseline.started"]
        assert compared == []
        running.stop().must(0)
    totals["faults survived"] += 1


def lose(pair: Pair, replica: Endpoint, syncer: Product) -> None:
    """Let A take writes that reach B and not the replica, and let the replica take A's place."""
    syncer.until_in_sync()
    caught_up(pair.a, replica)
    stop_replica(replica)
    pair.a.script(
        "UPDATE counters SET value = 41 WHERE id = 1",
        "DELETE FROM counters WHERE id = 11",
        "INSERT INTO counters (id, name, value, updated_at) VALUES (9001, 'lost', 1, NOW(6))",
        db="shop",
    )
    syncer.until_in_sync()
    pair.a.kill()
    syncer.pair = Pair(pair.name, replica, pair.b)
    syncer.urls = (replica.url(), pair.b.url())


@FLAVORS
def test_a_failover_that_lost_transactions_waits_for_the_operator(replicated, make_product, flavor):
    pair, replica = replicated(flavor)
    syncer: Product = make_product(pair, "--pair", "shop", tables="shop.*")
    syncer.until_in_sync()
    wrong = {
        "no replica at all": (pair.b.url(), pair.a.url(), 5, "the address is wrong"),
        "not promoted yet": (replica.url(), pair.b.url(), 4, "still applies its changes"),
    }
    for what, (a, b, code, words) in wrong.items():
        syncer.urls = (a, b)
        assert words in syncer("run", "--until-in-sync").must(code).stderr, what
    syncer.urls = (pair.a.url(), pair.b.url())
    lose(pair, replica, syncer)
    replica.script("UPDATE counters SET value = 51 WHERE id = 21", db="shop")
    pair.b.script("UPDATE counters SET value = 61 WHERE id = 31", db="shop")
    marker = replica.query("SELECT * FROM syncer.marker")
    before = counters(replica), counters(pair.b)
    for _ in range(2):
        refused = syncer("run", "--until-in-sync").must(5)
        assert "side a" in refused.stderr
        assert "--accept-loss a" in refused.stderr
        assert "lacks transactions that were already read" in refused.stderr
    assert (counters(replica), counters(pair.b)) == before
    assert replica.query("SELECT * FROM syncer.marker") == marker, "a refused server was written to"
    done = syncer("run", "--until-in-sync", "--accept-loss", "a").must(1)
    assert "stream.loss_accepted" in done.stderr
    a, b = counters(replica), counters(pair.b)
    # Nothing is deleted, nothing comes back, and what is known of one side exactly still travels.
    assert (a[1], b[1]) == (1, 41)
    assert 11 in a
    assert 11 not in b
    assert 9001 not in a
    assert b[9001] == 1
    assert (a[31], b[31]) == (61, 61)
    held = {conflict.key[0]: conflict.kind for conflict in syncer.conflicts("open")}
    assert held.pop("1") == "drift"
    assert held.pop("11") == held.pop("9001") == "presence_ambiguous"
    assert set(held) <= {"21"}, "only what the side may have changed by itself"
    # The loss was accepted once: the next start goes on.
    syncer("run", "--until-in-sync").must(1)
    totals["faults survived"] += 1


LOST_ROWS = 40_000
ONE_OF_SEVERAL = [("mysql", "changed"), ("mariadb", "copied")]
if FULL:
    ONE_OF_SEVERAL += [("mariadb", "changed"), ("mysql", "copied")]


@pytest.mark.parametrize(("flavor", "sent"), ONE_OF_SEVERAL)
def test_a_failover_that_lost_one_of_several_transactions_waits_for_the_operator(
    replicated, make_product, flavor, sent
):
    """The replica has the later transaction of another marker row, so the newest batch of all rows tells nothing."""
    pair, replica = replicated(flavor)
    syncer: Product = make_product(pair, "--pair", "shop", "--threads", "3", tables="shop.*")
    digits = " UNION ALL ".join(f"SELECT {n} AS n" for n in range(10))
    tens = ", ".join(f"({digits}) {name}" for name in "abcde")
    fill = f"INSERT INTO t SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS k, 1 FROM {tens} HAVING k < {LOST_ROWS}"
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", db="shop")
    for server in pair.sides if sent == "changed" else (pair.b,):
        server.script(fill, db="shop")
    if sent == "changed":
        syncer.until_in_sync()
        pair.b.script("UPDATE t SET n = n + 1", db="shop")
    syncer.until_in_sync()
    caught_up(pair.a, replica)
    stop_replica(replica)
    pair.a.kill()
    rows = "SELECT pair, batch FROM syncer.marker WHERE batch > 0 ORDER BY batch"
    earlier, *later = replica.query(rows)
    assert later, "several transactions were under way"
    replica.script(
        "SET SESSION sql_log_bin = 0",
        f"UPDATE syncer.marker SET batch = batch - 1 WHERE pair = '{earlier[0]}'",
        "UPDATE t SET n = n - 1 WHERE id < 100"
        if sent == "changed"
        else "DELETE FROM t WHERE id < 100",
        db="shop",
    )
    syncer.pair = Pair(pair.name, replica, pair.b)
    syncer.urls = (replica.url(), pair.b.url())
    for threads in ("3", "1"):
        refused = syncer("run", "--until-in-sync", "--threads", threads).must(5)
        assert "side a: a marker row is older than the last batch" in refused.stderr
        assert "--accept-loss a" in refused.stderr
    syncer("run", "--until-in-sync", "--accept-loss", "a").must(1)
    kind = "drift" if sent == "changed" else "presence_ambiguous"
    held = {(conflict.key[0], conflict.kind) for conflict in syncer.conflicts("open")}
    assert held == {(str(key), kind) for key in range(100)}, "what was lost is noticed, row by row"
    # The loss was accepted once, and what is confirmed from then on is found.
    pair.b.script("UPDATE t SET n = 7 WHERE id >= 100", db="shop")
    for _ in range(2):
        syncer("run", "--until-in-sync").must(1)
    assert replica.query("SELECT COUNT(*) FROM t WHERE n = 7", db="shop") == [(LOST_ROWS - 100,)]
    totals["faults survived"] += 1


@FLAVORS
@pytest.mark.parametrize("busy", [False, True] if FULL else [True])
def test_a_restored_backup_waits_for_the_operator(fresh_server, make_product, flavor, busy):
    """The data folder of an earlier moment, binlogs and identity included; *busy*: it has grown again since."""
    pair = own_pair(fresh_server, flavor)
    server = pair.a
    if not isinstance(server, Server):
        pytest.skip("a container's data folder is out of reach")
    syncer: Product = make_product(pair, tables="shop.*")
    syncer.until_in_sync()
    server.stop()
    backup = server.base_dir / "backup"
    shutil.copytree(server.data_dir, backup, symlinks=True)
    server.start()
    server.script("UPDATE counters SET value = 41 WHERE id = 1", db="shop")
    syncer.until_in_sync()
    server.stop()
    shutil.rmtree(server.data_dir)
    shutil.move(backup, server.data_dir)
    server.start()
    if busy:
        server.script(*["UPDATE customers SET credit = credit + 1 WHERE id < 50"] * 20, db="shop")
    refused = syncer("run", "--until-in-sync").must(5)
    assert "side a" in refused.stderr
    assert "--accept-loss a" in refused.stderr
    assert "start with a new ledger: it costs a baseline and deletes nothing" in refused.stderr
    assert (counters(server)[1], counters(pair.b)[1]) == (1, 41)
    syncer("run", "--until-in-sync", "--accept-loss", "a", "--rule", "prefer:b").must(0)
    present(pair, "shop")
    assert counters(server)[1] == 41
    totals["faults survived"] += 1
