"""Statements that move rows without naming them: what they bring arrives, and nothing goes that no event told of."""

from __future__ import annotations

import pytest

COLUMNS = "id INT PRIMARY KEY, n INT"
MOVES = (
    "ALTER TABLE parts TRUNCATE PARTITION p1",
    "ALTER TABLE parts EXCHANGE PARTITION p2 WITH TABLE single",
    "RENAME TABLE red TO blank, blue TO red, blank TO blue",
    "FLUSH TABLES",
)


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
@pytest.mark.parametrize("side", ["a", "b"])
def test_moved_rows_arrive_and_none_is_deleted_on_a_guess(pair, database, product, side):
    pair.script(
        f"CREATE TABLE parts ({COLUMNS}) PARTITION BY RANGE (id) "
        "(PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (20))",
        *(f"CREATE TABLE {name} ({COLUMNS})" for name in ("single", "red", "blue")),
        "INSERT INTO parts VALUES (1, 1), (11, 1)",
        "INSERT INTO single VALUES (12, 2)",
        "INSERT INTO red VALUES (1, 1), (2, 2)",
        "INSERT INTO blue VALUES (2, 3), (4, 4)",
        db=database,
    )
    here, there = pair.sides if side == "a" else pair.sides[::-1]
    syncer = product()
    syncer.until_in_sync()
    here.script(*MOVES, db=database)
    there.script("UPDATE red SET n = 9 WHERE id = 1", db=database)  # known exactly
    syncer.until_in_sync(codes=(1,))

    def rows(server, table):
        return dict(server.query(f"SELECT id, n FROM {table}", db=database))

    assert rows(here, "parts") == {12: 2}
    assert rows(there, "parts") == {1: 1, 11: 1, 12: 2}
    assert rows(here, "single") == {11: 1}
    assert rows(there, "single") == {11: 1, 12: 2}
    assert rows(here, "red") == {1: 9, 2: 3, 4: 4}
    assert rows(there, "red") == {1: 9, 2: 3, 4: 4}
    assert rows(here, "blue") == {1: 1, 2: 2}
    assert rows(there, "blue") == {1: 1, 2: 2, 4: 4}
    held = {(c.table.rpartition(".")[2], int(c.key[0])): c.kind for c in syncer.conflicts("open")}
    assert held == dict.fromkeys(
        [("parts", 1), ("parts", 11), ("single", 12), ("blue", 4)], "presence_ambiguous"
    )
