"""Tables that are not as plain as they look: hidden columns, other column orders, compressed, partitioned and versioned ones."""

from __future__ import annotations

import pytest

from tests.integration.harness import wait_until

ANY = {
    "other_order": "id INT PRIMARY KEY, v VARCHAR(20), n INT, w VARCHAR(20)",
    "made_before_key": "m INT AS (n * 2) VIRTUAL, s VARCHAR(30) AS (CONCAT(v, n)) STORED, v VARCHAR(20), n INT, id INT PRIMARY KEY",
    "parts": "id INT PRIMARY KEY, v VARCHAR(20), n INT",
    "hidden_key": "v VARCHAR(20), n INT, id INT NOT NULL DEFAULT 0 INVISIBLE PRIMARY KEY",
    "`select ``from`": "id INT PRIMARY KEY, v VARCHAR(20), n INT, `a``b'c\"%s` INT DEFAULT 3",
}
ONLY = {
    "mysql": {
        "functional": "id INT PRIMARY KEY, v VARCHAR(20), n INT, KEY f ((n + 1)), KEY l ((LOWER(v)))",
        "generated_id": "v VARCHAR(20), n INT, id INT",
        "wide_row": "id INT PRIMARY KEY, v VARCHAR(20), n INT",
    },
    "mariadb": {
        "packed": "id INT PRIMARY KEY, v VARCHAR(2000) COMPRESSED, n INT, t TEXT COMPRESSED DEFAULT 'x'",
        "sequenced": "id INT PRIMARY KEY, v VARCHAR(20), n INT DEFAULT 0 CHECK (n >= 0)",
    },
    "mixed": {},
}


ELSEWHERE = {"other_order": "w VARCHAR(90), n BIGINT, id INT PRIMARY KEY, v VARCHAR(20)"}
"""What side B has instead."""
OPTIONS = {"parts": "PARTITION BY HASH (id) PARTITIONS 4", "wide_row": "ROW_FORMAT=COMPRESSED"}


def create(database, name, columns):
    hidden = int(name == "generated_id")
    first = [f"SET SESSION sql_generate_invisible_primary_key = {hidden}"] if hidden else []
    return [*first, f"CREATE TABLE {database}.{name} ({columns}) {OPTIONS.get(name, '')}"]


def test_odd_tables_are_kept_equal(pair, database, product):
    tables = ANY | ONLY[pair.name]
    for name, columns in tables.items():
        pair.a.script(*create(database, name, columns))
        pair.b.script(*create(database, name, ELSEWHERE.get(name, columns)))

    def rows(server, name):
        return server.query(f"SELECT id, v, n FROM {database}.{name} ORDER BY id")

    def equal(step, wanted):
        def ask():
            synced.settled()
            found = {name: (rows(pair.a, name), rows(pair.b, name)) for name in tables}
            return all(a == b == wanted for a, b in found.values()), found

        wait_until(step, ask, 30)

    for name in tables:
        insert = f"INSERT INTO {database}.{name} (id, v, n) VALUES "
        pair.a.script(f"{insert} (1, 'one', 1), (3, 'three', 3)")
        pair.b.script(f"{insert} (2, 'two', 2)")
    synced = product()
    running = synced.start("--json")
    equal("first comparison", [(1, "one", 1), (2, "two", 2), (3, "three", 3)])
    for name in tables:
        pair.a.script(
            f"UPDATE {database}.{name} SET n = 20, v = REPEAT('x', 20) WHERE id = 2",
            f"INSERT INTO {database}.{name} (id, v, n) VALUES (4, NULL, NULL)",
        )
        pair.b.script(
            f"UPDATE {database}.{name} SET n = 10 WHERE id = 1",
            f"DELETE FROM {database}.{name} WHERE id = 3",
        )
    equal("stream", [(1, "one", 10), (2, "x" * 20, 20), (4, None, None)])
    report = running.stop().must(0).document()
    assert report["rows_compared"] == 2 * len(tables), "no table was compared whole again"
    assert synced.conflicts() == []
    synced("verify").must(0)


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_versioned_tables_are_refused_by_name(pair, database, product):
    """Their past is not in what a SELECT gives, and the times in it are each server's own."""
    pair.script(f"CREATE TABLE {database}.t (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING")
    done = product()("run", "--until-in-sync").must(3)
    assert f"{database}.t" in done.stderr
    assert "system versioning" in done.stderr
