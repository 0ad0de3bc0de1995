"""The servers of one flavour, the table that everything is measured on, and the product as a command."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from benchmark.process import Watch, environment, run
from testbed.provision import new_server, start_pair

if TYPE_CHECKING:
    from testbed.binaries import Flavor
    from testbed.endpoint import Endpoint

DATABASE, TABLE = "bench", "item"
NAME = f"{DATABASE}.{TABLE}"
MEMORY = {
    "mysql": {"innodb_buffer_pool_size": "512M", "innodb_redo_log_capacity": "1G"},
    "mariadb": {"innodb_buffer_pool_size": "512M", "innodb_log_file_size": "1G"},
}
COLUMNS = """
    customer_id INT NOT NULL, name VARCHAR(60) NOT NULL, email VARCHAR(100), amount DECIMAL(12,2) NOT NULL,
    status VARCHAR(12) NOT NULL, note VARCHAR(200), created DATETIME(6) NOT NULL, version INT NOT NULL
"""
CREATE = "CREATE TABLE IF NOT EXISTS {} (id BIGINT PRIMARY KEY AUTO_INCREMENT," + COLUMNS + ")"
_VALUES = (
    "{x} % 997, CONCAT('name ', {x}), CONCAT('user', {x}, '@example.org'), {x} * 1.5, 'active',"
    " REPEAT('n', {x} % 60), '2024-01-01 10:00:00.123456', 1"
)
_DIGITS = 5
_STEP = 100_000
WAIT_S = 1800.0

FAST = "SET GLOBAL sync_binlog = 0, GLOBAL innodb_flush_log_at_trx_commit = 2"
SAFE = "SET GLOBAL sync_binlog = 1, GLOBAL innodb_flush_log_at_trx_commit = 1"


MIXED = "mixed"


class Arena:
    """
    Two servers, further ones on demand. Lines clean up after themselves with ``fresh``.

    *flavor* is that of both, or ``mixed``: MySQL and MariaDB.
    """

    def __init__(self, flavor: str) -> None:
        self.flavor = flavor
        self._stack = contextlib.ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self._ledgers = 0
        self._servers = 2
        both = ("mysql", "mariadb") if flavor == MIXED else (flavor, flavor)
        a, b = (cast("Flavor", one) for one in both)
        pair = start_pair(a, b, options_a=_memory(a), options_b=_memory(b))
        self.pair = self._stack.enter_context(pair)
        self.a, self.b = self.pair.a, self.pair.b

    def close(self) -> None:
        """Stop all servers and remove what they wrote."""
        self._stack.close()

    def server(self) -> Endpoint:
        """Start one more server of the flavour of side A; it lives as long as the arena unless it is closed."""
        self._servers += 1
        flavor = self.a.flavor
        name = f"{flavor}-{self._servers}"
        server = new_server(flavor, name, self._servers, options=_memory(flavor))
        return self._stack.enter_context(server)

    def folder(self) -> Path:
        """A fresh folder."""
        self._ledgers += 1
        folder = self._folder / str(self._ledgers)
        folder.mkdir()
        return folder

    def fresh(self, *, rows_a: int = 0, rows_b: int = 0, logged: bool = False) -> None:
        """
        Make the database anew on both sides, the table holding the keys 1 to so many.

        The binlogs are empty then; with *logged* they hold just this, for a replica to begin with.
        """
        for server in (self.a, self.b):
            server.script(f"DROP DATABASE IF EXISTS {DATABASE}", "DROP DATABASE IF EXISTS syncer")
        self.forget_binlogs()
        for server, rows in ((self.a, rows_a), (self.b, rows_b)):
            server.script(
                FAST,
                f"CREATE DATABASE IF NOT EXISTS {DATABASE}",
                CREATE.format(NAME),
            )
            digits(server)
            fill(server, NAME, rows)
            server.script(SAFE, f"ANALYZE TABLE {NAME}")
        if not logged:
            self.forget_binlogs()

    def forget_binlogs(self) -> None:
        """Empty both binlogs; no replica and no syncer may be in the middle of one."""
        for server in (self.a, self.b):
            if server.flavor == "mysql":
                server.script("RESET BINARY LOGS AND GTIDS")
            else:
                server.script("RESET MASTER", "SET GLOBAL gtid_slave_pos = ''")
            server.script(
                # Peers take an empty GTID position for none.
                f"CREATE DATABASE IF NOT EXISTS {DATABASE}",
                f"CREATE TABLE {DATABASE}.begun (n INT PRIMARY KEY)",
                f"DROP TABLE {DATABASE}.begun",
            )

    def product(self, *options: str) -> Product:
        """The product on this pair with a ledger of its own."""
        return Product(self, self.folder(), options)


def _memory(flavor: Flavor) -> dict[str, str | None]:
    return dict[str, "str | None"](MEMORY[flavor])


def digits(server: Endpoint) -> None:
    """Make the table that numbers are made from."""
    server.script(
        f"CREATE TABLE {DATABASE}.digit (n INT PRIMARY KEY)",
        f"INSERT INTO {DATABASE}.digit VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
    )


def numbers(count: int) -> str:
    """A derived table of x = 1 to *count*, 100,000 at most."""
    names = [f"d{place}" for place in range(_DIGITS)]
    total = " + ".join(f"{name}.n * {10**place}" for place, name in enumerate(names))
    tables = ", ".join(f"{DATABASE}.digit {name}" for name in names)
    return f"(SELECT {total} + 1 AS x FROM {tables} HAVING x <= {count}) AS numbers"


def fill(server: Endpoint, table: str, rows: int, *, first: int = 1) -> None:
    """Insert the keys [first, first + rows), 100,000 in a transaction."""
    for base in range(first - 1, first - 1 + rows, _STEP):
        count = min(_STEP, first - 1 + rows - base)
        x = f"({base} + x)"
        server.script(
            f"INSERT INTO {table} SELECT {x}, {_VALUES.format(x=x)} FROM {numbers(count)}"
        )


def fill_generated(server: Endpoint, table: str, rows: int, *, at_once: int = 1000) -> None:
    """Insert rows with keys that the server generates, *at_once* in a transaction."""
    columns = "customer_id, name, email, amount, status, note, created, version"
    with server.connect() as connection, connection.cursor() as cursor:
        for base in range(0, rows, at_once):
            x = f"({base} + x)"
            count = min(at_once, rows - base)
            cursor.execute(
                f"INSERT INTO {table} ({columns}) SELECT {_VALUES.format(x=x)} FROM "
                f"(SELECT d0.n + 10 * d1.n + 100 * d2.n + 1 AS x FROM {DATABASE}.digit d0, {DATABASE}.digit d1,"
                f" {DATABASE}.digit d2 HAVING x <= {count}) AS numbers"
            )


def update_singly(server: Endpoint, count: int, keys: int, *, hot: bool = False) -> None:
    """
    Commit *count* updates of one row each, spread over the keys 1 to *keys* by a fixed stride, or in turn if *hot*.

    A procedure on the server does it, so that nobody waits for a client; durability is lowered meanwhile.
    """
    stride = 1 if hot else 7919
    name = f"{DATABASE}.update_singly"
    server.script(
        FAST,
        f"DROP PROCEDURE IF EXISTS {name}",
        (
            f"CREATE PROCEDURE {name}(IN n INT) BEGIN DECLARE i INT DEFAULT 0; WHILE i < n DO"
            f" UPDATE {NAME} SET version = version + 1, note = CONCAT('changed ', i)"
            f" WHERE id = 1 + (i * {stride}) % {keys}; SET i = i + 1; END WHILE; END"
        ),
        f"CALL {name}({count})",
        SAFE,
    )


def binlog_end(server: Endpoint) -> tuple[str, int]:
    """File and offset of the binlog's end."""
    what = "BINARY LOG" if server.flavor == "mysql" else "MASTER"
    row = server.query(f"SHOW {what} STATUS")[0]
    return str(row[0]), int(row[1])


