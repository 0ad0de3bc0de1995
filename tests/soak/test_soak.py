"""A soak of two laps, and that its judges see what they are there for."""

from __future__ import annotations

import dataclasses

import pytest

from testbed import oracle
from testbed.provision import Pair
from testbed.workload import Log, RowWrite, Transaction
from tests.figures import FAULTS, WRITES, totals
from tests.integration.harness import Conflict
from tests.soak.run import Soak
from tests.soak.verdict import COLUMNS, judge
from tests.soak.watch import RSS_MOST, Life

KEY = 7


def test_two_laps_of_chaos_lose_nothing(fresh_server, tmp_path):
    pair = Pair("mixed", *(fresh_server(f, start=False) for f in ("mysql", "mariadb")))
    pair.start()
    lines = []
    soak = Soak(pair, tmp_path, seed=1, tell=lines.append)
    try:
        soak.run(10.0, laps=2)
    finally:
        soak.close()
    assert soak.quiet_points == 2, lines
    assert soak.checked > 100, lines
    assert sum(soak.counts.values()) > 4, lines
    totals[WRITES] += soak.checked
    totals[FAULTS] += sum(soak.counts.values())


def _row(stamp: str) -> tuple:
    return tuple({"id": KEY, "stamp": stamp}.get(name, 1) for name in COLUMNS)


def _wrote(side, op, stamp, before, at) -> Transaction:
    row = None if op == "delete" else _row(stamp)
    write = RowWrite("orders", KEY, op, row, before and _row(before), stamp)
    return Transaction(side, f"{side}1", 1, at, (write,), at)


def _entry(winner: str, a: str | None, b: str | None) -> Conflict:
    images = {side: stamp and tuple(map(str, _row(stamp))) for side, stamp in (("a", a), ("b", b))}
    return Conflict(
        *("update_update", "applied", "newest", "rule", winner, "shop.orders", (str(KEY),)),
        COLUMNS,
        images,
        possible=False,
    )


A1 = _wrote("a", "update", "a-1", "load", 1.0)
B1 = _wrote("b", "update", "b-1", "load", 1.0)
A_GONE = _wrote("a", "delete", "a-2", "load", 1.0)
A_NEW = _wrote("a", "insert", "a-3", None, 2.0)

CASES = {
    "there": ([A1], "a-1", [], "good"),
    "gone without a word": ([A1], "load", [], "lost"),
    "beaten without a word": ([A1, B1], "b-1", [], "lost"),
    "beaten and journaled": ([A1, B1], "b-1", [_entry("b", "a-1", "b-1")], "good"),
    "a delete that stands": ([A_GONE], None, [], "good"),
    "a delete that does not": ([A_GONE], "load", [], "resurrected"),
    "a delete beaten without a word": ([A_GONE, B1], "b-1", [], "resurrected"),
    "a delete beaten and journaled": ([A_GONE, B1], "b-1", [_entry("b", None, "b-1")], "good"),
    "a new row where one was deleted": ([A_GONE, A_NEW], "a-3", [], "good"),
    "the old row where a new one was": ([A_GONE, A_NEW], "load", [], "lost"),
    "a conflict of one side": ([A1], "a-1", [_entry("a", "a-1", "load")], "wrong"),
    "a row that nobody wrote": ([A1], "c-1", [_entry("b", "a-1", "c-1")], "wrong"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_judge_of_shared_rows_tells_lost_from_beaten(case):
    writes, final, journal, verdict = CASES[case]
    first = {"orders": {(KEY,): _row("load")}}
    table = {(KEY,): _row(final)} if final else {}
    shared = Log(acknowledged=list(writes))
    found = judge({"orders": (table, table)}, first, Log(), shared, [KEY], journal)
    assert found.good == (verdict == "good"), found
    if verdict != "good":
        assert getattr(found, verdict), found


def test_the_judge_of_own_rows_tells_lost_from_resurrected():
    def found(table):
        own = Log(acknowledged=[A_GONE])
        first = {"orders": {(KEY,): _row("load"), (9,): (9,)}}
        return judge({"orders": (table, table)}, first, own, Log(), [], [])

    assert found({(9,): (9,)}).good
    assert found({}).lost
    back: oracle.Table = {(KEY,): _row("load"), (9,): (9,)}
    assert found(back).resurrected


def test_growth_of_memory_or_files_is_noticed():
    flat = [(float(second), 50 << 20, 15) for second in range(300)]
    assert Life(1, flat).complaints() == []
    leak = [(second, size + int(second) * (100 << 10), files) for second, size, files in flat]
    assert "memory grew" in " ".join(Life(1, leak).complaints())
    assert "(+353 MiB an hour)" in Life(1, leak).told()
    files = [(second, size, count + int(second) // 20) for second, size, count in flat]
    assert "open files grew" in " ".join(Life(1, files).complaints())
    assert "bound" in " ".join(Life(1, [(1.0, RSS_MOST + 1, 1)]).complaints())
    assert dataclasses.replace(Life(1, flat), samples=flat[:100]).growth() is None
