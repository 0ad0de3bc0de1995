"""Tables of unusual shape: engines without snapshots, keys that cannot be keys, a thousand columns, no rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.provision import Pair
    from tests.integration.harness import Product

pytestmark = pytest.mark.parametrize("pair", ["mixed"], indirect=True)


def test_what_cannot_be_kept_equal_is_refused_by_name_and_compared_by_verify(
    pair: Pair, database: str, make_product: Callable[..., Product]
) -> None:
    """One refusal names them all: engines without transactions, FLOAT and ENUM('') keys. MySQL has no Aria."""
    engines = {
        "myisam": ("MyISAM", "MyISAM"),
        "aria": ("MyISAM", "Aria"),
        "memory": ("MEMORY",) * 2,
    }
    for name, each in engines.items():
        for server, engine in zip(pair.sides, each, strict=True):
            server.script(
                f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE={engine}",
                f"INSERT INTO {name} VALUES (1, 'same'), (2, '{engine if name == 'aria' else 'same'}')",
                db=database,
            )
    pair.script(
        "CREATE TABLE floats (f FLOAT PRIMARY KEY, v INT)",
        "CREATE TABLE members (e ENUM('', 'a') PRIMARY KEY, v INT)",
        "INSERT INTO floats VALUES (0.1, 1)",
        db=database,
    )
    pair.a.script("CREATE TABLE made (id INT PRIMARY KEY, g INT AS (id * 2) STORED)", db=database)
    pair.b.script("CREATE TABLE made (id INT PRIMARY KEY, g INT AS (id * 3) STORED)", db=database)
    product = make_product(pair, tables=f"{database}.*")
    for command in (["check", "--json"], ["run", "--until-in-sync"]):
        done = product(*command).must(3)
        text = done.stdout + done.stderr
        for words in (
            *(f"{database}.{name}: engine {e}" for name, each in engines.items() for e in each),
            f"{database}.floats: key column f: type float is not supported in a key",
            f"{database}.members: key column e: its member ''",
        ):
            assert words in text, words
        if command[0] == "check":
            assert f"{database}.made: generated column g is" in text
    assert not product.ledger.exists()
    assert not pair.a.query(f"SELECT * FROM {database}.made")
    simple = make_product(pair, "--ignore-tables", "floats,members,made", tables=f"{database}.*")
    found = simple("verify", "--json").must(1).document()["tables"]
    assert {t["table"].rpartition(".")[2]: (t["rows_a"], t["differing"]) for t in found} == {
        "aria": (2, 1), "memory": (2, 0), "myisam": (2, 0),
    }  # fmt: skip


def test_a_thousand_columns_and_no_rows(
    pair: Pair, database: str, make_product: Callable[..., Product]
) -> None:
    names = [f"c{number}" for number in range(999)]
    columns = ", ".join(
        f"{name} {('INT', 'VARCHAR(3)', 'DATE')[at % 3]}" for at, name in enumerate(names)
    )
    pair.script(
        f"CREATE TABLE wide (id INT PRIMARY KEY, {columns}) ROW_FORMAT=DYNAMIC",
        "CREATE TABLE nothing (id INT PRIMARY KEY, v INT)",
        db=database,
    )
    pair.a.script(
        "INSERT INTO wide (id, c0, c1, c998) VALUES (1, 7, 'x', '2024-02-29')", db=database
    )
    pair.b.script("INSERT INTO wide (id, c600) VALUES (2, 5)", db=database)
    product = make_product(pair, tables=f"{database}.*")
    product.until_in_sync()
    pair.a.script("UPDATE wide SET c998 = '0001-01-01', c499 = 't' WHERE id = 2", db=database)
    pair.b.script("DELETE FROM wide WHERE id = 1", "INSERT INTO nothing VALUES (1, 1)", db=database)
    pair.a.script("INSERT INTO nothing VALUES (2, 2)", "DELETE FROM nothing", db=database)
    product.until_in_sync()
    a, b = (server.query(f"SELECT * FROM {database}.wide") for server in pair.sides)
    assert a == b
    assert len(a) == 1
    assert str(a[0][999]) == "0001-01-01"
    assert (a[0][0], a[0][500], a[0][601]) == (2, "t", 5)
    for server in pair.sides:
        assert server.query(f"SELECT * FROM {database}.nothing") == [(1, 1)]
    assert product.conflicts() == []
    done = product("verify", "--json").must(0).document()["tables"]
    assert {t["table"].rpartition(".")[2]: t["rows_b"] for t in done} == {"nothing": 1, "wide": 1}
