"""What an earlier run left open, and whether a server still has what it confirmed (INV-13, INV-19)."""

import itertools
import sqlite3

import msgspec
import pytest
import structlog

from syncer.core.side import Side
from syncer.errors import PositionLost
from syncer.ledger import store
from syncer.mysql.marker import Marker, Markers, pack_items
from syncer.service.restart import settle
from tests.unit.ledger.bench import Bench
from tests.unit.ledger.test_batches import batch_of

A, B = Side.A, Side.B
OWN, LANE, OTHER = "", "1", "12"
LOG = structlog.get_logger()


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "syncer.db")
    yield made
    made.ledger.close()


def sent(bench, lane, key):
    """An intent that is under way by the row of *lane*."""
    batch = msgspec.structs.replace(batch_of(bench, key), lane=lane)
    bench.ledger.begin_batches([batch])
    return batch.batch_id


def row(batch):
    return Marker(1, batch, frozenset({0} if batch else ()), pack_items(batch, {0}))


def found(own, **lanes):
    """What B's rows say; *lanes*: ``lane_1=7``."""
    return {
        A: Markers(row(0)),
        B: Markers(row(own), {name[5:]: row(batch) for name, batch in lanes.items()}),
    }


def by_finish(bench, lane, number):
    bench.ledger.finish(number, {0})


def by_stream(bench, lane, number):
    bench.record(B, batch_id=number, lane=lane)


WAYS = [by_finish, by_stream]


@pytest.mark.parametrize("known", [*itertools.product(WAYS, WAYS)])
@pytest.mark.parametrize("lanes", [(OWN, LANE), (LANE, OWN), (LANE, OTHER), (OTHER, LANE)])
def test_a_failover_that_lost_the_lower_of_two_batches_is_noticed(bench, lanes, known):
    """The target took the second before the first, and the server in its place has the second alone."""
    bench.mark(A, 1)
    numbers = [sent(bench, lane, key) for key, lane in enumerate(lanes, 1)]
    for lane, number, told in [*zip(lanes, numbers, known, strict=True)][::-1]:
        told(bench, lane, number)
    bench.reopen()
    at = dict(zip(lanes, numbers, strict=True))
    whole = found(at.get(OWN, 0), **{f"lane_{lane}": n for lane, n in at.items() if lane != OWN})
    assert settle(bench.ledger, whole, LOG) == []
    at[lanes[0]] = 0
    less = found(at.get(OWN, 0), **{f"lane_{lane}": n for lane, n in at.items() if lane != OWN})
    with pytest.raises(PositionLost, match="side b: a marker row is older than the last batch"):
        settle(bench.ledger, less, LOG)
    assert settle(bench.ledger, less, LOG, [A, B]) == [B]
    bench.ledger.disown(B, bench.ledger.position(A), [bench.t])
    assert settle(bench.ledger, less, LOG) == []


def test_a_lane_that_the_server_does_not_have_is_one_that_wrote_nothing(bench):
    number = sent(bench, LANE, 1)
    bench.ledger.finish(number, {0})
    later = sent(bench, OWN, 2)
    bench.ledger.finish(later, {0})
    with pytest.raises(PositionLost):
        settle(bench.ledger, found(later), LOG)


def test_a_lane_that_no_run_uses_any_more_is_checked(bench):
    lane = sent(bench, OTHER, 1)
    bench.ledger.finish(lane, {0})
    for key in range(2, 5):
        bench.reopen()
        own = sent(bench, OWN, key)
        bench.ledger.finish(own, {0})
        assert settle(bench.ledger, found(own, lane_12=lane), LOG) == []
    with pytest.raises(PositionLost):
        settle(bench.ledger, found(own), LOG)


def test_what_was_open_is_confirmed_for_the_row_that_it_was_sent_by(bench):
    first, second = sent(bench, OWN, 1), sent(bench, LANE, 2)
    assert settle(bench.ledger, found(0, lane_1=second), LOG) == []
    assert bench.ledger.open_batches() == []
    assert bench.ledger.confirmed(B) == {LANE: second}
    assert settle(bench.ledger, found(0, lane_1=second), LOG) == []
    with pytest.raises(PositionLost):
        settle(bench.ledger, found(first, lane_1=first), LOG)


def old_ledger(path, confirmed, *statements):
    """A ledger of version 12, which knew the newest batch of a side and not by which row."""
    db = sqlite3.connect(path)
    for number, sql in store.migrations():
        if number <= 12:
            db.executescript(sql)
    db.execute("INSERT INTO meta VALUES ('pair_id', 'pair')")
    db.execute("INSERT INTO meta VALUES ('next_batch', '31')")
    db.execute("INSERT INTO stream (side, confirmed_batch) VALUES ('b', ?)", (confirmed,))
    for statement in statements:
        db.execute(statement, (msgspec.msgpack.encode([(1, (5,), "u", True, None)]),))
    db.execute("PRAGMA user_version = 12")
    db.commit()
    db.close()


def test_the_one_number_of_an_older_ledger_is_that_of_whatever_row(tmp_path):
    old_ledger(tmp_path / "old.db", 20)
    bench = Bench(tmp_path / "old.db")
    for server in (found(20), found(5, lane_1=20), found(20, lane_1=7), found(21, lane_3=2)):
        assert settle(bench.ledger, server, LOG) == []
    for server in (found(19), found(5, lane_1=19), found(0)):
        with pytest.raises(PositionLost):
            settle(bench.ledger, server, LOG)
    number = sent(bench, LANE, 1)
    bench.ledger.finish(number, {0})
    assert settle(bench.ledger, found(5, lane_1=number), LOG) == []
    with pytest.raises(PositionLost):
        settle(bench.ledger, found(number, lane_1=20), LOG)
    assert bench.ledger.last_confirmed(B) == number
    bench.ledger.close()


def test_intents_of_an_older_ledger_are_looked_up_in_every_row(tmp_path):
    add = "INSERT INTO batch (id, target, lower_a, lower_b, items, finished) VALUES "
    old_ledger(
        tmp_path / "old.db",
        28,
        add + "(28, 'b', 1, 1, ?, 1)",
        add + "(29, 'b', 1, 1, ?, 0)",
        add + "(30, 'b', 1, 1, ?, 0)",
    )
    bench = Bench(tmp_path / "old.db")
    server = found(28, lane_2=30)
    assert settle(bench.ledger, server, LOG) == []
    assert bench.ledger.open_batches() == []
    assert bench.ledger.last_confirmed(B) == 30
    # Its stream tells by which rows they went.
    bench.record(B, batch_id=28)
    bench.record(B, batch_id=30, lane="2")
    assert bench.ledger.batch_items(B, 28) is None
    assert settle(bench.ledger, server, LOG) == []
    with pytest.raises(PositionLost):
        settle(bench.ledger, found(27, lane_2=30), LOG)
    assert bench.ledger.next_batch_id() == 31
    bench.ledger.close()


def test_a_ledger_put_back_from_a_copy_learns_the_rows_of_what_it_does_not_know(bench):
    bench.record(B, batch_id=41, lane=LANE)
    bench.record(B, batch_id=40)
    assert bench.ledger.next_batch_id() == 42
    assert settle(bench.ledger, found(40, lane_1=41), LOG) == []
    with pytest.raises(PositionLost):
        settle(bench.ledger, found(39, lane_1=41), LOG)
