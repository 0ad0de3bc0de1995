"""The tailer against real servers of both flavours; the oracle is a SELECT, never our own decoder."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from syncer.binlog import StreamEndpoint, TableLayout, Tailer
from syncer.clock import SystemClock
from syncer.core import key as core_key
from syncer.core.mark import KeyMark, Reason
from syncer.core.position import Coordinate, GtidSet, StreamPosition
from syncer.core.record import OPEN_BRANCH, BatchItem, TransactionRecord, whole
from syncer.core.schema import Column, TableName, TableSchema
from syncer.core.side import Side
from syncer.errors import (
    PositionLost,
    ServerChanged,
    StatementRefused,
    StreamInterrupted,
    SyncerError,
    UnsupportedEvent,
)
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text, parse_url
from syncer.mysql.introspect import load_schemas
from syncer.service.history import Standing, examine, goes_on_at_coordinate

pytestmark = pytest.mark.timeout(120)
FLAVORS = ("mysql", "mariadb")


class Store:
    def __init__(self) -> None:
        self.records: list[TransactionRecord] = []
        self.positions: list[StreamPosition] = []
        self.spilled: list[KeyMark] = []
        self.parts: list[list[KeyMark]] = []
        self.batches: dict[int, tuple[BatchItem, ...]] = {}

    def record(self, side: Side, records: Any, position: StreamPosition) -> None:
        assert not records or records[-1].seq == position.seq
        self.records += map(whole, records)
        self.positions.append(position)

    def spill(self, side: Side, marks: Any, lookups: Any = ()) -> None:
        self.spilled += marks

    def spill_branch(self, side: Side, marks: Any, lookups: Any, *, first: bool) -> None:
        self.parts = [*([] if first else self.parts), list(marks)]

    def batch_items(self, side: Side, batch_id: int) -> tuple[BatchItem, ...] | None:
        return self.batches.get(batch_id)


class Layouts:
    def __init__(self) -> None:
        self.found: dict[tuple[str, str], TableLayout] = {}

    def __call__(self, database: str, table: str) -> TableLayout | None:
        return self.found.get((database, table))

    def tables(self) -> list[tuple[int, TableName]]:
        return [(layout.table_id, TableName(*name)) for name, layout in self.found.items()]


COLUMNS = """
SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE,
       DATETIME_PRECISION, CHARACTER_SET_NAME, COLLATION_NAME
FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ORDINAL_POSITION
"""


def introspect(server: Any, database: str, table: str) -> TableSchema:
    columns = []
    for at, row in enumerate(server.query(COLUMNS, (database, table))):
        name, kind, full, nullable, length, precision, scale, fraction, charset, collation = row
        kind, full = kind.lower(), full.lower()
        members = (
            tuple(full[full.index("(") + 1 : full.rindex(")")].replace("'", "").split(","))
            if kind in {"enum", "set"}
            else ()
        )
        columns.append(
            Column(
                name=name, position=at, data_type=kind, column_type=full, nullable=nullable == "YES",
                unsigned="unsigned" in full, length=precision if kind == "bit" else length or 0,
                precision=precision or 0 if kind == "decimal" else 0, scale=scale or 0 if kind == "decimal" else 0,
                fraction=fraction or 0, charset=charset, collation=collation, members=members,
            )
        )  # fmt: skip
    key = server.query(
        "SELECT COLUMN_NAME FROM information_schema.key_column_usage WHERE constraint_name = 'PRIMARY'"
        " AND table_schema = %s AND table_name = %s ORDER BY ORDINAL_POSITION",
        (database, table),
    )
    return TableSchema(
        name=TableName(database, table),
        engine="InnoDB",
        columns=tuple(columns),
        key=tuple(row[0] for row in key),
    )


def status(server: Any) -> tuple[str, int]:
    what = "BINARY LOG" if server.flavor == "mysql" else "MASTER"
    return server.query(f"SHOW {what} STATUS")[0][:2]


def here(server: Any) -> StreamPosition:
    if server.flavor == "mysql":
        identity, gtids = server.query("SELECT @@server_uuid, @@global.gtid_executed")[0]
    else:
        identity, gtids = server.query("SELECT @@server_id, @@global.gtid_binlog_pos")[0]
    file, offset = status(server)
    return StreamPosition(
        server=str(identity), gtids=gtids.replace("\n", ""), file=file, offset=offset, seq=0
    )


class Rig:
    """A tailer on a server, its store, and tables in scope."""

    def __init__(self, server: Any, database: str) -> None:
        self.server, self.database = server, database
        self.store, self.layouts = Store(), Layouts()
        self.changed: list[TableName] = []
        self.tailer: Tailer | None = None
        self.never = threading.Event()

    def sql(self, *statements: str) -> None:
        with (
            self.server.connect(database=self.database) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)

    def scope(self, table: str, database: str | None = None) -> TableLayout:
        database = database or self.database
        layout = TableLayout(len(self.layouts.found) + 1, introspect(self.server, database, table))
        self.layouts.found[database, table] = layout
        return layout

    def start(
        self,
        position: StreamPosition | None = None,
        *,
        by_file: bool = False,
        exact_from: Coordinate | None = None,
        **changes: Any,
    ) -> Tailer:
        endpoint = {
            "host": self.server.host, "port": self.server.port, "user": "root", "password": self.server.password,
        } | changes  # fmt: skip
        self.tailer = Tailer(
            Side.A, StreamEndpoint(**endpoint), self.server.flavor, position or here(self.server), self.store,
            self.layouts, "pair", 9_100, SystemClock(), structlog.get_logger(), lambda _, name: self.changed.append(name),
            by_file=by_file, exact_from=exact_from,
        )  # fmt: skip
        self.tailer.start()
        return self.tailer

    def sync(self, timeout_s: float = 20) -> None:
        assert self.tailer
        end = Coordinate.parse(*status(self.server))
        assert self.tailer.progress.wait_until(end, timeout_s, self.never), (
            self.tailer.progress.snapshot()
        )

    def take(self) -> list[TransactionRecord]:
        """What was recorded since, without the transactions that concern nothing."""
        self.sync()
        taken, self.store.records = self.store.records, []
        return [
            record
            for record in taken
            if record.marks or record.spans or record.erase or record.batch_id
        ]

    def stop(self) -> None:
        if self.tailer:
            self.tailer.stop()
            assert self.tailer.join(10)


def unrolled(mark: KeyMark) -> Any:
    """The keys of a mark."""
    if isinstance(mark.low, int):
        return range(mark.low, int(mark.high) + 1, mark.step)
    return [mark.low]


def expand(record: TransactionRecord, layout: TableLayout) -> dict[core_key.Key, str]:
    """Key to its history, runs unrolled."""
    found: dict[core_key.Key, str] = {}
    for mark in record.marks:
        if mark.table_id == layout.table_id:
            for stored in unrolled(mark):
                key = core_key.decode(stored, unsigned=layout.schema.unsigned_key)
                found[key] = mark.touch.first_op + mark.touch.last_op
    return found


def spans(record: TransactionRecord) -> set[tuple[int, Reason]]:
    return {(span.table_id, span.reason) for span in record.spans}


@pytest.fixture(params=FLAVORS)
def rig(request: pytest.FixtureRequest, pairs: Any) -> Iterator[Rig]:
    server = pairs[request.param].a
    name = f"t_tailer_{time.monotonic_ns() % 10**9}"
    server.query(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    made = Rig(server, name)
    yield made
    made.stop()
    server.start()
    server.query(f"DROP DATABASE `{name}`")


KEYS: dict[str, tuple[str, list[str], str, str]] = {
    # name: key columns, rows, a new value for the first column of the last row, SELECT of the key
    "int": ("a INT NOT NULL", ["-2147483648", "-1", "0", "7", "8", "9", "2147483647"], "77", "a"),
    "tiny": ("a TINYINT NOT NULL", ["-128", "-1", "0", "127"], "5", "a"),
    "small_unsigned": ("a SMALLINT UNSIGNED NOT NULL", ["1", "40000", "65535"], "5", "a"),
    "medium": ("a MEDIUMINT NOT NULL", ["-8388608", "-3", "0", "8388607"], "5", "a"),
    "medium_unsigned": ("a MEDIUMINT UNSIGNED NOT NULL", ["1", "9000000", "16777215"], "5", "a"),
    "bigint_unsigned": (
        "a BIGINT UNSIGNED NOT NULL", ["1", "9223372036854775807", "9223372036854775808", "18446744073709551615"],
        "5", "a",
    ),
    "year": ("a YEAR NOT NULL", ["0", "1901", "2155"], "2000", "a+0"),
    "bit": ("a BIT(12) NOT NULL", ["b'1'", "b'111111111111'"], "b'10'", "a+0"),
    "varchar": ("a VARCHAR(40) NOT NULL", ["'x'", "'größe €'", "'\\u00e9'", "''", "'🦭'"], "'neu'", "a"),
    "varchar_long": ("a VARCHAR(300) CHARACTER SET latin1 NOT NULL", ["REPEAT('ä', 280)", "'€ \x81'"], "'n'", "a"),
    "char": ("a CHAR(200) CHARACTER SET utf8mb4 NOT NULL", ["'x'", "REPEAT('ß', 150)"], "'neu'", "a"),
    "char_latin1": ("a CHAR(10) CHARACTER SET latin1 NOT NULL", ["'Zürich'", "''"], "'n'", "a"),
    "ascii_bin": ("a VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL", ["'a'", "'A'", "'b '"], "'n'", "CAST(a AS BINARY)"),
    "utf16": ("a VARCHAR(20) CHARACTER SET utf16 NOT NULL", ["'x'", "'🦭€'"], "'n'", "CAST(a AS BINARY)"),
    "binary16": ("a BINARY(16) NOT NULL", ["X'00'", "X'0102030405060708090A0B0C0D0E0F00'", "X'FF'"], "X'33'", "a"),
    "varbinary": ("a VARBINARY(20) NOT NULL", ["X'00'", "X'0000'", "''", "X'FFFE'"], "X'33'", "a"),
    "decimal": (
        "a DECIMAL(20,4) NOT NULL",
        ["0", "-0.0001", "1234567890123456.7891", "-9999999999999999.9999", "12.5"], "42", "CAST(a AS CHAR)",
    ),
    "decimal_short": ("a DECIMAL(3,3) NOT NULL", ["0", "-0.001", "0.999"], "0.5", "CAST(a AS CHAR)"),
    "decimal_whole": ("a DECIMAL(30,0) NOT NULL", ["0", "-1", "9" * 30], "5", "CAST(a AS CHAR)"),
    "date": ("a DATE NOT NULL", ["'1000-01-01'", "'2024-02-29'", "'9999-12-31'"], "'2000-01-01'", "CAST(a AS CHAR)"),
    "time3": (
        "a TIME(3) NOT NULL", ["'-838:59:58.999'", "'-00:00:01'", "'-00:00:00.001'", "'00:00:00'", "'838:59:59'"],
        "'01:02:03.004'", "CAST(a AS CHAR)",
    ),
    "datetime6": (
        "a DATETIME(6) NOT NULL", ["'1000-01-01 00:00:00'", "'2024-02-29 23:59:59.999999'", "'9999-12-31 23:59:59.000001'"],
        "'2000-01-01'", "CAST(a AS CHAR)",
    ),
    "datetime": ("a DATETIME NOT NULL", ["'2024-02-29 23:59:59'", "'0001-01-01 00:00:00'"], "'2000-01-01'", "CAST(a AS CHAR)"),
    "timestamp": (
        "a TIMESTAMP NOT NULL", ["'1970-01-01 00:00:01'", "'2024-02-29 23:59:59'", "'2038-01-19 03:14:07'"],
        "'2001-09-09 01:46:40'", "CAST(a AS CHAR)",
    ),
    "timestamp5": ("a TIMESTAMP(5) NOT NULL", ["'2024-03-01 00:00:00.12345'"], "'2001-09-09 01:46:40'", "CAST(a AS CHAR)"),
    "enum": ("a ENUM('red','green','blue') NOT NULL", ["'red'", "'blue'"], "'green'", "a"),
    "set": ("a SET('r','w','x') NOT NULL", ["''", "'r,x'", "'w'"], "'r,w,x'", "a"),
    "composite": (
        "a INT NOT NULL, b VARCHAR(20) NOT NULL, c BIGINT UNSIGNED NOT NULL",
        ["1, 'x', 1", "1, 'y', 18446744073709551615", "2, '', 0"], "9", "a, b, c",
    ),
}  # fmt: skip


def select_keys(rig: Rig, table: str, expression: str) -> set[core_key.Key]:
    with rig.server.connect(database=rig.database) as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"SELECT {expression} FROM {table}")
        return {
            tuple(int(v) if isinstance(v, int) else v for v in row) for row in cursor.fetchall()
        }


@pytest.mark.parametrize("image", ["FULL", "MINIMAL", "NOBLOB"])
def test_every_key_is_exactly_what_a_select_says(rig: Rig, image: str) -> None:
    """Insert, update, key change and delete of every key type, with the key first and last in the row."""
    layouts = {}
    for name, (columns, _, _, _) in KEYS.items():
        names = ", ".join(part.split()[0] for part in columns.split(", ") if part[0] in "abc")
        rig.sql(
            f"CREATE TABLE k_{name} (f1 VARCHAR(300) NULL, d1 DECIMAL(9,2) NULL, {columns}, n INT NOT NULL DEFAULT 0,"
            f" t TIME(6) NULL, x TEXT, g POINT NULL, e ENUM('p','q') NULL, j JSON, PRIMARY KEY ({names}))"
        )
        layouts[name] = rig.scope(f"k_{name}")
    rig.start()
    session = (
        "SET SESSION sql_mode = ''",
        "SET time_zone = '+00:00'",
        f"SET SESSION binlog_row_image = '{image}'",
    )
    for name, (columns, values, new, expression) in KEYS.items():
        table, layout = f"k_{name}", layouts[name]
        names = ", ".join(part.split()[0] for part in columns.split(", ") if part[0] in "abc")
        rows = ", ".join(
            f"({row}, {'NULL' if at % 2 else 'REPEAT(7, 260)'}, {'NULL' if at % 3 else '12.5'}, 'text')"
            for at, row in enumerate(values)
        )
        rig.sql(*session, f"INSERT INTO {table} ({names}, f1, d1, x) VALUES {rows}")
        keys = select_keys(rig, table, expression)
        [record] = rig.take()
        assert expand(record, layout) == dict.fromkeys(keys, "ii"), name
        rig.sql(*session, f"UPDATE {table} SET n = n + 1, t = '-01:02:03.5', j = '[1]'")
        [record] = rig.take()
        assert expand(record, layout) == dict.fromkeys(keys, "uu"), name
        rig.sql(*session, f"UPDATE {table} SET a = {new} ORDER BY a DESC LIMIT 1")
        moved = select_keys(rig, table, expression)
        [record] = rig.take()
        wanted = dict.fromkeys(keys - moved, "dd") | dict.fromkeys(moved - keys, "ii")
        assert len(wanted) == 2
        assert expand(record, layout) == wanted, name
        rig.sql(*session, f"DELETE FROM {table}")
        [record] = rig.take()
        assert expand(record, layout) == dict.fromkeys(moved, "dd"), name
        assert record.spans == ()


def test_an_idle_stream_reaches_the_end_of_the_binlog(rig: Rig) -> None:
    """Rotation, other databases' transactions and emptiness move the coordinate (INV-4)."""
    tailer = rig.start()
    rig.sync()
    for statement in (
        "FLUSH BINARY LOGS",
        "CREATE TABLE o (id INT PRIMARY KEY)",
        "INSERT INTO o VALUES (1)",
        "FLUSH BINARY LOGS",
    ):
        rig.sql(statement)
        began = time.monotonic()
        rig.sync(3)
        assert time.monotonic() - began < 1.5
    assert tailer.progress.snapshot().transactions == 2
    assert [record.seq for record in rig.store.records] == [1, 2]
    assert all(
        before.coordinate <= after.coordinate
        for before, after in zip(rig.store.positions, rig.store.positions[1:], strict=False)
    )


