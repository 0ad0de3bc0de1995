"""
Bulk copy: the rows of a span whose target has none travel chunk by chunk, without ever becoming Python values.

It is the ordinary protocol with a range in the place of a key. The target is read once, as far as it is empty; each chunk of
the source is read with its proof, while those before it are being written, several at a time. All keys of a chunk have the
same marks (the span's, and none of their own) and the same two facts (there, not there), so one decision is theirs (INV-6).
Whatever does not fit is left to the chunk comparer, which goes key by key.

Every transaction under way has an intent, a session and a marker row of its own. They are finished in the order of their
ranges. After a crash each is looked up by itself; a range that was written beyond one that was not stays marked, and is
compared.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from typing import NamedTuple

import msgspec
import structlog

from syncer.clock import Clock
from syncer.core.decision import RowFact, Verdict, decide
from syncer.core.key import Key, StoredKey
from syncer.core.mark import KeyMarks, Op, SideMarks
from syncer.core.pairing import PairedTable
from syncer.core.record import OWN_ROW
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.errors import SyncerError, TransientDatabaseError
from syncer.ledger import Ledger
from syncer.ledger.records import Batch, ClaimedSpan, CopiedRange, IntentItem
from syncer.mysql import loading
from syncer.mysql.marker import lane_of
from syncer.mysql.reader import ChunkValues, SnapshotReader
from syncer.mysql.snapshot import Bounds
from syncer.service.bulkdelivery import BulkDelivery
from syncer.service.catalog import Catalog
from syncer.service.lanes import ApplyLane, ApplyLanes
from syncer.service.probes import Moment, Probe, no_probe
from syncer.service.reading import PairReader, StoppedWaiting
from syncer.service.throttle import Throttle

PART_BYTES = 640 << 10
"""Length of what is read at once, and loaded at once; for INSERTs it is divided (``applier.INSERT_BYTES``)."""
PARTS = 6
"""Of these in a transaction: enough that a commit costs little beside them."""
FIRST_ROWS = 1000
MOST_ROWS = 10_000
LOST_MOST = 3
"""After so many failures in a row no more lines are sent to anybody: what is between us and a server may not let them through."""
SPARSE = 4
"""Where fewer than one integer in so many is a key, the server is asked where a part ends."""
AT_ONCE_S = 1.0
"""So long keys that fall due meanwhile wait at most, beside one chunk; so do lookups and what people ask for."""


class _Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where the target is known to be empty: from *low* (inclusive) to *high* (exclusive), as of *target*.

    Attributes:
        most_bytes: the longest statement that both servers take.
        lines: the rows travel as lines, which the target takes at half the price of an INSERT.
    """

    source: Side
    low: Key | None
    high: Key | None
    target: Horizon
    most_bytes: int
    lines: bool


class _Chunk(msgspec.Struct, frozen=True):
    """
    A range of the source as read.

    Attributes:
        parts: what follows each other; those without rows left out.
        end: where it ends (exclusive); None: at the end of the stretch.
        lines: it was read as lines.
    """

    parts: tuple[ChunkValues, ...]
    end: Key | None
    lines: bool

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return sum(part.rows for part in self.parts)


_Read = Future[tuple[_Chunk, Bounds]]


class _Sent(NamedTuple):
    """A chunk that is being written, and whether it was."""

    chunk: _Chunk
    batch: Batch
    lane: ApplyLane | None
    written: Future[bool]
    low: StoredKey | None


