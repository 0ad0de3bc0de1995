"""
The tables ``point`` and ``run``: adding, folding, cutting.

Two invariants that everything here keeps:

- runs of one (table, side, exactness) have no key in common; the keys that a new one shares with an old one become a run of
  their own with the folded touch, so that no key is said to be touched by what never touched it;
- where a point and a run of the same (table, side, exactness) cover a key, the point includes the run and alone is right.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from syncer.core import progression, rangeset
from syncer.core.key import StoredKey
from syncer.core.mark import Op, Reason, Touch, weight
from syncer.core.progression import Progression
from syncer.core.side import SIDES, Side
from syncer.core.visibility import NOTHING
from syncer.ledger import queries as q
from syncer.ledger.images import Images

RawTouch = tuple[int, int, str, str, int, int]
"""first_seq, last_seq, first_op, last_op, recreated, commit_us: the touch as its columns."""

LEAST, MOST = -(1 << 63), (1 << 63) - 1
"""The bounds of stored integers, both inclusive."""

KEYS_AT_ONCE = 256
"""Keys per statement; SQLite allows 999 parameters in its oldest builds."""
FEW_KEYS = 8
"""So few keys have a statement for each number of them."""

RUN_GAP = 64
"""Keys at most this far apart share one look-up of the runs over them."""


def key_bounds(low: StoredKey | None, high: StoredKey | None) -> tuple[int, int]:
    """Return the least and the greatest integer from *low* (inclusive) to *high* (exclusive); None, or no integer: there is no bound."""
    return low if isinstance(low, int) else LEAST, high - 1 if isinstance(high, int) else MOST


class Run:
    """A row of the table ``run``."""

    __slots__ = (
        "created_at",
        "exact",
        "keys",
        "number",
        "reason",
        "side",
        "table_id",
        "touch",
    )

    def __init__(self, row: Sequence[Any]) -> None:
        """Read the columns in the order of ``queries.RUN_COLUMNS``."""
        self.number: int = row[0]
        self.table_id: int = row[1]
        self.side: str = row[2]
        self.exact: int = row[3]
        self.keys = Progression(row[4], row[5], row[6])
        self.touch: RawTouch = (row[8], row[9], row[10], row[11], row[12], row[13])
        self.reason: str | None = row[14]
        self.created_at: float = row[15]

    def values(
        self,
        number: int,
        keys: Progression,
        touch: RawTouch | None = None,
        reason: str | None = None,
    ) -> tuple[Any, ...]:
        """Return a row like this one for other keys, or with another touch and reason."""
        return (
            number,
            self.table_id,
            self.side,
            self.exact,
            *keys,
            keys.lattice[1],
            *(self.touch if touch is None else touch),
            self.reason if touch is None else reason,
            self.created_at,
        )

    def point(self, number: int, key: int, touch: RawTouch) -> tuple[Any, ...]:
        """Return the parameters of ``queries.KEEP_POINT`` for one key of it."""
        return (
            number,
            self.table_id,
            key,
            self.side,
            self.exact,
            *touch,
            self.reason,
            self.created_at,
        )


class Ranges(Images):
    """Marks of keys, without the question who asks for what."""

    _run_keys = 0
    """Keys of all runs that were added since the start."""

    def _begin_points(self, keys: Sequence[tuple[int, StoredKey, str, int]]) -> None:
        """Begin a point for every (table, key, side, exact) that lies under a run and has none."""
        self._db.executemany(
            q.POINT_FROM_RUN,
            [
                {
                    "id": self._new_id(),
                    "table_id": t,
                    "key": k,
                    "side": side,
                    "exact": exact,
                    "step": step,
                    "residue": residue,
                }
                for t, k, side, exact in keys
                if isinstance(k, int)
                for step, residue in self._runs_in[t]
                if k % step == residue
            ],
        )

    def _reopen(self, keys: Iterable[tuple[int, StoredKey]]) -> None:
        self._db.executemany(q.REOPEN_KEY, keys)

    def _add_inexact(
        self,
        table_id: int,
        side: Side,
        key: StoredKey,
        touch: RawTouch,
        reason: str | None,
        now: float,
    ) -> None:
        """Add an inexact mark of one key."""
        self._unmarked.discard(side.value)
        if table_id in self._runs_in:
            self._begin_points([(table_id, key, side.value, 0)])
        if table_id in self._held_tables:
            self._reopen([(table_id, key)])
        self._db.execute(
            q.ADD_POINT, (self._new_id(), table_id, key, side.value, 0, *touch, reason, now)
        )

    def _add_run(
        self,
        table_id: int,
        side: Side,
        exact: bool,
        keys: Progression,
        touch: RawTouch,
        reason: str | None,
        now: float,
    ) -> None:
        """Add a mark of *keys*."""
        db = self._db
        self._unmarked.discard(side.value)
        self._run_keys += keys.size
        left = [keys]
        scope = {"table_id": table_id, "side": side.value, "exact": int(exact)}
        for old in self._runs_between(scope, keys.low, keys.high):
            both = progression.intersect(old.keys, keys)
            if both is None:
                continue
            left = [rest for part in left for rest in _without(part, both)]
            folded = fold_raw(old.touch, touch)
            db.execute(
                q.PUT_RUN, old.values(old.number, both, folded, fold_reason(old.reason, reason))
            )
            self._note_run(table_id, both)
            for rest in progression.subtract(old.keys, both):
                db.execute(q.ADD_RUN, old.values(self._new_id(), rest))
                self._note_run(table_id, rest)
        for piece in left:
            self._note_run(table_id, piece)
            db.execute(
                q.ADD_RUN,
                (
                    *(self._new_id(), table_id, side.value, int(exact)),
                    *(*piece, piece.lattice[1], *touch, reason, now),
                ),
            )
        names = ("first_seq", "last_seq", "first_op", "last_op", "recreated", "commit_us")
        db.execute(
            q.FOLD_POINTS,
            {
                **scope,
                **keys._asdict(),
                "reason": reason,
                **dict(zip(names, touch, strict=True)),
            },
        )
        if table_id in self._held_tables:
            db.execute(q.REOPEN_KEYS, {"table_id": table_id, **keys._asdict()})

    def _note_run(self, table_id: int, keys: Progression) -> None:
        self._runs_in.setdefault(table_id, set()).add(keys.lattice)

    def _runs_between(self, scope: Mapping[str, Any], low: int, high: int) -> list[Run]:
        """Return the runs of one (table, side, exactness) that reach into [low, high]; they may pass between its keys."""
        return [
            Run(row)
            for step, residue in self._runs_in.get(scope["table_id"], ())
            for row in self._db.execute(
                q.RUNS_BETWEEN,
                {**scope, "low": low, "high": high, "step": step, "residue": residue},
            ).fetchall()
        ]

    def _runs_over(self, table_id: int, keys: Iterable[StoredKey]) -> tuple[list[Run], list[int]]:
        """Return the runs of both sides that cover any of *keys*, and the integer keys in ascending order."""
        lattices = self._runs_in.get(table_id)
        ordered = sorted({key for key in keys if isinstance(key, int)}) if lattices else []
        if not lattices or not ordered:
            return [], ordered
        runs: dict[int, Run] = {}
        for side in SIDES:
            for exact in (0, 1):
                scope = {"table_id": table_id, "side": side.value, "exact": exact}
                for step, residue in lattices:
                    of_lattice = {**scope, "step": step, "residue": residue}
                    runs |= {run.number: run for run in self._runs_near(of_lattice, ordered)}
        return [run for run in runs.values() if run.keys.inside(ordered)], ordered

    def _runs_near(self, scope: Mapping[str, Any], ordered: Sequence[int]) -> list[Run]:
        """
        Return the runs of one lattice among which all are that cover any of *ordered*, ascending keys.

        All between the first key and the last, where those are no more than the keys; else only those near to them.
        """
        most = len(ordered)
        bounds = {"low": ordered[0], "high": ordered[-1], "most": most + 1}
        found = self._db.execute(q.SOME_RUNS_BETWEEN, {**scope, **bounds}).fetchall()
        if len(found) > most:
            found = [
                row
                for low, high in rangeset.coalesce(ordered, gap=RUN_GAP)
                for row in self._db.execute(q.RUNS_BETWEEN, {**scope, "low": low, "high": high})
            ]
        return [Run(row) for row in found]

    def _has_marks_in(self, table_id: int, least: int, most: int) -> bool:
        """Say whether a point or a run, on any side, has a key within [least, most] or one that is no integer."""
        point = self._db.execute(q.NEXT_POINT, (table_id, least)).fetchone()
        if point is not None and (not isinstance(point[0], int) or point[0] <= most):
            return True
        wanted = Progression(least, most)
        return any(
            progression.intersect(run.keys, wanted)
            for side in SIDES
            for exact in (0, 1)
            for run in self._runs_between(
                {"table_id": table_id, "side": side.value, "exact": exact}, least, most
            )
        )

    def _cut(self, run: Run, keys: Sequence[int]) -> None:
        """Take *keys* out of *run*."""
        pieces = run.keys.without(keys)
        self._db.execute(q.DROP_RUN, (run.number,))
        for place, piece in enumerate(pieces):
            # The lowest piece keeps the place in the order of claiming.
            number = run.number if place == 0 else self._new_id()
            self._db.execute(q.ADD_RUN, run.values(number, piece))
            self._note_run(run.table_id, piece)

    def _forget_runs(self, table_id: int) -> None:
        """Note that a table has no runs any more, if so."""
        if self._db.execute(q.HAS_RUN, (table_id,)).fetchone() is None:
            self._runs_in.pop(table_id, None)

    def _pull_points(self, table_id: int, keys: Sequence[StoredKey]) -> None:
        """Make points of *keys* where they are part of runs, and cut them out of those."""
        runs, ordered = self._runs_over(table_id, keys)
        for run in runs:
            inside = run.keys.inside(ordered)
            self._db.executemany(
                q.KEEP_POINT, [run.point(self._new_id(), key, run.touch) for key in inside]
            )
            self._cut(run, inside)
        if runs:
            self._forget_runs(table_id)

    def _clear_marks(
        self,
        table_id: int,
        keys: Sequence[StoredKey],
        lower: Mapping[Side, int],
        present: Mapping[StoredKey, bool] | None,
    ) -> None:
        """Delete the marks up to *lower*, cut those that reach beyond (INV-6, INV-11)."""
        a, b = lower.get(Side.A, NOTHING), lower.get(Side.B, NOTHING)
        if not keys or (a <= NOTHING and b <= NOTHING):
            return
        self._drop_images(table_id, keys, lower)
        absent: set[StoredKey] = set()
        if present and False in present.values():
            absent = {key for key in keys if present.get(key) is False}
        for some in in_parts(keys):
            self._db.execute(q.clear_points(len(some)), (a, b, table_id, *some))
        gone = [key for key in keys if key in absent] if absent else []
        for part, is_absent in (
            (gone, True),
            ([k for k in keys if k not in absent] if gone else keys, False),
        ):
            for some in in_parts(part):
                sql = q.cut_points(len(some), absent=is_absent)
                self._db.execute(sql, (a, b, a, b, table_id, *some))
        runs, ordered = self._runs_over(table_id, keys)
        for run in runs:
            bound = a if run.side == Side.A.value else b
            if run.touch[0] > bound:
                continue
            inside = run.keys.inside(ordered)
            self._cut(run, inside)
            if run.touch[1] > bound:
                self._keep_later(run, [k for k in inside if k in absent], bound, absent=True)
                self._keep_later(run, [k for k in inside if k not in absent], bound, absent=False)
        if runs:
            self._forget_runs(table_id)

    def _keep_later(self, run: Run, keys: Sequence[int], bound: int, *, absent: bool) -> None:
        """Mark *keys*, just cut out of *run*, with the part of its touch that is later than *bound*."""
        _, last_seq, first_op, last_op, recreated, commit_us = run.touch
        if absent:
            first_op = "i"
        elif first_op == "i":
            first_op = "u"
        touch = (bound + 1, last_seq, first_op, last_op, recreated, commit_us)
        for part in run.keys.parts(keys):
            if part.size == 1:
                self._db.execute(q.KEEP_POINT, run.point(self._new_id(), part.low, touch))
            else:
                self._db.execute(q.ADD_RUN, run.values(self._new_id(), part, touch, run.reason))
                self._note_run(run.table_id, part)


def in_parts(keys: Iterable[StoredKey]) -> Iterator[list[StoredKey]]:
    """Divide *keys* for statements of few different lengths, so that these stay prepared; a key may come twice."""
    rest = iter(keys)
    while some := list(itertools.islice(rest, KEYS_AT_ONCE)):
        yield some + [some[-1]] * (KEYS_AT_ONCE - len(some)) if len(some) > FEW_KEYS else some


def run_of(low: StoredKey, high: StoredKey, step: int) -> Progression:
    """Return the keys of a run mark; ValueError where they are none."""
    if not isinstance(low, int) or not isinstance(high, int) or low > high or step < 1:
        raise ValueError("a run of keys needs integer bounds in order")
    if (high - low) % step:
        raise ValueError("a run of keys ends at a key of its own")
    return progression.made(low, high, step)


def _without(part: Progression, hole: Progression) -> list[Progression]:
    both = progression.intersect(part, hole)
    return [part] if both is None else progression.subtract(part, both)


def fold_raw(earlier: RawTouch, later: RawTouch) -> RawTouch:
    """Join two touches as ``Touch.fold`` does."""
    again = earlier[3] == "d" and later[2] == "i"
    return (
        min(earlier[0], later[0]),
        max(earlier[1], later[1]),
        earlier[2],
        later[3],
        int(bool(earlier[4] or later[4] or again)),
        later[5],
    )


def fold_reason(one: str | None, other: str | None) -> str | None:
    """Join the reasons of two inexact marks: the heavier one counts (``core/mark.py::weight``)."""
    return other if weight(as_reason(other)) > weight(as_reason(one)) else one


OPS = {op.value: op for op in Op}


def as_touch(raw: Sequence[Any]) -> Touch:
    """Undo ``raw_touch``."""
    return Touch(raw[0], raw[1], OPS[raw[2]], OPS[raw[3]], bool(raw[4]), raw[5])


def as_reason(text: str | None) -> Reason | None:
    """Return the reason that a column names."""
    return None if text is None else Reason(text)
