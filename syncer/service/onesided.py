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
from syncer.service.planned import restorations


class OneSided(msgspec.Struct, frozen=True, dict=True):
    """
    Changes of one side of one table on their way to the other.

    Attributes:
        rows: what is written.
        marked_at: of each, when it was marked, seconds since the epoch.
    """

    rows: Carried
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
    def stored(self) -> list[StoredKey]:
        """The keys as the ledger has them."""
        return self.rows.stored

    @cached_property
    def items(self) -> list[IntentItem]:
        """What the ledger keeps of them (INV-8): one for each kind of write, since all are written or none."""
        return [
            IntentItem(
                table_id=self.table.table_id,
                keys=tuple(rows.stored),
                action=op,
                present=op is not Op.DELETE,
                undo=restorations(self.table, self.target, rows) if rows.there else None,
                rows=len(rows.stored),
            )
            for op, rows in self.rows.ways()
        ]


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
        copies = Carried(table, side.other)
        taken |= _sort_out(marks[side], asked, rows[side], rows[side.other], copies, equal, one_way)
        if copies.ways():
            marked_at = [claims[stored].marked_at for stored in copies.stored]
            moving.append(OneSided(copies, marked_at))
    rest = [key for stored, key in asked.items() if stored not in taken]
    return Sorted(equal, moving, rest)


def _sort_out(
    marks: Mapping[StoredKey, Op],
    asked: Mapping[StoredKey, Key],
    here: Mapping[Key, RowRead],
    there: Mapping[Key, RowRead],
    copies: Carried,
    equal: dict[StoredKey, bool],
    one_way: bool,
) -> set[StoredKey]:
    """Put what one side changed into *copies* or *equal*; return the keys that were put there."""
    taken: set[StoredKey] = set()
    updates = copies.updates
    # A bound name for each list, and no call for a row that both sides have: calls cost as much as all the rest.
    take, update, name = taken.add, updates.keys.append, updates.stored.append
    write, mean, lose = updates.images.append, updates.meant.append, updates.there.append
    for stored, first_op in marks.items():
        key = asked[stored]
        source, target = here.get(key), there.get(key)
        if source is None or target is None:
            if _one_is_absent(stored, key, first_op, source, target, copies, equal, one_way):
                take(stored)
            continue
        digest, expected = source.digest, target.digest
        if len(digest) != DIGEST_CHARACTERS or len(expected) != DIGEST_CHARACTERS:
            continue
        if not (source.image and target.image):
            continue
        take(stored)
        # What ``verdict`` says of two rows, whatever was done to them.
        if digest == expected:
            equal[stored] = True
            continue
        update(key)
        name(stored)
        write(source.image)
        mean(digest)
        lose(target)
    return taken


def _one_is_absent(
    stored: StoredKey,
    key: Key,
    first_op: Op,
    source: RowRead | None,
    target: RowRead | None,
    copies: Carried,
    equal: dict[StoredKey, bool],
    one_way: bool,
) -> bool:
    """Do what ``_sort_out`` does for a key that some side has no row of; say whether it was put anywhere."""
    digest = None if source is None else source.digest
    expected = None if target is None else target.digest
    found = verdict(first_op, digest, expected, one_way=one_way)
    if found is None or not (_is_whole(source) and _is_whole(target)):
        return False
    if found is Verdict.EQUAL:
        equal[stored] = False
        return True
    rows = copies.deletes if source is None else copies.inserts
    rows.keys.append(key)
    rows.stored.append(stored)
    if source is not None:
        rows.images.append(source.image)
        rows.meant.append(source.digest)
    if target is not None:
        rows.there.append(target)
    return True


def _is_whole(row: RowRead | None) -> bool:
    return row is None or (len(row.digest) == DIGEST_CHARACTERS and bool(row.image))
