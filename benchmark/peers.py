"""The programs that are compared with: native replication, the servers' own clients, percona-toolkit."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

from benchmark.arena import DATABASE, NAME, TABLE, binlog_end, gtids
from benchmark.process import environment, module, run, timed

if TYPE_CHECKING:
    from testbed.endpoint import Endpoint

_WAIT_S = 1800.0


def decode(server: Endpoint, since: str) -> dict[str, Any]:
    """mysql-replication: decode all that is between the GTIDs *since* and the binlog's end."""
    file, offset = binlog_end(server)
    return module(
        "benchmark.decode",
        {
            "connection": {
                "host": server.host,
                "port": server.port,
                "user": "root",
                "passwd": server.password,
            },
            "flavor": server.flavor,
            "server_id": 991,
            "gtids": since,
            "file": file,
            "offset": offset,
        },
    )


def mysqlbinlog(server: Endpoint, file: str, offset: int) -> float:
    """`mysqlbinlog -v` over the same stream, to /dev/null; gives the seconds."""
    command = server.command(
        "mysqlbinlog",
        *("-v", "--read-from-remote-server", "--to-last-log", f"--start-position={offset}", file),
    )
    begun = time.perf_counter()
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"mysqlbinlog: {done.stderr.decode(errors='replace')[-500:]}")
    return time.perf_counter() - begun


def dump_and_load(source: Endpoint, target: Endpoint) -> float:
    """`mysqldump` of the table piped into the client; gives the seconds."""
    options = ["--single-transaction", "--skip-lock-tables"]
    if source.flavor == "mysql":
        options.append("--set-gtid-purged=OFF")
    dump = shlex.join(source.command("mysqldump", *options, DATABASE, TABLE))
    load = shlex.join(target.command("mysql", DATABASE))
    return timed(["bash", "-c", f"set -o pipefail; {dump} | {load}"])


class Replica:
    """A server that replicates from another one, from the beginning of its binlog; stopped when made."""

    def __init__(self, server: Endpoint, source: Endpoint, workers: int) -> None:
        self.server, self._source = server, source
        self._mysql = server.flavor == "mysql"
        threads = "replica_parallel_workers" if self._mysql else "slave_parallel_threads"
        server.script(f"SET GLOBAL {threads} = {workers}")
        if self._mysql:
            server.script(
                f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{source.host}', SOURCE_PORT={source.port},"
                f" SOURCE_USER='root', SOURCE_PASSWORD='{source.password}', SOURCE_AUTO_POSITION=1,"
                " GET_SOURCE_PUBLIC_KEY=1"
            )
        else:
            server.script(
                f"CHANGE MASTER TO MASTER_HOST='{source.host}', MASTER_PORT={source.port},"
                f" MASTER_USER='root', MASTER_PASSWORD='{source.password}', MASTER_USE_GTID=slave_pos"
            )

    def start(self) -> None:
        """Let it go; it does not wait."""
        self.server.script("START REPLICA" if self._mysql else "START SLAVE")

    def stop(self) -> None:
        """Stop it and wait until it stands."""
        self.server.script("STOP REPLICA" if self._mysql else "STOP SLAVE")

    def forget(self) -> None:
        """Stop it for good."""
        self.stop()
        self.server.script("RESET REPLICA ALL" if self._mysql else "RESET SLAVE ALL")

    def catch_up(self) -> float:
        """Start it and wait until it has applied what its source has written by now; gives the seconds."""
        wanted = gtids(self._source)
        begun = time.perf_counter()
        self.start()
        self.wait(wanted)
        seconds = time.perf_counter() - begun
        self.stop()
        return seconds

    def wait(self, wanted: str) -> None:
        """
        Wait until it has applied the GTIDs *wanted*.

        Raises RuntimeError where it does not get there in time.
        """
        if self._mysql:
            row = self.server.query(f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{wanted}', {_WAIT_S:.0f})")
        else:
            row = self.server.query(f"SELECT MASTER_GTID_WAIT('{wanted}', {_WAIT_S:.0f})")
        if row[0][0] != 0:
            raise RuntimeError("the replica did not catch up")


def toolkit(program: str) -> str | None:
    """A program of percona-toolkit; None where it is not installed."""
    return shutil.which(program)


def dsn(server: Endpoint) -> str:
    """The address in the toolkit's form."""
    return f"h={server.host},P={server.port},u=root,p={server.password}"


def pt_table_checksum(server: Endpoint) -> float:
    """`pt-table-checksum` of one side alone, without replicas; gives the seconds."""
    command = [
        *("pt-table-checksum", dsn(server), "--no-check-replication-filters", "--no-version-check"),
        *("--no-check-binlog-format", "--recursion-method=none", f"--tables={NAME}"),
    ]
    # 8 and 16: warnings and skipped chunks where there is no replica to look at.
    return timed(command)


def pt_table_sync(source: Endpoint, target: Endpoint, where: str = "") -> float:
    """`pt-table-sync --execute` from one server to another; gives the seconds."""
    names = f"D={DATABASE},t={TABLE}"
    command = [
        *(
            "pt-table-sync",
            "--execute",
            "--no-check-slave",
            "--no-check-triggers",
            "--no-version-check",
        ),
        f"{dsn(source)},{names}",
        f"{dsn(target)},{names}",
    ]
    if where:
        command += ["--where", where]
    # 2: it changed rows.
    begun = time.perf_counter()
    run(command, (0, 2))
    return time.perf_counter() - begun
