"""Tables that have another name on side B, through a whole run: both ways, definitions that change, verification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.harness import wait_until
from tests.integration.test_ddl import wait_paused

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.provision import Pair
    from tests.integration.harness import Product

ORDERS = "CREATE TABLE `{}`.`{}` (id INT PRIMARY KEY, v VARCHAR(20))"
ITEMS = (
    "CREATE TABLE `{}`.items (id INT PRIMARY KEY, o INT, v VARCHAR(20),"
    " CONSTRAINT fk FOREIGN KEY (o) REFERENCES `{}`.`{}` (id) ON DELETE CASCADE)"
)


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_tables_and_databases_that_have_other_names_on_side_b(
    pair: Pair, database: str, make_product: Callable[..., Product]
) -> None:
    """
    A database is renamed, and one table of it once more; a table of side B that has the pair's name is another one.

    The foreign key leads from one renamed table to the other: side B, MariaDB, does not log what its cascade did.
    """
    store = f"{database}`s store"
    quoted = store.replace("`", "``")
    pair.b.script(f"CREATE DATABASE `{quoted}` CHARACTER SET utf8mb4")
    try:
        pair.a.script(ORDERS.format(database, "orders"), ITEMS.format(database, database, "orders"))
        pair.b.script(ORDERS.format(quoted, "sold $"), ITEMS.format(quoted, quoted, "sold $"))
        pair.b.script(ORDERS.format(database, "orders"))
        pair.b.script(
            "ALTER TABLE orders ADD COLUMN w INT DEFAULT 5",
            "INSERT INTO orders VALUES (1, 'not of the pair', 0)",
            db=database,
        )
        pair.a.script("INSERT INTO orders VALUES (1, 'a'), (2, 'a'), (3, 'a')", db=database)
        pair.a.script("INSERT INTO items VALUES (1, 1, 'a'), (2, 2, 'a')", db=database)
        whole = f"{database}=`{quoted}`"
        one = f"{database}.orders=`{quoted}`.`sold $`"
        syncer = make_product(pair, "--map", whole, "--map", one, tables=f"{database}.*")

        def rows(name: str, theirs: str) -> tuple[list, list]:
            a = pair.a.query(f"SELECT * FROM `{database}`.`{name}`")
            b = pair.b.query(f"SELECT * FROM `{quoted}`.`{theirs}`")
            return sorted(a, key=str), sorted(b, key=str)

        def until(name: str, theirs: str, wanted: list) -> None:
            def ask() -> tuple[bool, object]:
                found = rows(name, theirs)
                return found == (wanted, wanted), found

            wait_until(f"{name} is {wanted} on both sides", ask)

        running = syncer.start("--rule", "prefer:a")
        running.connected()
        until("items", "items", [(1, 1, "a"), (2, 2, "a")])
        pair.b.script(
            "INSERT INTO `sold $` VALUES (9, 'b')",
            "UPDATE items SET v = 'b' WHERE id = 2",
            db=store,
        )
        pair.b.script("DELETE FROM `sold $` WHERE id = 1", db=store)
        until("orders", "sold $", [(2, "a"), (3, "a"), (9, "b")])
        until("items", "items", [(2, 2, "b")])
        # The definition changes under both names; meanwhile both sides write.
        pair.b.script("ALTER TABLE `sold $` ADD COLUMN w INT DEFAULT 5", db=store)
        reasons = wait_paused(syncer, running, "orders")
        assert reasons == {"orders": "column w is missing on side a"}
        pair.b.script("UPDATE `sold $` SET w = 6 WHERE id = 9", db=store)
        pair.a.script("UPDATE orders SET v = 'waits' WHERE id = 2", db=database)
        pair.a.script("ALTER TABLE orders ADD COLUMN w INT DEFAULT 5", db=database)
        wait_paused(syncer, running)
        until("orders", "sold $", [(2, "waits", 5), (3, "a", 5), (9, "b", 6)])
        # A new table joins under its mapped database.
        pair.b.script(
            "CREATE TABLE late (id INT PRIMARY KEY)", "INSERT INTO late VALUES (4)", db=store
        )
        pair.a.script("CREATE TABLE late (id INT PRIMARY KEY)", db=database)
        until("late", "late", [(4,)])
        running.stop().must(0)

        # A conflict, written while nobody looks, goes by the pair's name.
        pair.a.script("UPDATE orders SET v = 'both a' WHERE id = 3", db=database)
        pair.b.script("UPDATE `sold $` SET v = 'both b' WHERE id = 3", db=store)
        syncer.until_in_sync("--rule", "prefer:a")
        found = [(one.table, one.kind) for one in syncer.conflicts() if one.key == ("3",)]
        assert found == [(f"{database}.orders", "update_update")]
        assert rows("orders", "sold $")[0] == rows("orders", "sold $")[1]
        assert (3, "both a", 5) in rows("orders", "sold $")[1]
        untouched = pair.b.query(f"SELECT * FROM `{database}`.orders")
        assert list(untouched) == [(1, "not of the pair", 0)]
        pair.b.script("UPDATE `sold $` SET v = 'drift', w = 0 WHERE id = 2", db=store)
        report = syncer("verify", "--json").must(1).document()
        assert {
            t["table"].partition(".")[2]: (t["rows_b"], t["differing"]) for t in report["tables"]
        } == {"items": (1, 0), "late": (1, 0), "orders": (3, 1)}

        # Mapped elsewhere, it is another table: compared whole. What it was is one that side A lacks.
        syncer.options[syncer.options.index(one)] = f"{database}.orders={database}.orders"
        syncer.until_in_sync("--rule", "prefer:a", codes=(1,))
        a, b = (sorted(server.query(f"SELECT * FROM `{database}`.orders")) for server in pair.sides)
        assert a == b == [(1, "not of the pair", 0), (2, "waits", 5), (3, "both a", 5), (9, "b", 6)]
        assert (2, "drift", 0) in rows("orders", "sold $")[1]

        # Two tables of side A may not share one of side B; a typing error is named.
        clash = make_product(
            pair,
            "--map",
            f"{database}.items=`{quoted}`.late",
            "--map",
            whole,
            tables=f"{database}.*",
        )
        done = clash("check").must(2)
        assert f"{database}.late and {database}.items would both be" in done.stderr, str(done)
        typo = make_product(pair, "--map", f"{database}.x=store.x", tables=f"{database}.*")
        assert "neither table exists" in typo("check").must(2).stderr
    finally:
        pair.b.script(f"DROP DATABASE `{quoted}`")
