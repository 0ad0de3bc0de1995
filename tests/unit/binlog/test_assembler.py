"""Transactions from events made by hand, without a server."""

from __future__ import annotations

import struct
import zlib

import pytest

from syncer.binlog import events, tablemap
from syncer.binlog.adapter import encode_gtids
from syncer.binlog.assembler import Assembler
from syncer.binlog.layout import StreamEndpoint, TableLayout
from syncer.core.mark import Reason
from syncer.core.position import Coordinate, GtidSet, StreamPosition
from syncer.core.schema import Column, TableName, TableSchema
from syncer.core.side import Side
from syncer.errors import EventDamaged, PositionLost, StreamInterrupted, UnsupportedEvent

UUID = "11111111-2222-3333-4444-555555555555"
FORMAT = bytes(56) + bytes([events.HEADER_BYTES]) + b"\1"
SCHEMA = TableSchema(
    name=TableName("d", "t"), engine="InnoDB", key=("id",),
    columns=(Column(name="id", position=0, data_type="int", column_type="int", nullable=False),),
)  # fmt: skip


class Layouts:
    def __call__(self, database, table):
        return LAYOUT if (database, table) == ("d", "t") else None

    def tables(self):
        return [(4, TableName("d", "t"))]


LAYOUT = TableLayout(4, SCHEMA)


class Store:
    def __init__(self) -> None:
        self.spilled = []

    def spill(self, side, marks, lookups=()) -> None:
        self.spilled += marks

    def spill_branch(self, side, marks, lookups, *, first) -> None:
        self.parts = [*([] if first else self.parts), list(marks)]

    def batch_items(self, side, batch_id) -> None:
        return None


class Feed:
    def __init__(self, offset: int = 200, exact_from: Coordinate | None = None) -> None:
        self.changed = []
        self.store = Store()
        self.position = StreamPosition(
            server="s", gtids=f"{UUID}:1-9", file="binlog.000003", offset=offset, seq=40
        )
        self.made = Assembler(
            Side.A, "mysql", self.position, self.store, Layouts(), "pair",
            lambda _, name: self.changed.append(name), checksums=True, exact_from=exact_from,
        )  # fmt: skip

    def event(self, kind: int, body: bytes, end: int = 0, flags: int = 0) -> None:
        size = events.HEADER_BYTES + len(body) + events.CHECKSUM_BYTES
        head = events.HEADER.pack(1_700_000_000, kind, 1, size, end, flags)
        self.made.feed(b"\0" + head + body + zlib.crc32(head + body).to_bytes(4, "little"))

    def gtid(self, number: int) -> None:
        self.event(
            events.GTID,
            b"\1" + bytes.fromhex(UUID.replace("-", "")) + struct.pack("<Q", number) + bytes(24),
        )

    def query(self, text: str, end: int = 0, database: bytes = b"d") -> None:
        head = struct.pack("<IIBHH", 0, 0, len(database), 0, 0)
        self.event(events.QUERY, head + database + b"\0" + text.encode(), end)

    def rows(self, *keys: int, table: bytes = b"t") -> None:
        body = (
            (7).to_bytes(6, "little") + b"\0\0" + b"\x01d\0" + bytes([len(table)]) + table + b"\0"
        )
        self.event(events.TABLE_MAP, body + bytes([1, tablemap.LONG, 0, 0]))
        images = b"".join(b"\xfe" + struct.pack("<i", key) for key in keys)
        self.event(0x1E, (7).to_bytes(6, "little") + b"\0\0\x02\0\x01\xff" + images)

    def transaction(self, number: int, end: int, *keys: int) -> None:
        self.gtid(number)
        self.query("BEGIN")
        self.rows(*keys)
        self.event(events.XID, bytes(8), end)


def test_transactions_are_numbered_and_end_where_they_end() -> None:
    feed = Feed()
    feed.transaction(10, 500, 1)
    feed.transaction(11, 900, 2, 3)
    assert [(seq, gtid, end.offset) for seq, gtid, end, _ in feed.made.take().named] == [
        (41, f"{UUID}:10", 500), (42, f"{UUID}:11", 900),
    ]  # fmt: skip
    assert feed.made.position == StreamPosition(
        server="s", gtids=f"{UUID}:1-11", file="binlog.000003", offset=900, seq=42
    )


def test_the_commit_time_is_that_of_the_first_server() -> None:
    head = b"\1" + bytes(16) + struct.pack("<Q", 5) + bytes(17)
    here, first = 1_700_000_000_000_001, 1_600_000_000_000_002
    alone = head + here.to_bytes(7, "little")
    assert events.mysql_gtid(alone + bytes(9)).commit_us == here
    relayed = head + (here | 1 << 55).to_bytes(7, "little")
    assert events.mysql_gtid(relayed + first.to_bytes(7, "little")).commit_us == first
    assert events.mysql_gtid(relayed + bytes(7)).commit_us == here, (
        "0: the first server is too old to say"
    )


def _heartbeat_map(kinds: bytes, metadata: bytes) -> bytes:
    names = b"\x06syncer\0\x09heartbeat\0"
    return (9).to_bytes(6, "little") + b"\0\0" + names + kinds + metadata + b"\0"


