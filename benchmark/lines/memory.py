"""Line 11: the peak of resident memory where the work is largest."""

from __future__ import annotations

from benchmark.arena import DATABASE, NAME, Arena, numbers, position
from benchmark.lines.streams import tail
from benchmark.process import module
from benchmark.result import Result, Sense, Target, judge

LIMIT_MIB = 256
_STEP = 100_000
_DISTANCE = 19
"""Keys so far apart are no runs: each is a mark of its own."""


def peaks(arena: Arena, rows: int, runs: int) -> list[Result]:
    """
    Do the largest works.

    Twice as many dirty keys as *rows* at random; a table of so many rows copied, then compared; one transaction of *rows* rows,
    plain and as an XA branch.
    """
    keys = [
        module("benchmark.dirty", {"keys": 2 * rows, "folder": str(arena.folder())})["peak_mib"]
        for _ in range(runs)
    ]
    found = [_judged(arena, f"{2 * rows:,} dirty keys at random in the ledger", keys)]
    arena.fresh(rows_a=2 * rows)
    copied, compared = [], []
    for _ in range(runs):
        arena.b.script(f"TRUNCATE TABLE {NAME}")
        arena.forget_binlogs()
        copied.append(_whole(arena))
        compared.append(_whole(arena))
    for what, peak in (("copy", copied), ("compare", compared)):
        found.append(_judged(arena, f"{what} a table of {2 * rows:,} rows", peak))
    for kind in ("transaction", "XA branch"):
        peak = [_one(arena, rows, xa=kind != "transaction") for _ in range(runs)]
        found.append(_judged(arena, f"tail one {kind} of {rows:,} rows", peak))
    return found


def _judged(arena: Arena, what: str, peak: list[float]) -> Result:
    return judge(11, f"memory: {what}", arena.flavor, "MiB", peak, Target(Sense.LIMIT, LIMIT_MIB))


def _whole(arena: Arena) -> float:
    with arena.product().running() as running:
        pass  # it is past its first comparison
    return running.stop()


def _one(arena: Arena, rows: int, *, xa: bool) -> float:
    arena.fresh()
    table = f"{DATABASE}.wide_apart"
    arena.a.script(f"CREATE TABLE {table} (id BIGINT PRIMARY KEY, n INT NOT NULL)")
    since = position(arena.a)
    inserts = [
        f"INSERT INTO {table} SELECT ({base} + x) * {_DISTANCE}, x FROM {numbers(min(_STEP, rows - base))}"
        for base in range(0, rows, _STEP)
    ]
    begin, end = ["BEGIN"], ["COMMIT"]
    if xa:
        begin, end = ["XA START 'one'"], ["XA END 'one'", "XA PREPARE 'one'", "XA COMMIT 'one'"]
    arena.a.script(*begin, *inserts, *end)
    found = tail(arena, since, "wide_apart")
    if found["marks"] != rows:
        raise RuntimeError(f"{found['marks']:,} marks of {rows:,} rows")
    peak: float = found["peak_mib"]
    return peak
