import pytest

from syncer.core.mark import Op, Reason, Touch
from syncer.core.side import Side
from syncer.ledger.claims import covers
from tests.unit.ledger.test_batches import ENTRY

A, B = Side.A, Side.B
FAR = {A: 1000, B: 1000}


def test_keys_come_oldest_first_and_once(bench):
    bench.mark(A, 5)
    bench.mark(A, 3)
    bench.mark(B, 5)
    bench.mark(A, 20, 24)
    bench.mark(B, 4)
    assert bench.claimed() == [5, 3, 20, 21, 22, 23, 24, 4]
    assert bench.claimed(limit=4) == [5, 3, 20, 21]
    assert bench.claimed(limit=0) == []


@pytest.mark.parametrize("also", [None, b"bytes", (20, 24)], ids=["integers", "bytes", "a run"])
def test_what_is_being_written_is_not_claimed(bench, also):
    """Integers alone come as one value, others one by one; the caller sees no difference."""
    for side, key in ((A, 5), (A, 3), (B, 5), (B, 4), (A, 9)):
        bench.mark(side, key)
    if isinstance(also, tuple):
        bench.mark(A, *also)
    elif also is not None:
        bench.mark(A, also)
    rest = {None: [], b"bytes": [b"bytes"], (20, 24): [20, 21, 22, 23, 24]}[also]
    busy = {bench.t: {3, 4}, bench.t + 1: {5}}
    claims = bench.ledger.claim_keys(20, bench.clock.time, busy)
    assert [one.key for one in claims] == [5, 9, *rest]
    assert [one.key for one in bench.ledger.claim_keys(1, bench.clock.time, busy)] == [5]
    assert [one.key for one in bench.ledger.claim_keys(20, bench.clock.time)] == [5, 3, 4, 9, *rest]


def test_claim_keeps_its_place_when_the_key_is_marked_again(bench):
    bench.mark(A, 5)
    bench.mark(A, 3)
    bench.mark(A, 5)
    assert bench.claimed() == [5, 3]


def test_claim_tells_age_and_tries(bench):
    bench.mark(A, 5)
    bench.clock.time = 1010
    bench.mark(B, 5)
    bench.ledger.defer(bench.t, [5], 0)
    (claim,) = bench.ledger.claim_keys(9, 1010)
    assert (claim.table_id, claim.key, claim.tries, claim.marked_at) == (bench.t, 5, 1, 1000)


def test_run_that_both_sides_touched_is_claimed_once(bench):
    bench.mark(A, 1, 1000)
    bench.mark(B, 1, 1000)
    assert bench.claimed(limit=1500) == list(range(1, 1001))


def test_marks_of_keys_without_marks_are_empty(bench):
    assert bench.ledger.marks_of(bench.t, []) == {}
    assert bench.of(1) == bench.of(b"x")


def test_marks_of_many_keys_at_once(bench):
    for key in range(0, 1200, 2):
        bench.mark(A, key)
    found = bench.ledger.marks_of(bench.t, range(1200))
    assert [key for key, marks in found.items() if marks.a.exact] == list(range(0, 1200, 2))


def test_clear_takes_marks_up_to_lower_on_both_sides(bench):
    bench.mark(A, 1)
    bench.mark(B, 1)
    bench.mark(B, 1, exact=False)
    bench.ledger.clear(bench.t, [1], {A: 1, B: 1})
    assert bench.of(1).a.exact is None
    assert bench.of(1).b.exact is None
    assert bench.of(1).b.inexact_first == 2


def test_clear_leaves_a_side_that_is_not_given(bench):
    bench.mark(A, 1)
    bench.mark(B, 1)
    bench.ledger.clear(bench.t, [1], {A: 9})
    assert bench.of(1).a.exact is None
    assert bench.of(1).b.exact is not None


