"""Which foreign keys change children unseen, which deletes take children along, and which tables refer to which."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import msgspec

from syncer.core.cascade import EMPTYING, edges, folded
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.mysql.connection import Session
from syncer.mysql.table_checks import logs_cascades
from syncer.mysql.writing import Dependent, Dependents

_NATIVE = "innodb_native_foreign_keys"


def hides_cascades(session: Session) -> bool:
    """Say whether the server does not log what its cascading foreign keys do to children."""
    native = session.variables(_NATIVE).get(_NATIVE, "").upper() in {"ON", "1"}
    return not logs_cascades(session.flavor, session.version, native=native)


def dependents(tables: Mapping[int, PairedTable], side: Side) -> Dependents:
    """Return, by parent, the tables whose rows *side* deletes together with their parent, logged or not."""
    return {
        parent: [
            Dependent(
                tables[edge.child], tuple(zip(edge.columns, edge.parent_columns, strict=True))
            )
            for edge in some
            if edge.removes
        ]
        for parent, some in edges(tables, side).items()
        if any(edge.removes for edge in some)
    }


class Reference(msgspec.Struct, frozen=True):
    """
    A foreign key between two tables of a run.

    Attributes:
        pairs: the child's column and the parent's that it refers to.
        stops: such a child keeps its parent from being deleted: the server refuses that, or we do (``Dependent``).
    """

    child: PairedTable
    parent: PairedTable
    pairs: tuple[tuple[str, str], ...]
    stops: bool


class References:
    """The foreign keys between the tables that flow, looked up from either end. Thread-safe."""

    def __init__(self, flowing: Callable[[], Mapping[int, PairedTable]]) -> None:
        """Take what gives the tables that flow: a mapping that is another one where they are others."""
        self._flowing = flowing
        self._lock = threading.Lock()
        self._of: object = None
        self._found: dict[Side, tuple[Reference, ...]] = {}

    def to(self, side: Side, parent: int) -> list[Reference]:
        """Return the foreign keys on *side* that refer to a table."""
        return [one for one in self._all(side) if one.parent.table_id == parent]

    def of(self, side: Side, child: int) -> list[Reference]:
        """Return the foreign keys that a table has on *side*."""
        return [one for one in self._all(side) if one.child.table_id == child]

    def has(self, number: int) -> bool:
        """Say whether a table refers to another one, or is referred to, on either side."""
        return any(
            number in {one.parent.table_id, one.child.table_id}
            for side in SIDES
            for one in self._all(side)
        )

    def _all(self, side: Side) -> tuple[Reference, ...]:
        with self._lock:
            flowing = self._flowing()
            if self._of is not flowing:
                self._found = {one: _references(flowing, one) for one in SIDES}
                self._of = flowing
            return self._found[side]


def _references(tables: Mapping[int, PairedTable], side: Side) -> tuple[Reference, ...]:
    by_name = {table.name: table for table in tables.values()}
    by_folded = {folded(name): table for name, table in by_name.items()}
    return tuple(
        Reference(
            table,
            parent,
            tuple(zip(key.columns, key.parent_columns, strict=True)),
            key.on_delete not in EMPTYING,
        )
        for table in tables.values()
        for key in table.schema(side).foreign_keys
        if (parent := by_name.get(key.parent, by_folded.get(folded(key.parent)))) is not None
    )