def test_integers_at_an_even_distance_become_runs_and_histories_fold(rig: Rig) -> None:
    rig.sql("CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, n INT)")
    layout = rig.scope("t")
    rig.start()
    rig.sql(
        "BEGIN", "INSERT INTO t VALUES (1,1),(2,2),(3,3),(4,4),(18446744073709551615,5)", "UPDATE t SET n = 9 WHERE id = 2",
        "DELETE FROM t WHERE id = 3", "INSERT INTO t VALUES (3,3)", "COMMIT",
    )  # fmt: skip
    [record] = rig.take()
    assert expand(record, layout) == {
        (1,): "ii",
        (2,): "iu",
        (3,): "ii",
        (4,): "ii",
        (2**64 - 1,): "ii",
    }
    assert [
        mark.touch.recreated
        for mark in record.marks
        if core_key.decode(mark.low, unsigned=True) == (3,)
    ] == [True]
    rig.sql(f"INSERT INTO t VALUES {', '.join(f'({100 + 2 * n}, 0)' for n in range(20))}")
    [record] = rig.take()
    [run] = record.marks
    ends = [core_key.decode(key, unsigned=True)[0] for key in (run.low, run.high)]
    assert (*ends, run.step) == (100, 138, 2)


def test_statements_and_definitions_mark_whole_tables(rig: Rig) -> None:
    rig.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT)",
        "CREATE TABLE u (id INT PRIMARY KEY)",
        "CREATE TABLE o (id INT)",
    )
    t, u = rig.scope("t").table_id, rig.scope("u").table_id
    rig.start()
    rig.sql("TRUNCATE TABLE t")
    assert [spans(record) for record in rig.take()] == [{(t, Reason.TRUNCATE)}]
    rig.sql("ALTER TABLE t ADD COLUMN extra INT")
    assert [spans(record) for record in rig.take()] == [{(t, Reason.DDL)}]
    assert rig.changed == [TableName(rig.database, "t")]
    rig.sql("INSERT INTO t VALUES (1, 1, 1)")  # the layout was not renewed: never guess
    assert [spans(record) for record in rig.take()] == [{(t, Reason.UNREADABLE)}]
    rig.layouts.found[rig.database, "t"] = TableLayout(t, introspect(rig.server, rig.database, "t"))
    rig.sql("INSERT INTO t VALUES (2, 1, 1)")
    assert [expand(record, rig.layouts(rig.database, "t")) for record in rig.take()] == [
        {(2,): "ii"}
    ]
    rig.sql("SET SESSION binlog_format = 'STATEMENT'", "UPDATE t SET n = 5 WHERE id > 0")
    assert [spans(record) for record in rig.take()] == [
        {(t, Reason.STATEMENT), (u, Reason.STATEMENT)}
    ]
    rig.sql(
        "ALTER TABLE o ADD COLUMN x INT", "DROP TABLE o", "CREATE USER IF NOT EXISTS nobody@localhost", "DROP USER nobody@localhost",
        "ANALYZE TABLE t", "CREATE VIEW v AS SELECT * FROM t", "DROP VIEW v", "CREATE TABLE t2 SELECT 1 AS a",
    )  # fmt: skip
    assert rig.take() == []
    rig.sql("RENAME TABLE u TO w")
    assert [spans(record) for record in rig.take()] == [{(u, Reason.DDL)}]


