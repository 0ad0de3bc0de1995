"""The statements on real servers: right rows, through the key, and no more rows read than named."""

from __future__ import annotations

import random

import pytest

from syncer.core.pairing import PairedTable
from syncer.core.policy import Policy
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.errors import StatementRefused
from syncer.mysql import columns as cols
from syncer.mysql import introspect, statements
from syncer.mysql.connection import Session
from syncer.mysql.counting import EXACT_UP_TO, count_rows
from syncer.mysql.endpoint import from_text
from syncer.mysql.identity import identities
from syncer.mysql.relatives import children_of, parents_of

ROWS = 3000
TABLES = {
    "integer": ("id bigint unsigned PRIMARY KEY, v varchar(9)", "({i}*3,'v')"),
    "composite": (
        "a int, b varchar(20) COLLATE utf8mb4_general_ci, c int, v varchar(9), PRIMARY KEY (a,b,c)",
        "({i} DIV 1000, IF({i}%2,'k','K'), {i}, 'v')",
    ),
    "text": (
        "k varchar(50) COLLATE utf8mb4_general_ci PRIMARY KEY, v varchar(9)",
        "('key {i} ''\\\\',1)",
    ),
    "latin": ("k varchar(50) CHARACTER SET latin1 PRIMARY KEY, v varchar(9)", "('ä{i}','v')"),
    "bytes": ("k binary(8) PRIMARY KEY, v varchar(9)", "(UNHEX(LPAD(HEX({i}),16,'0')),'v')"),
    "decimal": (
        "k decimal(20,4), t datetime(6), PRIMARY KEY (k,t), v int",
        "({i} DIV 10 + 0.5, '2020-01-01' + INTERVAL {i} SECOND, 1)",
    ),
    "stamp": ("t timestamp(3) PRIMARY KEY, v int", "('2020-01-01' + INTERVAL {i} SECOND, 1)"),
    "bits": ("b bit(40) PRIMARY KEY, v int", "({i},1)"),
    "days": (
        "d date, t time(2), PRIMARY KEY (d,t), v int",
        "('2020-01-01' + INTERVAL {i} DIV 50 DAY, SEC_TO_TIME({i} % 50), 1)",
    ),
    "unique": ("k int NOT NULL, v int, UNIQUE uk (k)", "({i},1)"),
    "member": ("e enum('z','a','m'), n int, v int, PRIMARY KEY (n,e)", "({i}%3+1,{i},1)"),
}
SIDES = pytest.mark.parametrize("side", list(Side))
PAIR = pytest.mark.parametrize("pair", ["mixed"], indirect=True)


@pytest.fixture
def session(pair, side):
    server = pair.a if side is Side.A else pair.b
    with Session.open(from_text(server.url()), side, purpose="apply") as opened:
        yield opened


def load(session, database, name):
    table = TableName(database, name)
    return introspect.load_schemas(session, [table])[table]


def all_keys(session, schema):
    listed = ",".join(cols.key_select(c) for c in schema.key_columns)
    sql = f"SELECT {listed} FROM {statements.quote_table(schema.name)} ORDER BY {statements.order_by(schema)}"
    return [cols.read_key(schema.key_columns, row) for row in session.query(sql)]


def reads(session):
    status = session.query("SHOW SESSION STATUS LIKE 'Handler_read%'")
    return sum(int(value) for name, value in status if name != "Handler_read_rnd_deleted")


@PAIR
@SIDES
@pytest.mark.parametrize("kind", TABLES)
def test_every_statement_goes_through_the_key(session, database, kind):
    definition, row = TABLES[kind]
    session.execute(f"CREATE TABLE {database}.t ({definition})")
    rows = ",".join(row.format(i=i) for i in range(ROWS))
    session.execute(f"INSERT INTO {database}.t VALUES {rows}")
    session.query(f"ANALYZE TABLE {database}.t")
    schema = load(session, database, "t")
    keys = all_keys(session, schema)
    assert len(keys) == ROWS

    for wanted in (1, 10, 200, 2000):
        chosen = random.Random(wanted).sample(keys, wanted)
        sql = statements.select_digests(
            schema,
            session.flavor,
            schema.columns,
            statements.keys_condition(schema, chosen),
            lock=True,
            ordered=True,
        )
        before = reads(session)
        found = [cols.read_key(schema.key_columns, row) for row in session.query(sql)]
        assert reads(session) - before <= 2 * wanted + 2
        assert sorted(found) == sorted(chosen)
        assert found == [key for key in keys if key in set(chosen)], "in key order"

    for low, high in ((100, 400), (900, 1100), (2900, None), (None, 50)):
        first = None if low is None else keys[low]
        end = None if high is None else keys[high]
        span = (ROWS if high is None else high) - (low or 0)
        before = reads(session)
        sql = statements.select_chunk_digest(schema, session.flavor, schema.columns, first, end)
        assert session.query(sql)[0][0] == span
        assert reads(session) - before <= span + 8
        boundary = session.query(statements.select_boundary(schema, first, end, 40))[0]
        assert cols.read_key(schema.key_columns, boundary) == keys[(low or 0) + 40]
        assert session.query(statements.select_boundary(schema, first, end, span)) == []
    assert session.query(statements.select_count_before(schema, keys[700]))[0][0] == 700

    doomed = keys[5:205]
    before = reads(session)
    assert session.execute(statements.delete_rows(schema, doomed)) == 200
    assert reads(session) - before <= 402
    assert all_keys(session, schema) == keys[:5] + keys[205:]


