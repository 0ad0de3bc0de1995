"""The row that both sides agreed on last, out of the ledger's images and the rows as they are now. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from syncer.core.agreement import KeptRow, agreed
from syncer.core.key import StoredKey
from syncer.core.literals import literal_value, split_image
from syncer.core.mark import KeyMarks
from syncer.core.outcome import NO_BASE, Base, Decision, RowFact
from syncer.core.pairing import PairedTable
from syncer.core.rules import RuleValue
from syncer.core.side import SIDES, Side
from syncer.core.stale import stale_sides
from syncer.ledger.images import KeptImage
from syncer.mysql.images import kept_cells
from syncer.mysql.reader import rule_value
from syncer.service.reading import KeyGroup


def base_of(
    table: PairedTable,
    group: KeyGroup,
    spellings: Sequence[tuple[StoredKey, KeyMarks]],
    images: Mapping[StoredKey, Mapping[Side, KeptImage]],
) -> Base:
    """Return what is known of the row that both sides agreed on last."""
    marked = [(key, marks) for key, marks in spellings if marks != KeyMarks()]
    if len(marked) != 1 or marked[0][0] not in images:
        return Base(why="several spellings of the key") if len(marked) > 1 else NO_BASE
    key, marks = marked[0]
    now = [split_image(row.image) for row in group.rows.values() if row is not None]
    kept = {
        side: _kept_row(images[key][side], table, side, now) if side in images[key] else None
        for side in SIDES
    }
    return _with_values(agreed(marks, kept), table)


def _with_values(base: Base, table: PairedTable) -> Base:
    """Add what the rules compare. What cannot be told is None, and so is a float in words of its own."""
    if base.cells is None:
        return base
    named = dict(zip((name.lower() for name in table.written), base.cells, strict=True))
    values: list[RuleValue | None] = []
    for name in table.policy.columns:
        cell = named.get(name)
        try:
            value = None if cell is None else literal_value(cell)
            values.append(rule_value(table.a.column(name), value))
        except (ValueError, ArithmeticError):
            values.append(None)
    return msgspec.structs.replace(base, values=tuple(values))


def is_stale(
    table: PairedTable, decision: Decision, facts: Mapping[Side, RowFact], base: Base
) -> bool:
    """Say whether a change left a column as it was, or set it back, that a rule of the table compares."""
    kind, policy = decision.conflict, table.policy
    if kind is None:
        return False
    names = [name.lower() for name in table.written]
    return any(stale_sides(rule, kind, facts, policy, base, names) for rule in policy.chain)


def _kept_row(
    found: KeptImage, table: PairedTable, side: Side, now: Sequence[Sequence[str]]
) -> KeptRow:
    if found.gap:
        return KeptRow(found.seq, None, "not all images were kept")
    if found.image is None:
        return KeptRow(found.seq, None, "the image was not whole, or too long")
    cells = kept_cells(found.image, table, side, now)
    return KeptRow(found.seq, cells, "" if cells is not None else "the table has changed since")
