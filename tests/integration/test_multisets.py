"""``syncer verify`` of tables without a key: how often every row is there."""

from __future__ import annotations

import pytest


@pytest.fixture
def verdict(pair, database, product):
    """Give ``verdict(exit code) -> (rows a, rows b, only a, only b)`` of the one table of the database."""

    def ask(code):
        [found] = product()("verify", "--json").must(code).document()["tables"]
        assert found["skipped"] is None
        assert found["differing"] == 0
        return tuple(found[name] for name in ("rows_a", "rows_b", "only_a", "only_b"))

    return ask


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_rows_are_counted(pair, database, verdict):
    """Equal rows cancel out under XOR: two of one kind against two of another are 0 against 0."""
    pair.script(f"CREATE TABLE {database}.t (v VARCHAR(9), n INT, UNIQUE (n))")
    pair.a.script(
        f"INSERT INTO {database}.t VALUES ('a', NULL), ('a', NULL), ('x', 1), (NULL, NULL)"
    )
    pair.b.script(
        f"INSERT INTO {database}.t VALUES ('x', 1), ('b', NULL), ('b', NULL), (NULL, NULL)"
    )
    assert verdict(1) == (4, 4, 2, 2)
    pair.b.script(f"UPDATE {database}.t SET v = 'a' WHERE v = 'b'")
    assert verdict(0) == (4, 4, 0, 0)
    pair.b.script(f"INSERT INTO {database}.t VALUES ('a', NULL), ('a', NULL)")
    assert verdict(1) == (4, 6, 0, 2)
    pair.a.script(f"UPDATE {database}.t SET v = '' WHERE v IS NULL")
    assert verdict(1) == (4, 6, 1, 3)


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_documents_count_by_their_value(pair, database, verdict):
    pair.script(f"CREATE TABLE {database}.t (j JSON)")
    pair.a.script(f"""INSERT INTO {database}.t VALUES ('{{"b":1,"a":2.50}}'), ('[1]'), ('[1]')""")
    pair.b.script(f"""INSERT INTO {database}.t VALUES ('[1]'), ('[ 1 ]'), ('{{"a":2.5, "b":1}}')""")
    assert verdict(0) == (3, 3, 0, 0)
    pair.b.script(f"INSERT INTO {database}.t VALUES ('[1.0]')")
    assert verdict(1) == (3, 4, 0, 1)


@pytest.mark.parametrize("pair", ["mysql"], indirect=True)
def test_a_table_whose_keys_differ_is_compared_without(pair, database, verdict):
    pair.a.script(f"CREATE TABLE {database}.t (a INT PRIMARY KEY, b INT NOT NULL)")
    pair.b.script(f"CREATE TABLE {database}.t (a INT NOT NULL, b INT PRIMARY KEY)")
    for server in pair.sides:
        server.script(f"INSERT INTO {database}.t VALUES (1, 10), (2, 20)")
    assert verdict(0) == (2, 2, 0, 0)
    pair.b.script(f"UPDATE {database}.t SET a = 3 WHERE b = 20")
    assert verdict(1) == (2, 2, 1, 1)
