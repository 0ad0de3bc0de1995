"""No password and no row value in logs and errors, and no password in the ledger, whatever goes wrong."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.integration.harness import syncer, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.provision import Pair
    from tests.integration.harness import Product

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.parametrize("pair", ["mixed"], indirect=True),
]
PASSWORD = "pw/s3nt@inel:7f"
ROW = "r0w-sent1nel"


def shows(text: str) -> list[str]:
    """Give what of the secrets is in *text*, in the spellings that they may have there."""
    hexed = ROW.encode().hex()
    spelt = (PASSWORD, quote(PASSWORD, safe=""), repr(PASSWORD.encode())[2:-1], ROW, hexed)
    return [secret for secret in spelt if secret.lower() in text.lower()]


def test_a_run_in_trouble_tells_neither_passwords_nor_rows(
    pair: Pair, database: str, make_product: Callable[..., Product], tmp_path: Path
) -> None:
    """A held conflict, a unique clash, a refusing trigger, a statement in the stream, cut connections."""
    user = f"s_{database[-6:]}"
    table = f"{database}.t"
    pair.script(
        f"CREATE TABLE {table} (k varchar(40) PRIMARY KEY, v varchar(60), u varchar(60) UNIQUE)",
        f"CREATE USER {user}@'%' IDENTIFIED BY '{PASSWORD}'",
        f"GRANT ALL ON *.* TO {user}@'%'",
    )
    pair.b.script(
        f"CREATE TRIGGER {database}.r BEFORE INSERT ON {table} FOR EACH ROW BEGIN IF NEW.v LIKE '%refuse' THEN"
        f" SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{ROW} is refused'; END IF; END"
    )
    pair.a.script(
        *(f"INSERT INTO {table} VALUES ('{ROW}{n}', '{ROW}', '{ROW}{n}')" for n in range(3))
    )
    config = tmp_path / "quick.toml"
    config.write_text("[engine]\nretry_limit = 1\n")
    product = make_product(pair, "-c", config, tables=f"{database}.*")
    product.urls = tuple(server.url(user, PASSWORD) for server in pair.sides)
    try:
        running = product.start("--log-level", "debug")
        product.until_equal(database)
        running.pause()
        for server in pair.sides:
            server.script(f"UPDATE {table} SET v = '{ROW} of {server.name}' WHERE k = '{ROW}1'")
            server.script(f"INSERT INTO {table} VALUES ('{ROW}{server.name}', '{ROW}', '{ROW}u')")
        pair.a.script(f"INSERT INTO {table} VALUES ('{ROW}x', '{ROW} refuse', NULL)")
        running.resume()
        wait_until(
            "held rows of each kind",
            lambda: (
                {entry.kind for entry in product.conflicts("held")}
                >= {"update_update", "unique_violation", "apply_error"},
                running,
            ),
        )
        pair.a.script(
            "SET SESSION binlog_format = 'STATEMENT'",
            f"UPDATE {table} SET v = '{ROW} by statement' WHERE k = '{ROW}2'",
        )
        running.wait_event("the statement", lambda event: event["event"] == "stream.table_marked")
        for server in pair.sides:
            ours = server.query(
                "SELECT id FROM information_schema.processlist WHERE user = %s", [user]
            )
            for (session,) in ours:
                server.script(f"KILL {session}")
        running.wait_event("a cut", lambda event: event["event"] == "stream.interrupted")
        wait_until(
            "the statement's row",
            lambda: (
                pair.b.query(f"SELECT v FROM {table} WHERE k = '{ROW}2'")
                == [(f"{ROW} by statement",)],
                running,
            ),
        )
        files = {path.name: path.read_bytes() for path in product.folder.glob("ledger.db*")}
        stopped = running.stop().must(1)
        assert len(stopped.stderr) > 2000
        assert shows(stopped.stderr + stopped.stdout) == []
        assert {"ledger.db", "ledger.db-wal"} <= files.keys()
        for content in (*files.values(), product.ledger.read_bytes()):
            assert PASSWORD.encode() not in content
            assert quote(PASSWORD, safe="").encode() not in content
        console = product("run", "--once", "--log-level", "debug", "--log-format", "console")
        assert shows(console.stderr + console.stdout) == []
    finally:
        pair.script(f"DROP USER {user}")


@pytest.mark.parametrize("style", ["console", "json"])
def test_whoever_is_not_let_in_sees_no_password(pair: Pair, tmp_path: Path, style: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    wrong = pair.b.url(password=PASSWORD)
    words = ("--tables", "x.*", "--log-level", "debug", "--log-format", style, "--ledger", "l.db")
    for command in ("check", "run", "verify"):
        for url, code in (
            (wrong, 3),
            (f"{wrong}?ssl-mode=verify-identity", 3),
            (f"mysql://u:{quote(PASSWORD, safe='')}@127.0.0.1:{closed}", 4),
        ):
            done = syncer(command, pair.a.url(), url, *words, cwd=tmp_path).must(code)
            assert "side b" in done.stderr
            assert shows(done.stderr + done.stdout) == []
            assert pair.a.password not in done.stderr + done.stdout
