"""What a guard withholds: held, or stopped with its table; nothing of it is lost."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import msgspec
import pytest
import structlog

from syncer.core.decision import ConflictKind, Verdict
from syncer.core.guard import Limit, Stop, WriteGuard, WriteKind
from syncer.core.mark import KeyMarks, Op, Reason
from syncer.core.schema import TableName
from syncer.core.side import Direction, Side
from syncer.ledger.records import Batch, IntentItem
from syncer.ledger.stops import confirm, reject
from syncer.service.guarding import Guards
from tests.unit.core.facts import exact, inexact
from tests.unit.ledger.bench import Bench, position
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
        self.counted = 0
        self.left = rows
        self.guards = self.begin()

    def begin(self):
        self.writers = {side: SimpleNamespace(written=Counter()) for side in Side}
        guards = Guards(
            self.bench.ledger, {}, self.writers, self.bench.clock, structlog.get_logger()
        )
        guards._amounts.rows = self.count
        return guards

    def count(self, _table, side):
        self.counted += 1
        return self.rows if side is B else self.left

    def deletes(self, *keys):
        """Deletes of side A, as decided; they go to side B."""
        return [planned(None, read((k,), "x"), keys=((k,),), in_table=self.table) for k in keys]

    def updates(self, *keys):
        return [
            planned(read((k,), "y"), read((k,), "x"), keys=((k,),), in_table=self.table)
            for k in keys
        ]

    def turn_back(self, items):
        self.guards.listen()
        return self.guards.turn_back(items)

    def sift(self, items):
        """Give the numbers of what is written, held and left."""
        free, held, _ = self.guards.sift(self.turn_back(items))
        return len(free), len(held), len(items) - len(free) - len(held)

    def write(self, op, *keys):
        """Write *keys*, as a batch that is committed and finished; rows that are deleted go from side B."""
        batch = Batch(
            batch_id=self.bench.ledger.next_batch_id(),
            target=B,
            lower=dict(self.bench.seq),
            items=tuple(
                IntentItem(table_id=self.bench.t, keys=(k,), action=op, present=op is not Op.DELETE)
                for k in keys
            ),
        )
        self.bench.ledger.begin_batches([batch])
        self.bench.ledger.finish(batch.batch_id, range(len(keys)))
        self.writers[B].written[self.bench.t, op] += len(keys)
        if op is Op.DELETE:
            self.rows -= len(keys)

    def restart(self):
        """Begin a run with the same ledger: nothing is in memory."""
        self.bench.reopen()
        self.guards = self.begin()

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
        watched.write(Op.DELETE, key)
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
    """Whether it was filled again since or not: what stands there now are other rows."""
    watched = Watched(bench, rows=500, deletes=Limit(rows=100))
    bench.ledger.mark_table(bench.t, [A], Reason.TRUNCATE, {A: 1})
    assert watched.sift(watched.deletes(1)) == (0, 0, 1)
    assert bench.ledger.stops()[bench.t].amount == 500


@pytest.mark.parametrize(("left", "stopped"), [(0, True), (350, True), (420, False), (900, False)])
def test_one_way_a_comparison_counts_as_what_the_target_has_too_much(bench, left, stopped):
    """Before the first of these rows goes: no mark tells of them."""
    watched = Watched(bench, rows=500, deletes=Limit(rows=100))
    policy = msgspec.structs.replace(watched.table.policy, direction=Direction.A_TO_B)
    watched.table = msgspec.structs.replace(watched.table, policy=policy)
    watched.left = left
    bench.ledger.mark_table(bench.t, [A, B], Reason.BASELINE, {A: 0, B: 0})
    assert watched.sift(watched.deletes(1)) == ((0, 0, 1) if stopped else (1, 0, 0))
    if stopped:
        assert bench.ledger.stops()[bench.t].amount == 500 - left
        confirm(bench.path, [TableName("shop", "orders")])
        bench.clock.time += 2
        assert watched.sift(watched.deletes(*range(100))) == (100, 0, 0)


def test_what_a_person_let_through_goes_through_once(bench):
    watched = Watched(bench, deletes=Limit(rows=10))
    bench.mark(A, 1, 100, op=Op.DELETE)
    assert watched.sift(watched.deletes(1)) == (0, 0, 1)
    bench.mark(A, 101, 120, op=Op.DELETE)  # before the person agrees
    confirm(bench.path, [TableName("shop", "orders")])
    for low in range(1, 121, 20):
        keys = range(low, low + 20)
        assert watched.sift(watched.deletes(*keys)) == (20, 0, 0)
        watched.write(Op.DELETE, *keys)
    watched.guards.rest()
    assert bench.ledger.stops() == {}
    assert watched.sift(watched.deletes(*range(200, 210))) == (10, 0, 0)
    assert watched.sift(watched.deletes(*range(200, 211))) == (0, 0, 11)


def test_more_than_was_agreed_to_stops_again(bench):
    """Before what was agreed to is through and after it, whether the process is the same or not."""
    watched = agreed(bench, 20)
    watched.write(Op.DELETE, *range(1, 16))
    bench.mark(A, 21, 40, op=Op.DELETE)
    assert watched.sift(watched.deletes(*range(16, 21))) == (5, 0, 0)
    watched.restart()
    assert watched.sift(watched.deletes(*range(16, 31))) == (0, 0, 15)
    (stop,) = bench.ledger.stops().values()
    assert (stop.left, stop.amount, stop.waiting) == (None, 25, 25)


@pytest.mark.parametrize("restarts", [False, True])
def test_an_agreement_is_worth_nothing_once_it_is_through(bench, restarts):
    watched = agreed(bench, 100)
    watched.write(Op.DELETE, *range(1, 101))
    if restarts:
        watched.restart()
    bench.mark(A, 101, 200, op=Op.DELETE)
    assert watched.sift(watched.deletes(101)) == (0, 0, 1)
    assert watched.stopped


def test_few_that_come_beside_what_was_agreed_to_stop_nothing(bench):
    watched = agreed(bench, 100)
    watched.write(Op.DELETE, *range(1, 61))
    bench.mark(A, 101, 109, op=Op.DELETE)
    assert watched.sift(watched.deletes(*range(61, 110))) == (49, 0, 0)
    watched.write(Op.DELETE, *range(61, 110))
    bench.mark(A, 110, op=Op.DELETE)
    assert watched.sift(watched.deletes(110)) == (1, 0, 0)
    watched.write(Op.DELETE, 110)
    assert bench.ledger.stops() == {}
    bench.mark(A, 111, op=Op.DELETE)
    assert watched.sift(watched.deletes(111)) == (0, 0, 1), "they count within the window"


@pytest.mark.parametrize("restarts", [False, True])
def test_a_share_is_one_of_what_an_agreement_leaves(bench, restarts):
    share = Share(bench, rows=4000)
    bench.mark(A, 1, 2900, op=Op.DELETE)
    assert share.sift(share.deletes(1)) == (0, 0, 1)
    confirm(bench.path, [TableName("shop", "orders")])
    for low in (1, 1001, 2001):
        keys = range(low, min(low + 1000, 2901))
        assert share.sift(share.deletes(*keys)) == (len(keys), 0, 0)
        share.write(Op.DELETE, *keys)
        if low == 1:
            bench.mark(A, 2901, 3890, op=Op.DELETE)
    if restarts:
        share.restart()
    assert share.sift(share.deletes(*range(2901, 3891))) == (0, 0, 990)
    (stop,) = bench.ledger.stops().values()
    assert stop.reason == "990 deletes are 90% of about 1100 rows, deletes_percent_max = 50"


def test_what_is_known_of_the_rows_is_less_by_what_was_deleted(bench):
    """Nothing is counted for a minute where it is far from half of the rows: of those that are there."""
    share = Share(bench, rows=4000)
    amounts = share.guards._amounts
    amounts._rows[bench.t, B] = bench.clock.time, 4000
    bench.mark(A, 1, 600, op=Op.DELETE)
    assert share.sift(share.deletes(1)) == (1, 0, 0)
    share.write(Op.DELETE, *range(1, 601))
    assert share.sift(share.deletes(601)) == (1, 0, 0)
    assert amounts._rows[bench.t, B] == (bench.clock.time, 3400)


def test_an_agreement_ends_where_the_table_has_come_to_rest(bench):
    """Others may have made the rows equal."""
    watched = agreed(bench, 100)
    watched.guards.rest()
    assert bench.ledger.agreed(bench.t) == 100
    bench.ledger.clear(bench.t, list(range(1, 101)), bench.seq)
    watched.guards.rest()
    assert bench.ledger.stops() == {}


def agreed(bench, count):
    """Guards with a limit of 10, and an agreement to *count* deletes."""
    watched = Watched(bench, deletes=Limit(rows=10))
    bench.mark(A, 1, count, op=Op.DELETE)
    assert watched.sift(watched.deletes(1)) == (0, 0, 1)
    confirm(bench.path, [TableName("shop", "orders")])
    assert watched.sift(watched.deletes(1)) == (1, 0, 0)
    return watched


# Turned back


def stopped_by(bench, op=Op.DELETE):
    bench.ledger.stop_table(
        Stop(table_id=bench.t, target=B, op=op, amount=3, reason="why", since=bench.clock.time)
    )
    reject_now(bench)


def reject_now(bench):
    bench.ledger.start({A: position(20), B: position(20)}, [], Reason.BASELINE)
    reject(bench.path, [TableName("shop", "orders")], "ann")


def of(watched, marks, *, here=None, there="x", **decision):
    """One key of side A's mass change as decided: by default its delete goes to side B."""
    item = planned(
        here and read((1,), here), there and read((1,), there), marks=marks, in_table=watched.table
    )
    return msgspec.structs.replace(
        item, decision=msgspec.structs.replace(item.decision, **decision)
    )


