"""Every type with its nasty values, on every pair: first comparison, update, delete and insert, both ways."""

from __future__ import annotations

import json

import pytest

from testbed.provision import Pair
from tests.integration import matrix
from tests.integration.harness import wait_until

SESSION = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', time_zone = '{}'"
ZONES = ("+05:30", "-08:00")
"""The writers' own time zones, one per side."""


class Matrix:
    """All families on both sides of a pair, and what must be there."""

    def __init__(self, pair, database):
        self.pair, self.database = pair, database
        self.by_value = pair.name == "mixed"
        self.families = matrix.families(pair.name)
        self.wanted = {family.name: {} for family in self.families}
        for family in self.families:
            for side, server in zip("ab", pair.sides, strict=True):
                server.script(family.create(database, side))

    def read(self, side, family):
        server = self.pair.sides["ab".index(side)]
        return family.read(server, self.database, by_value=self.by_value)

    def write(self, side, statements):
        """Write rows on one side (family, row -> statement), and remember what they became there."""
        place = "ab".index(side)
        with self.pair.sides[place].connect(autocommit=False) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SET NAMES utf8mb4")
                cursor.execute(SESSION.format(ZONES[place]))
                for sql in statements.values():
                    try:
                        cursor.execute(sql)
                    except Exception as error:
                        raise AssertionError(f"{sql[:3000]}: {error}") from error
            connection.commit()
        touched = {}
        for family, row in statements:
            touched.setdefault(family.name, (family, []))[1].append(row)
        for family, rows in touched.values():
            now = self.read(side, family)
            for row in rows:
                if row in now:
                    self.wanted[family.name][row] = now[row]
                else:
                    self.wanted[family.name].pop(row, None)

    def each(self, parity, make):
        return {
            (family, row): make(family, row)
            for family in self.families
            for row in range(family.rows)
            if row % 2 == parity
        }

    def differences(self):
        return [
            f"{family.name} on side {side}: {line}"
            for family in self.families
            for side in "ab"
            for line in matrix.differences(self.read(side, family), self.wanted[family.name])
        ]


