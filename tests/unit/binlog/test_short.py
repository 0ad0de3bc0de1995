"""The quick way gives what the way event by event gives, for every stream the servers sent us."""

from __future__ import annotations

import struct
import zlib
from random import Random

import pytest

from syncer.binlog import events, short
from syncer.core.position import Coordinate
from syncer.core.record import whole
from syncer.errors import EventDamaged
from tests.fuzz.corpus import load
from tests.fuzz.fuzzer import assembler, pieces
from tests.unit.binlog.test_assembler import UUID, Feed

CORPORA = load()
ONE_ROW = {"documents", "minimal image", "noblob image", "rows query", "standalone and annotated"}


def _stream(corpus, scenarios):
    head = [bytes.fromhex(packet) for packet in corpus.head]
    return head + [packet for one in scenarios for packet in one.raw()]


def _state(made):
    taken = made.take()
    return (
        list(map(whole, taken.records)),
        taken.named,
        taken.beats,
        made.position,
        made.events,
        made.rows,
        made.last_commit_us,
        made.between,
    )


def _both(corpus, stream, random):
    keeps = random.random() < 0.5
    slow, quick = (assembler(corpus, keeps=keeps) for _ in range(2))
    for packet in stream:
        slow.feed(packet)
    for start, end in pieces(len(stream), random):
        quick.feed_all(stream[start:end])
    return _state(slow), _state(quick)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.flavor)
def test_both_ways_read_the_same(corpus, seed):
    random = Random(seed)
    calm = [one for one in corpus.scenarios if one.name != "rotate"]
    stream = _stream(corpus, random.choices(calm, k=30))
    slow, quick = _both(corpus, stream, random)
    assert quick == slow
    assert slow[0]


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.flavor)
def test_transactions_of_one_row_are_read_in_one_go(corpus, monkeypatch):
    """Without it the first test would hold of a way that is never taken."""
    wanted = [one for one in corpus.scenarios if one.name in ONE_ROW]
    stream = _stream(corpus, wanted)
    made = assembler(corpus)
    for packet in stream:  # learns the table maps
        made.feed(packet)
    fed = []
    monkeypatch.setattr(made, "feed", lambda packet: fed.append(packet[5]))
    made.feed_all([packet for one in wanted for packet in one.raw()])
    assert set(fed) <= {events.HEARTBEAT}


@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.flavor)
def test_damage_is_found_in_a_transaction_of_a_known_table(corpus):
    """Every bit of it, but for the OK byte in front of each event."""
    update = next(one for one in corpus.scenarios if one.name == "noblob image").raw()
    assert update.pop()[5] == events.HEARTBEAT
    for at, packet in enumerate(update):
        for bit in range(8, len(packet) * 8):
            made = assembler(corpus)
            made.feed_all(_stream(corpus, ()) + update)
            first = made.take().records
            data = bytearray(packet)
            data[bit // 8] ^= 1 << bit % 8
            with pytest.raises(EventDamaged):
                made.feed_all([*update[:at], bytes(data), *update[at + 1 :]])
            assert len(first) == 1
            assert not made.take().records


class Collected(Feed):
    """Packets of transactions of one row each, for whoever wants to be fed."""

    def __init__(self, offset):
        super().__init__(offset)
        self.packets = []
        self.made.feed = self.packets.append

    def gtid(self, number, source=UUID, here=0, original=0):
        times = (here | bool(original) << 55).to_bytes(7, "little") + original.to_bytes(7, "little")
        head = b"\1" + bytes.fromhex(source.replace("-", "")) + struct.pack("<Q", number)
        self.event(events.GTID, head + bytes(17) + (times if original else times[:7]))


@pytest.mark.parametrize("offset", [200, (1 << 32) - 700, (1 << 33) - 700])
def test_places_names_and_times_are_those_of_the_long_way(offset):
    """Where the header's 32 bits wrap, where sources take turns and numbers are missing, where a transaction was relayed."""
    other = UUID.replace("1", "2")
    feed = Collected(offset)
    end = offset
    for number, (source, here, original) in enumerate(
        [(UUID, 0, 0), (UUID, 7, 0), (other, 8, 5), (other, 9, 1 << 50), (UUID, (1 << 55) - 1, 0)]
        * 3
    ):
        feed.gtid(10 + number + number // 4, source, here, original)
        feed.query("BEGIN")
        feed.rows(number)
        end += 100
        feed.event(events.XID, bytes(8), end % (1 << 32))
    slow, quick = Feed(offset), Feed(offset)
    for packet in feed.packets:
        slow.made.feed(packet)
    quick.made.feed_all(feed.packets[:10])  # learns the table map
    quick.made.feed = None
    quick.made.feed_all(feed.packets[10:])
    assert _state(quick.made) == (expected := _state(slow.made))
    assert len(expected[0]) == 15
    assert expected[3].offset == end


def test_an_event_is_intact_with_its_own_checksum_alone():
    for data in (b"", b"x", bytes(300)):
        packet = b"\0" + data + zlib.crc32(data).to_bytes(4, "little")
        assert short.intact(packet)
        assert not short.intact(packet[:-1] + bytes([packet[-1] ^ 1]))


@pytest.mark.parametrize("field", ["parents", "certain_from", "images", "layout", "reader"])
@pytest.mark.parametrize("corpus", CORPORA, ids=lambda corpus: corpus.flavor)
def test_a_table_that_asks_for_more_is_left_to_the_assembler(corpus, field):
    """Children without events, a layout that is in doubt, images to be kept, or no table of the pair."""
    one = next(one for one in corpus.scenarios if one.name == "noblob image").raw()
    made = assembler(corpus)
    made.feed_all([*_stream(corpus, ()), *one])
    known = made._maps.known

    class Maps:
        def known(self, body):
            found = known(body)
            value = None if field in {"layout", "reader"} else object()
            return found._replace(**{field: value})

    def count(maps):
        return len(short.read(one, 0, corpus.flavor, maps, 0, Coordinate(1, 4)).records)

    assert count(made._maps) == 1
    assert count(Maps()) == 0
