"""Rows as text: one digest for one value on both flavours, and literals that lose nothing on the way."""

from __future__ import annotations

import msgspec
import pytest

from syncer.core.literals import split_image
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.errors import StatementRefused
from syncer.mysql import columns as cols
from syncer.mysql import digests as digests_of
from syncer.mysql import introspect, statements
from syncer.mysql.compatibility import compare
from syncer.mysql.connection import Session

COLUMNS = r"""
id int unsigned NOT NULL PRIMARY KEY, ti tinyint, bu bigint unsigned, bz int(8) unsigned zerofill, de decimal(30,10),
dz decimal(10,2) zerofill, d65 decimal(65,0), f float, d double, f2 float(7,2), d2 double(12,3), y year, b1 bit(1), b64 bit(64),
da date, t0 time, t6 time(6), dt datetime, dt6 datetime(6), ts timestamp NULL, ts6 timestamp(6) NULL,
c char(20), l1 varchar(100) CHARACTER SET latin1, u3 varchar(100) CHARACTER SET utf8mb3,
u4 varchar(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, sj varchar(50) CHARACTER SET sjis,
u16 varchar(50) CHARACTER SET utf16, asc_ varchar(10) CHARACTER SET ascii, tx text, mt mediumtext,
lt longtext CHARACTER SET latin1, e enum('a','it''s','back\\slash','ü','','Z,z') CHARACTER SET latin1,
st set('a','b','ü','it''s'), bi binary(5), vb varbinary(100), bl blob, lb longblob, g geometry, p point
"""
NULLS = ",".join(["NULL"] * 38)
SPREAD = (
    "'2020-12-31','00:00:00','23:59:59.999999','2020-12-31 23:59:59','2020-12-31 23:59:59.999999'"
)
STAMPS = "'2020-12-31 23:59:59','2020-12-31 23:59:59.999999'"
ROWS = [
    f"1,{NULLS}",
    "2,-128,18446744073709551615,42,-99999999999999999999.9999999999,1.5,"
    + "9" * 65
    + ",3.4028234663852886e38,1.7976931348623157e308,12345.67,0.1,0,b'1',"
    + f"b'{'1' * 64}',"
    + "'0000-00-00','-00:00:01','-838:59:59','0000-00-00 00:00:00','9999-12-31 23:59:59.999999','1970-01-01 00:00:01',"
    "'2038-01-19 03:14:07.999999','  x  ','café €','日本',"
    r"'😀\\ \' \" \n \r \0 \Z %s %% ` , ( ) ~ #','日','😀','','','quote\'s','ÿ','it\'s','a,ü,it\'s',"
    "x'0100',x'00ff275c0a',x'',x'ff00',ST_GeomFromText('POINT(1 2)'),ST_GeomFromText('POINT(-1.5 2e10)')",
    (
        "3,1,0,0,0,0,0,-0e0,-0e0,-0.0,-0.0,2155,b'0',b'0','2020-02-31','838:59:59','00:00:00.000001','2020-00-15 00:00:00',"
        "'2000-01-01 00:00:00.5','0000-00-00 00:00:00','2001-01-01 01:01:01.000001','','a ','','',' ','',' ','\\n','','','','',"
        "x'',x'2000',x'00',x'',ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'),NULL"
    ),
    (
        f"4,7,1,1,0.0000000001,0.01,-1,1.1,0.1,1.005,1e-300,1901,NULL,1,{SPREAD},{STAMPS},"
        "'tail   ','b','c  ','d  ','ソ','e','f','g','h','i','back\\\\slash','','a','b','c',repeat(x'00ff',40000),"
        "ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 10,0 0),(1 1,2 1,2 2,1 2,1 1))'),ST_GeomFromText('POINT(10 20)',4326)"
    ),
    (
        f"5,7,1,1,0,0,-1,1e-45,5e-324,1.005,123456789.123,1901,NULL,1,{SPREAD},{STAMPS},"
        "'\x01\x7f','b','p#q','r','ソ','e','f','g','h','i','ü','','a','b','c',x'61',ST_GeomFromText('LINESTRING(0 0,1 1)'),NULL"
    ),
    (
        f"6,7,1,1,0,0,-1,16777216,123456789012345678,1.005,1e15,1901,NULL,1,{SPREAD},{STAMPS},"
        "'1:a,','b','p','q#r','ソ','e','f','g','h','i','','','a','b','c',x'61',ST_GeomFromText('MULTIPOINT(0 0,1 1)'),NULL"
    ),
]


