"""The decoder's fuzzer in its short form, and lies that chance would take long to tell. The long form: ``scripts/fuzz``."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from random import Random

import pytest
import zstandard

from syncer.binlog import events, payload, rowimage, statements, tablemap
from syncer.binlog.adapter import Stream
from syncer.binlog.layout import StreamEndpoint
from syncer.binlog.tablemap import LayoutUnknownError
from syncer.core.side import Side
from syncer.errors import EventDamaged, StreamError, UnsupportedEvent
from tests.fuzz.corpus import load
from tests.fuzz.fuzzer import Fuzzer, assembler, decode, limits

pytestmark = pytest.mark.timeout(120)
CASES = 4_000
SEED = 1 if os.environ.get("CI") else Random().getrandbits(32)
KINDS = {
    "mysql": {
        2, 4, 15, 16, 19, 27, 29, 30, 31, 32, 33, 35, events.XA_PREPARE, events.PARTIAL_UPDATE,
        events.TRANSACTION_PAYLOAD, events.TAGGED_GTID,
    },
    "mariadb": {2, 4, 15, 16, 19, 23, 24, 25, 27, 38, 161, 162, 163, 165, 166, 167, 168},
}  # fmt: skip


def test_the_corpus_holds_every_kind_of_event_the_servers_send():
    for corpus in load():
        packets = [packet for scenario in corpus.scenarios for packet in scenario.packets]
        kinds = {bytes.fromhex(packet)[5] for packet in (*corpus.head, *packets)}
        assert KINDS[corpus.flavor] <= kinds


def test_damaged_events_end_in_an_error_of_ours_or_a_decode():
    """A failure's message begins with the seed and the case: ``scripts/fuzz --seed S --case N``."""
    fuzzer = Fuzzer(SEED)
    assert fuzzer.run(cases=CASES) == CASES
    assert min(fuzzer.outcomes[name] for name in ("EventDamaged", "UnsupportedEvent", "decoded"))


def test_every_single_bit_counts_where_there_are_checksums():
    """All bits of a whole transaction, one after the other."""
    for corpus in load():
        scenario = next(one for one in corpus.scenarios if one.name == "update")
        whole = scenario.raw()
        for at, packet in enumerate(whole):
            for bit in range(8, len(packet) * 8):
                data = bytearray(packet)
                data[bit // 8] ^= 1 << bit % 8
                with pytest.raises(EventDamaged):
                    decode(corpus, [*whole[:at], bytes(data), *whole[at + 1 :]])


def test_a_format_description_that_lost_its_checksums_is_noticed():
    """The one bit that would switch the check off."""
    for corpus in load():
        head = [bytes.fromhex(packet) for packet in corpus.head]
        at = next(n for n, packet in enumerate(head) if packet[5] == events.FORMAT_DESCRIPTION)
        assert head[at][-5] == 1
        made = assembler(corpus)
        for packet in (*head[:at], head[at][:-5] + b"\0" + head[at][-4:]):
            made.feed(packet)
        with pytest.raises(EventDamaged, match="events have checksums"):
            made.feed(head[at + 1])
        other = head[at][:-5] + b"\2"
        with pytest.raises(EventDamaged, match="algorithm 2"):
            assembler(corpus).feed(other + head[at][-4:])
        with pytest.raises(UnsupportedEvent, match="algorithm 2"):
            assembler(corpus).feed(other + zlib.crc32(other[1:]).to_bytes(4, "little"))


GIGABYTES = 1 << 32


def zlib_head(length: int) -> bytes:
    return bytes([0x80 | 4]) + length.to_bytes(4, "big")


@pytest.mark.parametrize(
    "data",
    [
        zlib_head(GIGABYTES - 1) + zlib.compress(b"x" * 100),
        zlib_head(1 << 30) + zlib.compress(b"x" * 100),
        zlib_head(100) + zlib.compress(bytes(1 << 28)),  # more than it says
        zlib_head(0) + zlib.compress(bytes(1 << 28)),
        zlib_head(100) + zlib.compress(b"x" * 100)[:-3],
        b"\x87" + b"\xff" * 7 + zlib.compress(b"x"),
        b"\x84\0",
        b"",
    ],
)
def test_a_compressed_event_that_lies_about_its_size(data):
    with limits(), pytest.raises((LayoutUnknownError, IndexError, zlib.error)):
        rowimage.uncompress(data, 0)


def packed(value: int) -> bytes:
    return b"\xfe" + value.to_bytes(8, "little")


def transaction(plain_size: int, body: bytes) -> bytes:
    return (
        b"\x02\x01\x00" + b"\x03\x09" + packed(plain_size) + b"\x01\x09" + packed(len(body))
        + b"\x00" + body
    )  # fmt: skip


def event(size: int, body: bytes) -> bytes:
    return events.HEADER.pack(0, events.XID, 1, size, 0, 0) + body


def frame(plain: bytes, *, sized: bool = False) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=sized).compress(plain)