def _beat(feed: Feed, number: int, pair: bytes, beat: bytes) -> None:
    feed.gtid(number)
    feed.query("BEGIN")
    kinds = bytes([3, tablemap.VARCHAR, tablemap.LONGLONG, tablemap.VARCHAR])
    feed.event(events.TABLE_MAP, _heartbeat_map(kinds, b"\4" + struct.pack("<HH", 64, 41)))
    image = b"\xf8" + bytes([len(pair)]) + pair + bytes(8) + bytes([len(beat)]) + beat
    feed.event(0x1E, (9).to_bytes(6, "little") + b"\0\0\x02\0\x03\xff" + image)
    feed.event(events.XID, bytes(8), 100 * number)


def test_a_heartbeat_of_our_pair_is_told_and_marks_nothing() -> None:
    feed = Feed()
    _beat(feed, 10, b"pair", b"3.7")
    _beat(feed, 11, b"another", b"3.8")
    feed.transaction(12, 1300, 1)
    taken = feed.made.take()
    assert taken.beats == [("3.7", 41)]
    assert [len(one.marks) for one in taken.records] == [0, 0, 1]


def test_a_heartbeat_table_of_somebody_else_is_out_of_scope() -> None:
    feed = Feed()
    feed.gtid(10)
    feed.query("BEGIN")
    feed.event(events.TABLE_MAP, _heartbeat_map(bytes([1, tablemap.LONG]), b"\0"))
    feed.event(0x1E, (9).to_bytes(6, "little") + b"\0\0\x02\0\x01\xff\xfe" + bytes(4))
    feed.event(events.XID, bytes(8), 500)
    taken = feed.made.take()
    assert (taken.beats, [one.marks for one in taken.records]) == ([], [()])


def test_the_position_stays_while_a_transaction_is_open() -> None:
    feed = Feed()
    feed.gtid(10)
    feed.query("BEGIN")
    feed.rows(1)
    feed.event(events.HEARTBEAT, b"binlog.000003", 800)
    assert not feed.made.between
    assert feed.made.position == feed.position


def test_heartbeats_and_rotation_move_the_position_and_never_back() -> None:
    feed = Feed()
    feed.event(events.ROTATE, struct.pack("<Q", 4) + b"binlog.000002")
    assert feed.made.position == feed.position
    feed.event(events.HEARTBEAT, b"binlog.000003", 150)
    assert feed.made.position == feed.position
    feed.event(events.HEARTBEAT, b"binlog.000003", 300)
    assert feed.made.position.offset == 300
    feed.event(events.ROTATE, struct.pack("<Q", 4) + b"binlog.000004")
    assert (feed.made.position.file, feed.made.position.offset) == ("binlog.000004", 4)


def test_offsets_above_four_gigabytes() -> None:
    feed = Feed(offset=(1 << 32) - 100)
    feed.transaction(10, 50, 1)
    feed.transaction(11, 950, 1)
    assert [end.offset for _, _, end, _ in feed.made.take().named] == [
        (1 << 32) + 50,
        (1 << 32) + 950,
    ]


def test_behind_a_failover_the_file_is_not_known_before_the_place_is() -> None:
    """What stands behind the coordinate was read before; only with the file's beginning known it would be another binlog (INV-19)."""
    feed = Feed(offset=4, exact_from=Coordinate(3, 500))
    feed.event(events.ROTATE, struct.pack("<Q", 4) + b"binlog.000003")
    feed.event(events.FORMAT_DESCRIPTION, FORMAT, 126)
    assert (feed.made.position.offset, feed.made.position.file_at) == (126, 0)
    feed.transaction(10, 400, 1)
    assert feed.made.position.file_at == 0
    feed.transaction(11, 600, 1)
    assert feed.made.position.file_at == 1_700_000_000


def test_a_transaction_longer_than_four_gigabytes_ends_where_it_ends() -> None:
    """Files become so large by no other; its events tell 32 bits each, and none is longer than a gigabyte."""
    start, part = 600 << 20, 900 << 20
    feed = Feed(offset=start)
    feed.gtid(10)
    feed.query("BEGIN")
    ends = range(start + part, start + 8 * part, part)
    for key, end in enumerate(ends):
        feed.rows(key)
        feed.event(events.ROWS_QUERY, b"\0", end % (1 << 32))
    feed.event(events.XID, bytes(8), (ends[-1] + 31) % (1 << 32))
    feed.transaction(11, (ends[-1] + 950) % (1 << 32), 2)
    assert [end.offset for _, _, end, _ in feed.made.take().named] == [
        ends[-1] + 31,
        ends[-1] + 950,
    ]


def test_a_large_file_is_resumed_where_it_was_left_though_its_head_is_sent_again() -> None:
    """For a GTID a file is sent from its beginning, but for what was read: its head is no place four gigabytes further on."""
    place = 3 << 30
    feed = Feed(offset=place)
    feed.event(events.ROTATE, struct.pack("<Q", 4) + b"binlog.000003")
    feed.event(events.FORMAT_DESCRIPTION, FORMAT, 126)
    feed.event(events.ROWS_QUERY, b"\0", 197)
    assert feed.made.position.offset == place
    feed.transaction(10, place + 500, 1)
    assert feed.made.position.offset == place + 500


