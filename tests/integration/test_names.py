"""Names of databases, tables, columns and keys that need quoting, through a whole run."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed.provision import Pair
    from tests.integration.harness import Product

pytestmark = pytest.mark.timeout(240)
ODD = [
    "t`a``b \"q' 100%s %(x)s %%", "select", "日本é \\back\\slash\\", "123", "#d.ot -- /* {0}{x}", "$" + "x" * 63,
]  # fmt: skip
CLASHES = (0, 2)
"""The tables in which both sides insert the same unique value."""


def quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


@pytest.fixture
def odd_database(pair: Pair) -> Iterator[str]:
    name = f"odd {secrets.token_hex(3)} ` \" ' %s %% \\ # é. $"
    pair.script(f"CREATE DATABASE {quoted(name)} CHARACTER SET utf8mb4")
    yield name
    pair.script(f"DROP DATABASE {quoted(name)}")


class Odd:
    """A table whose every name is odd; columns are named by the neighbours of its own name in the list."""

    def __init__(self, database: str, at: int) -> None:
        self.name = f"{quoted(database)}.{quoted(ODD[at])}"
        self.columns = [quoted(ODD[(at + step) % len(ODD)]) for step in range(4)]

    def create(self) -> str:
        first, second, unique, value = self.columns
        return (
            f"CREATE TABLE {self.name} ({first} VARCHAR(20) NOT NULL, {second} INT NOT NULL, {unique} INT, {value} VARCHAR(40),"
            f" PRIMARY KEY ({second}, {first}), UNIQUE KEY {unique} ({unique}))"
        )

    def insert(self, key: str, number: int, unique: int, value: str) -> str:
        return f"INSERT INTO {self.name} VALUES ('{key}', {number}, {unique}, '{value}')"

    def update(self, what: str, number: int) -> str:
        names = dict(zip(("first", "second", "unique", "value"), self.columns, strict=True))
        for word, name in names.items():
            what = what.replace(f"<{word}>", name)
        return f"UPDATE {self.name} SET {what} WHERE {names['second']} = {number}"

    def delete(self, number: int) -> str:
        return f"DELETE FROM {self.name} WHERE {self.columns[1]} = {number}"

    def rows(self, server) -> list[tuple]:
        return sorted(server.query(f"SELECT * FROM {self.name}"))


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_every_name_is_quoted_wherever_it_goes(
    pair: Pair, odd_database: str, make_product: Callable[..., Product], tmp_path: Path
) -> None:
    tables = [Odd(odd_database, at) for at in range(len(ODD))]
    clashing = [tables[at] for at in CLASHES]
    pair.script(*(table.create() for table in tables))
    pair.a.script(*(t.insert("it''s %s", n, n, "a") for t in tables for n in range(1, 8)))
    quick = tmp_path / "quick.toml"
    quick.write_text("[engine]\nretry_limit = 1\n")
    product = make_product(pair, "-c", quick, tables=f"{odd_database[:10]}*.*")
    product.until_in_sync()
    for table in tables:
        assert len(table.rows(pair.a)) == 7
        assert table.rows(pair.a) == table.rows(pair.b)
    for table in tables:
        pair.a.script(
            table.update("<value> = 'from a'", 1),
            table.update("<unique> = 100", 2),
            table.update("<second> = 30, <first> = 'moved'", 3),
            table.insert("new % a", 50, 50, "new"),
            table.update("<value> = 'both a'", 6),
        )
        pair.b.script(
            table.delete(4),
            table.update("<value> = 'from b'", 5),
            table.insert("new % b", 51, 51, "new"),
            table.update("<value> = 'both b'", 6),
        )
    for table in clashing:
        pair.a.script(table.insert("clash", 80, 77, "a"))
        pair.b.script(table.insert("clash", 81, 77, "b"))
    product.until_in_sync("--rule", "prefer:a", codes=(1,))
    for table in tables:
        a, b = table.rows(pair.a), table.rows(pair.b)
        # What clashes in the unique key is held, and nothing else.
        assert [row for row in a if row[1] != 80] == [row for row in b if row[1] != 81]
        assert (80 in {row[1] for row in a}) is (81 in {row[1] for row in b}) is (table in clashing)
        assert {row[1]: row[3] for row in a if row[1] < 80} == {
            1: "from a", 2: "a", 30: "a", 5: "from b", 6: "both a", 7: "a", 50: "new", 51: "new",
        }  # fmt: skip
    found = product.conflicts()
    for at, name in enumerate(ODD):
        kinds = [entry.kind for entry in found if entry.table == f"{odd_database}.{name}"]
        assert kinds.count("update_update") == 1
        assert kinds.count("unique_violation") == (2 if at in CLASHES else 0), kinds
    summary = product.status()["summary"]
    assert summary["keys"] == 0
    report = product("verify", "--json").must(1).document()
    differing = {f"{odd_database}.{ODD[at]}" for at in CLASHES}
    assert {t["table"] for t in report["tables"] if t["only_a"] or t["only_b"]} == differing
    assert len(report["tables"]) == len(ODD)
    for command in (["check"], ["run", "--dry-run"]):
        product(*command).must(0, 1)