def test_partitions_swaps_loads_and_flushes(rig: Rig) -> None:
    """Whatever moves rows without naming them makes every table that it names dirty; what moves none, makes nothing dirty."""
    columns = "id INT PRIMARY KEY, n INT"
    ranges = ", ".join(f"PARTITION p{n} VALUES LESS THAN ({n}0)" for n in (1, 2, 3))
    rig.sql(
        f"CREATE TABLE t ({columns}) PARTITION BY RANGE (id) ({ranges})",
        f"CREATE TABLE u ({columns})",
        f"CREATE TABLE v ({columns})",
        "INSERT INTO t VALUES (1, 1), (11, 1), (21, 1)",
        "INSERT INTO u VALUES (12, 2)",
    )
    t, u, v = (rig.scope(name).table_id for name in "tuv")
    rig.start()
    for statement, dirty in (
        ("ALTER TABLE t TRUNCATE PARTITION p1", {t}),
        ("ALTER TABLE t EXCHANGE PARTITION p2 WITH TABLE u", {t, u}),
        ("ALTER TABLE t DROP PARTITION p3", {t}),
        ("RENAME TABLE u TO x, v TO u, x TO v", {u, v}),
    ):
        rig.sql(statement)
        marked = [{table_id for table_id, _ in spans(record)} for record in rig.take()]
        assert marked == [dirty], statement
    rig.sql(
        "FLUSH TABLES",
        "FLUSH TABLES t",
        "FLUSH BINARY LOGS",
        "FLUSH PRIVILEGES",
        "FLUSH STATUS",
        "ANALYZE TABLE t",
        "ALTER TABLE t ANALYZE PARTITION p1",
    )
    assert [span for record in rig.take() for span in spans(record) if span[0] != t] == []
    with tempfile.NamedTemporaryFile("w", suffix=".csv", dir="/tmp") as file:
        file.write("1\t1\n2\t2\n")
        file.flush()
        Path(file.name).chmod(0o644)
        rig.sql(
            f"LOAD DATA INFILE '{file.name}' INTO TABLE t",
            f"LOAD DATA INFILE '{file.name}' REPLACE INTO TABLE v",
        )
    assert [
        expand(record, rig.layouts(rig.database, name))
        for record, name in zip(rig.take(), "tv", strict=True)
    ] == [{(1,): "ii", (2,): "ii"}] * 2


def test_load_data_in_statement_format_is_a_statement(rig: Rig) -> None:
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY, n INT)", "CREATE TABLE far (id INT PRIMARY KEY)")
    t = rig.scope("t").table_id
    far = rig.scope("far").table_id
    rig.start()
    with tempfile.NamedTemporaryFile("w", suffix=".csv", dir="/tmp") as file:
        file.write("1\t1\n2\t2\n")
        file.flush()
        Path(file.name).chmod(0o644)
        rig.sql(
            "SET SESSION binlog_format = 'STATEMENT'",
            f"LOAD DATA INFILE '{file.name}' INTO TABLE t",
        )
    assert [spans(record) for record in rig.take()] == [
        {(t, Reason.STATEMENT), (far, Reason.STATEMENT)}
    ]


def canonical(position: StreamPosition) -> StreamPosition:
    gtids = position.gtids if "-" not in position.server else str(GtidSet(position.gtids))
    return msgspec.structs.replace(position, gtids=gtids, file_at=0)


def test_an_idle_connection_is_kept_alive_by_heartbeats(rig: Rig) -> None:
    tailer = rig.start()
    rig.sync()
    began = tailer.progress.snapshot()
    wait_for(
        lambda: tailer.progress.snapshot().last_event_at > began.last_event_at + 1.5,
        "no heartbeats",
        6,
    )
    assert tailer.progress.state == "connected"
    position = tailer.progress.position
    assert position.file_at
    # The server and we spell one GTID set in two ways where it has tags.
    assert canonical(position) == canonical(began.position)


def test_rows_above_sixteen_megabytes_come_in_several_packets(rig: Rig) -> None:
    rig.sql("CREATE TABLE t (v LONGBLOB, id INT PRIMARY KEY)")
    layout = rig.scope("t")
    rig.start()
    rig.sql("INSERT INTO t SELECT REPEAT('x', 40000000), 5", "DELETE FROM t WHERE id = 5")
    assert [expand(record, layout) for record in rig.take()] == [{(5,): "ii"}, {(5,): "dd"}]


@pytest.mark.parametrize("rig", ["mysql"], indirect=True)
def test_a_stream_over_tls(rig: Rig) -> None:
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    layout = rig.scope("t")
    rig.start(ssl={"check_hostname": False, "verify_mode": False})
    for number in range(20):
        rig.sql(f"INSERT INTO t VALUES ({number})")
    assert len([expand(record, layout) for record in rig.take()]) == 20
    rig.stop()


