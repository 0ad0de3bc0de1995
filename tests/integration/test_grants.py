"""The accounts of docs/grants.md, statement by statement: each does its work, and preflight has nothing to say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from syncer.core.side import Side
from syncer.mysql import introspect
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text
from syncer.mysql.preflight import check_side
from tests.integration.harness import REPOSITORY, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.endpoint import Endpoint
    from testbed.provision import Pair
    from tests.integration.harness import Product

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.parametrize("pair", ["mixed"], indirect=True),
]
PASSWORD = "grants-pw-1"
BOTH, SOURCE, VERIFY = (
    "Two-way, and the target of a one-way run",
    "Source of a one-way run",
    "Verify only",
)
ABOUT_GRANTS = {"grant_missing", "replication_unknown", "read_only"}


def documented(use: str, flavor: str) -> list[str]:
    text = (REPOSITORY / "docs" / "grants.md").read_text()
    section = text.partition(f"## {use}\n")[2].partition("\n## ")[0]
    label = {"mysql": "MySQL", "mariadb": "MariaDB"}[flavor]
    found = re.findall(
        rf"^[\w ]*\b{label}\b[\w ]*:\n```sql\n(.*?)```", section, re.MULTILINE | re.DOTALL
    )
    assert len(found) == 1, f"{use}, {label}"
    return [line.removesuffix(";") for line in found[0].splitlines()]


@pytest.fixture
def name(pair: Pair, database: str) -> Iterator[str]:
    """Give the name of accounts that end with the test; nothing of ours is on the servers yet."""
    name = f"g_{database[-6:]}"
    pair.script("DROP DATABASE IF EXISTS syncer")
    yield name
    pair.script(f"DROP USER IF EXISTS {name}")


def grant(server: Endpoint, use: str, name: str, database: str) -> str:
    """Create the account of the document; give its URL."""
    for statement in documented(use, server.flavor):
        account = statement.replace("'syncer'@", f"'{name}'@").replace("'...'", f"'{PASSWORD}'")
        server.script(account.replace("shop.*", f"{database}.*"))
    return server.url(name, PASSWORD)


def about_grants(done) -> list[str]:
    findings = done.document()["findings"]
    return [f["message"] for f in findings if f["code"] in ABOUT_GRANTS]


@pytest.mark.parametrize(
    ("direction", "uses"),
    [("both", (BOTH, BOTH)), ("a-to-b", (SOURCE, BOTH)), ("b-to-a", (BOTH, SOURCE))],
)
def test_an_account_with_the_documented_grants_does_its_work(
    pair: Pair,
    database: str,
    name: str,
    make_product: Callable[..., Product],
    direction: str,
    uses: tuple[str, str],
) -> None:
    pair.script(
        f"CREATE TABLE {database}.p (id int PRIMARY KEY, v varchar(20), UNIQUE KEY (v))",
        f"CREATE TABLE {database}.c (id int PRIMARY KEY, p int,"
        f" FOREIGN KEY (p) REFERENCES {database}.p (id) ON DELETE CASCADE)",
    )
    product = make_product(pair, "--direction", direction, tables=f"{database}.*")
    product.urls = tuple(
        grant(server, use, name, database) for server, use in zip(pair.sides, uses, strict=True)
    )
    source = pair.b if direction == "b-to-a" else pair.a
    others = [server for server in pair.sides if direction == "both" or server is source]
    source.script(
        f"INSERT INTO {database}.p VALUES (1, 'one'), (2, 'two'), (3, 'three')",
        f"INSERT INTO {database}.c VALUES (1, 1), (2, 2)",
    )
    assert about_grants(product("check", "--json")) == []
    running = product.start()
    product.until_equal(database)
    for at, server in enumerate(others):
        first = 10 * (at + 1)
        server.script(
            f"INSERT INTO {database}.p VALUES ({first}, 'new {first}')",
            f"INSERT INTO {database}.c VALUES ({first}, {first})",
            f"UPDATE {database}.p SET v = 'changed {at}' WHERE id = 3 - {at}",
        )
    others[-1].script(f"DELETE FROM {database}.p WHERE id = 1")
    product.until_equal(database)
    assert pair.a.query(f"SELECT count(*) FROM {database}.c WHERE id = 1") == [(0,)]
    targets = [server for server, use in zip(pair.sides, uses, strict=True) if use == BOTH]
    for server in targets:
        wait_until(
            "a heartbeat",
            lambda server=server: (
                bool(server.query("SELECT 1 FROM syncer.heartbeat WHERE beat <> ''")),
                running,
            ),
        )
    stopped = running.stop().must(0)
    assert "heartbeat.refused" not in stopped.stderr
    # CREATE may go once the tables are there.
    pair.script(f"REVOKE CREATE ON syncer.* FROM '{name}'@'%'")
    if direction != "both":
        source.script(f"INSERT INTO {database}.p VALUES (99, 'more')")
    product.until_in_sync()
    assert about_grants(product("check", "--json")) == []
    pair.b.script(f"REVOKE REPLICA MONITOR ON *.* FROM '{name}'@'%'")
    [unknown] = about_grants(product("check", "--json"))
    assert "whether it replicates from the other side cannot be seen" in unknown
    fixes = {f["code"]: f["fix"] for f in product("check", "--json").document()["findings"]}
    pair.b.script(fixes["replication_unknown"])
    assert about_grants(product("check", "--json")) == []
    for side, url in zip(Side, product.urls, strict=True):
        with Session.open(from_text(url), side, purpose="test") as session:
            session.begin()
            session.query(f"SELECT * FROM {database}.p WHERE id = 2 FOR UPDATE")


def test_an_account_that_may_only_read_verifies(
    pair: Pair, database: str, name: str, make_product: Callable[..., Product]
) -> None:
    pair.script(f"CREATE TABLE {database}.p (id int PRIMARY KEY, v varchar(20))")
    pair.script(f"INSERT INTO {database}.p VALUES (1, 'one'), (2, 'two')")
    product = make_product(pair, tables=f"{database}.*")
    product.urls = tuple(grant(server, VERIFY, name, database) for server in pair.sides)
    pair.script("SET GLOBAL read_only = ON")
    try:
        assert product("verify", "--json").must(0).document()["equal"] is True
    finally:
        pair.script("SET GLOBAL read_only = OFF")
    pair.b.script(f"UPDATE {database}.p SET v = 'other' WHERE id = 2")
    assert product("verify", "--json").must(1).document()["tables"][0]["differing"] == 1
    refused = product("run", "--until-in-sync").must(3)
    assert "REPLICATION SLAVE" in refused.stderr


@pytest.mark.parametrize("side", list(Side))
def test_a_source_that_reads_no_more_than_rows_or_is_read_only_is_refused_with_the_way_out(
    pair: Pair, database: str, name: str, side: Side
) -> None:
    server = pair.a if side is Side.A else pair.b
    server.script(f"CREATE TABLE {database}.p (id int PRIMARY KEY)")
    url = grant(server, SOURCE, name, database)

    def found(*, beats: bool = False) -> list[tuple[str, str, str]]:
        with Session.open(from_text(url), side, purpose="check") as session:
            tables = introspect.load_schemas(session, databases=[database])
            findings = check_side(session, tables, target=False, beats=beats)
            return [(f.code, f.level, f.fix) for f in findings if f.code in ABOUT_GRANTS]

    assert found() == []
    more = "LOCK TABLES" if server.flavor == "mysql" else "REFERENCES"
    server.script(f"REVOKE {more} ON {database}.* FROM '{name}'@'%'")
    [(code, level, fix)] = found()
    assert (code, level) == ("grant_missing", "error")
    assert more in fix
    server.script(fix)
    assert found() == []
    server.script("SET GLOBAL read_only = ON")
    try:
        [(code, level, fix)] = found()
        assert (code, level) == ("read_only", "error")
        server.script(fix.rpartition(" or ")[2])
        assert found() == []
        if server.flavor == "mysql":
            server.script("SET GLOBAL super_read_only = ON")
            [(code, _, fix)] = found()
            assert (code, "one-way" in fix, "GRANT" in fix) == ("read_only", False, False)
            server.script(fix.partition(";")[0])
            assert found() == []
    finally:
        if server.flavor == "mysql":
            server.script("SET GLOBAL super_read_only = OFF")
        server.script("SET GLOBAL read_only = OFF")
    server.script("CREATE DATABASE syncer", "CREATE TABLE syncer.marker (id int)")
    server.script(f"REVOKE CREATE ON syncer.* FROM '{name}'@'%'")
    assert found() == []
    [(code, level, fix)] = found(beats=True)
    assert (code, level) == ("grant_missing", "warning")
    server.script(fix, "DROP DATABASE syncer")
    assert found(beats=True) == []