def test_every_type_and_value_travels_both_ways(pair, database, product):
    rows = Matrix(pair, database)
    rows.write("a", rows.each(0, lambda family, row: family.insert(database, row)))
    rows.write("b", rows.each(1, lambda family, row: family.insert(database, row)))
    synced = product()
    running = synced.start()

    def equal(step):
        def ask():
            synced.settled()
            found = rows.differences()
            return not found, "\n".join(found)

        try:
            wait_until(step, ask, 20)
        except AssertionError as error:
            held = [
                (
                    c.kind,
                    c.rule,
                    c.table,
                    c.key,
                    [x and [str(v)[:60] for v in x] for x in c.images.values()],
                )
                for c in synced.conflicts()
            ]
            raise AssertionError(
                f"{error}\nheld: {json.dumps(held, indent=1)}\n{running}"
            ) from None

    equal("first comparison")
    for shift in (1, 2):
        for side, parity in (("a", shift % 2), ("b", 1 - shift % 2)):
            rows.write(
                side, rows.each(parity, lambda f, row, by=shift: f.update(database, row, by))
            )
        equal(f"update {shift}")
    for side, parity in (("a", 0), ("b", 1)):
        rows.write(
            side,
            rows.each(parity, lambda f, row: f"DELETE FROM {database}.{f.name} WHERE id = {row}"),
        )
    equal("delete")
    for side, parity in (("a", 1), ("b", 0)):
        rows.write(side, rows.each(parity, lambda family, row: family.insert(database, row)))
    equal("insert")
    assert synced.conflicts() == []
    running.stop().must(0)
    synced("verify").must(0)


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_documents_that_differ_in_spelling_only_are_equal_across_flavours(pair, database, product):
    """What MySQL cannot hold as MariaDB has it is held by name, not made equal."""
    spelt = {
        1: ('{"bb": [1, 2.50], "a": "é"}', '{ "a": "\\\\u00e9", "bb": [1,2.5] }'),
        2: ("[]", " [ ] "),
        3: (None, None),
    }
    for server, side in zip(pair.sides, (0, 1), strict=True):
        server.script(f"CREATE TABLE {database}.t (id INT PRIMARY KEY, j JSON, n INT)")
        for row, both in spelt.items():
            value = "NULL" if both[side] is None else f"'{both[side]}'"
            server.script(f"INSERT INTO {database}.t VALUES ({row}, {value}, 0)")
    on_mariadb = f"SELECT id, j FROM {database}.t ORDER BY id"
    before = pair.b.query(on_mariadb)
    synced = product()
    assert synced.until_in_sync()["last"]["b"]["applied_updates"] == 0
    assert pair.b.query(on_mariadb) == before, "equal documents are not written"
    synced("verify").must(0)
    pair.a.script(f"UPDATE {database}.t SET j = JSON_SET(j, '$.a', 7) WHERE id = 1")
    pair.b.script(
        f"""UPDATE {database}.t SET j = '{{"x":1.25e1,"x2":[null]}}' WHERE id = 2""",
        f"UPDATE {database}.t SET n = 5, j = '3' WHERE id = 3",
    )
    synced.until_in_sync()
    assert pair.b.query(f"SELECT JSON_VALUE(j, '$.a') FROM {database}.t WHERE id = 1") == [("7",)]
    assert [json.loads(j) for _, j in pair.a.query(on_mariadb)[1:]] == [
        {"x": 12.5, "x2": [None]},
        3,
    ]
    pair.b.script(
        f"""UPDATE {database}.t SET j = '{{"a":1,"a":2}}' WHERE id = 1""",
        f"UPDATE {database}.t SET j = '0.12345678901234567890123' WHERE id = 2",
    )
    synced.until_in_sync(codes=(1,))
    assert {(c.kind, c.key) for c in synced.conflicts("held")} == {
        ("read_back", ("1",)),
        ("read_back", ("2",)),
    }
    synced("verify").must(1)


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_values_without_an_exact_form_on_the_other_side_are_held(pair, database, product):
    """Texts outside the other side's character set, and MariaDB's times beyond MySQL's last one."""
    pair.a.script(
        f"CREATE TABLE {database}.t (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET cp932, t TIME(6))"
    )
    pair.b.script(f"CREATE TABLE {database}.t (id INT PRIMARY KEY, v VARCHAR(9), t TIME(6))")
    pair.a.script(
        f"INSERT INTO {database}.t (id, v) VALUES (1, _cp932 X'835C'), (2, _cp932 X'FA54'), (3, 'a  ')"
    )
    synced = product()
    synced.until_in_sync(codes=(1,))
    assert {(c.kind, c.key) for c in synced.conflicts("held")} == {("read_back", ("2",))}
    assert pair.b.query(f"SELECT id, v FROM {database}.t ORDER BY id") == [(1, "ソ"), (3, "a  ")]
    pair.b.script(
        f"INSERT INTO {database}.t (id, v) VALUES (4, '😀'), (5, 'ｱ')",
        f"INSERT INTO {database}.t (id, t) VALUES (6, '838:59:59.5'), (7, '-838:59:59')",
    )
    synced.until_in_sync(codes=(1,))
    assert {c.key for c in synced.conflicts("held")} == {("2",), ("4",), ("6",)}
    assert pair.a.query(f"SELECT CAST(t AS CHAR) FROM {database}.t WHERE id > 5") == [
        ("-838:59:59.000000",)
    ]
    assert pair.a.query(f"SELECT HEX(v) FROM {database}.t WHERE id = 5") == [("B1",)]


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_values_of_sixteen_megabytes_travel_both_ways(pair, database, product):
    size = (1 << 24) - 1
    pair.script(
        f"CREATE TABLE {database}.t (id INT PRIMARY KEY, b MEDIUMBLOB, x MEDIUMTEXT CHARACTER SET latin1)"
    )
    digests = (
        f"SELECT id, SHA2(b, 256), SHA2(x, 256), LENGTH(b), LENGTH(x) FROM {database}.t ORDER BY id"
    )
    wanted = {}
    for server, row in zip(pair.sides, (1, 3), strict=True):
        server.script(
            f"INSERT INTO {database}.t VALUES ({row}, REPEAT(X'27', {size}), NULL), "
            f"({row + 1}, NULL, REPEAT('é', {size}))"
        )
        wanted |= {found[0]: found for found in server.query(digests)}
    product().until_in_sync()
    for server in pair.sides:
        assert {found[0]: found for found in server.query(digests)} == wanted
    assert len({found[1:] for found in wanted.values()}) == 2


@pytest.mark.parametrize("flavors", [("mysql", "mariadb")])
def test_instants_are_kept_where_the_servers_live_in_other_time_zones(
    flavors, fresh_server, make_product, monkeypatch
):
    """Twice an hour that a clock in Berlin shows twice, and one that a clock in New York leaves out."""
    servers = []
    for flavor, zone in zip(flavors, ("Europe/Berlin", "America/New_York"), strict=True):
        monkeypatch.setenv("TZ", zone)
        servers.append(fresh_server(flavor))
    pair = Pair("mixed", *servers)
    instants = [1635638400, 1635642000, 1615705200, 1615703400, 1, 2147483647]
    pair.script(
        "CREATE DATABASE zones", "CREATE TABLE zones.t (id INT PRIMARY KEY, at TIMESTAMP(3) NULL)"
    )
    utc = "SET SESSION time_zone = '+00:00'"  # an hour shown twice is ambiguous to a session that lives in it
    for number, instant in enumerate(instants):
        pair.sides[number % 2].script(
            utc, f"INSERT INTO zones.t VALUES ({number}, FROM_UNIXTIME({instant}.125))"
        )
    seen = [server.query("SELECT TIMEDIFF(NOW(), UTC_TIMESTAMP())")[0][0] for server in pair.sides]
    assert seen[0] != seen[1], "the servers live in different zones"
    make_product(pair, tables="zones.*").until_in_sync()
    for server in pair.sides:
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(utc)
            cursor.execute("SELECT UNIX_TIMESTAMP(at) FROM zones.t ORDER BY id")
            found = [str(row[0]) for row in cursor.fetchall()]
        assert found == [f"{instant}.125" for instant in instants]
