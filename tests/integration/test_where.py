"""A filter through a whole run: what is outside of it on both sides is left alone, and what leaves it travels once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.provision import Pair
    from tests.integration.harness import Product

pytestmark = pytest.mark.parametrize("pair", ["mixed"], indirect=True)
WHERE = "region = 'eu' AND id < 10000"


def rows(server, database: str, condition: str = "TRUE") -> dict[int, tuple]:
    found = server.query(f"SELECT id, region, v FROM `{database}`.t WHERE {condition}")
    return {row[0]: row[1:] for row in found}


def test_rows_that_enter_and_leave_the_filter(
    pair: Pair, database: str, make_product: Callable[..., Product]
) -> None:
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, region VARCHAR(9), v VARCHAR(20))",
        "CREATE TABLE keyless (region VARCHAR(9), id INT)",
        db=database,
    )
    many = "SELECT a.n*1000+b.n*100+c.n*10+d.n FROM (SELECT 0 n UNION SELECT 1 UNION SELECT 2) a"
    for letter in "bcd":
        more = " UNION ".join(f"SELECT {n} n" for n in range(10))
        many += f" JOIN ({more}) {letter}"
    pair.a.script(
        f"INSERT INTO t SELECT x, IF(x % 2, 'eu', 'us'), 'a' FROM ({many.replace('FROM', 'x FROM', 1)}) s",
        db=database,
    )
    pair.b.script(
        "INSERT INTO t VALUES (2, 'us', 'b alone'), (4, 'us', 'b'), (9999, 'eu', 'b')", db=database
    )
    syncer = make_product(pair, "--where", WHERE, tables=f"{database}.t")
    syncer.until_in_sync()
    a, b = (rows(server, database) for server in pair.sides)
    assert len(a) == 3001
    assert {key for key, row in a.items() if row[0] == "eu"} == b.keys() - {2, 4}
    assert a[2] == ("us", "a")
    assert b[2] == ("us", "b alone")

    pair.a.script(
        "UPDATE t SET region = 'us', v = 'left' WHERE id = 1",  # leaves: travels once
        "UPDATE t SET region = 'eu', v = 'came' WHERE id IN (4, 6)",  # enters: over b's row, and where b has none
        "DELETE FROM t WHERE id IN (2, 3)",  # 2 is outside on b, 3 is inside
        "UPDATE t SET v = 'outside' WHERE id = 8",
        "UPDATE t SET region = 'us' WHERE id = 5",
        "UPDATE t SET v = 'again' WHERE id = 5",
        db=database,
    )  # fmt: skip
    pair.b.script(
        "UPDATE t SET v = 'b too' WHERE id = 7",
        "INSERT INTO t VALUES (20001, 'eu', 'far'), (10, 'us', 'b outside')",
        db=database,
    )
    syncer.until_in_sync()
    pair.a.script("UPDATE t SET v = 'left and changed' WHERE id = 1", db=database)
    pair.b.script("DELETE FROM t WHERE id = 5", db=database)
    syncer.until_in_sync()
    a, b = (rows(server, database) for server in pair.sides)
    assert a[1] == ("us", "left and changed")
    assert b[1] == ("us", "left")
    assert a[4] == b[4] == a[6] == b[6] == ("eu", "came")
    assert b[2] == ("us", "b alone")
    assert 2 not in a
    assert a[5] == ("us", "again")
    assert 5 not in b
    assert 3 not in a | b
    assert 8 not in b
    assert a[7] == b[7] == ("eu", "b too")
    assert 20001 not in a
    assert a[10] == ("us", "a")
    # What was overwritten outside of the filter may have been somebody's: it is kept.
    found = [(one.key, one.possible, one.value("b", "v")) for one in syncer.conflicts()]
    assert found == [(("4",), True, "b")]
    assert rows(pair.a, database, WHERE) == rows(pair.b, database, WHERE)

    done = syncer("verify", "--json").must(0).document()["tables"]
    assert [(t["rows_a"], t["rows_b"]) for t in done] == [(len(rows(pair.a, database, WHERE)),) * 2]
    pair.b.script(
        "UPDATE t SET region = 'us' WHERE id = 11",
        "UPDATE t SET v = 'x' WHERE id = 13",
        db=database,
    )
    pair.script("INSERT INTO keyless VALUES ('eu', 1)", db=database)
    pair.a.script("INSERT INTO keyless VALUES ('us', 1)", db=database)
    both = make_product(pair, "--where", WHERE, tables=f"{database}.*")
    found = both("verify", "--json").must(1).document()["tables"]
    assert {
        t["table"].rpartition(".")[2]: (t["only_a"], t["only_b"], t["differing"]) for t in found
    } == {
        "keyless": (0, 0, 0),
        "t": (0, 0, 2),
    }

    # Another filter: what is in scope now is compared whole. Without history two rows of one key are held.
    syncer.options[syncer.options.index(WHERE)] = "region = 'us' OR region = 'eu' AND id < 10000"
    syncer.until_in_sync("--rule", "prefer:b")
    a, b = (rows(server, database) for server in pair.sides)
    assert {key: row for key, row in a.items() if key != 20001} == {
        key: row for key, row in b.items() if key != 20001
    }


def test_filters_that_cannot_be_held_to_are_refused_by_name(
    pair: Pair, database: str, make_product: Callable[..., Product]
) -> None:
    pair.script(
        "CREATE TABLE p (id INT PRIMARY KEY, region VARCHAR(9))",
        "CREATE TABLE c (id INT PRIMARY KEY, region VARCHAR(9), p INT,"
        " CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)",
        db=database,
    )
    for table, where, code, words in (
        ("*", "region = 'eu'", 3, f"{database}.c: it has a filter (where), and foreign key fk"),
        ("p", "region = 'eu' AND created > 1", 2, "has no column 'created' on side a"),
        ("p", "region region", 2, "refuses it (error 1064)"),
        ("p", "id > NOW()", 2, "where: NOW() is no function that a filter may use"),
    ):
        done = make_product(pair, "--where", where, tables=f"{database}.{table}")(
            "run", "--until-in-sync"
        )
        assert words in done.must(code).stderr, str(done)
