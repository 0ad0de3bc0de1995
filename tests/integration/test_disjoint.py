"""Writers on both sides that keep to rows of their own: both sides end as the union of what was acknowledged."""

from __future__ import annotations

import pytest

from testbed import oracle
from testbed.workload import Workload
from tests.integration.harness import wait_until


@pytest.mark.slow
def test_both_sides_become_the_union_of_all_acknowledged_writes(
    pair, database, shop, product, write_for
):
    first = shop(2000, foreign_keys=True)
    syncer = product()
    syncer.until_in_sync()  # before it, the history of a key is not known and its conflicts are possible ones
    running = syncer.start()
    running.connected()
    with Workload.disjoint(pair, database, rate=40) as workload:
        write_for(workload, 30 if pair.name == "mixed" else 8, running)

        def enough() -> tuple[bool, object]:
            counts = workload.log.counts()
            return all(counts.get(f"{side}.{op}", 0) > 30 for side in "ab" for op in _OPS), counts

        wait_until("writes of every kind", enough)
    assert workload.log.trouble == []
    assert workload.log.maybe == []
    syncer.settled()
    wanted = oracle.expected(first, workload.log)
    assert oracle.differences(oracle.read_pair(pair, database), wanted) == [], str(running)
    running.stop().must(0)
    assert syncer.conflicts() == []


_OPS = ("insert", "update", "delete", "move")


def test_killed_three_times_during_load_nothing_is_lost(pair, database, shop, product, write_for):
    first = shop(500, foreign_keys=True)
    syncer = product()
    syncer.until_in_sync()  # before it, the history of a key is not known and its conflicts are possible ones
    running = syncer.start()
    running.connected()
    with Workload.disjoint(pair, database, rate=40) as workload:
        for _ in range(3):
            write_for(workload, 1.5, running)
            running.wait_event("rows applied", lambda event: event.get("event") == "run.status")
            running.kill()
            write_for(workload, 0.5)
            running = syncer.start()
            running.connected()
        write_for(workload, 1.5, running)
    assert workload.log.trouble == []
    syncer.settled()
    wanted = oracle.expected(first, workload.log)
    assert oracle.differences(oracle.read_pair(pair, database), wanted) == [], str(running)
    running.stop().must(0)
    assert syncer.conflicts() == []
