"""The protocol passes within bounds, every mistake is noticed. ``python -m tests.model --suite wide`` goes further."""

import functools

import pytest

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


def test_every_kind_of_step_was_met(capsys):
    results = [cached(config) for config in PASSING]
    met = set().union(*(result.met for result in results))
    missing = [what for what in MUST_MEET if not any(what in label for label in met)]
    states = sum(result.states for result in results)
    seconds = sum(result.seconds for result in results)
    with capsys.disabled():
        print(f"\nmodel: {states} states explored in {len(results)} runs, {seconds:.0f} s")
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


def test_how_many_were_caught(capsys):
    harmful = [mutant for mutant in MUTANTS if not mutant.harmless]
    lengths = [
        len(result.shortest[2])
        for mutant in harmful
        for result in map(cached, mutant.configs())
        if result.shortest
    ]
    runs = sum(len(mutant.variants) for mutant in harmful)
    with capsys.disabled():
        print(
            f"\nmodel: {len(harmful)} mutants, {len(lengths)} of {runs} runs caught one, in "
            f"{min(lengths)} to {max(lengths)} steps; 1 harmless"
        )
    assert len(lengths) == runs
