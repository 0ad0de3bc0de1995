from __future__ import annotations

import msgspec
import pytest

from syncer.core.schema import ForeignKey, TableName
from syncer.core.side import Side
from syncer.mysql.compatibility import compare
from syncer.mysql.introspect import parse_members
from syncer.mysql.table_checks import check_both, check_tables
from tests.unit.mysql.tables import column, table, text

ID = column("id")


def test_equal_tables_fit():
    assert compare(table(ID, text("v")), table(ID, text("v"))) == []


@pytest.mark.parametrize(
    ("a", "b", "word"),
    [
        (column("v", "int"), column("v", "varchar"), "varchar"),
        (column("v", "float"), column("v", "double"), "double"),
        (column("v", "datetime"), column("v", "timestamp"), "timestamp"),
        (column("v", "datetime", fraction=6), column("v", "datetime"), "fraction"),
        (column("v", "decimal", scale=2), column("v", "decimal", scale=4), "decimals"),
        (column("v", "binary", length=4), column("v", "binary", length=8), "bytes"),
        (column("v", "enum", members=("a",)), column("v", "enum", members=("a", "b")), "members"),
        (column("v", generated=True), column("v"), "generated"),
        (column("v"), column("w"), "missing"),
    ],
)
def test_what_cannot_be_kept_equal_is_named(a, b, word):
    found = compare(table(ID, a), table(ID, b))
    assert found
    assert word in found[0]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (column("v", "int"), column("v", "bigint")),
        (column("v", "char", length=5), column("v", "varchar", length=50)),
        (text("v", "latin1_swedish_ci", "latin1"), text("v")),
        (column("v", "text"), column("v", "longtext")),
        (column("V"), column("v")),
    ],
)
def test_what_a_read_back_would_find_is_no_obstacle(a, b):
    assert compare(table(ID, a), table(ID, b)) == []


def test_keys_have_to_be_the_same():
    found = compare(table(ID, column("n")), table(ID, column("n"), key=("n",)))
    assert "(id) on side a and (n) on side b" in found[0]


def test_key_columns_need_one_charset():
    a = table(text("k", "latin1_swedish_ci", "latin1"), key=("k",))
    assert "charset" in compare(a, table(text("k"), key=("k",)))[0]
    utf8 = table(text("k", "utf8mb3_general_ci", "utf8mb3"), key=("k",))
    assert compare(utf8, table(text("k"), key=("k",))) == []


@pytest.mark.parametrize(
    ("text_", "members"),
    [
        ("enum('a','b')", ("a", "b")),
        ("set('it''s','x,y',')')", ("it's", "x,y", ")")),
        (r"enum('back\\slash','line\nend','')", ("back\\slash", "line\nend", "")),
    ],
)
def test_members_are_read_out_of_a_type(text_, members):
    assert parse_members(text_) == members


def codes(findings):
    return {finding.code for finding in findings}


def test_a_table_that_cannot_be_synced_is_refused_by_name():
    schemas = {
        s.name: s
        for s in (
            table(ID, key=(), name="nokey"),
            table(ID, engine="MyISAM", name="myisam"),
            table(column("id", "float"), name="floatkey"),
            table(ID, triggers=("audit",), name="fires"),
        )
    }
    found = check_tables(Side.B, schemas, target=True, logs_cascades=True)
    assert codes(found) == {"no_key", "engine", "unsupported_column", "triggers"}
    assert all(f.side is Side.B and f.subject.startswith("d`b.") for f in found)
    assert "triggers" not in codes(check_tables(Side.B, schemas, target=False, logs_cascades=True))


def test_a_cascade_that_nobody_logs_is_named_where_the_parent_is_left_out():
    key = ForeignKey(
        name="fk", columns=("p",), parent=TableName("d`b", "up"), parent_columns=("id",),
        on_delete="CASCADE", on_update="NO ACTION",
    )  # fmt: skip
    child = msgspec.structs.replace(table(ID, name="child"), foreign_keys=(key,))
    up = table(ID, name="up")
    alone, both = {child.name: child}, {child.name: child, up.name: up}
    assert codes(check_tables(Side.A, alone, target=True, logs_cascades=False)) == {"cascade"}
    assert check_tables(Side.A, both, target=True, logs_cascades=False) == []
    assert check_tables(Side.A, alone, target=True, logs_cascades=True) == []


def test_a_table_on_one_side_only_is_named():
    schema = table(ID)
    found = check_both({schema.name: schema}, {})
    assert [(f.code, f.side) for f in found] == [("table_missing", Side.B)]


def generated(expression):
    return column("g", generated=True, expression=expression)


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ("(`n` * 2)", "`n` * 2", False),
        ("concat(`v`,_utf8mb4\\'-\\')", "concat(`v`,'-')", False),
        ("(`n` * 2)", "(`n` * 3)", True),
        ("upper(`v`)", "lower(`v`)", True),
    ],
)
def test_generated_columns_with_other_expressions_are_warned_of_by_name(one, other, differ):
    a, b = table(ID, generated(one)), table(ID, generated(other))
    found = check_both({a.name: a}, {b.name: b})
    assert [finding.code for finding in found] == ["generated_differs"] * differ
    if differ:
        assert str(found[0].level) == "warning"
        assert f"generated column g is {one} on side a and {other} on side b" in found[0].message
    assert check_both({a.name: a}, {b.name: b}, {a.name: frozenset({"g"})}) == []