@pytest.mark.parametrize(
    "marks",
    [
        KeyMarks(exact("d")),
        KeyMarks(exact("ud", 5, 20)),
        KeyMarks(exact("d"), exact("u", 5, 90)),
        KeyMarks(inexact(Reason.TRUNCATE, 7)),
        KeyMarks(inexact(Reason.CASCADE, 7)),
    ],
)
def test_what_was_turned_back_stands_on_the_other_side(bench, marks):
    watched = Watched(bench, deletes=Limit(rows=2))
    stopped_by(bench)
    (item,) = watched.turn_back([of(watched, marks)])
    assert (item.decision.winner, item.target, item.actor) == (B, A, "ann")
    assert (item.decision.conflict, item.decision.path) == (ConflictKind.GUARD, "reject")
    assert item.decision.rule == "guard reject by ann"
    # What both changed was counted with it, and so no guard counts the way back.
    held = of(watched, marks, verdict=Verdict.HOLD, winner=None)
    assert watched.turn_back([held])[0].decision == item.decision
    assert watched.guards.sift([item] * 9) == ([item] * 9, [], [])


@pytest.mark.parametrize(
    ("marks", "facts"),
    [
        (KeyMarks(exact("d", 5, 21)), {}),
        (KeyMarks(exact("u")), {}),
        (KeyMarks(inexact(Reason.BASELINE, 7)), {}),
        (KeyMarks(inexact(Reason.TRUNCATE, 7, 30)), {}),
        (KeyMarks(exact("d")), {"here": "y"}),
        (KeyMarks(exact("d")), {"there": None}),
        (KeyMarks(exact("d")), {"path": "person"}),
        (KeyMarks(exact("d")), {"path": "size", "verdict": Verdict.HOLD}),
        (KeyMarks(exact("d")), {"winner": B}),
        (KeyMarks(exact("d")), {"verdict": Verdict.AMBIGUOUS}),
        (KeyMarks(exact("d")), {"verdict": Verdict.EQUAL}),
    ],
)
def test_what_was_not_counted_is_decided_as_ever(bench, marks, facts):
    """What came later, another change, a gap, and what a person said of the row itself."""
    watched = Watched(bench)
    stopped_by(bench)
    item = of(watched, marks, **facts)
    assert watched.turn_back([item]) == [item]


