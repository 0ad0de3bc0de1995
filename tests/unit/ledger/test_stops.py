"""Tables that a mass guard has stopped."""

import msgspec
import pytest

from syncer.core.guard import Stop
from syncer.core.mark import Op, Reason
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.errors import LedgerError
from syncer.ledger.records import Batch, IntentItem
from syncer.ledger.stops import confirm
from tests.unit.ledger.bench import position

A, B = Side.A, Side.B
ORDERS = TableName("shop", "orders")


def stop(bench, **more):
    facts = {"table_id": bench.t, "target": B, "op": Op.DELETE, "amount": 3, "reason": "why"}
    bench.ledger.stop_table(Stop(**{**facts, "since": 5.0, "waiting": 3, **more}))


def write(bench, *keys, op=Op.DELETE, written=None, target=B):
    """Carry an intent of *keys* out, as far as *written* says."""
    bench.ledger.begin_batches([batch := intent(bench, keys, op, target)])
    bench.ledger.finish(batch.batch_id, range(len(keys)) if written is None else written)


def intent(bench, keys, op=Op.DELETE, target=B):
    return Batch(
        batch_id=bench.ledger.next_batch_id(),
        target=target,
        lower=dict(bench.seq),
        items=tuple(
            IntentItem(table_id=bench.t, keys=(key,), action=op, present=op is not Op.DELETE)
            for key in keys
        ),
    )


def left(bench):
    """Give what is left of an agreement, as counted and as far as it is good."""
    return bench.ledger.stops()[bench.t].left, bench.ledger.agreed(bench.t)


def test_a_stopped_table_keeps_its_marks_and_claims_nothing(bench):
    bench.mark(A, 1, 20, op=Op.DELETE)
    bench.mark(A, 7, table=bench.u)
    stop(bench)
    assert bench.claimed() == [7]
    bench.mark(A, 30)
    bench.reopen()
    assert bench.claimed() == [7]
    assert bench.of(30).a.exact is not None
    confirm(bench.path, [ORDERS])
    assert set(bench.claimed()) == {7, 30, *range(1, 21)}
    assert left(bench) == (20, 20)


def test_a_second_agreement_changes_nothing(bench):
    bench.mark(A, 1, 3, op=Op.DELETE)
    stop(bench)
    confirm(bench.path, [ORDERS])
    bench.mark(A, 4, 9, op=Op.DELETE)
    write(bench, 1, 2)
    confirm(bench.path, [ORDERS])
    assert left(bench) == (1, 1)
    bench.ledger.end_stop(bench.t)
    assert bench.ledger.stops() == {}
    assert bench.ledger.agreed(bench.t) == 0


def test_an_agreement_is_to_what_waits_when_it_is_given(bench):
    """What is known of beside the marks, what has come since the table was stopped, and not what both sides deleted."""
    bench.mark(A, 1, 20, op=Op.DELETE)
    bench.mark(B, 1, 5, op=Op.DELETE)
    stop(bench, amount=90, waiting=3)
    assert left(bench) == (None, 0)
    confirm(bench.path, [ORDERS])
    assert left(bench)[0] == 15
    bench.mark(A, 21, 40, op=Op.DELETE)
    bench.reopen()
    assert left(bench) == (15, 15)
    stop(bench, amount=90, waiting=80)
    assert left(bench) == (None, 0)
    confirm(bench.path, [ORDERS])
    assert left(bench)[0] == 80


