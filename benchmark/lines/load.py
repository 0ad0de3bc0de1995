"""Lines 13 and 15: what the primaries' applications lose."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator

from benchmark import peers
from benchmark.arena import DATABASE, NAME, Arena
from benchmark.peers import Replica
from benchmark.result import Result, Sense, Target, judge

ROWS = 20_000
WRITERS = 2
_NAME = f"{DATABASE}.load"
_PROCEDURE = (
    f"CREATE PROCEDURE {_NAME}(IN seconds INT, IN parity INT) BEGIN"
    " DECLARE ends DATETIME(6) DEFAULT SYSDATE(6) + INTERVAL seconds SECOND; DECLARE n INT DEFAULT 0; DECLARE k INT;"
    f" WHILE SYSDATE(6) < ends DO SET k = 1 + parity + 2 * FLOOR(RAND() * {ROWS // 2});"
    f" UPDATE {NAME} SET version = version + 1 WHERE id = k; SET n = n + 1; END WHILE; SELECT n; END"
)


def cost(arena: Arena, seconds: int, runs: int) -> list[Result]:
    """Servers write as fast as they can, A the odd and B the even keys: alone, with syncer, with replication both ways."""
    alone: list[float] = []
    synced: list[float] = []
    replicated: list[float] = []
    for _ in range(runs):
        _ready(arena)
        alone.append(_rate(arena, seconds))
        _ready(arena)
        with arena.product().running():
            synced.append(_rate(arena, seconds))
        _ready(arena)
        with _replicating(arena):
            replicated.append(_rate(arena, seconds))
    before = alone
    return [
        judge(
            13,
            "slowdown of the application at saturation, against native replication both ways",
            arena.flavor,
            "times",
            [one / other for one, other in zip(before, synced, strict=True)],
            Target(Sense.COST, 1.0),
            peer=[one / other for one, other in zip(before, replicated, strict=True)],
            size=f"{seconds} s",
        )
    ]


PACE = 100
GENTLE_ROWS = 100_000
"""Rows a second of a comparison that gives way."""


def protected(arena: Arena, rows: int, runs: int) -> list[Result]:
    """An application commits at an even pace on side A while whole tables are compared, again and again."""
    arena.fresh(rows_a=rows, rows_b=rows)
    quiet: list[float] = []
    free: list[float] = []
    gentle: list[float] = []
    toolkit: list[float] = []
    note = "" if peers.toolkit("pt-table-checksum") else "pt-table-checksum is not installed"
    slow = ("--max-rows-per-second", str(GENTLE_ROWS), "--threads", "1")
    for _ in range(runs):
        quiet.append(_late(arena, rows, lambda: time.sleep(1)))
        free.append(_late(arena, rows, lambda: arena.product().until_in_sync()))
        gentle.append(_late(arena, rows, lambda: arena.product(*slow).until_in_sync()))
        if note:
            continue
        try:
            toolkit.append(_late(arena, rows, lambda: peers.pt_table_checksum(arena.a)))
        except RuntimeError as error:
            note = f"pt-table-checksum does not run on this server: {str(error)[:100]}"
    size = f"{rows:,} rows"
    return [
        judge(
            15,
            "p99 of an application's commits while tables are compared, against pt-table-checksum",
            arena.flavor,
            "ms",
            free,
            Target(Sense.COST, 1.0),
            peer=toolkit,
            size=size,
            note=note,
        ),
        judge(
            15,
            f"p99 of an application's commits, tables compared at {GENTLE_ROWS:,} rows/s, against none",
            arena.flavor,
            "ms",
            gentle,
            Target(Sense.COST, 1.5),
            peer=quiet,
            size=size,
        ),
    ]


_LONG_ENOUGH_S, _SHORT_S = 10.0, 1.0
"""Of 1,000,000 rows, and at least; between them as long as a comparison that gives way."""


def _late(arena: Arena, rows: int, work: Callable[[], object]) -> float:
    """
    Do *work* again and again for some seconds; give the 99th percentile of commits meanwhile, in ms.

    A commit counts from when it was due: one that is held up for seconds holds up all that should have followed, and they count too.
    """
    stop = threading.Event()
    spent: list[float] = []

    def write() -> None:
        with arena.a.connect() as connection, connection.cursor() as cursor:
            begun = time.perf_counter()
            for at in range(1_000_000):
                due = begun + at / PACE
                if stop.wait(max(0.0, due - time.perf_counter())):
                    return
                key = 1 + at * 7919 % rows
                cursor.execute(f"UPDATE {NAME} SET version = version + 1 WHERE id = {key}")
                spent.append(time.perf_counter() - due)

    writer = threading.Thread(target=write)
    ends = time.monotonic() + min(_LONG_ENOUGH_S, max(_SHORT_S, rows / GENTLE_ROWS))
    writer.start()
    try:
        while time.monotonic() < ends:
            work()
    finally:
        stop.set()
        writer.join()
    return statistics.quantiles(spent, n=100)[98] * 1000


def _ready(arena: Arena) -> None:
    arena.fresh(rows_a=ROWS, rows_b=ROWS)
    for server in arena.pair.sides:
        server.script("SET sql_log_bin = 0", _PROCEDURE)


def _rate(arena: Arena, seconds: int) -> float:
    """Transactions per second of both sides together."""
    counts: list[int] = []

    def write(side: int) -> None:
        found = arena.pair.sides[side].query(f"CALL {_NAME}({seconds}, {side})")
        counts.append(int(found[0][0]))

    threads = [
        threading.Thread(target=write, args=(side,)) for side in (0, 1) for _ in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(counts) != len(threads):
        raise RuntimeError("a writer failed")
    return sum(counts) / seconds


@contextlib.contextmanager
def _replicating(arena: Arena) -> Iterator[None]:
    ways = [Replica(arena.b, arena.a, 4), Replica(arena.a, arena.b, 4)]
    try:
        for way in ways:
            way.start()
        yield
    finally:
        for way in ways:
            way.forget()
