"""Preflight on real servers: what is wrong is found and named, and a good pair passes."""

from __future__ import annotations

import pytest

from syncer.core.side import Direction, Side
from syncer.mysql import introspect, preflight
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text
from syncer.mysql.findings import Level
from syncer.mysql.preflight import check_pair, check_side, clock_offset, probe_digest

MIXED = pytest.mark.parametrize("pair", ["mixed"], indirect=True)
SIDES = pytest.mark.parametrize("side", list(Side))
PASSWORD = "preflight-pw"
GRANTS = {
    "SELECT": "{d}.*",
    "INSERT": "{d}.*",
    "UPDATE": "{d}.*",
    "DELETE": "{d}.*",
    "TRIGGER": "{d}.*",
    "REPLICATION SLAVE": "*.*",
    "REPLICATION CLIENT": "*.*",
    "CREATE, SELECT, INSERT, UPDATE": "syncer.*",
}


class FakeClock:
    """A clock that stands still."""

    def now(self):
        return 1_000_000_000.0

    def monotonic(self):
        return 5.0


@pytest.fixture
def account(pair, side, database):
    """A user with every grant but those named; dropped afterwards."""
    server = pair.a if side is Side.A else pair.b
    name = f"u_{database[-6:]}"
    sessions = []

    def make(without=(), extra=()):
        server.script(
            f"DROP USER IF EXISTS {name}", f"CREATE USER {name}@'%' IDENTIFIED BY '{PASSWORD}'"
        )
        for privilege, scope in GRANTS.items():
            if privilege not in without:
                server.script(f"GRANT {privilege} ON {scope.format(d=database)} TO {name}@'%'")
        server.script(*(sql.format(u=f"{name}@'%'", d=database) for sql in extra))
        sessions.append(Session.open(from_text(server.url(name, PASSWORD)), side, purpose="check"))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
    server.script(f"DROP USER IF EXISTS {name}")


def schemas(session, database):
    return introspect.load_schemas(session, databases=[database])


def codes(findings, *levels):
    return sorted({f.code for f in findings if not levels or f.level in levels})


def test_a_good_pair_passes(opened, pair, database):
    pair.script(f"CREATE TABLE {database}.t (id int AUTO_INCREMENT PRIMARY KEY, v varchar(20))")
    a, b = opened.values()
    found = check_pair(a, b, schemas(a, database), schemas(b, database))
    assert codes(found, Level.ERROR) == []
    assert "clock_skew" in codes(found, Level.INFO)
    assert [f.level for f in found] == sorted((f.level for f in found), key=list(Level).index)


@MIXED
@SIDES
@pytest.mark.parametrize("missing", GRANTS)
def test_each_missing_grant_is_named_and_its_statement_mends_it(
    account, pair, side, database, missing
):
    pair.script(f"CREATE TABLE {database}.t (id int PRIMARY KEY)")
    server = pair.a if side is Side.A else pair.b
    admin = Session.open(from_text(server.url()), side, purpose="check")
    tables = schemas(admin, database)
    admin.close()
    session = account(without=[missing])
    found = [f for f in check_side(session, tables) if f.code == "grant_missing"]
    assert len(found) == 1
    wanted = missing if missing != "REPLICATION CLIENT" else session.flavor.monitor_privilege
    assert all(name in found[0].message for name in wanted.split(", "))
    assert found[0].level is (Level.WARNING if missing == "TRIGGER" else Level.ERROR)
    server.script(found[0].fix)
    assert "grant_missing" not in codes(check_side(session, tables))


@MIXED
@SIDES
def test_grants_come_through_roles_too(account, pair, side, database):
    pair.script(f"CREATE TABLE {database}.t (id int PRIMARY KEY)")
    server = pair.a if side is Side.A else pair.b
    role = f"r_{database[-6:]}"
    session = account(
        without=["DELETE"],
        extra=[
            f"CREATE ROLE {role}",
            f"GRANT DELETE ON {{d}}.* TO {role}",
            f"GRANT {role} TO {{u}}",
        ],
    )
    tables = schemas(session, database)
    try:
        assert "grant_missing" in codes(check_side(session, tables)), (
            "a role that is not active gives nothing"
        )
        session.execute(f"SET ROLE {role}")
        assert "grant_missing" not in codes(check_side(session, tables))
    finally:
        server.script(f"DROP ROLE {role}")