@PAIR
@SIDES
@pytest.mark.parametrize("key", ["e enum('z','a','m')", "e set('z','a','m')"])
def test_a_range_over_enum_or_set_follows_the_index_order(session, database, key):
    session.execute(f"CREATE TABLE {database}.t ({key}, n int, PRIMARY KEY (e, n))")
    session.execute(
        f"INSERT INTO {database}.t VALUES ('z',1),('z',2),('a',1),('a',2),('m',1),('m',2),('',1)"
    )
    schema = load(session, database, "t")
    keys = all_keys(session, schema)
    for at, low in enumerate(keys):
        for upto, high in enumerate(keys):
            sql = statements.select_chunk_digest(schema, session.flavor, schema.columns, low, high)
            assert session.query(sql)[0][0] == max(0, upto - at)


@PAIR
@SIDES
def test_a_locked_row_is_overwritten_and_nothing_fires(session, database):
    session.execute(
        f"CREATE TABLE {database}.t (id varchar(9) COLLATE utf8mb4_general_ci PRIMARY KEY, v varchar(30), "
        "at timestamp(3) NOT NULL DEFAULT '2001-01-01' ON UPDATE CURRENT_TIMESTAMP(3), g int AS (LENGTH(v)) STORED)"
    )
    session.execute(f"INSERT INTO {database}.t (id, v) VALUES ('a','old'),('b','old')")
    schema = load(session, database, "t")
    written = [c for c in schema.columns if not c.generated]
    images = ["'A','it''s, new','2002-02-02 02:02:02.222'", "'b',NULL,'2003-03-03 03:03:03.333'"]
    for sql in statements.update_rows(schema, written, images, [("a",), ("b",)]):
        session.execute(sql)
    expected = [("it's, new", "2002-02-02 02:02:02.222"), (None, "2003-03-03 03:03:03.333")]
    assert session.query(f"SELECT v, at FROM {database}.t ORDER BY id") == expected
    assert session.execute(statements.update_row(schema, written, images[0], ("a",))) == 1
    assert all_keys(session, schema) == [("A",), ("b",)], "the new spelling of the key is there"
    with pytest.raises(StatementRefused) as caught:
        session.execute(statements.insert_rows(schema, written, images))
    assert caught.value.on_primary_key


WORDS = [
    "a", "A", "á", "a ", "A  ", " a", "ß", "ss", "SS", "b", "", "  ", "\t", "a\t", "æ", "ae", "É", "e\u0301", "é",
    "日本", "日本 ", "İ", "i", "I", "\u0131", "\u200b", "a\u200b", "%s\\'\"", "z" * 50, "Z" * 50,
]  # fmt: skip
COLLATIONS = {
    Side.A: "utf8mb4_general_ci utf8mb4_unicode_ci utf8mb4_bin latin1_swedish_ci utf8mb4_0900_ai_ci utf8mb4_0900_as_cs "
    "utf8mb4_0900_bin utf8mb4_ja_0900_as_cs_ks utf16_general_ci",
    Side.B: "utf8mb4_general_ci utf8mb4_unicode_ci utf8mb4_bin latin1_swedish_ci utf8mb4_nopad_bin "
    "utf8mb4_general_nopad_ci utf16_general_ci utf8mb3_general_ci",
}


@PAIR
@SIDES
def test_spellings_are_one_key_exactly_where_the_server_says_so(session, side, database):
    for collation in COLLATIONS[side].split():
        charset = collation.partition("_")[0]
        session.execute(
            f"CREATE OR REPLACE TABLE {database}.t (k varchar(60) CHARACTER SET {charset} COLLATE {collation}, "
            "n int, PRIMARY KEY (k, n))"
            if session.flavor == "mariadb"
            else f"CREATE TABLE {database}.`{collation}` (k varchar(60) CHARACTER SET {charset} COLLATE {collation}, "
            "n int, PRIMARY KEY (k, n))"
        )
        name = "t" if session.flavor == "mariadb" else collation
        schema = load(session, database, name)
        words = [w for w in WORDS if charset != "latin1" or w.isascii() or w in "áßæÉé"]
        found = identities(session, schema, [(w, 1) for w in words])
        for word in words:
            sql = f"SELECT CONVERT(k USING utf8mb4) FROM {database}.`{name}` WHERE k = %s AND n = 1"
            first = session.query(sql, (word,)) or [(word,)]
            assert found[word, 1] == (first[0][0], 1), (collation, word)
            session.execute(f"INSERT IGNORE INTO {database}.`{name}` VALUES (%s, 1)", (word,))
        if schema.exact_spelling:
            assert len(set(found.values())) == len(words)


