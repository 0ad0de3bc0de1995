"""Clocks that are wrong: our host's, set while a run goes on; sessions that write with a time of their own."""

from __future__ import annotations

import time

import pytest

from syncer.service import reading
from testbed import oracle
from tests.integration.harness import wait_until
from tests.integration.inside import Inside

PAST, FUTURE = 1_000_000, 2_000_000_000
"""1970 and 2033."""


class JumpingClock:
    """The machine's clock, set forward or back by a test."""

    def __init__(self) -> None:
        self.wrong_by = 0.0

    def now(self) -> float:
        return time.time() + self.wrong_by

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.mark.parametrize("jump", [3600.0, -3600.0], ids=["forward", "back"])
@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_host_whose_clock_is_set_waits_no_longer(pair, database, make_product, quiet, jump):
    """A child whose parent is missing is put off for seconds; a wall clock set back would make an hour of them."""
    pair.script(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, parent INT NOT NULL, FOREIGN KEY (parent) REFERENCES parent (id))",
        db=database,
    )
    pair.a.script("INSERT INTO parent VALUES (1)", db=database)
    syncer = make_product(pair, tables=f"{database}.child")
    clock = JumpingClock()
    inside = Inside(syncer, heartbeat_s=0.2, clock=clock)
    syncer.settled()
    pair.a.script("INSERT INTO child VALUES (1, 1)", db=database)
    # Tried some times and put off for longer each time: it waits when the clock is set.
    wait_until(
        "tries", lambda: (inside.last.dirty_keys == 1 and inside.last.cycles >= 4, inside.last)
    )
    clock.wrong_by = jump
    pair.b.script("INSERT INTO parent VALUES (1)", db=database)

    def children(server, number: int) -> None:
        wait_until(
            f"{number} children",
            lambda: (
                server.query("SELECT COUNT(*) FROM child", db=database)[0][0] == number,
                inside.last,
            ),
            60,
        )

    children(pair.b, 1)
    for number in (2, 3):  # what was marked before the jump has no age: these have
        pair.b.script(f"INSERT INTO child VALUES ({number}, 1)", db=database)
        children(pair.a, number)
    inside.end()
    last = inside.last
    for side in (last.a, last.b):
        assert 0 <= side.lag_s < 600
        assert 0 <= side.behind_s < 600
    assert 0 < last.latency_p99_ms < 600_000
    assert abs(last.clock_skew_s) < 60
    assert syncer.conflicts() == []


def _script(server, database: str, at: int, *statements: str) -> None:
    server.script(f"SET SESSION timestamp = {at}", *statements, db=database)


def test_events_of_another_time_travel_as_all_others(pair, database, shop, product):
    """``SET timestamp`` is what a replayed binlog or dump does: such events stand in the stream as long past, or to come."""
    shop(100)
    heartbeat = "off" if pair.name == "mixed" else "0.2"
    syncer = product("--heartbeat", heartbeat)
    running = syncer.start("--json")
    running.connected()
    syncer.settled()
    for at, server in ((PAST, pair.a), (FUTURE, pair.b)):
        base = 900 if at == PAST else 950
        _script(
            server,
            database,
            at,
            f"INSERT INTO counters (id, name, updated_at) VALUES ({base}, 'x', NOW())",
            f"UPDATE customers SET version = 9 WHERE id = {base - 890}",
            f"DELETE FROM orders WHERE customer_id = {base - 889}",
            f"DELETE FROM customers WHERE id = {base - 889}",
        )
    syncer.settled()
    done = running.stop().must(0)
    last = done.document()["last"]
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert syncer.conflicts() == []
    for side in "ab":
        assert last[side]["lag_s"] >= 0
        assert heartbeat == "off" or last[side]["lag_s"] < 600


def test_newest_goes_by_what_the_server_logs(pair, database, shop, product, tmp_path):
    """
    A session's own time counts on MariaDB, whose events carry nothing else; MySQL logs when it committed.

    One that lies far ahead of both clocks is held, unless the policy believes it.
    Whoever loses is in the journal with the row.
    """
    shop(20)
    syncer = product("--rule", "newest", "--on-tie", "hold")
    syncer.until_in_sync()
    _script(pair.b, database, FUTURE, "UPDATE customers SET version = 8 WHERE id = 3")
    _script(pair.b, database, PAST, "UPDATE customers SET version = 8 WHERE id = 4")
    time.sleep(
        3.1
    )  # commits of MariaDB that are a second apart are a tie, and the clocks are known to some precision
    pair.a.script("UPDATE customers SET version = 7 WHERE id IN (3, 4)", db=database)
    if pair.b.flavor == "mariadb":
        syncer.until_in_sync(codes=(1,))
        (held,) = syncer.conflicts("held")
        assert (held.key, held.path) == (("3",), "clock")
    believing = tmp_path / "believing.toml"
    believing.write_text("[policy]\nmax_future_s = 0\n", "utf-8")
    syncer.until_in_sync("--config", believing)
    found = oracle.read_pair(pair, database, ["customers"])
    assert oracle.differences(found) == []
    decided = syncer.conflicts("applied")
    winner = {conflict.key[0]: conflict.winner for conflict in decided}
    assert winner == {"3": "a" if pair.b.flavor == "mysql" else "b", "4": "a"}
    assert {c.value(c.loser, "version") for c in decided} == (
        {"8"} if pair.b.flavor == "mysql" else {"7", "8"}
    )


@pytest.mark.parametrize("pair", ["mysql", "mariadb"], indirect=True)
def test_an_idle_pair_forgets_transactions_that_are_visible(
    pair, database, shop, product, monkeypatch, quiet
):
    """Heartbeats make transactions without end, and nothing is read that would prove them."""
    monkeypatch.setattr(reading, "UNPROVEN_MOST", 5)
    remembered: list[int] = []
    prove = reading.PairReader.prove_if_many

    def watched(self) -> None:
        prove(self)
        remembered.append(max(progress.unproven for progress in self._progress.values()))

    monkeypatch.setattr(reading.PairReader, "prove_if_many", watched)
    shop(10)
    syncer = product()
    inside = Inside(syncer, heartbeat_s=0.1)
    syncer.settled()
    wait_until("beats", lambda: (inside.last.a.beats > 40 < inside.last.b.beats, inside.last))
    pair.a.script("UPDATE counters SET version = 5 WHERE id = 1", db=database)
    syncer.until_equal(database)
    inside.end()
    assert remembered
    assert max(remembered[1:]) < 30
    assert remembered[-1] < 30
