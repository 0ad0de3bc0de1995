"""What tailers write: marks, spans, erasures, XA, positions (the MarkStore protocol of ``core/record.py``)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from syncer.core.key import StoredKey
from syncer.core.mark import KeyMark, Lookup, Reason, SpanMark, Touch
from syncer.core.position import StreamPosition
from syncer.core.record import OPEN_BRANCH, Record, RowRecord, TransactionRecord, whole
from syncer.core.side import Side
from syncer.ledger import journal_queries as jq
from syncer.ledger import queries as q
from syncer.ledger.key_changes import KeyChanges
from syncer.ledger.lookups import Lookups
from syncer.ledger.ranges import LEAST, MOST, RawTouch, run_of
from syncer.ledger.spans import Spans

Point = tuple[Any, ...]
"""The parameters of ``queries.ADD_EXACT``."""
_TOGETHER = 64
"""So few records are marked one by one."""
_LOOKED_AT = 1000
"""So many points tell whether the same keys come again and again: then to join them is cheaper than to write each."""


class _Prepared(msgspec.Struct, frozen=True):
    """What an XA transaction will mark when it is committed."""

    marks: tuple[KeyMark, ...]
    spans: tuple[SpanMark, ...]
    lookups: tuple[Lookup, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Prepared).decode


class Marks(Lookups, Spans, KeyChanges):
    """The part of the ledger that tailers use."""

    def position(self, side: Side) -> StreamPosition | None:
        """Return the position saved for *side*; None before the first ``start`` or ``record``."""
        with self._reading():
            return self._position(side)

    def _position(self, side: Side) -> StreamPosition | None:
        row = self._db.execute(q.POSITION, (side.value,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=StreamPosition)

    def start(
        self, positions: dict[Side, StreamPosition], table_ids: Sequence[int], reason: Reason
    ) -> None:
        """
        Start streams anew: save the positions and mark every table, on the sides given.

        Marks that are there stay. Finished batches that these streams have not met are forgotten: they lie behind.
        """
        now = self._clock.now()
        with self._writing(durable=True) as db:
            for side, position in positions.items():
                self._put_position(side, position)
                db.execute(jq.DROP_UNSEEN, (side.value,))
            for table_id in table_ids:
                for side, position in positions.items():
                    self._mark_span(table_id, side, position.seq, reason, now)

    def disown(self, side: Side, position: StreamPosition, table_ids: Sequence[int]) -> None:
        """
        Begin *side* anew at *position*: its server went back, and what its stream told so far may not be so (INV-19).

        Every table is marked RESTORED on both sides, since rows that came from there may be what is missing there now. The
        exact marks of *side* go; the other side's stay, its stream is whole. One transaction.
        """
        now = self._clock.now()
        with self._writing(durable=True) as db:
            other = self._position(side.other)
            for table_id in table_ids:
                self._mark_span(table_id, side, position.seq, Reason.RESTORED, now)
                seq = 0 if other is None else other.seq
                self._mark_span(table_id, side.other, seq, Reason.RESTORED, now)
            for statement in q.DISOWN_SIDE:
                db.execute(statement, (side.value,))
            self._put_position(side, position)
            db.execute(q.UNCONFIRM, (side.value,))
            db.execute(jq.DROP_UNSEEN, (side.value,))
            self._load()

    def record(self, side: Side, records: Sequence[Record], position: StreamPosition) -> None:
        """
        Persist whole transactions together with the position after the last of them (INV-1).

        A new mark of a held key re-opens it on both sides. An XA COMMIT of a transaction whose PREPARE was never met marks
        every table (UNREADABLE): nobody can say what it changed.
        """
        now, side_text = self._clock.now(), side.value
        with self._writing() as db:
            points: list[Point] = []
            if len(records) >= _TOGETHER:
                records = self._mark_rows(side_text, records, now)
            for one in records:
                if (
                    isinstance(one, RowRecord)
                    and one.table_id not in self._changed_in
                    and one.table_id not in self._imaged
                ):
                    number, seq, op = self._next_id, one.seq, one.op._value_
                    touch = (seq, seq, op, op, 0, one.commit_us)
                    points.append((number, one.table_id, one.key, side_text, *touch, now))
                    self._next_id = number + 1
                    continue
                record = whole(one)
                if record.erase:
                    self._flush(points)
                    self._erase(side, record)
                if record.committed_xid is not None:
                    self._commit_xa(side, record, points, now)
                if record.prepared_xid is not None:
                    self._prepare_xa(side, record.prepared_xid, record)
                else:
                    if record.key_changes:
                        self._flush(points)
                    if record.key_changes or self._changed_in:
                        self._keep_key_changes(side, record)
                    self._take(side, record.marks, points, now)
                    if record.images or self._imaged:
                        self._keep_images(side, record)
                    if record.lookups:
                        self._add_lookups(side, record.lookups, now)
                    for span in record.spans:
                        self._mark_span(span.table_id, side, span.seq, span.reason, now)
                if record.rolled_back_xid is not None:
                    db.execute(q.DROP_XA, (side.value, record.rolled_back_xid))
                if record.batch_id is not None:
                    self._see_batch(side, record.batch_id, record.gtid, record.lane)
            self._flush(points)
            self._put_position(side, position)

    def _mark_rows(self, side: str, records: Sequence[Record], now: float) -> Sequence[Record]:
        """
        Mark what the first ones of *records* changed, where each changed one row, all alike; return the others.

        SQLite takes their keys as one value: a statement for each costs more than twice as much, and our other threads wait.
        """
        rows: list[RowRecord] = []
        for one in records:
            if not isinstance(one, RowRecord):
                break
            rows.append(one)
        tables, ops = {one.table_id for one in rows}, {one.op for one in rows}
        if len(rows) < _TOGETHER or len(tables) > 1 or len(ops) > 1:
            return records
        table_id, op = tables.pop(), ops.pop()
        special = (self._changed_in, self._imaged, self._runs_in, self._held_tables)
        keys = [one.key for one in rows]
        if any(table_id in some for some in special) or set(map(type, keys)) != {int}:
            return records
        if rows[-1].seq - rows[0].seq != len(rows) - 1:
            return records
        self._unmarked.discard(side)
        number = self._next_id
        self._next_id = number + len(rows)
        if _comes_again(keys):
            # One operation folds into itself: of each key the first and the last time count (``folded``).
            last = dict(zip(keys, rows, strict=True))
            first = dict(zip(reversed(keys), reversed(rows), strict=True))
            raw = op._value_
            points = [
                (n, table_id, k, side, first[k].seq, one.seq, raw, raw, 0, one.commit_us, now)
                for n, (k, one) in enumerate(last.items(), number)
            ]
            self._db.executemany(q.ADD_EXACT, points)
            return records[len(rows) :]
        times = [one.commit_us for one in rows]
        alike = times.count(times[0]) == len(times)
        self._db.execute(
            q.ADD_ROWS if alike else q.ADD_TIMED_ROWS,
            {
                "id": number,
                "table_id": table_id,
                "side": side,
                "seq": rows[0].seq,
                "op": op._value_,
                "commit_us": times[0],
                "now": now,
                "rows": _to_json(keys if alike else [*zip(keys, times, strict=True)]),
            },
        )
        return records[len(rows) :]

    def spill(self, side: Side, marks: Sequence[KeyMark], lookups: Sequence[Lookup] = ()) -> None:
        """
        Persist marks and lookups of a transaction whose end is not in sight, before its position.

        Never to be called for an XA transaction: its marks count from its XA COMMIT, not from now (INV-18).
        """
        now = self._clock.now()
        with self._writing():
            points: list[Point] = []
            self._take(side, marks, points, now)
            self._leave_gaps(side, marks)
            self._end_changes(side, marks)
            self._flush(points)
            self._add_lookups(side, lookups, now)

    def spill_branch(
        self, side: Side, marks: Sequence[KeyMark], lookups: Sequence[Lookup], *, first: bool
    ) -> None:
        """
        Hold a part of an XA branch whose PREPARE is not in sight (INV-18).

        The *first* one takes the place of what is left of a branch whose PREPARE was never read.
        """
        with self._writing() as db:
            if first:
                db.execute(q.DROP_XA, (side.value, OPEN_BRANCH))
            payload = _encode(_Prepared(tuple(marks), (), tuple(lookups)))
            db.execute(q.ADD_XA, (side.value, OPEN_BRANCH, payload))

    def _prepare_xa(self, side: Side, xid: str, record: TransactionRecord) -> None:
        db = self._db
        db.execute(q.DROP_XA, (side.value, xid))
        if record.spilled:
            db.execute(q.NAME_XA, (xid, side.value, OPEN_BRANCH))
        payload = _encode(_Prepared(record.marks, record.spans, record.lookups))
        db.execute(q.ADD_XA, (side.value, xid, payload))

    def _put_position(self, side: Side, position: StreamPosition) -> None:
        self._db.execute(q.PUT_POSITION, (side.value, msgspec.json.encode(position).decode()))

    def _take(self, side: Side, marks: Iterable[KeyMark], points: list[Point], now: float) -> None:
        """Add exact points to *points* and write all else; the order of marks is kept."""
        side_text = side.value
        number = self._next_id
        last: Touch | None = None
        raw: RawTouch = (0, 0, "", "", 0, 0)
        append = points.append
        for mark in marks:
            touch = mark.touch
            # The marks of one statement share their touch.
            if touch is not last:
                last = touch
                raw = raw_touch(touch)
            low = mark.low
            if mark.exact and low == mark.high:
                append((number, mark.table_id, low, side_text, *raw, now))
                number += 1
                continue
            self._next_id = number
            self._flush(points)
            if low == mark.high:
                self._add_inexact(mark.table_id, side, low, raw, None, now)
            else:
                keys = run_of(low, mark.high, mark.step)
                self._add_run(mark.table_id, side, mark.exact, keys, raw, None, now)
            number = self._next_id
        self._next_id = number

    def _flush(self, points: list[Point]) -> None:
        """Write the exact points collected so far, all of one side, and empty the list."""
        if not points:
            return
        self._unmarked.discard(points[0][3])
        if self._runs_in:
            self._begin_points([(p[1], p[2], p[3], 1) for p in points if p[1] in self._runs_in])
        if self._held_tables:
            self._reopen((p[1], p[2]) for p in points if p[1] in self._held_tables)
        hot = _comes_again([(p[1], p[2]) for p in points[:_LOOKED_AT]])
        self._db.executemany(q.ADD_EXACT, folded(points) if hot else points)
        points.clear()

    def _erase(self, side: Side, record: TransactionRecord) -> None:
        """INV-12: what this side did before our write of a key was part of what we replaced."""
        before = {side: record.seq - 1}
        for erasure in record.erase:
            table_id, bounds = erasure.table_id, erasure.bounds
            if (
                bounds is not None
                and table_id not in self._imaged
                and table_id not in self._changed_in
                and not self._has_marks_in(table_id, *bounds)
            ):
                continue
            keys = tuple(erasure.keys)
            self._drop_images(table_id, keys, before)
            self._drop_key_changes(table_id, keys, before)
            if side.value in self._unmarked:
                continue
            integers = [key for key in keys if isinstance(key, int)]
            least, most = min(integers, default=LEAST), max(integers, default=MOST)
            if not self._has_marks_in(table_id, least, most):
                continue
            self._clear_marks(table_id, keys, before, None)

    def _commit_xa(
        self, side: Side, record: TransactionRecord, points: list[Point], now: float
    ) -> None:
        xid, seq = record.committed_xid, record.seq
        parts = self._db.execute(q.XA_PARTS, (side.value, xid)).fetchall()
        if not parts:
            for table_id in self._table_ids.values():
                self._mark_span(table_id, side, seq, Reason.UNREADABLE, now)
            return
        for (number,) in parts:
            # One part in memory at a time.
            held = _decode(self._db.execute(q.GET_XA, (number,)).fetchone()[0])
            self._take(side, _stamped(held.marks, seq, record.commit_us), points, now)
            self._leave_gaps(side, held.marks, seq)
            self._end_changes(side, held.marks)
            self._flush(points)
            again = (msgspec.structs.replace(lookup, seq=seq) for lookup in held.lookups)
            self._add_lookups(side, again, now)
            for span in held.spans:
                self._mark_span(span.table_id, side, seq, span.reason, now)
        self._db.execute(q.DROP_XA, (side.value, xid))

    def _see_batch(self, side: Side, batch_id: int, gtid: str, lane: str) -> None:
        """Note that the tailer of the target has met our batch, and what it is called there."""
        if gtid:
            self._db.execute(jq.NAME_APPLIED, (gtid, batch_id, batch_id, side.value))
        self._db.execute(jq.SEE_BATCH, (batch_id, side.value))
        self._db.execute(jq.DROP_DONE, (batch_id,))
        self._db.execute(q.CONFIRM, (side.value, lane, batch_id))

    def confirmed(self, side: Side) -> dict[str, int]:
        """
        Return the newest batch known to be committed at *side* by each marker row, by lane (INV-19).

        Under ANY_ROW stands what an older version knew: the newest of all rows together.
        """
        with self._reading() as db:
            return dict(db.execute(q.CONFIRMED, (side.value,)).fetchall())

    def last_confirmed(self, side: Side) -> int:
        """Return the newest batch known to be committed at *side* by any marker row; 0 before the first."""
        return max(self.confirmed(side).values(), default=0)


def _comes_again(keys: Sequence[Hashable]) -> bool:
    """Say whether the same ones of *keys* come again and again, as far as is looked at."""
    some = keys[:_LOOKED_AT]
    return len(some) > 2 * len(set(some))


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def folded(points: Iterable[Point]) -> list[Point]:
    """Join the exact points of each key, all of one side and in their order, as ``queries.ADD_EXACT`` would one after the other."""
    found: dict[tuple[int, StoredKey], Point] = {}
    for point in points:
        at = point[1:3]
        old = found.get(at)
        if old is None:
            found[at] = point
            continue
        number, table_id, key, side, first_seq, _, first_op, last_op, again, _, now = old
        _, _, _, _, _, last_seq, op, end, more, commit_us, _ = point
        again = again or more or (1 if last_op == "d" and op == "i" else 0)
        found[at] = (
            number,
            table_id,
            key,
            side,
            first_seq,
            last_seq,
            first_op,
            end,
            again,
            commit_us,
            now,
        )
    return list(found.values())


def raw_touch(touch: Touch) -> RawTouch:
    """Return *touch* as the values of its columns; plain str and int, which SQLite binds fastest."""
    return (
        touch.first_seq,
        touch.last_seq,
        touch.first_op._value_,
        touch.last_op._value_,
        1 if touch.recreated else 0,
        touch.commit_us,
    )


def _stamped(marks: Iterable[KeyMark], seq: int, commit_us: int) -> Iterator[KeyMark]:
    """Give held marks the number of the transaction that commits them, and its time where that is known."""
    replace = msgspec.structs.replace
    touches: dict[Touch, Touch] = {}  # a few, shared by many marks
    for mark in marks:
        touch = touches.get(mark.touch)
        if touch is None:
            touch = touches[mark.touch] = replace(
                mark.touch,
                first_seq=seq,
                last_seq=seq,
                commit_us=commit_us or mark.touch.commit_us,
            )
        yield replace(mark, touch=touch)
