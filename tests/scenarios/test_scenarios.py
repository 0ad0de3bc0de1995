"""
Schemas as real applications have them, kept equal two-way while both sides live in them.

The suite runs each for some seconds on one pair; ``scripts/scenarios`` runs all of them on all pairs, as long as it is told.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from testbed import oracle
from tests.integration.harness import Product, wait_until
from tests.scenarios import blog, payroll, rental
from tests.scenarios.scenario import Life, broken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.provision import Pair
    from tests.scenarios.scenario import Scenario

SECONDS = float(os.environ.get("SYNCER_SCENARIO_SECONDS", "6"))
FULL = os.environ.get("SYNCER_SCENARIOS") == "full"
CASES = [
    pytest.param(module.SCENARIO, pair, id=f"{module.SCENARIO.name}-{pair}")
    for module, usual in ((rental, "mixed"), (payroll, "mysql"), (blog, "mariadb"))
    for pair in ("mariadb", "mysql", "mixed")
    if FULL or pair == usual
]


@pytest.fixture
def synced(pair: Pair, make_database, tmp_path: Path) -> Iterator:
    """Give ``synced(scenario) -> (product, database)``."""
    made: list[Product] = []

    def make(scenario: Scenario) -> tuple[Product, str]:
        database = make_database(pair)
        lenient = "SET SESSION sql_mode = ''"
        pair.script(lenient, *scenario.schema, db=database)
        ignored = [f"{database}.{name}" for name in scenario.left_out]
        options = ["--ignore-tables", ",".join(ignored)] if ignored else []
        product = Product(pair, tmp_path, *scenario.options, *options, tables=f"{database}.*")
        made.append(product)
        return product, database

    yield make
    for product in made:
        product.close()


@pytest.mark.parametrize(("scenario", "pair"), CASES, indirect=["pair"])
def test_an_application_lives_on_both_sides(scenario, pair, synced):
    product, database = synced(scenario)
    with pair.a.connect(database=database, autocommit=False) as connection:
        with connection.cursor() as cursor:
            scenario.fill(cursor, random.Random(7))
        connection.commit()
    running = product.start("--json")
    product.settled()
    assert oracle.differences(oracle.read_pair(pair, database)) == []

    lives = [Life(server, database, scenario, 1 - at) for at, server in enumerate(pair.sides)]
    for life in lives:
        life.start()
    end = time.monotonic() + SECONDS

    def ask():
        trouble = [line for life in lives for line in life.trouble]
        assert not trouble
        assert running.code is None, str(running)
        return time.monotonic() >= end, [life.done for life in lives]

    wait_until("both sides write", ask, SECONDS + 60)
    for life in lives:
        life.stop()
    product.settled()

    assert [line for life in lives for line in life.trouble] == []
    assert all(life.done > SECONDS for life in lives)
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    conflicts = {(c.table, c.key) for c in product.conflicts()}
    contested = {(f"{database}.b_options", ("1",))}
    assert conflicts <= contested
    for server in pair.sides:
        for life in lives:
            assert broken(life.promised, server, database) == []
    running.stop().must(0)
    product("verify").must(0)
