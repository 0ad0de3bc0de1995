"""Line 13: what the primaries' applications lose."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

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
