"""Bounds in numbers: what a read contains for certain, and what it cannot contain (INV-3)."""

from __future__ import annotations

import pytest

from syncer.core.position import Coordinate, GtidSet
from syncer.core.visibility import (
    BRANCHES_KEPT,
    NO_BRANCHES,
    NOTHING,
    Branches,
    Horizon,
    TransactionLog,
)

U = "00000000-0000-0000-0000-000000000001"
V = "00000000-0000-0000-0000-000000000002"


def at(offset, index=1):
    return Coordinate(index, offset)


def mysql(*gtids, base=0, saved=""):
    log = TransactionLog(base, GtidSet(saved), at(4))
    for number, gtid in enumerate(gtids, 1):
        log.extend([(base + number, gtid, at(100 * number), 0)])
    return log


def mariadb(count=3, base=0):
    log = TransactionLog(base, None, at(50))
    for number in range(1, count + 1):
        log.extend([(base + number, "", at(100 * number), 0)])
    return log


def test_the_lower_bound_ends_at_the_first_gap():
    """Later transactions may be visible before earlier ones: never by the highest (INV-19)."""
    log = mysql(f"{U}:1", f"{U}:2", f"{U}:3", f"{U}:4")
    assert log.lower_by_gtids(GtidSet(f"{U}:1:3-4")) == 1
    assert log.lower_by_gtids(GtidSet(f"{U}:1-4")) == 4


def test_the_order_is_the_stream_s_not_the_numbers():
    log = mysql(f"{U}:2", f"{V}:9", f"{U}:1")
    assert log.lower_by_gtids(GtidSet(f"{U}:1-2")) == 1
    assert log.lower_by_gtids(GtidSet(f"{U}:1-2,{V}:9")) == 3


def test_tagged_transactions_are_members_of_their_own():
    log = mysql(f"{U}:tag:1", f"{U}:1")
    assert log.lower_by_gtids(GtidSet(f"{U}:1")) == 0
    assert log.lower_by_gtids(GtidSet(f"{U}:1:tag:1")) == 2


def test_nothing_is_proven_before_the_saved_set_is_visible():
    """A transaction may have been tailed and saved before it was visible (INV-2)."""
    log = mysql(f"{U}:6", base=40, saved=f"{U}:1-5")
    assert log.lower_by_gtids(GtidSet(f"{U}:1-4:6")) == NOTHING
    assert log.lower_by_gtids(GtidSet(f"{U}:1-5")) == 40
    assert log.lower_by_gtids(GtidSet(f"{U}:1-6")) == 41


def test_proven_transactions_are_forgotten_and_stay_proven():
    log = mysql(f"{U}:1", f"{U}:2", f"{U}:3")
    assert log.lower_by_gtids(GtidSet(f"{U}:1-2")) == 2
    assert len(log._recent) == 1
    assert (log.base_seq, log.last_seq) == (2, 3)
    assert log.lower_by_gtids(GtidSet(f"{U}:1-2")) == 2


def test_a_read_that_began_before_another_one_has_proven_more_proves_nothing():
    """Chunks are read side by side: what the later read has proven may not be in the rows of the earlier one."""
    log = mysql(f"{U}:1", f"{U}:2", f"{U}:3", f"{V}:1")
    assert log.lower_by_gtids(GtidSet(f"{U}:1-3")) == 3
    assert log.lower_by_gtids(GtidSet(f"{U}:1-2")) == NOTHING
    assert log.lower_by_gtids(GtidSet(f"{U}:1-2,{V}:1")) == NOTHING
    assert log.lower_by_gtids(GtidSet(f"{U}:1-3")) == 3
    log = mariadb(3)
    assert log.lower_by_coordinate(at(250)) == 2
    assert log.lower_by_coordinate(at(150)) == NOTHING
    assert log.lower_by_coordinate(at(200)) == 2


def test_a_transaction_without_a_gtid_goes_with_those_before_it():
    """An incident is logged without one; it changes no row, and it must not end the run."""
    log = mysql(f"{U}:1", "", f"{U}:2")
    assert log.lower_by_gtids(GtidSet("")) == 0
    assert log.lower_by_gtids(GtidSet(f"{U}:1")) == 2
    assert log.lower_by_gtids(GtidSet(f"{U}:1-2")) == 3


def test_an_empty_log_proves_what_was_saved():
    assert mysql(base=7, saved=f"{U}:1").lower_by_gtids(GtidSet(f"{U}:1")) == 7
    assert mysql(base=7).last_seq == 7
    assert mariadb(0, base=7).lower_by_coordinate(at(50)) == 7


