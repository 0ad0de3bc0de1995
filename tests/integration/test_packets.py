"""Rows larger than max_allowed_packet: held by name, while everything else flows; never an end, never for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed import oracle
from tests.integration.harness import syncer
from tests.integration.inside import Inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.provision import Pair
    from tests.integration.harness import Product

SMALL = 1 << 20
LARGE = 32 << 20


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_row_above_the_packet_of_either_server_is_held_and_all_else_flows(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """Side b took both rows while its limit was higher: now it can neither take the one nor give the other."""
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT, n INT)", db=database)
    large = f"REPEAT('x', {2 * SMALL})"
    pair.a.script(
        f"INSERT INTO t VALUES (1, 'v', 0), (2, {large}, 0), (3, {large}, 0), (4, {large}, 0)",
        db=database,
    )
    product_ = product("--rule", "prefer:a")
    product_.until_in_sync()
    limit = "max_allowed_packet"
    before = pair.b.query(f"SELECT @@GLOBAL.{limit}")[0][0]

    def numbers(server) -> list:
        return sorted(server.query(f"SELECT id, n, LENGTH(v) FROM {database}.t"))

    try:
        pair.b.query(f"SET GLOBAL {limit} = {SMALL}")
        pair.a.script("UPDATE t SET n = 1", "INSERT INTO t VALUES (5, 'flows', 1)", db=database)
        pair.a.script("DELETE FROM t WHERE id = 4", db=database)
        product_.until_in_sync(codes=(1,))
        assert numbers(pair.b) == [(1, 1, 1), (2, 0, 2 * SMALL), (3, 0, 2 * SMALL), (5, 1, 5)]
        pair.b.script(
            "UPDATE t SET n = 7 WHERE id = 3", "UPDATE t SET n = 7 WHERE id = 5", db=database
        )
        product_.until_in_sync(codes=(1,))  # started again, it is no other
        assert numbers(pair.a) == [(1, 1, 1), (2, 1, 2 * SMALL), (3, 1, 2 * SMALL), (5, 7, 5)]
        listed = syncer(
            "conflicts", "list", "--ledger", product_.ledger, "--json", cwd=product_.folder
        )
        held = [one for one in listed.must(1).document()["conflicts"] if one["status"] == "held"]
        assert {tuple(one["entry"]["key"]) for one in held} == {("2",), ("3",)}
        for one in held:
            assert one["entry"]["kind"] == "apply_error"
            words = f"a row of {database}.t, key (id), is larger than max_allowed_packet of side b"
            assert one["entry"]["note"].startswith(words)
    finally:
        pair.b.query(f"SET GLOBAL {limit} = {before}")
    for one in held:
        resolve = (
            "conflicts",
            "resolve",
            one["conflict_id"],
            "--take",
            "a",
            "--ledger",
            product_.ledger,
        )
        syncer(*resolve, cwd=product_.folder).must(0, 1)
    product_.until_in_sync()
    assert numbers(pair.a) == numbers(pair.b)
    assert numbers(pair.a) == [(1, 1, 1), (2, 1, 2 * SMALL), (3, 1, 2 * SMALL), (5, 7, 5)]


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_rows_of_32_megabytes_wait_for_the_smaller_side_and_then_arrive_whole(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """Either side may be the small one; a document above its own server's limit is held too, never called equal to NULL."""
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB, n INT)",
        "CREATE TABLE j (id INT PRIMARY KEY, d JSON, n INT)",
        db=database,
    )
    document = f"""CONCAT('{{"a": "', REPEAT('y', {2 * SMALL}), '"}}')"""
    pair.a.script(f"INSERT INTO j VALUES (1, {document}, 0)", db=database)
    pair.b.script("INSERT INTO j VALUES (1, NULL, 0)", db=database)
    synced = product("--rule", "prefer:a")
    limit = "max_allowed_packet"
    before = [server.query(f"SELECT @@GLOBAL.{limit}")[0][0] for server in pair.sides]
    held: dict[str, str] = {}

    def listed() -> dict[str, str]:
        found = syncer("conflicts", "list", "--ledger", synced.ledger, cwd=synced.folder)
        return {
            line.split()[0]: line
            for line in found.must(1).stdout.splitlines()
            if "apply_error" in line
        }

    try:
        for small, large, side in ((pair.a, pair.b, "a"), (pair.b, pair.a, "b")):
            small.query(f"SET GLOBAL {limit} = {SMALL}")
            large.query(f"SET GLOBAL {limit} = {4 * LARGE}")
            row = "ab".index(side)
            large.script(
                f"INSERT INTO t VALUES ({row}, REPEAT(X'0027F0FF', {LARGE // 4}), 0), ({row + 5}, 'x', 0)",
                db=database,
            )
            synced.until_in_sync(codes=(1,))
            assert (row + 5,) in small.query(f"SELECT id FROM {database}.t")
            assert (row,) not in small.query(f"SELECT id FROM {database}.t")
            held = listed()
            assert any(f" {row} " in line for line in held.values())
    finally:
        for server, size in zip(pair.sides, before, strict=True):
            server.query(f"SET GLOBAL {limit} = {4 * LARGE if held else size}")
    try:
        assert sorted(line.split()[6] for line in held.values()) == ["0", "1", "1"]
        for number in held:
            resolve = ("conflicts", "resolve", number, "--take", "a", "--ledger", synced.ledger)
            syncer(*resolve, cwd=synced.folder).must(0, 1)
        synced.until_in_sync()
    finally:
        for server, size in zip(pair.sides, before, strict=True):
            server.query(f"SET GLOBAL {limit} = {size}")
    sums = [
        server.query(f"SELECT id, SHA2(b, 256), LENGTH(b) FROM {database}.t ORDER BY id")
        for server in pair.sides
    ]
    assert sums[0] == sums[1]
    assert [row[2] for row in sums[0]] == [LARGE, LARGE, 1, 1]
    for server in pair.sides:
        assert server.query(f"SELECT LENGTH(d) > {2 * SMALL} FROM {database}.j") == [(1,)]


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
@pytest.mark.parametrize(
    "key", ["VARBINARY(400)", "VARCHAR(400) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"]
)
@pytest.mark.usefixtures("quiet")
def test_keys_that_are_together_above_a_packet_are_read_and_written_in_parts(
    pair, database, product, key
):
    """Those that travel together, and under a collation that folds those that are decided one by one."""
    rows = 4000
    before = {
        server: server.query("SELECT @@GLOBAL.max_allowed_packet")[0][0] for server in pair.sides
    }
    pair.script(f"CREATE TABLE t (id {key} PRIMARY KEY, n INT)", db=database)
    for at in range(0, rows, 500):
        values = ",".join(f"(RPAD('{i:06d}', 400, 'x'), {i})" for i in range(at, at + 500))
        pair.script(f"INSERT INTO t VALUES {values}", db=database)
    kept = product()
    try:
        pair.script("SET GLOBAL max_allowed_packet = 1048576")
        inside = Inside(kept, engine={"threads": 4})
        try:
            kept.settled()
            pair.a.script("UPDATE t SET n = n + 1000", db=database)
            kept.settled()
            pair.b.script("DELETE FROM t WHERE n % 2 = 0", db=database)
            kept.settled()
        finally:
            inside.end()
    finally:
        for server, most in before.items():
            server.query(f"SET GLOBAL max_allowed_packet = {most}")
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert len(found["t"][0]) == rows // 2
    assert kept.conflicts() == []


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_rows_that_are_together_above_a_packet_are_read_one_by_one(pair, database, product):
    """Their text is cut off by the server, with no more than a warning; and one row that has no image has no text at all."""
    limit = "max_allowed_packet"
    before = [server.query(f"SELECT @@GLOBAL.{limit}")[0][0] for server in pair.sides]
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, b MEDIUMBLOB, n INT NOT NULL)",
        "CREATE TABLE small (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO small VALUES (1, 0), (2, 0)",
        f"INSERT INTO t VALUES {','.join(f'({i}, NULL, 0)' for i in range(40))}",
        db=database,
    )
    kept = product()
    kept.until_in_sync()
    try:
        pair.script(f"SET GLOBAL {limit} = {SMALL}")
        pair.a.script(
            "UPDATE t SET b = REPEAT(CHAR(id), 60000), n = id",
            "UPDATE small SET n = 1",
            db=database,
        )
        report = kept.until_in_sync()
    finally:
        for server, size in zip(pair.sides, before, strict=True):
            server.query(f"SET GLOBAL {limit} = {size}")
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert report["last"]["b"]["applied_updates"] == 42
    assert kept.conflicts() == []