SHAPES = {
    "generated": (
        "a INT, v INT AS (a + 1) VIRTUAL, w VARCHAR(20) AS (CONCAT('x', a)) STORED, id INT NOT NULL, PRIMARY KEY (id)",
        "",
    ),
    "generated_key": (
        "a INT, v INT AS (a + 1) VIRTUAL, id INT AS (a * 2) STORED NOT NULL, b INT, UNIQUE KEY (id)",
        "mysql",
    ),
    "partitioned": (
        "id INT NOT NULL, a INT NOT NULL, PRIMARY KEY (id, a)",
        "PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (12), PARTITION p1 VALUES LESS THAN MAXVALUE)",
    ),
    "functional": (
        "a INT, id INT NOT NULL PRIMARY KEY, t VARCHAR(9), KEY ((a + 1)), KEY ((LOWER(t)))",
        "mysql",
    ),
    "invisible": ("x INT INVISIBLE, a INT, id INT NOT NULL PRIMARY KEY", ""),
    "hidden_key": ("a INT", "mysql"),
    "versioned": ("a INT, id INT NOT NULL PRIMARY KEY", "mariadb WITH SYSTEM VERSIONING"),
    "oddities": (
        "u UUID, i INET6, c VARCHAR(200) COMPRESSED, d TEXT COMPRESSED, a INT, id INT NOT NULL PRIMARY KEY",
        "mariadb",
    ),
    "vector": ("v VECTOR(3), a INT, id INT NOT NULL PRIMARY KEY", "mysql"),
}


@pytest.mark.parametrize("image", ["FULL", "MINIMAL"])
@pytest.mark.parametrize("shape", SHAPES)
def test_unusual_tables_as_the_product_knows_them(rig: Rig, shape: str, image: str) -> None:
    """Schemas as ``mysql/introspect.py`` reads them: generated, hidden, partitioned, compressed columns."""
    columns, more = SHAPES[shape]
    flavor = next((name for name in FLAVORS if more.startswith(name)), "")
    if flavor not in {"", rig.server.flavor}:
        pytest.skip(f"{flavor} only")
    hidden = (
        ("SET SESSION sql_generate_invisible_primary_key = ON",) if shape == "hidden_key" else ()
    )
    rig.sql(*hidden, f"CREATE TABLE t ({columns}) {more.removeprefix(flavor)}")
    with contextlib.closing(
        Session.open(parse_url(rig.server.url()), Side.A, purpose="test")
    ) as session:
        [schema] = load_schemas(session, databases={rig.database}).values()
    layout = rig.layouts.found[rig.database, "t"] = TableLayout(1, schema)
    rig.start()
    given = "a" if shape in {"hidden_key", "generated_key"} else "id, a"
    rows = "(10), (11), (12)" if given == "a" else "(1, 10), (2, 11), (3, 12)"
    select = f"SELECT {', '.join(schema.key)} FROM t"
    session_image = f"SET SESSION binlog_row_image = '{image}'"
    rig.sql(session_image, f"INSERT INTO t ({given}) VALUES {rows}")
    keys = set(rig.server.query(select, db=rig.database))
    [record] = rig.take()
    if shape == "versioned":  # two columns that no catalogue shows: nothing is guessed
        assert spans(record) == {(1, Reason.UNREADABLE)}
        return
    assert expand(record, layout) == dict.fromkeys(keys, "ii")
    rig.sql(session_image, "UPDATE t SET a = 50 WHERE a = 11")
    after = set(rig.server.query(select, db=rig.database))
    [record] = rig.take()
    if keys == after:
        assert set(expand(record, layout).values()) == {"uu"}
        assert len(expand(record, layout)) == 1
    else:
        assert expand(record, layout) == dict.fromkeys(keys - after, "dd") | dict.fromkeys(
            after - keys, "ii"
        )
    rig.sql(session_image, "DELETE FROM t")
    [record] = rig.take()
    assert set(expand(record, layout)) == after


def test_xa_marks_are_held_until_their_commit(rig: Rig) -> None:
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    layout = rig.scope("t")
    rig.start()
    with rig.server.connect(database=rig.database) as connection, connection.cursor() as cursor:
        for key, xid, end in (
            (1, "'a','b',7", "COMMIT"), (2, "'Ünd'", "ROLLBACK"), (3, "'one'", "COMMIT ... ONE PHASE"),
        ):  # fmt: skip
            cursor.execute(f"XA START {xid}")
            cursor.execute(f"INSERT INTO t VALUES ({key})")
            cursor.execute(f"XA END {xid}")
            if end.endswith("ONE PHASE"):
                cursor.execute(f"XA COMMIT {xid} ONE PHASE")
            else:
                cursor.execute(f"XA PREPARE {xid}")
                cursor.execute(f"XA {end} {xid}")
    rig.sync()
    prepared, committed, again, rolled_back, one = rig.store.records
    assert prepared.prepared_xid == committed.committed_xid == "X'61',X'62',7"
    assert expand(prepared, layout) == {(1,): "ii"}
    assert committed.marks == ()
    assert committed.commit_us > 0
    assert rig.tailer
    waiting, _ = rig.tailer.progress.branches
    later = {
        committed.seq: committed.committed_xid
    }  # on MariaDB it is visible later than its place says
    assert dict(waiting) == (later if rig.server.flavor == "mariadb" else {})
    assert again.prepared_xid == rolled_back.rolled_back_xid is not None
    assert one.prepared_xid is None
    assert expand(one, layout) == {(3,): "ii"}


def test_a_huge_xa_branch_is_held_in_parts(rig: Rig) -> None:
    """INV-18: nothing of it is a mark before its COMMIT, and it is not gathered in memory either."""
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    rig.scope("t")
    rig.start()
    limit = (
        "cte_max_recursion_depth" if rig.server.flavor == "mysql" else "max_recursive_iterations"
    )
    for xid, first, end in (("'p'", 0, ("XA PREPARE 'p'", "XA COMMIT 'p'")), ("'o'", 10**7, ())):
        rig.sql(
            f"SET SESSION {limit} = 200000", f"XA START {xid}",
            f"INSERT INTO t WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n + 1 FROM s WHERE n < 120000)"
            f" SELECT {first} + 19 * n FROM s", f"XA END {xid}", *(end or (f"XA COMMIT {xid} ONE PHASE",)),
        )  # fmt: skip
        rig.sync()
        ended, *committed = rig.store.records
        rig.store.records.clear()
        # MariaDB logs a branch of one phase as a transaction like any other.
        plain = not end and rig.server.flavor == "mariadb"
        parts = [rig.store.spilled] if plain else rig.store.parts
        keys = [key for part in (*parts, ended.marks) for mark in part for key in unrolled(mark)]
        assert sorted(keys) == list(range(first + 19, first + 19 * 120_000 + 1, 19))
        assert len(ended.marks) < 80_000
        assert ended.spilled is not plain
        if end:
            assert not rig.store.spilled
            assert ended.prepared_xid == committed[0].committed_xid
        else:
            assert ended.prepared_xid is None
            assert ended.committed_xid == (None if plain else OPEN_BRANCH)


