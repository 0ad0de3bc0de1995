"""Keys of every type: first comparison, and inserts, updates, deletes and changes of the key itself out of the stream."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from dataclasses import dataclass, field

import pytest

from syncer.ledger import Ledger
from syncer.service import delivery
from tests.integration.harness import wait_until
from tests.integration.inside import Inside

MIXED = pytest.mark.parametrize("pair", ["mixed"], indirect=True)


@dataclass(frozen=True)
class Keyed:
    """
    A table and seven values of its key, each a list of SQL expressions.

    Attributes:
        columns: the key's columns with their types, by name.
        clause: what makes them a key.
    """

    name: str
    columns: dict[str, str]
    values: list[tuple[str, ...]]
    clause: str = "PRIMARY KEY ({0})"
    more: str = ""
    only: str | None = None
    keys: tuple[str, ...] = field(default=())

    @property
    def listed(self) -> str:
        return ", ".join(self.columns)

    def create(self, database: str) -> str:
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        return (
            f"CREATE TABLE {database}.{self.name} (n INT NOT NULL, v VARCHAR(20), {self.more} {columns}, "
            f"{self.clause.format(', '.join(self.keys or self.columns))})"
        )

    def insert(self, database: str, n: int) -> str:
        values = ", ".join(self.values[n])
        return f"INSERT INTO {database}.{self.name} (n, v, {self.listed}) VALUES ({n}, 'new', {values})"

    def move(self, database: str, n: int, to: int) -> str:
        sets = ", ".join(
            f"{name} = {value}" for name, value in zip(self.columns, self.values[to], strict=True)
        )
        return f"UPDATE {database}.{self.name} SET {sets} WHERE n = {n}"


def one(name: str, kind: str, *values: str, **more: object) -> Keyed:
    """A key of one column."""
    return Keyed(name, {"k": f"{kind} NOT NULL"}, [(value,) for value in values], **more)


WORDS = ("'apple'", "'Banana '", "'äpfel'", "'ZEBRA'", "'zoo'", "''", "'a_b%'")
LATIN = ("'apple'", "'Banana'", "'äpfel€'", "'ZEBRA'", "'zoo'", "''", "'ÿ'")
ADDRESSES = {
    "uuid_": (
        "UUID",
        "'01234567-89ab-4def-8123-456789abcdef'",
        "'01234567-89ab-1def-8123-456789abcd00'",
        "'01234567-89ab-7def-8123-456789abcdef'",
        "'00000000-0000-0000-0000-000000000000'",
        "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        "'3a3a3100-0000-0000-0000-000000000000'",
        "'01234567-89ab-0def-0123-456789abcdef'",
    ),
    "inet6_": (
        "INET6", "'::'", "'::1'", "'::ffff:1.2.3.4'", "'fe80::1'", "'2001:db8::'", "'3a3a:3100::'", "'ffff::'",
    ),
    "inet4_": (
        "INET4", "'0.0.0.0'", "'255.255.255.255'", "'10.0.0.0'", "'10.0.0.1'", "'58.58.49.0'", "'1.2.3.4'", "'9.9.9.9'",
    ),
}  # fmt: skip
MIXED_PARTS = {
    "a": ("BIGINT UNSIGNED NOT NULL", "1", "18446744073709551615"),
    "b": ("VARCHAR(10) NOT NULL", "'x'", "'Y '"),
    "c": ("DATE NOT NULL", "'0000-00-00'", "'2024-02-29'"),
    "d": ("ENUM('z','a') NOT NULL", "'a'", "'z'"),
    "e": ("VARBINARY(8) NOT NULL", "X'00'", "X'FF27'"),
    "f": ("DECIMAL(10,3) NOT NULL", "-1.5", "7"),
    "g": ("CHAR(4) CHARACTER SET latin1 NOT NULL", "'é'", "'e'"),
    "h": ("DATETIME(3) NOT NULL", "'2024-01-01 00:00:00.125'", "'1999-12-31'"),
}


def composite(parts: int) -> Keyed:
    """A key of the first *parts* of ``MIXED_PARTS``; the seven values differ in few of them."""
    chosen = dict(list(MIXED_PARTS.items())[:parts])
    if parts == 2:
        chosen = {"a": MIXED_PARTS["a"], "h": MIXED_PARTS["h"], "b": MIXED_PARTS["b"]}
    names = list(chosen)
    rows = [
        tuple(chosen[name][1 + (n >> at & 1)] for at, name in enumerate(names)) for n in range(7)
    ]
    return Keyed(f"composite{parts}", {name: kind for name, (kind, *_) in chosen.items()}, rows)


def raw(charset: str, *codes: str) -> list[str]:
    return [f"_{charset} X'{code}'" for code in codes]


TABLES = [
    one("tiny", "TINYINT", "0", "-128", "127", "1", "-1", "2", "3"),
    one("medium", "MEDIUMINT UNSIGNED", "0", "16777215", "8388608", "8388607", "1", "2", "3"),
    one("big", "BIGINT", "0", "-9223372036854775808", "9223372036854775807", "1", "2", "3", "4"),
    one("ubig", "BIGINT UNSIGNED", "0", "18446744073709551615", "9223372036854775808", "1", "2", "3", "4"),
    one("zero", "INT UNSIGNED ZEROFILL AUTO_INCREMENT", "0", "4294967295", "7", "1", "2", "3", "4"),
    one("year_", "YEAR", "0", "1901", "2155", "2000", "1970", "1999", "2024"),
    one("bit_", "BIT(12)", "0", "4095", "1", "2", "3", "4", "255"),
    one("decimal_", "DECIMAL(20,5)", "0", "-0.00001", "999999999999999.99999", "-5", "5", "0.1", "10"),
    one("date_", "DATE", "'0000-00-00'", "'2024-00-00'", "'9999-12-31'", "'2020-02-31'", "'2000-01-01'", "'1000-01-01'", "'2024-02-29'"),
    one("datetime_", "DATETIME(6)", "'0000-00-00'", "'2024-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'", "'2024-01-01'", "'2020-02-31'", "'1000-01-01'", "'2001-01-01 01:01:01.5'"),
    one("timestamp_", "TIMESTAMP(3)", "'0000-00-00'", "FROM_UNIXTIME(1.001)", "FROM_UNIXTIME(2147483647)", "'2024-03-31 01:30:00'", "'2024-10-27 00:30:00'", "'2024-10-27 01:30:00'", "'2020-01-01'"),
    one("time_", "TIME(2)", "'00:00:00'", "'-838:59:59'", "'838:59:59'", "'-00:00:00.01'", "'-00:00:01'", "'12:00:00.5'", "'100:00:00'"),
    one("enum_", "ENUM('z','b','a')", "'z'", "'a'", "'b'", "'a'", "0", "'z'", "'b'", clause="PRIMARY KEY ({0}, n)"),
    one("set_", "SET('z','b','a')", "'z'", "'a,b'", "'b'", "''", "'a,b,z'", "'a'", "'b,z'"),
    one("words", "VARCHAR(40)", *WORDS),
    one("padded", "CHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", *WORDS),
    one("exact", "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", *WORDS),
    one("latin", "VARCHAR(40) CHARACTER SET latin1", *LATIN),
    one("latin_char", "CHAR(20) CHARACTER SET latin1 COLLATE latin1_bin", *LATIN),
    one("ascii_", "VARCHAR(40) CHARACTER SET ascii", "'apple'", "'Banana '", "'x'", "'ZEBRA'", "'zoo'", "''", "'a_b%'"),
    one("gbk_", "VARCHAR(20) CHARACTER SET gbk", *raw("gbk", "815C", "B0A1", "FE50", "A2A1", "C4E3BAC3", "61", "5C27")),
    one("gbk_char", "CHAR(20) CHARACTER SET gbk", *raw("gbk", "815C", "B0A1", "FE50", "A2A1", "C4E320", "61", "5C27")),
    one("sjis_", "VARCHAR(20) CHARACTER SET sjis COLLATE sjis_bin", *raw("sjis", "815F", "5C", "835C", "B1", "8140", "41", "61")),
    one("cyrillic", "VARCHAR(20) CHARACTER SET cp1251", *raw("cp1251", "E0", "C1", "FF", "61", "98", "", "E2")),
    one("utf16_char", "CHAR(10) CHARACTER SET utf16", "'a'", "'b '", "'日本'", "'😀'", "''", "'é'", "'z'"),
    one("ucs2_", "VARCHAR(10) CHARACTER SET ucs2", "'a'", "'b'", "'日本'", "'ü'", "''", "'é'", "'z'"),
    one("uuid16", "BINARY(16)", *(f"X'{n:02x}{'00' * 14}{m:02x}'" for n, m in ((0, 0), (0, 1), (255, 0), (32, 32), (39, 92), (1, 0), (10, 13)))),
    one("bytes_", "VARBINARY(20)", "''", "X'00'", "X'0000'", "X'20'", "X'27'", "X'FF'", "X'5C00'"),
    *(composite(parts) for parts in (2, 3, 5, 8)),
    Keyed("text_", {"k": "TEXT NOT NULL"}, [(word,) for word in WORDS], clause="PRIMARY KEY ({0}(20))"),
    Keyed("blob_", {"k": "BLOB NOT NULL"}, [(f"X'{n:02x}27FF'",) for n in range(7)], clause="UNIQUE ({0}(10))"),
    Keyed("latin_text", {"k": "TINYTEXT CHARACTER SET latin1 NOT NULL"}, [(word,) for word in LATIN], clause="PRIMARY KEY ({0}(9))"),
    Keyed("url", {"k": "VARCHAR(700) NOT NULL"}, [(f"CONCAT('{n}/', REPEAT('p', 600))",) for n in range(7)], clause="UNIQUE ({0}(191))"),
    Keyed("unique_", {"k": "INT NOT NULL", "l": "VARCHAR(9) NOT NULL"}, [(str(n % 3), f"'{n}'") for n in range(7)], clause="UNIQUE (maybe), UNIQUE ({0})", more="maybe INT,"),
    Keyed("made_key", {"k": "INT NOT NULL"}, [(str(n),) for n in range(7)], clause="UNIQUE ({0}, made)", more="made INT AS (n + 1) STORED NOT NULL,", only="mysql"),
    *(one(name, kind, *values, only="mariadb") for name, (kind, *values) in ADDRESSES.items()),
]  # fmt: skip


def test_keys_of_every_type_travel(pair, database, product):
    tables = [table for table in TABLES if table.only in {None, pair.name}]

    def write(side, *statements):
        server = pair.sides["ab".index(side)]
        with server.connect(autocommit=False) as connection:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '-03:00'"
                )
                for sql in statements:
                    try:
                        cursor.execute(sql)
                    except Exception as error:
                        raise AssertionError(f"{sql}: {error}") from error
            connection.commit()

    for table in tables:
        pair.script(table.create(database))
    write("a", *(t.insert(database, n) for t in tables for n in (0, 1)))
    write("b", *(t.insert(database, n) for t in tables for n in (2, 3)))
    synced = product("--rule", "prefer:a")
    running = synced.start("--json")

    def contents(side):
        server = pair.sides["ab".index(side)]
        found = {}
        for table in tables:
            hexed = ", ".join(f"HEX({name})" for name in table.columns)
            rows = server.query(f"SELECT n, v, {hexed} FROM {database}.{table.name} ORDER BY n, v")
            found[table.name] = [tuple(map(str, row)) for row in rows]
        return found

    def equal(step, wanted):
        def ask():
            synced.settled()
            a, b = contents("a"), contents("b")
            bad = {name: (a[name], b[name]) for name in a if a[name] != b[name]}
            wrong = {name: rows for name, rows in a.items() if [row[:2] for row in rows] != wanted}
            return not (bad or wrong), (bad, wrong)

        wait_until(step, ask, 30)

    equal("first comparison", [(str(n), "new") for n in range(4)])
    before = contents("a")
    write(
        "a",
        *(f"UPDATE {database}.{t.name} SET v = 'by a' WHERE n = 2" for t in tables),
        *(f"DELETE FROM {database}.{t.name} WHERE n = 1" for t in tables),
        *(t.insert(database, 5) for t in tables),
    )
    write(
        "b",
        *(f"UPDATE {database}.{t.name} SET v = 'by b' WHERE n = 0" for t in tables),
        *(t.move(database, 3, 4) for t in tables),
        *(t.insert(database, 6) for t in tables),
    )
    equal(
        "stream",
        [("0", "by b"), ("2", "by a"), ("3", "new"), ("5", "new"), ("6", "new")],
    )
    after = contents("a")
    for table in tables:
        assert after[table.name][2] != before[table.name][3], f"{table.name}: the key has changed"
    assert synced.conflicts() == []
    assert not [event for event in running.events() if event["event"] == "range.alarm"]
    report = running.stop().must(0).document()
    # An event whose key could not be read would have its table compared whole again.
    assert report["rows_compared"] == 2 * len(tables)
    synced("verify").must(0)


def configured(product, folder, entry, **more):
    path = folder / "syncer.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in {**entry, **more}.items()]
    path.write_text("[[table]]\n" + "\n".join(lines))
    return product("--config", path)


@MIXED
def test_rows_that_share_the_beginning_of_their_key_exclude_each_other(
    pair, database, product, tmp_path
):
    """The key is the whole text, the index holds its beginning: one row cannot stand beside the other."""
    pair.script(f"CREATE TABLE {database}.t (k TEXT NOT NULL, v INT, PRIMARY KEY (k(4)))")
    pair.a.script(f"INSERT INTO {database}.t VALUES ('same-a', 1), ('other', 1)")
    pair.b.script(f"INSERT INTO {database}.t VALUES ('same-b', 2), ('b', 2)")
    path = tmp_path / "syncer.toml"
    path.write_text("[engine]\nretry_limit = 2")
    synced = product("--config", path)
    synced.until_in_sync(codes=(1,))
    held = {(c.kind, c.key) for c in synced.conflicts("held")}
    assert held == {("unique_violation", ("same-a",)), ("unique_violation", ("same-b",))}
    pair.b.script(f"UPDATE {database}.t SET k = 'same-a', v = 1 WHERE k = 'same-b'")
    synced.until_in_sync()
    for server in pair.sides:
        assert server.query(f"SELECT k, v FROM {database}.t ORDER BY k") == [
            ("b", 2),
            ("other", 1),
            ("same-a", 1),
        ]


@MIXED
def test_ignored_columns_are_neither_compared_nor_written(pair, database, product, tmp_path):
    """An AUTO_INCREMENT id of its own on each side, with the key named in the configuration."""
    pair.script(
        f"CREATE TABLE {database}.t (id INT AUTO_INCREMENT PRIMARY KEY, Code VARCHAR(9) NOT NULL, v INT, "
        "cached INT DEFAULT 7, seen TIMESTAMP(6) NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP(6), UNIQUE (code))"
    )
    pair.a.script(
        f"ALTER TABLE {database}.t ADD only_a FLOAT NOT NULL DEFAULT 1",
        f"INSERT INTO {database}.t (id, code, v, cached) VALUES (1, 'x', 1, 1), (3, 'y', 1, 1)",
    )
    pair.b.script(f"INSERT INTO {database}.t (id, code, v, cached) VALUES (900, 'x', 1, 2)")
    synced = configured(
        product,
        tmp_path,
        {"match": f"{database}.*", "key": "code"},
        ignore_columns=["id", "CACHED", "seen", "only_a"],
    )
    synced.until_in_sync()
    rows = f"SELECT code, v, cached, seen FROM {database}.t ORDER BY code"
    assert pair.a.query(rows) == [("x", 1, 1, None), ("y", 1, 1, None)]
    assert pair.b.query(rows) == [("x", 1, 2, None), ("y", 1, 7, None)]
    pair.a.script(f"UPDATE {database}.t SET v = 5, seen = NULL")
    pair.b.script(f"INSERT INTO {database}.t (code, v) VALUES ('z', 3)")
    synced.until_in_sync()
    assert pair.a.query(rows)[2] == ("z", 3, 7, None)
    assert pair.b.query(rows)[:2] == [("x", 5, 2, None), ("y", 5, 7, None)]
    assert pair.b.query(f"SELECT id FROM {database}.t WHERE code = 'x'") == [(900,)]
    synced("verify").must(0)


@MIXED
def test_what_cannot_be_a_key_or_be_left_out_is_refused_by_name(pair, database, product, tmp_path):
    pair.script(
        f"CREATE TABLE {database}.t (id INT PRIMARY KEY, code VARCHAR(9) NOT NULL, maybe INT, needed INT NOT NULL, "
        "UNIQUE (maybe), UNIQUE (code))"
    )
    for entry, words in (
        ({"key": "maybe"}, "no unique key over exactly (maybe)"),
        ({"key": "needed"}, "no unique key over exactly (needed)"),
        ({"key": "code, id"}, "no unique key over exactly (code, id)"),
        ({"ignore_columns": ["ID"]}, "column id is in the key and in ignore_columns"),
        ({"ignore_columns": ["needed"]}, "column needed in ignore_columns is NOT NULL"),
    ):
        synced = configured(product, tmp_path, {"match": f"{database}.*"}, **entry)
        done = synced("run", "--until-in-sync").must(3)
        assert words in done.stderr
        assert f"{database}.t" in done.stderr


@MIXED
def test_a_key_that_is_put_off_is_decided_with_its_other_spelling(
    pair, database, make_product, monkeypatch
):
    """The row of a refused delete is renamed to another letter case: due at once, it must not come back as a new row."""
    years = 1e9
    monkeypatch.setattr(delivery, "BACK_OFF_S", years)
    monkeypatch.setattr(delivery, "BACK_OFF_MOST_S", years)
    pair.script(
        "CREATE TABLE p (k VARCHAR(9) PRIMARY KEY, v INT) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
        "CREATE TABLE c (k VARCHAR(9) PRIMARY KEY, FOREIGN KEY (k) REFERENCES p (k))"
        " DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
        "INSERT INTO p VALUES ('Abc', 1)",
        db=database,
    )
    pair.b.script("INSERT INTO c VALUES ('Abc')", db=database)
    product = make_product(pair, tables=f"{database}.p")
    inside = Inside(product, {"rule": "prefer:a"})
    product.settled()

    def put_off(number):
        def ask():
            with contextlib.closing(sqlite3.connect(product.ledger)) as ledger:
                found = ledger.execute("SELECT side, not_before > 0 FROM point").fetchall()
            return found.count(("b", 1)) + found.count(("a", 1)) == number, found

        wait_until(f"{number} marks put off", ask)

    pair.a.script("DELETE FROM p", db=database)
    put_off(1)
    pair.b.script("UPDATE p SET v = 2", db=database)
    put_off(2)
    pair.b.script(
        "START TRANSACTION", "DELETE FROM c", "UPDATE p SET k = 'abc'", "COMMIT", db=database
    )

    def rows():
        found = [server.query("SELECT k, v FROM p", db=database) for server in pair.sides]
        return found[0] == found[1], found

    assert wait_until("one state", rows) == [[], []], "the delete is not undone"
    product.settled()
    inside.end()
    assert [entry.loser for entry in product.conflicts()] == ["b"]


@MIXED
def test_a_spelling_that_the_next_batch_would_claim_counts(
    pair, database, make_product, monkeypatch
):
    """
    A deletes a row that B has renamed to another letter case, and B's new spelling is claimed first and alone.

    Under a filter an absent row says nothing, so only the mark of A's spelling tells that it was deleted.
    """
    pair.script(
        "CREATE TABLE t (k VARCHAR(9) PRIMARY KEY, v INT, region VARCHAR(9))"
        " DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
        "INSERT INTO t VALUES ('Abc', 1, 'eu')",
        db=database,
    )
    product = make_product(pair, tables=f"{database}.t")
    ready = threading.Event()
    claim_keys = Ledger.claim_keys

    def claimed_last_first(self, limit, now, but):
        return claim_keys(self, limit + 100, now, but)[::-1][:limit] if ready.is_set() else []

    monkeypatch.setattr(Ledger, "claim_keys", claimed_last_first)
    inside = Inside(
        product, {"rule": "hold"}, engine={"batch_rows": 1}, sync={"where": "region = 'eu'"}
    )
    product.settled()
    pair.a.script("DELETE FROM t", db=database)

    def marked(*wanted):
        def ask():
            with contextlib.closing(sqlite3.connect(product.ledger)) as ledger:
                found = ledger.execute("SELECT side, key FROM point ORDER BY id").fetchall()
            return [(side, bytes(key).strip(b"\0")[-3:]) for side, key in found] == [*wanted], found

        wait_until("the marks are there", ask)

    marked(("a", b"Abc"))
    pair.b.script("UPDATE t SET k = 'abc', v = 2", db=database)
    marked(("a", b"Abc"), ("b", b"Abc"), ("b", b"abc"))
    ready.set()
    product.settled()
    inside.end()
    # A key that changes is a delete and an insert, and to the server both spellings are one key.
    assert [entry.kind for entry in product.conflicts("held")] == ["recreate"]
    assert [server.query("SELECT k, v FROM t", db=database) for server in pair.sides] == [
        [],
        [("abc", 2)],
    ]
