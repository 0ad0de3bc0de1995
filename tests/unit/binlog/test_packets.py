"""Packets come out whole, whatever pieces the connection delivers them in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.binlog.packets import PacketCutter
from syncer.errors import StreamError, StreamInterrupted

FULL = (1 << 24) - 1


def wire(packets, first=1):
    """The packets as they travel, in parts where they are long."""
    data, number = bytearray(), first
    for packet in packets:
        for start in range(0, len(packet) + 1, FULL):
            part = packet[start : start + FULL]
            data += len(part).to_bytes(3, "little") + bytes([number & 0xFF]) + part
            number += 1
    return bytes(data)


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=400), st.data())
def test_any_pieces_give_the_same_packets(packets, data):
    sent, cutter, found = wire(packets), PacketCutter("side a"), []
    while sent:
        size = data.draw(st.integers(1, len(sent)))
        found += cutter.cut(sent[:size])
        sent = sent[size:]
    assert found == packets


@pytest.mark.parametrize("length", [FULL - 1, FULL, FULL + 1, 2 * FULL])
def test_parts_of_a_long_packet_are_joined(length):
    packets = [b"a", bytes(length), b"b"]
    sent, cutter, found = wire(packets), PacketCutter("side a"), []
    for start in range(0, len(sent), 1 << 22):
        found += cutter.cut(sent[start : start + (1 << 22)])
    assert found == packets


def test_packets_out_of_order_empty_or_without_end_are_refused(monkeypatch):
    with pytest.raises(StreamInterrupted, match="side a: the stream's packets are out of order"):
        PacketCutter("side a").cut(wire([b"x"], first=2))
    with pytest.raises(StreamError, match="empty packet"):
        PacketCutter("side a").cut(wire([b""]))
    monkeypatch.setattr("syncer.binlog.packets._LARGEST", FULL)
    with pytest.raises(StreamError, match="without end"):
        PacketCutter("side a").cut(wire([bytes(FULL + 1)]))