MARKER = """CREATE TABLE IF NOT EXISTS syncer.marker (
  pair VARCHAR(64) CHARACTER SET ascii NOT NULL PRIMARY KEY, epoch BIGINT UNSIGNED NOT NULL, batch BIGINT UNSIGNED NOT NULL,
  kind CHAR(8) CHARACTER SET ascii NOT NULL, items MEDIUMBLOB NOT NULL, kept MEDIUMBLOB NOT NULL)"""


@pytest.mark.parametrize("image", ["FULL", "MINIMAL"])
def test_own_writes_leave_no_marks_and_triggers_do(rig: Rig, image: str) -> None:
    """INV-12, and an unknown batch turns inexact."""
    rig.sql(
        "CREATE DATABASE IF NOT EXISTS syncer", MARKER, "REPLACE INTO syncer.marker VALUES ('pair', 1, 0, 'x', '12345678', '')",
        "REPLACE INTO syncer.marker VALUES ('other', 1, 0, 'x', '12345678', ''), ('pair#12', 1, 0, 'x', '12345678', '')",
        "CREATE TABLE t (id INT PRIMARY KEY, n INT)", "CREATE TABLE log (id INT AUTO_INCREMENT PRIMARY KEY, n INT)",
        "CREATE TRIGGER copy AFTER INSERT ON t FOR EACH ROW INSERT INTO log VALUES (NEW.id, NEW.n)",
    )  # fmt: skip
    t, log = rig.scope("t"), rig.scope("log")
    # Bits 0 and 2 are written, item 1 was left out by the guard.
    rig.store.batches[5] = tuple(BatchItem(t.table_id, (key,)) for key in (10, 11, 12))
    rig.start()

    def apply(batch: int, pair: str = "pair") -> TransactionRecord:
        items = (batch.to_bytes(8, "big") + b"\x05").hex()
        rig.sql(
            f"SET SESSION binlog_row_image = '{image}'", "DELETE FROM t", "DELETE FROM log", "BEGIN",
            f"UPDATE syncer.marker SET batch = {batch}, items = X'{items}' WHERE pair = '{pair}'",
            "INSERT INTO t VALUES (10, 1), (11, 1), (12, 1)", "COMMIT",
        )  # fmt: skip
        return rig.take()[-1]

    own = apply(5)
    assert (own.batch_id, own.lane) == (5, "")
    assert [(e.table_id, set(e.keys)) for e in own.erase] == [(t.table_id, {10, 12})]
    assert expand(own, t) == {(11,): "ii"}
    assert expand(own, log) == dict.fromkeys([(10,), (11,), (12,)], "ii")
    assert all(mark.exact for mark in own.marks)
    unknown = apply(6)
    assert unknown.batch_id == 6
    assert unknown.erase == ()
    assert {mark.exact for mark in unknown.marks} == {False}
    by_lane = apply(5, "pair#12")
    assert (by_lane.batch_id, by_lane.lane) == (5, "12"), (
        "each row's batches are told apart (INV-19)"
    )
    foreign = apply(5, "other")
    assert foreign.batch_id is None
    assert expand(foreign, t) == dict.fromkeys([(10,), (11,), (12,)], "ii")


def test_stop_and_resume_leaves_no_gap_and_numbers_nothing_twice(rig: Rig) -> None:
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    layout = rig.scope("t")
    rig.start()
    rig.sync()
    done = threading.Event()

    def write() -> None:
        with rig.server.connect(database=rig.database) as connection, connection.cursor() as cursor:
            for number in range(400):
                cursor.execute("INSERT INTO t VALUES (%s)", (number,))
                if number % 100 == 50:
                    cursor.execute("FLUSH BINARY LOGS")
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        done.wait(0.05)
        rig.stop()
        rig.start(rig.tailer.progress.position)
    writer.join()
    rig.sync()
    assert [record.seq for record in rig.store.records] == list(range(1, 401))
    assert [key for record in rig.store.records for key in expand(record, layout)] == [
        (n,) for n in range(400)
    ]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_binlog_begun_anew_is_told_from_the_one_that_was_read(
    fresh_server: Any, flavor: str
) -> None:
    """Same name, same GTIDs, same sizes, other transactions: a reset or a restored server can look like that."""
    server = fresh_server(flavor)
    server.script("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")

    def begin_anew(*numbers: int) -> None:
        server.query("RESET BINARY LOGS AND GTIDS" if flavor == "mysql" else "RESET MASTER")
        for number in numbers:
            server.query("INSERT INTO d.t VALUES (%s)", (number,))

    begin_anew(1)
    rig = Rig(server, "d")
    rig.scope("t")
    try:
        rig.start()
        rig.sql("INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (3)")
        assert len(rig.take()) == 2
        rig.stop()
        position = rig.tailer.progress.position
        rig.start(position)  # the very binlog
        rig.sql("INSERT INTO t VALUES (4)")
        assert len(rig.take()) == 1
        rig.stop()
        # A file's beginning is known by the second.
        server.query("SELECT SLEEP(1.1)")
        begin_anew(*range(11, 16))
        with pytest.raises(PositionLost, match="not the binlog file that was read"):
            rig.start(position, by_file=True).progress.wait_until(
                Coordinate(10**9, 0), 20, rig.never
            )
    finally:
        rig.stop()


def test_every_position_that_is_saved_can_be_resumed(rig: Rig) -> None:
    """Behind a failover the coordinate is a lower bound at first: transactions that were read stand behind it (INV-19)."""
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (1)")
    rig.scope("t")
    read, end = here(rig.server), Coordinate.parse(*status(rig.server))
    [(first, *_), *_] = rig.server.query("SHOW BINARY LOGS")
    followed = msgspec.structs.replace(read, file=first, offset=4)
    rig.start(followed, exact_from=end)
    rig.sync()
    rig.sql("INSERT INTO t VALUES (2)")
    assert len(rig.take()) == 1
    rig.stop()
    assert end <= rig.store.positions[-1].coordinate
    with contextlib.closing(
        Session.open(from_text(rig.server.url()), Side.A, purpose="test")
    ) as session:
        for position in [followed, *rig.store.positions]:
            assert examine(session, position) == Standing(position)
            assert bool(position.file_at) == (position.coordinate >= end)