@pytest.mark.parametrize(
    ("op", "present", "first_op"),
    [
        (Op.INSERT, None, Op.UPDATE),
        (Op.INSERT, {1: True}, Op.UPDATE),
        (Op.INSERT, {1: False}, Op.INSERT),
        (Op.UPDATE, {1: False}, Op.INSERT),
        (Op.DELETE, {1: True}, Op.DELETE),
        (Op.DELETE, {1: False}, Op.INSERT),
    ],
)
@pytest.mark.parametrize("high", [1, 3])
def test_mark_that_reaches_beyond_is_cut(bench, op, present, first_op, high):
    for each in (op, Op.DELETE, Op.UPDATE):
        bench.mark(A, 1, high, op=each)
    bench.ledger.clear(bench.t, [1], {A: 1}, present)
    assert bench.of(1).a.exact == Touch(2, 3, first_op, Op.UPDATE, False, 30)


def test_clear_cuts_keys_out_of_runs(bench):
    bench.mark(A, 1, 10)
    bench.ledger.clear(bench.t, [1, 4, 5, 10], FAR)
    assert bench.claimed() == [2, 3, 6, 7, 8, 9]
    bench.ledger.clear(bench.t, range(1, 11), FAR)
    assert bench.ledger.is_empty()
    assert bench.t not in bench.ledger._runs_in


def test_clear_of_a_run_in_slices_costs_one_row(bench):
    bench.mark(A, 1, 1_000_000)
    for _ in range(3):
        bench.ledger.clear(bench.t, bench.claimed(limit=1000), FAR)
    assert bench.claimed(limit=1) == [3001]
    assert bench.ledger._db.execute("SELECT count(*) FROM run").fetchone()[0] == 1


def test_clear_never_touches_spans(bench):
    bench.ledger.mark_table(bench.t, [A], Reason.ALARM, {A: 1})
    bench.ledger.clear(bench.t, [1], FAR)
    assert bench.of(1).a.inexact_first == 1


def test_a_new_process_waits_for_no_back_off_of_an_older_one(bench):
    bench.mark(A, 1)
    bench.ledger.defer(bench.t, [1], 1_000_000_000)
    bench.reopen()
    assert not bench.ledger.has_claimable(1030)
    bench.ledger.end_back_offs()
    assert [(c.key, c.tries) for c in bench.ledger.claim_keys(9, 1030)] == [(1, 1)]


def test_deferred_keys_wait_and_count_their_tries(bench):
    bench.mark(A, 1)
    bench.mark(A, 5, 9)
    bench.ledger.defer(bench.t, [1, 6], 1030)
    assert bench.claimed() == [5, 7, 8, 9]
    assert bench.of(6).a.exact == Touch(2, 2, Op.UPDATE, Op.UPDATE, False, 20)
    bench.ledger.clear(bench.t, [5, 7, 8, 9], FAR)
    assert not bench.ledger.has_claimable(1029)
    assert bench.ledger.next_due(1029) == 1030
    assert not bench.ledger.is_empty()
    bench.clock.time = 1030
    assert bench.ledger.next_due(1030) == 1030
    assert [(c.key, c.tries) for c in bench.ledger.claim_keys(9, 1030)] == [(1, 1), (6, 1)]


def test_nothing_is_due_in_an_empty_ledger(bench):
    assert bench.ledger.next_due(1000) is None
    assert not bench.ledger.has_claimable(1000)
    assert bench.ledger.claim_span(1000) is None
    assert bench.claimed() == []


def test_held_keys_are_not_claimed_and_leave_the_ledger_empty(bench):
    bench.mark(A, 1)
    bench.mark(B, 1)
    bench.mark(B, 5, 7)
    bench.ledger.hold(bench.t, [1, 6], 42)
    assert bench.claimed() == [5, 7]
    bench.reopen()
    assert [(h.table_id, h.key, h.conflict_id) for h in bench.ledger.held()] == [
        (bench.t, 1, 42),
        (bench.t, 6, 42),
    ]
    bench.ledger.clear(bench.t, [5, 7], FAR)
    assert bench.ledger.is_empty()
    assert bench.ledger.next_due(1000) is None
    assert bench.ledger.held_count() == 2
    assert bench.of(6).b.exact is not None


