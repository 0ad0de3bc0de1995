"""
Versions and times that a change left as they were, or set back: they say nothing of that change. Pure. Source: conflicts.md §3, §5.

Noticed only where the row is known that both sides agreed on last (``agreement.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncer.core.outcome import Base, ConflictKind, RowFact
from syncer.core.policy import Policy
from syncer.core.rules import Rule
from syncer.core.side import SIDES, Side

PATH = "stale"
"""The path of a decision that could not go by a stale value."""
STALE = "stale_ts"
"""As a sub-kind in the journal."""


def stale_sides(
    rule: Rule,
    kind: ConflictKind,
    rows: Mapping[Side, RowFact],
    policy: Policy,
    base: Base,
    names: Sequence[str] = (),
) -> tuple[Side, ...]:
    """
    Return the sides whose change left the column of *rule* as it was, or set it back; none where that is not known.

    Columns that merging rules before it have taken over, as counters, are no change that *rule* decides.

    Args:
        names: of the cells, in lower case; may be empty where no rule merges.
    """
    if rule.column is None or not rule.kind.compares or not base.values:
        return ()
    if kind is not ConflictKind.UPDATE_UPDATE:
        return ()
    at = policy.columns.index(rule.column.lower())
    was = base.values[at]
    if was is None:
        return ()
    before = policy.chain[: policy.chain.index(rule)]
    taken = {name for one in before if one.kind.merges for name in one.reads}
    left = [at for at, name in enumerate(names) if name not in taken] if taken else None
    found = []
    for side in SIDES:
        values = rows[side].values
        now = values[at] if at < len(values) else None
        # Both come from one column: one type.
        moved = now is None or now > was  # type: ignore[operator]
        if not moved and not _is_base(rows[side], rows[side.other], base, left):
            found.append(side)
    return tuple(found)


def _is_base(row: RowFact, other: RowFact, base: Base, places: Sequence[int] | None) -> bool:
    """
    Say whether *row* is again what both agreed on, at *places* or everywhere.

    What the base cannot tell counts as changed where the rows differ.
    """
    if not row.cells or not other.cells or base.cells is None:
        return False
    cells = list(zip(row.cells, other.cells, base.cells, strict=True))
    return all(
        mine == (theirs if was is None else was)
        for mine, theirs, was in (cells if places is None else [cells[at] for at in places])
    )