@pytest.fixture
def read_so_far(rig: Rig) -> StreamPosition:
    """A position on MariaDB that a tailer has left, in a file whose beginning it has met."""
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    rig.scope("t")
    rig.start()
    rig.sql("INSERT INTO t VALUES (1)")
    assert len(rig.take()) == 1
    rig.stop()
    assert rig.tailer
    position = rig.tailer.progress.position
    assert position.file_at
    return position


@pytest.mark.parametrize("rig", ["mariadb"], indirect=True)
def test_mariadb_is_asked_for_the_coordinate_at_a_start_and_by_gtid_from_then_on(
    rig: Rig, read_so_far: StreamPosition
) -> None:
    """For a GTID it reads the file from its beginning: a second for some hundred megabytes."""
    domain, server, number = read_so_far.gtids.split("-")
    not_logged = msgspec.structs.replace(
        read_so_far, gtids=f"{domain}-{server}-{int(number) + 1000}"
    )
    tailer = rig.start(not_logged, by_file=True)
    wait_for(lambda: tailer.progress.state == "connected", "no connection")

    def refused() -> bool:
        kill_dumps(rig.server)  # the one of the tailer before may be there still
        return tailer.progress.state == "failed"

    wait_for(refused, "the second connection was not asked for by GTID")
    assert isinstance(tailer.progress.error, PositionLost)
    rig.start(not_logged, by_file=True)
    rig.sql("INSERT INTO t VALUES (2)")
    [record] = rig.take()
    assert record.seq == read_so_far.seq + 1


@pytest.mark.parametrize("rig", ["mariadb"], indirect=True)
def test_mariadb_is_asked_by_gtid_where_no_coordinate_says_it(
    rig: Rig, read_so_far: StreamPosition
) -> None:
    """Where nobody has proven the coordinate, and beyond 4 GiB, which the request has no room for."""
    rig.sql("INSERT INTO t VALUES (2)")
    for by_file, offset in ((False, 1 << 30), (True, 1 << 32)):
        rig.start(msgspec.structs.replace(read_so_far, offset=offset), by_file=by_file)
        wait_for(lambda: bool(rig.store.records), "no record")
        rig.stop()
        assert rig.store.records[0].seq == read_so_far.seq + 1
        rig.store.records = []


@pytest.mark.parametrize("rig", ["mariadb"], indirect=True)
def test_a_coordinate_is_proven_by_the_next_transaction_alone(
    rig: Rig, read_so_far: StreamPosition
) -> None:
    """Behind a failover it is that of a file's beginning for a while, with the GTIDs of a later place (INV-19)."""
    with contextlib.closing(
        Session.open(from_text(rig.server.url()), Side.A, purpose="test")
    ) as session:
        assert not goes_on_at_coordinate(session, read_so_far), "nothing follows yet"
        rig.sql("INSERT INTO t VALUES (2)")
        assert goes_on_at_coordinate(session, read_so_far)
        events = session.query("SHOW BINLOG EVENTS IN %s", (read_so_far.file,))
        starts = [int(row[1]) for row in events if int(row[1]) < read_so_far.offset]
        for offset in starts:
            early = msgspec.structs.replace(read_so_far, offset=offset)
            assert not goes_on_at_coordinate(session, early), offset
        for gtids in ("", f"{read_so_far.gtids},77-99-5"):
            other = msgspec.structs.replace(read_so_far, gtids=gtids)
            assert not goes_on_at_coordinate(session, other)
        unknown = msgspec.structs.replace(read_so_far, file_at=0)
        assert not goes_on_at_coordinate(session, unknown)


@pytest.mark.parametrize("rig", ["mariadb"], indirect=True)
def test_a_file_that_lost_its_end_is_not_resumed(rig: Rig, read_so_far: StreamPosition) -> None:
    beyond = msgspec.structs.replace(read_so_far, offset=1 << 30)
    with pytest.raises(PositionLost):
        rig.start(beyond, by_file=True).progress.wait_until(Coordinate(10**9, 0), 20, rig.never)


def kill_dumps(server: Any) -> int:
    threads = server.query(
        "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%%'"
    )
    for (number,) in threads:
        with contextlib.suppress(Exception):
            server.query(f"KILL {number}")
    return len(threads)


def wait_for(promise: Callable[[], bool], what: str, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not promise():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.02)


def test_a_killed_dump_connection_is_opened_again(rig: Rig) -> None:
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    layout = rig.scope("t")
    tailer = rig.start()
    rig.sync()
    for number in range(3):
        rig.sql(f"INSERT INTO t VALUES ({number})")
        assert kill_dumps(rig.server)
        rig.sql(f"INSERT INTO t VALUES ({number + 10})")
        rig.sync()
    assert tailer.progress.state == "connected"
    found = [key for record in rig.store.records for key in expand(record, layout)]
    assert found == [(0,), (10,), (1,), (11,), (2,), (12,)]


def test_errors_are_told_apart(rig: Rig) -> None:
    name = f"u{time.monotonic_ns() % 10**9}"
    rig.sql(f"CREATE USER {name}@'%' IDENTIFIED BY 'secret-word'")
    try:
        refused = rig.start(user=name, password="secret-word")
        with pytest.raises(StatementRefused, match="REPLICATION SLAVE") as caught:
            refused.progress.wait_until(Coordinate(10**9, 0), 20, rig.never)
        assert "secret-word" not in str(caught.value)
    finally:
        rig.sql(f"DROP USER {name}@'%'")
    position = here(rig.server)
    other = StreamPosition(
        server="no-such-server",
        gtids=position.gtids,
        file=position.file,
        offset=position.offset,
        seq=0,
    )
    with pytest.raises(ServerChanged, match="no-such-server"):
        rig.start(other).progress.wait_until(Coordinate(10**9, 0), 20, rig.never)
    lost = rig.start(port=1)
    wait_for(lambda: lost.progress.state == "interrupted", "no interruption")
    assert isinstance(lost.progress.error, StreamInterrupted)
    rig.sql(
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "FLUSH BINARY LOGS",
        "INSERT INTO t VALUES (2)",
    )
    rig.stop()
    rig.sql(f"PURGE BINARY LOGS TO '{status(rig.server)[0]}'")
    purged = rig.start(position)
    with pytest.raises(PositionLost):
        purged.progress.wait_until(Coordinate(10**9, 0), 20, rig.never)
    assert purged.progress.state == "failed"