class RangeCopier:
    """Copies spans to empty targets. Used by the reconciler's thread alone."""

    def __init__(
        self,
        ledger: Ledger,
        catalog: Catalog,
        reader: PairReader,
        deliveries: Mapping[Side, BulkDelivery],
        lanes: ApplyLanes,
        throttle: Throttle,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        probe: Probe = no_probe,
        *,
        loads: int,
    ) -> None:
        """Compose; nothing is read yet. No more than *loads* transactions at a time load lines: more are no faster."""
        self._lanes = lanes
        self._loads = loads
        self._sent: deque[_Sent] = deque()
        self._ledger = ledger
        self._catalog = catalog
        self._reader = reader
        self._deliveries = deliveries
        self._throttle = throttle
        self._clock = clock
        self._log = log
        self._probe = probe
        self._most_rows = MOST_ROWS
        if throttle.most_rows:
            self._most_rows = min(MOST_ROWS, max(1, throttle.most_rows // PARTS))
        self._rows = min(FIRST_ROWS, self._most_rows)
        self._dense = False
        self._next: dict[int, tuple[object, Side]] = {}
        self._refused: dict[int, object] = {}
        self._no_lines: set[int] = set()
        self._lost = 0
        self.rows_copied = 0

    def source_of(self, span: ClaimedSpan) -> Side | None:
        """The side that the last copy of this span's table left off with at its beginning; None: compare first."""
        low, source = self._next.get(span.table_id, (None, None))
        return source if source is not None and low == span.low else None

    def copy(self, span: ClaimedSpan, table: PairedTable, source: Side) -> bool:
        """
        Copy from the beginning of *span* on; say whether anything was copied. What is left stays a span.

        Returns False where the span has to be compared instead. Raises TransientDatabaseError; the span is kept.
        """
        with_lines = self._with_lines(span)
        try:
            if self._copy(span, table, source):
                if self._lost < LOST_MOST:
                    self._lost = 0
                return True
        except TransientDatabaseError:
            self._lost += with_lines
            raise
        refused = with_lines and not self._with_lines(span)
        return refused and self._copy(span, table, source)

    def _with_lines(self, span: ClaimedSpan) -> bool:
        return span.table_id not in self._no_lines and self._lost < LOST_MOST

    def _copy(self, span: ClaimedSpan, table: PairedTable, source: Side) -> bool:
        self._next.pop(span.table_id, None)
        if not self._fits(span, table, source):
            return False
        stretch = self._stretch(span, table, source)
        if stretch is None:
            return False
        deadline = self._clock.monotonic() + AT_ONCE_S
        before = self.rows_copied
        read: _Read | None = self._begin(table, stretch, stretch.low)
        try:
            while read is not None:
                chunk, horizon = self._reader.end_one(source, read)
                read = None
                if not self._agrees(span, table, stretch, chunk, horizon):
                    self._refused[span.table_id] = span.low
                    break
                if chunk.end is not None and not self._enough(deadline):
                    read = self._begin(table, stretch, chunk.end)
                lower = {source: horizon.lower, source.other: stretch.target.lower}
                if not self._send(span, table, stretch, chunk, lower):
                    break
                if not self._finish(
                    span.table_id, target=source.other, most=self._at_a_time(stretch.lines)
                ):
                    break
                if chunk.end is None:
                    break
                span = msgspec.structs.replace(span, low=table.store(chunk.end))
            self._finish(span.table_id, target=source.other, most=0)
        finally:
            if read is not None:
                with contextlib.suppress(SyncerError, StoppedWaiting):
                    read.result()
            self._abandon(source.other)
        if self.rows_copied > before and self._refused.get(span.table_id, self) != span.low:
            self._next[span.table_id] = span.low, source
        return self.rows_copied > before

    def _enough(self, deadline: float) -> bool:
        """Say whether to leave off here: the run is to end, the rate is used up, or something else has waited until *deadline*."""
        if self._reader.stopping or self._throttle.free_in_s() is not None:
            return True
        now = self._clock.monotonic()
        return now > deadline and (
            self._ledger.has_claimable_keys(now)
            or bool(self._ledger.open_lookups())
            or bool(self._ledger.asked())
            or bool(self._ledger.asked_restorations(0, 1))
            or not self._throttle.free()
        )

    def rest(self) -> None:
        """Close what is not needed while nothing is copied."""
        self._lanes.rest()

    def _at_a_time(self, lines: bool) -> int:
        """How many transactions may be under way while the next chunk is read; no more help where they load *lines*."""
        most = min(self._lanes.ready, self._loads) if lines else self._lanes.ready
        return max(0, most - 1)

    def _finish(self, table_id: int, *, target: Side, most: int) -> bool:
        """
        Finish what was sent, in the order of the ranges, until no more than *most* are under way; say whether all was written.

        Raises TransientDatabaseError where a server failed; what was sent then is still to be taken by ``_abandon``.
        """
        while len(self._sent) > most:
            one = self._sent[0]
            if not one.written.result():
                if one.chunk.lines:
                    self._no_lines.add(table_id)  # an INSERT may do
                else:
                    self._refused[table_id] = one.low
                    self._no_lines.discard(table_id)  # not for the sake of the lines, then
                self._take_back(target)
                return False
            self._deliveries[target].ranges_are_there(one.batch, one.chunk.rows)
            self.rows_copied += one.chunk.rows
            self._throttle.used(one.chunk.rows)
            self._take_back(target)
        return True

    def _take_back(self, target: Side) -> None:
        lane = self._sent.popleft().lane
        if lane is not None:
            self._lanes.give(target, lane)

    def _abandon(self, target: Side) -> None:
        """
        Wait for what is under way behind something that failed, and finish what was written of it.

        Its range does not begin where its span does by now, so that it stays marked and is compared.
        """
        while self._sent:
            one = self._sent[0]
            if one.written.exception() is None and one.written.result():
                self._deliveries[target].ranges_are_there(one.batch, one.chunk.rows)
                self.rows_copied += one.chunk.rows
            self._take_back(target)

    def _fits(self, span: ClaimedSpan, table: PairedTable, source: Side) -> bool:
        if self._refused.get(span.table_id, self) == span.low:
            return False
        if table.guard.forbids(source.other, Op.INSERT):
            return False
        if table.where:
            return False  # the range may hold rows that are no part of it: the plain INSERT would be no guard
        # A trigger's own writes could not be told from ours in the stream (INV-12).
        return set(span.sides) == set(SIDES) and not table.schema(source.other).triggers

    def _stretch(self, span: ClaimedSpan, table: PairedTable, source: Side) -> _Stretch | None:
        low = None if span.low is None else table.load(span.low)
        high = None if span.high is None else table.load(span.high)
        target = source.other

        fits = self._with_lines(span) and loading.fits(
            table.writable(source), table.writable(target)
        )

        def first(reader: SnapshotReader, side: Side) -> tuple[Key | None, int, bool]:
            if side is source:
                return None, reader.most_bytes(), True
            key = reader.boundary(table, low, high, 0)
            return key, reader.most_bytes(), fits and reader.takes_lines()

        found, horizons = self._reader.within_snapshots(first)
        if any(seq > horizons[side].lower for side, seq in span.seqs.items()):
            return None
        blocked = found[target][0]
        return _Stretch(
            source=source,
            low=low,
            high=high if blocked is None else blocked,
            target=horizons[target],
            most_bytes=min(found[side][1] for side in SIDES),
            lines=found[target][2],
        )

    def _begin(self, table: PairedTable, stretch: _Stretch, low: Key | None) -> _Read:
        rows, dense, lines = self._rows, self._dense, stretch.lines

        def work(reader: SnapshotReader) -> _Chunk:
            start: Key | None = low
            parts: list[ChunkValues] = []
            for _ in range(PARTS):
                end = _end(reader, table, start, stretch.high, rows, dense=dense)
                part = reader.chunk_values(
                    table, start, stretch.high if end is None else end, lines=lines
                )
                if part.rows:
                    parts.append(part)
                if end is None:
                    return _Chunk(tuple(parts), None, lines)
                start = end
            return _Chunk(tuple(parts), start, lines)

        return self._reader.begin_one(stretch.source, work)

    def _agrees(
        self,
        span: ClaimedSpan,
        table: PairedTable,
        stretch: _Stretch,
        chunk: _Chunk,
        horizon: Horizon,
    ) -> bool:
        """Say whether every key of the chunk is to be copied, by the one decision that is theirs (INV-4 to INV-6)."""
        source, target = stretch.source, stretch.source.other
        if not chunk.parts:
            self._dense = False
            return False
        longest = max(len(part.values) for part in chunk.parts)
        most = min(PART_BYTES, stretch.most_bytes // 4)
        self._dense = SPARSE * chunk.parts[0].rows >= self._rows
        self._rows = max(
            1, min(self._most_rows, self._rows * 4, self._rows * most // max(1, longest))
        )
        if 2 * longest > stretch.most_bytes:
            return False
        if not self._unchanged(span) or not self._catalog.flows(table):
            return False  # INV-21
        end = stretch.high if chunk.end is None else chunk.end
        if self._ledger.has_marks_in(
            table.table_id, span.low, None if end is None else table.store(end)
        ):
            return False
        decision = decide(
            KeyMarks(
                **{
                    side.value: SideMarks(
                        None, span.seqs[side], span.seqs[side], span.reasons[side]
                    )
                    for side in SIDES
                }
            ),
            {source: RowFact("present"), target: RowFact(None)},
            {source: horizon, target: stretch.target},
            table.policy,
        )
        return (
            decision.verdict is Verdict.COPY
            and decision.winner is source
            and decision.conflict is None
        )

    def _unchanged(self, span: ClaimedSpan) -> bool:
        """Say whether the span still is what was claimed: a tailer may have marked the table again before the fence."""
        now = self._ledger.claim_span(self._clock.monotonic())
        # What is under way is still part of it in the ledger.
        low = self._sent[0].low if self._sent else span.low
        return now is not None and (now.table_id, now.low, now.high, now.seqs, now.reasons) == (
            span.table_id,
            low,
            span.high,
            span.seqs,
            span.reasons,
        )

    def _send(
        self,
        span: ClaimedSpan,
        table: PairedTable,
        stretch: _Stretch,
        chunk: _Chunk,
        lower: dict[Side, int],
    ) -> bool:
        """
        Store the intent (INV-8), and send it; say whether it was.

        Where no lane is to be had it goes by the side's own session, with nothing else under way; it is not sent where not
        all of that was written.
        """
        target = stretch.source.other
        lane = self._lanes.take(target)
        if lane is None and not self._finish(table.table_id, target=target, most=0):
            return False
        end = stretch.high if chunk.end is None else chunk.end
        up_to = None if end is None else table.store(end)
        copied = CopiedRange(span.low, up_to, span.high, chunk.rows)
        batch = Batch(
            batch_id=self._ledger.next_batch_id(),
            target=target,
            lower=lower,
            items=(
                IntentItem(
                    table_id=table.table_id,
                    keys=(),
                    action=Op.INSERT,
                    present=True,
                    copied=copied,
                ),
            ),
            lane=OWN_ROW if lane is None else lane_of(lane.row),
        )
        delivery = self._deliveries[target]
        self._probe(Moment.INTENT_BEFORE, None)
        self._ledger.begin_batches([batch])
        self._probe(Moment.INTENT_AFTER, None)
        worker = self._reader.workers[target] if lane is None else lane.worker
        written = worker.submit_apply(lambda: delivery.send_ranges(table, chunk.parts, batch, lane))
        self._sent.append(_Sent(chunk, batch, lane, written, span.low))
        return True


def _end(
    reader: SnapshotReader,
    table: PairedTable,
    low: Key | None,
    high: Key | None,
    rows: int,
    *,
    dense: bool,
) -> Key | None:
    """Return where at most *rows* rows from *low* on end (exclusive); None: at *high*."""
    if not (dense and table.integer_key and low is not None):
        return reader.boundary(table, low, high, rows)
    end = int(low[0]) + rows
    most = (1 << (64 if table.unsigned_key else 63)) - 1
    return (end,) if end < (most if high is None else int(high[0])) else None
