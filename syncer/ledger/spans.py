"""
Spans: ranges of keys to compare.

The open spans of one table and side form a chain by id: each begins where the one before it ends, where the end of the
table and its beginning (both None) are one place, so that the whole is an arc on a circle. The first of the chain is
compared and narrowed. A table that is marked again gets the part that is already compared back at the END of the chain:
work goes round, and no stream of marks can keep it at the beginning of the table for ever. Bounds are only tested for
equality, since nothing but a server orders keys.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence

from syncer.core import rangeset
from syncer.core.key import StoredKey
from syncer.core.mark import Reason
from syncer.core.progression import Progression, intersect
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.core.visibility import NOTHING, Horizon
from syncer.ledger import kept_queries as kq
from syncer.ledger import queries as q
from syncer.ledger.ranges import Ranges, RawTouch, fold_reason, key_bounds
from syncer.ledger.records import ClaimedSpan, CopiedRange, SpanProgress

MOST_SETTLED = 10_000
"""Of so many keys at most the marks go with the chunk that they are in."""
Arc = tuple[StoredKey | None, StoredKey | None]
"""From (inclusive), to (exclusive)."""


class Spans(Ranges):
    """The part of the ledger that knows which ranges are to be compared."""

    def mark_table(
        self, table_id: int, sides: Sequence[Side], reason: Reason, seqs: dict[Side, int]
    ) -> None:
        """
        Mark a whole table inexactly on *sides*.

        Args:
            seqs: per side, the number of the last transaction that the mark is about.
        """
        now = self._clock.now()
        with self._writing():
            for side in sides:
                self._mark_span(table_id, side, seqs[side], reason, now)

    def _mark_span(self, table_id: int, side: Side, seq: int, reason: Reason, now: float) -> None:
        db = self._db
        if reason is not Reason.BASELINE and table_id in self._imaged:
            # What came before it may not be all there was: no image of then is a base, not even when the span is settled.
            self._know_nothing(table_id, side, seq)
        if table_id in self._held_tables:
            db.execute(q.REOPEN_TABLE, (table_id,))
            self._held_tables.discard(table_id)
        if db.execute(q.HAS_SPAN, (table_id,)).fetchone() is None:
            db.execute(q.START_PROGRESS, (table_id, reason.value, now))
        chain = db.execute(q.SPANS_OF_SIDE, (table_id, side.value)).fetchall()
        db.execute(
            q.FOLD_SPANS,
            {"seq": seq, "reason": reason.value, "table_id": table_id, "side": side.value},
        )
        missing = complement([(low, high) for _, low, high, _ in chain])
        if (
            missing
            and len(chain) > 1
            and chain[-1][2] is not None
            and fold_reason(chain[-1][3], reason.value) == reason.value
        ):
            # The last one has not been begun: let it reach further instead of adding one behind it. Not where it would lend
            # its reason to keys that only this mark is about: a TRUNCATE's may delete (INV-6).
            db.execute(q.WIDEN_SPAN, (missing.pop(0)[1], chain[-1][0]))
        for low, high in missing:
            db.execute(
                q.ADD_SPAN,
                (self._new_id(), table_id, side.value, low, high, seq, seq, reason.value, now),
            )

    def claim_span(self, now: float) -> ClaimedSpan | None:
        """
        Return the oldest open span, of both sides at once where they begin and end alike; None where there is none.

        *now* is not used: spans are never put off.
        """
        del now
        with self._reading() as db:
            oldest = db.execute(q.OLDEST_SPAN).fetchone()
            return None if oldest is None else self._claimed(*oldest)

    def claim_tables(self, limit: int) -> list[ClaimedSpan]:
        """Return at most *limit* spans that are a whole table each, as ``claim_span`` would, oldest first."""
        with self._reading() as db:
            tables = [row[0] for row in db.execute(q.WHOLE_TABLES, (limit,))]
            return [self._claimed(table_id, None, None) for table_id in tables]

    def _claimed(self, table_id: int, low: StoredKey | None, high: StoredKey | None) -> ClaimedSpan:
        rows = self._db.execute(q.SPANS_LIKE, (table_id, low, high)).fetchall()
        done, chunks, differing, started_at = self._db.execute(
            q.GET_PROGRESS, (table_id,)
        ).fetchone()
        return ClaimedSpan(
            table_id=table_id,
            low=low,
            high=high,
            seqs={Side(side): seq for _, side, seq, _, _ in rows},
            reasons={Side(side): Reason(reason) for _, side, _, reason, _ in rows},
            ids={Side(side): number for number, side, _, _, _ in rows},
            rows=done,
            chunks=chunks,
            differing=differing,
            started_at=started_at,
        )

    def narrow_span(
        self,
        span: ClaimedSpan,
        *,
        up_to: StoredKey | None,
        keys: Sequence[StoredKey],
        lower: dict[Side, int],
        rows: int = 0,
    ) -> None:
        """
        Take the compared chunk [span.low, up_to) out of *span*; its differing *keys* become inexact marks of their own.

        Args:
            up_to: where the span begins now; None, or its end: it is done.
            lower: per side, the last transaction that the rows compared contain for certain.
            rows: how many rows were compared, for the progress.

        Raises:
            ValueError: the span was marked again since it was claimed, or by a transaction that the rows may not contain;
                nothing has changed: claim and read again.
        """
        with self._writing():
            self._narrow(span, up_to, keys, lower, rows, self._clock.now())

    def drop_spans(
        self, equal: Mapping[int, int], spans: Sequence[ClaimedSpan], lower: dict[Side, int]
    ) -> list[ClaimedSpan]:
        """
        Take those of *spans* out whose rows were found equal, in one transaction.

        Args:
            equal: by table id, how many rows were compared.
            lower: as in ``narrow_span``; what that would refuse stays as it is.

        Returns:
            What was taken out.
        """
        now = self._clock.now()
        done = []
        with self._writing():
            for span in spans:
                if span.table_id not in equal:
                    continue
                with contextlib.suppress(ValueError):
                    self._narrow(span, None, (), lower, equal[span.table_id], now)
                    done.append(span)
        return done

    def _narrow(
        self,
        span: ClaimedSpan,
        up_to: StoredKey | None,
        keys: Sequence[StoredKey],
        lower: dict[Side, int],
        rows: int,
        now: float,
    ) -> None:
        """Do what ``narrow_span`` does; nothing is written before all is found to be as it says."""
        db = self._db
        marks = {}
        for side, number in span.ids.items():
            row = db.execute(q.SPAN, (number, span.table_id, side.value)).fetchone()
            if row is None or (row[0], row[1]) != (span.low, span.high):
                raise ValueError("the span is not what was claimed: claim it again")
            if row[3] > lower.get(side, NOTHING):
                raise ValueError(
                    "the span was marked by a transaction after the rows read: read them again"
                )
            marks[side] = row[2:]
        for side, (first_seq, last_seq, reason) in marks.items():
            number = span.ids[side]
            if up_to is None or up_to == span.high:
                db.execute(q.DROP_SPAN, (number,))
            else:
                db.execute(q.NARROW_SPAN, (up_to, number))
            self._mark_differing(
                span.table_id, side, keys, (first_seq, last_seq, "u", "u", 0, 0), reason, now
            )
        db.execute(q.ADD_PROGRESS, (rows, len(keys), span.table_id))
        if db.execute(q.HAS_SPAN, (span.table_id,)).fetchone() is None:
            db.execute(q.END_PROGRESS, (now, span.table_id))

    def _take_out(
        self, table_id: int, copied: CopiedRange, lower: Mapping[Side, int], now: float
    ) -> None:
        """
        Take a range that was copied out of the spans that begin with it (INV-11).

        A span that was marked again by a transaction after the rows read stays as it is: it is compared once more.
        """
        db = self._db
        for side in SIDES:
            chain = db.execute(q.SPANS_OF_SIDE, (table_id, side.value)).fetchall()
            for number, low, high, _ in chain:
                if (low, high) != (copied.low, copied.high):
                    continue
                last_seq = db.execute(q.SPAN, (number, table_id, side.value)).fetchone()[3]
                if last_seq > lower.get(side, NOTHING):
                    continue
                if copied.up_to is None or copied.up_to == high:
                    db.execute(q.DROP_SPAN, (number,))
                else:
                    db.execute(q.NARROW_SPAN, (copied.up_to, number))
        db.execute(q.ADD_PROGRESS, (copied.rows, 0, table_id))
        if db.execute(q.HAS_SPAN, (table_id,)).fetchone() is None:
            db.execute(q.END_PROGRESS, (now, table_id))

    def has_marks_in(self, table_id: int, low: StoredKey | None, high: StoredKey | None) -> bool:
        """
        Say whether a key from *low* (inclusive) to *high* (exclusive) may have a mark of its own, held ones included.

        An open lookup of the table may be about any key of it. By order for integers; for any other key, whose order is the
        servers' affair, any marked key of the table counts.
        """
        with self._reading() as db:
            if db.execute(q.HAS_LOOKUP, (table_id,)).fetchone() is not None:
                return True
            return self._has_marks_in(table_id, *key_bounds(low, high))

    def may_have_changed(
        self,
        table_id: int,
        low: StoredKey | None,
        high: StoredKey | None,
        horizons: Mapping[Side, Horizon],
        but: Collection[StoredKey] = (),
    ) -> bool:
        """
        Say whether a change of a key from *low* (inclusive) to *high* (exclusive) may or may not be in rows read within *horizons*.

        An exact mark that begins at or below the upper bound and ends above the lower one tells so (INV-5), of any key but *but*; one
        that reaches beyond both is of several changes, some of which are in the rows. Which keys count is as in ``has_marks_in``.
        """
        least, most = key_bounds(low, high)
        wanted = Progression(least, most)
        with self._reading() as db:
            for side, horizon in horizons.items():
                lower, upper = horizon.lower, horizon.upper
                found = db.execute(
                    q.POINTS_WITHIN, (table_id, least, most, side.value, lower, upper)
                )
                if any(key not in but for (key,) in found):
                    return True
                scope = {"table_id": table_id, "side": side.value, "exact": 1}
                for run in self._runs_between(scope, least, most):
                    first, last = run.touch[:2]
                    if first <= upper and lower < last and intersect(run.keys, wanted):
                        return True
        return False

    def settled_keys(
        self,
        table_id: int,
        low: StoredKey | None,
        high: StoredKey | None,
        lower: Mapping[Side, int],
    ) -> set[StoredKey] | None:
        """
        Return the keys from *low* (inclusive) to *high* (exclusive) that have a mark up to *lower*, held ones left out.

        Integers by their order, and of a whole table any. None where a bound is no integer: nobody here knows then which keys are in it.
        Where more than ``MOST_SETTLED`` are, or rows of the table have got other keys, which are decided together, it is none of them.
        """
        whole = low is None and high is None
        if not (whole or all(isinstance(end, int | None) for end in (low, high))):
            return None
        least, most = key_bounds(low, high)
        bounds = lower.get(Side.A, NOTHING), lower.get(Side.B, NOTHING)
        with self._reading() as db:
            if db.execute(kq.HAS_CHANGES, (table_id,)).fetchone() is not None:
                return set()
            end = *bounds, MOST_SETTLED + 1
            points = (
                db.execute(q.SETTLED_POINTS, (table_id, *end))
                if whole
                else db.execute(q.SETTLED_WITHIN, (table_id, least, most, *end))
            )
            found: set[StoredKey] = {key for (key,) in points}
            wanted = Progression(least, most)
            for side, bound in zip(SIDES, bounds, strict=True):
                for exact in (0, 1):
                    scope = {"table_id": table_id, "side": side.value, "exact": exact}
                    for run in self._runs_between(scope, least, most):
                        both = intersect(run.keys, wanted) if run.touch[1] <= bound else None
                        if both is None:
                            continue
                        if len(found) + both.size > MOST_SETTLED:
                            return set()
                        found.update(both.members())
        return found if len(found) <= MOST_SETTLED else set()

    def has_undecided(self, table_id: int, lower: Mapping[Side, int]) -> bool:
        """Say whether a key of the table has a mark that begins at or below *lower*, held ones and runs left out."""
        bounds = lower.get(Side.A, NOTHING), lower.get(Side.B, NOTHING)
        with self._reading() as db:
            return db.execute(q.HAS_UNDECIDED, (table_id, *bounds)).fetchone() is not None

    def _mark_differing(
        self,
        table_id: int,
        side: Side,
        keys: Sequence[StoredKey],
        touch: RawTouch,
        reason: str,
        now: float,
    ) -> None:
        for low, high in rangeset.coalesce(key for key in keys if isinstance(key, int)):
            if low == high:
                self._add_inexact(table_id, side, low, touch, reason, now)
            else:
                self._add_run(table_id, side, False, Progression(low, high), touch, reason, now)
        for key in keys:
            if not isinstance(key, int):
                self._add_inexact(table_id, side, key, touch, reason, now)

    def span_progress(self) -> list[SpanProgress]:
        """Return the progress of every table that was ever marked as a whole, by table id."""
        with self._reading() as db:
            return [
                SpanProgress(
                    table_id=row[0],
                    table=TableName(row[1], row[2]),
                    reason=Reason(row[3]),
                    started_at=row[4],
                    finished_at=row[5],
                    rows=row[6],
                    chunks=row[7],
                    differing=row[8],
                    open_spans=row[9],
                    low=row[10],
                )
                for row in db.execute(q.PROGRESS)
            ]


def complement(chain: Sequence[Arc]) -> list[Arc]:
    """
    Return what a chain of spans leaves out of the table, in the order that continues the chain.

    Returns:
        [] where the chain covers the table; the whole table for an empty chain; else one or two spans.
    """
    if not chain:
        return [(None, None)]
    start, end = chain[-1][1], chain[0][0]
    if start == end:
        return []
    wraps = any(high is None for _, high in chain[:-1])
    if start is None or end is None or wraps:
        return [(start, end)]
    return [(start, None), (None, end)]