@MIXED
@SIDES
def test_a_side_that_is_only_read_needs_no_write_grants(account, pair, database):
    pair.script(f"CREATE TABLE {database}.t (id int PRIMARY KEY)")
    session = account(
        without=["INSERT", "UPDATE", "DELETE", "TRIGGER"],
        extra=["GRANT LOCK TABLES, REFERENCES ON {d}.* TO {u}"],
    )
    tables = schemas(session, database)
    assert "grant_missing" in codes(check_side(session, tables))
    assert "grant_missing" not in codes(check_side(session, tables, target=False))


@MIXED
def test_tables_that_cannot_be_synced_are_named(opened, pair, database):
    pair.script(
        f"CREATE TABLE {database}.parent (id int PRIMARY KEY)",
        f"CREATE TABLE {database}.child (id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES {database}.parent (id) "
        "ON DELETE CASCADE)",
        f"CREATE TABLE {database}.nokey (a int)",
        f"CREATE TABLE {database}.heap (id int PRIMARY KEY) ENGINE=MyISAM",
        f"CREATE TABLE {database}.floats (id double PRIMARY KEY)",
        f"CREATE TABLE {database}.fires (id int PRIMARY KEY)",
        f"CREATE TRIGGER {database}.f BEFORE INSERT ON {database}.fires FOR EACH ROW SET NEW.id = 1",
    )
    pair.a.script(f"CREATE TABLE {database}.here (id int PRIMARY KEY)")
    pair.b.script(f"ALTER TABLE {database}.parent ADD extra int")
    a, b = opened.values()
    found = check_pair(a, b, schemas(a, database), schemas(b, database))
    named = {(f.code, f.subject.partition(".")[2]) for f in found}
    assert {
        ("no_key", "nokey"),
        ("engine", "heap"),
        ("unsupported_column", "floats"),
        ("table_missing", "here"),
        ("schema_differs", "parent"),
        ("triggers", "fires"),
    } <= named
    assert all(f.fix for f in found if f.level is not Level.INFO)
    # Children are found by their foreign key, where the parent is tailed too.
    assert ("cascade", "child") not in named
    without = {n: t for n, t in schemas(b, database).items() if n.name != "parent"}
    assert "cascade" in codes(check_side(b, without), Level.WARNING)


@MIXED
def test_the_same_server_twice_is_refused(opened):
    a, b = opened.values()
    assert "same_server" in codes(check_pair(a, a, {}, {}), Level.ERROR)
    assert "same_server" not in codes(check_pair(a, b, {}, {}))


@MIXED
@SIDES
def test_settings_are_put_right_by_name(opened, pair, side):
    server = pair.a if side is Side.A else pair.b
    settings = {
        "read_only": ("ON", "read_only"),
        "sync_binlog": ("100", "sync_binlog"),
        "innodb_flush_log_at_trx_commit": ("2", "flush_log"),
        "binlog_row_image": ("'MINIMAL'", "binlog_row_image"),
        "binlog_format": ("'STATEMENT'", "binlog_format"),
        "max_allowed_packet": ("1048576", "max_allowed_packet"),
    }
    if side is Side.A:
        settings["binlog_row_value_options"] = ("'PARTIAL_JSON'", "partial_json")
        settings["gtid_mode"] = ("'ON_PERMISSIVE'", "gtid_mode")
        settings["binlog_order_commits"] = ("OFF", "commit_order")
        settings["binlog_transaction_compression"] = ("ON", "binlog_compressed")
    for name, (value, code) in settings.items():
        before = server.query(f"SELECT @@GLOBAL.{name}")[0][0]
        try:
            server.script(f"SET GLOBAL {name} = {value}")
            found = check_side(opened[side], {})
        finally:
            back = before if isinstance(before, int) else f"'{before}'"
            server.script(f"SET GLOBAL {name} = {back}")
        assert code in codes(found), name
        assert code not in codes(check_side(opened[side], {})), name
    if side is Side.A:
        server.script("SET GLOBAL super_read_only = ON")
        try:
            [fix] = [f.fix for f in check_side(opened[side], {}) if f.code == "read_only"]
            assert "one-way" not in fix, "it cannot be a source either"
            server.script(fix.partition(";")[0])
            assert "read_only" not in codes(check_side(opened[side], {}))
        finally:
            server.script("SET GLOBAL read_only = OFF")
    server.script("SET GLOBAL read_only = ON")
    try:
        assert "read_only" not in codes(check_side(opened[side], {}, target=False))
    finally:
        server.script("SET GLOBAL read_only = OFF")


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_a_server_without_a_binlog_or_with_filters_is_refused(fresh_server, flavor):
    server = fresh_server(flavor, options={"binlog-ignore-db": "syncer"})
    session = Session.open(from_text(server.url()), Side.A, purpose="check")
    found = check_side(session, {})
    assert [(f.subject, f.level) for f in found if f.code == "binlog_filtered"] == [
        ("syncer", Level.ERROR)
    ]
    session.close()
    server.options.pop("log_bin", None)
    server.options.pop("log-bin", None)
    options = {"skip-log-bin": None}
    if flavor == "mysql":
        options |= {"gtid-mode": "OFF", "enforce-gtid-consistency": "OFF"}
    server = fresh_server(flavor, options=options)
    session = Session.open(from_text(server.url()), Side.A, purpose="check")
    assert "binlog_off" in codes(check_side(session, {}), Level.ERROR)
    session.close()


