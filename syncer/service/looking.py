"""
What chunks of a span hold on both sides, and which of their keys differ: read in stages, each for several chunks at a time.

A digest of each chunk, then of those that differ the keys and digests of all rows, as one text. Where differences are spread over
a table, that text is asked for at once: it costs a server little more than the digest, and one look less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from syncer.core.key import Key
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.mysql.keydigests import KeyDigests
from syncer.mysql.reader import SnapshotReader
from syncer.service.differing import by_entries, by_rows, closer_look
from syncer.service.lanes import Lanes
from syncer.service.reading import PairReader

T = TypeVar("T")
Work = Callable[[SnapshotReader, Side], T]


class Chunk(msgspec.Struct, frozen=True):
    """
    A key range, *low* inclusive and *high* exclusive; None is unbounded.

    Attributes:
        end: *high*, or None where it is the rest of its span.
        size: about so many rows it was meant to have.
    """

    table: PairedTable
    low: Key | None
    high: Key | None
    end: Key | None
    size: int


class Seen(msgspec.Struct):
    """
    What is known of a chunk.

    Attributes:
        rows: how many each side has.
        horizons: what is proven to be in all that was read of it: the lower bounds are those of the look that found the rest
            equal, the upper ones those of the last one. A change in between has a mark of its own.
        differing: the keys that differ, or that one side lacks.
    """

    chunk: Chunk
    rows: dict[Side, int]
    equal: bool
    horizons: dict[Side, Horizon]
    differing: list[Key] = msgspec.field(default_factory=list)


class ChunkReader:
    """Used by the reconciler's thread alone."""

    def __init__(self, reader: PairReader, lanes: Lanes) -> None:
        """Several chunks are read on *lanes*, a single one by *reader* itself."""
        self._reader = reader
        self._lanes = lanes

    def look(self, chunks: Sequence[Chunk], *, scattered: bool) -> list[Seen]:
        """
        Compare *chunks*; *scattered*: rows of most of them are likely to differ.

        Raises as ``PairReader.within_snapshots``.
        """
        if scattered:
            seen = [Seen(chunk, {}, False, {}) for chunk in chunks]
        else:
            seen = self._digest(chunks)
        self._find([one for one in seen if not one.equal])
        return seen

    def _all(self, works: Sequence[Work[T]]) -> list[tuple[dict[Side, T], dict[Side, Horizon]]]:
        if len(works) == 1:
            return [self._reader.within_snapshots(works[0], reads=1)]
        return self._reader.side_by_side(self._lanes, works) if works else []

    def _digest(self, chunks: Sequence[Chunk]) -> list[Seen]:
        seen = []
        found = self._all([_digest_of(chunk) for chunk in chunks])
        for chunk, (digests, horizons) in zip(chunks, found, strict=True):
            rows = {side: digests[side][0] for side in SIDES}
            seen.append(Seen(chunk, rows, digests[Side.A] == digests[Side.B], horizons))
        return seen

    def _find(self, seen: Sequence[Seen]) -> None:
        """Find the keys of chunks that differ."""
        again: list[tuple[Seen, Work[Mapping[Key, str]]]] = []
        found = self._all([_entries_of(one.chunk) for one in seen])
        for one, (texts, horizons) in zip(seen, found, strict=True):
            chunk = one.chunk
            differing = by_entries(chunk.table, texts)
            one.rows = {side: texts[side].rows for side in SIDES}
            one.horizons = horizons
            one.differing = list(differing or ())
            look = closer_look(chunk.table, chunk.low, chunk.high, differing)
            if look is not None:
                again.append((one, _alike(look)))
        for (one, _), (rows, after) in zip(
            again, self._all([work for _, work in again]), strict=True
        ):
            one.differing = list(by_rows(rows))
            one.horizons = {
                side: Horizon(one.horizons[side].lower, after[side].upper) for side in SIDES
            }


def _digest_of(chunk: Chunk) -> Work[tuple[int, int]]:
    return lambda reader, _side: reader.chunk_digest(chunk.table, chunk.low, chunk.high, chunk.size)


def _entries_of(chunk: Chunk) -> Work[KeyDigests]:
    return lambda reader, _side: reader.key_digests(chunk.table, chunk.low, chunk.high)


def _alike(look: Callable[[SnapshotReader], T]) -> Work[T]:
    return lambda reader, _side: look(reader)
