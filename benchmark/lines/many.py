"""Line 14: the start of a pair of many tables, beyond the time that its servers take to describe them."""

from __future__ import annotations

import threading
import time

from benchmark.arena import FAST, SAFE, Arena
from benchmark.process import run
from benchmark.result import Result, Sense, Target, judge
from testbed.endpoint import Endpoint

LIMIT_S = 10
_DATABASE = "bench_many"
_DESCRIBED_BY = ("columns", "statistics", "tables")


def start(arena: Arena, tables: int, runs: int) -> list[Result]:
    """First start, with a first comparison of every table, and a restart, until in sync. Two rows in every other table."""
    arena.fresh()
    threads = [threading.Thread(target=_make, args=(server, tables)) for server in arena.pair.sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        first: list[float] = []
        again: list[float] = []
        answers: list[float] = []
        for _ in range(runs):
            answers.append(sum(_answers(server) for server in arena.pair.sides))
            product = arena.product("--tables", f"{_DATABASE}.*")
            for seconds in (first, again):
                begun = time.perf_counter()
                run(product.command("run", "--until-in-sync"))
                seconds.append(time.perf_counter() - begun)
    finally:
        for server in arena.pair.sides:
            server.script(FAST, f"DROP DATABASE {_DATABASE}", SAFE)
    return [
        judge(
            14,
            f"{what} until in sync, beyond the servers' own answers",
            arena.flavor,
            "s",
            [max(0.0, one - own) for one, own in zip(seconds, answers, strict=True)],
            Target(Sense.LIMIT, LIMIT_S),
            size=f"{tables:,} tables",
            note=f"in all {min(seconds):.1f} to {max(seconds):.1f} s, the answers {min(answers):.1f} to {max(answers):.1f} s",
        )
        for what, seconds in (("first start", first), ("restart", again))
    ]


def _make(server: Endpoint, tables: int) -> None:
    server.script(FAST, f"DROP DATABASE IF EXISTS {_DATABASE}", f"CREATE DATABASE {_DATABASE}")
    columns = "(id INT PRIMARY KEY, v VARCHAR(20), n INT)"
    server.script(
        *(f"CREATE TABLE t{number} {columns}" for number in range(tables)),
        *(f"INSERT INTO t{number} VALUES (1, 'x', 1), (2, NULL, 2)" for number in range(0, tables, 2)),
        SAFE,
        db=_DATABASE,
    )  # fmt: skip


def _answers(server: Endpoint) -> float:
    """How long the server takes to tell what these tables are."""
    begun = time.perf_counter()
    for view in _DESCRIBED_BY:
        server.query(f"SELECT * FROM information_schema.{view} WHERE table_schema = '{_DATABASE}'")
    return time.perf_counter() - begun
