"""What changes of parents say of children without events, from rows events made by hand."""

from __future__ import annotations

import struct

import pytest

from syncer.binlog.layout import TableLayout
from syncer.binlog.parents import Parents, UnknownValueError
from syncer.binlog.tablemap import LONG, ColumnMap, TableMap
from syncer.core.cascade import Edge
from syncer.core.key import encode
from syncer.core.schema import Column, TableName, TableSchema

NAMES = ("id", "code")
SCHEMA = TableSchema(
    name=TableName("d", "p"), engine="InnoDB", key=("id",),
    columns=tuple(
        Column(name=name, position=at, data_type="int", column_type="int", nullable=at > 0)
        for at, name in enumerate(NAMES)
    ),
)  # fmt: skip
MAP = TableMap("d", "p", (ColumnMap(LONG, 4, 0), ColumnMap(LONG, 4, 0)), NAMES)


def parents(column, *, on_delete=True, on_update=True, removes=True):
    edge = Edge(
        child=9, columns=("pid",), parent_columns=(column,),
        on_delete=on_delete, on_update=on_update, removes=removes, empties=not removes,
    )  # fmt: skip
    return Parents(MAP, TableLayout(4, SCHEMA, (edge,), (9,)))


def image(*values):
    nulls = sum(1 << at for at, value in enumerate(values) if value is None)
    return bytes([nulls]) + b"".join(struct.pack("<i", v) for v in values if v is not None)


def read(made, operation, keys, *images, present=(3, 3)):
    bitmaps = bytes(present if operation == "update" else present[:1])
    body = b"\x02" + bitmaps + b"".join(images)
    found = made.read(operation, keys, body, 0, partial=False, compressed=False)
    return [(key, one.value, one.removes, one.came) for key, one in found]


def value(number):
    return encode((number,), integer=False)


@pytest.mark.parametrize("removes", [True, False])
def test_a_deleted_parent_names_its_children_by_key(removes):
    made = parents("id", removes=removes)
    assert read(made, "delete", [1, 2]) == [
        (1, value(1), removes, False),
        (2, value(2), removes, False),
    ]


def test_a_deleted_parent_names_its_children_by_another_unique_key():
    found = read(parents("code"), "delete", [1, 2], image(1, 10), image(2, None))
    assert found == [(1, value(10), True, False)]


def test_an_update_names_the_value_that_was_and_the_value_that_is():
    assert read(parents("id"), "update", [1, 1, 2, 3]) == [
        (2, value(2), False, False),
        (2, value(3), False, True),
    ]
    found = read(
        parents("code"), "update", [1, 1, 2, 2],
        image(1, 10), image(1, 10), image(2, 20), image(2, 21),
    )  # fmt: skip
    assert found == [(2, value(20), False, False), (2, value(21), False, True)]


def test_what_the_foreign_key_refuses_changes_no_children():
    made = parents("id", on_delete=False, on_update=False)
    assert read(made, "delete", [1]) == []
    assert read(made, "update", [1, 2]) == []


def test_a_minimal_image_without_the_value_is_told_apart_from_one_that_left_it_alone():
    made = parents("code")
    with pytest.raises(UnknownValueError):
        read(made, "delete", [1], image(1), present=(1,))
    with pytest.raises(UnknownValueError):
        read(made, "update", [1, 1], image(1), image(7), present=(1, 2))
    assert read(made, "update", [1, 1], image(1), image(1), present=(1, 1)) == []
    assert read(parents("id"), "delete", [1], image(1), present=(1,)) != []
