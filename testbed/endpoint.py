"""
What every test server offers, wherever it runs: an address and connections.

How a server is started and stopped is the matter of `servers` and `containers`.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import pymysql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

    from testbed.binaries import Flavor

START_DEADLINE_S = 120.0
_UNDONE = {1205, 1213}  # lock wait timeout, deadlock


class Endpoint(ABC):
    """
    One database server that the testbed owns.

    `start` blocks until the server answers; `stop` ends it cleanly and `kill`
    at once; both keep its data, so that `start` continues with it. `close`
    stops it and removes the data. As a context manager: `start` ... `close`.
    Address and password stay the same for the life of the object.

    One thread at a time may start, stop or close; any thread may connect.
    """

    host: str = "127.0.0.1"
    port: int = 0

    def __init__(
        self,
        flavor: Flavor,
        name: str,
        server_id: int,
        *,
        options: Mapping[str, str | None] | None = None,
    ) -> None:
        self.flavor: Flavor = flavor
        self.name = name
        self.server_id = server_id
        self.options: dict[str, str | None] = normalise(options or {})
        self.password = secrets.token_urlsafe(12)
        self._version: str | None = None

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether the server process is alive."""

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it answers; nothing happens if it runs."""

    @abstractmethod
    def stop(self) -> None:
        """Shut it down cleanly and wait for its end; nothing happens if it is down."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, as a crash would, and wait; nothing happens if it is down."""

    @abstractmethod
    def close(self) -> None:
        """Stop it and remove its data. Idempotent; it cannot be started again."""

    @abstractmethod
    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""

    @abstractmethod
    def resume(self) -> None:
        """Let a frozen server continue."""

    @abstractmethod
    def log_tail(self, lines: int = 40) -> str:
        """Give the last lines of its error log."""

    @abstractmethod
    def command(self, program: str, *arguments: str) -> list[str]:
        """
        Give the command line of a client program that connects as administrator.

        Args:
            program: MySQL's name of it, for both flavours: `mysql`, `mysqldump`,
                `mysqlbinlog`, `mysqladmin`.
            *arguments: Its arguments.

        Raises:
            ServerMissingError: The program is not installed.
        """

    def restart(self, options: Mapping[str, str | None] | None = None) -> None:
        """
        Stop it cleanly and start it again on the same address with its data.

        Args:
            options: Server options that are added to, or replace, those so far.
        """
        self.stop()
        if options:
            self.options.update(normalise(options))
        self.start()

    @property
    def version(self) -> str:
        """The server's own `VERSION()`; the server must have been started once."""
        if self._version is None:
            self._version = str(self.query("SELECT VERSION()")[0][0])
        return self._version

    def url(self, user: str = "root", password: str | None = None, db: str | None = None) -> str:
        """
        Give the address as `mysql://user:password@host:port[/db]`.

        Args:
            user: Account name.
            password: None takes the administrator's.
            db: Default database, or None for an address without one.
        """
        secret = quote(self.password if password is None else password, safe="")
        path = f"/{quote(db, safe='')}" if db else ""
        return f"mysql://{quote(user, safe='')}:{secret}@{self.host}:{self.port}{path}"

    def connect(self, **overrides: Any) -> Connection[Cursor]:
        """
        Open a connection as administrator, with autocommit on.

        Args:
            **overrides: Arguments of `pymysql.connect` that replace the usual ones.
        """
        arguments: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": "root",
            "password": self.password,
            "charset": "utf8mb4",
            "autocommit": True,
            "connect_timeout": 10,
        }
        return pymysql.connect(**(arguments | overrides))

    def query(
        self, sql: str, args: Sequence[object] | None = None, *, db: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own; give its rows, empty if it has none."""
        with self.connect(database=db) as connection, connection.cursor() as cursor:
            cursor.execute(sql, args)
            return list(cursor.fetchall())

    def insist(self, sql: str, *, db: str | None = None) -> None:
        """Run one statement as an application does: again, where a deadlock or a lock wait undid it."""
        while True:
            try:
                self.query(sql, db=db)
            except pymysql.err.OperationalError as error:
                if error.args[0] not in _UNDONE:
                    raise
                continue
            return

    def script(self, *statements: str, db: str | None = None) -> None:
        """Run statements in order on one connection, each committed by itself."""
        with self.connect(database=db) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _wait_ready(self) -> bool:
        """Wait for the first good connection; False if the process ended or time is up."""
        deadline = time.monotonic() + START_DEADLINE_S
        while self.running and time.monotonic() < deadline:
            # A foreign server on this port refuses the password; that is no answer either.
            with contextlib.suppress(pymysql.err.MySQLError), self.connect(connect_timeout=2):
                return True
            time.sleep(0.05)
        return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.flavor} {self.host}:{self.port}>"


def normalise(options: Mapping[str, str | None]) -> dict[str, str | None]:
    """Spell option names with underscores, so that one name is one key."""
    return {name.lstrip("-").replace("-", "_"): value for name, value in options.items()}


def default_options(flavor: Flavor, server_id: int) -> dict[str, str | None]:
    """
    Give the options every test server starts with.

    Durability and the binary log are set as a careful DBA would set them for
    two primaries; memory is small, because several servers share the machine.
    Odd server ids generate odd keys and even ones even keys.
    """
    options: dict[str, str | None] = {
        "server_id": str(server_id),
        "log_bin": "binlog",
        "binlog_format": "ROW",
        "binlog_row_image": "FULL",
        "binlog_row_metadata": "FULL",
        "sync_binlog": "1",
        "innodb_flush_log_at_trx_commit": "1",
        "auto_increment_increment": "2",
        "auto_increment_offset": "1" if server_id % 2 else "2",
        "max_allowed_packet": "64M",
        "character_set_server": "utf8mb4",
        "skip_name_resolve": "ON",
        "innodb_buffer_pool_size": "64M",
        "innodb_buffer_pool_dump_at_shutdown": "OFF",
        "innodb_buffer_pool_load_at_startup": "OFF",
        "max_connections": "200",
        "table_open_cache": "400",
        "secure_file_priv": "",
    }
    if flavor == "mysql":
        # ROW is the only format that newer servers know well; naming it warns there.
        del options["binlog_format"]
        options |= {
            "gtid_mode": "ON",
            "enforce_gtid_consistency": "ON",
            "innodb_redo_log_capacity": "64M",
            "mysqlx": "OFF",
        }
    else:
        options |= {
            "gtid_strict_mode": "ON",
            "gtid_domain_id": str(server_id),
            "innodb_log_file_size": "64M",
            "performance_schema": "OFF",
        }
    return options