def test_what_is_written_is_taken_off_with_its_batch(bench):
    """Whoever finishes it: a crash after the commit leaves it to the next start."""
    bench.mark(A, 1, 20, op=Op.DELETE)
    stop(bench)
    confirm(bench.path, [ORDERS])
    write(bench, 1, 2, 3, written=[0, 2])
    assert left(bench)[0] == 18
    write(bench, 30, op=Op.UPDATE)
    write(bench, 31, target=A)
    assert left(bench)[0] == 18
    bench.ledger.begin_batches([batch := intent(bench, range(4, 10))])
    bench.reopen()
    assert [one.batch_id for one in bench.ledger.open_batches()] == [batch.batch_id]
    bench.ledger.finish(batch.batch_id, range(6))
    assert left(bench) == (12, 12)
    bench.ledger.begin_batches([batch := intent(bench, range(10, 13))])
    bench.ledger.drop(batch.batch_id)
    assert left(bench) == (12, 12)
    together = IntentItem(table_id=bench.t, keys=(1, 3), action=Op.DELETE, present=False, rows=2)
    batch = msgspec.structs.replace(batch, batch_id=bench.ledger.next_batch_id(), items=(together,))
    bench.ledger.begin_batches([batch])
    bench.ledger.finish(batch.batch_id, {0})
    assert left(bench)[0] == 10
    write(bench, *range(10, 24))
    assert left(bench) == (-4, 0)


def test_an_agreement_is_good_for_no_more_than_what_still_waits_of_then(bench):
    """Rows that became equal, or are held, are written by nobody: nothing later takes their place."""
    bench.mark(A, 1, 20, op=Op.DELETE)
    stop(bench)
    confirm(bench.path, [ORDERS])
    bench.ledger.clear(bench.t, list(range(1, 15)), bench.seq)
    bench.mark(A, 30, 60, op=Op.DELETE)
    assert left(bench) == (20, 6)
    bench.mark(A, 15, 20, op=Op.DELETE)
    assert left(bench) == (20, 6), "it waited then"
    bench.ledger.clear(bench.t, list(range(15, 21)), bench.seq)
    bench.reopen()
    assert left(bench) == (20, 0)


def test_an_agreement_about_a_range_lasts_until_it_is_compared(bench):
    """What it hides is not known: the count alone says what is left."""
    bench.ledger.start({side: position(5) for side in (A, B)}, [], Reason.BASELINE)
    bench.ledger.mark_table(bench.t, [A], Reason.TRUNCATE, {A: 5})
    stop(bench, waiting=500)
    confirm(bench.path, [ORDERS])
    assert left(bench) == (500, 500)
    span = bench.ledger.claim_span(bench.clock.time)
    bench.ledger.narrow_span(span, up_to=None, keys=[1, 2, 9], lower={A: 5, B: 5})
    assert left(bench) == (500, 3)
    bench.ledger.mark_table(bench.t, [A], Reason.TRUNCATE, {A: 6})
    assert left(bench) == (500, 3)


def test_all_tables_or_none_are_confirmed(bench):
    stop(bench)
    with pytest.raises(LedgerError, match=r"shop\.names is not stopped"):
        confirm(bench.path, [ORDERS, TableName("shop", "names")])
    assert not bench.ledger.stops()[bench.t].confirmed
    with pytest.raises(LedgerError, match="no ledger"):
        confirm(bench.path.with_name("none.db"), [ORDERS])


def test_marks_are_counted_by_what_they_did_last(bench):
    bench.mark(A, 1, 10, op=Op.DELETE)
    bench.mark(A, 11, op=Op.DELETE)
    bench.mark(A, 12)
    bench.mark(A, 13, op=Op.INSERT)
    bench.mark(A, 13)
    bench.mark(B, 14, op=Op.DELETE)
    bench.mark(A, 15, table=bench.u, op=Op.DELETE)
    count = bench.ledger.count_changed
    assert (count(bench.t, A, Op.DELETE), count(bench.t, A, Op.UPDATE)) == (11, 1)
    assert (count(bench.t, B, Op.DELETE), count(bench.t, B, Op.UPDATE)) == (1, 0)


def test_a_truncate_that_was_not_looked_at_is_known(bench):
    bench.ledger.mark_table(bench.t, [A], Reason.TRUNCATE, {A: 1})
    assert bench.ledger.is_truncated(bench.t, A)
    assert not bench.ledger.is_truncated(bench.t, B)
    assert not bench.ledger.is_truncated(bench.u, A)


def test_a_table_that_is_forgotten_is_stopped_no_more(bench):
    stop(bench)
    bench.ledger.forget_table(bench.t)
    assert bench.ledger.stops() == {}
