"""Sessions on real servers: settings, values, errors, and schemas read through them."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.errors import OutcomeUnknown, StatementRefused, TransientDatabaseError
from syncer.mysql import introspect
from syncer.mysql.connection import IDLE_S, Session
from syncer.mysql.endpoint import from_text
from syncer.service.sides import SideWorker
from testbed.proxy import Proxy

MIXED = pytest.mark.parametrize("pair", ["mixed"], indirect=True)
SIDES = pytest.mark.parametrize("side", list(Side))


@pytest.fixture
def server(pair, side):
    return pair.a if side is Side.A else pair.b


@pytest.fixture
def open_session(server, side):
    opened = []

    def make(purpose="test", options="", **facts):
        opened.append(
            Session.open(from_text(server.url() + options), side, purpose=purpose, **facts)
        )
        return opened[-1]

    yield make
    for session in opened:
        session.close()


@MIXED
@SIDES
def test_a_session_knows_its_server(open_session, side):
    session = open_session()
    assert session.flavor == ("mysql" if side is Side.A else "mariadb")
    assert session.version >= session.flavor.floor
    assert len(session.server_identity()) == (36 if side is Side.A else 2)
    assert session.query("SELECT CONNECTION_ID()") == [(session.connection_id,)]
    assert len(session.query(session.status_statement)) == 1


@MIXED
@SIDES
def test_values_come_back_plain(open_session):
    session = open_session()
    row = session.query(
        "SELECT 1, 18446744073709551615, CAST(1.50 AS DECIMAL(5,2)), DATE '2020-01-01', TIME '-00:00:01', X'00ff', 'é😀', NULL"
    )[0]
    assert row == (1, 2**64 - 1, "1.50", "2020-01-01", "-00:00:01", b"\x00\xff", "é😀", None)


@MIXED
@SIDES
def test_a_percent_sign_is_only_special_beside_arguments(open_session):
    session = open_session()
    assert session.query("SELECT '100%s'") == [("100%s",)]
    assert session.query("SELECT %s, '50%%'", ("it's \\ %s",)) == [("it's \\ %s", "50%")]


@MIXED
@SIDES
def test_a_session_does_not_depend_on_the_servers_settings(open_session, server, side):
    before = server.query("SELECT @@GLOBAL.sql_mode, @@GLOBAL.time_zone, @@GLOBAL.completion_type")[
        0
    ]
    server.script(
        "SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES'",
        "SET GLOBAL time_zone = '+05:30'",
        "SET GLOBAL completion_type = 'CHAIN'",
        "SET GLOBAL sql_select_limit = 1",
        "SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED",
    )
    try:
        session = open_session("apply")
        assert session.query("SELECT @@sql_mode, @@time_zone, 'a\\\\b'") == [
            ("NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES", "+00:00", "a\\b")
        ]
        assert session.query(f"SELECT @@{session.flavor.isolation_variable}") == [
            ("REPEATABLE-READ",)
        ]
        assert session.query("SELECT 1 UNION SELECT 2") == [(1,), (2,)]
        assert session.query("SELECT @@innodb_lock_wait_timeout") == [(1,)]
        assert session.query("SELECT @@completion_type") == [("NO_CHAIN",)]
    finally:
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL sql_mode = %s", [before[0]])
            cursor.execute("SET GLOBAL time_zone = %s", [before[1]])
            cursor.execute("SET GLOBAL completion_type = %s", [before[2]])
            cursor.execute("SET GLOBAL sql_select_limit = DEFAULT")
            cursor.execute("SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ")


@MIXED
@SIDES
def test_a_session_does_not_depend_on_init_connect(server, side):
    """The MySQL manual's own example; a session without autocommit never ends the snapshot of its first statement."""
    server.script(
        "CREATE USER plain@'%' IDENTIFIED BY 'plain'",
        "GRANT SELECT ON *.* TO plain@'%'",
        "SET GLOBAL init_connect = 'SET autocommit = 0'",
    )
    try:
        plain = from_text(f"mysql://plain:plain@{server.host}:{server.port}")
        for purpose, autocommit in (("read", True), ("apply", False)):
            with Session.open(plain, side, purpose=purpose, autocommit=autocommit) as session:
                assert session.query("SELECT @@autocommit") == [(int(autocommit),)]
    finally:
        server.script("SET GLOBAL init_connect = ''", "DROP USER plain@'%'")


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_no_row_comes_out_of_a_query_cache(pair, database):
    """It is invalidated behind the commit: a snapshot that contains a transaction would find rows from before it."""
    kept = pair.a.query("SELECT @@GLOBAL.query_cache_type, @@GLOBAL.query_cache_size")[0]
    pair.a.script("SET GLOBAL query_cache_size = 1048576", "SET GLOBAL query_cache_type = ON")
    try:
        pair.a.script("CREATE TABLE t (id INT PRIMARY KEY)", db=database)
        with Session.open(from_text(pair.a.url()), Side.A, purpose="read") as session:
            for _ in range(2):
                session.query(f"SELECT * FROM {database}.t")
            assert session.query("SHOW SESSION STATUS LIKE 'Qcache_queries_in_cache'")[0][1] == "0"
    finally:
        pair.a.script(
            f"SET GLOBAL query_cache_type = '{kept[0]}'", f"SET GLOBAL query_cache_size = {kept[1]}"
        )


