"""Into how many buckets a chunk is divided, and which rows of them are read."""

from __future__ import annotations

import pytest

from syncer.mysql.buckets import COUNT, MOST, RANGES, Division, count_for
from syncer.mysql.flavor import Flavor
from tests.unit.mysql.tables import column, table


@pytest.mark.parametrize(
    ("rows", "differing", "count"),
    [
        (20_000, 1, 200),
        (20_000, 20, 894),
        (20_000, 0.1, COUNT),
        (20_000, 1_200, MOST),
        (20_000, 1_250, 0),
        (20_000, 20_000, 0),
        (10, 1, 0),
    ],
)
def test_buckets_follow_what_differed(rows, differing, count):
    assert count_for(rows, differing) == count


ONE = table(column("id", "bigint"))


def test_neighbours_are_one_range():
    division = Division.of((0,), (1000,), 1000, integer=True, count=100)
    found = division.condition(ONE, Flavor.MYSQL, [7, 3, 4, 5])
    assert found == "((`id` >= 30 AND `id` < 60) OR (`id` >= 70 AND `id` < 80))"


def test_many_ranges_are_one_look_at_every_key():
    division = Division.of((0,), (1000,), 1000, integer=True, count=500)
    few, many = (range(0, 2 * n, 2) for n in (RANGES, RANGES + 1))
    assert " OR " in division.condition(ONE, Flavor.MYSQL, few)
    found = division.condition(ONE, Flavor.MYSQL, many)
    assert found.startswith("`id` >= 0 AND `id` < 1000 AND (`id`-(0)) DIV 2 IN (0,2,")
