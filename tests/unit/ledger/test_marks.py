from random import Random

import pytest
from msgspec.structs import replace

from syncer.core.mark import KeyMark, Op, Reason, SideMarks, SpanMark, Touch
from syncer.core.record import OPEN_BRANCH, Erasure, RowRecord, TransactionRecord
from syncer.core.side import Side
from tests.unit.ledger.bench import position
from tests.unit.ledger.test_batches import ENTRY

A, B = Side.A, Side.B


def test_position_is_saved_with_the_marks_and_survives(bench):
    assert bench.ledger.position(A) is None
    bench.mark(A, 1)
    bench.reopen()
    assert bench.ledger.position(A) == position(1)
    assert bench.ledger.position(B) is None
    assert bench.of(1).a.exact == Touch(1, 1, Op.UPDATE, Op.UPDATE, False, 10)
    assert bench.of(1).b.exact is None


def test_empty_record_moves_the_position_alone(bench):
    bench.ledger.record(A, [], position(7))
    assert bench.ledger.position(A).seq == 7
    assert bench.ledger.is_empty()


def test_the_short_form_of_a_record_marks_as_the_general_one(bench):
    short = [
        RowRecord(seq, bench.t, key, op, seq * 10)
        for seq, key, op in ((1, 5, Op.INSERT), (2, 6, Op.DELETE), (3, 5, Op.UPDATE))
    ]
    bench.ledger.record(A, short, position(3))
    bench.ledger.record(B, [one.whole() for one in short], position(3))
    for key in (5, 6):
        assert bench.of(key).a.exact == bench.of(key).b.exact is not None


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize(
    "keys",
    [
        range(5, 305),
        [*range(200), *range(100)],
        [7, 9, 8] * 40,
        [-(1 << 63), (1 << 63) - 1, *range(98)],
    ],
)
def test_rows_that_are_marked_at_once_are_marked_as_one_by_one(bench, keys, timed):
    """What comes before and behind them is marked before and behind; what makes one of them special makes all of them."""
    for op in (Op.INSERT, Op.UPDATE):
        start = bench.seq[A]
        rows = [
            RowRecord(seq, bench.t, key, op, seq * 10 if timed else 77)
            for seq, key in enumerate(keys, start + 1)
        ]
        seq = start + len(rows) + 1
        last = RowRecord(seq, bench.t, rows[3].key, Op.DELETE, 1).whole()
        bench.seq[A] = last.seq
        bench.ledger.record(A, [*rows, last], position(last.seq))
        for one in (*rows, last):
            bench.ledger.record(B, [one], position(last.seq))
        found = bench.ledger.marks_of(bench.t, list(keys))
        assert all(marks.a == marks.b != SideMarks() for marks in found.values())
        assert [*dict.fromkeys(keys)][:40] == bench.claimed(40)


@pytest.mark.parametrize("special", ["held", "run", "text"])
def test_rows_of_which_one_is_special_are_marked_one_by_one(bench, special):
    if special == "held":
        bench.mark(A, 7)
        [entry] = bench.ledger.journal_held([replace(ENTRY, winner=None)])
        bench.ledger.hold(bench.t, [7], entry)
    if special == "run":
        bench.mark(A, 1, 200)
    rows = [RowRecord(seq, bench.t, seq - 8, Op.DELETE, 5) for seq in range(10, 110)]
    if special == "text":
        rows[9] = replace(rows[9], key=b"text")
    bench.ledger.record(A, rows, position(110))
    for one in rows:
        touch = bench.of(one.key).a.exact
        assert (touch.last_seq, touch.last_op) == (one.seq, Op.DELETE)
    assert bench.of(7).a.exact.first_seq == (15 if special == "text" else 1)
    assert 7 in bench.claimed(200)


@pytest.mark.parametrize("seed", range(30))
def test_what_comes_again_and_again_is_joined_as_if_it_came_one_by_one(bench, seed):
    random = Random(seed)
    ops = random.choices(list(Op), k=40)
    rows = [
        RowRecord(seq, random.choice([bench.t, bench.u]), random.randrange(3), op, seq * 10)
        for seq, op in enumerate(ops, 1)
    ]
    rows = [one if one.table_id == bench.t else replace(one, key=bytes([one.key])) for one in rows]
    cut = random.randrange(30)
    for some in (rows[:cut], rows[cut:]):
        bench.ledger.record(A, some, position(40))
    for one in rows:
        bench.ledger.record(B, [one], position(40))
    for table, keys in ((bench.t, range(3)), (bench.u, map(bytes, zip(range(3))))):
        for key in keys:
            assert bench.of(key, table).a == bench.of(key, table).b