def test_no_new_transaction_comes_out_of_an_earlier_file() -> None:
    """As where the binlog was moved and begins anew, with the server's identity and its GTIDs: its ends would prove nothing."""
    feed = Feed()
    feed.event(events.ROTATE, struct.pack("<Q", 4) + b"binlog.000002")
    feed.event(events.ROTATE, struct.pack("<Q", 4) + b"binlog.000003")
    feed.transaction(10, 500, 1)
    feed.event(events.ROTATE, struct.pack("<Q", 4) + b"binlog.000001")
    with pytest.raises(
        PositionLost, match=r"binlog.000001 is not .* behind binlog.000003.*--accept-loss a"
    ):
        feed.transaction(11, 300, 2)


def test_a_rollback_keeps_its_marks() -> None:
    feed = Feed()
    feed.gtid(10)
    feed.query("BEGIN")
    feed.rows(1)
    feed.query("ROLLBACK", 500)
    [one] = feed.made.take().records
    assert [mark.low for mark in one.marks] == [1]


def test_an_xa_branch_is_held_whole_until_its_end() -> None:
    feed = Feed()
    feed.gtid(10)
    feed.query("XA START X'61',X'',1")
    feed.rows(*range(60_000))
    feed.query("TRUNCATE t")
    feed.query("XA END X'61',X'',1")
    feed.event(events.XA_PREPARE, b"\0" + struct.pack("<III", 1, 1, 0) + b"a", 500)
    feed.gtid(11)
    feed.query("XA COMMIT X'61',X'',1", 600)
    prepared, committed = feed.made.take().records
    assert feed.store.spilled == []
    assert prepared.prepared_xid == committed.committed_xid
    assert [(span.seq, span.reason) for span in prepared.spans] == [(41, Reason.TRUNCATE)]
    assert (committed.seq, committed.marks, committed.spans) == (42, (), ())


def test_unknown_events_are_refused_unless_they_may_be_ignored() -> None:
    feed = Feed()
    feed.event(199, b"", 300, flags=0x80)
    with pytest.raises(UnsupportedEvent, match="199"):
        feed.event(199, b"", 400)
    with pytest.raises(UnsupportedEvent, match="gtid_mode"):
        feed.event(events.ANONYMOUS_GTID, bytes(50))


def test_an_incident_marks_every_table() -> None:
    feed = Feed()
    feed.gtid(10)
    feed.event(events.INCIDENT, b"\1\0", 500)
    [one] = feed.made.take().records
    assert [(span.table_id, span.reason) for span in one.spans] == [(4, Reason.UNREADABLE)]


def test_damage_on_the_way_is_seen() -> None:
    feed = Feed()
    with pytest.raises(StreamInterrupted, match="checksum"):
        feed.made.feed(b"\0" + events.HEADER.pack(0, events.XID, 1, 31, 9, 0) + bytes(8) + b"oops")
    for length in (30, 32, 0, 0xFFFFFFFF):
        head = events.HEADER.pack(0, events.XID, 1, length, 9, 0) + bytes(8)
        with pytest.raises(EventDamaged, match="length"):
            feed.made.feed(b"\0" + head + zlib.crc32(head).to_bytes(4, "little"))
    for short in (b"\0", b"\0\1\2\3", bytes(19)):
        with pytest.raises(EventDamaged, match="header"):
            feed.made.feed(short)


def test_rows_without_their_table_map_are_refused() -> None:
    feed = Feed()
    with pytest.raises(UnsupportedEvent):
        feed.event(0x1E, (8).to_bytes(6, "little") + b"\0\0\x02\0\x01\xff")


def test_tables_out_of_scope_leave_no_marks_but_count() -> None:
    feed = Feed()
    feed.gtid(10)
    feed.query("BEGIN")
    feed.rows(1, table=b"other")
    feed.event(events.XID, bytes(8), 500)
    [one] = feed.made.take().records
    assert (one.seq, one.marks) == (41, ())


def test_gtid_sets_are_encoded_as_the_server_does() -> None:
    raw = bytes.fromhex(UUID.replace("-", ""))
    plain = struct.pack("<Q", 1) + raw + struct.pack("<QQQQQ", 2, 1, 4, 7, 8)
    assert encode_gtids(GtidSet(f"{UUID}:1-3:7")) == plain
    tagged = encode_gtids(GtidSet(f"{UUID}:tag:5"))
    assert tagged == bytes([1, 1, 0, 0, 0, 0, 0, 1]) + raw + b"\x06tag" + struct.pack(
        "<QQQ", 1, 5, 6
    )
    assert encode_gtids(GtidSet()) == bytes(8)


def test_credentials_are_not_printed() -> None:
    endpoint = StreamEndpoint(host="h", port=1, user="u", password="p-w")
    assert "p-w" not in f"{endpoint!r} {endpoint}"
