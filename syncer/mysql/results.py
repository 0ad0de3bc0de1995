"""
A connection whose results are read row by row in one loop.

The driver calls several functions for every value; where millions of keys and digests come in, that was a third of the time
of a side's thread. What a value becomes is still the driver's own choice.
"""

from __future__ import annotations

import ssl
from typing import Any

from pymysql.connections import Connection, MySQLResult
from pymysql.constants import CR
from pymysql.err import OperationalError

LINES_BYTES = 1 << 18
"""Lines go to the server in messages of so many bytes at most: half of the least packet that we work with."""
_NULL, _TWO_BYTES, _END = 251, 252, 254
_WIDTHS = {_TWO_BYTES: 2, 253: 3, _END: 8}


class QuickResult(MySQLResult):
    """A result whose rows are taken apart here."""

    connection: Any
    converters: Any
    _check_packet_is_eof: Any
    _read_ok_packet: Any

    def _read_rowdata_packet(self) -> None:
        read = self.connection._read_packet  # noqa: SLF001 - the driver's own method for its results
        plan = tuple(self.converters)
        rows: list[tuple[Any, ...]] = []
        while True:
            packet = read()
            data = packet.get_all_data()
            if data[0] == _END and self._check_packet_is_eof(packet):
                break
            rows.append(take_apart(data, plan))
        self.connection = None
        self.affected_rows = len(rows)
        self.rows = tuple(rows)

    def _read_load_local_packet(self, first_packet: Any) -> None:
        """
        Send the lines that go with the statement; never a file, whatever name the server asks for.

        A server may ask at any time. Where there are no lines it gets none, and the statement fails.
        """
        del first_packet
        connection, self.connection = self.connection, None
        lines = connection.take_lines()
        # A message may be no longer than the server's max_allowed_packet.
        for at in range(0, len(lines or b""), LINES_BYTES):
            connection.write_packet(lines[at : at + LINES_BYTES])
        connection.write_packet(b"")
        answer = connection._read_packet()  # noqa: SLF001 - as above
        if lines is None:
            raise OperationalError(CR.CR_UNKNOWN_ERROR, "the server asked for a file, and got none")
        self._read_ok_packet(answer)


def unverified() -> ssl.SSLContext:
    """Make a TLS context for whoever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def take_apart(data: bytes, plan: tuple[tuple[str | None, Any], ...]) -> tuple[Any, ...]:
    """
    Return the values of one row.

    Args:
        plan: per column the codec of its text, None for bytes, and what makes a value of it, None for nothing.
    """
    row: list[Any] = []
    add, place, size = row.append, 0, len(data)
    for codec, convert in plan:
        if place >= size:
            break
        length = data[place]
        place += 1
        if length == _NULL:
            add(None)
            continue
        if length > _NULL:
            width = _WIDTHS[length]
            length = int.from_bytes(data[place : place + width], "little")
            place += width
        value: Any = data[place : place + length]
        place += length
        if codec is not None:
            value = value.decode(codec)
        add(value if convert is None else convert(value))
    return tuple(row)


class QuickConnection(Connection):
    """A connection that makes such results, and that reads no certificates where none is verified."""

    _lines: bytes | None = None

    def give_lines(self, lines: bytes) -> None:
        """Keep *lines* for the next statement that loads some."""
        self._lines = lines

    def take_lines(self) -> bytes | None:
        """Return what was given, once; None: nothing was."""
        lines, self._lines = self._lines, None
        return lines

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        """Without this the driver reads the system's whole store of certificates for every connection, to verify nothing."""
        return super()._create_ssl_ctx(sslp) if sslp else unverified()  # type: ignore[misc]

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        if unbuffered:
            return super()._read_query_result(unbuffered=True)  # type: ignore[misc]
        self._result = None
        result = QuickResult(self)
        result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return result.affected_rows
