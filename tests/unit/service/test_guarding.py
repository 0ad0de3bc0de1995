"""What a guard withholds: held, or stopped with its table; nothing of it is lost."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import msgspec
import pytest
import structlog

from syncer.core.decision import ConflictKind, Verdict
from syncer.core.guard import Limit, WriteGuard, WriteKind
from syncer.core.mark import Op, Reason
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.ledger.stops import confirm
from syncer.service.guarding import Guards
from tests.unit.ledger.bench import Bench
from tests.unit.service.test_planning import NUMBERS, planned, read

A, B = Side.A, Side.B


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "ledger.db")
    yield made
    made.ledger.close()


class Watched:
    """Guards over a real ledger; the rows of both sides are a number."""

    def __init__(self, bench, rows=1000, **guard):
        self.bench = bench
        self.rows = rows
        self.table = msgspec.structs.replace(
            NUMBERS, table_id=bench.t, guard=WriteGuard(**guard), name=TableName("shop", "orders")
        )
        self.writers = {side: SimpleNamespace(written=Counter()) for side in Side}
        self.guards = Guards(bench.ledger, {}, self.writers, bench.clock, structlog.get_logger())
        self.guards._count = lambda _table, _target: self.rows

    def deletes(self, *keys):
        """Deletes of side A, as decided; they go to side B."""
        return [planned(None, read((k,), "x"), keys=((k,),), in_table=self.table) for k in keys]

    def updates(self, *keys):
        return [
            planned(read((k,), "y"), read((k,), "x"), keys=((k,),), in_table=self.table)
            for k in keys
        ]

    def sift(self, items):
        """Give the numbers of what is written, held and left."""
        free, held, _ = self.guards.sift(items)
        return len(free), len(held), len(items) - len(free) - len(held)

    def write(self, op, count):
        self.writers[B].written[self.bench.t, op] += count

    @property
    def stopped(self):
        found = self.bench.ledger.stops().get(self.bench.t)
        return found is not None and not found.confirmed


def test_without_a_guard_everything_passes(bench):
    watched = Watched(bench)
    assert watched.sift(watched.deletes(*range(50))) == (50, 0, 0)
    assert bench.ledger.stops() == {}


def test_what_a_side_never_gets_is_held_with_the_reason(bench):
    watched = Watched(bench, forbid_b=(WriteKind.DELETE,))
    free, held, _ = watched.guards.sift([*watched.deletes(1), *watched.updates(2)])
    assert [item.stored for item in free] == [(2,)]
    (item,) = held
    assert item.decision.verdict is Verdict.HOLD
    assert item.decision.conflict is ConflictKind.GUARD
    assert item.decision.rule == "forbid_b: delete (decided: why)"
    entry = item.entry(1.0, winner=None)
    assert (entry.kind, entry.a_image, entry.winner) == (ConflictKind.GUARD, None, None)


def test_a_mass_delete_stops_the_table_before_the_first_write(bench):
    """Two of many are in this cycle: what is marked counts."""
    watched = Watched(bench, deletes=Limit(rows=10))
    bench.mark(A, 1, 11, op=Op.DELETE)
    assert watched.sift([*watched.deletes(1, 2), *watched.updates(20)]) == (0, 0, 3)
    assert watched.stopped
    (stop,) = bench.ledger.stops().values()
    assert (stop.target, stop.op, stop.amount) == (B, Op.DELETE, 11)
    assert "deletes_max = 10" in stop.reason


def test_many_small_deletes_add_up_within_the_window(bench):
    watched = Watched(bench, deletes=Limit(rows=10), window_s=60.0)
    for key in range(10):
        assert watched.sift(watched.deletes(key)) == (1, 0, 0)
        watched.write(Op.DELETE, 1)
    bench.clock.time += 30
    assert watched.sift(watched.deletes(10)) == (0, 0, 1)
    bench.ledger.end_stop(bench.t)
    bench.clock.time += 31
    assert watched.sift(watched.deletes(10)) == (1, 0, 0)


def test_a_write_that_is_tried_again_counts_once(bench):
    watched = Watched(bench, deletes=Limit(rows=2))
    for _ in range(10):
        assert watched.sift(watched.deletes(1)) == (1, 0, 0)


def test_a_share_of_the_rows_stops(bench):
    watched = Watched(bench, rows=1000, updates=Limit(percent=1.0))
    assert watched.sift(watched.updates(*range(10))) == (10, 0, 0)
    assert watched.sift(watched.updates(*range(11))) == (0, 0, 11)


def test_a_truncate_counts_as_all_rows(bench):
    watched = Watched(bench, rows=500, deletes=Limit(rows=100))
    bench.ledger.mark_table(bench.t, [A], Reason.TRUNCATE, {A: 1})
    assert watched.sift(watched.deletes(1)) == (0, 0, 1)
    assert bench.ledger.stops()[bench.t].amount == 500


def test_what_a_person_let_through_goes_through_once(bench):
    watched = Watched(bench, deletes=Limit(rows=10))
    bench.mark(A, 1, 100, op=Op.DELETE)
    assert watched.sift(watched.deletes(1)) == (0, 0, 1)
    bench.mark(A, 101, 120, op=Op.DELETE)  # before the person agrees
    confirm(bench.path, [TableName("shop", "orders")])
    for low in range(1, 121, 20):
        keys = range(low, low + 20)
        assert watched.sift(watched.deletes(*keys)) == (20, 0, 0)
        watched.write(Op.DELETE, 20)
        bench.ledger.clear(bench.t, list(keys), bench.seq)
    bench.clock.time += 2
    watched.sift([])
    assert bench.ledger.stops() == {}
    assert watched.sift(watched.deletes(*range(200, 210))) == (10, 0, 0)
    assert watched.sift(watched.deletes(*range(200, 211))) == (0, 0, 11)


def test_more_than_was_agreed_to_stops_again(bench):
    watched = Watched(bench, deletes=Limit(rows=10))
    bench.mark(A, 1, 20, op=Op.DELETE)
    assert watched.sift(watched.deletes(1)) == (0, 0, 1)
    confirm(bench.path, [TableName("shop", "orders")])
    assert watched.sift(watched.deletes(1)) == (1, 0, 0)
    watched.write(Op.DELETE, 15)
    assert watched.sift(watched.deletes(*range(2, 12))) == (0, 0, 10)
    assert watched.stopped
