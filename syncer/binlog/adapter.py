"""
The connection that a binlog dump comes through.

mysql-replication shakes hands, negotiates and asks for the dump; then its part ends. The packets are read here, for three
reasons: row images are decoded by ``rowimage.py``, "is there more without waiting?" must be known, and the library opens a
lost connection again by itself, from the INITIAL position. It never gets the chance: one ``Stream`` is one connection.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from typing import Any, NoReturn

import pymysql
from pymysqlreplication.binlogstream import BinLogStreamReader

from syncer.binlog.layout import Flavor, StreamEndpoint
from syncer.binlog.packets import PacketCutter
from syncer.core.position import GtidSet, StreamPosition
from syncer.core.side import Side
from syncer.errors import (
    EpochLost,
    PositionLost,
    ServerChanged,
    StatementRefused,
    StreamError,
    StreamInterrupted,
    UnsupportedEvent,
)

_HEARTBEAT_S = 1
_SILENCE_S = 15
"""The server speaks every second: longer silence is a dead connection."""
_CONNECT_S = 10
_CHUNK_BYTES = 1 << 18
_COM_BINLOG_DUMP, _COM_BINLOG_DUMP_GTID = 0x12, 0x1E
_THROUGH_GTID = 4
_FURTHEST_OFFSET = (1 << 32) - 1
"""A dump by file and offset is asked for with 32 bits."""
_ERROR, _END_OF_DATA = 0xFF, 0xFE

_ACCESS_DENIED = {1044, 1045, 1142, 1227, 1698, 3159}
_POSITION_ERRORS = {1236, 1373, 1220, 13117}
_RETRYABLE = {1040, 1053, 1080, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1226, 1927, 3024, 4031}
_DRIVER_ERRORS = range(2000, 2100)
_NO_TLS = 2026


class _DumpBegunError(Exception):
    """Raised into the library at the moment when it would read the dump's first packet."""


class _NoSecondConnection:
    """
    Stands in for the library's control connection, which would only look column names up.

    Answers the one query that is asked of it when the library starts.
    """

    charset = "utf8mb4"

    def cursor(self) -> _NoSecondConnection:
        return self

    def execute(self, _statement: str) -> int:
        return 1

    def fetchone(self) -> dict[str, str]:
        return {"Value": "FULL"}

    def close(self) -> None:
        """There is nothing to close."""


