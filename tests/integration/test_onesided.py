"""Changes of one side travel together; whatever is in the way of one of them is found, and the others arrive."""

from __future__ import annotations

import threading

import pytest

from syncer.core.side import Side
from syncer.service import bulkdelivery
from syncer.service.probes import Moment
from testbed import oracle
from tests.integration.inside import Inside

ROWS = 300
CREATE = "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL, u INT NULL, note VARCHAR(40))"


@pytest.fixture
def together(monkeypatch):
    """Give the number of rows of every delivery that went through as one."""
    found = []
    carry = bulkdelivery.carry_rows

    def counted(session, **given):
        carry(session, **given)
        found.append(sum(len(one.keys) for one in given["tables"]))

    monkeypatch.setattr(bulkdelivery, "carry_rows", counted)
    return found


@pytest.fixture
def running(pair, database, make_product, quiet):
    """Give ``running(policy) -> (product, run)`` for a table that is equal on both sides."""
    pair.script(
        CREATE,
        f"INSERT INTO t VALUES {','.join(f'({i},{i},{i},NULL)' for i in range(ROWS))}",
        db=database,
    )
    product = make_product(pair, tables=f"{database}.*")
    runs = []

    def start(policy=None, probe=None, **engine):
        inside = Inside(
            product, policy, probe=probe or (lambda _moment, _side: None), engine=engine
        )
        runs.append(inside)
        product.settled()
        return product, inside

    yield start
    for inside in runs:
        inside.end()


def change_all(pair, database):
    """One transaction: 100 rows are updated, 100 deleted, 100 inserted."""
    pair.a.script(
        "START TRANSACTION",
        "UPDATE t SET n = n + 1000 WHERE id < 100",
        "DELETE FROM t WHERE id BETWEEN 100 AND 199",
        f"INSERT INTO t SELECT id + {ROWS}, n, NULL, 'new' FROM t WHERE id < 100",
        "COMMIT",
        db=database,
    )


def test_inserts_updates_and_deletes_arrive_in_one_transaction(pair, database, running, together):
    product, _ = running()
    change_all(pair, database)
    product.settled()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert together == [300]
    assert product.conflicts() == []


def test_a_row_that_moves_between_the_read_and_the_write_is_not_overwritten_unseen(
    pair, database, running, together
):
    """INV-9: the guard of all finds that one of them moved, and it is decided with what moved it."""
    moved = []

    def probe(moment, _side):
        if moment is Moment.INTENT_AFTER and not moved:
            moved.append(7)
            pair.b.script("UPDATE t SET note = 'mine' WHERE id = 7", db=database)

    product, _ = running({"rule": "prefer:b"}, probe)
    change_all(pair, database)
    product.settled()
    assert moved
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert found["t"][0][7,] == (7, 7, 7, "mine")
    [entry] = product.conflicts()
    assert (entry.kind, entry.key, entry.winner) == ("update_update", ("7",), "b")
    assert entry.value("a", "n") == "1007"


def test_a_row_that_another_one_is_in_the_way_of_is_held_alone(pair, database, running, together):
    pair.b.script("ALTER TABLE t ADD UNIQUE KEY (u)", db=database)
    product, _ = running(retry_limit=2)
    pair.a.script("UPDATE t SET u = IF(id = 5, 77, u), n = n + 1000 WHERE id < 50", db=database)
    product.settled()
    held = product.conflicts("held")
    assert [(entry.kind, entry.key) for entry in held] == [("unique_violation", ("5",))]
    found = oracle.read_pair(pair, database)
    assert [line for line in oracle.differences(found) if "(5,)" not in line] == []


def test_a_row_that_becomes_something_else_is_held_alone(pair, database, running, together):
    """INV-15: what is read back of all is not what was meant."""
    pair.b.script(
        "CREATE TRIGGER bend BEFORE UPDATE ON t FOR EACH ROW SET NEW.note = IF(NEW.id = 5, 'bent', NEW.note)",
        db=database,
    )
    product, _ = running()
    pair.a.script("UPDATE t SET n = n + 1000 WHERE id < 50", db=database)
    product.settled()
    held = product.conflicts("held")
    assert [(entry.kind, entry.key) for entry in held] == [("read_back", ("5",))]
    found = oracle.read_pair(pair, database)
    assert [line for line in oracle.differences(found) if "(5,)" not in line] == []


def test_what_is_decided_otherwise_takes_the_whole_transaction_with_it(
    pair, database, running, together
):
    """A user's transaction is not torn apart because one of its rows was changed on the other side, too."""
    armed, saved = threading.Event(), threading.Event()

    def probe(moment, side):
        """Let side B's change be known only once side A's transaction is: all of it is claimed at once."""
        if armed.is_set() and moment is Moment.RECORD_AFTER and side is Side.A:
            saved.set()
        if armed.is_set() and moment is Moment.RECORD_BEFORE and side is Side.B:
            assert saved.wait(60)

    product, _ = running({"rule": "prefer:a"}, probe)
    armed.set()
    pair.b.script("UPDATE t SET note = 'beaten' WHERE id = 3", db=database)
    change_all(pair, database)
    product.settled()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    [entry] = product.conflicts()
    assert entry.key == ("3",)
    assert together == []


