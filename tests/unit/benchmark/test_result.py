"""Medians, ratios and targets: a benchmark that judges wrongly is worse than none."""

import pytest

from benchmark.result import Sense, Target, join, judge


def line(ours, peer, target, unit="rows/s", number=1, flavour="mysql"):
    return judge(number, "work", flavour, unit, ours, target, peer=peer)


def test_the_median_counts_and_the_spread_is_told():
    found = line([10, 30, 20], [10, 5, 100], Target(Sense.FASTER, 2))
    assert (found.ours, found.peer, found.ratio) == (20, 10, 2)
    assert found.spread == 1.0
    assert found.runs == 3
    assert found.met is True


@pytest.mark.parametrize(
    ("unit", "sense", "ratio"),
    [
        ("rows/s", Sense.FASTER, 0.5),
        ("rows/s", Sense.COST, 2.0),
        ("s", Sense.FASTER, 2.0),
        ("s", Sense.COST, 0.5),
    ],
)
def test_a_rate_and_a_cost_are_compared_the_other_way_round(unit, sense, ratio):
    assert line([5], [10], Target(sense, 1), unit).ratio == ratio


@pytest.mark.parametrize(
    ("sense", "target", "met"),
    [
        (Sense.FASTER, 4.0, True),
        (Sense.FASTER, 4.1, False),
        (Sense.COST, 0.25, True),
        (Sense.COST, 0.24, False),
    ],
)
def test_a_target_is_met_at_its_value(sense, target, met):
    assert line([10], [40], Target(sense, target), "s").met is met


@pytest.mark.parametrize(("limit", "met"), [(30, True), (29, False)])
def test_a_limit_needs_no_peer(limit, met):
    found = line([30], [], Target(Sense.LIMIT, limit), "ms")
    assert (found.ratio, found.peer, found.met) == (None, None, met)


@pytest.mark.parametrize(("ours", "peer"), [([], [1]), ([1], [])])
def test_where_a_part_is_missing_nothing_is_claimed(ours, peer):
    found = line(ours, peer, Target(Sense.FASTER, 1))
    assert found.ratio is None
    assert found.met is None


def test_a_new_result_replaces_all_of_its_line_and_flavour_only():
    target = Target(Sense.FASTER, 1)
    before = [
        line([1], [1], target, number=2),
        line([1], [1], target, number=2),
        line([1], [1], target, number=2, flavour="mariadb"),
        line([1], [1], target, number=1),
    ]
    found = join(before, [line([7], [1], target, number=2)])
    assert [(r.id, r.flavour, r.ours) for r in found] == [
        (1, "mysql", 1),
        (2, "mariadb", 1),
        (2, "mysql", 7),
    ]
