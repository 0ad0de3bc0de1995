"""Which foreign keys change children unseen, and which deletes take children along."""

from __future__ import annotations

from collections.abc import Mapping

from syncer.core.cascade import edges
from syncer.core.pairing import PairedTable
from syncer.core.side import Side
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