def schema_of(session, database, name="t"):
    table = TableName(database, name)
    return introspect.load_schemas(session, [table])[table]


def by_value(schema):
    """As a mixed pair sees it: MariaDB has no -0."""
    columns = tuple(msgspec.structs.replace(column, by_value=True) for column in schema.columns)
    return msgspec.structs.replace(schema, columns=columns)


def digests(session, schema):
    name = statements.quote_table(schema.name)
    return session.query(
        f"SELECT id, {digests_of.row_digest(schema.columns, session.flavor)} FROM {name} ORDER BY id"
    )


def canonical(session, schema):
    listed = ",".join(digests_of.canonical(c, session.flavor) for c in schema.columns)
    return session.query(f"SELECT {listed} FROM {statements.quote_table(schema.name)} ORDER BY id")


def carry(source, target, from_schema, to_schema):
    image = cols.image(from_schema.columns)
    rows = source.query(f"SELECT {image} FROM {statements.quote_table(from_schema.name)}")
    images = [row[0] for row in rows]
    assert all(len(split_image(i)) == len(from_schema.columns) for i in images)
    target.execute(statements.insert_rows(to_schema, to_schema.columns, images))


def test_every_type_travels_both_ways_without_loss(opened, pair, database):
    """The rows are written by one server only: how a text becomes a value is not what is compared here."""
    for source in opened.values():
        target = opened[source.side.other]
        for session in (source, target):
            session.execute(f"DROP TABLE IF EXISTS {database}.t, {database}.back")
            session.execute(f"CREATE TABLE {database}.t ({COLUMNS})")
        source.execute(f"CREATE TABLE {database}.back LIKE {database}.t")
        for row in ROWS:
            source.execute(f"INSERT INTO {database}.t VALUES ({row})")
        here, there = schema_of(source, database), schema_of(target, database)
        back = schema_of(source, database, "back")
        if pair.name == "mixed":
            here, there, back = by_value(here), by_value(there), by_value(back)
        assert compare(here, there) == []
        assert [c.members for c in here.columns] == [c.members for c in there.columns]
        carry(source, target, here, there)
        for one, other in zip(canonical(source, here), canonical(target, there), strict=True):
            assert dict(zip(map(str, here.columns), one, strict=True)) == dict(
                zip(map(str, here.columns), other, strict=True)
            )
        assert digests(source, here) == digests(target, there)
        assert len({digest for _, digest in digests(source, here)}) == len(ROWS)
        chunk = f"SELECT {{}} FROM {database}.t"
        assert source.query(chunk.format(digests_of.chunk_digest(here.columns))) == target.query(
            chunk.format(digests_of.chunk_digest(there.columns))
        )
        carry(target, source, there, back)
        assert canonical(source, here) == canonical(source, back)


def test_the_digest_is_of_values_not_of_their_dress(opened, database):
    """Charset, collation, integer width and zerofill may differ between the sides."""
    a, b = opened.values()
    a.execute(
        f"CREATE TABLE {database}.t (id int PRIMARY KEY, v varchar(20) CHARACTER SET latin1, n int(8) zerofill, tx text)"
    )
    b.execute(
        f"CREATE TABLE {database}.t (id bigint PRIMARY KEY, v varchar(99) CHARACTER SET utf8mb4, n bigint, tx longtext)"
    )
    for session in (a, b):
        session.execute(f"INSERT INTO {database}.t VALUES (1,'é',7,'ü'), (2,'',0,NULL)")
    assert digests(a, schema_of(a, database)) == digests(b, schema_of(b, database))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("'p#q','r'", "'p','q#r'"),
        ("'1:a','b'", "'','1:ab'"),
        ("NULL,''", "'',NULL"),
        ("'~','x'", "NULL,'x'"),
        ("'a,b',''", "'a',',b'"),
        ("'a','b'", "'b','a'"),
    ],
)
def test_values_never_run_into_each_other(opened, database, one, other):
    session = opened[Side.A]
    session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, v varchar(20), w varchar(20))")
    schema = schema_of(session, database)
    seen = []
    for values in (one, other):
        session.execute(f"DELETE FROM {database}.t")
        session.execute(f"INSERT INTO {database}.t VALUES (1,{values})")
        seen.append(digests(session, schema))
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("varchar(9)", "varchar(9)"),
        ("varchar(9)", "char(9) CHARACTER SET latin1 NOT NULL"),
        ("varchar(9) CHARACTER SET gbk", "text"),
        ("varbinary(9)", "varchar(9) NOT NULL"),
        ("blob", "varchar(9)"),
    ],
)
def test_no_two_rows_of_texts_share_a_digest(opened, database, one, other):
    """Every pair of short texts of what a digest's own text is made of."""
    signs = ["", *",~!1"]
    texts = sorted({a + b for a in signs for b in signs})
    here = [f"'{text}'" for text in texts]
    values = ",".join(
        f"({number},{a},{b})"
        for a in [*here, "NULL"]
        for b in (here if "NOT NULL" in other else [*here, "NULL"])
        for number in ("NULL", "0", "1")
    )
    for session in opened.values():
        session.execute(
            f"CREATE TABLE {database}.t (id int PRIMARY KEY AUTO_INCREMENT, n int, v {one}, w {other})"
        )
        session.execute(f"INSERT INTO {database}.t (n, v, w) VALUES {values}")
        schema = schema_of(session, database)
        columns = schema.columns[1:]
        row = digests_of.row_digest(columns, session.flavor)
        [(rows, found)] = session.query(f"SELECT COUNT(*), COUNT(DISTINCT {row}) FROM {database}.t")
        assert rows == found == values.count("(")


