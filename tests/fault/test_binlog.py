"""The binlog is purged past our position, reset, or rotated again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed import dataset
from testbed.provision import Pair
from testbed.workload import Workload
from tests.fault.runner import FULL, check_nothing_lost, flavors, present, purge
from tests.figures import totals
from tests.integration.harness import Product

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.endpoint import Endpoint


@pytest.fixture
def own_pair(fresh_server) -> Callable[[str], Pair]:
    """Give ``own_pair(flavor) -> Pair`` with a filled database ``shop``."""

    def make(flavor: str) -> Pair:
        made = Pair(flavor, *(fresh_server(flavor, start=False) for _ in range(2)))
        made.start()
        made.script("CREATE DATABASE shop CHARACTER SET utf8mb4")
        for server in made.sides:
            dataset.create(server, "shop")
            dataset.load(server, "shop", 200)
        return made

    return make


@pytest.mark.parametrize("flavor", flavors("mariadb"))
def test_purged_past_our_position(own_pair, make_product, flavor):
    pair = own_pair(flavor)
    syncer: Product = make_product(pair, "--rule", "prefer:a", tables="shop.*")
    syncer.until_in_sync()
    # The gap: side A changes, deletes and inserts, and nobody will ever read of it.
    pair.a.script(
        "UPDATE counters SET value = 5, updated_at = NOW(6) WHERE id = 1",
        "DELETE FROM counters WHERE id = 11",
        "INSERT INTO counters (id, name, value, updated_at) VALUES (9001, 'gap', 1, NOW(6))",
        db="shop",
    )
    purge(pair.a)
    # Side B's stream is whole: its changes are known exactly.
    pair.b.script(
        "UPDATE counters SET value = 6, updated_at = NOW(6) WHERE id = 21",
        "DELETE FROM counters WHERE id = 31",
        "INSERT INTO counters (id, name, value, updated_at) VALUES (9002, 'b', 1, NOW(6))",
        db="shop",
    )
    done = syncer("run", "--until-in-sync", "--log-format", "json").must(1)
    lines = [line for line in done.stderr.splitlines() if "stream.position_lost" in line]
    assert len(lines) == 1
    assert '"level":"error"' in lines[0]
    assert "purged" in lines[0]
    a, b = (dict(_counters(server)) for server in pair.sides)
    assert (a[1], b[1]) == (5, 5)
    assert (a[21], b[21]) == (6, 6)
    assert 31 not in a
    assert 31 not in b
    assert a[9002] == b[9002] == 1
    # What is on one side only after a gap is held; nothing is deleted and nothing comes back.
    assert 11 not in a
    assert b[11] == 11
    held = {c.key: c.kind for c in syncer.conflicts("open")}
    assert held.pop(("11",)) == "presence_ambiguous", held
    assert set(held) <= {("9001",)}
    assert a[9001] == 1
    if held:
        assert 9001 not in b
    syncer("run", "--until-in-sync").must(1)
    assert 11 not in dict(_counters(pair.a))
    assert 11 in dict(_counters(pair.b))
    totals["faults survived"] += 1


def _counters(server: Endpoint) -> list[tuple]:
    return server.query("SELECT id, value FROM counters", db="shop")


RESETS = [
    pytest.param(flavor, busy, id=f"{flavor}-{'after more writes' if busy else 'at once'}")
    for flavor, busy in (("mysql", True), ("mariadb", True), ("mariadb", False), ("mysql", False))
]


@pytest.mark.parametrize(("flavor", "busy"), RESETS if FULL else RESETS[:2])
def test_reset_server_is_refused_with_the_way_out(own_pair, make_product, flavor, busy):
    pair = own_pair(flavor)
    syncer: Product = make_product(pair, tables="shop.*")
    syncer.until_in_sync()
    new = flavor == "mysql" and pair.a.version >= "8.2"
    pair.a.script("RESET BINARY LOGS AND GTIDS" if new else "RESET MASTER")
    if busy:
        # The new binlog grows past the position that was saved in the old one.
        pair.a.script(*["UPDATE customers SET credit = credit + 1"] * 40, db="shop")
    pair.a.script("DELETE FROM counters WHERE id = 1", db="shop")
    done = syncer("run", "--until-in-sync").must(5)
    assert "side a" in done.stderr
    assert "--accept-loss a" in done.stderr
    assert "start with a new ledger: it costs a baseline and deletes nothing" in done.stderr, done
    assert len(_counters(pair.b)) == 20
    syncer.ledger.unlink()
    syncer.options += ["--rule", "prefer:a"]
    syncer.until_in_sync()
    present(pair, "shop")
    totals["faults survived"] += 1


@pytest.mark.parametrize("pair", flavors("mixed"), indirect=True)
def test_rotation_under_load(pair, database, shop, product, write_for):
    shop(200, foreign_keys=True)
    syncer: Product = product()
    syncer.until_in_sync()
    first = present(pair, database)
    running = syncer.start()
    running.connected()
    with Workload.disjoint(pair, database, rate=25) as workload:
        for _ in range(6):
            write_for(workload, 0.4, running)
            pair.script("FLUSH BINARY LOGS")
        running.kill()
        pair.script("FLUSH BINARY LOGS")
        running = syncer.start()
        running.connected()
        write_for(workload, 0.5, running)
    syncer.settled()
    assert check_nothing_lost(pair, database, first, workload) > 0
    assert syncer.conflicts() == []
    running.stop().must(0)
    totals["faults survived"] += 1


@pytest.mark.parametrize("flavor", flavors("mysql"))
def test_a_binlog_that_begins_anew_under_a_run_is_refused(own_pair, make_product, flavor):
    """Moved with log_bin, without its files: identity and GTIDs stay, and ends of lower files would let every fence pass (INV-4)."""
    pair = own_pair(flavor)
    for _ in range(5):
        pair.a.query("FLUSH BINARY LOGS")
    syncer: Product = make_product(pair, "--heartbeat", "off", tables="shop.*")
    syncer.until_in_sync()
    running = syncer.start()
    running.connected()
    pair.a.stop()
    for file in pair.a.data_dir.glob("binlog.*"):
        file.unlink()
    pair.a.start()
    assert len(pair.a.query("SHOW BINARY LOGS")) == 1
    pair.a.script("UPDATE counters SET value = 7 WHERE id = 1", db="shop")
    done = running.wait().must(5)
    assert "--accept-loss a" in done.stderr
    totals["faults survived"] += 1
