"""The product on a pair, and a data set for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import structlog

from syncer.core.side import SIDES, Side
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text
from testbed import dataset, oracle
from tests.integration.harness import Product, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed.provision import Pair
    from testbed.workload import Workload
    from tests.integration.harness import Running


@pytest.fixture
def make_product(tmp_path: Path) -> Iterator[Callable[..., Product]]:
    """Give ``make_product(pair, *options, tables=glob) -> Product``; what it started ends with the test."""
    made: list[Product] = []

    def make(pair: Pair, *options: object, tables: str) -> Product:
        folder = tmp_path / f"product-{len(made) + 1}"
        folder.mkdir()
        product = Product(pair, folder, *options, tables=tables)
        made.append(product)
        return product

    yield make
    for product in made:
        product.close()


@pytest.fixture
def product(pair: Pair, database: str, make_product: Callable[..., Product]):
    """Give ``product(*options) -> Product`` for all tables of ``database``."""
    return lambda *options: make_product(pair, *options, tables=f"{database}.*")


@pytest.fixture
def opened(pair: Pair) -> Iterator[dict[Side, Session]]:
    """A session of ours to either side."""
    found = {
        side: Session.open(from_text(server.url()), side, purpose="test")
        for side, server in zip(SIDES, pair.sides, strict=True)
    }
    yield found
    for session in found.values():
        session.close()


@pytest.fixture
def shop(pair: Pair, database: str) -> Callable[..., dict[str, oracle.Table]]:
    """Give ``shop(rows) -> tables``: the data set, equal on both sides, and what it holds."""

    def fill(rows: int = 1000, *, foreign_keys: bool = False) -> dict[str, oracle.Table]:
        for server in pair.sides:
            dataset.create(server, database, foreign_keys=foreign_keys)
            dataset.load(server, database, rows)
        found = oracle.read_pair(pair, database)
        assert oracle.differences(found) == []
        return {name: both[0] for name, both in found.items()}

    return fill


@pytest.fixture
def write_for() -> Callable[..., None]:
    """Give ``write_for(workload, seconds, running)``: wait while writers write; all must live on."""

    def wait(workload: Workload, seconds: float, running: Running | None = None) -> None:
        end = time.monotonic() + seconds

        def ask() -> tuple[bool, object]:
            assert workload.log.trouble == []
            assert running is None or running.code is None, f"syncer ended\n{running}"
            return time.monotonic() >= end, workload.log.counts()

        wait_until("writers write", ask, seconds + 30)

    return wait


@pytest.fixture
def quiet() -> Iterator[None]:
    """Nothing that a run in this process logs is printed."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()
