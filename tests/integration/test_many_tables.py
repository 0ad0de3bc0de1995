"""Many tables in one pair: what a start asks of the servers does not grow with their number."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import structlog

from syncer import config as configuration
from syncer.clock import SystemClock
from syncer.service.beginning import Beginning
from syncer.service.opening import open_ledger, open_sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncer.mysql.connection import Session
    from testbed.endpoint import Endpoint
    from testbed.provision import Pair
    from tests.integration.harness import Product

TABLES = 90


def connections(server: Endpoint) -> int:
    return int(server.query("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])


def snapshots(server: Endpoint) -> int:
    return int(server.query("SHOW GLOBAL STATUS LIKE 'Com_begin'")[0][1])


def statements(session: Session) -> int:
    return int(session.query("SHOW SESSION STATUS LIKE 'Questions'")[0][1])


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_start_asks_for_all_tables_at_once(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """
    No connection and no snapshot is made for a table, and going on with known tables takes no statement for any of them.

    Among them: tables that differ, that are larger than both servers think, and that only one side has rows of.
    """
    pair.script(
        *(f"CREATE TABLE t{n} (id INT PRIMARY KEY, v VARCHAR(9))" for n in range(TABLES)),
        *(f"INSERT INTO t{n} VALUES (1, 'same'), (2, NULL)" for n in range(0, TABLES, 10)),
        f"INSERT INTO t1 VALUES {','.join(f'({n}, NULL)' for n in range(300))}",
        db=database,
    )
    pair.a.script("UPDATE t10 SET v = 'other' WHERE id = 2", db=database)
    pair.b.script("DELETE FROM t20 WHERE id = 1", "INSERT INTO t30 VALUES (7, 'b')", db=database)
    pair.a.script("INSERT INTO t40 VALUES (8, 'a')", "INSERT INTO t1 VALUES (-1, 'y')", db=database)
    pair.b.script("INSERT INTO t3 VALUES (1, 'b')", db=database)
    synced = product("--rule", "prefer:a", "--heartbeat", "off")
    before = [(connections(server), snapshots(server)) for server in pair.sides]
    synced.until_in_sync()
    for server, (connected, begun) in zip(pair.sides, before, strict=True):
        assert connections(server) - connected < TABLES / 2
        assert snapshots(server) - begun < TABLES
    assert pair.a.query(f"SELECT v FROM {database}.t10 WHERE id = 2") == [("other",)]
    assert pair.a.query(f"SELECT id FROM {database}.t30 ORDER BY id") == [(1,), (2,), (7,)]
    assert pair.b.query(f"SELECT id FROM {database}.t1 WHERE id < 0") == [(-1,)]
    assert pair.a.query(f"SELECT v FROM {database}.t3") == [("b",)]

    sides = {side: {"url": server.url()} for side, server in zip("ab", pair.sides, strict=True)}
    sync = {"tables": (f"{database}.*",)}
    config = configuration.load(
        overrides={**sides, "ledger": str(synced.ledger), "sync": sync}, environ={}
    )
    with contextlib.ExitStack() as stack:
        sessions = open_sessions(config, stack)
        ledger = stack.enter_context(open_ledger(config, SystemClock(), dry_run=True))
        asked = {side: statements(session) for side, session in sessions.items()}
        begin = Beginning(config, sessions, ledger, structlog.get_logger())
        begin.number(ledger)
        begin.lay_out(ledger)
        assert len(begin.flowing) == TABLES
        catalog = begin.catalog(ledger)
        assert len(catalog.flowing) == TABLES
        for side, session in sessions.items():
            assert statements(session) - asked[side] < TABLES
