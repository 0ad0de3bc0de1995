"""Whole-table comparisons give way to a busy primary; live changes go on."""

from __future__ import annotations

import pytest

from testbed import oracle
from tests.integration.harness import wait_until


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_baseline_waits_while_live_changes_flow(pair, database, product):
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", db=database)
    rows = ",".join(f"({i},{i})" for i in range(500))
    pair.a.script(f"INSERT INTO t VALUES {rows}", db=database)
    syncer = product("--max-load", "Threads_running=0")
    running = syncer.start()
    running.connected()
    began = running.wait_event("a pause", lambda e: e.get("event") == "throttle.began")
    assert "Threads_running" in began["reason"]
    pair.b.script("INSERT INTO t VALUES (1000,1)", db=database)

    def arrived() -> tuple[bool, object]:
        found = oracle.read_table(pair.a, database, "t")
        return (1000,) in found, len(found)

    wait_until("a live change travels", arrived)
    assert len(oracle.read_table(pair.b, database, "t")) == 1, "the baseline did not wait"
    running.stop().must(0)
    free = product("--max-load", "off", "--max-rows-per-second", "100000")
    free.ledger = syncer.ledger
    free.until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
