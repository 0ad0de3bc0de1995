"""The oracle and the writers' log are able to find fault; a comparison that cannot fail proves nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

import pytest

from testbed import dataset, oracle
from testbed.workload import Log, Workload
from tests.integration.harness import wait_until

if TYPE_CHECKING:
    from testbed.provision import Pair

_one_pair = pytest.mark.parametrize("pair", ["mixed"], indirect=True)


@pytest.fixture
def shop(pair: Pair, database: str) -> str:
    for server in pair.sides:
        dataset.create(server, database, foreign_keys=True)
        dataset.load(server, database, 200)
    return database


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE orders SET total = total + 0.01 WHERE id = 7",
        "UPDATE orders SET comment = '' WHERE comment IS NULL AND id = 8",
        "UPDATE orders SET placed_at = placed_at + INTERVAL 1 MICROSECOND WHERE id = 9",
        "UPDATE customers SET name = 'CUSTOMER 4' WHERE id = 4",
        "UPDATE customers SET note = CONCAT(note, ' ') WHERE id = 5",
        "DELETE FROM orders WHERE id = 6",
        "INSERT INTO counters (name, updated_at) VALUES ('one more', NOW())",
        "UPDATE counters SET id = -id WHERE id = 11",
    ],
)
@_one_pair
def test_one_damaged_row_is_found(pair: Pair, shop: str, damage: str) -> None:
    assert oracle.differences(oracle.read_pair(pair, shop)) == []
    pair.b.script(damage, db=shop)
    assert oracle.differences(oracle.read_pair(pair, shop))


def test_the_log_says_exactly_what_each_side_holds(pair: Pair, shop: str) -> None:
    first = {name: both[0] for name, both in oracle.read_pair(pair, shop).items()}
    with Workload.disjoint(pair, shop, rate=None) as workload:
        wait_until(
            "every kind of write on each side",
            lambda: (
                all(
                    workload.log.counts().get(f"{side}.{op}", 0) > 20
                    for side in "ab"
                    for op in ("insert", "update", "delete", "move")
                )
                or bool(workload.log.trouble),
                (workload.log.counts(), workload.log.trouble),
            ),
        )
    log = workload.log
    assert log.trouble == []
    assert log.maybe == []
    for side, server in zip("ab", pair.sides, strict=True):
        wanted = oracle.expected(first, Log([t for t in log.acknowledged if t.side == side]))
        found = {name: (oracle.read_table(server, shop, name),) * 2 for name in wanted}
        assert oracle.differences(found, wanted) == []
        # One write less in the log, and it no longer fits: nothing is passed over.
        for at, transaction in enumerate(log.acknowledged):
            if transaction.side == side and _last_on_its_keys(log, at):
                less = Log([t for t in log.acknowledged if t.side == side and t is not transaction])
                assert oracle.differences(found, oracle.expected(first, less))
                break
        else:
            pytest.fail("no transaction is the last one on its keys")


def _last_on_its_keys(log: Log, at: int) -> bool:
    """Say whether nothing came after it on its keys and it left them otherwise than it found them."""
    writes = log.acknowledged[at].writes
    keys = {(write.table, write.key) for write in writes}
    found = {(write.table, write.key): write.before for write in reversed(writes)}
    left = {(write.table, write.key): write.row for write in writes}
    later = {(w.table, w.key) for t in log.acknowledged[at + 1 :] for w in t.writes}
    return found != left and not keys & later


@_one_pair
def test_a_history_tells_beaten_from_lost(pair: Pair, shop: str) -> None:
    """Both sides change the same rows and nothing carries them over: each side's rows are in the history."""
    with Workload.overlapping(pair, shop, "counters", [1, 11, 21], rate=None) as workload:
        wait_until(
            "writes on both sides",
            lambda: (len(workload.log.acknowledged) > 60, len(workload.log.acknowledged)),
        )
    assert workload.log.trouble == []
    history = oracle.History.of(workload.log, "counters", dataset.COLUMNS["counters"])
    stamp = dataset.COLUMNS["counters"].index("stamp")
    for key in (1, 11, 21):
        assert history.sides(key) == {"a", "b"}
        a, b = (oracle.read_table(server, shop, "counters")[(key,)][stamp] for server in pair.sides)
        assert history.lost(key, a, [b]) == []
        assert history.lost(key, b, [a]) == []
        lost = history.lost(key, a, [])
        assert lost
        assert all(name.startswith("b") for name in lost)


def test_normalised_values_keep_their_differences() -> None:
    from decimal import Decimal

    same = [(Decimal("1.50"), Decimal("1.5")), (dt.timedelta(seconds=1), dt.timedelta(seconds=1))]
    for left, right in same:
        assert oracle.normalise(left) == oracle.normalise(right)
    other = [
        (Decimal("1.5"), "1.5"),
        (1.0, Decimal(1)),
        (None, ""),
        (b"a", "a"),
        (0.1, 0.1 + 2**-55),
    ]
    for left, right in other:
        assert oracle.normalise(left) != oracle.normalise(right)


def test_two_writers_on_one_key_are_refused_as_disjoint() -> None:
    from testbed.workload import RowWrite, Transaction

    write = RowWrite("counters", 1, "insert", (1,), None, "a1-1")
    first = Transaction("a", "a1", 1, 0.0, (write,))
    second = dataclasses.replace(first, side="b", writer="b1")
    with pytest.raises(AssertionError, match="written by a1 and b1"):
        oracle.expected({"counters": {}}, Log([first, second]))