def test_failing_record_saves_neither_marks_nor_position(bench):
    bad = KeyMark(bench.t, b"x", b"y", bench.touch(2))
    good = KeyMark(bench.t, 5, 5, bench.touch(2))
    with pytest.raises(ValueError, match="integer bounds"):
        bench.ledger.record(A, [TransactionRecord(seq=2, marks=(good, bad))], position(2))
    assert bench.ledger.position(A) is None
    assert bench.ledger.is_empty()


def test_marks_of_one_key_fold_as_touches_do(bench):
    for op in (Op.INSERT, Op.DELETE, Op.INSERT, Op.UPDATE):
        bench.mark(A, 1, op=op)
    assert bench.of(1).a.exact == Touch(1, 4, Op.INSERT, Op.UPDATE, True, 40)


@pytest.mark.parametrize("key", [b"\x92\x01\xa1x", b"", -(2**63), 2**63 - 1])
def test_keys_of_every_stored_form_come_back(bench, key):
    bench.mark(B, key, table=bench.u)
    assert bench.claimed() == [key]
    assert bench.of(key, bench.u).b.exact is not None


def test_exact_and_inexact_marks_never_merge(bench):
    bench.mark(A, 1, exact=False)
    bench.mark(A, 1)
    marks = bench.of(1).a
    assert marks.exact.first_seq == 2
    assert (marks.inexact_first, marks.inexact_last, marks.reason) == (1, 1, None)


def test_run_covers_its_keys_and_no_other(bench):
    bench.mark(A, 10, 20, op=Op.INSERT)
    assert [bench.of(key).a.exact is not None for key in (9, 10, 20, 21)] == [
        False,
        True,
        True,
        False,
    ]
    assert bench.of(15).b.exact is None


def test_adjacent_runs_stay_apart(bench):
    bench.mark(A, 1, 5)
    bench.mark(A, 6, 9)
    assert bench.of(5).a.exact.last_seq == 1
    assert bench.of(6).a.exact.first_seq == 2


def test_overlapping_runs_fold_where_they_overlap_only(bench):
    bench.mark(A, 1, 10, op=Op.INSERT)
    bench.mark(A, 5, 15, op=Op.UPDATE)
    assert bench.of(4).a.exact == Touch(1, 1, Op.INSERT, Op.INSERT, False, 10)
    assert bench.of(5).a.exact == Touch(1, 2, Op.INSERT, Op.UPDATE, False, 20)
    assert bench.of(15).a.exact == Touch(2, 2, Op.UPDATE, Op.UPDATE, False, 20)
    bench.mark(A, 0, 100, op=Op.DELETE)
    assert bench.of(4).a.exact == Touch(1, 3, Op.INSERT, Op.DELETE, False, 30)
    assert bench.of(50).a.exact == Touch(3, 3, Op.DELETE, Op.DELETE, False, 30)


def test_run_with_a_step_leaves_the_keys_between_alone(bench):
    bench.mark(A, 1, 99, op=Op.INSERT, step=2)
    bench.mark(A, 2, 100, op=Op.INSERT, step=2)
    assert bench.ledger.summary().keys == 100
    bench.mark(A, 3, 99, op=Op.UPDATE, step=3)
    assert bench.of(6).a.exact == Touch(2, 3, Op.INSERT, Op.UPDATE, False, 30)
    assert bench.of(9).a.exact == Touch(1, 3, Op.INSERT, Op.UPDATE, False, 30)
    assert bench.of(7).a.exact == Touch(1, 1, Op.INSERT, Op.INSERT, False, 10)
    assert bench.of(8).a.exact == Touch(2, 2, Op.INSERT, Op.INSERT, False, 20)
    assert sorted(bench.claimed(limit=200)) == list(range(1, 101))
    bench.ledger.clear(bench.t, list(range(1, 101)), {A: 3})
    assert bench.ledger.is_empty()


def test_run_that_ends_beside_its_own_keys_is_refused(bench):
    with pytest.raises(ValueError, match="ends"):
        bench.mark(A, 1, 6, step=2)


def test_point_and_run_of_one_key_fold_in_either_order(bench):
    bench.mark(A, 5, op=Op.DELETE)
    bench.mark(A, 1, 9, op=Op.INSERT)
    bench.mark(A, 6, op=Op.DELETE)
    bench.mark(A, 6, op=Op.INSERT)
    assert bench.of(5).a.exact == Touch(1, 2, Op.DELETE, Op.INSERT, True, 20)
    assert bench.of(6).a.exact == Touch(2, 4, Op.INSERT, Op.INSERT, True, 40)
    assert bench.of(7).a.exact == Touch(2, 2, Op.INSERT, Op.INSERT, False, 20)


