"""A transaction of five million row events: read in bounded memory, marked whole, and its position saved at its end alone."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from pathlib import Path

import pytest

from tests.fault.runner import only_full
from tests.figures import totals
from tests.integration.harness import Running, binlog_end, wait_until

ROWS = 5_000_000
MOST_MIB = 256
"""As marks of one key each they would take a gigabyte and more."""
DEADLINE_S = 1_500.0
APART = 19
"""Keys so far apart make no run: each is a mark of its own, which is the most that a transaction can ask for."""


@only_full
@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_a_transaction_of_five_million_rows_takes_bounded_memory(pair, database, product, capsys):
    """INV-1: whatever was read of it, the position stays in front of it until it is whole."""
    pair.script(
        "CREATE TABLE big (id INT PRIMARY KEY)",
        "CREATE TABLE digits (n INT PRIMARY KEY)",
        "INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
        db=database,
    )
    # No heartbeats: the transaction is all that lies between the two ends of the binlog.
    syncer = product("--heartbeat", "off", "--chunk-size", "10000:10000")
    running = syncer.start()
    running.connected()
    syncer.settled()
    # Definitions that do not fit: the table waits, and its marks stay to be counted.
    pair.b.script("ALTER TABLE big ADD COLUMN more INT NOT NULL", db=database)
    wait_until("the table waits", lambda: (bool(syncer.status()["paused"]), syncer.status()))
    begin = binlog_end(pair.a)
    before = _peak_mib(running)
    columns = " + ".join(f"{letter}.n * {10**at}" for at, letter in enumerate("abcdefg"))
    tables = ", ".join(f"digits {letter}" for letter in "abcdefg")
    pair.a.script(
        f"INSERT INTO big SELECT ({columns}) * {APART} FROM {tables} WHERE g.n < {ROWS // 10**6}",
        db=database,
    )
    end = binlog_end(pair.a)
    began = time.monotonic()
    seen = set()

    def read() -> tuple[bool, object]:
        assert running.code is None, running
        seen.add(now := _saved(syncer.ledger))
        return now[0] == end, now

    wait_until("the transaction is read", read, DEADLINE_S)
    seconds = time.monotonic() - began
    assert {saved for saved, _ in seen} <= {begin, end}, f"a position within it: {seen}"
    # It was met while it was read in parts: marks were there and the position was still in front of it.
    assert (begin, True) in seen, seen
    assert syncer.status()["summary"]["keys"] == ROWS
    peak = _peak_mib(running)
    assert peak <= MOST_MIB, f"{peak:.0f} MiB"
    with capsys.disabled():
        print(
            f"\n{pair.a.flavor}: {ROWS:,} rows in one transaction read in {seconds:.0f} s, "
            f"{ROWS / seconds:,.0f} rows/s, {peak:.0f} MiB at most ({before:.0f} before)"
        )
    running.stop(DEADLINE_S).must(1)  # a table waits; its marks are counted for the report
    totals["faults survived"] += 1


def _saved(ledger: Path) -> tuple[tuple[int, int], bool]:
    """Give side A's saved position and whether it has any mark, in one snapshot of the ledger."""
    with contextlib.closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        db.execute("BEGIN")
        [(text,)] = db.execute("SELECT position FROM stream WHERE side = 'a'")
        [(marked,)] = db.execute("SELECT EXISTS (SELECT 1 FROM point WHERE side = 'a')")
    position = json.loads(text)
    return (int(position["file"].rpartition(".")[2]), position["offset"]), bool(marked)


def _peak_mib(running: Running) -> float:
    """What the kernel says that the process ever had resident."""
    status = Path(f"/proc/{running._process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
