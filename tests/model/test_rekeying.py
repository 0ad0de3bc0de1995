"""Rows that both sides give another key: nothing is lost, whichever keys meet when, and every mistake is noticed."""

import functools

import pytest

from tests.figures import MUTANTS as MUTANTS_CAUGHT
from tests.figures import STATES, totals
from tests.model.rekeying import MUTANTS, RUNS, Rekey, explore, mutants

cached = functools.cache(explore)


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_every_write_is_in_a_row_or_in_the_journal(run):
    found = cached(run)
    totals[STATES] += found.states
    assert not found.wrong, "\n".join([found.wrong, *found.way])


def test_units_were_met_and_so_were_keys_that_never_met():
    met = set().union(*(cached(run).met for run in RUNS))
    wanted = ("1 copy a prefer:a; 2 copy a prefer:a", "1 copy b prefer:b; 2 copy b prefer:b")
    assert all(any(what in label for label in met) for what in wanted)
    assert {"guard misses", "kill -9", "finished"} <= met
    assert any("later" in label for label in met)


def test_where_every_key_is_decided_by_itself_nothing_is_lost_either():
    """So a change of a key that nobody kept does no harm: both rows stand."""
    found = cached(Rekey(steps=("rw", "rw"), crashes=0, mutant="each_alone"))
    assert not found.wrong


@pytest.mark.parametrize("run", mutants(), ids=lambda run: run.mutant)
def test_a_mistake_is_noticed(run):
    found = cached(run)
    assert found.wrong, f"{MUTANTS[run.mutant]}: {found.states} states, nothing wrong"
    totals[MUTANTS_CAUGHT] += 1
