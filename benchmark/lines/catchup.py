"""Lines 6, 7 and 9: a side comes back after an outage and gets what it missed."""

from __future__ import annotations

from benchmark.arena import Arena, checksum, update_singly
from benchmark.peers import Replica
from benchmark.result import Result, Sense, Target, judge

HOT_ROWS = 100
CHANGES = 1000


def spread(arena: Arena, transactions: int, runs: int) -> list[Result]:
    """Every transaction changes another row."""
    return _catch_up(6, arena, transactions, runs, transactions, 3)


def hot(arena: Arena, transactions: int, runs: int) -> list[Result]:
    """All transactions change the same hundred rows."""
    return _catch_up(7, arena, transactions, runs, HOT_ROWS, 10)


def sizes(arena: Arena, rows: int, runs: int) -> list[Result]:
    """The same changes in tables of a hundredth, a tenth, and all of *rows*."""
    spent: dict[int, list[float]] = {}
    for size in (rows // 100, rows // 10, rows):
        arena.fresh(rows_a=size, rows_b=size)
        product = arena.product()
        product.until_in_sync()
        spent[size] = []
        for _ in range(runs):
            update_singly(arena.a, CHANGES, size)
            spent[size].append(product.until_in_sync())
    small = min(spent)
    return [
        judge(
            9,
            f"{CHANGES:,} changes, against the same in a table of {small:,} rows",
            arena.flavor,
            "s",
            spent[size],
            Target(Sense.COST, 1.2),
            peer=spent[small],
            size=f"in {size:,} rows",
        )
        for size in spent
        if size != small
    ]


def _catch_up(
    number: int, arena: Arena, transactions: int, runs: int, rows: int, target: float
) -> list[Result]:
    arena.fresh(rows_a=rows, rows_b=rows, logged=True)
    product = arena.product()
    product.until_in_sync()
    ours: list[float] = []
    single: list[float] = []
    four: list[float] = []
    replicas = [(arena.server(), workers, spent) for workers, spent in ((1, single), (4, four))]
    try:
        following = [
            (Replica(server, arena.a, workers), spent) for server, workers, spent in replicas
        ]
        for replica, _ in following:
            replica.catch_up()  # the rows themselves are no part of what is measured
        for _ in range(runs):
            update_singly(arena.a, transactions, rows, hot=rows == HOT_ROWS)
            ours.append(transactions / product.until_in_sync())
            for replica, spent in following:
                spent.append(transactions / replica.catch_up())
                if checksum(replica.server) != checksum(arena.a):
                    raise RuntimeError("the replica does not hold what its source holds")
            if checksum(arena.b) != checksum(arena.a):
                raise RuntimeError("side B does not hold what side A holds")
    finally:
        for server, _, _ in replicas:
            server.close()
    what = "catch up single-row updates" + (" of 100 hot rows" if number == 7 else "")
    return [
        judge(
            number,
            f"{what}, against native replication with {count}",
            arena.flavor,
            "txn/s",
            ours,
            Target(Sense.FASTER, target),
            peer=peer,
            size=f"{transactions:,} transactions",
        )
        for count, peer in (("1 worker", single), ("4 workers", four))
    ]
