"""Connections that are cut, reset, stalled and slow: delays, never a lost or a doubled write."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from testbed.proxy import Proxy
from testbed.workload import Workload
from tests.fault.runner import FULL, check_nothing_lost, flavors, only_full, present
from tests.figures import totals
from tests.integration.harness import syncer as command
from tests.integration.harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.harness import Product, Running

MARKER = b"`syncer`.`marker` SET `batch`"
RAISED = b"`syncer`.`marker` SET `epoch`"
COMMIT = b"\x03COMMIT"
SNAPSHOT = b"CONSISTENT SNAPSHOT"
"""A message that opens a snapshot, and mostly reads and closes it as well."""


@pytest.fixture
def proxies(pair) -> Iterator[tuple[Proxy, Proxy]]:
    with Proxy(pair.a) as a, Proxy(pair.b) as b:
        yield a, b


@pytest.fixture
def proxied(product, proxies):
    """Give ``proxied() -> Product`` that reaches both servers through the proxies."""

    def make(*options: object) -> Product:
        made = product(*options)
        made.urls = (proxies[0].url(), proxies[1].url())
        return made

    return make


@pytest.fixture
def loaded(pair, database, shop, proxied, write_for):
    """Give ``loaded(during)``: run, write on both sides, let *during* hurt it, then check everything."""

    def check(during, *, seconds: float = 1.0) -> Running:
        shop(200, foreign_keys=True)
        syncer = proxied()
        syncer.until_in_sync()
        first = present(pair, database)
        running = syncer.start("--log-level", "debug")
        running.connected()
        with Workload.disjoint(pair, database, rate=25) as workload:
            write_for(workload, 0.5, running)
            during(running)
            write_for(workload, seconds, running)
        syncer.settled()
        assert check_nothing_lost(pair, database, first, workload) > 0
        assert syncer.conflicts() == []
        running.stop().must(0)
        totals["faults survived"] += 1
        return running

    return check


def named(running: Running, event: str) -> list[dict]:
    return [line for line in running.events() if line.get("event") == event]


def reconnects(running: Running, side: str) -> None:
    """Wait until the stream of *side* has been connected a second time."""

    def ask():
        assert running.code is None, str(running)
        found = [line for line in named(running, "stream.connected") if line["side"] == side]
        return len(found) > 1, str(running)

    wait_until("stream connected again", ask)


@pytest.mark.parametrize("pair", flavors("mariadb"), indirect=True)
@pytest.mark.parametrize("reset", [True, False] if FULL else [True])
def test_stream_cut_in_the_middle_goes_on(loaded, proxies, reset):
    def cut(running):
        proxies[0].resets = reset
        # Streams alone are silent upwards and talk downwards: cut the one that carries many bytes, in mid-event.
        done = proxies[0].cut_after(2501, "down", having=b"@@global.binlog_checksum")
        proxies[0].drop()
        assert done.wait(60)
        reconnects(running, "a")

    loaded(cut)


@pytest.mark.parametrize("pair", flavors("mysql"), indirect=True)
@pytest.mark.parametrize("delivered", [True, False], ids=["answer lost", "request lost"])
def test_commit_without_an_answer_is_looked_up(loaded, proxies, delivered):
    def cut(running):
        done = proxies[1].cut_at(MARKER, COMMIT, delivered=delivered)
        assert done.wait(60)
        running.wait_event("looked up", lambda line: line.get("event") == "batch.looked_up")

    loaded(cut)


@only_full
@pytest.mark.parametrize("pair", flavors("mariadb"), indirect=True)
def test_apply_cut_before_its_commit(loaded, proxies):
    def cut(running):
        assert proxies[1].cut_after(40, "up", having=MARKER).wait(60)

    loaded(cut)


@pytest.mark.parametrize("pair", flavors("mysql"), indirect=True)
@pytest.mark.parametrize("delivered", [True, False] if FULL else [False])
def test_read_cut(loaded, proxies, delivered):
    def cut(running):
        assert proxies[0].cut_at(SNAPSHOT, delivered=delivered).wait(60)

    loaded(cut)


@pytest.mark.parametrize("pair", flavors("mixed"), indirect=True)
def test_everything_stalls_and_resumes(loaded, proxies):
    def stall(running):
        begun = time.monotonic()
        proxies[0].stall("down")
        wait_until("two seconds", lambda: (time.monotonic() - begun > 2, running.code))
        proxies[0].resume()

    loaded(stall)


@only_full
@pytest.mark.parametrize("pair", flavors("mysql"), indirect=True)
def test_stream_silent_for_long_is_given_up_and_opened_again(loaded, proxies):
    def stall(running):
        proxies[0].stall("down")
        running.wait_event("silence", lambda line: line.get("event") == "stream.interrupted")
        proxies[0].resume()
        reconnects(running, "a")

    loaded(stall)


@pytest.mark.parametrize("pair", flavors("mysql"), indirect=True)
def test_outcome_unknown_while_the_server_is_away_waits_for_it(loaded, proxies):
    """However long it takes; a minute is nothing for a server that restarts."""

    def vanish(running):
        done = proxies[1].cut_at(MARKER, COMMIT, delivered=True, then_refuse=True)
        assert done.wait(60)
        running.wait_event("lost", lambda line: line.get("event") == "stream.interrupted")
        begun = time.monotonic()
        away_s = 70 if FULL else 3
        wait_until("away", lambda: (time.monotonic() - begun > away_s, str(running)))
        assert running.code is None, str(running)
        proxies[1].resume()
        running.wait_event("looked up", lambda line: line.get("event") == "batch.looked_up")

    loaded(vanish)


@pytest.mark.parametrize("pair", flavors("mysql"), indirect=True)
def test_a_server_that_comes_back_read_only_does_not_end_the_look_up(
    pair, database, shop, proxied, proxies
):
    """As one that a failover manager has started: the batch was committed, and its intent says what it overwrote."""
    shop(20)
    syncer = proxied("--heartbeat", "off")
    syncer.until_in_sync()
    running = syncer.start("--log-level", "debug")
    running.connected()
    done = proxies[1].cut_at(MARKER, COMMIT, delivered=True, then_refuse=True)
    pair.a.script("UPDATE counters SET value = value + 1 WHERE id = 1", db=database)
    assert done.wait(60)
    pair.b.script("SET GLOBAL super_read_only = ON")
    try:
        proxies[1].resume()
        running.wait_event(
            "refused",
            lambda line: line.get("event") == "cycle.retried" and "read_only" in line["reason"],
        )
    finally:
        pair.b.script("SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF")
    running.wait_event("looked up", lambda line: line.get("event") == "batch.looked_up")
    syncer.settled()
    assert syncer.conflicts() == []
    counters = syncer.status()["summary"]["counters"]
    assert counters["applied.b.update"] == 1, "it was written once, and counted"
    running.stop().must(0)
    totals["faults survived"] += 1


@pytest.mark.parametrize("pair", flavors("mixed"), indirect=True)
def test_a_side_that_is_not_heard_is_told(database, shop, proxied, proxies):
    """Without heartbeats, and with nothing to write, nothing else would fail."""
    shop(20)
    syncer = proxied("--heartbeat", "off")
    syncer.until_in_sync()
    running = syncer.start()
    running.connected()

    def state(wanted: str, lag_s: float) -> None:
        def ask():
            found = syncer.status()["clocks"]
            assert running.code is None, str(running)
            return found["a_state"] == wanted and (found["a_lag_s"] or 0.0) >= lag_s, found

        wait_until(f"a is {wanted}", ask)

    state("connected", 0.0)
    assert command("status", "--ledger", syncer.ledger).must(0)
    proxies[0].refuse()
    state("interrupted", 1.0)
    told = command("status", "--ledger", syncer.ledger).must(1)
    assert "A  is not heard: " in told.stdout
    proxies[0].resume()
    state("connected", 0.0)
    running.stop().must(0)
    totals["faults survived"] += 1


@only_full
@pytest.mark.parametrize("pair", flavors("mysql"), indirect=True)
def test_stopped_while_an_outcome_is_unknown(pair, database, shop, proxied, proxies, write_for):
    """The stop is obeyed, the intent stays, and the next run looks it up."""
    shop(200, foreign_keys=True)
    syncer = proxied()
    syncer.until_in_sync()
    first = present(pair, database)
    running = syncer.start("--log-level", "debug")
    running.connected()
    with Workload.disjoint(pair, database, rate=25) as workload:
        write_for(workload, 0.5, running)
        done = proxies[1].cut_at(MARKER, COMMIT, delivered=True, then_refuse=True)
        assert done.wait(60)
        running.stop(45).must(0)
    assert syncer.status()["summary"]["open_batches"] > 0
    proxies[1].resume()
    syncer.until_in_sync()
    check_nothing_lost(pair, database, first, workload)
    assert syncer.conflicts() == []
    totals["faults survived"] += 1


@only_full
@pytest.mark.parametrize("pair", flavors("mysql"), indirect=True)
def test_out_of_reach_then_back(loaded, proxies):
    def vanish(running):
        for proxy in proxies:
            proxy.refuse()
        running.wait_event("lost", lambda line: line.get("event") == "stream.interrupted")
        begun = time.monotonic()
        wait_until("seconds", lambda: (time.monotonic() - begun > 70 * FULL, running.code))
        assert running.code is None, str(running)
        for proxy in proxies:
            proxy.resume()
        reconnects(running, "b")

    loaded(vanish)


@pytest.mark.parametrize("pair", flavors("mariadb"), indirect=True)
def test_slow_network(loaded, proxies):
    for proxy in proxies:
        proxy.delay_s = 0.02

    running = loaded(lambda running: None, seconds=2.0 if FULL else 0.3)
    assert named(running, "stream.interrupted") == []


@pytest.mark.parametrize("pair", flavors("mysql"), indirect=True)
@pytest.mark.parametrize("delivered", [True, False], ids=["answer lost", "request lost"])
def test_start_without_an_answer_is_safe_to_run_again(pair, shop, proxied, proxies, delivered):
    """The commit that raises the epoch: whether it arrived or not, the next start takes the pair over."""
    shop(20)
    syncer = proxied()
    syncer.until_in_sync()
    for proxy in proxies:
        assert syncer.ledger.exists()
        done = proxy.cut_at(RAISED, COMMIT, delivered=delivered)
        refused = syncer("run", "--until-in-sync").must(4)
        assert done.is_set()
        assert "start again" in refused.stderr
        syncer.until_in_sync()
    totals["faults survived"] += 2


@pytest.mark.parametrize("pair", flavors("mariadb"), indirect=True)
def test_silence_after_a_commit_is_looked_up(
    pair, database, shop, proxied, proxies, write_for, tmp_path
):
    """Nothing is closed and nothing arrives: no error of the network ever says that the server is gone."""
    config = tmp_path / "impatient.toml"
    config.write_text("[engine]\nstatement_timeout_s = 1.0\n")
    shop(200, foreign_keys=True)
    syncer = proxied("--config", config)
    syncer.until_in_sync()
    first = present(pair, database)
    running = syncer.start("--log-level", "debug")
    running.connected()
    with Workload.disjoint(pair, database, rate=25) as workload:
        write_for(workload, 0.5, running)
        assert proxies[1].stall_at(MARKER, COMMIT).wait(60)
        running.wait_event(
            "given up",
            lambda line: (
                line.get("event") == "cycle.retried" and line.get("error_code") != "guard_failed"
            ),
        )
        proxies[1].resume()
        running.wait_event("looked up", lambda line: line.get("event") == "batch.looked_up")
        write_for(workload, 0.5, running)
    syncer.settled()
    assert check_nothing_lost(pair, database, first, workload) > 0
    assert syncer.conflicts() == []
    running.stop().must(0)
    totals["faults survived"] += 1
