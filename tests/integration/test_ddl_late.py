"""Rows that are read long after they were written, when the table is no longer what it was: no column is taken for another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.provision import Pair
    from tests.integration.harness import Product

TABLE = "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a INT NOT NULL, note TEXT, n INT)"
ROWS = "INSERT INTO t VALUES " + ", ".join(f"({key}, {key % 6 + 1}, 'x', 0)" for key in range(1, 7))
"""Column a of each row is the key of another: whoever mistakes one for the other marks the wrong row."""


@pytest.fixture
def metadata(request: pytest.FixtureRequest, pair: Pair) -> Iterator[str]:
    """Set how much of a table its events tell, for the time of the test."""
    before = [server.query("SELECT @@GLOBAL.binlog_row_metadata")[0][0] for server in pair.sides]
    pair.script(f"SET GLOBAL binlog_row_metadata = '{request.param}'")
    yield request.param
    for server, value in zip(pair.sides, before, strict=True):
        server.script(f"SET GLOBAL binlog_row_metadata = '{value}'")


@pytest.mark.parametrize(
    ("pair", "metadata", "image"),
    [
        ("mysql", "MINIMAL", "FULL"),
        ("mysql", "FULL", "FULL"),
        ("mysql", "FULL", "MINIMAL"),
        ("mariadb", "NO_LOG", "FULL"),
        ("mariadb", "MINIMAL", "NOBLOB"),
    ],
    indirect=["pair", "metadata"],
)
@pytest.mark.usefixtures("metadata")
def test_columns_that_changed_places_are_never_mistaken(
    pair: Pair, database: str, product: Callable[..., Product], image: str
) -> None:
    pair.script(TABLE, ROWS, db=database)
    syncer = product()
    syncer.until_in_sync()

    def write(server, *statements: str) -> None:
        server.script(f"SET SESSION binlog_row_image = '{image}'", *statements, db=database)

    def agreed() -> dict[int, int]:
        a, b = (dict(server.query(f"SELECT id, n FROM `{database}`.t")) for server in pair.sides)
        assert a == b
        return a

    # Between two changes that undo each other rows have a layout that nobody can ask for any more.
    write(
        pair.a,
        "UPDATE t SET n = 1 WHERE id = 1",
        "ALTER TABLE t MODIFY a INT NOT NULL FIRST",
        "UPDATE t SET n = 3 WHERE id = 3",
        "ALTER TABLE t MODIFY a INT NOT NULL AFTER id",
        "UPDATE t SET n = 5 WHERE id = 5",
    )
    write(pair.b, *(f"UPDATE t SET n = {key}0 WHERE id = {key}" for key in (2, 4, 6)))
    syncer.until_in_sync()
    assert agreed() == {1: 1, 2: 20, 3: 3, 4: 40, 5: 5, 6: 60}

    # One side's columns stay in another order.
    write(
        pair.a,
        "UPDATE t SET n = 11 WHERE id = 1",
        "ALTER TABLE t MODIFY a INT NOT NULL FIRST",
        "UPDATE t SET n = 13 WHERE id = 3",
    )
    write(pair.b, "UPDATE t SET n = 22 WHERE id = 2", "UPDATE t SET n = 44 WHERE id = 4")
    syncer.until_in_sync()
    assert agreed() == {1: 11, 2: 22, 3: 13, 4: 44, 5: 5, 6: 60}

    write(pair.a, "DELETE FROM t WHERE id = 5", "UPDATE t SET n = 14 WHERE id = 4")
    write(pair.b, "DELETE FROM t WHERE id = 6", "UPDATE t SET n = 21 WHERE id = 1")
    syncer.until_in_sync()
    assert agreed() == {1: 21, 2: 22, 3: 13, 4: 14}
    assert [entry for entry in syncer.conflicts() if not entry.possible] == []
