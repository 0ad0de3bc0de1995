"""
Keys that one side alone changed, taken out of a cycle: they travel together, without an object for each.

Only what is exactly as ``core/onesided.py`` says, and of tables about whose rows nothing more is to be asked. All else goes key by
key (``planning.py``), and so do these where anything is in their way: nothing here knows how to hold, retry or explain.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import msgspec

from syncer.core.key import Key, StoredKey
from syncer.core.mark import Op
from syncer.core.onesided import DIGEST_CHARACTERS, may_be, verdict
from syncer.core.outcome import Verdict
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.ledger.records import ClaimedKey, IntentItem
from syncer.mysql.carrying import Carried
from syncer.mysql.documents import split
from syncer.mysql.reader import RowRead
from syncer.service.planned import restoration


class OneSided(msgspec.Struct, frozen=True, dict=True):
    """
    Changes of one side of one table on their way to the other.

    Attributes:
        rows: what is written.
        stored, marked_at: of each, its key as the ledger has it, and when it was marked, seconds since the epoch.
    """

    rows: Carried
    stored: list[StoredKey]
    marked_at: list[float]

    @property
    def table(self) -> PairedTable:
        """Their table."""
        return self.rows.table

    @property
    def target(self) -> Side:
        """The side that is written."""
        return self.rows.target

    @cached_property
    def items(self) -> list[IntentItem]:
        """What the ledger keeps of them (INV-8)."""
        table, target = self.table, self.target
        found = []
        for stored, there, meant in zip(
            self.stored, self.rows.overwritten, self.rows.meant, strict=True
        ):
            op = Op.INSERT if there is None else Op.DELETE if meant is None else Op.UPDATE
            found.append(
                IntentItem(
                    table_id=table.table_id,
                    keys=(stored,),
                    action=op,
                    present=meant is not None,
                    undo=None
                    if there is None
                    else restoration(table, target, there, meant, stored=stored),
                )
            )
        return found


class Sorted(msgspec.Struct, frozen=True):
    """
    The keys of one table, told apart.

    Attributes:
        equal: stored keys whose rows are equal, and whether there are any.
        moving: what travels, one for each side that changed.
        rest: the keys that are decided one by one.
    """

    equal: dict[StoredKey, bool]
    moving: list[OneSided]
    rest: list[Key]


def fits(table: PairedTable) -> bool:
    """Say whether rows of *table* may travel so: one spelling a key, one digest a row, no filter, no forbidden write."""
    return (
        table.a.exact_spelling
        and table.b.exact_spelling
        and not table.where
        and not table.policy.needs_base
        and not table.guard.words()
        and not any(split(table.compared(side))[1] for side in SIDES)
    )


def lone(table: PairedTable) -> bool:
    """
    Say whether nothing ties a row of *table* to any other row: no unique key but its own, no reference, no trigger.

    So its rows may be written by several transactions at a time, in any order.
    """
    return not any(
        schema.unique or schema.foreign_keys or schema.triggers
        for schema in (table.schema(side) for side in SIDES)
    )


def sort_out(
    table: PairedTable,
    asked: Mapping[StoredKey, Key],
    rows: Mapping[Side, Mapping[Key, RowRead]],
    marks: Mapping[Side, Mapping[StoredKey, Op]],
    claims: Mapping[StoredKey, ClaimedKey],
) -> Sorted:
    """
    Tell the keys of *asked* apart, whose rows are *rows*, read within the bounds that *marks* are proven by.

    *marks*: keys of one side alone with their first operation (``Claims.one_sided``).
    """
    equal: dict[StoredKey, bool] = {}
    moving: list[OneSided] = []
    taken: set[StoredKey] = set()
    one_way = table.policy.direction.source is not None
    for side in SIDES:
        if not marks.get(side) or not may_be(table.policy, side):
            continue
        here, there = rows[side], rows[side.other]
        copies = Carried(table, side.other)
        stored_keys: list[StoredKey] = []
        marked_at: list[float] = []
        for stored, first_op in marks[side].items():
            key = asked[stored]
            source, target = here.get(key), there.get(key)
            digest = None if source is None else source.digest
            expected = None if target is None else target.digest
            found = verdict(first_op, digest, expected, one_way=one_way)
            if found is None or not (_is_whole(source) and _is_whole(target)):
                continue
            taken.add(stored)
            if found is Verdict.EQUAL:
                equal[stored] = source is not None
                continue
            copies.add(key, digest, "" if source is None else source.image, target)
            stored_keys.append(stored)
            marked_at.append(claims[stored].marked_at)
        if stored_keys:
            moving.append(OneSided(copies, stored_keys, marked_at))
    rest = [key for stored, key in asked.items() if stored not in taken]
    return Sorted(equal, moving, rest)


def _is_whole(row: RowRead | None) -> bool:
    return row is None or (len(row.digest) == DIGEST_CHARACTERS and bool(row.image))