def test_a_snapshot_s_coordinate_proves_what_ends_at_or_before_it():
    log = mariadb()
    assert log.lower_by_coordinate(at(99)) == 0
    assert log.lower_by_coordinate(at(100)) == 1
    assert log.lower_by_coordinate(at(299)) == 2
    assert log.lower_by_coordinate(at(4, index=2)) == 3


def test_a_snapshot_before_the_saved_position_proves_nothing():
    assert mariadb().lower_by_coordinate(at(49)) == NOTHING
    log = mariadb()
    log.lower_by_coordinate(at(200))
    assert log.lower_by_coordinate(at(150)) == NOTHING, "forgotten transactions end at 200"


def with_branches(*numbers, count=4):
    """Transactions that end at 100, 200...; those of *numbers* commit a branch of an XA transaction."""
    log = mariadb(0)
    for seq in range(1, count + 1):
        named = (seq, f"0-1-{seq}", at(100 * seq), 1)
        log.extend([named], {seq: f"x{seq}"} if seq in numbers else {})
    return log


def test_an_xa_commit_is_proven_by_its_end_not_by_its_place():
    """MariaDB logs it before the engine commits, and its snapshot's coordinate may be behind it all the same."""
    log = with_branches(2)
    waiting, known = log.branches
    assert (dict(waiting), known) == ({2: "x2"}, NO_BRANCHES)
    assert log.lower_by_coordinate(at(400)) == 1
    assert log.lower_by_coordinate(at(400), Branches(0, frozenset({2}))) == 4
    waiting, known = log.branches
    assert (dict(waiting), known) == ({}, Branches(2))
    assert log.lower_by_coordinate(at(400), known) == 4


def test_a_read_that_does_not_know_of_a_branch_that_another_has_proven_proves_nothing():
    log = with_branches(2, 3)
    _, before = log.branches
    assert log.lower_by_coordinate(at(200), Branches(0, frozenset({2}))) == 2
    assert log.lower_by_coordinate(at(400), before) == NOTHING
    assert log.lower_by_coordinate(at(400), Branches(0, frozenset({3}))) == NOTHING
    assert log.lower_by_coordinate(at(400), Branches(2)) == 2, "the third may not have ended"
    # One read has proven that the third ended, at a place before it; another one that began earlier does not know that.
    log = with_branches(2, 3)
    assert log.lower_by_coordinate(at(200), Branches(0, frozenset({2, 3}))) == 2
    assert log.lower_by_coordinate(at(400), Branches(0, frozenset({2}))) == 2
    waiting, late = log.branches
    assert not waiting
    assert log.lower_by_coordinate(at(400), late) == 4


def test_of_very_many_branches_the_oldest_are_known_by_number_alone():
    log = with_branches(*range(1, BRANCHES_KEPT + 3), count=BRANCHES_KEPT + 3)
    every = frozenset(range(1, BRANCHES_KEPT + 3))
    assert log.lower_by_coordinate(at(10**9), Branches(0, every)) == BRANCHES_KEPT + 3
    assert log.lower_by_coordinate(at(10**9), Branches(0, every)) == NOTHING
    assert log.lower_by_coordinate(at(10**9), log.branches[1]) == BRANCHES_KEPT + 3


def test_the_upper_bound_counts_whole_transactions():
    log = mysql(f"{U}:1", f"{U}:2", f"{U}:3")
    assert log.upper_by_coordinate(at(99)) == 0
    assert log.upper_by_coordinate(at(200)) == 2
    assert log.upper_by_coordinate(at(250)) == 2
    assert log.upper_by_coordinate(at(4, index=2)) == 3


def test_the_upper_bound_is_never_below_what_is_proven():
    log = mysql(f"{U}:1", f"{U}:2")
    log.lower_by_gtids(GtidSet(f"{U}:1-2"))
    assert log.upper_by_coordinate(at(4)) == 2


def test_reading_the_upper_bound_forgets_nothing():
    log = mysql(f"{U}:1", f"{U}:2")
    log.upper_by_coordinate(at(999))
    assert log.lower_by_gtids(GtidSet(f"{U}:1")) == 1


@pytest.mark.parametrize(("seq", "held"), [(4, True), (5, True), (6, False)])
def test_a_horizon_holds_what_ends_at_its_lower_bound(seq, held):
    assert Horizon(5, 9).holds(seq) is held


def test_a_bound_that_proves_nothing_holds_nothing():
    assert not Horizon(NOTHING, 9).holds(0)
