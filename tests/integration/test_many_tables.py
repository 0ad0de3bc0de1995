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

TABLES = 100


def connections(server: Endpoint) -> int:
    return int(server.query("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])


def statements(session: Session) -> int:
    return int(session.query("SHOW SESSION STATUS LIKE 'Questions'")[0][1])


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_start_asks_for_all_tables_at_once(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """No connection is made for a table, and going on with tables that are known takes no statement for any of them."""
    pair.script(
        *(f"CREATE TABLE t{n} (id INT PRIMARY KEY, v INT)" for n in range(TABLES)), db=database
    )
    synced = product()
    before = [connections(server) for server in pair.sides]
    synced.until_in_sync()
    for server, count in zip(pair.sides, before, strict=True):
        assert connections(server) - count < TABLES / 2

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
