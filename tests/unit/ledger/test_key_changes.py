"""Which keys were one row's: kept with their marks, gone with that of the new key."""

from __future__ import annotations

import msgspec
import pytest

from syncer.binlog.transaction import OpenTransaction
from syncer.core.mark import KeyMark, Op
from syncer.core.record import Erasure
from syncer.core.side import Side
from tests.unit.ledger.bench import position

A, B = Side.A, Side.B


@pytest.fixture
def changes(bench):
    return Changes(bench)


class Changes:
    """Transactions of side A, or B, in a few words, and the changes that are known."""

    def __init__(self, bench):
        self.bench = bench

    def do(self, side, *steps, **more):
        """Record one transaction: ``"1>2"`` changes a key, ``"i3"`` and ``"d3"`` insert and delete."""
        bench = self.bench
        seq = bench.seq[side] + 1
        transaction = OpenTransaction("", 0, begun=True)
        for step in steps:
            if ">" in step:
                transaction.rows(bench.t, "update", [int(key) for key in step.split(">")])
            else:
                word = {"i": "insert", "d": "delete"}[step[0]]
                transaction.rows(bench.t, word, [int(step[1:])])
        made = transaction.record(seq)
        if more.pop("spoiled", False):
            touch = made.marks[0].touch
            made = msgspec.structs.replace(made, marks=(*made.marks, KeyMark(bench.t, 9, 1, touch)))
        return bench.record(side, marks=made.marks, key_changes=made.key_changes, **more)

    def of(self, *keys):
        found = self.bench.ledger.key_changes_of(self.bench.t, list(keys))
        return {(one.side, one.old, one.new, one.seq) for one in found}

    def clear(self, key, a=99, b=99):
        self.bench.ledger.clear(self.bench.t, [key], {A: a, B: b})


def test_a_change_is_found_by_either_key_and_by_what_became_of_the_old_one_elsewhere(changes):
    changes.do(A, "1>2")
    changes.do(B, "1>3", "7>8")
    both = {(A, 1, 2, 1), (B, 1, 3, 1)}
    assert changes.of(1) == changes.of(2) == changes.of(3) == both
    assert changes.of(8) == {(B, 7, 8, 1)}
    assert changes.of(9) == set()
    changes.bench.reopen()
    assert changes.of(2) == both
    assert changes.bench.ledger.tables_with_key_changes() == {changes.bench.t}


def test_a_row_that_moves_on_comes_from_where_it_was_agreed_on(changes):
    changes.do(A, "1>2")
    changes.do(A, "2>3", "3>4")
    assert changes.of(4) == {(A, 1, 4, 2)}
    assert changes.of(2) == set()
    changes.do(A, "4>1")
    assert changes.of(1) == set()


def test_rows_that_swap_their_keys_are_told_apart(changes):
    changes.do(A, "1>9", "2>1", "9>2")
    assert changes.of(1, 2) == {(A, 1, 2, 1), (A, 2, 1, 1)}


def test_a_bulk_shift_is_one_step_for_every_row(changes):
    changes.do(A, "3>4", "2>3", "1>2")
    assert changes.of(1, 2, 3) == {(A, 1, 2, 1), (A, 2, 3, 1), (A, 3, 4, 1)}


@pytest.mark.parametrize("way", ["equal", "written", "own write"])
def test_it_goes_with_the_mark_of_the_new_key(changes, way):
    """Of the old key nothing more is to be decided once the other side knows that it is gone (INV-11, INV-12)."""
    bench = changes.bench
    first = changes.do(A, "1>2")
    changes.clear(1)
    changes.clear(2, a=first - 1)
    assert changes.of(2) == {(A, 1, 2, first)}
    if way == "own write":
        bench.record(A, erase=(Erasure(bench.t, (2,)),), batch_id=4)
    else:
        changes.clear(2, a=first)
    assert changes.of(1, 2) == set()
    assert bench.ledger.tables_with_key_changes() == frozenset()


def test_a_change_beyond_what_was_read_stays(changes):
    changes.do(A, "1>2")
    changes.do(A, "2>3")
    changes.clear(2, a=1)
    assert changes.of(3) == {(A, 1, 3, 2)}


@pytest.mark.parametrize(
    "steps",
    [
        (("i1",), ("1>2",)),
        (("d1",), ("i1",), ("1>2",)),
        (("d1", "i1", "1>2"),),
        (("1>2",), ("d2",), ("i2",), ("2>3",)),
        (("1>2", "d2", "i2", "2>3"),),
        (("1>2",), ("d2",)),
    ],
    ids=["inserted", "again", "again at once", "in its place", "in its place at once", "deleted"],
)
def test_another_row_than_the_one_agreed_on_is_nobody_else_s(changes, steps):
    """A row that one side inserted since has no other half, and what takes a deleted row's place is not that row."""
    for step in steps:
        changes.do(A, *step)
    assert changes.of(1, 2, 3) == set()


def test_a_run_of_deletes_ends_them_too(changes):
    bench = changes.bench
    changes.do(A, "1>20", "2>29", "3>40")
    bench.mark(A, 20, 30, op=Op.DELETE)
    assert changes.of(1, 2, 3) == {(A, 3, 40, 1)}


@pytest.mark.parametrize(("op", "known"), [(Op.INSERT, False), (Op.UPDATE, True)])
def test_a_run_says_of_its_rows_what_a_mark_of_each_would(changes, op, known):
    changes.bench.mark(A, 1, 30, op=op)
    seq = changes.do(A, "7>99")
    assert changes.of(7) == ({(A, 7, 99, seq)} if known else set())


def test_so_do_the_deletes_of_an_xa_transaction_and_of_a_large_one(changes):
    bench = changes.bench
    changes.do(A, "1>20", "2>29")
    for key, end in ((20, "xa"), (29, "spill")):
        touch = bench.touch(bench.seq[A] + 1, Op.DELETE)
        mark = KeyMark(bench.t, key, key, touch)
        if end == "xa":
            bench.record(A, marks=(mark,), prepared_xid="x")
            assert changes.of(1) == {(A, 1, 20, 1)}
            bench.record(A, committed_xid="x")
        else:
            bench.ledger.spill(A, [mark])
    assert changes.of(1, 2) == set()


def test_what_is_forgotten_takes_them_along(changes):
    bench = changes.bench
    changes.do(A, "1>2")
    changes.do(B, "1>3")
    bench.ledger.disown(A, position(5), [bench.t])
    assert changes.of(1) == {(B, 1, 3, 1)}
    bench.ledger.forget_table(bench.t)
    assert changes.of(1) == set()
    assert bench.ledger.tables_with_key_changes() == frozenset()


def test_no_more_are_kept_than_fit(changes):
    ledger = changes.bench.ledger
    ledger.changes_most = 2
    changes.do(A, "1>11", "2>12", "3>13")
    assert changes.of(1, 2, 3) == {(A, 1, 11, 1), (A, 2, 12, 1)}
    changes.clear(11)
    changes.do(A, "4>14")
    assert changes.of(4) == {(A, 4, 14, 2)}


def test_they_are_saved_with_the_position_or_not_at_all(changes):
    """INV-1: a record that fails leaves neither."""
    bench = changes.bench
    changes.do(A, "1>2")
    with pytest.raises(ValueError, match="bounds in order"):
        changes.do(A, "2>3", spoiled=True)
    assert changes.of(2) == {(A, 1, 2, 1)}
    assert bench.ledger.position(A) == position(1)
