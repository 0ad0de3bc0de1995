"""GTID sets behave as sets, and the visibility bounds as bounds."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from syncer.core.position import Coordinate, GtidSet
from syncer.core.visibility import NOTHING, TransactionLog

NAMES = [
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
    "00000000-0000-0000-0000-000000000001:tag",
]
GTIDS = st.tuples(st.sampled_from(NAMES), st.integers(1, 12))
MEMBERS = st.frozensets(GTIDS, max_size=20)


def made(members):
    found = GtidSet()
    for name, number in members:
        found.add(f"{name}:{number}")
    return found


def members(found):
    return {(n, i) for n in NAMES for i in range(14) if found.contains_one(f"{n}:{i}")}


@given(MEMBERS)
def test_a_set_has_exactly_its_members_in_any_order_of_adding(wanted):
    assert members(made(wanted)) == wanted
    assert made(sorted(wanted)) == made(sorted(wanted, reverse=True))
    assert str(made(sorted(wanted))) == str(made(sorted(wanted, reverse=True)))


@given(MEMBERS)
def test_text_and_set_are_one(wanted):
    found = made(wanted)
    assert members(GtidSet(str(found))) == wanted
    assert str(GtidSet(str(found))) == str(found)
    assert bool(found) is bool(wanted)


@given(MEMBERS, MEMBERS)
def test_subtraction_and_containment_are_those_of_sets(one, other):
    assert members(made(one).subtract(made(other))) == one - other
    assert made(one).contains(made(other)) is (other <= one)
    assert (made(one) == made(other)) is (one == other)


@given(MEMBERS, MEMBERS)
def test_sets_are_not_changed_by_what_is_asked_of_them(one, other):
    first, second = made(one), made(other)
    first.subtract(second)
    first.contains(second)
    assert (members(first), members(second)) == (one, other)


@given(st.lists(GTIDS, unique=True, max_size=12), st.lists(MEMBERS, max_size=4))
@settings(max_examples=300)
def test_the_lower_bound_is_a_proven_prefix_and_never_goes_back(stream, reads):
    """Everything up to it is executed; visibility only grows."""
    log = TransactionLog(0, GtidSet(), Coordinate(1, 4))
    for number, (name, at) in enumerate(stream, 1):
        log.extend([(number, f"{name}:{at}", Coordinate(1, 100 * number), 0)])
    seen: set[tuple[str, int]] = set()
    before = 0
    for read in reads:
        seen |= read
        lower = log.lower_by_gtids(made(seen))
        assert set(stream[:lower]) <= seen
        assert lower == len(stream) or stream[lower] not in seen
        assert lower >= before
        before = lower


@given(st.integers(0, 8), st.lists(st.integers(0, 900), max_size=6))
def test_a_snapshot_s_bounds_are_one_and_grow(count, ends):
    log = TransactionLog(0, None, Coordinate(1, 4))
    for number in range(1, count + 1):
        log.extend([(number, "", Coordinate(1, 100 * number), 0)])
    before = NOTHING
    for end in sorted(ends):
        lower = log.lower_by_coordinate(Coordinate(1, end))
        if lower == NOTHING:
            assert end < 4
            continue
        assert lower == min(count, end // 100) == log.upper_by_coordinate(Coordinate(1, end))
        assert lower >= before
        before = lower
