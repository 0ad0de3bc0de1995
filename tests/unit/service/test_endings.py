"""A run ends by positions that the servers gave, never because nothing arrived for a while."""

from __future__ import annotations

import threading

import pytest
import structlog

from syncer.binlog.layout import TableLayout
from syncer.core.position import Coordinate
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.service.catalog import Catalog, Layouts
from syncer.service.endings import Ending, Goal
from tests.unit.ledger.bench import Bench

A, B = Side.A, Side.B
ORDERS = TableName("shop", "orders")
NEVER = threading.Event()


class World:
    """Two binlogs, two tailers and a ledger, reduced to what a goal asks of them."""

    def __init__(self):
        self.ends = dict.fromkeys(SIDES, Coordinate(1, 100))
        self.reached = dict.fromkeys(SIDES, Coordinate(1, 100))
        self.marks = 0
        self.marks_up_to = None
        self.said = []
        self.while_waiting = lambda: None
        self.settled = True

    # Workers

    def both(self, _work):
        self.said.append("ends")
        return dict(self.ends)

    # Ledger

    def is_empty(self):
        self.said.append("empty?")
        return not self.marks

    def has_marks_up_to(self, seqs):
        self.marks_up_to = dict(seqs)
        return bool(self.marks)

    # Catalog

    def settled_and(self, holds):
        return self.settled and holds()

    def goal(self, **flags):
        progress = {side: Stream(self, side) for side in SIDES}
        chosen = {"until_in_sync": False, "once": False, **flags}
        return Goal(ledger=self, workers=self, progress=progress, catalog=self, **chosen)


class Stream:
    def __init__(self, world, side):
        self._world, self._side = world, side

    def wait_until(self, coordinate, _timeout_s, stop):
        self._world.said.append("wait")
        self._world.while_waiting()
        return not stop.is_set() and self._world.reached[self._side] >= coordinate

    def upper_by_coordinate(self, at):
        return at.offset


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "ledger.db")
    yield made
    made.ledger.close()


@pytest.fixture
def world():
    return World()


def test_without_a_goal_a_run_never_ends(world):
    goal = world.goal()
    goal.begin()
    assert goal.reached(NEVER) is None
    assert world.said == []


def test_in_sync_is_said_when_the_ends_read_after_the_last_work_are_reached(world):
    """In this order: nothing left, then the ends, then both streams, then still nothing left."""
    goal = world.goal(until_in_sync=True)
    goal.begin()
    assert goal.reached(NEVER) is Ending.IN_SYNC
    assert world.said == ["empty?", "ends", "wait", "wait", "empty?"]


def test_a_ledger_with_work_is_not_in_sync(world):
    world.marks = 1
    assert world.goal(until_in_sync=True).reached(NEVER) is None
    assert "ends" not in world.said


@pytest.mark.parametrize("side", SIDES)
def test_a_stream_that_is_behind_is_not_in_sync(world, side):
    """However long it has been silent: idle is not drained."""
    world.reached[side] = Coordinate(1, 99)
    assert world.goal(until_in_sync=True).reached(NEVER) is None


def test_a_mark_that_arrives_on_the_way_to_the_ends_is_work(world):
    world.while_waiting = lambda: setattr(world, "marks", 1)
    assert world.goal(until_in_sync=True).reached(NEVER) is None


def test_ends_are_read_anew_each_time(world):
    goal = world.goal(until_in_sync=True)
    world.reached[B] = Coordinate(1, 50)
    assert goal.reached(NEVER) is None
    world.ends[B] = Coordinate(2, 4)
    world.reached[B] = Coordinate(1, 100)
    assert goal.reached(NEVER) is None
    world.reached[B] = Coordinate(2, 4)
    assert goal.reached(NEVER) is Ending.IN_SYNC


def test_a_stop_is_not_an_arrival(world):
    stop = threading.Event()
    stop.set()
    assert world.goal(until_in_sync=True).reached(stop) is None
    goal = world.goal(once=True)
    goal.begin()
    assert goal.reached(stop) is None


def test_one_pass_ends_at_the_positions_of_its_beginning(world):
    goal = world.goal(once=True)
    goal.begin()
    world.ends = dict.fromkeys(SIDES, Coordinate(9, 4))
    assert goal.reached(NEVER) is Ending.ONE_PASS
    assert world.marks_up_to == {A: 100, B: 100}