WHOLE = event(27, bytes(8))


@pytest.mark.parametrize(
    "body",
    [
        transaction(27 * 2, frame(WHOLE)),
        transaction(20, frame(WHOLE)),
        transaction(27, frame(WHOLE)[:-2]),
        transaction(27, frame(event(GIGABYTES - 1, bytes(8)))),
        transaction(27, frame(event(0, bytes(8)))),
        transaction(27, frame(event(18, bytes(8)))),
        transaction(1 << 33, frame(bytes(1 << 28))),
        transaction(27, frame(bytes(1 << 28), sized=True)),
        # A frame whose head says 4 GiB.
        transaction(
            GIGABYTES, b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", GIGABYTES) + b"\x01\0\0"
        ),
        transaction(27, b"no frame at all"),
        transaction(27, b""),
    ],
)
def test_a_compressed_transaction_that_lies_about_its_size(body):
    with limits(), pytest.raises(UnsupportedEvent):
        list(payload.events_of(body))


def test_compressed_transactions_are_cut_into_their_events():
    many = b"".join(event(19 + 50, bytes([n % 256]) * 50) for n in range(50_000))
    for sized in False, True:
        found = list(payload.events_of(transaction(len(many), frame(many, sized=sized))))
        assert b"".join(found) == many
        assert len(found) == 50_000
    plain = b"\x02\x03" + b"\xfc\xff\x00" + b"\x03\x01\x1b" + b"\x00" + WHOLE
    assert list(payload.events_of(plain)) == [WHOLE]


def test_an_image_without_columns_ends():
    """Reading it takes no byte: nothing would ever come to an end."""
    found = tablemap.TableMap("d", "t", (tablemap.ColumnMap(tablemap.BLOB, 0, 2),))
    reader = rowimage.bytes_reader(found, (0,))
    for update in False, True:
        with pytest.raises(LayoutUnknownError):
            reader.read(b"\x01\x00\x00" + bytes(20), 0, update=update)


PIECES = [
    "'",
    '"',
    "`",
    "/*",
    "*/",
    "--",
    "(",
    ")",
    "\\",
    "/*!",
    ",",
    ".",
    "a",
    "a.",
    "''",
    "`a`,",
    "#",
    "1",
]
FIRST = ["", "ALTER TABLE ", "INSERT INTO t VALUES (", "DROP TABLE ", "XA START "]


@pytest.mark.parametrize("first", FIRST)
def test_what_tokenizers_stumble_over_is_classified_in_time(first):
    """Statements of no meaning; one that takes time by the square of its length would hang."""
    for piece in PIECES:
        for glue in "", " ":
            text = first + (piece + glue) * (20_000 // len(piece + glue))
            with limits():
                statements.classify(events.QueryEvent("d", text))


def stream(data: bytes) -> list[bytes]:
    """Read *data* as a connection's bytes; give the packets."""
    ours, theirs = socket.socketpair()
    endpoint = StreamEndpoint(host="h", port=1, user="u", password="p")
    made = Stream(Side.A, endpoint, "mysql", 1)
    made._socket = ours
    ours.settimeout(0.05)
    found: list[bytes] = []
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        try:
            while True:
                found += made.packets()
        except StreamError:
            made.close()
    return found


def test_packets_that_lie_about_their_length_are_waited_for_or_refused():
    good = b"\3\0\0\1\0ab"
    assert stream(good) == [b"\0ab"]
    assert stream(good + b"\5\0\0\2\0") == [b"\0ab"]
    random = Random(SEED)
    for _ in range(300):
        data = bytearray(good + b"\4\0\0\2\0cde" + b"\1\0\0\3\0")
        for _ in range(random.randrange(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        with limits():
            stream(bytes(data))
