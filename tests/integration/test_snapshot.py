"""A snapshot as the server meets it: which statements, in which order, in how many messages (INV-3)."""

from __future__ import annotations

import threading
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor

import pytest

from syncer.binlog.events import xid_of_sql
from syncer.core.position import Coordinate
from syncer.core.side import Side
from syncer.errors import StatementRefused, TransientDatabaseError
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text
from syncer.mysql.reader import SnapshotReader
from syncer.mysql.snapshot import binlog_end

pytestmark = pytest.mark.parametrize("pair", ["mixed"], indirect=True)
SIDES = pytest.mark.parametrize("side", list(Side))
L = {"mysql": "gtid_executed", "mariadb": "Binlog_snapshot"}


@pytest.fixture
def server(pair, side):
    return pair.a if side is Side.A else pair.b


@pytest.fixture
def session(server, side):
    with Session.open(from_text(server.url()), side, purpose="read") as opened:
        yield opened


@pytest.fixture
def messages(session, monkeypatch):
    """What is sent from now on, a list of statements for each message."""
    sent = []
    query_all, query = session.query_all, session.query
    monkeypatch.setattr(
        session, "query_all", lambda some: (sent.append(list(some)), query_all(some))[1]
    )
    monkeypatch.setattr(session, "query", lambda sql: (sent.append([sql]), query(sql))[1])
    return sent


def _places(message, *parts):
    return [next(at for at, one in enumerate(message) if part in one) for part in parts]


def _read(reader, text="SELECT 'the read'"):
    return reader._query(text)


@SIDES
def test_a_snapshot_of_one_read_is_one_message_in_the_order_of_its_proof(session, messages, side):
    reader = SnapshotReader(session)
    reader.begin(reads=1)
    assert messages == []
    assert _read(reader) == [("the read",)]
    bounds = reader.end()
    (message,) = messages
    before, begin, rows = _places(message, L[session.flavor], "CONSISTENT SNAPSHOT", "the read")
    assert message[-1] == "ROLLBACK"
    after = message.index(session.status_statement)
    assert before < begin < after < rows
    if side is Side.A:
        assert bounds.executed is not None
    else:
        assert bounds.committed == bounds.end, "nobody writes"
        assert bounds.prepared is None
    assert bounds.end == binlog_end(session)


@SIDES
def test_where_nobody_knows_the_last_read_the_end_comes_after_it(session, messages, side):
    reader = SnapshotReader(session)
    reader.begin()
    _read(reader)
    _read(reader)
    reader.end()
    assert [len(message) for message in messages] == [4, 1, 1]
    assert messages[-1][-1] == "ROLLBACK"


@SIDES
def test_nothing_is_read_behind_the_bound(session):
    reader = SnapshotReader(session)
    reader.begin(reads=1)
    _read(reader)
    with pytest.raises(ValueError, match="to be the last"):
        _read(reader)
    reader.end()
    assert _read(reader) == [("the read",)], "between two snapshots anything may be read"


@SIDES
def test_rows_of_a_snapshot_are_of_its_begin(session, server, database):
    server.script("CREATE TABLE t (id INT PRIMARY KEY)", db=database)
    reader = SnapshotReader(session)
    count = f"SELECT COUNT(*) FROM {database}.t"
    reader.begin(reads=2)
    assert _read(reader, count) == [(0,)]
    server.script("INSERT INTO t VALUES (1)", db=database)
    assert _read(reader, count) == [(0,)]
    bounds = reader.end()
    now = binlog_end(session)
    assert bounds.end < now
    assert _read(reader, count) == [(1,)], "the snapshot is over"


@SIDES
def test_locks_last_until_the_bound_is_read(session, messages, server, database):
    server.script("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", db=database)
    reader = SnapshotReader(session)
    reader.begin(locking=True, reads=1)
    _read(reader, f"SELECT * FROM {database}.t WHERE id = 1 FOR UPDATE")
    assert reader.end().locked
    (message,) = messages
    rows, bound, end = _places(message, "FOR UPDATE", session.status_statement, "ROLLBACK")
    assert message[0] == "START TRANSACTION"
    assert 0 < rows < bound < end


@SIDES
def test_a_statement_that_fails_ends_its_message(session, server, database):
    server.script("CREATE TABLE t (id INT PRIMARY KEY)", db=database)
    with pytest.raises(StatementRefused):
        session.query_all(
            ["SELECT 1", f"SELECT * FROM {database}.nope", f"INSERT INTO {database}.t VALUES (1)"]
        )
    assert session.query(f"SELECT COUNT(*) FROM {database}.t") == [(0,)]
    reader = SnapshotReader(session)
    reader.begin(reads=1)
    with pytest.raises(StatementRefused):
        _read(reader, "SELECT * FROM nowhere.nope")
    reader.abandon()
    reader.begin(reads=1)
    assert _read(reader) == [("the read",)]
    reader.end()


