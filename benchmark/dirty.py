"""A ledger on disk that takes, claims and describes very many keys. A process of its own."""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

from benchmark.process import peak_mib
from syncer.clock import SystemClock
from syncer.core.mark import KeyMark, Op, Touch
from syncer.core.position import StreamPosition
from syncer.core.record import TransactionRecord
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.ledger import Ledger

_AT_ONCE = 2_000
_SPACE = 1 << 40


def main() -> None:
    """Read the task from stdin, print keys per second and the peak of resident memory."""
    task: dict[str, Any] = json.load(sys.stdin)
    keys = int(task["keys"])
    chance = random.Random(1)
    path = Path(task["folder"]) / "ledger.db"
    with Ledger.open(path, pair_id="bench", identity={}, clock=SystemClock()) as ledger:
        table = ledger.table_id(TableName("bench", "item"))
        begun = time.perf_counter()
        seq = 0
        while seq < keys:
            records = []
            for _ in range(min(_AT_ONCE, keys - seq)):
                seq += 1
                touch = Touch(seq, seq, Op.UPDATE, Op.UPDATE, recreated=False, commit_us=seq)
                key = chance.randrange(_SPACE)
                records.append(TransactionRecord(seq=seq, marks=(KeyMark(table, key, key, touch),)))
            position = StreamPosition(server="s", gtids="", file="b.000001", offset=seq, seq=seq)
            ledger.record(Side.A, records, position)
        seconds = time.perf_counter() - begun
        ledger.claim_keys(5_000, time.time())
        ledger.summary()
    json.dump({"keys_per_s": keys / seconds, "peak_mib": peak_mib()}, sys.stdout)


if __name__ == "__main__":
    main()
