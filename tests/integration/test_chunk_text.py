"""Chunks digested as one text: on two MariaDB servers, whose order of keys is one."""

from __future__ import annotations

import pytest

from syncer.core.pairing import PairedTable
from syncer.core.policy import Policy
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.mysql import chunktext, introspect, statements
from syncer.mysql.flavor import Flavor
from testbed import oracle

pytestmark = pytest.mark.parametrize("pair", ["mariadb"], indirect=True)


def paired(opened, database, name="t"):
    table = TableName(database, name)
    a, b = (introspect.load_schemas(opened[side], [table])[table] for side in SIDES)
    names = tuple(column.name for column in a.columns)
    return PairedTable(
        table_id=1, name=table, a=a, b=b, columns=names, written=names, policy=Policy()
    )


def digest(session, table, low=None, high=None):
    side = session.side
    assert chunktext.fits(table, session.flavor, 1)
    sql = statements.select_chunk_digest(
        table.schema(side), session.flavor, table.compared(side), low, high, as_text=True
    )
    return session.query(sql)[0]


def test_every_difference_in_a_chunk_changes_its_digest(opened, database):
    """Fields and rows cannot run into each other, whatever stands in them."""
    contents = [
        "(1,'a','b',1)", "(1,'ab','',1)", "(1,'','ab',1)", "(1,NULL,'ab',1)", "(1,'ab',NULL,1)", "(1,'a','b',NULL)", "(1,'a,b','',1)",
        "(1,'a','b',1),(2,'','',2)", "(1,'a','b',1),(2,NULL,'',2)", "(1,'a','b',1),(2,'',NULL,2)", "(1,'a','b',12)", "(1,'a','b1',1)",
        "(1,'a','b',1),(2,'a','b',1)", "(1,'a','b',1),(3,'a','b',1)", "(2,'a','b',1),(1,'a','b',2)", "(1,'0','',NULL)",
    ]  # fmt: skip
    session = opened[Side.A]
    for one in opened.values():
        one.execute(
            f"CREATE TABLE {database}.t (id INT PRIMARY KEY, v VARCHAR(20), w VARCHAR(20), n INT)"
        )
    table = paired(opened, database)
    assert digest(session, table) == (0, None)
    seen = set()
    for rows in contents:
        session.execute(f"DELETE FROM {database}.t")
        session.execute(f"INSERT INTO {database}.t VALUES {rows}")
        seen.add(digest(session, table))
        assert digest(session, table) in seen, "the same rows have the same digest"
    assert len(seen) == len(contents)


def test_a_text_longer_than_a_packet_is_digested_to_its_end(opened, database):
    session = opened[Side.A]
    for one in opened.values():
        one.execute(f"CREATE TABLE {database}.t (id INT PRIMARY KEY, v VARCHAR(1500))")
    [(packet,)] = session.query("SELECT @@max_allowed_packet")
    rows = int(packet) // 1500 + 1000
    session.execute(
        f"INSERT INTO {database}.t SELECT seq, REPEAT('x', 1500) FROM {database}.seq_1_to_{rows}"
    )
    table = paired(opened, database)
    before = digest(session, table)
    assert before[0] == rows
    session.execute(f"UPDATE {database}.t SET v = CONCAT(v, 'y') WHERE id = {rows - 1}")
    session.execute(f"UPDATE {database}.t SET v = LEFT(v, 1499) WHERE id = {rows}")
    after = digest(session, table)
    assert after[0] == rows
    assert after != before


@pytest.mark.parametrize("known", [True, False])
def test_a_row_that_has_no_text_is_equal_to_nothing(opened, database, monkeypatch, known):
    """GROUP_CONCAT leaves out what is NULL. No type of MariaDB's is known to get there; should one, nothing is equal."""
    for one in opened.values():
        one.execute(f"CREATE TABLE {database}.t (id INT PRIMARY KEY)")
        one.execute(f"INSERT INTO {database}.t VALUES (1), (2)")
    table = paired(opened, database)
    assert digest(opened[Side.A], table) == digest(opened[Side.B], table)
    missing = "id = 2" if known else "TRUE"
    monkeypatch.setattr(chunktext, "row_text", lambda *_: f"IF({missing}, NULL, id)")
    monkeypatch.setattr(chunktext, "may_be_null", lambda *_: known)
    a, b = (digest(opened[side], table) for side in SIDES)
    assert a[0] == b[0] == 2
    assert a != b


def test_another_order_of_the_same_rows_is_found_equal(pair, opened, database, product):
    """A descending key, which our text does not know of: rows are looked at one by one then."""
    for server, order in zip(pair.sides, ("ASC", "DESC"), strict=True):
        server.script(
            f"CREATE TABLE t (id INT, v VARCHAR(20), PRIMARY KEY (id {order}))",
            "INSERT INTO t SELECT seq, CONCAT('row ', seq) FROM seq_1_to_5000",
            db=database,
        )
    table = paired(opened, database)
    assert digest(opened[Side.A], table) != digest(opened[Side.B], table)
    syncer = product()
    assert syncer("verify", "--json").must(0).document()["equal"]
    pair.b.script("DELETE FROM t WHERE id % 1000 = 7", db=database)
    syncer.until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert syncer("verify", "--json").must(0).document()["equal"]


def test_partitions_are_seen(opened, database):
    for side, partitions in zip(SIDES, (2, 3), strict=True):
        opened[side].execute(
            f"CREATE TABLE {database}.t (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS {partitions}"
        )
    table = paired(opened, database)
    assert table.a.partitioned
    assert not chunktext.fits(table, Flavor.MARIADB, 1)
