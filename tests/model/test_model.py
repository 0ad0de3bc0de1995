"""The protocol passes within bounds, every mistake is noticed. ``python -m tests.model --suite wide`` goes further."""

import hashlib
import os
import pickle

import pytest

from tests.figures import MUTANTS as MUTANTS_CAUGHT
from tests.figures import STATES, totals
from tests.model.explore import explore
from tests.model.mutants import MUTANTS
from tests.model.suites import MUST_MEET, quick

PASSING = list(quick())


@pytest.fixture(scope="session")
def cached(tmp_path_factory):
    """Give ``explore`` that explores what it is asked for once, whichever worker of the run asked first."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "explored"
    folder.mkdir(exist_ok=True)
    known = {}

    def ask(config):
        if config not in known:
            fields = [sorted(v) if isinstance(v, frozenset) else v for v in vars(config).values()]
            path = folder / hashlib.sha256(repr(fields).encode()).hexdigest()
            if not path.exists():
                part = path.with_suffix(f".{os.getpid()}")
                part.write_bytes(pickle.dumps(explore(config)))
                part.rename(path)
            known[config] = pickle.loads(path.read_bytes())
        return known[config]

    return ask


def trace(result):
    name, text, steps = result.shortest
    return "\n".join([f"{name}: {text}", *steps])


@pytest.mark.parametrize("config", PASSING, ids=str)
def test_the_protocol_holds(config, cached):
    result = cached(config)
    assert not result.violations, trace(result)
    assert result.complete
    assert result.ends


def test_every_kind_of_step_was_met(cached):
    results = [cached(config) for config in PASSING]
    met = set().union(*(result.met for result in results))
    missing = [what for what in MUST_MEET if not any(what in label for label in met)]
    totals[STATES] += sum(result.states for result in results)
    assert not missing


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mistake_is_noticed(mutant, cached):
    for config in mutant.configs():
        result = cached(config)
        if mutant.harmless:
            assert not result.violations, trace(result)
        else:
            assert result.violations, f"{config}: {result.states} states, nothing wrong"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_without_the_mistake_the_same_run_passes(mutant, cached):
    for config in mutant.configs():
        right = cached(type(config)(**{**vars(config), "mutant": "", "stop": False}))
        assert not right.violations, trace(right)


def test_how_many_were_caught(cached):
    harmful = [mutant for mutant in MUTANTS if not mutant.harmless]
    caught = [m for m in harmful if all(cached(config).shortest for config in m.configs())]
    totals[MUTANTS_CAUGHT] += len(caught)
    assert caught == harmful
