"""Foreign keys that change children without an event: which tables a change may reach, and by which columns."""

from __future__ import annotations

import msgspec
import pytest

from syncer.core.cascade import Edge, descendants, edges, onward, places
from syncer.core.schema import ForeignKey, TableName
from syncer.core.side import Side
from tests.unit.core.schemas import column, paired, table


def child(name, parent, *, on_delete="NO ACTION", on_update="NO ACTION", database="shop"):
    key = ForeignKey(
        name="fk", columns=("pid",), parent=TableName(database, parent), parent_columns=("id",),
        on_delete=on_delete, on_update=on_update,
    )  # fmt: skip
    return msgspec.structs.replace(
        table(column(), column("pid", position=1), name=name), foreign_keys=(key,)
    )


@pytest.mark.parametrize(
    ("on_delete", "on_update", "found"),
    [
        ("NO ACTION", "RESTRICT", None),
        ("CASCADE", "RESTRICT", (True, False, True)),
        ("SET NULL", "RESTRICT", (True, False, False)),
        ("RESTRICT", "CASCADE", (False, True, False)),
        ("SET DEFAULT", "SET NULL", (True, True, False)),
    ],
)
def test_only_what_changes_children_counts(on_delete, on_update, found):
    tables = {
        1: paired(table(name="up"), table_id=1),
        2: paired(child("down", "up", on_delete=on_delete, on_update=on_update), table_id=2),
    }
    got = edges(tables, Side.A).get(1, ())
    assert [(e.on_delete, e.on_update, e.removes) for e in got] == ([found] if found else [])


@pytest.mark.parametrize(
    ("on_delete", "on_update", "empties"),
    [
        ("CASCADE", "CASCADE", False),
        ("SET NULL", "CASCADE", True),
        ("CASCADE", "SET NULL", True),
        ("SET DEFAULT", "RESTRICT", True),
    ],
)
def test_what_may_leave_a_child_without_a_parent(on_delete, on_update, empties):
    tables = {
        1: paired(table(name="up"), table_id=1),
        2: paired(child("down", "up", on_delete=on_delete, on_update=on_update), table_id=2),
    }
    assert [edge.empties for edge in edges(tables, Side.A)[1]] == [empties]


def test_a_parent_is_found_in_other_letters_and_one_that_is_left_out_is_not():
    tables = {
        1: paired(table(name="Up"), table_id=1),
        2: paired(child("down", "up", on_delete="CASCADE"), table_id=2),
        3: paired(child("lost", "away", on_delete="CASCADE"), table_id=3),
    }
    assert set(edges(tables, Side.B)) == {1}


def test_each_side_has_foreign_keys_of_its_own():
    plain = table(column(), column("pid", position=1), name="down")
    tables = {
        1: paired(table(name="up"), table_id=1),
        2: paired(child("down", "up", on_delete="CASCADE"), plain, table_id=2),
    }
    assert (set(edges(tables, Side.A)), set(edges(tables, Side.B))) == ({1}, set())


def edge(to, columns, parent_columns, *, removes=True, on_update=False):
    return Edge(
        child=to, columns=columns, parent_columns=parent_columns,
        on_delete=True, on_update=on_update, removes=removes, empties=not removes,
    )  # fmt: skip


CYCLE = {
    1: (edge(2, ("pid",), ("id",)),),
    2: (edge(3, ("up",), ("id",)), edge(4, ("code",), ("PID",), removes=False, on_update=True)),
    3: (edge(2, ("pid",), ("id",)),),
}


def test_a_change_reaches_chains_and_cycles_once():
    assert descendants(CYCLE, 1) == (2, 3, 4)
    assert descendants(CYCLE, 3) == (2, 3, 4)
    assert descendants(CYCLE, 4) == ()


def test_a_deleted_child_is_followed_by_every_key_and_a_changed_one_by_what_changed():
    assert [e.child for e in onward(CYCLE, 2, ("pid",), removes=True)] == [3, 4]
    assert [e.child for e in onward(CYCLE, 2, ("pid",), removes=False)] == [4]
    assert onward(CYCLE, 2, ("other",), removes=False) == []


def test_places_of_columns():
    assert places(("B", "a"), ("a", "b")) == (1, 0)
    assert places(("a", "c"), ("a", "b")) is None
