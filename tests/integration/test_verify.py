"""``syncer verify``: what it finds in large chunks, and how often it looks again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from syncer import config as configuration
from syncer.service import app, verify
from tests.integration.inside import Watcher

if TYPE_CHECKING:
    from testbed.provision import Pair

ROWS = 3000


class _Counting(threading.Event):
    """A stop that is never asked for; it counts the pauses instead of making them."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses = 0

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        self.pauses += 1
        return False


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_all_tables_are_looked_at_again_together(pair: Pair, database: str) -> None:
    """However many tables differ, there is one series of pauses; a difference is found in a large chunk as in a small one."""
    numbers = ", ".join(f"({number}, 0)" for number in range(ROWS))
    for name in ("large", "small", "equal"):
        pair.script(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT)", db=database)
    pair.script(
        f"INSERT INTO large VALUES {numbers}",
        "INSERT INTO small VALUES (1, 1)",
        "INSERT INTO equal VALUES (1, 1)",
        db=database,
    )
    pair.a.script(
        "UPDATE large SET n = 1 WHERE id = 77", "DELETE FROM large WHERE id = 78", db=database
    )
    pair.b.script(
        "DELETE FROM large WHERE id = 2999", "UPDATE small SET n = 2 WHERE id = 1", db=database
    )
    a, b = (server.url() for server in pair.sides)
    config = configuration.load(
        None,
        {"a": {"url": a}, "b": {"url": b}, "sync": {"tables": [f"{database}.*"]}},
        environ={},
    )
    stop = _Counting()
    report = app.verify(config, Watcher(), stop)
    found = {
        one.table.split(".")[1]: (one.only_a, one.only_b, one.differing, sorted(one.samples))
        for one in report.tables
    }
    assert found == {
        "large": (1, 1, 1, ["2999", "77", "78"]),
        "small": (0, 0, 1, ["1"]),
        "equal": (0, 0, 0, []),
    }
    assert stop.pauses == len(verify.LOOK_AGAIN_S)
