"""Lines 8 and 12: a run in the background, while both sides are written to and while nobody writes."""

from __future__ import annotations

import statistics
import threading
import time
from typing import TYPE_CHECKING

from benchmark.arena import NAME, Arena
from benchmark.process import cpu_s
from benchmark.result import Result, Sense, Target, judge

if TYPE_CHECKING:
    from testbed.endpoint import Endpoint

RATE = 200
POLL_S = 0.001
OWN_QUESTIONS = 3
_VALUES = "1, 'name', 'user@example.org', 1.5, 'active', 'note', '2024-01-01 10:00:00.123456', 1"
_DEADLINE_S = 60.0


class _Writer(threading.Thread):
    """Inserts single rows at an even pace and notes when each commit returned."""

    def __init__(self, server: Endpoint, first: int, count: int) -> None:
        super().__init__(daemon=True)
        self._server, self._first, self._count = server, first, count
        self.committed: dict[int, float] = {}

    def run(self) -> None:
        with self._server.connect() as connection, connection.cursor() as cursor:
            begun = time.perf_counter()
            for at in range(self._count):
                time.sleep(max(0.0, begun + at / RATE - time.perf_counter()))
                key = self._first + 2 * at
                cursor.execute(f"INSERT INTO {NAME} VALUES ({key}, {_VALUES})")
                self.committed[key] = time.perf_counter()


class _Watcher(threading.Thread):
    """Asks the other side for the rows that it has not seen, and notes when each was there."""

    def __init__(self, server: Endpoint, first: int, count: int) -> None:
        super().__init__(daemon=True)
        self._server, self._first, self._count = server, first, count
        self.seen: dict[int, float] = {}

    def run(self) -> None:
        low = self._first
        last = self._first + 2 * (self._count - 1)
        deadline = time.perf_counter() + self._count / RATE + _DEADLINE_S
        with self._server.connect() as connection, connection.cursor() as cursor:
            while low <= last and time.perf_counter() < deadline:
                cursor.execute(
                    f"SELECT id FROM {NAME} WHERE id BETWEEN {low} AND {last} AND id % 2 = {low % 2}"
                )
                now = time.perf_counter()
                for (key,) in cursor.fetchall():
                    self.seen.setdefault(int(key), now)
                while low in self.seen:
                    low += 2
                time.sleep(POLL_S)


def latency(arena: Arena, transactions: int, runs: int) -> list[Result]:
    """200 inserts a second on each side, each looked for on the other one every millisecond."""
    arena.fresh()
    middle: list[float] = []
    late: list[float] = []
    with arena.product().running():
        for run in range(runs):
            first = 1 + run * 4 * transactions
            writers = [
                _Writer(arena.a, first, transactions),
                _Writer(arena.b, first + 1, transactions),
            ]
            watchers = [
                _Watcher(arena.b, first, transactions),
                _Watcher(arena.a, first + 1, transactions),
            ]
            for thread in (*watchers, *writers):
                thread.start()
            for thread in (*writers, *watchers):
                thread.join()
            spent = _spent(writers, watchers)
            middle.append(statistics.median(spent) * 1000)
            late.append(statistics.quantiles(spent, n=100)[98] * 1000)
    return [
        judge(
            8,
            f"commit to visible on the other side, {RATE} txn/s on each, {name}",
            arena.flavor,
            "ms",
            found,
            Target(Sense.LIMIT, limit),
            size=f"{transactions:,} transactions",
        )
        for name, found, limit in (("p50", middle, 30), ("p99", late, 200))
    ]


def idle(arena: Arena, seconds: int, runs: int) -> list[Result]:
    """Nobody writes; what a run costs nevertheless."""
    arena.fresh(rows_a=1000, rows_b=1000)
    share: list[float] = []
    asked: list[float] = []
    with arena.product().running() as running:
        for _ in range(runs):
            before, at = cpu_s(running.pid), _questions(arena)
            begun = time.monotonic()
            time.sleep(seconds)
            spent = time.monotonic() - begun
            share.append((cpu_s(running.pid) - before) / spent * 100)
            more = [after - one for after, one in zip(_questions(arena), at, strict=True)]
            # Less what asking itself costs: a connection's set-up and the question.
            asked.append(max(0.0, max(more) - OWN_QUESTIONS) / spent)
    size = f"{seconds} s"
    flavor = arena.flavor
    return [
        judge(12, "idle: share of a core", flavor, "%", share, Target(Sense.LIMIT, 1), size=size),
        judge(
            12,
            "idle: statements at a primary per second",
            flavor,
            "statements",
            asked,
            Target(Sense.LIMIT, 2),
            size=size,
        ),
    ]


def _questions(arena: Arena) -> list[int]:
    return [int(s.query("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1]) for s in arena.pair.sides]


def _spent(writers: list[_Writer], watchers: list[_Watcher]) -> list[float]:
    """Seconds from each commit to its row's first sight. Raises RuntimeError where one never came."""
    spent = []
    for writer, watcher in zip(writers, watchers, strict=True):
        missing = writer.committed.keys() - watcher.seen.keys()
        if missing:
            raise RuntimeError(f"{len(missing)} rows never arrived")
        spent += [watcher.seen[key] - at for key, at in writer.committed.items()]
    return spent
