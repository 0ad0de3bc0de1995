"""Our tailer alone, with a ledger on disk: reads a binlog until a coordinate is persisted. A process of its own."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import structlog

from benchmark.process import peak_mib
from syncer.binlog import TableLayout, Tailer
from syncer.clock import SystemClock
from syncer.core.mark import Reason
from syncer.core.position import Coordinate, StreamPosition
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.ledger import Ledger
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import parse_url
from syncer.mysql.introspect import load_schemas
from syncer.service.streams import stream_endpoint

DEADLINE_S = 3600.0


class Layouts:
    """The tables in scope, fixed."""

    def __init__(self, found: dict[TableName, TableLayout]) -> None:
        self._found = {(name.database, name.name): layout for name, layout in found.items()}
        self._names = [(layout.table_id, name) for name, layout in found.items()]

    def __call__(self, database: str, table: str) -> TableLayout | None:
        return self._found.get((database, table))

    def tables(self) -> list[tuple[int, TableName]]:
        return self._names


def main() -> None:
    """Read the task from stdin, print seconds, keys, transactions, marks and the peak of resident memory."""
    task: dict[str, Any] = json.load(sys.stdin)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    position = msgspec.convert(task["position"], StreamPosition)
    endpoint = parse_url(task["url"])
    names = [TableName(task["database"], table) for table in task["tables"]]
    clock = SystemClock()
    with (
        tempfile.TemporaryDirectory(prefix="syncer-bench-", dir=task.get("folder")) as folder,
        Ledger.open(
            Path(folder) / "ledger.db", pair_id="bench", identity={}, clock=clock
        ) as ledger,
    ):
        with Session.open(endpoint, Side.A, purpose="schema") as session:
            schemas = load_schemas(session, names)
        found = {name: TableLayout(ledger.table_id(name), schemas[name]) for name in names}
        ledger.start({Side.A: position}, [], Reason.BASELINE)
        tailer = Tailer(
            Side.A,
            stream_endpoint(endpoint, Side.A),
            task["flavor"],
            position,
            ledger,
            Layouts(found),
            "bench",
            task["server_id"],
            clock,
            structlog.get_logger(),
            lambda _side, _table: None,
        )
        end = Coordinate.parse(task["file"], task["offset"])
        begun = time.perf_counter()
        tailer.start()
        there = tailer.progress.wait_until(end, DEADLINE_S, threading.Event())
        seconds = time.perf_counter() - begun
        state = tailer.progress.snapshot()
        tailer.stop()
        tailer.join()
        if not there:
            raise TimeoutError(
                f"the tailer stands at {state.position.file}:{state.position.offset}"
            )
        answer = {
            "seconds": seconds,
            "rows": state.keys,
            "transactions": state.transactions,
            "marks": ledger.summary().keys,
            "peak_mib": peak_mib(),
        }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