def test_updates_are_turned_back_as_updates(bench):
    watched = Watched(bench)
    stopped_by(bench, Op.UPDATE)
    changed = of(watched, KeyMarks(exact("u")), here="y")
    gone = of(watched, KeyMarks(exact("d")))
    found = watched.turn_back([changed, gone])
    assert [item.decision.path for item in found] == ["reject", ""]


def test_a_row_about_which_a_person_was_asked_before_was_not_counted(bench):
    watched = Watched(bench)
    bench.mark(A, 1, op=Op.DELETE)
    bench.clock.time -= 100
    held = planned(None, read((1,), "x"), in_table=watched.table).entry(900.0, winner=None)
    (number,) = bench.ledger.journal_held([held])
    bench.ledger.hold(bench.t, [1], number)
    bench.clock.time += 100
    stopped_by(bench)
    assert bench.claimed() == []
    item = of(watched, KeyMarks(exact("d")))
    assert watched.turn_back([item]) == [item]
    # One that was held in the cycle in which the table was stopped is decided with the others.
    bench.mark(A, 2, op=Op.DELETE)
    bench.ledger.end_rejection(bench.ledger.rejections()[0])
    later = msgspec.structs.replace(held, detected_at=1000.0, key=("2",))
    bench.ledger.hold(bench.t, [2], bench.ledger.journal_held([later])[0])
    stopped_by(bench)
    assert bench.claimed() == [2]