@pytest.fixture
def rows_used(monkeypatch):
    """Give the marker row of every transaction that was begun; the first two wait for each other."""
    found = []
    both = threading.Barrier(2)
    carry = bulkdelivery.carry_rows

    def met(session, **given):
        found.append(given["row"])
        if len(found) <= 2:
            both.wait(30)
        carry(session, **given)

    monkeypatch.setattr(bulkdelivery, "carry_rows", met)
    return found


def test_much_that_is_due_goes_in_several_transactions_at_a_time(
    pair, database, running, rows_used
):
    """INV-17: each by a marker row of its own; none has more rows than one alone would have."""
    product, _ = running(batch_rows=60, threads=2)
    change_all(pair, database)
    product.settled()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert product.conflicts() == []
    own, lane = sorted(set(rows_used))
    assert lane == f"{own}#1"
    assert len(rows_used) == 5


def test_one_of_them_that_fails_does_not_hold_the_other_one_up(pair, database, running, rows_used):
    """INV-9: a guard that misses is one transaction's; its rows are decided one by one."""
    moved = []

    def probe(moment, _side):
        if moment is Moment.INTENT_AFTER and not moved:
            moved.append(7)
            pair.b.script("UPDATE t SET note = 'mine' WHERE id = 7", db=database)

    product, _ = running({"rule": "prefer:b"}, probe, batch_rows=60, threads=2)
    change_all(pair, database)
    product.settled()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert found["t"][0][7,] == (7, 7, 7, "mine")
    [entry] = product.conflicts()
    assert (entry.kind, entry.key, entry.winner) == ("update_update", ("7",), "b")


@pytest.mark.parametrize(
    "tie",
    [
        "ALTER TABLE t ADD UNIQUE KEY (u)",
        "ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES t (id) ON DELETE SET NULL",
    ],
)
def test_rows_that_are_tied_to_others_go_one_transaction_after_the_other(
    pair, database, running, monkeypatch, tie
):
    """Two at a time would wait for each other, or refer to what is not there yet."""
    pair.script(tie, db=database)
    used = set()
    carry = bulkdelivery.carry_rows

    def noted(session, **given):
        used.add(given["row"])
        carry(session, **given)

    monkeypatch.setattr(bulkdelivery, "carry_rows", noted)
    product, _ = running(batch_rows=60, threads=2)
    pair.a.script("UPDATE t SET n = n + 1000", db=database)
    product.settled()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert len(used) == 1


def test_changes_of_several_tables_go_one_transaction_after_the_other(
    pair, database, running, monkeypatch
):
    """Divided by table, a user's transaction that fits would arrive in pieces."""
    pair.script("CREATE TABLE v (id INT PRIMARY KEY)", db=database)
    carried = []
    carry = bulkdelivery.carry_rows

    def noted(session, **given):
        carried.append((given["row"], {str(one.table.name) for one in given["tables"]}))
        carry(session, **given)

    monkeypatch.setattr(bulkdelivery, "carry_rows", noted)
    product, _ = running(batch_rows=60, threads=2)
    both = [f"INSERT INTO v VALUES ({i}); UPDATE t SET n = -n WHERE id = {i}" for i in range(100)]
    pair.a.script(
        "START TRANSACTION",
        *(one for some in both for one in some.split(";")),
        "COMMIT",
        db=database,
    )
    product.settled()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert all(len(tables) == 1 for row, tables in carried if "#" in row), carried
    assert max(len(tables) for _, tables in carried) == 2


def test_nothing_is_left_open_between_two_transactions(pair, database, running, together):
    """Sessions that write begin a transaction with its first statement: one that was not ended would keep locks for good."""
    pair.b.script("ALTER TABLE t ADD UNIQUE KEY (u)", db=database)
    product, _ = running({"rule": "prefer:a"}, retry_limit=1)
    change_all(pair, database)
    pair.a.script("UPDATE t SET u = 260 WHERE id = 250", db=database)  # 260 has that
    pair.a.script("UPDATE t SET n = -1 WHERE id = 251", db=database)
    pair.b.script("UPDATE t SET n = -2 WHERE id = 251", db=database)
    product.settled()
    assert [entry.key for entry in product.conflicts("held")] == [("250",)]
    for server in pair.sides:
        server.script(
            "SET SESSION lock_wait_timeout = 5", "ALTER TABLE t ADD COLUMN more INT", db=database
        )
    product.settled()
