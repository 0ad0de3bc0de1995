"""The product with a probe in it, and what a fault must leave behind: everything acknowledged, nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from testbed import oracle
from tests.figures import totals
from tests.integration.harness import DEADLINE_S, REPOSITORY, Product, Running, wait_until

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from testbed.endpoint import Endpoint
    from testbed.provision import Pair
    from testbed.workload import Log, Workload

FULL = os.environ.get("SYNCER_FAULT") == "full"
"""``scripts/fault`` asks for every probe on both flavours."""

only_full = pytest.mark.skipif(not FULL, reason="only in the full form: scripts/fault")


def flavors(short: str) -> list[str]:
    """Both flavours in the full form, and the mixed pair where the short one takes it; else one."""
    return [*{"mariadb": 1, "mysql": 1, short: 1}] if FULL else [short]


class Doomed(Running):
    """A ``syncer run`` that kills itself, or is held, at a moment of the protocol."""

    def __init__(self, product: Product, arguments: list[str], log: Path, probe: str) -> None:
        self.arguments = arguments
        self.log = log
        self.probe = probe
        self.held = log.with_suffix(".held")
        """Where it is held: it goes on when this file is gone."""
        self._out = log.with_suffix(".out")
        self._begun = time.monotonic()
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SYNCER_", "MYSQL"))
        }
        environment |= {
            "PYTHONPATH": str(REPOSITORY),
            "HOME": "/nonexistent",
            "SYNCER_PROBE": probe,
            "SYNCER_HELD": str(self.held),
        }
        with log.open("wb") as stderr, self._out.open("wb") as stdout:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fault.entry", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=product.folder,
                env=environment,
            )

    def dies(self, deadline_s: float = DEADLINE_S) -> None:
        """Wait until it has killed itself; any other end fails."""
        wait_until(
            f"killed at {self.probe}\n{self.log}",
            lambda: (self.code is not None, "it runs"),
            deadline_s,
        )
        assert self.code == -signal.SIGKILL, f"ended before {self.probe}\n{self}"


def start_doomed(product: Product, probe: str, *more: object) -> Doomed:
    """Start ``syncer run`` with a probe (see ``entry.py``); it ends with the product at the latest."""
    arguments = product.arguments("run", "--log-format", "json", *more)
    doomed = Doomed(product, arguments, product.folder / f"doomed-{probe}.jsonl", probe)
    product._running.append(doomed)
    return doomed


def check_nothing_lost(
    pair: Pair,
    db: str,
    first: dict[str, oracle.Table],
    workload: Workload,
    but: Collection[tuple[str, oracle.Values]] = (),
) -> int:
    """
    Compare both sides with what the writers were told; give the number of acknowledged row writes.

    Args:
        but: Keys that are held: one of the sides must have what the writers were told.
    """
    assert workload.log.trouble == [], workload.log.trouble
    found = oracle.read_pair(pair, db)
    wanted = oracle.expected(first, workload.log)
    for table, key in but:
        rows = [side.pop(key, None) for side in found[table]]
        assert wanted[table].pop(key, None) in rows, (table, key, rows)
    wrong = oracle.differences(found, wanted)
    assert wrong == [], wrong
    acknowledged = sum(len(t.writes) for t in workload.log.acknowledged)
    totals["acknowledged writes checked"] += acknowledged
    return acknowledged


def present(pair: Pair, db: str) -> dict[str, oracle.Table]:
    """Give the tables, which must be equal."""
    found = oracle.read_pair(pair, db)
    assert oracle.differences(found) == []
    return {name: both[0] for name, both in found.items()}


def settle_maybe(pair: Pair, db: str, first: dict[str, oracle.Table], log: Log) -> None:
    """
    Move what the servers did commit of the commits without an answer from `maybe` to `acknowledged`.

    A writer leaves such rows alone from then on, so that the last word on each of them is in the tables of its own side.
    """
    for transaction in list(log.maybe):
        server = pair.a if transaction.side == "a" else pair.b
        last = {(write.table, write.key): write for write in transaction.writes}
        tables = {table: oracle.read_table(server, db, table) for table, _ in last}
        done = [
            tables[table].get((key,)) == oracle._normal(write.row)
            for (table, key), write in last.items()
        ]
        undone = [
            tables[table].get((key,)) == _before(first, log, table, key) for table, key in last
        ]
        assert all(done) or all(undone), f"half a transaction: {transaction}"
        log.maybe.remove(transaction)
        if all(done):
            log.acknowledged.append(transaction)


def _before(first, log, table, key):
    return oracle.expected(first, log)[table].get((key,))


def purge(server: Endpoint) -> None:
    """Leave nothing but an empty binlog; wait until no dump holds the old files any more."""
    server.script("FLUSH BINARY LOGS")
    last = server.query("SHOW BINARY LOGS")[-1][0]

    def gone():
        server.script(f"PURGE BINARY LOGS TO '{last}'")
        logs = [row[0] for row in server.query("SHOW BINARY LOGS")]
        return logs == [last], logs

    wait_until("old binlogs purged", gone, 30)