@MIXED
@SIDES
def test_found_rows_are_counted_changed_or_not(open_session, database):
    session = open_session()
    session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY, v int)")
    session.execute(f"INSERT INTO {database}.t VALUES (1,1)")
    assert session.execute(f"UPDATE {database}.t SET v = 1 WHERE id = 1") == 1
    assert session.execute(f"UPDATE {database}.t SET v = 1 WHERE id = 2") == 0


@MIXED
@SIDES
def test_errors_name_the_side_and_no_value(open_session, database, side):
    session = open_session()
    session.execute(
        f"CREATE TABLE {database}.t (k varchar(20) PRIMARY KEY, u varchar(20), UNIQUE uk_u (u))"
    )
    session.execute(f"INSERT INTO {database}.t VALUES ('hush-1', 'hush-2')")
    for values, primary in (("('hush-1', 'x')", True), ("('x', 'hush-2')", False)):
        with pytest.raises(StatementRefused, match=f"^side {side} ") as caught:
            session.execute(f"INSERT INTO {database}.t VALUES {values}")
        assert caught.value.errno == 1062
        assert caught.value.on_primary_key is primary
        assert "hush" not in str(caught.value)
        assert caught.value.__cause__ is not None
    with pytest.raises(StatementRefused) as caught:
        session.query("SELECT hush-3 FROM nowhere WHERE (")
    assert "hush" not in str(caught.value)


@MIXED
@SIDES
def test_a_lock_wait_of_an_apply_is_short_and_transient(open_session, database):
    holder, waiter = open_session(), open_session("apply")
    holder.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY)")
    holder.execute(f"INSERT INTO {database}.t VALUES (1)")
    holder.begin()
    holder.query(f"SELECT * FROM {database}.t FOR UPDATE")
    waiter.begin()
    started = time.monotonic()
    with pytest.raises(TransientDatabaseError) as caught:
        waiter.query(f"SELECT * FROM {database}.t FOR UPDATE")
    assert caught.value.errno == 1205
    assert time.monotonic() - started < 5
    waiter.rollback()
    holder.commit()


@MIXED
@SIDES
def test_a_connection_lost_before_a_statement_is_transient(open_session, server):
    session = open_session()
    session.begin()
    server.query(f"KILL {session.connection_id}")
    with pytest.raises(TransientDatabaseError):
        session.query("SELECT 1")
    with pytest.raises(TransientDatabaseError):
        session.commit()  # nothing was sent: the server has rolled back
    session.rollback_quietly()
    session.close()
    session.close()


@MIXED
@SIDES
def test_a_commit_without_an_answer_is_an_unknown_outcome(open_session, server, database):
    session = open_session(read_timeout_s=2)
    session.execute(f"CREATE TABLE {database}.t (id int PRIMARY KEY) ENGINE=InnoDB")
    session.begin()
    session.execute(f"INSERT INTO {database}.t VALUES (1)")
    server.pause()
    resume = threading.Timer(4, server.resume)
    resume.start()
    try:
        with pytest.raises(OutcomeUnknown):
            session.commit()
    finally:
        resume.join()


@MIXED
@SIDES
def test_a_wrong_password_is_refused_without_showing_it(server, side):
    with pytest.raises(StatementRefused, match="access denied") as caught:
        Session.open(from_text(server.url(password="hush-4711")), side, purpose="test")
    assert "hush" not in str(caught.value)


def test_a_server_that_is_down_is_transient():
    with pytest.raises(TransientDatabaseError, match=r"side a \(127.0.0.1:1\)"):
        Session.open(from_text("mysql://u:p@127.0.0.1:1/"), Side.A, purpose="test")


@MIXED
@pytest.mark.parametrize("side", [Side.A])
def test_tls_follows_its_mode(open_session):
    cipher = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"
    assert open_session().query(cipher)[0][1]
    assert open_session(options="?ssl-mode=required").query(cipher)[0][1]
    assert not open_session(options="?ssl-mode=disabled").query(cipher)[0][1]
    with pytest.raises(StatementRefused, match="TLS"):
        open_session(options="?ssl-mode=verify-identity")


