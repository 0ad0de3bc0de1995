"""
The row that both sides agreed on last, out of what each stream showed of it. Pure.

The before-image of the first event that is not settled, on either side, is that row: whatever came before it was equal on both,
and whatever came since is in the marks. So both sides must show the same, and nothing may have gone unlogged. Else the base is
not known, and whatever needs it is left to the next rule: a wrong base is worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from syncer.core.mark import KeyMarks, Op, Reason, SideMarks
from syncer.core.outcome import Base
from syncer.core.side import SIDES, Side

DIFFER = "base rows differ"
"""A row was changed without an event: an alarm."""


class KeptRow(msgspec.Struct, frozen=True):
    """
    What one side's stream showed of a row before its first change that is not settled.

    Attributes:
        seq: the transaction of that change.
        cells: the literals of the written columns, None for one that cannot be told; None: see *why*.
        why: why there are none.
    """

    seq: int
    cells: tuple[str | None, ...] | None
    why: str = ""


def agreed(marks: KeyMarks, kept: Mapping[Side, KeptRow | None]) -> Base:
    """Return the base row of one key whose both sides changed."""
    found: list[tuple[str | None, ...]] = []
    for side in SIDES:
        why = _unknown(marks.of(side), kept.get(side))
        if why:
            return Base(why=f"side {side}: {why}")
        row = kept[side]
        if row is not None and row.cells is not None:
            found.append(row.cells)
    a, b = found
    if len(a) != len(b):
        return Base(why="other columns")
    if any(x != y for x, y in zip(a, b, strict=True) if x is not None and y is not None):
        # Nothing is missing in either history: something was written without an event. A baseline has no agreement yet.
        gaps = [
            marks.of(side).inexact_first
            for side in SIDES
            if marks.of(side).inexact_first is not None
        ]
        return Base(why="they never agreed" if gaps else DIFFER)
    return Base(_both(a, b), "")


def _unknown(marks: SideMarks, kept: KeptRow | None) -> str:
    """Say why a side's first image is not the row that both agreed on; "" where it is."""
    touch = marks.exact
    if touch is None:
        return "no exact change"
    if touch.first_op is Op.INSERT:
        return "no row was agreed on"
    if marks.inexact_first is not None:
        # A baseline hides nothing that came after it: the first image is of a later change, and both sides show the same.
        later = (marks.inexact_last or 0) < touch.first_seq
        if marks.reason is not Reason.BASELINE or not later:
            return "a gap in its history"
    if kept is None or not touch.first_seq <= kept.seq <= touch.last_seq:
        return "not kept"
    return kept.why if kept.cells is None else ""


def _both(a: Sequence[str | None], b: Sequence[str | None]) -> tuple[str | None, ...]:
    return tuple(x if y is not None else None for x, y in zip(a, b, strict=True))
