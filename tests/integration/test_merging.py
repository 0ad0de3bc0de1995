"""Rows made of two on real servers: columns of either side, counters, and what cannot be merged."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from decimal import Decimal

import pymysql
import pytest

from syncer.core.side import Side
from syncer.service.delivery import Delivery
from testbed import oracle
from tests.integration.harness import syncer as command
from tests.integration.harness import wait_until
from tests.integration.inside import Inside

COLUMNS = (
    "id INT PRIMARY KEY, a VARCHAR(20) NOT NULL, b DECIMAL(10,2), c DOUBLE, amount INT NOT NULL, currency CHAR(3) NOT NULL, "
    "seen DATETIME(3), at TIMESTAMP(6) NULL, kind ENUM('x','y'), tags SET('p','q'), raw VARBINARY(20), flag BIT(3), "
    "n BIGINT UNSIGNED, said TEXT"
)
ROW = (
    "'o',1.50,0.1,10,'EUR','2026-01-01 10:00:00.123','2026-01-01 10:00:00.123456','x','p,q',X'00ff',b'101',"
    "18446744073709551615,'it\\'s \\\\ new\\nline'"
)
RULES = {
    "parts": "column_merge:amount+currency then hold",
    "chosen": "column_merge then prefer:b",
    "stock": "delta:n,price then max:seen then hold",
}

KEPT = {"versions": 'highest_version:v"\non_tie = "hold', "times": 'newest:at"\non_tie = "b'}
"""No rule of these needs a base; it is kept all the same."""


def configured(tmp_path, database):
    entries = [
        f'[[table]]\nmatch = "{database}.{name}"\nrule = "{rule}"\non_delete = "update_wins"'
        for name, rule in RULES.items()
    ]
    entries += [
        f'[[table]]\nmatch = "{database}.{name}"\nrule = "{rule}"\non_delete = "hold"\nbase = "keep"'
        for name, rule in KEPT.items()
    ]
    config = tmp_path / "rules.toml"
    config.write_text("\n".join(entries), "utf-8")
    return config


@pytest.mark.parametrize("pair", ["mysql", "mixed"], indirect=True)
def test_rows_are_merged(pair, database, product, tmp_path):
    for name in ("parts", "chosen"):
        rows = ",".join(f"({key},{ROW})" for key in range(1, 9))
        pair.script(
            f"CREATE TABLE {name} ({COLUMNS})", f"INSERT INTO {name} VALUES {rows}", db=database
        )
    pair.script(
        "CREATE TABLE stock (id INT PRIMARY KEY, n TINYINT UNSIGNED, price DECIMAL(30,4), seen DATETIME, note VARCHAR(9))",
        "INSERT INTO stock VALUES "
        + ",".join(f"({k},10,5.5,'2026-01-01','o')" for k in range(1, 9)),
        db=database,
    )
    pair.script(
        "CREATE TABLE versions (id INT PRIMARY KEY, v DECIMAL(10,2) NOT NULL, note TEXT)",
        "CREATE TABLE times (id INT PRIMARY KEY, at DATETIME(6) NOT NULL, note TEXT)",
        "INSERT INTO versions VALUES (1,1.5,'o'),(2,1.5,'o')",
        "INSERT INTO times VALUES (1,'2026-01-01 10:00:00.123456','o')",
        db=database,
    )
    syncer = product("--config", configured(tmp_path, database))
    syncer.until_in_sync()
    pair.a.script(
        "UPDATE versions SET v=v+1, note='from a'",
        "UPDATE times SET at='2026-01-02', note='from a'",
        "UPDATE parts SET a='from a', n=1, flag=b'010' WHERE id=1",
        "UPDATE parts SET a='from a' WHERE id=2",
        "UPDATE parts SET amount=20 WHERE id=3",
        "UPDATE parts SET amount=20, c=2.5, tags='q' WHERE id=4",
        "UPDATE parts SET a='passing' WHERE id=5",
        "UPDATE parts SET a='o', kind='y' WHERE id=5",
        "UPDATE chosen SET a='from a', b=2 WHERE id=1",
        "UPDATE stock SET n=n+1 WHERE id IN (1,2)",
        "UPDATE stock SET price=price-0.0001, seen='2026-02-01', n=n-3 WHERE id=3",
        "UPDATE stock SET n=n+200 WHERE id=4",
        "UPDATE stock SET n=NULL WHERE id=5",
        "UPDATE stock SET n=n+1, note='from a' WHERE id=6",
        "UPDATE stock SET n=n+1 WHERE id IN (7,8)",
        db=database,
    )
    pair.b.script(
        # What no stream tells of: the sides no longer agree on what the row was.
        "SET sql_log_bin=0",
        "UPDATE stock SET note='unlogged' WHERE id=8",
        "SET sql_log_bin=1",
        "UPDATE stock SET n=n+1 WHERE id=8",
        "UPDATE versions SET note='from b' WHERE id=1",
        "UPDATE versions SET v=v+2, note='from b' WHERE id=2",
        "UPDATE times SET note='from b'",
        "UPDATE parts SET b=9.99, c=1e300, seen=NULL, raw=X'27', said='' WHERE id=1",
        "UPDATE parts SET a='from b', b=3 WHERE id=2",
        "UPDATE parts SET currency='USD' WHERE id=3",
        "UPDATE parts SET at='2027-01-01' WHERE id=4",
        "UPDATE parts SET a='from b' WHERE id=5",
        "UPDATE chosen SET a='from b', n=7 WHERE id=1",
        "UPDATE stock SET n=n+1 WHERE id=1",
        "UPDATE stock SET n=n+5 WHERE id=2",
        "UPDATE stock SET price=price+100000000000000000000, seen='2026-03-01', n=n+4 WHERE id=3",
        "UPDATE stock SET n=n+100 WHERE id=4",
        "UPDATE stock SET n=n+1 WHERE id=5",
        "UPDATE stock SET n=n+1, note='from b' WHERE id=6",
        "DELETE FROM stock WHERE id=7",
        db=database,
    )
    syncer.until_in_sync(codes=(1,))
    found = oracle.read_pair(pair, database)
    entries = {c.table.split(".")[1] + c.key[0]: c for c in syncer.conflicts()}

    def rows(name, key):
        a, b = (found[name][side].get((key,)) for side in (0, 1))
        return a, b

    held = {name for name, entry in entries.items() if entry.status == "held"}
    assert held == {"parts2", "parts3", "stock4", "stock5", "stock6", "stock8", "versions1"}
    assert "base rows differ" in entries["stock8"].rule
    for name, keys in (("parts", (1, 4, 5)), ("chosen", (1,)), ("stock", (1, 2, 3, 7))):
        for key in keys:
            a, b = rows(name, key)
            assert a == b, (name, key)
    names = [part.split()[0] for part in COLUMNS.split(", ")]
    one = dict(zip(names, rows("parts", 1)[0], strict=True))
    assert (one["a"], one["n"], one["said"], one["seen"]) == ("from a", 1, "", None)
    assert rows("parts", 4)[0][4] == 20
    assert rows("parts", 5)[0][1] == "from b"
    # The column that both changed goes to the winner, the others to whoever changed them.
    assert rows("chosen", 1)[0][1] == "from b"
    assert rows("chosen", 1)[0][2] == rows("chosen", 1)[1][2] != rows("parts", 2)[0][2]
    assert rows("chosen", 1)[0][12] == 7
    assert [rows("stock", key)[0][1] for key in (1, 2, 3)] == [12, 16, 11]
    assert "100000000000000000005.4999" in str(rows("stock", 3)[0][2])
    assert str(rows("stock", 3)[0][3]).startswith("2026-03-01")
    assert entries["parts2"].rule == "column_merge:amount+currency leaves a: hold"
    assert entries["parts3"].rule == "column_merge:amount+currency leaves amount, currency: hold"
    assert entries["stock4"].rule == "delta:n,price: n would be out of range: hold"
    assert entries["stock5"].rule == "delta:n,price: n is NULL: hold"
    assert "leaves note" in entries["stock6"].rule
    assert entries["versions1"].path == "stale"
    assert entries["versions1"].images["o"] == ("1", "1.50", "'o'")
    assert (entries["versions2"].winner, entries["versions2"].path) == ("b", "rule")
    # Side B's change left the time as it was, but came later.
    assert entries["times1"].winner == "b"
    assert "stale on side b: commit times" in entries["times1"].rule
    # What both agreed on is in the journal, every column of it.
    base = entries["parts2"].images["o"]
    assert base[1] == "'o'"
    assert None not in base
    assert base[2:] == (entries["parts2"].images["a"])[2:]
    before = oracle.read_pair(pair, database)
    syncer.until_in_sync(codes=(1,))
    assert oracle.read_pair(pair, database) == before

    # What is held a person merges: without a word for the columns that both changed it stays held.
    def resolve(*words):
        ledger = ("--config", tmp_path / "rules.toml", "--ledger", syncer.ledger)
        return command("conflicts", "resolve", *words, *ledger, cwd=syncer.folder)

    held = ("--where", "key:2 & table:parts | key:3 & table:parts | key:6 & table:stock")
    left = resolve(*held, "--take", "merge", "--json").must(1).document()["left"]
    assert sorted(one["reason"].partition(":")[0] for one in left) == [
        "both sides changed a",
        "both sides changed amount, currency",
        "both sides changed note",
    ]
    resolve(*held, "--take", "merge", "--else", "a").must(0)
    syncer.until_in_sync(codes=(1,))
    found = oracle.read_pair(pair, database)
    for name, key in (("parts", 2), ("parts", 3), ("stock", 6)):
        a, b = rows(name, key)
        assert a == b, (name, key)
    assert rows("parts", 2)[0][1:3] == ("from a", before["parts"][1][2,][2])
    assert rows("parts", 3)[0][4:6] == (20, "EUR")
    assert rows("stock", 6)[0][1:2] + rows("stock", 6)[0][4:] == (12, "from a")

    # A merge is taken back by name: whose row is to stand again.
    def take_back(*words):
        return command(*words, "--ledger", syncer.ledger, cwd=syncer.folder)

    def decision():
        which = ("--status", "applied", "--where", "table:parts & key:2", "--json")
        (one,) = take_back("conflicts", "list", *which).must(0).document()["conflicts"]
        return one["conflict_id"]

    number = decision()
    merged = found["parts"][0][2,]
    assert "--take a or b" in take_back("conflicts", "revert", number).must(1).stdout
    take_back("conflicts", "revert", number, "--take", "b").must(0)
    undo = ("undo", "--table", "chosen")
    assert "--merged a or b" in take_back(*undo).must(1).stdout
    take_back(*undo, "--merged", "b").must(0)
    syncer.until_in_sync(codes=(1,))
    found = oracle.read_pair(pair, database)
    assert rows("parts", 2) == (before["parts"][1][2,],) * 2
    assert rows("chosen", 1)[0] == rows("chosen", 1)[1]
    assert rows("chosen", 1)[0][1:3] == ("from b", before["chosen"][0][2,][2])
    take_back("conflicts", "revert", decision()).must(0)
    syncer.until_in_sync(codes=(1,))
    found = oracle.read_pair(pair, database)
    assert rows("parts", 2) == (merged,) * 2


ROWS, TURNS, AT_ONCE = 20, 100, 50
"""On each side so many transactions of so many increments: 10,000 on both."""


class Counting(threading.Thread):
    """Counts up on one side; what a deadlock or a lock wait undoes is done again."""

    def __init__(self, server, database, seed):
        super().__init__()
        self._server, self._database = server, database
        self._order = random.Random(seed)
        self.done = 0
        self.added = Counter()
        self.trouble = None

    def run(self):
        try:
            with self._server.connect(database=self._database, autocommit=False) as session:
                for _ in range(TURNS):
                    keys = sorted(self._order.choices(range(1, ROWS + 1), k=AT_ONCE))
                    self._turn(session, Counter(keys))
        except Exception as error:
            self.trouble = error
            raise

    def _turn(self, session, keys):
        while True:
            try:
                with session.cursor() as cursor:
                    for key, times in keys.items():
                        added = (times, Decimal(times) / 100, key)
                        cursor.execute("UPDATE counter SET n=n+%s, m=m-%s WHERE id=%s", added)
                session.commit()
            except pymysql.err.OperationalError as error:
                session.rollback()
                if error.args[0] not in {1205, 1213}:
                    raise
                continue
            self.added.update(keys)
            self.done += 1
            return


@pytest.mark.parametrize("pair", ["mariadb", "mixed"], indirect=True)
def test_no_increment_is_lost_or_counted_twice(pair, database, product, tmp_path):
    """Counted up on both sides at once, and killed twice on the way."""
    pair.script(
        "CREATE TABLE counter (id INT PRIMARY KEY, n INT NOT NULL, m DECIMAL(20,2) NOT NULL)",
        "INSERT INTO counter VALUES " + ",".join(f"({key},0,0)" for key in range(1, ROWS + 1)),
        db=database,
    )
    config = tmp_path / "rules.toml"
    config.write_text('[policy]\nrule = "delta:n,m then hold"\non_delete = "hold"', "utf-8")
    syncer = product("--config", config)
    syncer.until_in_sync()
    running = syncer.start()
    running.connected()
    threads = [Counting(server, database, at) for at, server in enumerate((pair.a, pair.b))]
    for thread in threads:
        thread.start()
    for turns in (TURNS // 3, TURNS * 2 // 3):
        wait_until(
            f"{turns} turns on each side",
            lambda turns=turns: (
                all(t.done >= turns or t.trouble for t in threads),
                [t.done for t in threads],
            ),
        )
        running.kill()
        running = syncer.start()
        running.connected()
    for thread in threads:
        thread.join()
    assert [thread.trouble for thread in threads] == [None, None]
    syncer.settled()
    running.stop().must(0)
    wanted = threads[0].added + threads[1].added
    assert wanted.total() == 2 * TURNS * AT_ONCE
    for server in pair.sides:
        found = server.query("SELECT id, n, m FROM counter", db=database)
        assert {row[0]: row[1] for row in found} == wanted
        assert {row[0]: row[2] for row in found} == {
            key: Decimal(-count) / 100 for key, count in wanted.items()
        }


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_a_merge_is_no_newer_than_the_change_that_it_carries(
    pair, database, product, tmp_path, monkeypatch, quiet
):
    """What side B changes while a merge is on its way to side A comes after A's change, whenever we write that (conflicts.md §1)."""
    config = tmp_path / "rules.toml"
    config.write_text(
        '[policy]\nrule = "column_merge then newest"\non_delete = "hold"\non_tie = "hold"', "utf-8"
    )
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, x INT NOT NULL, y INT NOT NULL)",
        "INSERT INTO t VALUES (1,0,0)",
        db=database,
    )
    syncer = product("--config", config)
    syncer.until_in_sync()
    pair.a.script("UPDATE t SET x=1", db=database)
    pair.b.script("UPDATE t SET y=1", db=database)
    apply = Delivery._attempt
    late = []

    def attempt(self, planned, batch, plan):
        if self.target is Side.A and not late:
            late.append("B is written after both rows were read, and before the merge is")
            time.sleep(2.5)
            pair.b.script("UPDATE t SET x=7", db=database)
            time.sleep(2.5)  # whole seconds have an order
        return apply(self, planned, batch, plan)

    monkeypatch.setattr(Delivery, "_attempt", attempt)
    inside = Inside(
        syncer,
        policy={"rule": "column_merge then newest", "on_delete": "hold", "on_tie": "hold"},
    )
    syncer.settled()
    inside.end()
    assert late
    found = oracle.read_pair(pair, database)["t"]
    assert found == ({(1,): (1, 7, 1)},) * 2