def test_many_texts_are_kept_apart_and_both_flavours_agree(opened, database):
    """The longest text of another charset is three times as long in UTF-8."""
    names = [f"v{number}" for number in range(7)]
    rows = {
        tuple("''" if at != place else text for at in range(7))
        for place in range(7)
        for text in ("NULL", "'~'", "','")
    }
    rows |= {tuple("','" if at <= place else "''" for at in range(7)) for place in range(7)}
    rows |= {tuple("NULL" if at <= place else "''" for at in range(7)) for place in range(7)}
    rows |= {(f"REPEAT('€',{length})", *["''"] * 6) for length in (1, 20_999, 21_000)}
    found = []
    for session in opened.values():
        declared = ",".join(
            f"{name} varchar({21_000 if name == 'v0' else 20}) CHARACTER SET cp1250"
            for name in names
        )
        session.execute(
            f"CREATE TABLE {database}.t (id int PRIMARY KEY, {declared}, only_long text)"
        )
        values = ",".join(f"({at},{','.join(row)},NULL)" for at, row in enumerate(sorted(rows)))
        session.execute(f"INSERT INTO {database}.t VALUES {values}")
        schema = schema_of(session, database)
        for columns in (schema.columns[1:], schema.columns[1:-1], schema.columns[-1:]):
            row = digests_of.row_digest(columns, session.flavor)
            found.append(session.query(f"SELECT {row} FROM {database}.t ORDER BY id"))
    for of_a, of_b in zip(found[:3], found[3:], strict=True):
        assert of_a == of_b
    assert len(set(found[0])) == len(set(found[1])) == len(rows)
    assert len(set(found[2])) == 1


def test_rows_without_a_digest_do_not_cancel_out(opened):
    """What stands for two of them is no counter: the XOR of numbers that follow each other is often the same on both sides."""
    number = f"CAST(CONV({digests_of.UNLIKE},16,10) AS UNSIGNED)"
    for session in opened.values():
        sql = f"SELECT BIT_XOR({number}) FROM (SELECT 1 UNION SELECT 2) AS two"
        assert len({session.query(sql)[0] for _ in range(30)}) == 30


def test_a_column_that_is_not_null_on_one_side_makes_the_same_digest(opened, database):
    """Nor does it matter which side's charset has texts without an exact form."""
    a, b = opened.values()
    a.execute(
        f"CREATE TABLE {database}.t (id int PRIMARY KEY, v varchar(9) CHARACTER SET cp932 NOT NULL, w varchar(9))"
    )
    b.execute(
        f"CREATE TABLE {database}.t (id int PRIMARY KEY, v varchar(9), w varchar(9) NOT NULL)"
    )
    for session in (a, b):
        session.execute(f"INSERT INTO {database}.t VALUES (1,'ソ','a'), (2,'','')")
    assert digests(a, schema_of(a, database)) == digests(b, schema_of(b, database))


