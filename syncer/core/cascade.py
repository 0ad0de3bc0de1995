"""
Foreign keys whose effect on the children is not in the log.

MariaDB, and MySQL before 9.6, log the parent's change alone: what ON DELETE and ON UPDATE did to the children has no event.
So a change of a parent leaves a *lookup*: "children of this table with this foreign-key value changed here, unseen". The
reconciler turns lookups into inexact marks of keys (reason ``cascade``) before it decides anything that they may concern.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from syncer.core.pairing import PairedTable
from syncer.core.schema import ForeignKey, TableName, TableSchema
from syncer.core.side import Side

REMOVES = "CASCADE"
CASCADING = frozenset({REMOVES, "SET NULL", "SET DEFAULT"})
"""The actions that change children; the others refuse the parent's change."""
EMPTYING = CASCADING - {REMOVES}
"""Of these, what may leave NULL: a default may be that."""


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """
    One foreign key, seen from the parent.

    Attributes:
        child: the child's table id.
        columns: its foreign-key columns.
        parent_columns: what they refer to, in the same order.
        on_delete, on_update: whether that change of a parent changes children.
        removes: deleting the parent deletes the children; else it changes their foreign key.
        empties: a change of the parent may leave the children's foreign key NULL.
    """

    child: int
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    on_delete: bool
    on_update: bool
    removes: bool
    empties: bool


Edges = Mapping[int, tuple[Edge, ...]]
"""By the parent's table id."""


def edges(tables: Mapping[int, PairedTable], side: Side) -> dict[int, tuple[Edge, ...]]:
    """Return the cascading foreign keys between *tables* as they are on *side*; tables without any are left out."""
    return edges_between({table_id: table.schema(side) for table_id, table in tables.items()})


def edges_between(schemas: Mapping[int, TableSchema]) -> dict[int, tuple[Edge, ...]]:
    """Return the same for the tables of one side, by their schemas."""
    ids = {schema.name: table_id for table_id, schema in schemas.items()}
    by_folded = {folded(name): table_id for name, table_id in ids.items()}
    found: dict[int, list[Edge]] = {}
    for table_id, schema in schemas.items():
        for key in schema.foreign_keys:
            parent = ids.get(key.parent, by_folded.get(folded(key.parent)))
            if parent is not None and _cascades(key):
                found.setdefault(parent, []).append(_edge(table_id, key))
    return {parent: tuple(some) for parent, some in found.items()}


def folded(name: TableName) -> tuple[str, str]:
    """Return what a name is compared by where letter case does not count."""
    return name.database.lower(), name.name.lower()


def _cascades(key: ForeignKey) -> bool:
    return bool({key.on_delete, key.on_update} & CASCADING)


def _edge(child: int, key: ForeignKey) -> Edge:
    return Edge(
        child=child,
        columns=key.columns,
        parent_columns=key.parent_columns,
        on_delete=key.on_delete in CASCADING,
        on_update=key.on_update in CASCADING,
        removes=key.on_delete == REMOVES,
        empties=bool({key.on_delete, key.on_update} & EMPTYING),
    )


def descendants(parents: Edges, table_id: int) -> tuple[int, ...]:
    """Return every table that a change of *table_id* may reach, in order of id; itself only by way of a cycle."""
    found: set[int] = set()
    ahead = [table_id]
    while ahead:
        for edge in parents.get(ahead.pop(), ()):
            if edge.child not in found:
                found.add(edge.child)
                ahead.append(edge.child)
    return tuple(sorted(found))


def onward(parents: Edges, table_id: int, columns: Collection[str], *, removes: bool) -> list[Edge]:
    """
    Return where a change of a child row goes from there.

    Args:
        table_id: the child.
        columns: its foreign-key columns that were changed.
        removes: the row was deleted.
    """
    changed = {name.lower() for name in columns}
    return [
        edge
        for edge in parents.get(table_id, ())
        if (
            edge.on_delete
            if removes
            else edge.on_update and changed & {n.lower() for n in edge.parent_columns}
        )
    ]


def places(wanted: Iterable[str], have: Iterable[str]) -> tuple[int, ...] | None:
    """Return where in *have* the columns *wanted* are, names in any letter case; None where one is missing."""
    at = {name.lower(): place for place, name in enumerate(have)}
    found = [at.get(name.lower()) for name in wanted]
    return None if None in found else tuple(place for place in found if place is not None)
