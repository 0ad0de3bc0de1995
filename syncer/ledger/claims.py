"""What the reconciler asks of the marks: which keys are due, what is known of them, what has become of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from syncer.core.key import StoredKey
from syncer.core.mark import KeyMarks, Op, SideMarks, Touch
from syncer.core.side import SIDES, Side
from syncer.ledger import journal_queries as jq
from syncer.ledger import queries as q
from syncer.ledger.journal import Journal
from syncer.ledger.ranges import OPS, Ranges, Run, as_reason, as_touch, fold_reason, in_parts
from syncer.ledger.records import ClaimedKey, HeldKey

UNMARKED = KeyMarks()
NONE: Mapping[int, AbstractSet[StoredKey]] = {}
_decode_marks = msgspec.json.Decoder(list[tuple[int, str, int, int, str]]).decode
_decode_claimed = msgspec.json.Decoder(list[ClaimedKey]).decode
_EXACT = 2
"""The place of that column in a row of ``queries.points_of``."""


class _Found:
    """What is collected of one key on one side."""

    __slots__ = ("exact", "first", "last", "points", "reason")

    def __init__(self) -> None:
        self.exact: Touch | None = None
        self.first: int | None = None
        self.last: int | None = None
        self.reason: str | None = None
        self.points: set[int] = set()

    def inexact(self, first: int, last: int, reason: str | None) -> None:
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)
        self.reason = fold_reason(self.reason, reason)

    def marks(self) -> SideMarks:
        return SideMarks(self.exact, self.first, self.last, as_reason(self.reason))


def _each_once(claims: Iterable[ClaimedKey]) -> dict[tuple[int, StoredKey], ClaimedKey]:
    """Put the marks of one key together, in the order of the oldest."""
    found: dict[tuple[int, StoredKey], ClaimedKey] = {}
    for one in claims:
        at = one.table_id, one.key
        known = found.get(at)
        if known is None:
            found[at] = one
        else:
            tries, marked_at = max(one.tries, known.tries), min(one.marked_at, known.marked_at)
            found[at] = ClaimedKey(*at, tries, marked_at)
    return found


class Claims(Journal, Ranges):
    """The part of the ledger that the reconciler uses, but for spans and batches. A claim locks nothing."""

    _only_integers = True
    """Until a key is met that is none."""

    def claim_keys(
        self, limit: int, now: float, but: Mapping[int, AbstractSet[StoredKey]] = NONE
    ) -> list[ClaimedKey]:
        """
        Return the keys that are due, oldest mark first, at most *limit*, each key once, and none of *but* (by table id).

        A key is due where any of its marks is: not held, and its back-off is over. A run gives its lowest keys.
        """
        quickly = self._claim_integers(limit, now, but)
        if quickly is not None:
            return quickly
        found: dict[tuple[int, StoredKey], ClaimedKey] = {}

        def take(run: tuple[Any, ...]) -> None:
            _, table_id, low, high, step, marked_at = run
            for key in range(low, high + 1, step):
                if len(found) >= limit:
                    break
                if key not in but.get(table_id, ()):
                    found.setdefault((table_id, key), ClaimedKey(table_id, key, 0, marked_at))

        with self._reading() as db:
            points, runs = db.execute(q.CLAIM_POINTS, (now,)), db.execute(q.CLAIM_RUNS)
            run = runs.fetchone()
            for number, table_id, key, tries, marked_at in points:
                while run is not None and run[0] <= number:
                    take(run)
                    run = runs.fetchone()
                if len(found) >= limit:
                    break
                if table_id in but and key in but[table_id]:
                    continue
                at = table_id, key
                known = found.get(at)
                if known is not None:
                    tries, marked_at = max(tries, known.tries), min(marked_at, known.marked_at)  # noqa: PLW2901
                found[at] = ClaimedKey(table_id, key, tries, marked_at)
            while run is not None and len(found) < limit:
                take(run)
                run = runs.fetchone()
            points.close()
            runs.close()
        return list(found.values())

    def _claim_integers(
        self, limit: int, now: float, but: Mapping[int, AbstractSet[StoredKey]]
    ) -> list[ClaimedKey] | None:
        """Do what ``claim_keys`` does where all marks are points of integer keys; None where they are not."""
        if not self._only_integers:
            return None
        with self._reading() as db:
            if db.execute(q.CLAIM_RUNS).fetchone() is not None:
                return None
            most = limit + sum(map(len, but.values()))
            [text] = db.execute(q.CLAIM_INTEGERS, (now, most)).fetchone()
        try:
            points = _decode_claimed(text)
        except msgspec.ValidationError:
            self._only_integers = False
            return None
        if but:
            points = [one for one in points if one.key not in but.get(one.table_id, ())]
        if len({one.key for one in points}) < len(points):  # as any two tables may have them
            points = list(_each_once(points).values())
        return points[:limit]

    def has_claimable(self, now: float) -> bool:
        """Say whether a key or a span is due."""
        with self._reading() as db:
            return bool(db.execute(q.HAS_CLAIMABLE, (now,)).fetchone()[0])

    def has_claimable_keys(self, now: float) -> bool:
        """Say whether a key is due."""
        with self._reading() as db:
            return any(
                db.execute(statement, parameters).fetchone() is not None
                for statement, parameters in ((q.CLAIM_POINTS, (now,)), (q.CLAIM_RUNS, ()))
            )

    def next_due(self, now: float) -> float | None:
        """Return when the next mark is due: *now* if one is, None where nothing waits but held keys."""
        with self._mutex:
            with self._reading() as db:
                if db.execute(q.HAS_CLAIMABLE, (now,)).fetchone()[0]:
                    return now
                due = db.execute(q.NEXT_DUE, (now,)).fetchone()[0]
            if due is not None:
                return float(due)
            if not self.read_only:
                self._nothing_waits()
            return None

    def marks_of(self, table_id: int, keys: Sequence[StoredKey]) -> dict[StoredKey, KeyMarks]:
        """
        Return all marks of *keys*, held and deferred ones included; a key without any has an empty KeyMarks.

        A span covers an integer key by order; any other key is taken as covered by every open span of its table.
        """
        with self._reading() as db:
            points = self._points_of(table_id, keys)
            runs, ordered = self._runs_over(table_id, keys)
            spans = db.execute(q.SPANS_OF, (table_id,)).fetchall()
        if not spans and all(p[_EXACT] for p in points) and all(run.exact for run in runs):
            return _of_exact_marks(keys, points, runs, ordered)
        found: dict[StoredKey, dict[Side, _Found]] = {
            key: {side: _Found() for side in SIDES} for key in keys
        }
        self._collect_points(points, found)
        self._collect_runs(runs, ordered, found)
        self._collect_spans(spans, found)
        return {key: KeyMarks(m[Side.A].marks(), m[Side.B].marks()) for key, m in found.items()}

    def one_sided(
        self, table_id: int, keys: Sequence[StoredKey], lower: Mapping[Side, int]
    ) -> dict[Side, dict[StoredKey, Op]]:
        """
        Return, of *keys*, those whose marks are all exact, of one side, and at or below its *lower*: side, first operation.

        What ``marks_of`` would say of them in full; nothing is returned of a table with an open span.
        """
        with self._reading() as db:
            if db.execute(q.SPANS_OF, (table_id,)).fetchone() is not None:
                return {}
            points = self._first_marks(table_id, keys)
            runs, ordered = self._runs_over(table_id, keys)
        found: dict[StoredKey, tuple[str, str]] = {}
        others: set[StoredKey] = set()
        bound = {side.value: lower[side] for side in SIDES}
        for key, side, exact, last_seq, first_op in points:
            if key in found or not exact or last_seq > bound[side]:
                others.add(key)
            else:
                found[key] = side, first_op
        for run in runs:
            proven = run.exact and run.touch[1] <= bound[run.side]
            for key in run.keys.inside(ordered):
                known = found.get(key)
                if known is None and proven:
                    found[key] = run.side, run.touch[2]
                elif known is None or not run.exact or known[0] != run.side:
                    others.add(key)  # a point includes the run of its side
        by_side: dict[Side, dict[StoredKey, Op]] = {side: {} for side in SIDES}
        a, b, ops = by_side[Side.A], by_side[Side.B], OPS
        for key, (side, first_op) in found.items():
            if key not in others:
                (a if side == "a" else b)[key] = ops[first_op]
        return by_side

    def _first_marks(
        self, table_id: int, keys: Sequence[StoredKey]
    ) -> Iterable[tuple[StoredKey, str, int, int, str]]:
        """Return key, side, exactness, last transaction and first operation of the points of *keys*."""
        if set(map(type, keys)) == {int}:
            text = msgspec.json.encode(keys).decode()
            return _decode_marks(self._db.execute(q.FIRST_MARKS, (table_id, text)).fetchone()[0])
        return [
            (key, side, exact, last_seq, first_op)
            for key, side, exact, _, last_seq, first_op, *_ in self._points_of(table_id, keys)
        ]

    def _points_of(self, table_id: int, keys: Sequence[StoredKey]) -> list[tuple[Any, ...]]:
        points: list[tuple[Any, ...]] = []
        for some in in_parts(keys):
            points += self._db.execute(q.points_of(len(some)), (table_id, *some))
        return points

    @staticmethod
    def _collect_points(
        points: Sequence[tuple[Any, ...]], found: dict[StoredKey, dict[Side, _Found]]
    ) -> None:
        for row in points:
            into = found[row[0]][Side(row[1])]
            into.points.add(row[_EXACT])
            if row[_EXACT]:
                into.exact = as_touch(row[3:9])
            else:
                into.inexact(row[3], row[4], row[9])

    @staticmethod
    def _collect_runs(
        runs: Sequence[Run], ordered: Sequence[int], found: dict[StoredKey, dict[Side, _Found]]
    ) -> None:
        for run in runs:
            touch = as_touch(run.touch)
            for key in run.keys.inside(ordered):
                into = found[key][Side(run.side)]
                if run.exact in into.points:
                    continue
                if run.exact:
                    into.exact = touch
                else:
                    into.inexact(touch.first_seq, touch.last_seq, run.reason)

    @staticmethod
    def _collect_spans(
        spans: Sequence[tuple[Any, ...]], found: dict[StoredKey, dict[Side, _Found]]
    ) -> None:
        for _, side_text, low, high, first, last, reason in spans:
            side = Side(side_text)
            for key, sides in found.items():
                if covers(low, high, key):
                    sides[side].inexact(first, last, reason)

    def waiting_keys(self, table_id: int, limit: int) -> list[StoredKey]:
        """Return at most *limit* keys that a claim may leave out: put off, then held ones. A key may come twice."""
        with self._reading() as db:
            scope = {"table_id": table_id, "limit": limit}
            return [row[0] for row in db.execute(q.WAITING_KEYS, scope)]

    def clear(
        self,
        table_id: int,
        keys: Sequence[StoredKey],
        lower: dict[Side, int],
        present: dict[StoredKey, bool] | None = None,
    ) -> None:
        """
        Delete what a decision has settled: the marks of *keys* up to *lower*, both sides (INV-6, INV-11).

        A mark that reaches beyond is cut: it begins at ``lower + 1``, and its first operation is INSERT where the agreed row
        is absent, else UPDATE if it was INSERT. A held entry of a key becomes superseded. Spans stay.

        Args:
            lower: per side; a side that is left out keeps its marks.
            present: whether the agreed row exists, per key; None, or a key that is left out: it does.
        """
        now = self._clock.now()
        with self._writing():
            self._clear_marks(table_id, keys, lower, present)
            self._settle_holds(table_id, keys, now)

    def defer(self, table_id: int, keys: Sequence[StoredKey], not_before: float) -> None:
        """
        Put *keys* off until *not_before* and count one more try.

        That is a time of the monotonic clock, like every *now* here: a wall clock that is set back would put them off for
        as long as it was set back. A later process begins with ``end_back_offs``.

        Marks that come later do not end the back-off of the side that has it; on the other side they are due at once.
        """
        with self._writing() as db:
            self._pull_points(table_id, keys)
            db.executemany(q.DEFER_KEY, [(not_before, table_id, key) for key in keys])

    def end_back_offs(self) -> None:
        """Make every key due that was put off: the clock of another process means nothing in this one."""
        with self._writing() as db:
            db.execute(q.END_BACK_OFFS)

    def hold(
        self,
        table_id: int,
        keys: Sequence[StoredKey],
        conflict_id: int,
        lower: Mapping[Side, int] | None = None,
    ) -> None:
        """
        Keep *keys* from being claimed until a new mark of them arrives, or ``release``.

        Their entry is *conflict_id* now; another entry that held one of them becomes superseded.

        Args:
            lower: per side, the last transaction that the images held contain for certain. A key with a mark beyond it
                stays claimable, since that change may be the answer, and the entry is superseded at once. None: whatever
                marks there are.
        """
        now = self._clock.now()
        with self._mutex:
            if lower is not None and self._marked_after(table_id, keys, lower):
                with self._writing() as db:
                    db.execute(jq.SUPERSEDE, (now, conflict_id))
                return
            with self._writing() as db:
                self._pull_points(table_id, keys)
                self._settle_holds(table_id, keys, now, but=conflict_id)
                db.executemany(q.HOLD_KEY, [(table_id, key) for key in keys])
                db.executemany(jq.PUT_HOLD, [(table_id, key, conflict_id) for key in keys])
                self._held_tables.add(table_id)
                self._hold_tables.add(table_id)

    def _marked_after(
        self, table_id: int, keys: Sequence[StoredKey], lower: Mapping[Side, int]
    ) -> bool:
        for marks in self.marks_of(table_id, keys).values():
            for side, last in lower.items():
                found = marks.of(side)
                exact = -1 if found.exact is None else found.exact.last_seq
                if max(exact, -1 if found.inexact_last is None else found.inexact_last) > last:
                    return True
        return False

    def release(self, table_id: int, keys: Sequence[StoredKey]) -> None:
        """Make held keys claimable again; their entry stays held until they are decided."""
        with self._writing() as db:
            self._reopen((table_id, key) for key in keys)
            if db.execute(q.HAS_HELD, (table_id,)).fetchone() is None:
                self._held_tables.discard(table_id)

    def held(self) -> list[HeldKey]:
        """Return the keys that are held, longest held first."""
        with self._reading() as db:
            return [HeldKey(*row) for row in db.execute(jq.HELD)]


def _of_exact_marks(
    keys: Sequence[StoredKey],
    points: Sequence[tuple[Any, ...]],
    runs: Sequence[Run],
    ordered: Sequence[int],
) -> dict[StoredKey, KeyMarks]:
    """Return the marks of *keys* where all are exact: a key has at most one a side that counts, its point before its run."""
    found = dict.fromkeys(keys, UNMARKED)
    for row in points:
        found[row[0]] = _with(found[row[0]], row[1], SideMarks(as_touch(row[3:9])))
    for run in runs:
        mark = SideMarks(as_touch(run.touch))
        alone = _with(UNMARKED, run.side, mark)
        for key in run.keys.inside(ordered):
            known = found[key]
            if known is UNMARKED:
                found[key] = alone
            elif (known.a if run.side == Side.A else known.b).exact is None:
                found[key] = _with(known, run.side, mark)
    return found


def _with(marks: KeyMarks, side: str, mark: SideMarks) -> KeyMarks:
    return KeyMarks(mark, marks.b) if side == Side.A else KeyMarks(marks.a, mark)


def covers(low: StoredKey | None, high: StoredKey | None, key: StoredKey) -> bool:
    """Say whether the span [low, high) may hold *key*: by order for integers, else always."""
    if not isinstance(key, int):
        return True
    if isinstance(low, int) and key < low:
        return False
    return not (isinstance(high, int) and key >= high)
