"""
Versions and times that a change left as they were, or set back: they say nothing of that change. Pure. Source: conflicts.md §3, §5.

Noticed only where the row is known that both sides agreed on last (``agreement.py``).
"""

from __future__ import annotations

from collections.abc import Mapping

from syncer.core.outcome import Base, ConflictKind, RowFact
from syncer.core.policy import Policy
from syncer.core.rules import Rule
from syncer.core.side import SIDES, Side

PATH = "stale"
"""The path of a decision that could not go by a stale value."""
STALE = "stale_ts"
"""As a sub-kind in the journal."""


def stale_sides(
    rule: Rule, kind: ConflictKind, rows: Mapping[Side, RowFact], policy: Policy, base: Base
) -> tuple[Side, ...]:
    """Return the sides whose change left the column of *rule* as it was, or set it back; none where that is not known."""
    if rule.column is None or not rule.kind.compares or not base.values:
        return ()
    if kind is not ConflictKind.UPDATE_UPDATE:
        return ()
    at = policy.columns.index(rule.column.lower())
    was = base.values[at]
    if was is None:
        return ()
    found = []
    for side in SIDES:
        values = rows[side].values
        now = values[at] if at < len(values) else None
        # Both come from one column: one type.
        moved = now is None or now > was  # type: ignore[operator]
        if not moved and not _is_base(rows[side], rows[side.other], base):
            found.append(side)
    return tuple(found)


def _is_base(row: RowFact, other: RowFact, base: Base) -> bool:
    """Say whether *row* is again what both agreed on; what the base cannot tell counts as changed where the rows differ."""
    if not row.cells or not other.cells or base.cells is None:
        return False
    return all(
        mine == (theirs if was is None else was)
        for mine, theirs, was in zip(row.cells, other.cells, base.cells, strict=True)
    )