def gtids(server: Endpoint) -> str:
    """What a stream that begins at the binlog's end has seen."""
    name = "@@GLOBAL.gtid_executed" if server.flavor == "mysql" else "@@GLOBAL.gtid_binlog_pos"
    return "".join(str(server.query(f"SELECT {name}")[0][0]).split())


def position(server: Endpoint) -> dict[str, Any]:
    """The binlog's end as the tailer takes it; nothing may be written meanwhile."""
    identity = "@@server_uuid" if server.flavor == "mysql" else "@@server_id"
    file, offset = binlog_end(server)
    return {
        "server": str(server.query(f"SELECT {identity}")[0][0]),
        "gtids": gtids(server),
        "file": file,
        "offset": offset,
        "seq": 0,
    }


def checksum(server: Endpoint) -> tuple[Any, ...]:
    """A figure of the table's content that is the same where it is the same."""
    return server.query(
        "SELECT COUNT(*), SUM(version), BIT_XOR(CRC32(CONCAT_WS('#', id, customer_id, name, email, amount, status, note,"
        f" created, version))) FROM {NAME}"
    )[0]


class Product:
    """The command `syncer` for one pair, with a ledger of its own."""

    def __init__(self, arena: Arena, folder: Path, options: tuple[str, ...]) -> None:
        self._arena = arena
        self._folder = folder
        self.urls = [arena.a.url(), arena.b.url()]
        self._options = ["--rule", "prefer:a", *options]

    def command(self, verb: str, *options: str) -> list[str]:
        """Its command line."""
        return [
            *(sys.executable, "-m", "syncer", verb, *self.urls, "--table", NAME),
            *("--ledger", str(self._folder / "ledger.db"), "--quiet"),
            *self._options,
            *options,
        ]

    def until_in_sync(self) -> float:
        """Run until both sides are proven equal; give the seconds."""
        begun = time.perf_counter()
        run(self.command("run", "--until-in-sync"))
        return time.perf_counter() - begun

    def verify(self) -> float:
        """Compare both sides whole; give the seconds."""
        begun = time.perf_counter()
        run(self.command("verify"))
        return time.perf_counter() - begun

    @contextlib.contextmanager
    def running(self) -> Iterator[Running]:
        """Keep it running in the background, past its first comparison."""
        with (self._folder / "run.log").open("wb") as log:
            running = Running(self, log)
            try:
                running.wait_settled()
                yield running
            finally:
                running.stop()

    def status(self) -> dict[str, Any]:
        """What the ledger says."""
        text = run(
            [sys.executable, "-m", "syncer", "status", "--ledger", str(self._folder / "ledger.db"), "--json"],
            (0, 1),
        )  # fmt: skip
        found: dict[str, Any] = json.loads(text)
        return found


class Running:
    """A run in the background."""

    def __init__(self, product: Product, log: IO[bytes]) -> None:
        self._product = product
        self._process = subprocess.Popen(
            product.command("run"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(),
        )
        self.pid = self._process.pid
        self._watch = Watch(self.pid)

    def wait_settled(self) -> None:
        """Wait until its ledger is empty up to the binlogs' present ends."""
        arena = self._product._arena  # noqa: SLF001 - made by it
        ends = {side: binlog_end(server) for side, server in (("a", arena.a), ("b", arena.b))}
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"syncer ended with {self._process.returncode}")
            with contextlib.suppress(RuntimeError):
                summary = self._product.status()["summary"]
                at = {s: (p["file"], p["offset"]) for s, p in summary["positions"].items()}
                open_work = summary["keys"] or summary["spans"] or summary["open_batches"]
                if at.keys() == ends.keys() and not open_work and all(at[s] >= ends[s] for s in at):
                    return
            time.sleep(0.2)
        raise TimeoutError("syncer did not come to rest")

    def stop(self) -> float:
        """End it in order; give the peak of its memory in MiB. A second call does nothing."""
        peak = self._watch.stop()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return peak