def test_spilled_marks_count_once_and_save_no_position(bench):
    marks = [KeyMark(bench.t, 1, 1, bench.touch(1)), KeyMark(bench.t, 5, 9, bench.touch(1))]
    bench.ledger.spill(A, marks)
    assert bench.ledger.position(A) is None
    once = bench.of(1), bench.of(7)
    bench.ledger.record(A, [TransactionRecord(seq=1, marks=tuple(marks))], position(1))
    assert (bench.of(1), bench.of(7)) == once


def test_of_a_side_without_marks_none_are_looked_for(bench):
    """While one side is caught up with, the stream of the other one shows but our writes (INV-12)."""
    statements = []
    bench.mark(A, 1, 20)
    bench.mark(A, 30)
    for mark in (
        lambda: bench.mark(B, 5),
        lambda: bench.mark(B, 5, 12),
        lambda: bench.mark(B, 5, exact=False),
    ):
        bench.ledger._db.set_trace_callback(statements.append)
        bench.record(B, erase=(Erasure(bench.t, (5, 30)),))
        bench.ledger._db.set_trace_callback(None)
        assert not [text for text in statements if "DELETE FROM point" in text]
        mark()
        bench.record(B, erase=(Erasure(bench.t, (5, 30)),))
        assert bench.of(5).b == bench.of(30).b == SideMarks()
        mark()
        bench.reopen()
        bench.record(B, erase=(Erasure(bench.t, tuple(range(5, 13))),))
        assert bench.of(5).b == SideMarks()
        bench.ledger.clear(bench.t, [*range(1, 31)], bench.seq)
        assert bench.ledger.next_due(bench.clock.time) is None
        bench.mark(A, 1, 20)


def test_own_write_erases_earlier_marks_of_its_side_only(bench):
    bench.mark(A, 1)
    bench.mark(B, 1)
    bench.mark(A, 1, 5, exact=False)
    bench.record(A, erase=(Erasure(bench.t, (1, 3)),))
    assert bench.of(1).a == bench.of(3).a == bench.of(99).a
    assert bench.of(1).b.exact is not None
    assert bench.of(2).a.inexact_first is not None


class Unread:
    """Keys that cost something to read."""

    def __init__(self, *keys):
        self.keys, self.read_times = keys, 0

    def __iter__(self):
        self.read_times += 1
        return iter(self.keys)


def test_own_keys_are_read_where_marks_are_within_their_bounds_only(bench):
    bench.mark(A, 1)
    away = Unread(11, 12)
    bench.record(A, erase=(Erasure(bench.t, away, (10, 20)),))
    assert (away.read_times, bench.claimed()) == (0, [1])
    near = Unread(11, 1)
    bench.record(A, erase=(Erasure(bench.t, near, (1, 20)),))
    assert (near.read_times, bench.claimed()) == (1, [])


def test_own_write_keeps_other_marks_of_its_transaction(bench):
    """A trigger on the target wrote key 2; key 1 is ours."""
    bench.mark(A, 1)
    bench.mark(A, 2, erase=(Erasure(bench.t, (1,)),))
    assert bench.claimed() == [2]


def test_prepared_marks_appear_at_xa_commit_with_its_number(bench):
    bench.mark(A, 1, prepared_xid="x", spans=(SpanMark(bench.u, 1, Reason.TRUNCATE),))
    bench.mark(A, 2, prepared_xid="y")
    assert bench.ledger.is_empty()
    bench.reopen()
    bench.record(A, rolled_back_xid="y")
    bench.mark(A, 7)
    assert bench.record(A, committed_xid="x") == 5
    assert bench.of(1).a.exact == Touch(5, 5, Op.UPDATE, Op.UPDATE, False, 10)
    assert bench.of(2).a.exact is None
    assert bench.of(b"k", bench.u).a.inexact_last == 5


def test_marks_of_an_xa_transaction_are_as_old_as_its_commit(bench):
    """What was prepared long before is no older change than what was committed in between."""
    bench.mark(A, 1, prepared_xid="x")
    bench.record(A, committed_xid="x", commit_us=77)
    assert bench.of(1).a.exact == Touch(2, 2, Op.UPDATE, Op.UPDATE, False, 77)


def test_numbers_of_marks_never_go_back(bench):
    """Whoever has noted one would take all that comes later for something of before."""
    for key in range(5):
        bench.mark(A, key)
    before = bench.ledger.next_claim(), bench.ledger.marked_so_far()
    bench.ledger.leave(bench.t)
    with pytest.raises(ValueError, match="stop"), bench.ledger.together():
        raise ValueError("stop")
    assert (bench.ledger.next_claim(), bench.ledger.marked_so_far()) >= before
    bench.mark(A, b"k", table=bench.u)
    assert bench.ledger.next_claim() > before[0]


