"""Heartbeats: lag on idle servers, ends that stay finite, sides that are never written, a pair taken over, odd clocks."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING

import pytest

from syncer.core.side import Side
from syncer.errors import EpochLost
from syncer.mysql import heartbeat, marker
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import parse_url
from syncer.service.run import IDLE_LOOK_S
from testbed import oracle
from tests.integration.harness import binlog_end, wait_until
from tests.integration.harness import syncer as command
from tests.integration.inside import Inside

if TYPE_CHECKING:
    from testbed.endpoint import Endpoint

OFTEN = ("--heartbeat", "0.1")


def beats(server: Endpoint, pair_id: str) -> list[tuple]:
    """Give (epoch, beat) of a pair's row; [] where there is none, or no table."""
    if not server.query(heartbeat.TABLE_EXISTS)[0][0]:
        return []
    return list(
        server.query(
            f"SELECT epoch, CAST(beat AS CHAR) FROM syncer.heartbeat WHERE pair = '{pair_id}'"
        )
    )


def all_beats(pair) -> list[list[tuple]]:
    """Give what both sides hold, whatever the pair's name: other tests use these servers too."""
    return [
        list(server.query("SELECT pair, CAST(beat AS CHAR) FROM syncer.heartbeat ORDER BY pair"))
        if server.query(heartbeat.TABLE_EXISTS)[0][0]
        else []
        for server in pair.sides
    ]


def measured(syncer) -> tuple[bool, object]:
    """Say whether the ledger has the measures of heartbeats of both sides."""
    clocks = syncer.status()["clocks"] if syncer.ledger.exists() else None
    good = {"throttled_by", "a_error", "b_error"}  # None where all is well
    found = {name: value for name, value in (clocks or {}).items() if name not in good}
    return bool(found) and None not in found.values(), clocks


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_an_idle_run_wakes_up_once_a_second(pair, database, shop, product):
    """Each wake-up costs more than what is done then; whoever looks on, the hearts and the reconciler have the same moments."""
    shop(10)
    inside = Inside(product(), heartbeat_s=1.0)
    looks: list[float] = []
    update = inside.watcher.update

    def look(snapshot):
        looks.append(time.monotonic())
        update(snapshot)

    try:
        wait_until("it is idle", lambda: (inside.last.phase == "tailing", inside.last.phase), 60)
        inside.watcher.update = look
        wait_until("some looks", lambda: (len(looks) >= 5, looks), 60)
    finally:
        inside.end()
    gaps = [later - one for one, later in itertools.pairwise(looks[1:5])]
    assert min(gaps) > 0.5 * IDLE_LOOK_S


def test_an_idle_pair_is_measured_and_its_positions_move(pair, database, shop, product):
    shop(10)
    syncer = product(*OFTEN)
    running = syncer.start("--json")
    running.connected()
    syncer.settled()
    wait_until("measures in the ledger", lambda: measured(syncer), 60)
    before = {side: syncer.position(side) for side in "ab"}
    wait_until(
        "both positions move",
        lambda: (all(syncer.position(side) > before[side] for side in "ab"), before),
    )
    done = running.stop().must(0)
    last = json.loads(done.stdout)["last"]
    for side in "ab":
        status = last[side]
        assert status["beats"] > 5
        assert status["transactions"] < status["beats"], "heartbeats are no transactions of users"
        assert 0 < status["lag_p50_ms"] <= status["lag_p99_ms"]
        assert status["lag_s"] % 1 != 0, "better than whole seconds"
        assert status["behind_s"] >= 0
        assert [status[f"applied_{op}"] for op in ("inserts", "updates", "deletes")] == [0, 0, 0]
    # One machine, one clock.
    assert abs(last["clock_skew_s"]) <= last["clock_skew_error_s"] + 0.001
    assert last["cycles"] == 0 or last["dirty_keys"] == 0
    human = command("status", "--ledger", syncer.ledger).must(0).stdout
    assert "clocks b " in human


