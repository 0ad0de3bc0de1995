"""What becomes of a row that a person wants back."""

from __future__ import annotations

import msgspec
import pytest
import structlog

from syncer.core.guard import WriteGuard, WriteKind
from syncer.core.mark import Op
from syncer.core.schema import TableName
from syncer.core.side import Direction, Side
from syncer.errors import OutcomeUnknown, StatementRefused, TransientDatabaseError
from syncer.ledger.records import ConflictStatus
from syncer.ledger.restorations import ask_back, revert
from syncer.ledger.undo import RestorationStatus
from syncer.mysql.writing import GuardMissed, ReadBackFailed
from syncer.service.restoring import Restorer
from tests.unit.core.facts import policy
from tests.unit.ledger.bench import Bench
from tests.unit.ledger.test_restorations import ENTRY, applied
from tests.unit.service.test_planning import NUMBERS

A, B = Side.A, Side.B
ORDERS = TableName("shop", "orders")


class Target:
    def __init__(self):
        self.writes = []
        self.error = None

    def restore(self, write):
        self.writes.append(write)
        if self.error is not None:
            raise self.error
        return True


class Scene:
    def __init__(self, bench, **facts):
        self.bench = bench
        self.targets = {A: Target(), B: Target()}
        self.table = msgspec.structs.replace(NUMBERS, table_id=bench.t, name=ORDERS, **facts)
        self.restorer = Restorer(bench.ledger, self.targets, bench.clock, structlog.get_logger())

    def ask(self, take=None, **facts):
        record = applied(self.bench, **facts)
        ask_back(self.bench.path, [revert(record, "somebody", take)], 7.0)
        return record.conflict_id

    def work(self):
        self.bench.clock.time += 10
        return self.restorer.work({self.table.table_id: self.table})

    def outcome(self, number):
        record = self.bench.ledger.restoration_of(number)
        return record.status, record.note


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "ledger.db")
    yield made
    made.ledger.close()


def test_the_row_is_written_where_it_was_lost_and_journaled(bench):
    scene = Scene(bench)
    number = scene.ask()
    assert scene.work()
    (write,) = scene.targets[B].writes
    assert (write.key, write.image, write.expected, write.meant) == (
        (1,),
        "1,'right'",
        "aa",
        "bb",
    )
    assert scene.targets[A].writes == []
    assert scene.outcome(number) == (RestorationStatus.DONE, "")
    new = bench.ledger.conflicts(limit=1)[0]
    assert (new.entry.winner, new.entry.reverts, new.entry.actor) == (B, number, "somebody")
    assert bench.ledger.conflict(number).status is ConflictStatus.REVERTED
    assert not scene.work()


def test_a_merge_is_taken_back_where_it_was_written_and_had_again(bench):
    scene = Scene(bench)
    number = scene.ask(B, winner=None, result_image=("1", "'both'"))
    scene.work()
    (write,) = scene.targets[A].writes
    assert (write.image, write.meant, write.made, write.op) == ("1,'right'", "bb", False, Op.UPDATE)
    assert (write.target_key, write.expected, write.expected_image) == ((1,), None, "1,'both'")
    new = bench.ledger.conflicts(limit=1)[0]
    assert (new.entry.winner, new.entry.reverts) == (B, number)
    assert new.entry.rule == f"reverted by somebody: decision {number}, take b"
    ask_back(bench.path, [revert(new, "somebody")], 8.0)
    scene.work()
    again = scene.targets[A].writes[1]
    assert (again.image, again.made, again.expected, again.op) == (
        "1,'both'",
        True,
        "bb",
        Op.UPDATE,
    )
    newest = bench.ledger.conflicts(limit=1)[0]
    assert (newest.entry.winner, newest.entry.reverts) == (None, new.conflict_id)
    assert revert(newest, "somebody", A).expected_image == "1,'both'"


def test_one_way_it_is_written_to_the_source(bench):
    scene = Scene(bench, policy=msgspec.structs.replace(policy(), direction=Direction.A_TO_B))
    scene.ask()
    scene.work()
    assert (len(scene.targets[A].writes), len(scene.targets[B].writes)) == (1, 0)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (GuardMissed(frozenset((0,))), "has changed since"),
        (ReadBackFailed(frozenset((0,))), "became something else"),
        (StatementRefused("side b: a child is there", errno=1451), "a child is there"),
    ],
)
def test_what_cannot_be_written_is_left_with_the_reason(bench, error, says):
    scene = Scene(bench)
    scene.targets[B].error = error
    number = scene.ask()
    scene.work()
    status, note = scene.outcome(number)
    assert status is RestorationStatus.LEFT
    assert says in note
    assert bench.ledger.conflict(number).status is ConflictStatus.APPLIED


@pytest.mark.parametrize("error", [TransientDatabaseError("gone"), OutcomeUnknown("silence")])
def test_where_the_server_fails_the_request_stays(bench, error):
    scene = Scene(bench)
    scene.targets[B].error = error
    number = scene.ask()
    with pytest.raises(TransientDatabaseError):
        scene.work()
    assert scene.outcome(number)[0] is RestorationStatus.ASKED
    scene.targets[B].error = None
    assert scene.work()
    assert scene.outcome(number)[0] is RestorationStatus.DONE


def test_guards_and_definitions_are_looked_at_before_anything_is_sent(bench):
    scene = Scene(bench, guard=WriteGuard(forbid_b=(WriteKind.UPDATE,)))
    number = scene.ask()
    scene.work()
    assert scene.outcome(number) == (RestorationStatus.LEFT, "forbid_b has update")
    scene = Scene(bench, written=("id",))
    number = scene.ask()
    scene.work()
    assert "other columns" in scene.outcome(number)[1]
    assert scene.targets[B].writes == []


def test_a_table_that_does_not_flow_keeps_its_requests(bench):
    scene = Scene(bench)
    number = scene.ask(table="shop.elsewhere")
    assert not scene.work()
    assert scene.outcome(number)[0] is RestorationStatus.ASKED
    assert ENTRY.table == "shop.orders"


def test_many_are_carried_out_some_at_a_time(bench, monkeypatch):
    monkeypatch.setattr("syncer.service.restoring.AT_ONCE", 2)
    scene = Scene(bench)
    back = revert(applied(bench), "somebody")
    lost = msgspec.structs.replace(back, table="shop.elsewhere")
    ask_back(bench.path, [lost, back, back, lost, back], 7.0)
    moved = [scene.work() for _ in range(3)]
    assert moved == [True, True, True]
    assert len(scene.targets[B].writes) == 3
    assert len(bench.ledger.asked_restorations(0, 10)) == 2
    assert [scene.work() for _ in range(2)] == [True, False]