@pytest.mark.parametrize("bounds", [(1, 1), (0, 3)])
@pytest.mark.parametrize("exact", [True, False])
def test_new_mark_reopens_a_held_key_on_both_sides(bench, bounds, exact):
    bench.mark(A, 1)
    bench.ledger.hold(bench.t, [1], 42)
    bench.mark(B, *bounds, exact=exact)
    assert 1 in bench.claimed()
    assert bench.ledger.held() == []
    assert bench.of(1).a.exact is not None


def test_released_key_is_claimed_again(bench):
    bench.mark(A, 1)
    bench.mark(A, 2)
    bench.ledger.hold(bench.t, [1, 2], 42)
    bench.ledger.release(bench.t, [1])
    assert bench.claimed() == [1]
    assert [h.key for h in bench.ledger.held()] == [2]


def test_span_covers_integers_by_order_and_other_keys_always():
    assert covers(None, None, 5)
    assert covers(5, 6, 5)
    assert not covers(6, None, 5)
    assert not covers(None, 5, 5)
    assert covers(b"x", b"y", b"a")


def test_a_key_marked_beyond_the_images_is_not_held(bench):
    """The change that the images do not show may be the person's answer: the key is read again, its entry is settled."""
    key = b"k"
    bench.mark(A, key)
    seq = bench.ledger.marks_of(bench.t, [key])[key].a.exact.last_seq
    [number] = bench.ledger.journal_held([ENTRY])
    bench.ledger.hold(bench.t, [key], number, {A: seq - 1, B: 99})
    assert bench.claimed() == [key]
    assert bench.ledger.conflict(number).status == "superseded"
    bench.ledger.hold(bench.t, [key], number, {A: seq, B: 99})
    assert bench.claimed() == []


def test_a_span_re_opens_the_held_keys_of_its_table(bench):
    """Whoever settles held rows by a TRUNCATE or a statement would have them held for ever."""
    key = b"k"
    bench.mark(A, key)
    [number] = bench.ledger.journal_held([ENTRY])
    bench.ledger.hold(bench.t, [key], number)
    assert bench.claimed() == []
    bench.ledger.mark_table(bench.t, [A], Reason.TRUNCATE, {A: 9})
    assert bench.claimed() == [key]
    bench.reopen()
    assert bench.claimed() == [key]


def test_keys_that_a_claim_leaves_out_put_off_ones_first(bench):
    for key in (1, 2, 3):
        bench.mark(A, key)
    bench.ledger.hold(bench.t, [1], 1)
    bench.ledger.defer(bench.t, [2], bench.clock.time + 9)
    assert bench.ledger.waiting_keys(bench.t, 9) == [2, 1]
    assert bench.ledger.waiting_keys(bench.t, 1) == [2]
    assert bench.ledger.waiting_keys(bench.u, 9) == []


def test_keys_are_found_under_runs_however_many_lie_between_them(bench):
    for start in range(0, 2000, 100):
        bench.mark(A, start, start + 9)
    for keys in ([5, 1905, 1950], list(range(0, 2000, 50))):
        found = bench.ledger.marks_of(bench.t, keys)
        marked = [key for key in keys if key in found and found[key].a.exact is not None]
        assert marked == [key for key in keys if key % 100 < 10]


def test_keys_that_are_on_their_way_are_not_claimed(bench):
    """Neither do they count: as many others are returned as were asked for."""
    bench.mark(A, 1)
    bench.mark(A, 2)
    bench.mark(A, 5, 20)
    bench.mark(A, 30)
    under_way = {bench.t: {1, 6}}
    found = bench.ledger.claim_keys(4, bench.clock.time, under_way)
    assert [one.key for one in found] == [2, 5, 7, 8]
    assert len(bench.ledger.claim_keys(99, bench.clock.time, under_way)) == 17
    assert [one.key for one in bench.ledger.claim_keys(99, bench.clock.time)][-1] == 30