def test_heartbeats_do_not_keep_a_run_from_its_end(pair, database, shop, product):
    """They are written after every position that was read; the end must not wait for the next of them."""
    first = shop(200)
    pair.a.script("UPDATE counters SET value = value + 1 WHERE id = 7", db=database)
    syncer = product(*OFTEN)
    report = syncer.until_in_sync()
    assert report["last"]["dirty_keys"] == 0
    report = syncer("run", "--once", "--json").must(0).document()
    assert (report["in_sync"], report["ended"]) == (None, "one_pass")
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert len(first) == 3


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_side_that_is_never_written_gets_none_unless_asked(pair, database, shop, product):
    shop(10)
    syncer = product(*OFTEN, "--direction", "a-to-b")
    before = all_beats(pair)
    syncer.until_in_sync()
    running = syncer.start("--json")
    running.connected()

    def clocks() -> tuple[bool, object]:
        found = syncer.status()["clocks"]
        return bool(found) and found["b_behind_s"] is not None, found

    found = wait_until("the target is measured", clocks)
    assert found["a_behind_s"] is None
    assert found["skew_s"] is not None, "the clock of the source is looked at all the same"
    done = running.stop().must(0)
    assert json.loads(done.stdout)["last"]["a"]["beats"] == 0
    after = all_beats(pair)
    assert after[0] == before[0]
    assert after[1] != before[1]
    folder = syncer.folder
    (folder / "syncer.toml").write_text("[heartbeat]\nsource = true\n")
    syncer("run", "-c", folder / "syncer.toml", "--until-in-sync").must(0)
    assert all_beats(pair)[0] != before[0]


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_off_and_dry_runs_write_none(pair, database, shop, product):
    shop(10)
    syncer = product("--heartbeat", "off")
    before = all_beats(pair)
    report = syncer.until_in_sync()
    assert report["last"]["a"]["beats"] == 0
    assert report["last"]["clock_skew_s"] is not None, "measured at the start"
    ends = [binlog_end(server) for server in pair.sides]
    syncer("run", "--dry-run", "--json", *OFTEN).must(0)
    assert all_beats(pair) == before
    assert [binlog_end(server) for server in pair.sides] == ends


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_only_the_owner_of_the_pair_beats(pairs, flavor):
    server = pairs[flavor].a
    with Session.open(parse_url(server.url()), Side.A, purpose="heartbeat") as session:
        marker.ensure(session)
        marker.raise_epoch(session, "owned", 3)
        try:
            heartbeat.ensure(session, "owned", 3)
            heartbeat.beat(session, "owned", 3, 1)
            assert beats(server, "owned") == [(3, "3.1")]
            session.execute("DELETE FROM syncer.heartbeat WHERE pair = 'owned'")
            heartbeat.beat(session, "owned", 3, 2)
            assert beats(server, "owned") == [(3, "3.2")], "a row that was deleted is made again"
            marker.raise_epoch(session, "owned", 4)
            heartbeat.ensure(session, "owned", 4)
            for late in (
                lambda: heartbeat.beat(session, "owned", 3, 3),
                lambda: heartbeat.ensure(session, "owned", 3),
            ):
                with pytest.raises(EpochLost):
                    late()
            assert beats(server, "owned") == [(4, "3.2")]
            # An older syncer that was late to take its row over does not stop the owner.
            session.execute("UPDATE syncer.heartbeat SET epoch = 3 WHERE pair = 'owned'")
            heartbeat.beat(session, "owned", 4, 1)
            assert beats(server, "owned") == [(4, "4.1")]
        finally:
            for table in ("marker", "heartbeat"):
                session.execute(f"DELETE FROM syncer.{table} WHERE pair = 'owned'")


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_heartbeat_that_cannot_be_written_ends_nothing(pair, database, shop, product):
    """A lock on the row, then a server that refuses: warned of once, and rows travel on."""
    shop(10)
    syncer = product(*OFTEN)
    running = syncer.start()
    running.connected()
    syncer.settled()
    with pair.a.connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM syncer.heartbeat FOR UPDATE")
        running.wait_event(
            "a beat was given up", lambda event: event.get("event") == "heartbeat.interrupted"
        )
        pair.b.script("UPDATE counters SET value = 77 WHERE id = 1", db=database)
        syncer.until_equal(database)
        connection.rollback()
    running.wait_event("beats again", lambda event: event.get("event") == "heartbeat.resumed")
    running.stop().must(0)
    warned = [e for e in running.events() if e.get("event") == "heartbeat.interrupted"]
    assert len(warned) == 1
