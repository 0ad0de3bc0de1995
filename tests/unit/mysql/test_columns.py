from __future__ import annotations

import pytest

from syncer.mysql import columns as cols
from tests.unit.mysql.tables import column, text


def test_names_are_quoted_whatever_they_hold():
    assert cols.quote_name("a`b") == "`a``b`"


@pytest.mark.parametrize(
    "value", ["it's", "back\\slash", "nul\0", "line\nend\r", "\x1a", "%s", '"', "😀"]
)
def test_a_quoted_text_closes_where_it_should(value):
    quoted = cols.quote_text(value)
    inner = quoted[1:-1].replace("\\\\", "").replace("''", "")
    assert quoted[0] == quoted[-1] == "'"
    assert "'" not in inner
    assert not inner.endswith("\\")
    assert "\n" not in quoted


@pytest.mark.parametrize(
    ("definition", "value", "scalar"),
    [
        (column("k", "bigint"), 7, 7),
        (column("k", "int"), "00007", 7),
        (column("k", "year"), 2024, 2024),
        (column("k", "bit"), "255", 255),
        (text("k"), "a ", "a "),
        (text("k"), b"\xc3\xa4", "ä"),
        (column("k", "binary", length=4), b"ab", b"ab\0\0"),
        (column("k", "varbinary", length=4), b"ab", b"ab"),
        (column("k", "decimal"), "1.50", "1.50"),
        (column("k", "datetime"), "2020-01-01 00:00:00.100", "2020-01-01 00:00:00.100"),
    ],
)
def test_a_selected_key_has_the_form_that_the_ledger_knows(definition, value, scalar):
    assert cols.key_scalar(definition, value) == scalar


@pytest.mark.parametrize(
    ("definition", "scalar", "literal"),
    [
        (column("k", "bigint"), -7, "-7"),
        (text("k"), "it's", "'it''s'"),
        (column("k", "varbinary"), b"\0\xff", "X'00ff'"),
        (column("k", "varbinary"), b"", "X''"),
        (column("k", "decimal"), "-1.50", "-1.50"),
        (column("k", "date"), "0000-00-00", "'0000-00-00'"),
    ],
)
def test_a_key_literal_lets_the_index_be_used(definition, scalar, literal):
    assert cols.key_literal(definition, scalar) == literal


def test_a_decimal_key_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="number"):
        cols.key_literal(column("k", "decimal"), "1) OR (1")


def test_enum_and_set_are_ordered_by_number():
    enum = column("e", "enum", members=("z", "a"))
    chosen = column("s", "set", members=("x", "y", "z"))
    assert cols.order_expression(enum) == "CAST(`e` AS UNSIGNED)"
    assert [cols.order_literal(enum, v) for v in ("z", "a", "")] == ["1", "2", "0"]
    assert [cols.order_literal(chosen, v) for v in ("", "x", "x,z")] == ["0", "1", "5"]


def test_members_that_cannot_be_told_apart_are_refused():
    """As they look where a member has no form in Unicode."""
    assert "look alike" in (cols.unsupported(column("e", "enum", members=("?", "a", "?"))) or "")
    assert cols.unsupported(column("e", "enum", members=("?", "a"))) is None


@pytest.mark.parametrize(
    ("definition", "scalar", "shown"),
    [
        (column("k", "int"), -1, "-1"),
        (column("k", "varchar", charset="utf8mb4"), "é", "é"),
        (column("k", "char", charset="ascii"), b"abc", "abc"),
        (column("k", "varchar", charset="ascii"), b"\x80", "0x80"),
        (column("k", "varchar", charset="utf16"), b"\0a\0b", "ab"),
        (column("k", "varchar", charset="gbk"), b"\xc4\xe3", "0xc4e3"),
        (column("k", "binary"), b"abc", "0x616263"),
        (column("k", "uuid"), bytes(range(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (column("k", "inet6"), bytes(15) + b"\1", "::1"),
        (column("k", "inet4"), b"\1\2\3\4", "1.2.3.4"),
    ],
)
def test_keys_are_shown_as_people_write_them(definition, scalar, shown):
    assert cols.key_text(definition, scalar) == shown


def test_an_enum_whose_empty_member_looks_like_an_invalid_value_is_no_key():
    enum = column("k", "enum", members=("a", ""))
    assert cols.unsupported(enum) is None
    assert "''" in (cols.unsupported(enum, key=True) or "")


@pytest.mark.parametrize(
    "kind", ["float", "double", "json", "geometry", "longblob", "mediumtext", "vector"]
)
def test_types_that_cannot_be_a_key_are_named(kind):
    assert cols.unsupported(column("k", kind)) is None
    assert kind in (cols.unsupported(column("k", kind), key=True) or "")


def test_an_unknown_type_is_named():
    assert "xmltype" in (cols.unsupported(column("k", "xmltype")) or "")


def test_an_image_is_null_rather_than_short_of_a_literal():
    """CONCAT_WS would leave a literal out that is too large; the others would move into its place."""
    found = cols.image([column("a"), text("b")])
    assert found.startswith("CONCAT(")
    assert "CONCAT_WS" not in found
