"""
Keys that were one row's: read together, and decided together where both sides gave the row another key (``core/keyunits.py``).

What the streams told of changed keys says only which keys to look at; each of them is read and proven as any other (INV-3 to
INV-5), in the same cycle, and both are written in one transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import msgspec

from syncer.core.key import StoredKey
from syncer.core.keyunits import KIND, LATER, Half, decide_unit
from syncer.core.mark import KeyMarks
from syncer.core.outcome import NO_BASE, Around, ConflictKind, RowFact
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.ledger import Ledger
from syncer.ledger.key_changes import ChangedKey
from syncer.service.answering import PERSON
from syncer.service.customs import CustomRules
from syncer.service.planned import KeyUnit, Planned
from syncer.service.planning import asks, consult_for, stamps_of
from syncer.service.reading import KeyGroup


class Units:
    """Finds the keys of one row. Used by the reconciler's thread alone."""

    def __init__(self, ledger: Ledger, customs: CustomRules | None) -> None:
        """Compose; *customs* asks custom rules."""
        self._ledger = ledger
        self._customs = customs

    def others(self, table: PairedTable, claimed: Collection[StoredKey]) -> list[StoredKey]:
        """Return the keys to be read with *claimed*: of the same rows, before and after they got another key; marked ones only."""
        changes = self._changes(table, list(claimed))
        if not changes:
            return []
        keys = {key: None for one in changes for key in (one.new, one.old)}
        found = [key for key in keys if key not in claimed]
        marks = self._ledger.marks_of(table.table_id, found)
        return [key for key in found if marks[key] != KeyMarks()]

    def _changes(self, table: PairedTable, keys: Sequence[StoredKey]) -> list[ChangedKey]:
        if table.policy.direction.source is not None:
            return []
        return self._ledger.key_changes_of(table.table_id, keys)

    def decide(
        self,
        table: PairedTable,
        planned: list[Planned],
        claimed: Collection[StoredKey],
        outside: Around,
    ) -> list[Planned]:
        """
        Put what is decided of units in the place of what is decided of their keys, and name collisions.

        Keys that were read for the sake of others and that a person is asked about are left out. *outside* as in ``plan``.
        """
        if table.table_id not in self._ledger.tables_with_key_changes():
            return planned
        around = msgspec.structs.replace(outside, utc_columns=stamps_of(table))
        places = {key: at for at, item in enumerate(planned) for key in item.stored}
        changes = self._changes(table, list(places))
        held = self._held(table, planned, claimed)
        found = list(planned)
        olds: dict[StoredKey, dict[Side, list[ChangedKey]]] = defaultdict(lambda: defaultdict(list))
        news: dict[int, dict[Side, ChangedKey]] = defaultdict(dict)
        for one in changes:
            if places.get(one.old) != places.get(one.new) or one.new not in places:
                olds[one.old][one.side].append(
                    one
                )  # another key to the server, not another spelling
                if one.new in places:
                    news[places[one.new]][one.side] = one
        for at, both in news.items():
            found[at] = _collided(found[at], both)
        for sides in olds.values():
            if all(len(sides[side]) == 1 for side in SIDES):
                self._unite({side: sides[side][0] for side in SIDES}, places, found, held, around)
        return [item for at, item in enumerate(found) if at not in held or item.unit is not None]

    def _held(
        self, table: PairedTable, planned: Sequence[Planned], claimed: Collection[StoredKey]
    ) -> dict[int, ConflictKind]:
        """Return the places of keys that were not claimed and are held, and for what."""
        also = {
            key: at
            for at, item in enumerate(planned)
            if not any(key in claimed for key in item.stored)
            for key in item.stored
        }
        kinds = self._ledger.held_as(table.table_id, list(also)) if also else {}
        return {also[key]: kind for key, kind in kinds.items()}

    def _unite(
        self,
        both: Mapping[Side, ChangedKey],
        places: Mapping[StoredKey, int],
        found: list[Planned],
        held: Mapping[int, ConflictKind],
        around: Around,
    ) -> None:
        at = {side: places.get(one.new) for side, one in both.items()}
        a, b = at[Side.A], at[Side.B]
        if a is None or b is None:
            # It was changed after the keys were claimed: it is read with the other one next time.
            for place in (a, b):
                if place is not None and found[place].decision.path != PERSON:
                    found[place] = msgspec.structs.replace(found[place], decision=LATER)
            return
        if a == b:
            return
        items = {Side.A: found[a], Side.B: found[b]}
        halves = {
            side: Half(
                item.decision,
                item.marks,
                _facts(item),
                taken=item.decision.path == PERSON or held.get(place, KIND) is not KIND,
            )
            for (side, item), place in zip(items.items(), (a, b), strict=True)
        }
        rows = {side: item.group.rows[side] for side, item in items.items()}
        marks = KeyMarks(items[Side.A].marks.a, items[Side.B].marks.b)
        table = items[Side.A].table
        if self._customs is not None and asks(table):
            group = KeyGroup((*items[Side.A].group.keys, *items[Side.B].group.keys), rows)
            consult = consult_for(self._customs, table, group, marks, NO_BASE)
            around = msgspec.structs.replace(around, consult=consult)
        unit = KeyUnit(
            {side: one.old for side, one in both.items()},
            {side: one.new for side, one in both.items()},
        )
        for side, decision in decide_unit(halves, table.policy, around).items():
            place = a if side is Side.A else b
            told = {} if decision is LATER else {"unit": unit, "marks": marks}
            found[place] = msgspec.structs.replace(items[side], decision=decision, **told)


def _facts(item: Planned) -> dict[Side, RowFact]:
    return {
        side: RowFact(None) if row is None else RowFact(row.digest, row.values, row.inside)
        for side, row in item.group.rows.items()
    }


def _collided(item: Planned, both: Mapping[Side, ChangedKey]) -> Planned:
    """Name two rows that got one key: they are decided as two rows that were inserted under it."""
    if len(both) < 2 or both[Side.A].old == both[Side.B].old:
        return item
    if item.decision.conflict is not ConflictKind.INSERT_INSERT:
        return item
    unit = KeyUnit(
        {side: one.old for side, one in both.items()}, {side: one.new for side, one in both.items()}
    )
    decision = msgspec.structs.replace(item.decision, conflict=ConflictKind.KEY_CHANGE_COLLISION)
    return msgspec.structs.replace(item, decision=decision, unit=unit)
