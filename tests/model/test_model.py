"""The protocol passes within bounds, every mistake is noticed. ``python -m tests.model --suite wide`` goes further."""

import functools

import pytest

from tests.figures import MUTANTS as MUTANTS_CAUGHT
from tests.figures import STATES, totals
from tests.model.explore import explore
from tests.model.mutants import MUTANTS
from tests.model.suites import MUST_MEET, quick

PASSING = list(quick())
cached = functools.cache(explore)


def trace(result):
    name, text, steps = result.shortest
    return "\n".join([f"{name}: {text}", *steps])


@pytest.mark.parametrize("config", PASSING, ids=str)
def test_the_protocol_holds(config):
    result = cached(config)
    assert not result.violations, trace(result)
    assert result.complete
    assert result.ends


def test_every_kind_of_step_was_met():
    results = [cached(config) for config in PASSING]
    met = set().union(*(result.met for result in results))
    missing = [what for what in MUST_MEET if not any(what in label for label in met)]
    totals[STATES] += sum(result.states for result in results)
    assert not missing


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mistake_is_noticed(mutant):
    for config in mutant.configs():
        result = cached(config)
        if mutant.harmless:
            assert not result.violations, trace(result)
        else:
            assert result.violations, f"{config}: {result.states} states, nothing wrong"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_without_the_mistake_the_same_run_passes(mutant):
    for config in mutant.configs():
        right = cached(type(config)(**{**vars(config), "mutant": "", "stop": False}))
        assert not right.violations, trace(right)


def test_how_many_were_caught():
    harmful = [mutant for mutant in MUTANTS if not mutant.harmless]
    caught = [m for m in harmful if all(cached(config).shortest for config in m.configs())]
    totals[MUTANTS_CAUGHT] += len(caught)
    assert caught == harmful
