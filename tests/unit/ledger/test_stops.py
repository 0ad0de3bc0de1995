"""Tables that a mass guard has stopped."""

import pytest

from syncer.core.guard import Stop
from syncer.core.mark import Op, Reason
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.errors import LedgerError
from syncer.ledger.stops import confirm

A, B = Side.A, Side.B
ORDERS = TableName("shop", "orders")


def stop(bench, **more):
    facts = {"table_id": bench.t, "target": B, "op": Op.DELETE, "amount": 3, "reason": "why"}
    bench.ledger.stop_table(Stop(**{**facts, "since": 5.0, **more}))


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
    assert bench.ledger.stops()[bench.t].left == 3


def test_a_second_agreement_changes_nothing(bench):
    stop(bench)
    confirm(bench.path, [ORDERS])
    stop(bench, left=1)
    confirm(bench.path, [ORDERS])
    assert bench.ledger.stops()[bench.t].left == 1
    bench.ledger.end_stop(bench.t)
    assert bench.ledger.stops() == {}


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