@SIDES
def test_the_server_ends_what_takes_too_long_within_a_message_too(server, side, database):
    server.script("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", db=database)
    slow = f"SELECT COUNT(*) FROM {database}.t WHERE SLEEP(20) = 0 AND id = 1"
    with Session.open(
        from_text(server.url()), side, purpose="read", statement_timeout_s=1
    ) as session:
        try:
            [_, [(count,)]] = session.query_all(["SELECT 1", slow])
        except TransientDatabaseError:
            return
        assert count == 0, "MySQL lets SLEEP say that it was cut short"


@SIDES
def test_a_session_that_writes_takes_one_statement_at_a_time(server, side):
    with Session.open(from_text(server.url()), side, purpose="apply") as session:
        with pytest.raises(StatementRefused):
            session.query("SELECT 1; SELECT 2")
        assert session.query("SELECT 3") == [(3,)]


READS = 3000


def _commits(server, file, offset):
    """Where each update of ``t`` was committed, in order, and the branch that it was of, if any."""
    found, changed = [], False
    for name, *_ in server.query("SHOW BINARY LOGS"):
        if name < file:
            continue
        begin = f" FROM {offset}" if name == file else ""
        for _, _, kind, _, end, info in server.query(f"SHOW BINLOG EVENTS IN '{name}'{begin}"):
            changed = changed or kind.startswith("Update_rows")
            branch = info.startswith("XA COMMIT")
            if branch or (changed and kind == "Xid"):
                xid = info.removeprefix("XA COMMIT ") if branch else None
                found.append((Coordinate.parse(name, int(end)), xid))
            if kind in {"Xid", "XA_prepare"}:
                changed = False
    return found


def test_on_mariadb_the_bounds_hold_beside_monitors_and_xa_transactions(pair, database):
    """
    SHOW STATUS of another session may show its own place of a snapshot, and an XA COMMIT is logged before it is visible.

    Each update counts on; what a read may claim to contain is compared with what it has seen.
    """
    server = pair.b
    server.script(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT)",
        "INSERT INTO t VALUES (1, 0)",
        "CREATE TABLE n (id INT PRIMARY KEY AUTO_INCREMENT)",
        db=database,
    )
    file, offset = server.query("SHOW MASTER STATUS")[0][:2]
    done = threading.Event()

    def running(*statements):
        with server.connect(database=database) as connection, connection.cursor() as cursor:
            number = 0
            while not done.is_set():
                number += 1
                for statement in statements[number % len(statements)]:
                    cursor.execute(statement.format(number))

    change = "UPDATE t SET v = {} WHERE id = 1"
    xa = ["XA START 'x{}'", change, "XA END 'x{}'", "XA PREPARE 'x{}'", "XA COMMIT 'x{}'"]

    def read():
        seen = []
        with Session.open(from_text(server.url()), Side.B, purpose="read") as session:
            reader = SnapshotReader(session)
            for _ in range(READS):
                logged = binlog_end(session)
                reader.begin(reads=1, branches=True)
                [(value,)] = _read(reader, f"SELECT v FROM {database}.t")
                seen.append((logged, reader.end(), value))
        return seen

    with ThreadPoolExecutor(6) as pool:
        others = [
            pool.submit(running, [change], xa),
            pool.submit(running, ["INSERT INTO n () VALUES ()"]),
            pool.submit(running, ["INSERT INTO n () VALUES ()"]),
            pool.submit(running, ["SHOW GLOBAL STATUS LIKE 'Threads_running'"]),
        ]
        try:
            reads = [pool.submit(read) for _ in range(2)]
            seen = [one for each in reads for one in each.result()]
        finally:
            done.set()
        for other in others:
            other.result()
    commits = _commits(server, file, offset)
    ends = [end for end, _ in commits]
    assert len(ends) > 100
    for logged, bounds, value in seen:
        lower = bisect_right(ends, bounds.committed)
        prepared = {xid_of_sql(text) for text in bounds.prepared}
        # From the first one on that is not in the rows for certain nothing is proven.
        for at in range(max(0, lower - 3), lower):
            end, xid = commits[at]
            if xid is not None and (end > logged or xid_of_sql(xid) in prepared):
                lower = at
                break
        assert lower <= value <= bisect_right(ends, bounds.end), (value, lower, bounds)
