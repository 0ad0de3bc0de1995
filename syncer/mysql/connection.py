"""
One connection to one primary, set up the way all our SQL expects it.

The only importer of PyMySQL beside ``failures.py`` and ``results.py``: driver errors are translated here, once. No SQL of the protocol lives here.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final, Self

import pymysql
from pymysql import converters
from pymysql.constants import CLIENT, FIELD_TYPE

from syncer.core.side import Side
from syncer.errors import ConfigError, StatementRefused
from syncer.mysql.endpoint import Endpoint, SslMode
from syncer.mysql.failures import translate
from syncer.mysql.flavor import detect
from syncer.mysql.results import QuickConnection, unverified

CONNECT_TIMEOUT_S: Final = 10
LOCK_WAIT_S = 1
STATEMENT_TIMEOUT_S: Final = 300.0
ANSWER_MARGIN_S: Final = 10.0
"""The server ends a statement by itself; a connection that is silent for so much longer is lost."""
IDLE_S: Final = {"apply": 60, "read": 3600}
"""
Seconds after which a server ends a session that says nothing, by purpose; a day for the others.

One that applies may hold the marker row's lock (INV-13): where the network has died, nobody else ends it.
"""
_FLAGS: Final = {"read": CLIENT.MULTI_STATEMENTS, "apply": CLIENT.LOCAL_FILES}
"""
What a purpose needs beside: a session that writes takes one statement at a time, so that no value could ever add another.

It may load lines, of which it has none but those that it is given (``results.py``).
"""
GROUP_CONCAT_BYTES: Final = 1 << 30
LEAST_PACKET_BYTES: Final = 1 << 19
"""The short columns of a row, 65,535 bytes, as text in any form fit into a ``max_allowed_packet`` of so many bytes, so that no text of them is NULL."""
SQL_MODE: Final = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"
"""Not strict on purpose: zero dates and the like must pass; what a server bends is found by the read back (INV-15)."""

_INTEGERS = (
    FIELD_TYPE.TINY,
    FIELD_TYPE.SHORT,
    FIELD_TYPE.LONG,
    FIELD_TYPE.LONGLONG,
    FIELD_TYPE.INT24,
    FIELD_TYPE.YEAR,
)
_CONVERSIONS: dict[Any, Any] = {**converters.encoders, **dict.fromkeys(_INTEGERS, int)}
"""Integers come back as int; everything else as the server's text, or as bytes where it is binary."""


