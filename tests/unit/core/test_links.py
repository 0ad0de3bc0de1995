"""Tables that refer to each other: which references can wait, and which rows belong together."""

from __future__ import annotations

import msgspec
import pytest

from syncer.core.links import circular, emptied, families
from syncer.core.schema import ForeignKey, TableName
from tests.unit.core.schemas import column, table


def refers(name, **references):
    """A table with the key `id` and, for each reference, a column; a parent named with `!` needs a value."""
    columns = [column()]
    keys = []
    for number, (own, parent) in enumerate(references.items(), 1):
        columns.append(column(own, nullable=not parent.endswith("!"), position=number))
        keys.append(
            ForeignKey(
                name=own,
                columns=(own,),
                parent=TableName("shop", parent.rstrip("!")),
                parent_columns=("id",),
                on_delete="RESTRICT",
                on_update="RESTRICT",
            )
        )
    return bound(table(*columns, name=name), *keys)


def bound(schema, *keys):
    return msgspec.structs.replace(schema, foreign_keys=keys)


def found(*schemas):
    return {name.name: columns for name, columns in circular(schemas).items()}


@pytest.mark.parametrize(
    ("schemas", "expected"),
    [
        ([refers("a", b="b"), refers("b", a="a")], {"a": ("b",), "b": ("a",)}),
        ([refers("a", b="b!"), refers("b", a="a")], {"b": ("a",)}),
        ([refers("a", b="b!"), refers("b", a="a!")], {}),
        ([refers("a", up="a")], {"a": ("up",)}),
        ([refers("a", b="b"), refers("b")], {}),
        ([refers("a", b="b"), refers("b", c="c"), refers("c", a="a", d="d"), refers("d")], {"a": ("b",), "b": ("c",), "c": ("a",)}),
        # The rest of the circle is not here: nothing of it can be written together.
        ([refers("a", b="b")], {}),
        # What hangs on a circle is not on it.
        ([refers("x", a="a"), refers("a", up="a")], {"a": ("up",)}),
    ],
)  # fmt: skip
def test_the_references_that_close_a_circle_and_may_be_null(schemas, expected):
    assert found(*schemas) == expected


def test_a_column_of_several_that_may_be_null_is_enough():
    key = ForeignKey(
        name="up",
        columns=("tenant", "up"),
        parent=TableName("shop", "a"),
        parent_columns=("tenant", "id"),
        on_delete="RESTRICT",
        on_update="RESTRICT",
    )
    columns = (column(), column("tenant"), column("up", nullable=True))
    assert found(bound(table(*columns, name="a"), key)) == {"a": ("up",)}


def test_a_generated_column_cannot_be_emptied():
    schema = refers("a", up="a")
    columns = (schema.columns[0], column("up", nullable=True, generated=True))
    assert found(bound(table(*columns, name="a"), *schema.foreign_keys)) == {}


def test_only_the_named_columns_of_a_row_are_emptied():
    assert emptied("1,'a,b',7", ("id", "Text", "up"), ("UP",)) == "1,'a,b',NULL"
    assert emptied("1,'it\\'s',7", ("id", "text", "up"), ("text", "up")) == "1,NULL,NULL"


def test_rows_that_refer_to_each_other_are_a_family():
    a, b = refers("a", b="b"), refers("b", a="a")
    rows = [
        (a, {"id": "1", "b": "1"}),
        (a, {"id": "2", "b": "2"}),
        (b, {"id": "2", "a": "2"}),
        (b, {"id": "1", "a": "1"}),
        (b, {"id": "3", "a": "NULL"}),
        (a, {"id": "4", "b": "3"}),
    ]
    assert families(rows) == [[0, 3], [1, 2], [4, 5]]


def test_a_reference_to_nothing_or_to_another_row_binds_nobody():
    a = refers("a", up="a")
    rows = [
        (a, {"id": "1", "up": "NULL"}),
        (a, {"id": "2", "up": "9"}),
        (a, None),
        (a, {"id": "NULL", "up": "NULL"}),
    ]
    assert families(rows) == [[0], [1], [2], [3]]


def test_a_long_chain_is_one_family():
    a = refers("a", up="a")
    rows = [(a, {"id": str(n), "up": str(n + 1)}) for n in range(2000)]
    assert families(rows) == [list(range(2000))]
