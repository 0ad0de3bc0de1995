"""The keys that one transaction touched, folded, and the marks made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from syncer.core import progression
from syncer.core.key import StoredKey
from syncer.core.mark import KeyMark, Op, Touch
from syncer.core.progression import Progression

_RUN_KEYS = 8
"""Fewer keys than this stay points: they are quicker to write and to look up."""
_RUN_STEP = 16
"""Keys further apart than this make no run; servers that share a table step by their number."""
_RUNS_LOOKED_AT = 64

# What happened to a key is kept as a small integer per key: (first, last, recreated), see Touch.
_STATES = [(first, last, again) for again in (False, True) for first in Op for last in Op]
_NUMBER = {state: at for at, state in enumerate(_STATES)}


def _folded(state: tuple[Op, Op, bool], op: Op) -> int:
    first, last, again = state
    made = Touch(1, 1, first, last, again, 0).fold(
        Touch(1, 1, op, op, recreated=False, commit_us=0)
    )
    return _NUMBER[made.first_op, made.last_op, made.recreated]


_HOW = {
    str(op.value): (_NUMBER[op, op, False], [_folded(state, op) for state in _STATES]) for op in Op
}
"""Per operation: the state of a key that it touches first, and the state that it makes of each other one."""


class TableKeys:
    """
    The keys of one table that one transaction touched, each with its state.

    A rows event of integer keys at an even distance is kept as a progression, without an object per row, as long as no
    other event touches its keys.
    """

    __slots__ = ("_hull", "_hull_of", "_runs", "_states", "_top")

    def __init__(self) -> None:
        self._states: dict[StoredKey, int] = {}
        self._runs: list[tuple[Progression, int]] = []
        self._hull: tuple[int, int] | None = None
        self._hull_of = 0
        self._top = 0

    def __len__(self) -> int:
        return len(self._states) + sum(run.size for run, _ in self._runs)

    def __iter__(self) -> Iterator[StoredKey]:
        yield from self._states
        for run, _ in self._runs:
            yield from run.members()

    def touch(self, op: Op, keys: Sequence[StoredKey]) -> None:
        """Fold one operation on *keys* (in order, repeats allowed)."""
        states = self._states
        fresh, fold = _HOW[op._value_]  # an enum's own hash is slow
        if len(keys) >= _RUN_KEYS:
            run = evenly(keys)
            if run is not None and self._take(run, fresh):
                return
        if self._runs and self._near(keys):
            self._spread()
        if len(keys) > 1:
            added = dict.fromkeys(keys, fresh)
            if len(added) == len(keys) and states.keys().isdisjoint(added):
                states.update(added)
                return
        for key in keys:
            before = states.get(key)
            states[key] = fresh if before is None else fold[before]

    def update(self, images: Sequence[StoredKey]) -> list[tuple[StoredKey, StoredKey, bool]]:
        """
        Fold the rows of an update, given as before, after, before, after...

        Returns the changes of keys: old, new, and whether the transaction put the row there. Mostly there are none.
        """
        before, after = images[::2], images[1::2]
        if before == after:
            self.touch(Op.UPDATE, before)
            return []
        moved = []
        for old, new in zip(before, after, strict=True):
            if old == new:
                self.touch(Op.UPDATE, (old,))
            else:
                moved.append((old, new, self._is_fresh(old)))
                self.touch(Op.DELETE, (old,))
                self.touch(Op.INSERT, (new,))
        return moved

    def _is_fresh(self, key: StoredKey) -> bool:
        """Say whether the last that was done to *key* was to insert it."""
        number = self._states.get(key)
        if number is None and self._runs and isinstance(key, int):
            number = next((state for run, state in self._runs if run.inside([key])), None)
        return number is not None and _STATES[number][1] is Op.INSERT

    def forget(self, keys: Iterable[StoredKey]) -> None:
        """Drop *keys*, of which any may be absent."""
        if self._runs:
            self._spread()
        for key in self._states.keys() & set(keys):
            del self._states[key]
        self._hull = None

    def _take(self, run: Progression, state: int) -> bool:
        """Keep a whole event as a run; False where its keys may have been touched before."""
        if self._states and not self._apart(run):
            return False
        if self._runs:
            last, its_state = self._runs[-1]
            if run.low > self._top:
                if its_state == state and last.step == run.step == run.low - last.high:
                    self._runs[-1] = Progression(last.low, run.high, run.step), state
                    self._top = run.high
                    return True
            elif len(self._runs) > _RUNS_LOOKED_AT or any(
                progression.intersect(run, one) for one, _ in self._runs
            ):
                return False
        self._top = max(self._top, run.high) if self._runs else run.high
        self._runs.append((run, state))
        return True

    def _apart(self, run: Progression) -> bool:
        if self._hull is None or self._hull_of != len(self._states):
            keys = [key for key in self._states if isinstance(key, int)]
            self._hull, self._hull_of = (min(keys), max(keys)), len(self._states)
        return run.low > self._hull[1] or run.high < self._hull[0]

    def _near(self, keys: Sequence[StoredKey]) -> bool:
        """Say whether any of *keys* may be in a run."""
        return any(
            run.low <= key <= run.high
            for key in keys
            if isinstance(key, int)
            for run, _ in self._runs
        )

    def _spread(self) -> None:
        for run, state in self._runs:
            self._states.update(dict.fromkeys(run.members(), state))
        self._runs.clear()

    def marks(
        self, table_id: int, seq: int, commit_us: int, *, exact: bool = True
    ) -> list[KeyMark]:
        """Return the marks of these keys; integers at an even distance with one history become a run."""
        states = self._states
        if len(states) == 1 and not self._runs:
            [(key, number)] = states.items()
            touch = Touch(seq, seq, *_STATES[number], commit_us)
            return [KeyMark(table_id, key, key, touch, exact)]
        if not states and not self._runs:
            return []
        touches = {
            number: Touch(seq, seq, *_STATES[number], commit_us)
            for number in {*states.values(), *(state for _, state in self._runs)}
        }
        found = [
            KeyMark(table_id, run.low, run.high, touches[state], exact, run.step)
            for run, state in self._runs
        ]
        if len(states) < _RUN_KEYS or not isinstance(next(iter(states)), int):
            found += [
                KeyMark(table_id, key, key, touches[number], exact)
                for key, number in states.items()
            ]
            return found
        keys = sorted(key for key in states if isinstance(key, int))
        for low, high, step in _grouped(keys, states):
            found.append(KeyMark(table_id, low, high, touches[states[low]], exact, step))
        return found


def evenly(keys: Sequence[StoredKey]) -> Progression | None:
    """Return *keys*, two at least, as a progression if they are one, in order."""
    first, second, last = keys[0], keys[1], keys[-1]
    if not isinstance(first, int) or not isinstance(second, int) or not isinstance(last, int):
        return None
    step = second - first
    if not 0 < step <= _RUN_STEP or last - first != step * (len(keys) - 1):
        return None
    if keys != list(range(first, last + 1, step)):
        return None
    return Progression(first, last, step)


def _grouped(keys: Sequence[int], states: Mapping[StoredKey, int]) -> Iterator[Progression]:
    """Cut ascending keys into progressions of one state each: long ones, and single keys."""
    start, count = 0, len(keys)
    while start < count:
        low, end = keys[start], start + 1
        step, state = 1, states[low]
        if start + _RUN_KEYS <= count:
            step = keys[end] - low
            # Most keys that are no part of a run are told by the last one that it would need.
            if step <= _RUN_STEP and keys[start + _RUN_KEYS - 1] - low == step * (_RUN_KEYS - 1):
                while (
                    end < count and keys[end] - keys[end - 1] == step and states[keys[end]] == state
                ):
                    end += 1
        if end - start < _RUN_KEYS:
            end, step = start + 1, 1
        yield Progression(low, keys[end - 1], step)
        start = end
