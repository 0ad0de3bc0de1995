"""What is known of a table."""

from __future__ import annotations

import msgspec
import pytest

from syncer.core.pairing import key_signature
from syncer.core.side import Side
from tests.unit.core.schemas import column, paired, table, text


def test_columns_are_found_in_any_letter_case():
    schema = table(column("Id"), key=("ID",))
    assert schema.column("iD").name == "Id"
    assert [c.name for c in schema.key_columns] == ["Id"]
    with pytest.raises(KeyError):
        schema.column("other")


@pytest.mark.parametrize("data_type", ["tinyint", "smallint", "mediumint", "int", "bigint"])
def test_one_integer_column_makes_runs_possible(data_type):
    assert table(column(data_type=data_type)).integer_key
    assert table(column(data_type=data_type, unsigned=True)).unsigned_key


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ([column(data_type="year")], ("id",)),
        ([column(data_type="bit")], ("id",)),
        ([column(data_type="decimal")], ("id",)),
        ([text()], ("id",)),
        ([column(), column("b")], ("id", "b")),
        ([column()], ()),
    ],
)
def test_other_keys_make_no_runs(columns, key):
    schema = table(*columns, key=key)
    assert not schema.integer_key
    assert not schema.unsigned_key


@pytest.mark.parametrize(
    ("collation", "pad_space", "exact"),
    [
        ("utf8mb4_general_ci", True, False),
        ("utf8mb4_0900_ai_ci", False, False),
        ("utf8mb4_bin", True, False),
        ("utf8mb4_0900_bin", False, True),
        ("utf8mb4_nopad_bin", False, True),
        ("binary", False, True),
        (None, False, True),
    ],
)
def test_a_spelling_is_exact_where_no_collation_folds(collation, pad_space, exact):
    assert table(text(collation=collation, pad_space=pad_space)).exact_spelling is exact
    mixed = table(column(), text("b", collation, pad_space=pad_space), key=("id", "b"))
    assert mixed.exact_spelling is exact


def test_only_key_columns_count_for_spelling():
    assert table(column(), text("b")).exact_spelling


def test_estimates_do_not_change_a_table_s_shape():
    schema = table(rows=5, row_bytes=50)
    assert schema.same_shape(table(rows=7, row_bytes=10))
    assert not schema.same_shape(table(column(nullable=True)))
    assert not schema.same_shape(msgspec.structs.replace(schema, triggers=("t",)))
    assert not schema.same_shape(table(column(), unique=(("id",),)))


def test_a_pair_stores_integers_only_where_both_sides_agree():
    signed, unsigned = table(column()), table(column(unsigned=True))
    assert paired(signed).integer_key
    assert paired(unsigned).store((7,)) == 7 - (1 << 63)
    assert paired(unsigned).load(paired(unsigned).store((7,))) == (7,)
    assert not paired(signed, unsigned).integer_key
    mixed = paired(signed, unsigned)
    assert isinstance(mixed.store((7,)), bytes)
    assert mixed.load(mixed.store((7,))) == (7,)


def test_a_key_s_signature_changes_with_its_stored_form():
    one = key_signature(table(text()))
    assert one == key_signature(table(text()))
    assert one != key_signature(table(text(collation="utf8mb4_bin")))
    assert one != key_signature(table(column()))
    signed = key_signature(table(column()))
    assert signed == key_signature(table(column(data_type="bigint")))
    assert signed != key_signature(table(column(unsigned=True)))
    assert signed != key_signature(table(column("other"), key=("other",)))


def test_columns_are_each_side_s_own():
    a = table(column(), column("Note", "text"))
    b = table(column("ID", "bigint"), column("note", "mediumtext"))
    pair = paired(a, b)
    assert [c.data_type for c in pair.compared(Side.A)] == ["int", "text"]
    assert [c.data_type for c in pair.writable(Side.B)] == ["bigint", "mediumtext"]
    assert pair.row_bytes == 1
    assert paired(table(row_bytes=3), table(row_bytes=9)).row_bytes == 9
