"""A transaction's size costs no memory: its keys go to the ledger in parts, an XA branch's as well."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MORE_KEYS = 200_000
MORE_MIB = 20
"""What so many keys would take in memory is more than twice this."""

PROGRAM = """
import sys
from benchmark.process import peak_mib
from syncer.binlog.transaction import OpenTransaction
from syncer.clock import SystemClock
from syncer.core.position import StreamPosition
from syncer.core.record import TransactionRecord
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.ledger import Ledger, queries

queries.CACHE_OF_MANY = queries.CACHE  # else its own 64 MiB are what grows
path, count, xa = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "xa"
position = StreamPosition(server="s", gtids="", file="b.000001", offset=9, seq=2)
with Ledger.open(path, pair_id="p", identity={}, clock=SystemClock()) as ledger:
    table = ledger.table_id(TableName("d", "t"))
    transaction = OpenTransaction("g", 1, begun=True)
    transaction.xa = xa
    for low in range(0, count, 100):
        # Too far apart for a run: each key is a mark of its own.
        transaction.rows(table, "insert", [key * 19 for key in range(low, low + 100)])
        transaction.spill(Side.A, 1, ledger)
    records = [transaction.record(1, prepared_xid="x" if xa else None)]
    if xa:
        records.append(TransactionRecord(seq=2, committed_xid="x"))
    ledger.record(Side.A, records, position)
    assert ledger.summary().keys == count
print(peak_mib())
"""


def peak(folder, count, kind):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / f"{count}.db"), str(count), kind],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.parametrize("kind", ["plain", "xa"])
def test_a_larger_transaction_takes_no_more_memory(tmp_path, kind):
    small = 100_000  # more than one part
    grown = peak(tmp_path, small + MORE_KEYS, kind) - peak(tmp_path, small, kind)
    assert grown < MORE_MIB, f"{grown:.0f} MiB more for {MORE_KEYS:,} keys more"
