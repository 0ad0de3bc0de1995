"""The peer of the tailer: mysql-replication reads a binlog with all values decoded. A process of its own."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from pymysqlreplication.binlogstream import BinLogStreamReader
from pymysqlreplication.event import XidEvent
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent


def main() -> None:
    """Read the task from stdin, print seconds, rows and transactions; every event up to *file* and *offset* is read."""
    task: dict[str, Any] = json.load(sys.stdin)
    stream = BinLogStreamReader(  # type: ignore[no-untyped-call]
        connection_settings=task["connection"],
        server_id=task["server_id"],
        blocking=True,
        is_mariadb=task["flavor"] == "mariadb",
        auto_position=task["gtids"],
        only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent, XidEvent],
    )
    rows = transactions = 0
    begun = time.perf_counter()
    end = task["file"], task["offset"]
    while (stream.log_file or "", stream.log_pos or 0) < end:
        event = stream.fetchone()  # type: ignore[no-untyped-call]
        if isinstance(event, XidEvent):
            transactions += 1
        else:
            rows += len(event.rows)
    seconds = time.perf_counter() - begun
    stream.close()  # type: ignore[no-untyped-call]
    json.dump({"seconds": seconds, "rows": rows, "transactions": transactions}, sys.stdout)


if __name__ == "__main__":
    main()
