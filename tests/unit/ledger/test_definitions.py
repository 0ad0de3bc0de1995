"""How rows are read, and what is owed to a table that changed without a trace."""

from syncer.core.mark import Reason
from syncer.core.side import SIDES, Side
from syncer.ledger.records import Definition

A, B = Side.A, Side.B
ANEW = Definition(schema=None, server="s")


def test_a_debt_is_saved_with_the_definition_and_outlives_the_process(bench):
    bench.ledger.define(A, {bench.t: ANEW}, owed=True)
    bench.reopen()
    assert bench.ledger.definitions(A) == {bench.t: ANEW}
    assert bench.ledger.owes(bench.t)
    assert not bench.ledger.owes(bench.u)


def test_a_later_definition_of_the_same_table_pays_nothing(bench):
    bench.ledger.define(A, {bench.t: ANEW}, owed=True)
    bench.ledger.define(B, {bench.t: ANEW})
    assert bench.ledger.owes(bench.t)


def test_a_debt_is_paid_by_the_mark_of_both_sides_alone(bench):
    bench.ledger.define(A, {bench.t: ANEW}, owed=True)
    bench.ledger.restart_table(bench.t, Reason.DDL, {A: 1})
    assert bench.ledger.owes(bench.t)
    bench.ledger.restart_table(bench.t, Reason.DDL, {A: 1, B: 1})
    assert not bench.ledger.owes(bench.t)
    assert bench.ledger.claim_span(0.0).sides == SIDES


def test_nothing_is_owed_to_a_table_that_is_forgotten_or_gone(bench):
    for table in (bench.t, bench.u):
        bench.ledger.define(A, {table: ANEW}, owed=True)
    bench.ledger.forget_table(bench.t)
    bench.ledger.leave(bench.u)
    assert not bench.ledger.owes(bench.t)
    assert not bench.ledger.owes(bench.u)