def held(bench, key, op):
    return [KeyMark(bench.t, key, key, bench.touch(99, op))]


def test_parts_of_a_branch_fold_in_their_order_when_it_is_committed(bench):
    bench.ledger.spill_branch(A, held(bench, 1, Op.UPDATE), (), first=True)
    bench.ledger.spill_branch(A, held(bench, 1, Op.DELETE), (), first=False)
    assert bench.ledger.is_empty()
    bench.reopen()
    bench.mark(A, 1, op=Op.INSERT, prepared_xid="x", spilled=True)
    assert bench.ledger.is_empty()
    bench.record(A, committed_xid="x")
    assert bench.of(1).a.exact == Touch(2, 2, Op.UPDATE, Op.INSERT, True, 10)


def test_branch_that_ends_without_a_prepare_counts_its_parts_before_its_rest(bench):
    bench.ledger.spill_branch(A, held(bench, 1, Op.DELETE), (), first=True)
    bench.mark(A, 1, op=Op.INSERT, committed_xid=OPEN_BRANCH, spilled=True)
    assert bench.of(1).a.exact == Touch(1, 1, Op.DELETE, Op.INSERT, True, 10)
    assert bench.ledger._db.execute("SELECT count(*) FROM xa_part").fetchone() == (0,)


def test_parts_of_a_branch_that_was_not_read_to_its_end_count_for_nothing(bench):
    """The stream is read again from its beginning after a lost connection, or by another run with another scope."""
    bench.ledger.spill_branch(A, held(bench, 1, Op.UPDATE), (), first=True)
    bench.mark(A, 2, prepared_xid="other")
    bench.ledger.spill_branch(A, held(bench, 3, Op.UPDATE), (), first=True)
    bench.mark(A, 4, prepared_xid="x", spilled=True)
    for xid in ("x", "other"):
        bench.record(A, committed_xid=xid)
    assert sorted(bench.claimed()) == [2, 3, 4]


def test_xa_commit_of_an_unknown_transaction_marks_every_table(bench):
    bench.mark(A, 1, prepared_xid="x")
    seq = bench.record(B, committed_xid="x")
    for table in (bench.t, bench.u):
        marks = bench.of(b"k", table)
        assert (marks.b.inexact_last, marks.b.reason) == (seq, Reason.UNREADABLE)
        assert marks.a.inexact_last is None


def test_start_saves_positions_and_marks_tables_on_both_sides(bench):
    bench.ledger.start({A: position(3), B: position(0)}, [bench.t], Reason.BASELINE)
    assert bench.ledger.position(A).seq == 3
    marks = bench.of(1)
    assert (marks.a.inexact_first, marks.a.inexact_last, marks.a.reason) == (3, 3, Reason.BASELINE)
    assert (marks.b.inexact_first, marks.b.inexact_last) == (0, 0)
    assert bench.of(1, bench.u) == bench.of(2, bench.u)
    assert bench.of(1, bench.u).a.inexact_first is None


def test_disowned_side_keeps_nothing_exact_and_the_other_side_keeps_everything(bench):
    bench.mark(A, 1)
    bench.mark(A, 10, 20)
    bench.mark(B, 2)
    prepared = KeyMark(bench.t, 3, 3, bench.touch(9))
    bench.ledger.record(
        A, [TransactionRecord(seq=9, marks=(prepared,), prepared_xid="x")], position(9)
    )
    bench.ledger.record(A, [TransactionRecord(seq=10, batch_id=5)], position(10))
    assert bench.ledger.last_confirmed(A) == 5
    bench.ledger.disown(A, position(11), [bench.t])
    bench.reopen()
    assert bench.ledger.position(A) == position(11)
    assert bench.ledger.last_confirmed(A) == 0
    for key in (1, 2, 15, 99):
        marks = bench.of(key)
        assert marks.a.exact is None
        assert (marks.a.reason, marks.b.reason) == (Reason.RESTORED, Reason.RESTORED)
        assert marks.a.inexact_last == 11
    assert bench.of(2).b.exact is not None
    bench.ledger.record(A, [TransactionRecord(seq=12, committed_xid="x")], position(12))
    assert bench.of(3).a.reason is not None, "its PREPARE is forgotten: every table is marked"
    assert bench.of(3).a.exact is None


def test_a_range_between_the_keys_of_a_run_has_no_marks(bench):
    bench.mark(A, 1, 9, step=4)
    assert not bench.ledger.has_marks_in(bench.t, 2, 5)
    assert bench.ledger.has_marks_in(bench.t, 2, 6)
    assert not bench.ledger.has_marks_in(bench.t, 10, None)