@pytest.mark.parametrize("rig", ["mariadb"], indirect=True)
def test_mariadb_compressed_events_are_read(rig: Rig) -> None:
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
    layout = rig.scope("t")
    rig.start()
    rig.sql("SET GLOBAL log_bin_compress = ON")
    try:
        rig.sql(
            "INSERT INTO t VALUES (1, REPEAT('x', 3000)), (2, REPEAT('y', 3000))",
            "UPDATE t SET v = REPEAT('z', 999)",
        )
        rig.sql(
            "SET SESSION binlog_format = 'STATEMENT'",
            f"UPDATE t SET v = '{'w' * 1000}'",
            f"TRUNCATE TABLE t /* {'c' * 999} */",
        )
        first, second, statement, truncate = rig.take()
    finally:
        rig.sql("SET GLOBAL log_bin_compress = OFF")
    assert expand(first, layout) == {(1,): "ii", (2,): "ii"}
    assert expand(second, layout) == {(1,): "uu", (2,): "uu"}
    assert spans(statement) == {(1, Reason.STATEMENT)}
    assert spans(truncate) == {(1, Reason.TRUNCATE)}


@pytest.mark.parametrize("rig", ["mysql"], indirect=True)
def test_mysql_compressed_transactions_are_read(rig: Rig) -> None:
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)")
    layout = rig.scope("t")
    rig.start()
    rig.sql(
        "SET SESSION binlog_transaction_compression = ON",
        "INSERT INTO t VALUES (1, REPEAT('x', 3000)), (2, '')",
    )
    [record] = rig.take()
    assert expand(record, layout) == {(1,): "ii", (2,): "ii"}


@pytest.mark.parametrize("rig", ["mysql"], indirect=True)
def test_mysql_tagged_gtids_and_partial_json_are_read(rig: Rig) -> None:
    rig.sql(
        "CREATE TABLE t (id INT PRIMARY KEY, v JSON, n INT)",
        'INSERT INTO t VALUES (1, \'{"a": 1, "b": "x"}\', 1)',
    )
    layout = rig.scope("t")
    rig.start()
    rig.sync()
    rig.sql(
        "SET gtid_next = 'AUTOMATIC:our_tag'", "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
        "UPDATE t SET v = JSON_SET(v, '$.a', 2), n = n + 1",
    )  # fmt: skip
    [record] = rig.take()
    assert expand(record, layout) == {(1,): "uu"}
    executed = GtidSet(rig.server.query("SELECT @@global.gtid_executed")[0][0])
    assert GtidSet(rig.tailer.progress.position.gtids) == executed
    rig.stop()
    rig.start(rig.tailer.progress.position)
    rig.sql("DELETE FROM t")
    [record] = rig.take()
    assert expand(record, layout) == {(1,): "dd"}


@pytest.mark.parametrize("rig", ["mysql"], indirect=True)
def test_mysql_tells_when_a_transaction_was_committed_first(rig: Rig) -> None:
    """As an applier of a replica does, plain and under a tag; else it is the time at this server."""
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    rig.scope("t")
    rig.start()
    rig.sync()
    first = 1_600_000_000_000_002
    for tag in ("AUTOMATIC", "AUTOMATIC:our_tag"):
        for stamp in (
            f"original_commit_timestamp = {first}",
            "original_commit_timestamp = DEFAULT",
        ):
            rig.sql(
                f"SET gtid_next = '{tag}'", f"SET SESSION {stamp}",
                "INSERT INTO t SELECT COALESCE(MAX(id), 0) + 1 FROM t AS s",
            )  # fmt: skip
            [record] = rig.take()
            found = record.marks[0].touch.commit_us
            assert (found == first) == (str(first) in stamp), (tag, stamp, found)
            assert found == first or abs(found / 1e6 - time.time()) < 3600


@pytest.mark.parametrize("distance", [2, 19])
def test_a_huge_transaction_is_spilled(rig: Rig, distance: int) -> None:
    """Keys that make runs, and keys that are too far apart for it."""
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    rig.scope("t")
    rig.start()
    rig.sql(
        "SET SESSION cte_max_recursion_depth = 200000" if rig.server.flavor == "mysql" else "SET SESSION max_recursive_iterations = 200000",
        f"INSERT INTO t WITH RECURSIVE s AS (SELECT 1 n UNION ALL SELECT n + 1 FROM s WHERE n < 120000) SELECT {distance} * n FROM s",
    )  # fmt: skip
    [record] = rig.take()
    spilled = {key for mark in rig.store.spilled for key in unrolled(mark)}
    rest = {key for mark in record.marks for key in unrolled(mark)}
    assert len(spilled) >= 100_000
    assert spilled | rest == set(range(distance, 120_000 * distance + 1, distance))
    assert {mark.touch.first_seq for mark in rig.store.spilled} == {record.seq}


def test_the_thread_ends_with_the_error_that_the_ledger_raises(rig: Rig) -> None:
    class Full(Exception):
        pass

    def refuse(*_: Any) -> None:
        raise SyncerError("the disk is full")

    rig.store.record = refuse  # type: ignore[method-assign]
    tailer = rig.start()
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    with pytest.raises(SyncerError, match="disk is full"):
        rig.sync()
    assert tailer.join(5)


@pytest.mark.parametrize("rig", ["mysql"], indirect=True)
def test_an_event_that_is_damaged_each_time_ends_the_stream(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trying for ever would look like a lost connection, and nothing would say which file to look at."""
    rig.sql("CREATE TABLE t (id INT PRIMARY KEY)")
    monkeypatch.setattr("syncer.binlog.short.intact", lambda _packet: False)
    tailer = rig.start()
    assert tailer.join(30)
    assert isinstance(tailer.progress.error, UnsupportedEvent)
    assert "5 times behind binlog." in str(tailer.progress.error)
    assert "mysqlbinlog" in str(tailer.progress.error)
