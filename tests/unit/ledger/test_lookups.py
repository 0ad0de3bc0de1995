"""Lookups: children that changed without an event."""

from __future__ import annotations

import pytest

from syncer.core.key import encode
from syncer.core.mark import Lookup, Op, Reason, SpanMark
from syncer.core.side import Side
from tests.unit.ledger.bench import Bench

A, B = Side.A, Side.B


def lookup(bench: Bench, value: int, seq: int, *, table=None, removes=True) -> Lookup:
    return Lookup(table or bench.t, ("pid",), encode((value,), integer=False), removes, seq)


def all_of(bench: Bench):
    return bench.ledger.claim_lookups(100, {A: 1000, B: 1000})


def test_a_lookup_is_saved_with_its_transaction_and_is_work_until_settled(bench):
    bench.record(A, lookups=(lookup(bench, 1, 1),))
    bench.reopen()
    assert not bench.ledger.is_empty()
    assert bench.ledger.has_claimable(0)
    assert bench.ledger.has_marks_up_to({A: 1})
    assert bench.ledger.has_open_marks([bench.t])
    assert not bench.ledger.has_open_marks([bench.u])
    assert bench.ledger.open_lookups() == {(bench.t, A): 1}
    assert bench.ledger.summary().keys == 1
    assert bench.ledger.has_marks_in(bench.t, 100, 200)  # it may be about any key of the table
    assert not bench.ledger.has_marks_in(bench.u, None, None)
    (one,) = all_of(bench)
    bench.ledger.settle_lookups([one], {7: ()})
    assert bench.ledger.open_lookups() == {}
    marks = bench.of(7).a
    assert (marks.exact, marks.inexact_first, marks.inexact_last) == (None, 1, 1)
    assert marks.reason is Reason.CASCADE


def test_only_visible_transactions_are_claimed(bench):
    bench.record(A, lookups=(lookup(bench, 1, 1),))
    bench.record(A, lookups=(lookup(bench, 2, 2),))
    assert [c.first_seq for c in bench.ledger.claim_lookups(9, {A: 1, B: 9})] == [1]
    assert bench.ledger.claim_lookups(9, {B: 9}) == []


def test_a_lookup_that_came_again_meanwhile_stays(bench):
    bench.record(A, lookups=(lookup(bench, 1, 1),))
    (one,) = all_of(bench)
    bench.record(A, lookups=(lookup(bench, 1, 2),))
    bench.ledger.settle_lookups([one], {})
    assert [(c.first_seq, c.last_seq) for c in all_of(bench)] == [(1, 2)]


def test_what_follows_from_a_child_is_added_with_its_mark(bench):
    bench.record(B, lookups=(lookup(bench, 1, 1),))
    follows = lookup(bench, 7, 0, table=bench.u)
    bench.ledger.settle_lookups(all_of(bench), {7: (follows,)})
    (one,) = all_of(bench)
    assert (one.table_id, one.side, one.value) == (bench.u, B, follows.value)
    assert (one.first_seq, one.last_seq) == (1, 1)


def test_a_cycle_of_children_ends(bench):
    """Each of two rows refers to the other."""
    bench.record(A, lookups=(lookup(bench, 1, 1),))
    follows = {1: (lookup(bench, 1, 0),), 2: (lookup(bench, 2, 0),)}
    rounds = 0
    while claimed := all_of(bench):
        rounds += 1
        assert rounds < 5
        bench.ledger.settle_lookups(claimed, follows)
    assert bench.claimed() == [1, 2]


@pytest.mark.parametrize("reason", [Reason.BASELINE, None])
def test_a_weaker_mark_does_not_end_the_chain(bench, reason):
    """It says nothing of the tables behind; one of a lost part of the stream covers them all."""
    bench.mark(A, 7, exact=False)
    if reason is not None:
        bench.ledger.mark_table(bench.t, [A], reason, {A: 5})
    bench.record(A, lookups=(lookup(bench, 1, 2),))
    bench.ledger.settle_lookups(all_of(bench), {7: (lookup(bench, 7, 0, table=bench.u),)})
    assert len(all_of(bench)) == 1


def test_lookups_of_an_xa_transaction_count_from_its_commit(bench):
    bench.record(A, lookups=(lookup(bench, 1, 1),), prepared_xid="x")
    assert bench.ledger.is_empty()
    bench.record(A, committed_xid="x")
    assert [(c.first_seq, c.last_seq) for c in all_of(bench)] == [(2, 2)]


def test_spilled_lookups_count_once(bench):
    one = lookup(bench, 1, 1)
    bench.ledger.spill(A, [], [one])
    bench.record(A, lookups=(one,))
    assert len(all_of(bench)) == 1


def test_a_table_that_is_forgotten_takes_its_lookups_along(bench):
    bench.record(A, lookups=(lookup(bench, 1, 1),))
    bench.ledger.forget_table(bench.t)
    assert bench.ledger.is_empty()


@pytest.mark.parametrize("reason", [Reason.STATEMENT, Reason.PURGED])
@pytest.mark.parametrize("run", [False, True])
def test_a_gap_outweighs_a_cascade_whichever_came_first(bench, reason, run):
    """It may hide an insert, and a row that a cascade is said to have changed would be taken for one that both had."""
    bench.record(A, lookups=(lookup(bench, 1, 1),))
    bench.ledger.settle_lookups(all_of(bench), {7: ()})
    if run:
        bench.mark(A, 5, 9, exact=False)
        assert bench.of(7).a.reason is Reason.CASCADE
    bench.record(A, spans=(SpanMark(bench.t, 2, reason),))
    assert bench.of(7).a.reason is reason


def test_keys_that_a_side_changed_come_page_by_page(bench):
    """Points, runs and held keys; not what it inserted, what may have changed, and what the other side did."""
    for key in (3, 1, 2):
        bench.mark(A, key)
    bench.mark(A, 20, 24, step=2)
    bench.mark(A, 4, op=Op.INSERT)
    bench.mark(A, 30, 35, op=Op.INSERT)
    bench.mark(A, 5, exact=False)
    bench.mark(B, 6)
    bench.mark(A, 7, op=Op.DELETE)
    bench.ledger.hold(bench.t, [2], 1)
    pages = list(bench.ledger.changed_keys(bench.t, A, 2))
    assert all(len(page) <= 2 for page in pages)
    assert sorted(key for page in pages for key in page) == [1, 2, 3, 7, 20, 22, 24]
