"""
What chunks of a span hold on both sides, and which of their keys differ: read in stages, each for several chunks at a time.

A digest of each chunk, of each bucket of those that differ, and the rows of the buckets that do. Where differences are spread
over a table, its chunks are divided at once, and where they are dense, all rows are read at once: one look or two less at each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from syncer.core.key import Key
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.mysql.buckets import COUNT, Division, count_for, unequal
from syncer.mysql.reader import SnapshotReader
from syncer.service.boundaries import DIVIDED_ROWS, differing_keys
from syncer.service.lanes import Lanes
from syncer.service.reading import PairReader

T = TypeVar("T")
Work = Callable[[SnapshotReader, Side], T]
Buckets = dict[int, tuple[int, int]]
"""Row count and digest by the bucket's number."""


class Chunk(msgspec.Struct, frozen=True):
    """
    A key range, *low* inclusive and *high* exclusive; None is unbounded.

    Attributes:
        end: *high*, or None where it is the rest of its span.
    """

    table: PairedTable
    low: Key | None
    high: Key | None
    end: Key | None


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
    division: Division | None = None
    chosen: list[int] = msgspec.field(default_factory=list)


class ChunkReader:
    """Used by the reconciler's thread alone."""

    def __init__(self, reader: PairReader, lanes: Lanes) -> None:
        """Several chunks are read on *lanes*, a single one by *reader* itself."""
        self._reader = reader
        self._lanes = lanes

    def look(self, chunks: Sequence[Chunk], *, rows: int, differing: float) -> list[Seen]:
        """
        Compare *chunks*, of about *rows* rows each, of which about *differing* are likely to differ.

        Raises as ``PairReader.within_snapshots``.
        """
        if differing:
            count = count_for(rows, differing)
            seen = [Seen(chunk, {}, False, {}) for chunk in chunks]
            if count:
                self._divide(seen, rows, count)
        else:
            seen = self._digest(chunks)
            large = [
                one for one in seen if not one.equal and min(one.rows.values()) >= DIVIDED_ROWS
            ]
            self._divide(large, 0)
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

    def _divide(self, seen: list[Seen], rows: int, count: int = COUNT) -> None:
        """Compare bucket by bucket; *rows*: about so many of each, 0: they are known."""
        for one in seen:
            chunk, about = one.chunk, rows or min(one.rows.values())
            one.division = Division.of(
                chunk.low, chunk.high, about, integer=chunk.table.integer_key, count=count
            )
        found = self._all([_buckets_of(one.chunk, one.division) for one in seen if one.division])
        for one, (buckets, horizons) in zip(seen, found, strict=True):
            one.rows = {side: sum(count for count, _ in buckets[side].values()) for side in SIDES}
            one.chosen = unequal(buckets[Side.A], buckets[Side.B])
            one.equal = not one.chosen
            one.horizons = horizons

    def _find(self, seen: Sequence[Seen]) -> None:
        """Find the keys of chunks that differ."""
        for one, (rows, after) in zip(seen, self._all(list(map(_rows_of, seen))), strict=True):
            one.differing = differing_keys(rows)
            if not one.rows:
                one.rows = {side: len(rows[side]) for side in SIDES}
                one.equal = not one.differing
            before = after if one.division is None else one.horizons
            one.horizons = {side: Horizon(before[side].lower, after[side].upper) for side in SIDES}


def _digest_of(chunk: Chunk) -> Work[tuple[int, int]]:
    return lambda reader, _side: reader.chunk_digest(chunk.table, chunk.low, chunk.high)


def _buckets_of(chunk: Chunk, division: Division) -> Work[Buckets]:
    return lambda reader, _side: reader.bucket_digests(chunk.table, division)


def _rows_of(seen: Seen) -> Work[Mapping[Key, str]]:
    chunk, division, chosen = seen.chunk, seen.division, seen.chosen

    def work(reader: SnapshotReader, _side: Side) -> Mapping[Key, str]:
        if division is None:
            return reader.digests_in_range(chunk.table, chunk.low, chunk.high)
        return reader.digests_in_buckets(chunk.table, division, chosen)

    return work
