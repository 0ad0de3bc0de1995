"""
Control events: their numbers and what is in them. Rows and table maps are elsewhere.

Bodies are given without header and checksum.
"""

from __future__ import annotations

import functools
import re
import struct
from typing import NamedTuple

import msgspec
from pymysql.charset import charset_by_id

from syncer.binlog.rowimage import uncompress
from syncer.binlog.tablemap import packed_integer
from syncer.errors import UnsupportedEvent

QUERY, STOP, ROTATE, INTVAR, APPEND_BLOCK, DELETE_FILE, RAND, USER_VAR = 2, 3, 4, 5, 9, 11, 13, 14
FORMAT_DESCRIPTION, XID, BEGIN_LOAD_QUERY, EXECUTE_LOAD_QUERY, TABLE_MAP = 15, 16, 17, 18, 19
INCIDENT, HEARTBEAT, IGNORABLE, ROWS_QUERY = 26, 27, 28, 29
GTID, ANONYMOUS_GTID, PREVIOUS_GTIDS, TRANSACTION_CONTEXT, VIEW_CHANGE = 33, 34, 35, 36, 37
XA_PREPARE, PARTIAL_UPDATE, TRANSACTION_PAYLOAD, HEARTBEAT_V2, TAGGED_GTID = 38, 39, 40, 41, 42
MARIADB_ANNOTATE, MARIADB_CHECKPOINT, MARIADB_GTID, MARIADB_GTID_LIST, MARIADB_ENCRYPTION = range(
    160, 165
)
QUERY_COMPRESSED = 165

NO_EFFECT = frozenset({
    STOP, INTVAR, RAND, USER_VAR, BEGIN_LOAD_QUERY, APPEND_BLOCK, DELETE_FILE, IGNORABLE, ROWS_QUERY,
    PREVIOUS_GTIDS, TRANSACTION_CONTEXT, VIEW_CHANGE, MARIADB_ANNOTATE, MARIADB_CHECKPOINT,
    MARIADB_GTID_LIST, MARIADB_ENCRYPTION,
})  # fmt: skip
"""They change no rows by themselves: what they prepare comes as a query or as rows."""

QUERIES = frozenset({QUERY, QUERY_COMPRESSED, EXECUTE_LOAD_QUERY})

IGNORABLE_FLAG = 0x80
HEADER = struct.Struct("<IBIIIH")
"""Timestamp, type, server id, size, end position, flags."""
HEADER_BYTES = HEADER.size
_WRAP = 1 << 32
CHECKSUM_BYTES = 4


