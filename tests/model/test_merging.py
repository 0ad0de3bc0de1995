"""Rows made of two: the protocol passes within bounds, and every mistake is noticed."""

import functools

import pytest

from tests.figures import MUTANTS as MUTANTS_CAUGHT
from tests.figures import STATES, totals
from tests.model.merging import MUTANTS, RUNS, explore, mutants

cached = functools.cache(explore)


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_nothing_is_lost_and_nothing_counts_twice(run):
    found = cached(run)
    totals[STATES] += found.states
    assert not found.wrong, "\n".join([found.wrong, *found.way])


def test_every_kind_of_step_was_met():
    met = set().union(*(cached(run).met for run in RUNS))
    wanted = {"guard misses", "ambiguous", "equal", "kill -9", "finished", "a", "b"}
    assert wanted <= met


@pytest.mark.parametrize("run", mutants(), ids=lambda run: run.mutant)
def test_a_mistake_is_noticed(run):
    found = cached(run)
    assert found.wrong, f"{MUTANTS[run.mutant]}: {found.states} states, nothing wrong"
    totals[MUTANTS_CAUGHT] += 1
