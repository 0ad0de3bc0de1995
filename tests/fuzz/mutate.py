"""Damage to events: what a wire, a disk or a liar can do to one packet."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from syncer.binlog import events

if TYPE_CHECKING:
    from random import Random

_HEAD = 1 + events.HEADER_BYTES
_LIES = (
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\xfd\xff\xff\xff",
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xfe\x00\x00\x00\x00\x01\x00\x00\x00",
    b"\xfc\xff\xff",
    b"\xfb",
)
"""Lengths, in the binlog's own spellings: 4 GiB, none, 2 GiB, negative, 16 MiB, 2**64 - 1, 4 GiB, 64 KiB, NULL."""


def flip(packet: bytes, random: Random) -> bytes:
    """Turn one to eight bits."""
    data = bytearray(packet)
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        data[random.randrange(1, len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


def truncate(packet: bytes, random: Random) -> bytes:
    """Cut the end off."""
    return packet[: random.randrange(1, len(packet))]


def lie(packet: bytes, random: Random) -> bytes:
    """Write a length that is not true, anywhere behind the OK byte."""
    at = random.randrange(1, len(packet))
    what = random.choice(_LIES)
    return packet[:at] + what + packet[at + len(what) :]


def grow(packet: bytes, random: Random) -> bytes:
    """Put bytes in."""
    at = random.randrange(1, len(packet))
    return packet[:at] + random.randbytes(random.randrange(1, 40)) + packet[at:]


def repeat(packet: bytes, random: Random) -> bytes:
    """Say a part twice, or leave it out."""
    low = random.randrange(1, len(packet))
    high = random.randrange(low, len(packet)) + 1
    return (
        packet[:high]
        + random.choice((b"", packet[low:high]))
        + packet[high:][random.randrange(9) :]
    )


def scramble(packet: bytes, random: Random) -> bytes:
    """Replace a run of bytes by noise."""
    low = random.randrange(1, len(packet))
    size = min(random.randrange(1, 30), len(packet) - low)
    return packet[:low] + random.randbytes(size) + packet[low + size :]


def retype(packet: bytes, random: Random) -> bytes:
    """Say that it is another kind of event."""
    return packet[:5] + bytes([random.choice((*range(46), *range(160, 173)))]) + packet[6:]


WAYS = (flip, truncate, lie, grow, repeat, scramble, retype)


def disguise(packet: bytes, *, checksum: bool) -> bytes:
    """Make the header's length true again, and the checksum, so that only the content lies."""
    if len(packet) < _HEAD + events.CHECKSUM_BYTES:
        return packet
    data = bytearray(packet)
    data[10:14] = (len(data) - 1).to_bytes(4, "little")
    if checksum:
        data[-4:] = zlib.crc32(data[1:-4]).to_bytes(4, "little")
    return bytes(data)
