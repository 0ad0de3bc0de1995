"""MySQL's compressed transactions (TRANSACTION_PAYLOAD events)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import zstandard

from syncer.binlog.events import HEADER_BYTES
from syncer.binlog.rowimage import LARGEST_EVENT
from syncer.binlog.tablemap import packed_integer
from syncer.errors import UnsupportedEvent

_END, _SIZE, _ALGORITHM, _PLAIN_SIZE = range(4)
_ZSTD, _NONE = 0, 255
_PIECE_BYTES = 1 << 18
_DAMAGED = "a compressed transaction cannot be read"


def events_of(body: bytes) -> Iterator[bytes]:
    """
    Yield the events inside, each with its header and without checksum.

    Raises:
        UnsupportedEvent: it is compressed by an algorithm that we do not know, or damaged.
    """
    algorithm, plain_size, at = _ZSTD, 0, 0
    while True:
        field, at = packed_integer(body, at)
        if field == _END:
            break
        size, at = packed_integer(body, at)
        value, _ = packed_integer(body, at)
        at += size
        if field == _ALGORITHM:
            algorithm = value
        elif field == _PLAIN_SIZE:
            plain_size = value
    if algorithm not in {_ZSTD, _NONE}:
        raise UnsupportedEvent(f"a transaction is compressed by the unknown algorithm {algorithm}")
    pieces: Iterable[bytes] = [body[at:]]
    if algorithm == _ZSTD:
        # By pieces: the size in the frame's own head, which may lie, is never allocated.
        pieces = zstandard.ZstdDecompressor().read_to_iter(body[at:], write_size=_PIECE_BYTES)
    try:
        yield from _cut(pieces, plain_size)
    except zstandard.ZstdError as error:
        raise UnsupportedEvent(_DAMAGED) from error


def _cut(pieces: Iterable[bytes], plain_size: int) -> Iterator[bytes]:
    """Cut events out of the plain text, of which no more than one event is kept."""
    buffer, seen = bytearray(), 0
    for piece in pieces:
        seen += len(piece)
        if seen > plain_size:
            raise UnsupportedEvent(_DAMAGED)
        buffer += piece
        place = 0
        while len(buffer) - place >= HEADER_BYTES:
            size = int.from_bytes(buffer[place + 9 : place + 13], "little")
            if not HEADER_BYTES <= size <= LARGEST_EVENT:
                raise UnsupportedEvent(_DAMAGED)
            if len(buffer) - place < size:
                break
            yield bytes(buffer[place : place + size])
            place += size
        del buffer[:place]
    if buffer or seen != plain_size:
        raise UnsupportedEvent(_DAMAGED)