@MIXED
def test_equal_generators_are_named_only_where_both_sides_insert(opened, pair, database):
    pair.script(f"CREATE TABLE {database}.t (id int AUTO_INCREMENT PRIMARY KEY)")
    a, b = opened.values()
    tables = schemas(a, database), schemas(b, database)
    before = pair.b.query("SELECT @@GLOBAL.auto_increment_offset")[0][0]
    pair.b.script("SET GLOBAL auto_increment_offset = 1")
    try:
        assert "auto_increment" in codes(check_pair(a, b, *tables), Level.WARNING)
        assert "auto_increment" not in codes(check_pair(a, b, *tables, direction=Direction.A_TO_B))
    finally:
        pair.b.script(f"SET GLOBAL auto_increment_offset = {before}")
    assert "auto_increment" not in codes(check_pair(a, b, *tables))


@MIXED
def test_every_server_computes_the_same_digest(opened):
    a, b = opened.values()
    assert probe_digest(a) == probe_digest(b)
    assert probe_digest(a) == "1418578cdb4646a1875fc7d42e3a1cc9", (
        "the form of a row's text is another one"
    )


@MIXED
@pytest.mark.parametrize("digest", ["SHA2(VERSION(),256)", "NULL"])
def test_servers_that_disagree_on_a_digest_are_refused(opened, monkeypatch, digest):
    """As they would if a function had another meaning there, or were gone: nothing else is taken in its place."""
    a, b = opened.values()
    assert "digest_differs" not in codes(check_pair(a, b, {}, {}))
    monkeypatch.setattr(preflight, "row_digest", lambda *_: digest)
    assert "digest_differs" in codes(check_pair(a, b, {}, {}), Level.ERROR)


@MIXED
def test_a_clock_that_is_off_is_measured(opened):
    a, b = opened.values()
    ahead, error = clock_offset(a, FakeClock())
    assert ahead > 500_000_000
    assert error == 0
    b.execute("SET SESSION timestamp = UNIX_TIMESTAMP() + 10")
    found = [f for f in check_pair(a, b, {}, {}) if f.code == "clock_skew"]
    assert [(f.level, "ahead" in f.message) for f in found] == [(Level.WARNING, True)]


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_native_replication_between_the_pair_is_found(fresh_server, flavor):
    one, two = fresh_server(flavor), fresh_server(flavor)
    change = (
        f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{one.host}', SOURCE_PORT={one.port}, SOURCE_USER='root', "
        f"SOURCE_PASSWORD='{one.password}', GET_SOURCE_PUBLIC_KEY=1, SOURCE_AUTO_POSITION=1"
        if flavor == "mysql"
        else f"CHANGE MASTER TO MASTER_HOST='{one.host}', MASTER_PORT={one.port}, MASTER_USER='root', "
        f"MASTER_PASSWORD='{one.password}', MASTER_USE_GTID=slave_pos"
    )
    start = "START REPLICA" if flavor == "mysql" else "START SLAVE"
    a = Session.open(from_text(one.url()), Side.A, purpose="check")
    b = Session.open(from_text(two.url()), Side.B, purpose="check")

    def found():
        return {
            (f.side, f.level) for f in check_pair(a, b, {}, {}) if f.code == "native_replication"
        }

    assert found() == set()
    two.script(change)
    assert found() == {(Side.B, Level.WARNING)}
    two.script(start)
    assert found() == {(Side.B, Level.ERROR)}
    a.close()
    b.close()
