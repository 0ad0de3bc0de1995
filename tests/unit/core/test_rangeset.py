import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core import rangeset

INTERVALS = st.tuples(st.integers(0, 30), st.integers(0, 8)).map(lambda p: (p[0], p[0] + p[1]))


def members(intervals):
    return {n for low, high in intervals for n in range(low, high + 1)}


def ordered_apart(intervals):
    return all(one[1] < other[0] for one, other in itertools.pairwise(intervals))


@given(st.lists(st.integers(-5, 40)))
def test_coalesce_holds_exactly_the_values_in_the_fewest_intervals(values):
    intervals = rangeset.coalesce(values)
    assert members(intervals) == set(values)
    assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(intervals))


@pytest.mark.parametrize(
    ("gap", "expected"), [(0, [(1, 2), (4, 4), (8, 8)]), (1, [(1, 4), (8, 8)]), (3, [(1, 8)])]
)
def test_coalesce_joins_over_gaps_up_to_the_budget(gap, expected):
    assert rangeset.coalesce([8, 1, 2, 4], gap=gap) == expected


@given(st.lists(INTERVALS))
def test_merge_is_the_union_of_disjoint_intervals(intervals):
    merged = rangeset.merge(intervals)
    assert members(merged) == members(intervals)
    assert ordered_apart(merged)


def test_merge_leaves_adjacent_intervals_apart():
    assert rangeset.merge([(3, 4), (1, 2), (4, 9)]) == [(1, 2), (3, 9)]


@given(INTERVALS, st.lists(INTERVALS))
def test_subtract_removes_the_holes_and_nothing_else(interval, holes):
    left = rangeset.subtract(interval, holes)
    assert members(left) == members([interval]) - members(holes)
    assert ordered_apart(left)


@given(INTERVALS, INTERVALS)
def test_intersect_is_what_both_hold(one, other):
    both = rangeset.intersect(one, other)
    assert members([both] if both else []) == members([one]) & members([other])


@given(st.lists(st.integers(0, 40)), INTERVALS)
def test_within_selects_the_members(values, interval):
    ordered = sorted(values)
    assert list(rangeset.within(ordered, interval)) == [
        v for v in ordered if interval[0] <= v <= interval[1]
    ]
