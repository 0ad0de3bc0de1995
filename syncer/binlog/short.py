"""
The commonest transaction, read in one go: one row event of one row, of a table whose rows are read without doubt.

Most transactions of an application are like this, and most of the time to read one event by event goes to finding out what
comes next. Whatever is not exactly of this shape, or not whole, is left to the assembler: this module refuses and skips nothing
(INV-1: what it gives is a whole transaction with its end).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from syncer.binlog import events
from syncer.binlog.layout import Flavor
from syncer.binlog.maps import TableMaps
from syncer.binlog.tablemap import LayoutUnknownError
from syncer.core.key import StoredKey
from syncer.core.mark import Op
from syncer.errors import UnsupportedEvent

_TYPE = 5
"""Where a packet has its event's type: behind the OK byte and the time."""
_BODY = 1 + events.HEADER_BYTES
_CHECKSUM = -events.CHECKSUM_BYTES
_WITH_TIME = _BODY + events.WITH_TIME_BYTES + events.CHECKSUM_BYTES
_BEFORE_OK, _INTACT = 0x0F6A7026, 0x2144DF1C
_SOURCE = frozenset({events.ROWS_QUERY, events.MARIADB_ANNOTATE})
_OPS = {
    kind: (Op[rows.operation.upper()], rows.operation == "update", rows.extra)
    for kind, rows in events.ROWS.items()
    if not rows.compressed and not rows.partial
}


class Short(NamedTuple):
    """
    One whole transaction that changed one row and not its key.

    Attributes:
        images: how many row images it holds: two of an update.
        commit_us: microseconds since the epoch.
        server_id: of the server that logged it first.
        log_pos: its end, as the header of its last event has it (32 bits).
        after: the place of the packet behind it.
    """

    gtid: str
    table_id: int
    op: Op
    key: StoredKey
    images: int
    commit_us: int
    server_id: int
    log_pos: int
    after: int


def intact(packet: bytes) -> bool:
    """
    Say whether the event in a packet ends in its own CRC32.

    The CRC32 of data with its CRC32 behind it is a constant. Beginning before the OK byte, which is no part of the event, in
    the state that it turns into that of an empty text, saves a copy of each event.
    """
    return crc32(packet, _BEFORE_OK) == _INTACT


def read(packets: Sequence[bytes], at: int, flavor: Flavor, maps: TableMaps) -> Short | None:
    """
    Read the transaction that begins at packet *at*, outside of any other, in a stream with checksums.

    None where it is of another kind or damaged, or its end is not among *packets*.
    """
    try:
        return _read(packets, at, flavor, maps)
    except (LayoutUnknownError, UnsupportedEvent, LookupError, ValueError, struct.error):
        return None  # read event by event it will be refused in the right words


def _read(packets: Sequence[bytes], first: int, flavor: Flavor, maps: TableMaps) -> Short | None:
    at, head = first, packets[first]
    if flavor == "mysql":
        if head[_TYPE] != events.GTID:
            return None
        if len(head) < _WITH_TIME:
            return None
        gtid = events.mysql_gtid(head, _BODY)
        begin = packets[at + 1]
        if begin[_TYPE] != events.QUERY or events.query_text(begin, _BODY, _CHECKSUM) != b"BEGIN":
            return None
        at += 2
    else:
        if head[_TYPE] != events.MARIADB_GTID:
            return None
        gtid = events.mariadb_gtid(head[_BODY:_CHECKSUM], int.from_bytes(head[6:10], "little"))
        if gtid.standalone or gtid.prepared:
            return None
        at += 1
    if packets[at][_TYPE] in _SOURCE:
        at += 1
    after = at + 3
    mapped, rows, end = packets[at:after]
    if mapped[_TYPE] != events.TABLE_MAP or end[_TYPE] != events.XID or rows[_TYPE] not in _OPS:
        return None
    for packet in packets[first:after]:
        if crc32(packet, _BEFORE_OK) != _INTACT:  # ``intact``, without a call for each
            return None
    body = rows[_BODY:_CHECKSUM]
    table = maps.known(mapped[_BODY:_CHECKSUM])
    if table is None or table.reader is None or body[:6] != mapped[_BODY : _BODY + 6]:
        return None
    if table.layout is None or table.parents is not None or table.certain_from is not None:
        return None
    if table.images is not None:
        return None  # what its rows were is kept too
    op, update, extra = _OPS[rows[_TYPE]]
    keys = table.reader.read(body, 8 + (body[8] | body[9] << 8) if extra else 8, update=update)
    if len(keys) != (2 if update else 1) or keys[0] != keys[-1]:
        return None
    time, _, server_id, _, log_pos, _ = events.HEADER.unpack_from(end, 1)
    commit_us = gtid.commit_us or time * 1_000_000
    if flavor == "mariadb":
        commit_us = int.from_bytes(rows[1:5], "little") * 1_000_000
    return Short(
        gtid.gtid,
        table.layout.table_id,
        op,
        keys[0],
        len(keys),
        commit_us,
        server_id,
        log_pos,
        after,
    )