def unwrapped(log_pos: int, offset: int) -> int:
    """Return where an event ends, behind *offset*: its header has 32 bits of it, which wrap in files above 4 GiB."""
    end = log_pos + (offset // _WRAP) * _WRAP
    return end + _WRAP if offset - end > _WRAP // 2 else end


class RowsKind(NamedTuple):
    """What a rows event of one type number does, and how it is laid out."""

    operation: str
    extra: bool
    compressed: bool = False
    partial: bool = False


ROWS: dict[int, RowsKind] = {
    0x17: RowsKind("insert", extra=False),
    0x18: RowsKind("update", extra=False),
    0x19: RowsKind("delete", extra=False),
    0x1E: RowsKind("insert", extra=True),
    0x1F: RowsKind("update", extra=True),
    0x20: RowsKind("delete", extra=True),
    PARTIAL_UPDATE: RowsKind("update", extra=True, partial=True),
    166: RowsKind("insert", extra=False, compressed=True),
    167: RowsKind("update", extra=False, compressed=True),
    168: RowsKind("delete", extra=False, compressed=True),
    169: RowsKind("insert", extra=True, compressed=True),
    170: RowsKind("update", extra=True, compressed=True),
    171: RowsKind("delete", extra=True, compressed=True),
}

_POST_HEADERS = {
    QUERY: 13,
    TABLE_MAP: 8,
    0x17: 8,
    0x18: 8,
    0x19: 8,
    0x1E: 10,
    0x1F: 10,
    0x20: 10,
    PARTIAL_UPDATE: 10,
}


class GtidEvent(msgspec.Struct, frozen=True, gc=False):
    """
    The head of a transaction.

    Attributes:
        gtid: as the server writes it.
        commit_us: commit time in microseconds since the epoch, where the transaction was first committed; 0 where the
            event does not say.
        standalone: MariaDB: one query follows and nothing ends it.
        prepared: MariaDB: an XA branch that ends in its PREPARE.
    """

    gtid: str
    commit_us: int = 0
    standalone: bool = False
    prepared: bool = False


class QueryEvent(NamedTuple):
    """
    A statement as logged.

    Attributes:
        certain: the text was decoded by the statement's own character set.
        backslashes: a backslash escapes inside a literal (not under NO_BACKSLASH_ESCAPES).
    """

    database: str
    text: str
    ansi_quotes: bool = False
    certain: bool = True
    backslashes: bool = True


FORMAT_BYTES = 57 + 5
"""The least a FORMAT_DESCRIPTION event holds: the fixed part, the algorithm and its own checksum."""


def has_checksums(body: bytes) -> bool:
    """
    Say whether the events behind a FORMAT_DESCRIPTION event (here with its checksum, which it always has) carry a CRC32.

    Raises:
        UnsupportedEvent: they carry something else.
    """
    algorithm = body[-5]
    if algorithm > 1:
        raise UnsupportedEvent(f"the binlog's checksum algorithm {algorithm} is not known")
    return algorithm == 1


def check_format(body: bytes) -> None:
    """
    Look at the layout that a FORMAT_DESCRIPTION event announces.

    Raises:
        UnsupportedEvent: events are laid out in a way that is not known here.
    """
    header, lengths = body[56], body[57:-5]
    for kind, length in _POST_HEADERS.items():
        if kind <= len(lengths) and lengths[kind - 1] not in {0, length}:
            raise UnsupportedEvent(
                f"the server's binlog format lays out event type {kind} in an unknown way"
            )
    if header != HEADER_BYTES:
        raise UnsupportedEvent("the server's binlog format has an unknown event header")


@functools.lru_cache(maxsize=256)
def _uuid(raw: bytes) -> str:
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


MYSQL_GTID = struct.Struct("<x16sq17xQ")
"""The body of a GTID_LOG event: the source's UUID, the number, and its commit time with the bits above it."""
ORIGINAL_FOLLOWS = 1 << 55
TIME_BITS = ORIGINAL_FOLLOWS - 1
_INT64 = struct.Struct("<q")
WITH_TIME_BYTES = 49
"""Shorter bodies of GTID_LOG events hold no commit time; those of servers before 8.0."""


def mysql_gtid(data: bytes, at: int = 0) -> GtidEvent:
    """
    Read a GTID_LOG event whose body begins at *at*: since MySQL 8.0 its last part begins with the commit time here, 55 bits.

    A bit above them says that the time at the first server follows: the transaction came here by replication.
    """
    (number,) = _INT64.unpack_from(data, at + 17)
    if number <= 0:
        raise UnsupportedEvent("a GTID event cannot be read")
    here = int.from_bytes(data[at + 42 : at + 49], "little")
    original = 0
    if here & ORIGINAL_FOLLOWS:
        original = int.from_bytes(data[at + 49 : at + 56], "little")
    return GtidEvent(f"{_uuid(data[at + 1 : at + 17])}:{number}", original or here & TIME_BITS)


def _variable_length(data: bytes, at: int) -> tuple[int, int]:
    """Read an integer of mysql::serialization: as many low one-bits in the first byte as bytes follow it."""
    first = data[at]
    extra = 0
    while extra < 8 and first >> extra & 1:
        extra += 1
    whole = int.from_bytes(data[at : at + extra + 1], "little")
    return whole >> min(extra + 1, 8), at + extra + 1


def tagged_gtid(body: bytes) -> GtidEvent:
    """
    Read a GTID_TAGGED event (mysql::serialization, version 1).

    Raises:
        UnsupportedEvent: its layout is not the one that MySQL 8.3 to 9.7 write.
    """
    _, at = _variable_length(body, 0)  # version
    _, at = _variable_length(body, at)  # size
    _, at = _variable_length(body, at)  # last field that may not be ignored
    uuid, tag, number, commit_us = bytearray(), "", 0, 0
    while at < len(body):
        field, at = _variable_length(body, at)
        if field == 0:
            _, at = _variable_length(body, at)
        elif field == 1:
            for _ in range(16):
                byte, at = _variable_length(body, at)
                uuid.append(byte)
        elif field == 2:
            raw, at = _variable_length(body, at)
            number = raw >> 1
        elif field == 3:
            length, at = _variable_length(body, at)
            tag, at = body[at : at + length].decode("ascii"), at + length
        elif field in {4, 5}:
            _, at = _variable_length(body, at)
        elif field == 6:
            commit_us, at = _variable_length(body, at)
        elif field == 7:
            original, _ = _variable_length(body, at)
            commit_us = original or commit_us
            break
        elif field > 7 and commit_us:
            break  # the time at the first server is left out where it is the same
        else:
            raise UnsupportedEvent(f"a tagged GTID event has the unknown field {field}")
    if len(uuid) != 16 or number <= 0:
        raise UnsupportedEvent("a tagged GTID event cannot be read")
    name = _uuid(bytes(uuid))
    return GtidEvent(f"{name}:{tag}:{number}" if tag else f"{name}:{number}", commit_us)


MARIADB_GTID_HEAD = struct.Struct("<QIB")
"""The body of a MariaDB GTID event: number, domain, flags."""
_STANDALONE, _PREPARED = 1, 64
STANDS_APART = _STANDALONE | _PREPARED
"""Flags of what is no ordinary transaction."""


def mysql_prefix(source: bytes) -> str:
    """Return what a GTID without a tag has in front of its number."""
    return f"{_uuid(source)}:"


def mariadb_prefix(domain: int, server_id: int) -> str:
    """Return what a GTID has in front of its number."""
    return f"{domain}-{server_id}-"


def mariadb_gtid(body: bytes, server_id: int) -> GtidEvent:
    """Read a MariaDB GTID event."""
    number, domain, flags = MARIADB_GTID_HEAD.unpack_from(body)
    return GtidEvent(
        f"{domain}-{server_id}-{number}",
        standalone=bool(flags & _STANDALONE),
        prepared=bool(flags & _PREPARED),
    )


def rotate(body: bytes) -> tuple[str, int]:
    """Read a ROTATE event: the next file and the place in it."""
    return body[8:].decode(), int.from_bytes(body[:8], "little")


def heartbeat(kind: int, body: bytes, log_pos: int) -> tuple[str, int]:
    """Read a heartbeat of either version: file and position up to which everything was sent."""
    if kind == HEARTBEAT:
        return body.decode(errors="replace"), log_pos
    file, position, at = "", log_pos, 0
    while at < len(body):
        field, at = packed_integer(body, at)
        if field == 0:
            break
        size, at = packed_integer(body, at)
        if field == 1:
            file = body[at : at + size].decode()
        elif field == 2:
            position, _ = packed_integer(body, at)
        at += size
    return file, position


def xa_prepare(body: bytes) -> tuple[str, bool]:
    """Read an XA_PREPARE event: the transaction's id and whether it commits in one phase."""
    one_phase = bool(body[0])
    form, first, second = struct.unpack_from("<III", body, 1)
    return xid_text(body[13 : 13 + first], body[13 + first : 13 + first + second], form), one_phase


def xid_text(global_part: bytes, branch: bytes, form: int) -> str:
    """Write an XA transaction's id in one spelling."""
    return f"X'{global_part.hex()}',X'{branch.hex()}',{form}"


_SQL_XID = re.compile(
    r"(?:X'([0-9a-f]*)'|'([^']*)')(?:,(?:X'([0-9a-f]*)'|'([^']*)')(?:,(\d+))?)?", re.IGNORECASE
)


def xid_of_sql(text: str) -> str | None:
    """Read an XA transaction's id as ``XA RECOVER FORMAT='SQL'`` writes it, and write it as ``xid_text`` does; None for anything else."""
    found = _SQL_XID.fullmatch(text)
    if found is None:
        return None
    first, plain, second, also_plain, form = found.groups()
    parts = [
        bytes.fromhex(digits) if digits is not None else (words or "").encode()
        for digits, words in ((first, plain), (second, also_plain))
    ]
    return xid_text(parts[0], parts[1], int(form or 1))


_ANSI_QUOTES, _NO_BACKSLASH_ESCAPES = 1 << 2, 1 << 20
_CHARSETS: dict[int, str | None] = {}


def _codec(number: int) -> str | None:
    if number not in _CHARSETS:
        try:
            _CHARSETS[number] = str(charset_by_id(number).encoding)
        except KeyError:
            # Newer collations of utf8mb4 are not in the driver's list.
            _CHARSETS[number] = "utf-8" if number >= 255 else None
    return _CHARSETS[number]


def _status(data: bytes) -> tuple[int, str | None]:
    """Read the SQL mode and the client character set from a query's status variables."""
    at, mode, codec = 0, 0, None
    while at < len(data):
        field, at = data[at], at + 1
        if field == 0:
            at += 4
        elif field == 1:
            mode, at = int.from_bytes(data[at : at + 8], "little"), at + 8
        elif field == 2:
            at += data[at] + 2
        elif field == 3:
            at += 4
        elif field == 4:
            codec = _codec(data[at] | data[at + 1] << 8)
            break
        elif field in {5, 6}:
            at += data[at] + 1
        else:
            break
    return mode, codec


def query_text(data: bytes, at: int = 0, end: int | None = None) -> bytes:
    """Return the statement of an uncompressed QUERY event, undecoded; its body is *data* from *at* to *end*."""
    return data[at + 14 + (data[at + 11] | data[at + 12] << 8) + data[at + 8] : end]


def query(kind: int, body: bytes) -> QueryEvent:
    """Read a QUERY event of any kind."""
    status_at = 13 + (13 if kind == EXECUTE_LOAD_QUERY else 0)
    schema_at = status_at + (body[11] | body[12] << 8)
    text_at = schema_at + body[8] + 1
    text = uncompress(body, text_at) if kind == QUERY_COMPRESSED else body[text_at:]
    mode, codec = _status(body[status_at:schema_at])
    database = body[schema_at : text_at - 1].decode(errors="replace")
    certain = True
    try:
        decoded = text.decode(codec or "ascii")
    except (UnicodeDecodeError, LookupError):
        decoded, certain = text.decode("latin-1"), False
    return QueryEvent(
        database, decoded, bool(mode & _ANSI_QUOTES), certain, not mode & _NO_BACKSLASH_ESCAPES
    )
