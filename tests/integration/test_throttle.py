"""Whole-table comparisons give way to a busy primary; live changes go on."""

from __future__ import annotations

import pytest

from testbed import oracle
from testbed.replication import replicate
from tests.integration.harness import wait_until


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_baseline_waits_while_live_changes_flow(pair, database, product):
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", db=database)
    rows = ",".join(f"({i},{i})" for i in range(500))
    pair.a.script(f"INSERT INTO t VALUES {rows}", db=database)
    syncer = product("--max-load", "Threads_running=0")
    running = syncer.start()
    running.connected()
    began = running.wait_event("a pause", lambda e: e.get("event") == "throttle.began")
    assert "Threads_running" in began["reason"]
    pair.b.script("INSERT INTO t VALUES (1000,1)", db=database)

    def arrived() -> tuple[bool, object]:
        found = oracle.read_table(pair.a, database, "t")
        return (1000,) in found, len(found)

    wait_until("a live change travels", arrived)
    assert len(oracle.read_table(pair.b, database, "t")) == 1, "the baseline did not wait"

    def told() -> tuple[bool, object]:
        clocks = syncer.status()["clocks"]
        return "Threads_running" in ((clocks or {}).get("throttled_by") or ""), clocks

    wait_until("status says so too", told)
    running.stop().must(0)
    free = product("--max-load", "off", "--max-rows-per-second", "100000")
    free.ledger = syncer.ledger
    free.until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database)) == []


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_baseline_waits_for_the_replicas_of_both_sides(pair, database, product, fresh_server):
    """One is named, the other one found; one that stands still holds the comparison up, and no live change."""
    stopped = {"mysql": "STOP REPLICA SQL_THREAD", "mariadb": "STOP SLAVE SQL_THREAD"}
    started = {"mysql": "START REPLICA SQL_THREAD", "mariadb": "START SLAVE SQL_THREAD"}
    replicas = []
    for server in pair.sides:
        # Of this database alone: what earlier tests have made, the replica does not have.
        options = {"report-host": server.host, "replicate-wild-do-table": f"{database}.%"}
        replica = fresh_server(server.flavor, options=options)
        replicate(server, replica, from_now=True)
        replica.script("SET SESSION sql_log_bin = 0", f"CREATE DATABASE {database}")
        replica.script(stopped[server.flavor])
        replicas.append(replica)
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", db=database)
    pair.a.script(f"INSERT INTO {database}.t VALUES (1, 1), (2, 2), (3, 3)")
    syncer = product("--replica", f"a={replicas[0].host}:{replicas[0].port}", "--find-replicas")
    running = syncer.start()

    def waits_for(*sides: str) -> None:
        names = [
            f"replica {one.host}:{one.port} of side {side} does not replicate"
            for side, one in zip("ab", replicas, strict=True)
        ]

        def said(event):
            return event.get("event") == "throttle.began" and [
                side for side, name in zip("ab", names, strict=True) if name in event["reason"]
            ] == list(sides)

        running.wait_event(f"a pause for {sides}", said)

    waits_for("a", "b")
    pair.b.script(f"INSERT INTO {database}.t VALUES (9, 9)")
    wait_until(
        "a live change travels",
        lambda: ((9,) in (found := oracle.read_table(pair.a, database, "t")), found),
    )
    assert list(oracle.read_table(pair.b, database, "t")) == [(9,)], "the baseline did not wait"
    replicas[0].script(started[pair.a.flavor])
    waits_for("b")
    replicas[1].script(started[pair.b.flavor])
    running.wait_event("the end", lambda event: event.get("event") == "throttle.ended")
    syncer.settled()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    running.stop().must(0)


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_verify_gives_way_too(pair, database, product, tmp_path):
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", db=database)
    rows = ",".join(f"({i},{i})" for i in range(500))
    pair.script(f"INSERT INTO t VALUES {rows}", db=database)
    pause = tmp_path / "pause"
    pause.touch()
    verifying = product("--pause-file", pause, "--max-rows-per-second", 1000).start(
        "--json", command="verify"
    )
    began = verifying.wait_event("a pause", lambda e: e.get("event") == "throttle.began")
    assert str(pause) in began["reason"]
    assert verifying.code is None
    pause.unlink()
    report = verifying.wait().must(0).document()
    assert min(table["chunks"] for table in report["tables"]) >= 500 // 50


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_load_that_a_server_does_not_have_is_refused(pair, database, product):
    """It would never hold anything up."""
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", db=database)
    # MySQL has it, MariaDB does not.
    syncer = product("--max-load", "Error_log_buffered_bytes=1000000000")
    for command, code in (("run", 3), ("verify", 2)):
        done = syncer(command).must(code)
        told = done.stdout + done.stderr
        assert "side b: max_load names Error_log_buffered_bytes" in told, command
        assert "side a: max_load" not in told


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_rate_is_kept_while_rows_are_compared_and_copied(pair, database, product):
    """By many short reads: of 3,000 rows, 2,000 equal ones and 1,000 to be copied, none is read before its time."""
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", db=database)
    rows = ",".join(f"({i},{i})" for i in range(2000))
    pair.script(f"INSERT INTO t VALUES {rows}", db=database)
    more = ",".join(f"({i},{i})" for i in range(2000, 3000))
    pair.a.script(f"INSERT INTO t VALUES {more}", db=database)
    report = product("--max-rows-per-second", 1000).until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert report["last"]["uptime_s"] > 3000 / 1000 - 0.2