def test_which_of_many_texts_are_null_is_told_by_several_numbers(opened, database):
    """A number has room for so many; the columns at its ends are looked at."""
    names = [f"v{number}" for number in range(2 * digests_of.NULLS_AT_ONCE + 2)]
    looked_at = (0, 1, 59, 60, 61, 119, 120, 121)
    rows = ["''" for _ in names], ["NULL" for _ in names]
    values = [*rows, *([*rows[0][:at], "NULL", *rows[0][at + 1 :]] for at in looked_at)]
    values += [[*rows[1][:at], "''", *rows[1][at + 1 :]] for at in looked_at]
    found = []
    for session in opened.values():
        declared = ",".join(f"{name} varchar(5)" for name in names)
        session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, {declared})")
        listed = ",".join(f"({at},{','.join(row)})" for at, row in enumerate(values))
        session.execute(f"INSERT INTO {database}.t VALUES {listed}")
        row = digests_of.row_digest(schema_of(session, database).columns[1:], session.flavor)
        found.append(session.query(f"SELECT {row} FROM {database}.t ORDER BY id"))
    assert found[0] == found[1]
    assert len(set(found[0])) == len(values)


@pytest.mark.parametrize("charset", ["utf8mb4", "utf8mb3", "latin1", "utf16", "ascii"])
def test_no_server_lets_what_parts_fields_into_a_text(opened, database, charset):
    """However it is asked to: a byte that no UTF-8 has is cut, replaced or refused, with no strict mode either."""
    for session in opened.values():
        session.execute("SET SESSION sql_mode = ''")
        session.execute(
            f"CREATE TABLE {database}.t (id int PRIMARY KEY AUTO_INCREMENT, v varchar(20) CHARACTER SET {charset})"
        )
        for text in ("X'61FF62'", "_binary X'FF'", "UNHEX('FF62')", "CAST(X'61FF' AS BINARY)"):
            session.execute(f"INSERT INTO {database}.t (v) VALUES ({text})")
        session.execute(f"CREATE TABLE {database}.was_bytes (v varbinary(20))")
        session.execute(f"INSERT INTO {database}.was_bytes VALUES (X'61FF62'), (X'FF')")
        session.execute(
            f"ALTER TABLE {database}.was_bytes MODIFY v varchar(20) CHARACTER SET {charset}"
        )
        for table in ("t", "was_bytes"):
            [column] = [c for c in schema_of(session, database, table).columns if c.name == "v"]
            field = cols.joined_text(column)
            rows = session.query(
                f"SELECT HEX(CONVERT({field} USING binary)) FROM {database}.{table}"
            )
            assert rows
            for (text,) in rows:
                assert "FF" not in [text[at : at + 2] for at in range(0, len(text), 2)], text


def test_the_chunk_s_digest_is_one_number_whatever_it_is_made_by(opened, database):
    """MySQL joins bytes, MariaDB numbers."""
    found = set()
    for session in opened.values():
        session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, v varchar(20))")
        schema = schema_of(session, database)
        for values in ((), ("(1,'a'),(2,NULL),(3,'b')",)):
            for some in values:
                session.execute(f"INSERT INTO {database}.t VALUES {some}")
            for flavor in (None, session.flavor):
                digest = digests_of.chunk_digest(schema.columns, flavor)
                small = digests_of.small_digest(
                    schema.columns, flavor, f"FROM {database}.t LIMIT 99"
                )
                for text in (f"{digest} FROM {database}.t", small):
                    [(rows, number)] = session.query(f"SELECT {text}")
                    found.add((int(rows), int(number)))
    assert sorted(rows for rows, _ in found) == [0, 3]
    assert (0, 0) in found


def test_a_packet_too_small_for_a_row_s_text_is_refused(opened):
    """A text that is too long becomes NULL, and would be taken for one."""
    session = opened[Side.A]
    session.execute("SET @before = @@GLOBAL.max_allowed_packet")
    session.execute("SET GLOBAL max_allowed_packet = 65536")
    try:
        with pytest.raises(
            StatementRefused, match=r"side a .*65536 bytes, 524288 are needed: SET GLOBAL"
        ):
            Session.open(session.endpoint, Side.A, purpose="test")
    finally:
        session.execute("SET GLOBAL max_allowed_packet = @before")


ZEROS = {
    "int": "0", "bigint unsigned": "0", "decimal(10,2)": "0.0", "float": "0.0", "double": "0.0", "bit(9)": "b'0'", "year": "0",
    "date": "'0000-00-00'", "datetime(3)": "'0000-00-00'", "timestamp": "'0000-00-00'", "time": "'00:00:00'", "char(4)": "''",
    "varchar(9)": "''", "varbinary(9)": "''", "blob": "''", "text": "''", "enum('','x')": "0", "set('x')": "''", "json": "'null'",
}  # fmt: skip


