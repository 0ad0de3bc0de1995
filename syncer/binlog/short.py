"""
The commonest transactions, read in one go: one row event of one row, of a table whose rows are read without doubt.

Most transactions of an application are like this, and most of the time to read one event by event goes to finding out what
comes next. Whatever is not exactly of this shape, or not whole, is left to the assembler: this module refuses and skips nothing
(INV-1: what it gives are whole transactions with their ends).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from syncer.binlog import events
from syncer.binlog.layout import Flavor
from syncer.binlog.maps import TableMaps
from syncer.binlog.rowimage import Walker
from syncer.binlog.tablemap import LayoutUnknownError
from syncer.core.mark import Op
from syncer.core.origins import Named
from syncer.core.position import Coordinate
from syncer.core.record import RowRecord

_TYPE = 5
"""Where a packet has its event's type: behind the OK byte and the time."""
_BODY = 1 + events.HEADER_BYTES
_CHECKSUM = -events.CHECKSUM_BYTES
_WITH_TIME = _BODY + events.WITH_TIME_BYTES + events.CHECKSUM_BYTES
_ROW = _BODY + 8
"""Where a rows event's post-header ends; extra data may follow."""
_DATABASE, _STATUS, _TEXT = _BODY + 8, _BODY + 11, _BODY + 14
"""Of a query: the length of its database's name, that of its status variables, and where it begins without either."""
_ORIGINAL = _BODY + events.WITH_TIME_BYTES
_BEFORE_OK, _INTACT = 0x0F6A7026, 0x2144DF1C
_SOURCE = frozenset({events.ROWS_QUERY, events.MARIADB_ANNOTATE})
_OPS = {
    kind: (Op[rows.operation.upper()], rows.operation == "update", rows.extra)
    for kind, rows in events.ROWS.items()
    if not rows.compressed and not rows.partial
}


class Run(msgspec.Struct):
    """
    Whole transactions that follow each other, each of which changed one row and not its key.

    Attributes:
        records, named: of each transaction.
        gtids: what they are called: [all that is in front of a number, first number, last number (inclusive)].
        images: how many row images they hold: two of an update.
        after: the place of the packet behind them.
    """

    records: list[RowRecord]
    named: list[Named]
    gtids: list[list[Any]]
    images: int
    after: int


class _Table(NamedTuple):
    table_id: int
    walkers: Mapping[bytes, Walker]
    heads: Mapping[bool, int]


def intact(packet: bytes) -> bool:
    """
    Say whether the event in a packet ends in its own CRC32.

    The CRC32 of data with its CRC32 behind it is a constant. Beginning before the OK byte, which is no part of the event, in
    the state that it turns into that of an empty text, saves a copy of each event.
    """
    return crc32(packet, _BEFORE_OK) == _INTACT


def read(
    packets: Sequence[bytes], at: int, flavor: Flavor, maps: TableMaps, seq: int, end: Coordinate
) -> Run:
    """
    Read the transactions that begin at packet *at*, outside of any other, in a stream with checksums.

    It ends before the first one that is of another kind or damaged, or whose end is not among *packets*. How a table's rows are
    read is asked once: whoever changes it counts on what is logged behind that change alone.

    Args:
        seq: the number of the transaction before.
        end: where that one ended.
    """
    run = Run([], [], [], 0, at)
    # What cannot be read will be refused in the right words, event by event.
    with contextlib.suppress(LayoutUnknownError, LookupError, ValueError, struct.error):
        _read(packets, run, flavor == "mysql", maps, seq, end)
    return run


def _read(
    packets: Sequence[bytes], run: Run, mysql: bool, maps: TableMaps, seq: int, end: Coordinate
) -> None:
    """Fill *run*, in one loop: a call and an object of its own for each transaction cost almost as much again."""
    first, lead = (events.GTID, 2) if mysql else (events.MARIADB_GTID, 1)
    tables: dict[bytes, _Table] = {}
    index, offset = end.index, end.offset
    at, count = run.after, len(packets)
    record, name, header = run.records.append, run.named.append, events.HEADER.unpack_from
    whose, prefix, last_number = None, "", 0
    while at + lead + 3 <= count:
        head = packets[at]
        if head[_TYPE] != first:
            return
        middle = at + lead
        if packets[middle][_TYPE] in _SOURCE:
            middle += 1
        after = middle + 3
        mapped, rows, last = packets[middle:after]
        if mapped[_TYPE] != events.TABLE_MAP or last[_TYPE] != events.XID:
            return
        for packet in packets[at:after]:
            if crc32(packet, _BEFORE_OK) != _INTACT:  # ``intact``, without a call for each
                return
        # The table and the row.
        what = mapped[_BODY:_CHECKSUM]
        table = tables.get(what)
        if table is None:
            table = _table(maps, what)
            if table is None:
                return
            tables[what] = table
        if rows[_BODY : _BODY + 6] != what[:6]:
            return
        op, update, extra = _OPS[rows[_TYPE]]
        start = _ROW + (rows[_ROW] | rows[_ROW + 1] << 8) if extra else _ROW
        image = start + table.heads[update]
        keys = table.walkers[rows[start:image]](rows, image, len(rows) + _CHECKSUM)
        if len(keys) != (2 if update else 1) or keys[0] != keys[-1]:
            return
        # What it is called, when it was committed, and where it ends.
        time, _, server_id, _, log_pos, _ = header(last, 1)
        if mysql:
            begin = packets[at + 1]
            text = _TEXT + (begin[_STATUS] | begin[_STATUS + 1] << 8) + begin[_DATABASE]
            if begin[_TYPE] != events.QUERY or begin[text:_CHECKSUM] != b"BEGIN":
                return
            if len(head) < _WITH_TIME:
                return
            source, number, commit_us = events.MYSQL_GTID.unpack_from(head, _BODY)
            if commit_us & events.ORIGINAL_FOLLOWS:
                commit_us = int.from_bytes(head[_ORIGINAL : _ORIGINAL + 7], "little") or commit_us
            commit_us &= events.TIME_BITS
            commit_us = commit_us or time * 1_000_000
        else:
            number, domain, flags = events.MARIADB_GTID_HEAD.unpack_from(head, _BODY)
            if flags & events.STANDS_APART:
                return
            source = domain, int.from_bytes(head[6:10], "little")
            commit_us = int.from_bytes(rows[1:5], "little") * 1_000_000
        if number <= 0:
            return
        if source != whose:
            whose = source
            prefix = events.mysql_prefix(source) if mysql else events.mariadb_prefix(*source)
            run.gtids.append([prefix, number, number])
        elif number == last_number + 1:
            run.gtids[-1][2] = number
        else:
            run.gtids.append([prefix, number, number])
        last_number = number
        offset = log_pos if log_pos > offset else max(offset, events.unwrapped(log_pos, offset))
        seq += 1
        record(RowRecord(seq, table.table_id, keys[0], op, commit_us))
        name((seq, f"{prefix}{number}", Coordinate(index, offset), server_id))
        run.images += len(keys)
        at = run.after = after


def _table(maps: TableMaps, body: bytes) -> _Table | None:
    """Say how rows of a table map are read; None where it takes more than to read their keys."""
    table = maps.known(body)
    if table is None or table.reader is None or table.layout is None:
        return None
    if table.parents is not None or table.certain_from is not None or table.images is not None:
        return None  # what its rows were is kept too, or children are looked for, or it is in doubt
    return _Table(table.layout.table_id, table.reader.walkers, table.reader.heads)
