"""
Wide ranges: compared chunk by chunk, equal chunks cleared, differing ones narrowed to their differing keys.

A chunk is cleared only as far as its rows are proven: the span's last transaction must be at or below both lower bounds
(INV-6); a key with an event of its own keeps that mark and is decided in its own time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog

from syncer.clock import Clock
from syncer.core.chunking import ChunkSizer, IntegerSteps
from syncer.core.key import Key
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.errors import TransientDatabaseError
from syncer.ledger import Ledger
from syncer.ledger.records import ClaimedSpan
from syncer.mysql.buckets import Division, unequal
from syncer.mysql.reader import SnapshotReader
from syncer.service.boundaries import (
    DIVIDED_ROWS,
    differing_keys,
    learn,
    next_boundary,
    rows_per_chunk,
)
from syncer.service.catalog import Catalog
from syncer.service.copying import RangeCopier
from syncer.service.lanes import Lanes
from syncer.service.probes import Moment, Probe, no_probe
from syncer.service.reading import PairReader
from syncer.service.throttle import Throttle


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


class ChunkDigest(msgspec.Struct, frozen=True):
    """Row count and digest of a chunk on one side (design.md §4)."""

    rows: int
    digest: int


_Look = tuple[dict[Side, ChunkDigest], dict[Side, Horizon]]
"""What both sides said of a chunk, and what that is proven to contain."""


class ChunkComparer:
    """Compares the next chunk of a claimed span. Used by the reconciler's thread alone."""

    def __init__(
        self,
        ledger: Ledger,
        catalog: Catalog,
        reader: PairReader,
        lanes: Lanes,
        sizer: ChunkSizer,
        throttle: Throttle,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        probe: Probe = no_probe,
        copier: RangeCopier | None = None,
    ) -> None:
        """Compose; nothing is read yet. Without *copier* every row goes key by key."""
        self._copier = copier
        self._throttle = throttle
        self._ledger = ledger
        self._catalog = catalog
        self._reader = reader
        self._sizer = sizer
        self._clock = clock
        self._log = log
        self._probe = probe
        self._lanes = lanes
        self._width = 1
        self._steps: dict[int, IntegerSteps] = {}
        self.rows_compared = 0

    @property
    def chunk_rows(self) -> int:
        """The present chunk size in rows."""
        return self._sizer.rows

    def compare(self, span: ClaimedSpan, table: PairedTable) -> bool:
        """
        Compare the first chunks of *span*, a span of *table*; say whether the span moved.

        Several are read at the same time, on lanes, while all that was compared before was equal.

        Raises TransientDatabaseError; the span is kept.
        """
        source = self._copier.source_of(span) if self._copier else None
        if self._copier and source and self._copier.copy(span, table, source):
            return True
        started = self._clock.monotonic()
        differing: list[Key] = []
        try:
            chunks = self._next_chunks(span, table)
            looks = self._look(chunks)
            digests, horizons = looks[0]
            if digests[Side.A] != digests[Side.B]:
                differing, horizons = self._find(chunks[0], digests)
                looks = [(digests, horizons)]
        except TransientDatabaseError:
            self._sizer.shrink()
            raise
        seconds = self._clock.monotonic() - started
        moved = all_equal = True
        for chunk, (digests, horizons) in zip(chunks, looks, strict=False):
            equal = digests[Side.A] == digests[Side.B]
            all_equal = all_equal and equal
            if not equal and chunk is not chunks[0]:
                break  # it is read again, alone
            rest = self._settle(span, chunk, digests, differing, horizons)
            if rest is None:
                moved = chunk is not chunks[0]
                break
            self._sizer.took(max(digest.rows for digest in digests.values()), seconds)
            span = rest
        self._width = min(self._lanes.count, 2 * len(chunks)) if moved and all_equal else 1
        return moved

    def rest(self) -> None:
        """Nothing is to be compared: close what is not needed for now."""
        self._lanes.rest()
        if self._copier:
            self._copier.rest()

    def _next_chunks(self, span: ClaimedSpan, table: PairedTable) -> list[Chunk]:
        """Divide the beginning of *span* into as many chunks as are to be read at a time: more, the longer all is equal."""
        low = None if span.low is None else table.load(span.low)
        high = None if span.high is None else table.load(span.high)
        rows = rows_per_chunk(table, self._sizer)
        steps = self._steps.setdefault(span.table_id, IntegerSteps())
        chunks: list[Chunk] = []
        while len(chunks) < self._width:
            end = next_boundary(self._reader.workers, table, low, high, rows, steps)
            chunks.append(Chunk(table, low, high if end is None else end, end))
            if end is None:
                break
            low = end
        return chunks

    def _look(self, chunks: Sequence[Chunk]) -> list[_Look]:
        """Digest both sides of every chunk."""
        works = [_digest_of(chunk) for chunk in chunks]
        if len(works) == 1:
            return [self._reader.within_snapshots(works[0])]
        return self._reader.side_by_side(self._lanes, works)

    def _settle(
        self,
        span: ClaimedSpan,
        chunk: Chunk,
        digests: Mapping[Side, ChunkDigest],
        differing: Sequence[Key],
        horizons: Mapping[Side, Horizon],
    ) -> ClaimedSpan | None:
        """Take *chunk* out of the beginning of *span*; return what is left of that, None where nothing was proven."""
        table = chunk.table
        lower = {side: horizons[side].lower for side in SIDES}
        if any(seq > lower[side] for side, seq in span.seqs.items()):
            return None
        if not self._catalog.flows(table):
            return None  # INV-21: a tailer has met a change of its definition since
        rows = max(digest.rows for digest in digests.values())
        learn(self._steps[span.table_id], table, chunk.low, chunk.end, rows)
        lone = [side for side in SIDES if digests[side].rows and not digests[side.other].rows]
        if self._copier and lone and self._copier.copy(span, table, lone[0]):
            return span
        up_to = None if chunk.end is None else table.store(chunk.end)
        self._probe(Moment.SPAN_BEFORE, None)
        try:
            self._ledger.narrow_span(
                span,
                up_to=up_to,
                keys=[table.store(key) for key in differing],
                lower=lower,
                rows=rows,
            )
        except ValueError:
            # A tailer has marked the table again meanwhile: what was read proves nothing for that mark.
            return None
        self._probe(Moment.SPAN_AFTER, None)
        self.rows_compared += rows
        self._throttle.used(rows)
        self._log.debug(
            "range.compared", table=str(table.name), rows=rows, differing=len(differing)
        )
        return msgspec.structs.replace(span, low=up_to)

    def _find(
        self, chunk: Chunk, digests: Mapping[Side, ChunkDigest]
    ) -> tuple[list[Key], dict[Side, Horizon]]:
        """Find the keys that differ, in further looks at both sides."""
        rows = min(digest.rows for digest in digests.values())
        return (
            self._find_in_rows(chunk) if rows < DIVIDED_ROWS else self._find_in_buckets(chunk, rows)
        )

    def _find_in_rows(self, chunk: Chunk) -> tuple[list[Key], dict[Side, Horizon]]:
        def rows(reader: SnapshotReader, _side: Side) -> dict[Key, str]:
            return reader.digests_in_range(chunk.table, chunk.low, chunk.high)

        found, horizons = self._reader.within_snapshots(rows)
        return differing_keys(found), horizons

    def _find_in_buckets(self, chunk: Chunk, count: int) -> tuple[list[Key], dict[Side, Horizon]]:
        """
        Find the keys of a chunk that differs in few of its rows.

        What buckets are equal was read before the rows of the others were: the lower bounds proven are those of the first
        read, the upper ones those of the second. A change in between has a mark of its own.
        """
        table = chunk.table
        division = Division.of(chunk.low, chunk.high, count, integer=table.integer_key)

        def look(reader: SnapshotReader, _side: Side) -> dict[int, tuple[int, int]]:
            return reader.bucket_digests(table, division)

        buckets, before = self._reader.within_snapshots(look)
        chosen = unequal(buckets[Side.A], buckets[Side.B])

        def rows(reader: SnapshotReader, _side: Side) -> dict[Key, str]:
            return reader.digests_in_buckets(table, division, chosen)

        found, after = self._reader.within_snapshots(rows)
        horizons = {side: Horizon(before[side].lower, after[side].upper) for side in SIDES}
        return differing_keys(found), horizons


def _digest_of(chunk: Chunk) -> Callable[[SnapshotReader, Side], ChunkDigest]:
    return lambda reader, _side: ChunkDigest(
        *reader.chunk_digest(chunk.table, chunk.low, chunk.high)
    )
