"""From the bytes of a connection to whole packets. No sockets."""

from __future__ import annotations

import struct

from syncer.errors import StreamError, StreamInterrupted

_HEAD = struct.Struct("<I")
"""Three bytes of length, one of sequence number."""
_HEAD_BYTES = _HEAD.size
_FULL = (1 << 24) - 1
_LARGEST = (1 << 30) + (1 << 25)
"""Events end at 1 GiB, whatever max_allowed_packet says."""


class PacketCutter:
    """Cuts the packets of one connection out of its bytes, in whatever pieces these come. Not thread-safe."""

    def __init__(self, what: str) -> None:
        """Begin before the packet numbered 1; *what* begins error texts."""
        self._what = what
        self._rest = bytearray()
        self._parts: list[bytes] = []
        self._sequence = 1

    def cut(self, data: bytes) -> list[bytes]:
        """
        Take the next bytes; return the packets that are whole by now, without their heads, those above 16 MiB joined.

        Raises:
            StreamInterrupted: the packets are out of order.
            StreamError: a packet is empty or without end.
        """
        if self._rest:
            self._rest += data
            if not self._first_is_whole():
                return []
            data = bytes(self._rest)
        found: list[bytes] = []
        append, head = found.append, _HEAD.unpack_from
        at, size, sequence, parts = 0, len(data), self._sequence, self._parts
        start = _HEAD_BYTES
        while start <= size:
            (word,) = head(data, at)
            end = start + (word & _FULL)
            if end > size:
                break
            if word >> 24 != sequence:
                raise StreamInterrupted(f"{self._what}: the stream's packets are out of order")
            sequence = sequence + 1 & 0xFF
            if 0 < end - start < _FULL and not parts:
                append(data[start:end])
            elif end == start and not parts:
                raise StreamError(f"{self._what}: the stream holds an empty packet")
            else:
                self._join(data[start:end], found)
            at, start = end, end + _HEAD_BYTES
        self._sequence = sequence
        self._rest = bytearray(data[at:])
        return found

    def _first_is_whole(self) -> bool:
        rest = self._rest
        return (
            len(rest) >= _HEAD_BYTES
            and len(rest) - _HEAD_BYTES >= _HEAD.unpack_from(rest)[0] & _FULL
        )

    def _join(self, part: bytes, found: list[bytes]) -> None:
        self._parts.append(part)
        if sum(map(len, self._parts)) > _LARGEST:
            raise StreamError(f"{self._what}: the stream holds an event without end")
        if len(part) < _FULL:
            found.append(b"".join(self._parts))
            self._parts.clear()