class _Connection(pymysql.Connection):
    """A connection that leaves the library when its dump begins, and asks for the dump itself where the library cannot."""

    dump_request: bytes | None = None
    dumping = False

    def _read_packet(self, *args: Any, **kwargs: Any) -> Any:
        if self.dumping:
            raise _DumpBegunError
        return super()._read_packet(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _write_bytes(self, data: bytes) -> None:
        # The library cannot encode tagged GTIDs, nor ask for everything with an empty set, nor MariaDB for a file's offset.
        if self.dump_request and data[4:5] == self.dump_request[4:5]:
            data = self.dump_request
        super()._write_bytes(data)  # type: ignore[misc]


class Stream:
    """
    One dump of one server, from one position. Not thread-safe but for ``close``.

    Attributes:
        checksums: events carry a CRC32 before the first format description says so.
    """

    def __init__(
        self, side: Side, endpoint: StreamEndpoint, flavor: Flavor, server_id: int
    ) -> None:
        self._side, self._endpoint, self._flavor, self._server_id = (
            side,
            endpoint,
            flavor,
            server_id,
        )
        self._socket: socket.socket | None = None
        self._connection: _Connection | None = None
        self._request: bytes | None = None
        self._last_word: bytes | None = None
        self._cutter = PacketCutter(f"side {side}")
        self._closing = threading.Event()
        self.checksums = False

    def open(self, position: StreamPosition, *, by_file: bool = False) -> None:
        """
        Connect and ask for the dump behind *position*.

        Args:
            by_file: the coordinate is proven to be the place that was read to (``history.goes_on_at_coordinate``): MariaDB is asked for it
                rather than for the GTIDs, for which it would read the file from its beginning. Not beyond 4 GiB.

        Raises:
            StreamInterrupted: there is no connection, for now.
            StatementRefused: the account lacks a grant.
            ServerChanged: another server answers.
        """
        opened = 0

        def connect(**settings: Any) -> _Connection | _NoSecondConnection:
            nonlocal opened
            opened += 1
            if opened == 1:
                return self._connect(settings, position)
            if self._connection:
                self._connection.dumping = True
            return _NoSecondConnection()

        mysql = self._flavor == "mysql"
        by_file = by_file and not mysql and position.offset <= _FURTHEST_OFFSET
        # On MySQL our own request takes the place of the library's; empty would mean file and offset.
        gtids = "00000000-0000-0000-0000-000000000001:1" if mysql else position.gtids
        if by_file:
            self._request = _file_request(self._server_id, position)
        elif mysql:
            self._request = _dump_request(self._server_id, GtidSet(position.gtids))
        try:
            reader = BinLogStreamReader(  # type: ignore[no-untyped-call]
                connection_settings=self._settings(),
                server_id=self._server_id,
                blocking=True,
                auto_position=None if by_file else gtids,
                is_mariadb=not mysql,
                slave_heartbeat=_HEARTBEAT_S,
                enable_logging=False,
                pymysql_wrapper=connect,
            )
            reader.fetchone()  # type: ignore[no-untyped-call]
        except _DumpBegunError:
            pass  # from here on the connection is ours
        except pymysql.err.MySQLError as error:
            self.close()
            self._refuse_tls(error)
            self._translate(*_code_and_text(error), cause=error)
        except OSError as error:
            self.close()
            raise StreamInterrupted(f"side {self._side}: {error}") from error
        except (RuntimeError, ValueError, UnicodeError) as error:
            # The driver says so where an authentication method needs a package that is not there.
            self.close()
            raise StreamError(f"side {self._side}: the driver cannot log in: {error}") from error
        except BaseException:
            self.close()
            raise

    def _settings(self) -> dict[str, Any]:
        endpoint = self._endpoint
        settings: dict[str, Any] = {
            "host": endpoint.host,
            "port": endpoint.port,
            "user": endpoint.user,
            # The driver would encode text as latin-1; the servers' own clients send UTF-8.
            "password": endpoint.password.encode(),
            "charset": "utf8mb4",
            "connect_timeout": _CONNECT_S,
            "read_timeout": _SILENCE_S,
            "write_timeout": _SILENCE_S,
            "autocommit": True,
        }
        if endpoint.socket:
            settings["unix_socket"] = endpoint.socket
        if endpoint.ssl is not None:
            settings["ssl"] = endpoint.ssl
        if endpoint.ssl_disabled:
            settings["ssl_disabled"] = True
        return settings

    def _connect(self, settings: dict[str, Any], position: StreamPosition) -> _Connection:
        connection = self._connection = _Connection(**settings)
        self._socket = connection._sock  # type: ignore[attr-defined]  # noqa: SLF001
        identity = "@@global.server_uuid" if self._flavor == "mysql" else "@@global.server_id"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {identity}, @@global.binlog_checksum")
            server, checksum = cursor.fetchone() or ("", "")
        self.checksums = str(checksum).upper() != "NONE"
        if str(server).lower() != position.server.lower():
            raise ServerChanged(
                f"side {self._side}: server {server} answers where the saved position is of server {position.server};"
                " positions of one server mean nothing at another"
            )
        connection.dump_request = self._request
        if self._closing.is_set():
            raise StreamInterrupted(f"side {self._side}: stopped")
        return connection

    def packets(self) -> list[bytes]:
        """
        Wait for data and return the whole packets that have arrived; each begins with an OK byte.

        Empty where a packet has begun to arrive and its end has not.

        Raises:
            StreamInterrupted: the connection ended, or was silent for too long.
            PositionLost, UnsupportedEvent, StatementRefused: as the server says; what it sent before comes first.
        """
        if self._last_word is not None:
            self._not_an_event(self._last_word)
        data = self._receive()
        if len(data) < _CHUNK_BYTES and self.more():
            # TLS hands out 16 KiB at a time, and every turn has a price of its own.
            parts, size = [data], len(data)
            with contextlib.suppress(
                StreamInterrupted
            ):  # what ends it is met again when this was taken
                while size < _CHUNK_BYTES and self.more():
                    parts.append(self._receive())
                    size += len(parts[-1])
            data = b"".join(parts)
        found = self._cutter.cut(data)
        for at, packet in enumerate(found):
            if packet[0]:
                self._last_word = packet
                if not at:
                    self._not_an_event(packet)
                return found[:at]
        return found

    def more(self) -> bool:
        """Say whether further data can be read without waiting."""
        if self._socket is None or self._closing.is_set():
            return False
        pending = getattr(self._socket, "pending", None)
        if pending is not None and pending():
            return True
        with contextlib.suppress(OSError, ValueError):
            return bool(select.select([self._socket], [], [], 0)[0])
        return False

    def _receive(self) -> bytes:
        if self._socket is None or self._closing.is_set():
            raise StreamInterrupted(f"side {self._side}: stopped")
        try:
            data = self._socket.recv(_CHUNK_BYTES)
        except OSError as error:
            what = f"silent for {_SILENCE_S} s" if isinstance(error, TimeoutError) else str(error)
            raise StreamInterrupted(
                f"side {self._side}: the stream's connection is lost: {what}"
            ) from error
        if not data:
            raise StreamInterrupted(f"side {self._side}: the server closed the stream's connection")
        return data

    def _not_an_event(self, packet: bytes) -> NoReturn:
        if packet[0] == _ERROR:
            code = int.from_bytes(packet[1:3], "little")
            text = packet[3:].decode(errors="replace")
            self._translate(code, text[6:] if text.startswith("#") else text)
        if packet[0] == _END_OF_DATA:
            raise StreamInterrupted(f"side {self._side}: the server ended the dump")
        raise StreamError(f"side {self._side}: the stream holds an unknown packet")

    def _refuse_tls(self, error: pymysql.err.MySQLError) -> None:
        """Raise StatementRefused where TLS as asked for cannot be had: trying again would not help."""
        cause = getattr(error, "original_exception", None)
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = cause.verify_message
        elif error.args and error.args[0] == _NO_TLS:
            reason = "the server offers none"
        else:
            return
        raise StatementRefused(
            f"side {self._side}: TLS could not be set up for the stream: {reason}", errno=_NO_TLS
        ) from error

    def _translate(self, code: int, text: str, cause: BaseException | None = None) -> NoReturn:
        where = f"side {self._side}: "
        if code in _ACCESS_DENIED:
            raise StatementRefused(
                f"{where}the account {self._endpoint.user!r} may not read the binlog (error {code}):"
                " check its password and GRANT REPLICATION SLAVE ON *.* to it",
                errno=code,
            ) from cause
        if "same server" in text:
            # Only a reader that is alive hears this: its stream was taken by a younger one of the same pair (INV-17).
            raise EpochLost(
                f"{where}another syncer of this pair has connected and took the stream over: stop one of the two"
                f" (error {code})"
            ) from cause
        if code in _POSITION_ERRORS:
            if "max_allowed_packet" in text:
                raise UnsupportedEvent(f"{where}{text} (error {code})") from cause
            if "net_write" in text:
                raise StreamInterrupted(f"{where}{text} (error {code})") from cause
            raise PositionLost(
                f"{where}the saved position is not in the server's binlog: {text} (error {code})"
            ) from cause
        if code in _RETRYABLE or code in _DRIVER_ERRORS or code == 0:
            raise StreamInterrupted(f"{where}{text} (error {code})") from cause
        raise StreamError(f"{where}{text} (error {code})") from cause

    def close(self) -> None:
        """End the connection; a read that waits in another thread ends too. Idempotent."""
        self._closing.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Free the socket. Called by the reading thread, after its last read."""
        self.close()
        if self._connection is not None:
            with contextlib.suppress(pymysql.err.Error, OSError):
                self._connection._force_close()  # type: ignore[attr-defined]  # noqa: SLF001
        self._socket = None


def _code_and_text(error: pymysql.err.MySQLError) -> tuple[int, str]:
    arguments: Sequence[Any] = error.args
    if len(arguments) >= 2 and isinstance(arguments[0], int):
        return arguments[0], str(arguments[1])
    return 0, str(error)


def _file_request(server_id: int, position: StreamPosition) -> bytes:
    """Build a COM_BINLOG_DUMP packet that asks for what follows the position's coordinate."""
    request = struct.pack("<BIHI", _COM_BINLOG_DUMP, position.offset, 0, server_id)
    return _packet(request + position.file.encode())


def _dump_request(server_id: int, executed: GtidSet) -> bytes:
    """Build a COM_BINLOG_DUMP_GTID packet. An empty set asks for all there is."""
    encoded = encode_gtids(executed)
    request = struct.pack("<BHII", _COM_BINLOG_DUMP_GTID, _THROUGH_GTID, server_id, 0)
    request += struct.pack("<QI", 4, len(encoded)) + encoded
    return _packet(request)


def _packet(request: bytes) -> bytes:
    return len(request).to_bytes(3, "little") + b"\0" + request


def encode_gtids(gtids: GtidSet) -> bytes:
    """
    Encode a GTID set as the server does; sets with tags have a layout of their own (MySQL 8.3 and later).

    Source: MySQL's ``Gtid_set::encode``.
    """
    sources: list[tuple[bytes, str, list[tuple[int, int]]]] = []
    for part in filter(None, str(gtids).split(",")):
        fields = part.split(":")
        tag = "" if fields[1][:1].isdigit() else fields[1]
        spans = [field.partition("-") for field in fields[2 if tag else 1 :]]
        intervals = [(int(low), int(high or low)) for low, _, high in spans]
        sources.append((bytes.fromhex(fields[0].replace("-", "")), tag, intervals))
    sources.sort(key=lambda source: source[:2])
    tagged = any(tag for _, tag, _ in sources)
    count = len(sources)
    data = struct.pack("<Q", 1 << 56 | count << 8 | 1 if tagged else count)
    for uuid, tag, intervals in sources:
        data += uuid
        if tagged:
            data += bytes([len(tag) << 1]) + tag.encode("ascii")
        data += struct.pack("<Q", len(intervals))
        for low, high in intervals:
            data += struct.pack("<QQ", low, high + 1)
    return data
