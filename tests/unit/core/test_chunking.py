"""The chunk size follows the time that chunks take."""

from __future__ import annotations

import pytest

from syncer.core.chunking import ChunkSizer, IntegerSteps


def test_it_grows_by_four_at_most():
    sizer = ChunkSizer(start=1000, high=100_000)
    sizer.took(1000, 0.001)
    assert sizer.rows == 4000
    sizer.took(4000, 0.004)
    assert sizer.rows == 16_000


def test_it_settles_where_a_chunk_takes_the_time_meant():
    sizer = ChunkSizer(target_s=0.5, start=100)
    for _ in range(20):
        sizer.took(sizer.rows, sizer.rows / 4000)
    assert sizer.rows == 2000


def test_it_shrinks_at_once_when_chunks_become_slow():
    sizer = ChunkSizer(target_s=0.5, start=8000)
    sizer.took(8000, 40.0)
    assert sizer.rows == 100


@pytest.mark.parametrize(("rows", "seconds"), [(499, 1.0), (1000, 0.0), (1000, -1.0), (0, 1.0)])
def test_half_empty_chunks_and_odd_clocks_teach_nothing(rows, seconds):
    sizer = ChunkSizer(start=1000)
    sizer.took(rows, seconds)
    assert sizer.rows == 1000


def test_its_bounds_hold_whatever_happens():
    sizer = ChunkSizer(start=10**9, low=50, high=200)
    assert sizer.rows == 200
    for _ in range(5):
        sizer.shrink()
        assert 50 <= sizer.rows <= 200
    assert sizer.rows == 50
    sizer.took(50, 1e9)
    assert sizer.rows == 50
    for _ in range(5):
        sizer.took(sizer.rows, 1e-9)
    assert sizer.rows == 200
    assert ChunkSizer(start=1, low=50).rows == 50


def test_steps_ask_until_they_know_how_dense_the_keys_are():
    steps = IntegerSteps()
    assert steps.end(0, 100) is None
    steps.found(0, 200, 100)
    assert steps.end(200, 100) == 400
    steps.found(None, 200, 100)
    assert steps.end(200, 100) is None, "an unbounded chunk teaches nothing"


def test_steps_never_hold_many_more_rows_than_wanted():
    """Where keys are sparse and then dense, a long step would hold every integer of it."""
    steps = IntegerSteps()
    steps.found(0, 4000, 1000)
    assert steps.end(0, 1000) == 4000
    steps.found(0, 4001, 1000)
    assert steps.end(0, 1000) is None


def test_a_step_without_rows_asks_again_so_a_table_has_an_end():
    steps = IntegerSteps()
    steps.found(0, 100, 100)
    steps.found(100, 200, 0)
    assert steps.end(200, 100) is None
