"""
Wide ranges: compared chunk by chunk, equal chunks cleared, differing ones narrowed to their differing keys.

A chunk is cleared only as far as its rows are proven: the span's last transaction must be at or below both lower bounds
(INV-6). A key of it that has a mark of its own up to them is settled with it; with a later one it is decided in its own time.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import structlog

from syncer.clock import Clock
from syncer.core.chunking import ChunkSizer, IntegerSteps
from syncer.core.key import StoredKey
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES
from syncer.errors import TransientDatabaseError
from syncer.ledger import Ledger
from syncer.ledger.records import ClaimedKey, ClaimedSpan
from syncer.service.boundaries import (
    learn,
    next_boundary,
    rows_per_chunk,
)
from syncer.service.catalog import Catalog
from syncer.service.copying import RangeCopier
from syncer.service.lanes import Lanes
from syncer.service.looking import Chunk, ChunkReader, Seen
from syncer.service.probes import Moment, Probe, no_probe
from syncer.service.reading import PairReader
from syncer.service.throttle import Throttle

Settled = Callable[[PairedTable, Mapping[StoredKey, bool]], None]
"""Told of marked keys that both sides have alike; True: the row may be there."""

MANY_DIFFERING = 5000
"""Where a chunk has more differing keys, the next ones are read one at a time: their keys are in memory at once."""
DOUBTFUL_TRIES = 5
GATHER_S = 1.0
"""Differing keys wait so long at most for those of the next chunks: a transaction for each few would cost more than they do."""


class _Held(enum.Enum):
    """Why a chunk that was read stays in its span."""

    UNPROVEN = enum.auto()
    """It is read again."""
    UNDECIDED = enum.auto()
    """Marks are decided first: what was read of it is settled then."""


class ChunkComparer:
    """
    Compares the next chunk of a claimed span. Used by the reconciler's thread alone.

    Attributes:
        narrowed: the differing keys found since whoever decides them emptied this, by table id, and until when they may wait.
    """

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
        *,
        settled: Settled,
    ) -> None:
        """Compose; nothing is read yet. Without *copier* every row goes key by key; *settled* is told what was found equal."""
        self._copier = copier
        self._settled = settled
        self._throttle = throttle
        self._ledger = ledger
        self._catalog = catalog
        self._reader = reader
        self._sizer = sizer
        self._clock = clock
        self._log = log
        self._probe = probe
        self._lanes = lanes
        self._looking = ChunkReader(reader, lanes)
        self._width = 1
        self._scattered: int | None = (
            None  # the table of which some of the chunks just before differed
        )
        self._steps: dict[int, IntegerSteps] = {}
        self._doubtful: dict[tuple[int, StoredKey | None], int] = {}
        self._waiting: tuple[object, list[Seen]] = (None, [])
        self.narrowed: dict[tuple[int, StoredKey], float] = {}
        self.rows_compared = 0

    @property
    def chunk_rows(self) -> int:
        """The present chunk size in rows."""
        return self._sizer.rows

    def compare(self, span: ClaimedSpan, table: PairedTable) -> bool:
        """
        Compare the first chunks of *span*, a span of *table*; say whether the span moved.

        Several are read at the same time, on lanes, while little of what was compared before differed.

        Raises TransientDatabaseError; the span is kept.
        """
        source = self._copier.source_of(span) if self._copier else None
        if self._copier and source and self._copier.copy(span, table, source):
            return True
        started = self._clock.monotonic()
        seen = self._waiting[1] if self._waiting[0] == _place(span) else []
        waited, self._waiting = bool(seen), (None, [])
        try:
            if not waited:
                chunks = self._next_chunks(span, table)
                seen = self._looking.look(chunks, scattered=self._scattered == span.table_id)
        except TransientDatabaseError:
            self._sizer.shrink()
            raise
        seconds = self._clock.monotonic() - started
        copied = self._copier.rows_copied if self._copier else 0
        settled = 0
        for one in seen:
            rest = self._settle(span, one)
            if isinstance(rest, _Held):
                if rest is _Held.UNDECIDED:
                    self._waiting = _place(span), seen[settled:]
                break
            settled += 1
            if not waited:
                self._sizer.took(max(one.rows.values()), seconds)
            span = rest
        most = max(len(one.differing) for one in seen)
        self._scattered = span.table_id if most else None
        several = settled == len(seen) and most <= MANY_DIFFERING and not self._throttle.most_rows
        self._width = min(self._lanes.count, 2 * len(seen)) if several else 1
        return settled > 0 or (self._copier is not None and self._copier.rows_copied > copied)

    def _take_out(
        self,
        span: ClaimedSpan,
        up_to: StoredKey | None,
        keys: Sequence[StoredKey],
        seen: Seen,
        rows: int,
    ) -> _Held | None:
        """
        Take a chunk out of *span*, with the marks of those of its keys that are equal (INV-6); say what keeps it in there, if anything.

        Not where a change may be in its rows or not (INV-5): it is read again then. A mark that stayed would fold with a later change,
        and make a conflict of what both sides have seen. Where nobody can say which keys are in it, all that are marked up to its lower
        bounds are decided first, while it waits as it was read: what comes later has a mark of its own.

        A chunk of which some key is always changing, or waits, is taken as it is after some times, and all marks stay. Raises ValueError,
        as ``narrow_span``.
        """
        number, low, high = span.table_id, span.low, span.high if up_to is None else up_to
        lower = {side: seen.horizons[side].lower for side in SIDES}
        tries = self._doubtful.get((number, low), 0)
        settled: set[StoredKey] = set()
        with self._ledger.together():
            if tries < DOUBTFUL_TRIES:
                if self._ledger.may_have_changed(number, low, high, seen.horizons, keys):
                    self._doubtful = {(number, low): tries + 1}
                    return _Held.UNPROVEN
                found = self._ledger.settled_keys(number, low, high, lower)
                if found is None and not keys and self._ledger.has_undecided(number, lower):
                    self._doubtful = {(number, low): tries + 1}
                    return _Held.UNDECIDED
                settled = (found or set()).difference(keys)
                if keys:  # other keys may be other spellings of one that differs
                    settled = {key for key in settled if isinstance(key, int)}
            self._ledger.narrow_span(span, up_to=up_to, keys=keys, lower=lower, rows=rows)
            if settled:
                self._ledger.clear(number, list(settled), lower)
        self._doubtful = {}
        if settled:
            self._settled(seen.chunk.table, dict.fromkeys(settled, True))
        return None

    def may_wait(self, due: Iterable[ClaimedKey]) -> bool:
        """
        Say whether all keys *due* may still wait for those of the next chunks.

        A change that a stream tells of never does, but for one of a key that was found just now.
        """
        now = self._clock.monotonic()
        return all(now < self.narrowed.get((one.table_id, one.key), now) for one in due)

    def rest(self) -> None:
        """Nothing is to be compared: close what is not needed for now."""
        self._lanes.rest()
        if self._copier:
            self._copier.rest()

    def _rows(self, table: PairedTable) -> int:
        rows = rows_per_chunk(table, self._sizer)
        return min(rows, self._throttle.most_rows or rows)

    def _next_chunks(self, span: ClaimedSpan, table: PairedTable) -> list[Chunk]:
        """Divide the beginning of *span* into as many chunks as are to be read at a time: more, the longer little differs."""
        low = None if span.low is None else table.load(span.low)
        high = None if span.high is None else table.load(span.high)
        rows = self._rows(table)
        steps = self._steps.setdefault(span.table_id, IntegerSteps())
        chunks: list[Chunk] = []
        while len(chunks) < self._width:
            end = next_boundary(self._reader.workers, table, low, high, rows, steps)
            chunks.append(Chunk(table, low, high if end is None else end, end, rows))
            if end is None:
                break
            low = end
        return chunks

    def _settle(self, span: ClaimedSpan, seen: Seen) -> ClaimedSpan | _Held:
        """Take a chunk out of the beginning of *span*; return what is left of that, or what keeps the chunk in it."""
        chunk, table, differing = seen.chunk, seen.chunk.table, seen.differing
        lower = {side: seen.horizons[side].lower for side in SIDES}
        if any(seq > lower[side] for side, seq in span.seqs.items()):
            return _Held.UNPROVEN
        if not self._catalog.flows(table):
            return _Held.UNPROVEN  # INV-21: a tailer has met a change of its definition since
        rows = max(seen.rows.values())
        learn(self._steps[span.table_id], table, chunk.low, chunk.end, rows)
        lone = [side for side in SIDES if seen.rows[side] and not seen.rows[side.other]]
        if self._copier and lone and self._copier.copy(span, table, lone[0]):
            return _Held.UNPROVEN  # it has moved by itself
        up_to = None if chunk.end is None else table.store(chunk.end)
        keys = [table.store(key) for key in differing]
        self._probe(Moment.SPAN_BEFORE, None)
        try:
            held = self._take_out(span, up_to, keys, seen, rows)
        except ValueError:
            # A tailer has marked the table again meanwhile: what was read proves nothing for that mark.
            return _Held.UNPROVEN
        if held:
            return held
        self._probe(Moment.SPAN_AFTER, None)
        until = self._clock.monotonic() + GATHER_S
        self.narrowed |= {(span.table_id, key): until for key in keys}
        self.rows_compared += rows
        self._throttle.used(rows)
        self._log.debug(
            "range.compared", table=str(table.name), rows=rows, differing=len(differing)
        )
        return msgspec.structs.replace(span, low=up_to)


def _place(span: ClaimedSpan) -> object:
    """What is to be the same where a chunk that was read as the beginning of *span* is settled later."""
    return span.table_id, span.low, span.high, span.ids
