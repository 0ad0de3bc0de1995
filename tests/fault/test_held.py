"""A thread held at a step of the protocol while the world goes on: what the others may not do meanwhile."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from testbed import oracle
from tests.fault.runner import flavors, start_doomed
from tests.integration.harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.provision import Pair
    from tests.integration.harness import Product

A_WHILE_S = 2.0
"""What must not happen would have happened by then."""


@pytest.mark.parametrize("pair", flavors("mariadb"), indirect=True)
def test_no_range_is_compared_over_a_key_on_its_way(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """
    Side A's new row is on its way to B when A empties the table: now neither side has it, and soon B will.

    A comparison in between would find both sides equal and clear the mark that the TRUNCATE left (INV-3, INV-11).
    """
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", db=database)
    syncer = product()
    syncer.until_in_sync()
    running = start_doomed(syncer, "hold.apply.before.b")
    running.connected()
    pair.a.script("INSERT INTO t VALUES (5, 1)", db=database)
    wait_until("the row is on its way", lambda: (running.held.exists(), str(running)))
    pair.a.script("TRUNCATE t", db=database)

    def spans() -> int:
        return syncer.status()["summary"]["spans"]

    what = "BINARY LOG" if pair.a.flavor == "mysql" else "MASTER"
    file, offset, *_ = pair.a.query(f"SHOW {what} STATUS")[0]
    end = int(str(file).rpartition(".")[2]), int(offset)
    wait_until("the TRUNCATE is met", lambda: ((at := syncer.position("a")) >= end, at))
    with contextlib.suppress(AssertionError):
        wait_until("the mark is gone", lambda: (spans() == 0, None), A_WHILE_S)
    assert spans() > 0, "compared while a row of it was on its way"
    running.held.unlink()
    running.stop().must(0)
    syncer.until_in_sync()
    assert oracle.read_pair(pair, database)["t"] == ({}, {})