class Session:
    """
    A connection and what is known of its server.

    Life: ``open``, statements, ``close``. Never reconnects by itself: a lost connection has lost its transaction and its
    locks, so the caller starts again. Not thread-safe: one thread at a time.

    Attributes:
        side: the side it belongs to.
        flavor: MySQL or MariaDB.
        version: numbers, ``(8, 4, 3)``.
        server_info: the server's own version text.
        connection_id: the server's id of this connection, for KILL and process lists.
        most_bytes: the longest statement that the server takes, and the longest value that it makes (``max_allowed_packet``).
        purpose: why it was opened: ``apply``, ``read``, ``check``...
    """

    def __init__(
        self,
        connection: Any,
        endpoint: Endpoint,
        side: Side,
        purpose: str,
        lock_wait_s: int = LOCK_WAIT_S,
        statement_timeout_s: float = STATEMENT_TIMEOUT_S,
        *,
        autocommit: bool = True,
    ) -> None:
        """Set an open connection up; use ``open``."""
        self._connection = connection
        self._autocommit = autocommit
        self.endpoint = endpoint
        self.side = side
        self.purpose = purpose
        version, comment, connection_id, most_bytes = self.query(
            "SELECT VERSION(), @@GLOBAL.version_comment, CONNECTION_ID(), @@SESSION.max_allowed_packet"
        )[0]
        self.server_info = str(version)
        self.connection_id = int(connection_id)
        self.most_bytes = int(most_bytes)
        if self.most_bytes < LEAST_PACKET_BYTES:
            raise StatementRefused(
                f"{self.where}: max_allowed_packet is {self.most_bytes} bytes, {LEAST_PACKET_BYTES} are needed: "
                "SET GLOBAL max_allowed_packet = 67108864"
            )
        try:
            self.flavor, self.version = detect(str(version), str(comment))
        except ValueError as error:
            raise StatementRefused(f"{self.where}: {error}") from error
        self.execute(
            _set_up(
                self.flavor.session_settings(self.version, statement_timeout_s),
                self.flavor.isolation_variable,
                purpose,
                lock_wait_s,
                autocommit=autocommit,
            )
        )

    @classmethod
    def open(
        cls,
        endpoint: Endpoint,
        side: Side,
        *,
        autocommit: bool = True,
        purpose: str,
        read_timeout_s: float | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        lock_wait_s: int = LOCK_WAIT_S,
        statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    ) -> Session:
        """
        Connect and set the session up. Blocks for at most *connect_timeout_s* until the server answers.

        Args:
            autocommit: off for who does nothing outside of transactions: ``begin`` need not ask the server then.
            purpose: why, for process lists.
            read_timeout_s: seconds without an answer after which the connection counts as lost; None: somewhat longer than
                *statement_timeout_s*.
            lock_wait_s: seconds to wait for a row lock: we give way soon and try again.
            statement_timeout_s: seconds after which the server ends a statement of ours.

        Raises:
            ConfigError: a certificate file cannot be read.
            TransientDatabaseError: the server cannot be reached now.
            StatementRefused: it does not let us in.
        """
        where = f"side {side} ({endpoint.address})"
        answer_s = read_timeout_s or statement_timeout_s + ANSWER_MARGIN_S
        arguments: dict[str, Any] = {
            "user": endpoint.user,
            # PyMySQL would encode text as latin-1; the servers' own clients send UTF-8.
            "password": endpoint.password.reveal().encode(),
            "charset": "utf8mb4",
            "autocommit": autocommit,
            "conv": _CONVERSIONS,
            "client_flag": CLIENT.FOUND_ROWS | _FLAGS.get(purpose, 0),
            "connect_timeout": connect_timeout_s,
            "read_timeout": answer_s,
            "write_timeout": answer_s,
            "program_name": f"syncer {purpose}",
            **driver_tls(endpoint, where),
        }
        if endpoint.socket:
            arguments["unix_socket"] = endpoint.socket
        else:
            arguments.update(host=endpoint.host, port=endpoint.port)
        try:
            connection = QuickConnection(**arguments)
        except (pymysql.MySQLError, OSError) as error:
            raise translate(error, where) from error
        except (RuntimeError, ValueError, UnicodeError) as error:
            # PyMySQL says so where an authentication method needs a package that is not there.
            raise StatementRefused(
                f"{where}: the user's authentication method is not supported"
            ) from error
        try:
            _watch_peer(connection)
            return cls(
                connection,
                endpoint,
                side,
                purpose,
                lock_wait_s,
                statement_timeout_s,
                autocommit=autocommit,
            )
        except BaseException:
            with contextlib.suppress(pymysql.MySQLError, OSError):
                connection.close()
            raise

    @property
    def where(self) -> str:
        """The side and its address, as messages begin."""
        return f"side {self.side} ({self.endpoint.address})"

    @property
    def status_statement(self) -> str:
        """The statement whose first row is the binlog's file and its end."""
        return self.flavor.binlog_status(self.version)

    def server_identity(self) -> str:
        """Ask who the server is: MySQL ``server_uuid``, MariaDB ``server_id`` (see ``StreamPosition.server``)."""
        return str(self.query(f"SELECT @@GLOBAL.{self.flavor.identity_variable}")[0][0])

    def query(self, sql: str, args: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """
        Run *sql* and return all its rows; [] where there are none.

        Without *args* the text is sent as it is, ``%`` included; with them every ``%`` of its own is written ``%%``.
        """
        with self._cursor(sql, args) as cursor:
            return list(cursor.fetchall())

    def query_all(self, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        """
        Send *statements* in one message and return the rows of each, [] where it has none. Only of a session for reads.

        The server runs them one after the other, and none after one that failed: the order says what the same calls of
        ``query`` would, at the price of one round trip.
        """
        with self._cursor(";".join(statements), ()) as cursor:
            answers = [list(cursor.fetchall())]
            while cursor.nextset():
                answers.append(list(cursor.fetchall()))
        return answers

    def query_named(self, sql: str) -> list[dict[str, Any]]:
        """Run *sql* and return its rows by column name, as the server spells the names."""
        with self._cursor(sql, ()) as cursor:
            rows = list(cursor.fetchall())
            names = [field[0] for field in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def variables(self, *names: str) -> dict[str, str]:
        """Return the global variables *names*; one that the server does not know is missing."""
        listed = ",".join(f"'{name}'" for name in names)
        rows = self.query(f"SHOW GLOBAL VARIABLES WHERE variable_name IN ({listed})")
        return {str(name).lower(): str(value) for name, value in rows}

    def execute(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Run *sql* and return the rows it found (not: changed); for *args* see ``query``."""
        with self._cursor(sql, args) as cursor:
            return int(cursor.rowcount)

    @functools.cached_property
    def takes_lines(self) -> bool:
        """
        The server lets its clients load lines (``load``), as it said when it was first asked.

        Not where a cluster would commit in the middle of them.
        """
        found = self.variables("local_infile", "wsrep_load_data_splitting")
        return found.get("local_infile") == "ON" and (
            found.get("wsrep_load_data_splitting", "OFF") == "OFF"
        )

    def load(self, sql: str, lines: bytes) -> int:
        """Run *sql*, a LOAD DATA LOCAL, with *lines* in the place of a file; return how many rows it inserted. Only where rows are applied."""
        self._connection.give_lines(lines)
        try:
            return self.execute(sql)
        finally:
            self._connection.take_lines()

    def begin(self, *, snapshot: bool = False) -> None:
        """
        Start a transaction; with *snapshot* its view is taken now (REPEATABLE READ).

        Without autocommit it begins by itself, with the next statement: the last one was ended, whatever came of it.
        """
        if snapshot:
            self.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        elif self._autocommit:
            self.execute("START TRANSACTION")

    def commit(self) -> None:
        """
        Commit.

        Raises:
            TransientDatabaseError: the server rolled back.
            OutcomeUnknown: its answer is missing or proves nothing: look it up, never resend (INV-14).
        """
        if not self._connection.open:
            # Lost before: nothing was sent, and the server has rolled the transaction back.
            raise translate(pymysql.err.InterfaceError(0, ""), self.where)
        try:
            self._connection.commit()
        except (pymysql.MySQLError, OSError) as error:
            raise translate(error, self.where, committing=True) from error

    def rollback(self) -> None:
        """Roll back. Raises TransientDatabaseError where the connection is gone: the server does it by itself then."""
        try:
            self._connection.rollback()
        except (pymysql.MySQLError, OSError) as error:
            raise translate(error, self.where) from error

    def rollback_quietly(self) -> None:
        """Roll back on the way out of an error; never raises: where it fails, the connection is closed, which does the same."""
        try:
            self._connection.rollback()
        except (pymysql.MySQLError, OSError):
            self.close()

    def ping(self) -> None:
        """Check that the server answers. Raises TransientDatabaseError."""
        try:
            self._connection.ping()
        except (pymysql.MySQLError, OSError) as error:
            raise translate(error, self.where) from error

    @property
    def is_open(self) -> bool:
        """The connection has not been closed or found to be lost."""
        return bool(self._connection.open)

    def close(self) -> None:
        """Close the connection; twice is once. An open transaction is rolled back by the server."""
        with contextlib.suppress(pymysql.MySQLError, OSError):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _cursor(self, sql: str, args: Sequence[Any]) -> Any:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, tuple(args) or None)
                yield cursor
        except (pymysql.MySQLError, OSError) as error:
            raise translate(error, self.where) from error
        except UnicodeDecodeError as error:
            # Half a result is left on the wire: the connection cannot be used any more.
            self.close()
            raise StatementRefused(
                f"{self.where}: the server sent text that is not UTF-8"
            ) from error


_WATCH = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}
"""Seconds, seconds, tries, milliseconds: a machine or a network that has died is noticed within half a minute."""


def _watch_peer(connection: Any) -> None:
    """Let the kernel notice a peer that is gone, in the middle of a long statement too; nothing on a Unix socket."""
    peer = connection._sock  # noqa: SLF001 - the driver offers no way to it
    if peer.family == socket.AF_UNIX:
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _WATCH.items():
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)


def _set_up(
    of_flavor: dict[str, str],
    isolation: str,
    purpose: str,
    lock_wait_s: int,
    *,
    autocommit: bool,
) -> str:
    """One statement that makes the session independent of the server's global settings, and of its ``init_connect``."""
    settings = {
        # The driver asks for it only where the server's greeting says otherwise, which comes before init_connect.
        "autocommit": str(int(autocommit)),
        "time_zone": "'+00:00'",
        "sql_mode": f"'{SQL_MODE}'",
        isolation: "'REPEATABLE-READ'",  # snapshots need it (INV-3)
        "group_concat_max_len": str(GROUP_CONCAT_BYTES),
        "completion_type": "'NO_CHAIN'",
        "sql_safe_updates": "0",
        "sql_big_selects": "1",
        "sql_select_limit": "18446744073709551615",
        "sql_auto_is_null": "0",
        "net_read_timeout": "600",
        "net_write_timeout": "600",
        "wait_timeout": str(IDLE_S.get(purpose, 86_400)),
        "foreign_key_checks": "1",
        "unique_checks": "1",
        "lock_wait_timeout": "10" if purpose == "apply" else "60",  # metadata locks
        "innodb_lock_wait_timeout": str(lock_wait_s),
        **of_flavor,
    }
    return "SET " + ", ".join(f"SESSION {name} = {value}" for name, value in settings.items())


def driver_tls(endpoint: Endpoint, where: str) -> dict[str, Any]:
    """Return the driver's TLS arguments. Raises ConfigError where a certificate file cannot be read."""
    mode = endpoint.ssl_mode
    certain = mode in {SslMode.REQUIRED, SslMode.VERIFY_CA, SslMode.VERIFY_IDENTITY}
    named = bool(endpoint.ssl_ca or endpoint.ssl_cert)
    if mode is SslMode.DISABLED or (endpoint.socket and not certain):
        return {"ssl_disabled": True}
    if not certain and not named:
        return {}  # PyMySQL's default: TLS where the server offers it
    if mode is SslMode.REQUIRED and not named:
        return {"ssl": unverified()}
    try:
        context = ssl.create_default_context(cafile=endpoint.ssl_ca)
        if endpoint.ssl_cert:
            context.load_cert_chain(endpoint.ssl_cert, keyfile=endpoint.ssl_key)
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(f for f in (endpoint.ssl_ca, endpoint.ssl_cert, endpoint.ssl_key) if f)
        raise ConfigError(f"{where}: a certificate or key cannot be read: {files}") from error
    # Certificates that MySQL makes for itself are not strict X.509.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    context.check_hostname = mode is SslMode.VERIFY_IDENTITY
    verify = mode in {SslMode.VERIFY_CA, SslMode.VERIFY_IDENTITY}
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    return {"ssl": context}
