"""Where a fresh ledger begins to read the streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from syncer.core.side import Side
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text
from syncer.service.positions import start_position
from testbed import oracle

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.endpoint import Endpoint
    from testbed.provision import Pair
    from tests.integration.harness import Product


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_what_was_written_before_the_start_is_no_change_whatever_the_binlog_holds(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """
    An event above max_allowed_packet makes the server's own translation of a position fail.

    An empty position would be the binlog's beginning: the rows loaded there would count as changes of both sides.
    """
    for server in pair.sides:
        server.query(f"CREATE TABLE `{database}`.t (id INT PRIMARY KEY, v LONGTEXT, w LONGTEXT)")
        server.query(f"INSERT INTO `{database}`.t VALUES (1, 'same', ''), (2, 'same', '')")
        packet = server.query("SELECT @@GLOBAL.max_allowed_packet")[0][0]
        large = f"REPEAT('x', {packet * 3 // 4})"
        server.query(f"INSERT INTO `{database}`.t VALUES (3, {large}, {large})")
        server.query(f"DELETE FROM `{database}`.t WHERE id = 3")
    running = product("--rule", "prefer:b")
    running.until_in_sync()
    pair.a.query(f"UPDATE `{database}`.t SET v = 'new' WHERE id = 1")
    pair.a.query(f"DELETE FROM `{database}`.t WHERE id = 2")
    running.until_in_sync()
    assert running.conflicts() == []
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert pair.b.query(f"SELECT id, v FROM `{database}`.t") == [(1, "new")]


def test_a_fresh_mariadb_position_names_one_place(
    fresh_server: Callable[..., Endpoint],
) -> None:
    server = fresh_server("mariadb")
    server.query("CREATE DATABASE d")
    server.query("CREATE TABLE d.t (id INT PRIMARY KEY)")
    for number in range(3):
        server.query("INSERT INTO d.t VALUES (%s)", (number,))
        server.query("FLUSH BINARY LOGS")
    with Session.open(from_text(server.url()), Side.A, purpose="test") as session:
        found = start_position(session)
        told = session.query("SELECT BINLOG_GTID_POS(%s, %s)", (found.file, found.offset))
    assert found.gtids == told[0][0] != ""
