"""The testbed keeps its own promises; everything else is built on them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
import pytest

from testbed.binaries import FLAVORS
from testbed.servers import Server, ServerStartError

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.endpoint import Endpoint
    from testbed.provision import Pair

each_flavor = pytest.mark.parametrize("flavor", FLAVORS)


def test_a_pair_logs_complete_rows_with_gtids(pair: Pair) -> None:
    for server in pair.sides:
        names = "log_bin, binlog_format, binlog_row_image, binlog_row_metadata, sync_binlog"
        wanted = ", ".join(f"@@GLOBAL.{name}" for name in names.split(", "))
        assert server.query(f"SELECT {wanted}") == [(1, "ROW", "FULL", "FULL", 1)]
        gtid, on = ("gtid_mode", "ON") if server.flavor == "mysql" else ("gtid_strict_mode", 1)
        assert server.query(f"SELECT @@GLOBAL.{gtid}") == [(on,)]


def test_the_sides_of_a_pair_are_different_servers(pair: Pair) -> None:
    sql = "SELECT @@server_id, @@GLOBAL.auto_increment_offset"
    (id_a, offset_a), (id_b, offset_b) = pair.a.query(sql)[0], pair.b.query(sql)[0]
    assert id_a != id_b
    assert (offset_a, offset_b) == (1, 2)
    column = {"mysql": "server_uuid", "mariadb": "gtid_domain_id"}
    if pair.a.flavor == pair.b.flavor:
        name = column[pair.a.flavor]
        assert pair.a.query(f"SELECT @@GLOBAL.{name}") != pair.b.query(f"SELECT @@GLOBAL.{name}")


def test_the_mixed_pair_has_mysql_first(mixed_pair: Pair) -> None:
    assert (mixed_pair.a.flavor, mixed_pair.b.flavor) == ("mysql", "mariadb")
    assert "MariaDB" not in mixed_pair.a.version
    assert "MariaDB" in mixed_pair.b.version


def test_a_database_exists_on_both_sides_even_with_a_session_left_open(
    pair: Pair, database: str
) -> None:
    pair.script("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", db=database)
    forgotten = pair.a.connect(database=database, autocommit=False)
    forgotten.cursor().execute("SELECT * FROM t")
    assert [server.query("SELECT * FROM t", db=database) for server in pair.sides] == [[(1,)]] * 2


@each_flavor
@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_data_and_address_survive(
    flavor: str, ending: str, fresh_server: Callable[..., Endpoint]
) -> None:
    server = fresh_server(flavor)
    server.script("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)")
    server.script("INSERT INTO d.t VALUES (1), (2)")
    address = server.url(db="d")
    getattr(server, ending)()
    assert not server.running
    with pytest.raises(pymysql.err.OperationalError):
        server.connect()
    server.start()
    assert server.url(db="d") == address
    assert server.query("SELECT COUNT(*) FROM d.t") == [(2,)]


@each_flavor
def test_options_can_be_given_and_changed(
    flavor: str, fresh_server: Callable[..., Endpoint]
) -> None:
    server = fresh_server(flavor, options={"binlog-row-image": "MINIMAL"})
    assert server.query("SELECT @@GLOBAL.binlog_row_image") == [("MINIMAL",)]
    server.restart({"binlog_row_image": "NOBLOB"})
    assert server.query("SELECT @@GLOBAL.binlog_row_image") == [("NOBLOB",)]


@each_flavor
def test_a_paused_server_is_silent_and_comes_back(
    flavor: str, fresh_server: Callable[..., Endpoint]
) -> None:
    server = fresh_server(flavor)
    server.pause()
    with pytest.raises(pymysql.err.OperationalError):
        server.connect(connect_timeout=1, read_timeout=1)
    server.resume()
    assert server.query("SELECT 1") == [(1,)]


@each_flavor
def test_semi_sync_can_be_switched_on(flavor: str, fresh_server: Callable[..., Endpoint]) -> None:
    options = {"rpl_semi_sync_master_enabled": "ON"}
    if flavor == "mysql":
        options = {
            "plugin_load_add": "semisync_source.so",
            "rpl_semi_sync_source_enabled": "ON",
        }
    name = list(options)[-1]
    assert fresh_server(flavor, options=options).query(f"SELECT @@GLOBAL.{name}") == [(1,)]


def test_the_client_programs_work(pair: Pair, database: str) -> None:
    for server in pair.sides:
        server.query("FLUSH BINARY LOGS")  # the others' tests may have filled this one
    pair.script("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (42)", db=database)
    for server in pair.sides:
        file = server.query("SHOW BINARY LOGS")[-1][0]
        for command in (
            server.command("mysql", "-e", "SELECT 42"),
            server.command("mysqldump", "--skip-lock-tables", database),
            server.command("mysqlbinlog", "--read-from-remote-server", "-v", file),
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            assert "42" in done.stdout


@each_flavor
def test_a_server_that_cannot_start_shows_its_error_log(
    flavor: str, fresh_server: Callable[..., Endpoint]
) -> None:
    server = fresh_server(flavor, options={"no_such_option": "1"}, start=False)
    with pytest.raises(ServerStartError, match="no_such_option"):
        server.start()
    assert not server.running


@each_flavor
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, None])
def test_no_server_outlives_the_process(
    flavor: str, how: signal.Signals | None, fresh_server: Callable[..., Endpoint]
) -> None:
    if not isinstance(fresh_server(flavor, start=False), Server):
        pytest.skip("containers are removed by testcontainers' reaper")
    # The server is started by a thread that ends: it must live on.
    code = (
        "import sys, threading; from testbed.servers import Server\n"
        f"server = Server({flavor!r}, 'orphan', 1)\n"
        "thread = threading.Thread(target=server.start); thread.start(); thread.join()\n"
        "print(server.pid, server.query('SELECT 1')[0][0], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        pid, one = map(int, process.stdout.readline().split())
        assert one == 1
        time.sleep(0.2)
        os.kill(pid, 0)
        if how is None:
            process.stdin.close()
        else:
            process.send_signal(how)
        process.wait(60)
    deadline = time.monotonic() + 30
    while _alive(pid):
        assert time.monotonic() < deadline, f"server {pid} is still there"
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
