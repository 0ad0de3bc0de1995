"""Where no further transaction can be under way at a side, its own session does the work."""

from __future__ import annotations

import threading

import pytest

from syncer.core.side import Side
from syncer.errors import OutcomeUnknown, StatementRefused, TransientDatabaseError
from syncer.mysql import marker
from syncer.mysql.connection import Session
from syncer.service import bulkdelivery, lanes
from syncer.service.sides import SideWorker
from testbed import oracle
from tests.integration.harness import wait_until
from tests.integration.inside import Inside
from tests.integration.test_copying import create, fill

ROWS = 300
COPIED = 20_000
PASSWORD = "lanes-pw-1"
GRANTS = {
    "mariadb": "REPLICATION SLAVE, BINLOG MONITOR, REPLICATION SLAVE ADMIN",
    "mysql": "REPLICATION SLAVE, REPLICATION CLIENT",
}


@pytest.fixture
def account(pair, database):
    """Give the name of an account on both sides that read_only binds."""
    name = f"l_{database[-6:]}"
    for server in pair.sides:
        server.script(
            f"DROP USER IF EXISTS {name}",
            f"CREATE USER {name}@'%' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, {GRANTS[server.flavor]} ON *.* TO {name}@'%'",
        )
    yield name
    pair.script(f"DROP USER IF EXISTS {name}")


@pytest.fixture
def begin(pair, database, make_product, quiet):
    """Give ``begin(account, **engine) -> (product, run)`` for a table that is equal on both sides."""
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)",
        f"INSERT INTO t VALUES {','.join(f'({i},{i})' for i in range(ROWS))}",
        db=database,
    )
    runs = []

    def start(account=None, **engine):
        product = make_product(pair, tables=f"{database}.*")
        if account is not None:
            product.urls = tuple(server.url(account, PASSWORD) for server in pair.sides)
        inside = Inside(product, engine={"batch_rows": 60, **engine})
        runs.append(inside)
        product.settled()
        return product, inside

    yield start
    for inside in runs:
        inside.end()


@pytest.fixture
def refused(monkeypatch):
    """Give what lanes could not be opened for."""
    found = []
    open_lane = marker.open_lane

    def opening(session, **given):
        try:
            open_lane(session, **given)
        except Exception as error:
            found.append(error)
            raise

    monkeypatch.setattr(marker, "open_lane", opening)
    return found


@pytest.fixture
def rows_used(monkeypatch):
    """Give the marker row of every transaction that travelled as one, and the rows of each range."""
    found, sizes = [], []
    carry, copy = bulkdelivery.carry_rows, bulkdelivery.apply_ranges

    def carried(session, **given):
        carry(session, **given)
        found.append(given["row"])

    def copied(session, **given):
        copy(session, **given)
        found.append(given["row"])
        sizes.append(sum(part.rows for part in given["found"]))

    monkeypatch.setattr(bulkdelivery, "carry_rows", carried)
    monkeypatch.setattr(bulkdelivery, "apply_ranges", copied)
    return found, sizes


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_a_connection_that_is_lost_while_a_lane_is_made_ends_nothing(
    pair, database, begin, refused, monkeypatch
):
    at = threading.local()
    killed = []
    open_lane, commit = marker.open_lane, Session.commit

    def opening(session, **given):
        at.opening = True
        try:
            open_lane(session, **given)
        finally:
            at.opening = False

    def committing(session):
        if getattr(at, "opening", False) and not killed:
            killed.append(session.connection_id)
            pair.b.query(f"KILL {session.connection_id}")
            alive = f"SELECT COUNT(*) FROM information_schema.processlist WHERE id = {session.connection_id}"
            wait_until("it is gone", lambda: (pair.b.query(alive) == [(0,)], None))
        commit(session)

    product, _ = begin(threads=2)
    monkeypatch.setattr(marker, "open_lane", opening)
    monkeypatch.setattr(Session, "commit", committing)
    pair.a.script("UPDATE t SET n = n + 1000", db=database)
    product.settled()
    assert killed
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert product.conflicts() == []


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_a_server_that_is_read_only_when_a_lane_is_made_is_waited_for(
    pair, database, account, begin, refused
):
    product, inside = begin(account, threads=2)
    pair.b.query("SET GLOBAL read_only = 1")
    try:
        pair.a.script("UPDATE t SET n = n + 1000", db=database)
        wait_until("a lane was refused", lambda: (refused, inside.error))
    finally:
        pair.b.query("SET GLOBAL read_only = 0")
    product.settled()
    assert isinstance(refused[0], StatementRefused)
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert product.conflicts() == []


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_a_backlog_is_worked_off_where_no_connection_is_left_for_a_lane(
    pair, database, begin, rows_used, monkeypatch
):
    product, _ = begin(threads=2)
    pair.a.script("UPDATE t SET n = n + 1 WHERE id = 1", db=database)
    product.settled()  # the session for applies is there

    def full(_worker, purpose):
        raise TransientDatabaseError(f"no connection is left to {purpose}", errno=1203)

    monkeypatch.setattr(SideWorker, "_open", full)
    pair.a.script("UPDATE t SET n = n + 1000", db=database)
    product.settled()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert product.conflicts() == []
    used, _ = rows_used
    [own] = set(used)
    assert "#" not in own
    assert len(used) == 6


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
@pytest.mark.parametrize("error", [TransientDatabaseError, StatementRefused, OutcomeUnknown])
def test_ranges_are_copied_without_lanes_until_there_are_some(
    pair, database, make_product, quiet, rows_used, monkeypatch, error
):
    """INV-13: the pair's own row has nothing else under way meanwhile."""
    for server in pair.sides:
        create(server, database)
    fill(pair.a, database, "numbers", COPIED)
    open_lane = marker.open_lane
    missed = []

    def opening(session, **given):
        if session.side is Side.B and len(missed) < 2:
            missed.append(given["name"])
            raise error("not now")
        open_lane(session, **given)

    monkeypatch.setattr(marker, "open_lane", opening)
    monkeypatch.setattr(lanes, "AGAIN_AFTER_S", 0.0)
    monkeypatch.setattr("syncer.service.copying.MOST_ROWS", 500)
    product = make_product(pair, tables=f"{database}.*")
    inside = Inside(product, engine={"threads": 2})
    try:
        product.settled()
    finally:
        inside.end()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    used, sizes = rows_used
    assert sum(sizes) == COPIED
    assert ["#" in row for row in used[:3]] == [False, False, True]