@MIXED
@SIDES
def test_schemas_say_what_the_tables_are(open_session, database):
    session = open_session()
    for sql in (
        "CREATE TABLE {d}.parent (id int unsigned AUTO_INCREMENT PRIMARY KEY, u varchar(20) NOT NULL, UNIQUE uk (u))",
        (
            "CREATE TABLE {d}.child (a int, b int unsigned, n int, v varchar(20) CHARACTER SET latin1, d decimal(10,3), "
            "t datetime(3), g int AS (a+1) VIRTUAL, s int GENERATED ALWAYS AS (a+2) STORED, x bit(9), "
            "y varbinary(7), e enum('x','Y'), j json, dt timestamp DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (b, a), "
            "CONSTRAINT fk FOREIGN KEY (b) REFERENCES {d}.parent (id) ON DELETE CASCADE, UNIQUE nulls (n), UNIQUE pre (v(3)))"
        ),
        "CREATE TRIGGER {d}.fires BEFORE INSERT ON {d}.child FOR EACH ROW SET NEW.n = 1",
        "CREATE TABLE {d}.wide (a int NOT NULL, b int NOT NULL, c int NOT NULL, UNIQUE w (a, b), UNIQUE z (c), UNIQUE y (b))",
        "CREATE TABLE {d}.nokey (a int, UNIQUE (a))",
        "CREATE TABLE {d}.`Odd ``name%` (`k``%` int PRIMARY KEY)",
        "CREATE VIEW {d}.seen AS SELECT * FROM {d}.parent",
    ):
        session.execute(sql.format(d=database))
    before = int(session.query("SHOW SESSION STATUS LIKE 'Questions'")[0][1])
    found = introspect.load_schemas(session, databases=[database])
    asked = int(session.query("SHOW SESSION STATUS LIKE 'Questions'")[0][1]) - before
    assert asked <= 9, "a constant number of questions"
    tables = {name.name: schema for name, schema in found.items()}
    assert sorted(tables) == ["Odd `name%", "child", "nokey", "parent", "wide"]

    parent, child, wide = tables["parent"], tables["child"], tables["wide"]
    assert (parent.key, parent.unique, parent.key_index) == (("id",), (("u",),), "PRIMARY")
    assert parent.columns[0].auto_increment
    assert parent.unsigned_key
    assert (child.key, set(child.unique)) == (("b", "a"), {("n",), ("v",)})
    assert child.triggers == ("fires",)
    (key,) = child.foreign_keys
    assert (key.name, key.columns, key.parent, key.parent_columns) == (
        "fk",
        ("b",),
        TableName(database, "parent"),
        ("id",),
    )
    assert (key.on_delete, key.on_update) in {("CASCADE", "NO ACTION"), ("CASCADE", "RESTRICT")}
    assert [c.name for c in child.columns if c.generated] == ["g", "s"]
    assert [c.position for c in child.columns] == list(range(13))
    facts = {c.name: c for c in child.columns}
    assert (facts["d"].precision, facts["d"].scale, facts["t"].fraction) == (10, 3, 3)
    assert (facts["x"].length, facts["y"].length, facts["v"].length) == (9, 7, 20)
    assert (facts["v"].charset, facts["v"].pad_space) == ("latin1", True)
    assert facts["e"].members == ("x", "Y")
    assert facts["j"].data_type == "json"
    assert (wide.key, wide.key_index) == (("b",), "y"), "fewest columns, then the name"
    assert tables["nokey"].key == ()
    assert introspect.load_schemas(session, [TableName(database, "nope")]) == {}
    assert TableName(database, "seen") not in introspect.list_tables(session)


@MIXED
@SIDES
def test_the_server_ends_what_takes_too_long_and_what_says_nothing(open_session, side):
    limit, unit = ("max_execution_time", 1000) if side is Side.A else ("max_statement_time", 1)
    session = open_session("apply", statement_timeout_s=7)
    assert float(session.query(f"SELECT @@SESSION.{limit}")[0][0]) == 7 * unit
    # A dead network leaves the server with a transaction that locks the marker row: not for long.
    assert session.query("SELECT @@SESSION.wait_timeout") == [(60,)]
    assert open_session("read").query("SELECT @@SESSION.wait_timeout") == [(3600,)]


@MIXED
@SIDES
def test_a_session_that_the_server_may_end_as_idle_is_opened_anew(open_session, server, side):
    """A verification that gave way for more than an hour goes on."""
    identity = open_session().server_identity()
    worker = SideWorker(side, from_text(server.url()), identity)
    try:

        def session(idle_s: float) -> int:
            worker._read_at -= idle_s
            return worker.submit(lambda: worker.reader().session.connection_id).result()

        first = session(0)
        assert session(IDLE_S["read"] / 2 - 60) == first
        server.query(f"KILL {first}")
        assert session(IDLE_S["read"] / 2 + 1) != first
    finally:
        worker.close()


@MIXED
@SIDES
def test_a_silent_peer_is_a_lost_connection(server, side):
    with Proxy(server) as proxy:

        def opened():
            return Session.open(
                from_text(proxy.url()), side, purpose="apply", read_timeout_s=1, autocommit=False
            )

        with opened() as read, opened() as written:
            written.query("SELECT 1")
            proxy.stall("down")
            with pytest.raises(TransientDatabaseError):
                read.query("SELECT 1")
            assert not read.is_open
            with pytest.raises(OutcomeUnknown):
                written.commit()
            assert not written.is_open
            proxy.resume()


@MIXED
@SIDES
def test_the_kernel_looks_after_the_peer(open_session):
    peer = open_session()._connection._sock
    assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
    assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
    assert peer.gettimeout() is not None
