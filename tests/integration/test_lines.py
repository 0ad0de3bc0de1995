"""Copied rows travel as lines where the target loads some: exactly as by INSERT, never over a row, and never a file."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from syncer.core.side import Side
from syncer.errors import StatementRefused, TransientDatabaseError
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text
from syncer.service.probes import Moment
from testbed import oracle
from tests.integration.harness import wait_until
from tests.integration.inside import Inside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.endpoint import Endpoint

ROWS = 600
TEXTS = (
    "plain", "it''s", "a),(b", "a,'',b", "\\\\N", "NULL", "\\\\", "\\\\'',''", "tab\\tbreak\\nreturn\\rnul\\0sub\\Z", "emoji 🐬", "", "''",
    "\\n", "x''41''", '"',
)  # fmt: skip
KINDS = {
    "id": ("INT UNSIGNED PRIMARY KEY", "{i}"),
    "text": ("VARCHAR(80)", "'{text}'"),
    "latin": ("VARCHAR(80) CHARACTER SET latin1", "'é{i}'"),
    "long_text": ("MEDIUMTEXT", "IF({i}%3,CONCAT('{text}',REPEAT('ü\\n',{i})),NULL)"),
    "raw": ("VARBINARY(80)", "IF({i}%4,CONCAT(X'00FF0A275C',{i}),NULL)"),
    "fixed": ("BINARY(16) NOT NULL", "LEFT(UNHEX(SHA2({i},256)),16)"),
    "large": ("BLOB", "IF({i}%5,REPEAT(X'5C0A',{i}),'')"),
    "bits": ("BIT(64)", "IF({i}%6,18446744073709551615-{i},NULL)"),
    "tiny": ("TINYINT", "-{i}%100"),
    "most": ("BIGINT UNSIGNED", "18446744073709551615-{i}"),
    "filled": ("INT(8) ZEROFILL", "{i}"),
    "amount": ("DECIMAL(30,10)", "-{i}.0000000001"),
    "single": ("FLOAT", "{i}/7"),
    "real_one": ("DOUBLE", "{i}e{power}/7"),
    "day": ("DATE", "IF({i}%7,'2024-02-29','0000-00-00')"),
    "at": ("DATETIME(6)", "'2024-02-29 10:00:00.{i:06d}'"),
    "stamp": ("TIMESTAMP(3) NULL", "IF({i}%8,'2024-03-31 01:30:00.123',NULL)"),
    "span": ("TIME(2)", "'-{i}:59:59.99'"),
    "born": ("YEAR", "IF({i}%9,1999,0)"),
    "one_of": ("ENUM('a','b''c','1')", "IF({i}%10,1+{i}%3,0)"),
    "some_of": ("SET('x','y','w')", "{i}%4"),
    "document": ("JSON", "IF({i}%11,JSON_OBJECT('k','\"{i}\\n\"'),NULL)"),
    "place": ("POINT", "IF({i}%12,ST_GeomFromText('POINT({i} -1.5)'),NULL)"),
}


def create(server: Endpoint, database: str) -> None:
    columns = ",".join(f"{name} {declared}" for name, (declared, _) in KINDS.items())
    server.script(f"CREATE TABLE kinds ({columns}) DEFAULT CHARSET utf8mb4", db=database)


def fill(server: Endpoint, database: str) -> None:
    def row(i: int) -> str:
        facts = {"i": i, "text": TEXTS[i % len(TEXTS)], "power": i % 40 - 20}
        return "(" + ",".join(value.format(**facts) for _, value in KINDS.values()) + ")"

    for start in range(0, ROWS, 100):
        rows = ",".join(map(row, range(start, start + 100)))
        server.script(
            "SET sql_mode='ALLOW_INVALID_DATES'", f"INSERT INTO kinds VALUES {rows}", db=database
        )


@contextlib.contextmanager
def local_infile(server: Endpoint, value: str) -> Iterator[None]:
    [(before,)] = server.query("SELECT @@GLOBAL.local_infile")
    server.query(f"SET GLOBAL local_infile = {value}")
    try:
        yield
    finally:
        server.query(f"SET GLOBAL local_infile = {before}")


def count_of(server: Endpoint, statement: str) -> int:
    [(_, count)] = server.query(f"SHOW GLOBAL STATUS LIKE 'Com_{statement}'")
    return int(count)


@pytest.mark.parametrize("value", ["ON", "OFF"])
def test_every_kind_of_value_arrives_as_it_was(pair, database, product, value):
    for server in pair.sides:
        create(server, database)
    fill(pair.a, database)
    before = oracle.read_table(pair.a, database, "kinds")
    with local_infile(pair.b, value):
        loaded = count_of(pair.b, "load")
        running = product().start("--until-in-sync", "--log-level", "debug")
        running.wait().must(0)
        loaded = count_of(pair.b, "load") - loaded
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert oracle.read_table(pair.b, database, "kinds") == before
    assert (loaded > 0) == (value == "ON")
    events = [event.get("event") for event in running.events()]
    assert "range.refused" not in events, "no line was refused"


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_rows_that_are_inserted_go_in_short_statements(pair, database, product):
    """Long ones cost the target more (``applier.INSERT_BYTES``); where a value looks like the end of a row they stay whole."""
    texts = {"plain": "REPEAT('x', 1900)", "lists": "REPEAT('),(', 125)"}
    for server in pair.sides:
        for table in texts:
            server.script(
                f"CREATE TABLE {table} (id INT PRIMARY KEY, v VARCHAR(2000))", db=database
            )
    for table, text in texts.items():
        pair.a.script(
            f"INSERT INTO {table} WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 900)"
            f" SELECT id, CONCAT(id, {text}) FROM n",
            db=database,
        )
    with local_infile(pair.b, "OFF"):
        before = count_of(pair.b, "insert")
        product().until_in_sync()
        statements = count_of(pair.b, "insert") - before
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert statements >= 900 * 1900 // (100 << 10), "two and a few of our own where none is divided"


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
@pytest.mark.parametrize("same", [False, True])
def test_a_row_that_comes_meanwhile_is_never_passed_over(pair, database, product, quiet, same):
    """INV-9: lines skip a row that is there, where an INSERT fails; what stands there is decided by itself."""
    for server in pair.sides:
        server.script("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))", db=database)
    pair.a.script("INSERT INTO t VALUES (1,'one'),(2,'two'),(3,'three')", db=database)
    met = []

    def probe(moment: Moment, side: Side | None) -> None:
        if moment is Moment.APPLY_BEFORE and side is Side.B and not met:
            met.append(side)
            value = "two" if same else "theirs"
            pair.b.script(f"INSERT INTO t VALUES (2,'{value}')", db=database)

    with local_infile(pair.b, "ON"):
        syncer = product()
        inside = Inside(syncer, probe=probe)
        try:
            wait_until("all is decided", lambda: decided(syncer, met))
        finally:
            inside.end()
    # An insert that was logged counts for more than a row that no stream told of (INV-7).
    rows = [(1, "one"), (2, "two" if same else "theirs"), (3, "three")]
    for server in pair.sides:
        assert server.query(f"SELECT * FROM {database}.t ORDER BY id") == rows


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_where_lines_never_get_through_rows_are_inserted(
    pair, database, product, quiet, monkeypatch
):
    """Something between us and the server ends the connection whenever lines are sent."""
    for server in pair.sides:
        server.script("CREATE TABLE t (id INT PRIMARY KEY)", db=database)
    pair.a.script("INSERT INTO t VALUES (1),(2),(3)", db=database)
    tried = []

    def lost(session: Session, sql: str, _lines: bytes) -> int:
        tried.append(sql)
        session.close()
        raise TransientDatabaseError(f"{session.where}: the connection was lost")

    monkeypatch.setattr(Session, "load", lost)
    syncer = product()
    inside = Inside(syncer)
    try:
        wait_until("all is copied", lambda: decided(syncer, tried))
    finally:
        inside.end()
    assert len(tried) == 3
    assert pair.b.query(f"SELECT id FROM {database}.t ORDER BY id") == [(1,), (2,), (3,)]


def decided(syncer, met):
    if not met:
        return False, "nothing was sent"
    summary = syncer.status()["summary"]
    return summary["spans"] == summary["keys"] == 0, summary


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_a_server_that_asks_for_a_file_gets_none(pair, database, tmp_path):
    """Whoever answers may ask for any file, after any statement."""
    pair.b.script("CREATE TABLE t (line VARCHAR(200))", db=database)
    secret = tmp_path / "secret"
    secret.write_text("secret\n")
    sql = f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE {database}.t"
    with (
        local_infile(pair.b, "ON"),
        Session.open(from_text(pair.b.url()), Side.B, purpose="apply") as session,
    ):
        assert session.takes_lines
        with pytest.raises(StatementRefused, match="asked for a file"):
            session.execute(sql)
        assert session.query(f"SELECT * FROM {database}.t") == []
        assert session.load(sql, b"given\n" * 200_000) == 200_000, "the next statement goes well"
        assert session.query(f"SELECT DISTINCT line FROM {database}.t") == [("given",)]
        with pytest.raises(StatementRefused):
            session.load("SELECT * FROM missing", b"left over\n")
        with pytest.raises(StatementRefused, match="asked for a file"):
            session.execute(sql)