def test_nothing_is_another_value_than_zero(opened, database):
    """0.0 and '' against NULL, in a column of every type."""
    session = opened[Side.A]
    columns = ", ".join(f"c{at} {kind} NULL" for at, kind in enumerate(ZEROS))
    session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, {columns})")
    session.execute(f"INSERT INTO {database}.t (id) VALUES (1)")
    schema = schema_of(session, database)
    nothing = digests(session, schema)
    seen = {str(nothing)}
    for at, zero in enumerate(ZEROS.values()):
        session.execute(f"UPDATE {database}.t SET c{at} = {zero}")
        seen.add(str(digests(session, schema)))
        session.execute(f"UPDATE {database}.t SET c{at} = NULL")
        assert digests(session, schema) == nothing
    assert len(seen) == len(ZEROS) + 1


def test_equal_edits_in_an_even_number_of_rows_change_a_chunks_digest(opened, database):
    """The classic CRC32/XOR digest is blind to them."""
    a, b = opened.values()
    for session in (a, b):
        session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, version int)")
        session.execute(
            f"INSERT INTO {database}.t VALUES " + ",".join(f"({i},{i % 3})" for i in range(100))
        )
    chunk = f"SELECT {digests_of.chunk_digest(schema_of(a, database).columns)} FROM {database}.t"
    assert a.query(chunk) == b.query(chunk)
    b.execute(f"UPDATE {database}.t SET version = version + 1")
    assert a.query(chunk) != b.query(chunk)


def test_large_values_do_not_leave_the_digest(opened, database):
    """HEX or CONCAT beyond max_allowed_packet would be NULL, and NULL is equal to nothing and to everything."""
    session = opened[Side.B]
    size = int(session.variables("max_allowed_packet")["max_allowed_packet"]) * 3 // 4
    session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, b longblob, t longtext)")
    schema = schema_of(session, database)
    session.execute(f"INSERT INTO {database}.t SELECT 1, REPEAT('b', {size}), REPEAT('t', {size})")
    before = digests(session, schema)
    assert before[0][1] is not None
    image = session.query(f"SELECT {cols.image(schema.columns)} FROM {database}.t")
    assert image == [(None,)], "an image that is too large is missing, not cut"
    session.execute(f"UPDATE {database}.t SET b = CONCAT(LEFT(b, {size} - 1), 'x')")
    assert digests(session, schema) != before


@pytest.mark.parametrize("pair", ["mysql", "mariadb"], indirect=True)
def test_json_travels_within_a_flavour(opened, database):
    a, b = opened.values()
    documents = [
        '{"b": 1, "a": [1.0, 1e300, -0.5, "it\'s \\\\ \\"q\\" \\u0000 😀", null, true]}',
        '"text"',
        "12345678901234567890",
        "{}",
    ]
    for session in (a, b):
        session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, j json)")
    for number, document in enumerate(documents):
        a.execute(f"INSERT INTO {database}.t VALUES ({number}, {cols.quote_text(document)})")
    here, there = schema_of(a, database), schema_of(b, database)
    assert here.column("j").data_type == there.column("j").data_type == "json"
    carry(a, b, here, there)
    assert digests(a, here) == digests(b, there)


@pytest.mark.parametrize("pair", ["mysql"], indirect=True)
def test_json_is_compared_by_value_on_mysql(opened, database):
    a, b = opened.values()
    for session, document in ((a, '{"b":1,"a":2}'), (b, '{ "a": 2, "b": 1 }')):
        session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, j json)")
        session.execute(f"INSERT INTO {database}.t VALUES (1, '{document}')")
    assert digests(a, schema_of(a, database)) == digests(b, schema_of(b, database))


@pytest.mark.parametrize("pair", ["mysql"], indirect=True)
def test_vectors_travel(opened, database):
    a, b = opened.values()
    if a.version < (9, 0):
        pytest.skip("this MySQL has no VECTOR")
    for session in (a, b):
        session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, v vector(3))")
    a.execute(f"INSERT INTO {database}.t VALUES (1, TO_VECTOR('[1,2.5,-3e10]')), (2, NULL)")
    carry(a, b, schema_of(a, database), schema_of(b, database))
    assert digests(a, schema_of(a, database)) == digests(b, schema_of(b, database))


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_address_types_travel(opened, database):
    a, b = opened.values()
    if a.version < (10, 7):
        pytest.skip("this MariaDB has no UUID")
    for session in (a, b):
        session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, u uuid, i inet6)")
    a.execute(f"INSERT INTO {database}.t VALUES (1, UUID(), '::1'), (2, NULL, 'ff02::1:2')")
    carry(a, b, schema_of(a, database), schema_of(b, database))
    assert digests(a, schema_of(a, database)) == digests(b, schema_of(b, database))