def test_one_pass_waits_for_both_streams_and_for_the_marks_up_to_there(world):
    goal = world.goal(once=True)
    goal.begin()
    world.reached[A] = Coordinate(1, 99)
    assert goal.reached(NEVER) is None
    world.reached[A] = Coordinate(1, 100)
    world.marks = 1
    assert goal.reached(NEVER) is None
    world.marks = 0
    assert goal.reached(NEVER) is Ending.ONE_PASS


def test_a_pass_that_has_not_begun_does_not_end(world):
    assert world.goal(once=True).reached(NEVER) is None


def test_a_pass_ends_even_if_in_sync_was_asked_for_too(world):
    goal = world.goal(once=True, until_in_sync=True)
    goal.begin()
    assert goal.reached(NEVER) is Ending.ONE_PASS


def test_no_end_while_a_definition_is_being_looked_at():
    """A table that is suspended waits, and its marks do not keep the ledger from being empty: it may flow in a moment."""
    world = World()
    goal = world.goal(until_in_sync=True)
    goal.begin()
    world.settled = False
    assert goal.reached(NEVER) is None
    world.settled = True

    def alter():
        world.settled = False

    world.while_waiting = alter
    assert goal.reached(NEVER) is None
    world.while_waiting, world.settled = lambda: None, True
    assert goal.reached(NEVER) is Ending.IN_SYNC


class Altered(World):
    """As ``World``, with the ledger and the catalog of a run. What the stream and the keeper do about a table comes when told."""

    def __init__(self, bench):
        super().__init__()
        self.bench = bench
        layouts = Layouts({ORDERS: TableLayout(bench.t, None)}, hides_cascades=False)
        servers = dict.fromkeys(SIDES, "server")
        self.catalog = Catalog(
            bench.ledger, {}, dict.fromkeys(SIDES, layouts), servers, structlog.get_logger()
        )
        self.first = self.behind = lambda: None
        self.threads = []

    def mark(self):
        self.while_waiting = lambda: None
        self.bench.mark(A, 1)

    def suspend(self):
        self.catalog.suspend(ORDERS)

    def flow(self):
        number = self.catalog.generation(ORDERS)
        self.catalog.settle(ORDERS, number, lambda: self.bench.ledger.resume(self.bench.t))

    def is_empty(self):
        return self.look(self.bench.ledger.is_empty)

    def has_marks_up_to(self, seqs):
        return self.look(lambda: self.bench.ledger.has_marks_up_to(seqs))

    def look(self, ask):
        self.at_once(self.first)
        said = ask()
        self.at_once(self.behind)
        return said

    def at_once(self, act):
        """Do it on another thread, now or as soon as it may: it waits where nothing is allowed to change."""
        self.threads.append(threading.Thread(target=act))
        self.threads[-1].start()
        self.threads[-1].join(0.2)

    def ending(self, **flags):
        progress = {side: Stream(self, side) for side in SIDES}
        chosen = {"until_in_sync": False, "once": False, **flags}
        goal = Goal(ledger=self, workers=self, progress=progress, catalog=self.catalog, **chosen)
        goal.begin()
        try:
            return goal.reached(NEVER)
        finally:
            for thread in self.threads:
                thread.join()


@pytest.mark.parametrize("wanted", ["until_in_sync", "once"])
def test_no_end_where_a_table_flows_again_behind_the_look_at_its_marks(bench, wanted):
    """Its marks do not count while it waits, and a moment later it is settled: one after the other both would say done."""
    world = Altered(bench)

    def alter():
        world.mark()
        world.suspend()
        world.behind = world.flow

    world.while_waiting = alter
    assert world.ending(**{wanted: True}) is None


@pytest.mark.parametrize("wanted", ["until_in_sync", "once"])
def test_no_end_where_a_table_is_suspended_before_the_look_at_its_marks(bench, wanted):
    """The other way round: settled, then suspended and its marks passed over, then it flows again."""
    world = Altered(bench)

    def write():
        world.mark()
        world.first, world.behind = world.suspend, world.flow

    world.while_waiting = write
    assert world.ending(**{wanted: True}) is None
