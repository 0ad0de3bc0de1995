"""
Held keys that waited for a row of another key: once that is written, they are tried again.

A child that was refused for want of its parent, a parent's delete that was refused since a child was there. Nothing is decided here: the
key is claimed again and decided as ever (INV-3 to INV-7). What is lost in a crash is a try, and a person is asked as before.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from syncer.core.decision import ConflictKind
from syncer.core.key import Key
from syncer.core.literals import split_image
from syncer.core.mark import Op
from syncer.core.pairing import PairedTable
from syncer.core.side import Side
from syncer.ledger import Ledger
from syncer.mysql.connection import Session
from syncer.mysql.relatives import children_of, parents_of
from syncer.service.catalog import Catalog
from syncer.service.planned import Planned
from syncer.service.relations import References
from syncer.service.sides import SideWorker, Workers

MOST_CHILDREN = 10_000
"""So many children of the rows of one batch are looked for."""


class Following:
    """Opens held keys whose relatives were written. ``note`` is called by any thread, ``follow`` by the reconciler's."""

    def __init__(
        self, ledger: Ledger, catalog: Catalog, references: References, workers: Workers
    ) -> None:
        """Compose."""
        self._ledger = ledger
        self._catalog = catalog
        self._references = references
        self._workers = workers
        self._lock = threading.Lock()
        self._noted: list[Planned] = []

    def note(self, written: Sequence[Planned]) -> None:
        """Remember rows that were written, as far as a held row may have waited for them."""
        holds = self._ledger.tables_with_holds()
        if not holds:
            return
        some = [
            item for item in written if self._has_relatives(item.table.table_id, item.target, holds)
        ]
        with self._lock:
            self._noted += some

    def concerns(self, table: PairedTable, target: Side) -> bool:
        """Say whether ``note`` is to be told of rows of *table* that are written to *target*."""
        holds = self._ledger.tables_with_holds()
        return bool(holds) and self._has_relatives(table.table_id, target, holds)

    def _has_relatives(self, number: int, target: Side, holds: frozenset[int]) -> bool:
        return any(
            one.child.table_id in holds for one in self._references.to(target.other, number)
        ) or any(one.parent.table_id in holds for one in self._references.of(target, number))

    def follow(self) -> None:
        """Make what waited for them due. Raises TransientDatabaseError: call again."""
        with self._lock:
            noted, self._noted = self._noted, []
        if not noted:
            return
        try:
            groups: dict[tuple[int, Side], list[Planned]] = defaultdict(list)
            for item in noted:
                groups[item.table.table_id, item.target].append(item)
            for (_, target), items in groups.items():
                self._children(items, target.other)
                self._parents(items, target)
        except BaseException:
            with self._lock:
                self._noted = noted + self._noted
            raise

    def _children(self, items: Sequence[Planned], source: Side) -> None:
        """A row is there now: its children may come from where they were written."""
        table = items[0].table
        there = [item.write().key for item in items if item.write().image is not None]
        if not there:
            return
        worker = self._workers[source]
        for one in self._references.to(source, table.table_id):

            def look(
                child: PairedTable = one.child, pairs: tuple[tuple[str, str], ...] = one.pairs
            ) -> Iterable[Key]:
                return children_of(_session(worker), table, there, child, pairs, MOST_CHILDREN)

            self._open(one.child, worker, look, ConflictKind.FK_PARENT_MISSING)

    def _parents(self, items: Sequence[Planned], target: Side) -> None:
        """A row is gone, or refers to another one now: its parent may go."""
        table = items[0].table
        names = [name.lower() for name in table.written]
        rows = [
            dict(zip(names, split_image(row.image), strict=True))
            for item in items
            if item.write().op is not Op.INSERT and (row := item.group.rows[target]) and row.whole
        ]
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


def _session(worker: SideWorker) -> Session:
    return worker.reader().session