def test_it_ends_where_nothing_of_it_is_left_and_the_guard_counts_anew(bench):
    watched = Watched(bench, deletes=Limit(rows=2))
    bench.mark(A, 1, 30, op=Op.DELETE)
    stopped_by(bench)
    (one,) = bench.ledger.rejections()
    assert (one.upto, bench.ledger.count_rejected(one, held=True)) == (20, 30)
    bench.seq[A] = 20
    # A mass change that comes meanwhile is none of it.
    bench.mark(A, 100, 102, op=Op.DELETE)
    later = of(watched, KeyMarks(exact("d", 21)))
    assert watched.sift([later]) == (0, 0, 1)
    assert watched.stopped
    bench.ledger.end_stop(bench.t)
    bench.ledger.clear(bench.t, list(range(1, 31)), {A: 20})
    bench.clock.time += 2
    watched.sift([])
    assert bench.ledger.rejections() == ()


def test_what_is_turned_back_while_a_cycle_decides_is_not_written_in_it(bench):
    """The answer comes after the rows were decided: it takes what they are off what is counted, and they would go."""
    watched = Watched(bench, deletes=Limit(rows=10))
    bench.mark(A, 1, 30, op=Op.DELETE)
    assert watched.sift(watched.deletes(*range(1, 9))) == (0, 0, 8)
    decided = watched.turn_back(watched.deletes(*range(1, 9)))
    reject_now(bench)
    assert watched.guards.sift(decided) == ([], [], [])
    assert not watched.stopped, "nobody is to answer twice"
    assert bench.ledger.rejections() != ()


def test_rows_that_are_written_back_are_no_mass_change(bench):
    watched = Watched(bench, updates=Limit(rows=2))
    stopped_by(bench, Op.UPDATE)
    amounts, at = watched.guards._amounts, (bench.t, A, Op.UPDATE)
    assert amounts.written(at, 60.0) == 0
    watched.writers[A].written[bench.t, Op.UPDATE] += 9
    watched.sift([])
    assert amounts.written(at, 60.0) == 0


# Counted only where it matters


class Share(Watched):
    """A table of 10,000 rows of which no more than half may go; small tables do not count."""

    def __init__(self, bench, rows=10_000):
        super().__init__(bench, rows, deletes=Limit(percent=50.0), percent_from_rows=1000)
        self.asked = 0
        count = bench.ledger.count_changed

        def counted(*about):
            self.asked += 1
            return count(*about)

        bench.ledger.count_changed = counted


def test_a_few_deletes_ask_for_nothing(bench):
    """No table that counts has so few rows that these are half of them."""
    share = Share(bench)
    bench.mark(A, 1, 200, op=Op.DELETE)
    for key in range(200):
        assert share.sift(share.deletes(key)) == (1, 0, 0)
        share.write(Op.DELETE, key)
    assert (share.counted, share.asked) == (0, 1)


def test_marks_that_have_come_are_counted_where_they_could_be_too_many(bench):
    share = Share(bench)
    assert share.sift(share.deletes(1)) == (1, 0, 0)
    bench.mark(A, 1, 4000, op=Op.INSERT)
    assert share.sift(share.deletes(1)) == (1, 0, 0)
    assert share.counted == 1
    bench.mark(A, 1, 6000, op=Op.DELETE)
    assert share.sift(share.deletes(1)) == (0, 0, 1)
    assert share.stopped
    (stop,) = bench.ledger.stops().values()
    assert stop.reason == "6000 deletes are 60% of about 10000 rows, deletes_percent_max = 50"


def test_half_of_a_small_table_passes(bench):
    share = Share(bench, rows=900)
    bench.mark(A, 1, 900, op=Op.DELETE)
    assert share.sift(share.deletes(1)) == (1, 0, 0)


def test_what_both_sides_deleted_is_no_mass_change(bench):
    """As where the same clean-up runs on both: some keys have met already, the others are about to."""
    share = Share(bench)
    for side in Side:
        bench.mark(side, 1, 6000, op=Op.DELETE)
        for key in range(7000, 7500):
            bench.mark(side, key, op=Op.DELETE)
    bench.mark(A, 6001, 6200, op=Op.DELETE)
    assert bench.ledger.count_deleted_twice(bench.t) == 6500
    assert share.sift(share.deletes(6001)) == (1, 0, 0)
    bench.mark(A, 20_000, 24_999, op=Op.DELETE)
    assert share.sift(share.deletes(6001)) == (0, 0, 1)
