"""Finer words for a conflict than its kind, for the journal. Pure; no rule looks at them. Source: conflicts.md §2, §8."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from syncer.core.choosing import has_renewed
from syncer.core.mark import KeyMarks, Op, Reason, SideMarks
from syncer.core.outcome import ConflictKind
from syncer.core.side import SIDES, Side
from syncer.core.stale import STALE


class SubKind(enum.StrEnum):
    """What more is known of a conflict."""

    DISJOINT = "disjoint"
    """Both rows were changed, in other columns."""
    OVERLAP = "overlap"
    """Both rows were changed, some column by both sides."""
    ALIKE = "alike"
    """Both rows were changed, and look the same."""
    RECREATE_UPDATE = "recreate_update"
    RECREATE_DELETE = "recreate_delete"
    RECREATE_RECREATE = "recreate_recreate"
    TRUNCATE = "truncate"
    """One side truncated the table, or a partition."""
    CASCADE = "cascade"
    """A foreign key changed or deleted the row of one side, without an event."""
    BASELINE = "baseline"
    """The table was compared whole: nothing is known of what was before."""
    STALE_TS = STALE
    """A change left the column that a rule compares as it was, or set it back."""
    UNIQUE_ONE = "unique_one"
    """One other row of the target has a unique value of the row."""
    UNIQUE_MANY = "unique_many"
    """Several other rows have one."""
    GAP = "gap"
    """A side's history is not known exactly for another reason."""


_OF_REASON = {
    Reason.TRUNCATE: SubKind.TRUNCATE,
    Reason.CASCADE: SubKind.CASCADE,
    Reason.BASELINE: SubKind.BASELINE,
}
Cells = Sequence[str | None] | None


def sub_kinds(
    kind: ConflictKind,
    marks: KeyMarks,
    lower: Mapping[Side, int],
    rows: Mapping[Side, Cells],
    base: Cells,
) -> tuple[SubKind, ...]:
    """
    Return what is known, in no order that means anything; empty where it is nothing.

    Args:
        lower: per side the last transaction that the rows contain; what is marked beyond it is no part of the conflict.
        rows: the literals of both rows; None for an absent one, and for one that was not read whole.
        base: those of the row that both agreed on last, None for one that cannot be told; None: not known.
    """
    found: list[SubKind] = []
    if kind is ConflictKind.UPDATE_UPDATE:
        found += _overlap(rows[Side.A], rows[Side.B], base)
    elif kind is ConflictKind.RECREATE:
        found += _recreated(marks)
    found += [
        _OF_REASON.get(one.reason or Reason.ALARM, SubKind.GAP)
        for one in (marks.of(side) for side in SIDES if _inexact(marks.of(side), lower.get(side)))
    ]
    return tuple(dict.fromkeys(found))


def changed_columns(
    names: Sequence[str], rows: Mapping[Side, Cells], base: Cells
) -> dict[Side, tuple[str, ...]]:
    """
    Return the columns that each side changed since both agreed, where the base and both rows are known; else nothing.

    One that the base cannot tell is changed where the rows differ.
    """
    a, b = rows[Side.A], rows[Side.B]
    if a is None or b is None or base is None or not len(a) == len(b) == len(base) == len(names):
        return {}
    return {
        side: tuple(
            name
            for name, mine, theirs, was in zip(names, one, other, base, strict=True)
            if mine != (theirs if was is None else was)
        )
        for side, one, other in ((Side.A, a, b), (Side.B, b, a))
    }


def _inexact(marks: SideMarks, lower: int | None) -> bool:
    return marks.inexact_first is not None and (lower is None or marks.inexact_first <= lower)


def _overlap(a: Cells, b: Cells, base: Cells) -> list[SubKind]:
    if a is None or b is None or base is None or not len(a) == len(b) == len(base):
        return []
    if list(a) == list(b):
        return [SubKind.ALIKE]
    both = any(
        # What the base had, but cannot be told, may have been changed by either side.
        x != y if o is None else o not in {x, y}
        for x, y, o in zip(a, b, base, strict=True)
    )
    return [SubKind.OVERLAP if both else SubKind.DISJOINT]


def _recreated(marks: KeyMarks) -> list[SubKind]:
    touches = [marks.of(side).exact for side in SIDES]
    if all(map(has_renewed, touches)):
        return [SubKind.RECREATE_RECREATE]
    other = next((one for one in touches if not has_renewed(one)), None)
    gone = other is not None and other.last_op is Op.DELETE
    return [SubKind.RECREATE_DELETE if gone else SubKind.RECREATE_UPDATE]