@PAIR
@SIDES
def test_thousands_of_keys_are_one_question(session, database):
    session.execute(
        f"CREATE TABLE {database}.t (k varchar(60) COLLATE utf8mb4_general_ci PRIMARY KEY)"
    )
    schema = load(session, database, "t")
    keys = [(f"{letter}{i}",) for i in range(1000) for letter in "kK"]
    before = int(session.query("SHOW SESSION STATUS LIKE 'Questions'")[0][1])
    found = identities(session, schema, keys)
    assert int(session.query("SHOW SESSION STATUS LIKE 'Questions'")[0][1]) - before == 2
    assert len(set(found.values())) == 1000


@PAIR
@SIDES
def test_relatives_are_found_through_the_foreign_key(session, database):
    """By what it refers to, whatever that is of; and in a table that refers to itself."""
    session.execute(
        f"CREATE TABLE {database}.p (id INT PRIMARY KEY, t INT, code VARCHAR(20) COLLATE utf8mb4_general_ci, UNIQUE uk (t, code))"
    )
    session.execute(
        f"CREATE TABLE {database}.c (id INT PRIMARY KEY, t INT, p VARCHAR(20) COLLATE utf8mb4_general_ci, up INT,"
        f" FOREIGN KEY (t, p) REFERENCES {database}.p (t, code), FOREIGN KEY (up) REFERENCES {database}.c (id))"
    )
    many = range(1, ROWS)
    session.execute(
        f"INSERT INTO {database}.p VALUES " + ",".join(f"({n},1,'it''s {n}')" for n in many)
    )
    session.execute(
        f"INSERT INTO {database}.c VALUES "
        + ",".join(f"({n},1,'IT''S {n // 2 + 1}',{n // 2 or 'NULL'})" for n in many)
    )
    for name in "pc":
        session.query(f"ANALYZE TABLE {database}.{name}")
    tables = {}
    for number, name in enumerate("pc"):
        schema = load(session, database, name)
        names = tuple(column.name for column in schema.columns)
        paired = PairedTable(
            table_id=number,
            name=schema.name,
            a=schema,
            b=schema,
            columns=names,
            written=names,
            policy=Policy(),
        )
        tables[name] = paired
    p, c = tables["p"], tables["c"]
    pairs = (("t", "t"), ("p", "code"))
    before = reads(session)
    found = children_of(session, p, [(8,), (100,)], c, pairs, 1000)
    assert sorted(found) == [(14,), (15,), (198,), (199,)]
    assert all(found.values())
    assert len(children_of(session, p, [(8,), (100,)], c, pairs, 3)) == 3
    assert sorted(children_of(session, c, [(7,)], c, (("up", "id"),), 9)) == [(14,), (15,)]
    asked = [(15,), (16,), (198,)]
    among = children_of(session, p, [(8,), (100,)], c, pairs, 1000, asked)
    assert sorted(among) == [(15,), (198,)]
    literals = [{"t": "1", "p": "'It''s 9'"}, {"t": "1", "p": "NULL"}, {"t": "2", "p": "'x'"}]
    assert parents_of(session, p, pairs, literals) == [(9,)]
    assert parents_of(session, c, (("up", "id"),), [{"t": "1"}]) == []
    assert reads(session) - before <= 100


@PAIR
@SIDES
def test_rows_are_counted_exactly_or_near_enough(session, database):
    """Whatever form the server gives its plans in."""
    session.execute(f"CREATE TABLE {database}.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
    session.execute(f"INSERT INTO {database}.t (v) VALUES " + ",".join(["(1)"] * ROWS))
    schema = load(session, database, "t")
    assert count_rows(session, schema) == ROWS
    while session.query(f"SELECT COUNT(*) FROM {database}.t")[0][0] <= 2 * EXACT_UP_TO:
        session.execute(f"INSERT INTO {database}.t (v) SELECT v FROM {database}.t")
    session.query(f"ANALYZE TABLE {database}.t")
    real = session.query(f"SELECT COUNT(*) FROM {database}.t")[0][0]
    assert EXACT_UP_TO < count_rows(session, schema) < 2 * real
    if session.flavor == "mysql" and session.version >= (8, 0, 32):
        session.execute("SET SESSION explain_format = 'TREE'")
        assert EXACT_UP_TO < count_rows(session, schema) < 2 * real
