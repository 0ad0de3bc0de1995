"""
Held keys that waited for a row of another key: once that is written, or found on both sides, they are tried again.

A child that was refused for want of its parent, a parent's delete that was refused since a child was there. Nothing is decided here: the
key is claimed again and decided as ever (INV-3 to INV-7). What is lost in a crash is a try, and a person is asked as before.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from syncer.core.decision import ConflictKind
from syncer.core.key import Key, StoredKey
from syncer.core.literals import split_image
from syncer.core.mark import Op
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.ledger import Ledger
from syncer.mysql.connection import Session
from syncer.mysql.relatives import children_of, parents_of
from syncer.service.catalog import Catalog
from syncer.service.planned import Planned
from syncer.service.relations import References
from syncer.service.sides import SideWorker, Workers

MOST_HELD = 1_000
"""So many held children are asked about by their keys; where there are more, by their foreign key, where that has an index."""
MOST_CHILDREN = 10_000
"""So many children of the rows of one batch are looked for."""


class _Noted(msgspec.Struct, frozen=True):
    """
    Rows of one table that are as they are to be.

    Attributes:
        there: keys of rows that both sides have now.
        was: rows that *target* had before, by column name in small letters, as its literals.
    """

    table: PairedTable
    target: Side
    there: Sequence[Key]
    was: Sequence[Mapping[str, str]] = ()


class Following:
    """Opens held keys whose relatives were written. ``note`` is called by any thread, the others by the reconciler's."""

    def __init__(
        self, ledger: Ledger, catalog: Catalog, references: References, workers: Workers
    ) -> None:
        """Compose."""
        self._ledger = ledger
        self._catalog = catalog
        self._references = references
        self._workers = workers
        self._lock = threading.Lock()
        self._noted: list[_Noted] = []

    def note(self, written: Sequence[Planned]) -> None:
        """Remember rows that were written, as far as a held row may have waited for them."""
        holds = self._ledger.tables_with_holds()
        if not holds:
            return
        groups: dict[tuple[int, Side], list[Planned]] = defaultdict(list)
        for item in written:
            groups[item.table.table_id, item.target].append(item)
        noted = [
            _Noted(
                items[0].table,
                target,
                [item.write().key for item in items if item.write().image is not None],
                _rows_before(items, target),
            )
            for (number, target), items in groups.items()
            if self._has_relatives(number, target, holds)
        ]
        with self._lock:
            self._noted += noted

    def note_equal(self, table: PairedTable, agreed: Mapping[StoredKey, bool]) -> None:
        """Remember rows that were marked and that both sides have: *agreed* says so of each."""
        holds = self._ledger.tables_with_holds()
        if not holds or not self._has_children(table.table_id, holds):
            return
        there = [table.load(key) for key, present in agreed.items() if present]
        with self._lock:
            self._noted.append(_Noted(table, Side.A, there))

    def concerns(self, table: PairedTable, target: Side) -> bool:
        """Say whether ``note`` is to be told of rows of *table* that are written to *target*."""
        holds = self._ledger.tables_with_holds()
        return bool(holds) and self._has_relatives(table.table_id, target, holds)

    def _has_relatives(self, number: int, target: Side, holds: frozenset[int]) -> bool:
        return self._has_children(number, holds) or any(
            one.parent.table_id in holds for one in self._references.of(target, number)
        )

    def _has_children(self, number: int, holds: frozenset[int]) -> bool:
        return any(
            one.child.table_id in holds
            for side in SIDES
            for one in self._references.to(side, number)
        )

    def follow(self) -> None:
        """Make what waited for them due. Raises TransientDatabaseError: call again."""
        with self._lock:
            noted, self._noted = self._noted, []
        if not noted:
            return
        try:
            for one in noted:
                for side in SIDES:
                    self._children(one.table, one.there, side)
                self._parents(one.table, one.was, one.target)
        except BaseException:
            with self._lock:
                self._noted = noted + self._noted
            raise

    def _children(self, table: PairedTable, there: Sequence[Key], source: Side) -> None:
        """Rows are there now: their children may come from *source*, where they were written, past the foreign keys of the other side."""
        worker = self._workers[source]
        indexed = {one.pairs for one in self._references.to(source, table.table_id)}
        for one in self._references.to(source.other, table.table_id) if there else ():
            number = one.child.table_id
            held = self._ledger.held_for(number, ConflictKind.FK_PARENT_MISSING, MOST_HELD + 1)
            among = [one.child.load(key) for key in held] if len(held) <= MOST_HELD else None
            if not held or (among is None and one.pairs not in indexed):
                continue

            def look(
                child: PairedTable = one.child,
                pairs: tuple[tuple[str, str], ...] = one.pairs,
                among: list[Key] | None = among,
            ) -> Iterable[Key]:
                session, most = _session(worker), MOST_CHILDREN
                return children_of(session, table, there, child, pairs, most, among)

            self._open(one.child, worker, look, ConflictKind.FK_PARENT_MISSING)

    def _parents(self, table: PairedTable, rows: Sequence[Mapping[str, str]], target: Side) -> None:
        """Rows are gone, or refer to other ones now: their parents may go."""
        if not rows:
            return
        worker = self._workers[target]
        for one in self._references.of(target, table.table_id):

            def look(
                parent: PairedTable = one.parent, pairs: tuple[tuple[str, str], ...] = one.pairs
            ) -> Iterable[Key]:
                return parents_of(_session(worker), parent, pairs, rows)

            self._open(one.parent, worker, look, ConflictKind.FK_CHILD_EXISTS)

    def _open(
        self,
        table: PairedTable,
        worker: SideWorker,
        look: Callable[[], Iterable[Key]],
        kind: ConflictKind,
    ) -> None:
        if table.table_id not in self._ledger.tables_with_holds():
            return
        with self._catalog.doubting([table]):
            found = worker.submit(look).result()
        held = self._ledger.held_as(table.table_id, [table.store(key) for key in found])
        waiting = [key for key, why in held.items() if why is kind]
        if waiting:
            self._ledger.make_due(table.table_id, waiting)


def _rows_before(items: Sequence[Planned], target: Side) -> list[dict[str, str]]:
    names = [name.lower() for name in items[0].table.written]
    return [
        dict(zip(names, split_image(row.image), strict=True))
        for item in items
        if item.write().op is not Op.INSERT and (row := item.group.rows[target]) and row.whole
    ]


def _session(worker: SideWorker) -> Session:
    return worker.reader().session
