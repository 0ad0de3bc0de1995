"""What a row was, in the words that a server would have for it; on real servers: tests/integration/test_merging.py."""

from __future__ import annotations

import msgspec
import pytest

from syncer.core.keptimage import LoggedRow, RenderedRow, pack, signature, unpack
from syncer.core.pairing import PairedTable
from syncer.core.policy import Policy
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.mysql.images import alike, kept_cells
from tests.unit.core.schemas import column, table, text

CASES = [
    (column("c"), 5, "5"),
    (column("c"), -5, "-5"),
    (column("c"), None, "NULL"),
    (column("c", "decimal", precision=5, scale=2), "-0.50", "-0.50"),
    (column("c", "bit", length=3), 5, "5"),
    (column("c", "varbinary"), b"\0\xff", "X'00FF'"),
    (column("c", "blob"), b"", "X''"),
    (column("c", "enum", members=("x", "y")), "y", "'y'"),
    (column("c", "enum", members=("x", "y")), "", "0"),
    (column("c", "enum", members=("x", "")), "", None),
    (column("c", "datetime"), "0000-00-00 00:00:00", "'0000-00-00 00:00:00'"),
    (text("c"), "it's \\ \n\0\x1a", "'it\\'s \\\\ \n\\0\\Z'"),
    (column("c", "varchar", charset="cp1251", collation="cp1251_bin"), b"\xe4", "_cp1251 X'E4'"),
    (column("c", "double"), 0.1, "'0.1'"),
    (column("c", "json"), "{}", None),
    (column("c", "point"), b"\0", None),
    (column("c", "uuid"), b"\0" * 16, None),
]


def paired(one):
    schema = table(column("id"), msgspec.structs.replace(one, position=1))
    return PairedTable(
        table_id=1,
        name=TableName("shop", "t"),
        a=schema,
        b=schema,
        columns=("id", "c"),
        written=("id", "c"),
        policy=Policy(),
    )


def image_of(one, value):
    row = LoggedRow(signature(paired(one).a), bytes([0, 1]), (1, value))
    return pack(row)


@pytest.mark.parametrize(("one", "value", "cell"), CASES)
def test_every_type_has_the_server_s_words_or_none(one, value, cell):
    assert kept_cells(image_of(one, value), paired(one), Side.A, []) == ("1", cell)


def test_a_float_is_told_in_the_words_of_a_row_that_has_it():
    one = column("c", "double")
    assert kept_cells(
        image_of(one, 1e20), paired(one), Side.A, [["1", "'100000000000000000000'"]]
    ) == (
        "1",
        "'100000000000000000000'",
    )


def test_a_column_that_was_not_read_is_not_told():
    one = column("c")
    row = pack(LoggedRow(signature(paired(one).a), bytes([0]), (1,)))
    assert kept_cells(row, paired(one), Side.A, []) == ("1", None)


def test_another_definition_tells_nothing():
    one = column("c")
    other = column("c", "bigint")
    assert kept_cells(image_of(one, 5), paired(other), Side.A, []) is None
    cells = pack(RenderedRow(("id", "c"), ("1", "5")))
    assert kept_cells(cells, paired(one), Side.A, []) == ("1", "5")
    assert kept_cells(pack(RenderedRow(("id", "d"), ("1", "5"))), paired(one), Side.A, []) is None


def test_what_is_too_long_is_not_kept():
    assert pack(RenderedRow(("c",), ("x" * 70_000,))) == b""
    assert pack(RenderedRow(("c",), ("\udc80",))) == b""
    assert unpack(b"") is None
    assert kept_cells(b"", paired(column("c")), Side.A, []) is None


@pytest.mark.parametrize(
    ("kind", "meant", "found", "same"),
    [
        ("int", "1", "1", True),
        ("int", "1", "2", False),
        ("double", "'1e20'", "'100000000000000000000'", True),
        ("double", "'1e20'", "NULL", False),
        ("double", "NULL", "NULL", True),
        ("json", "'{\"a\": 1}'", "'{\"a\":1}'", True),
        ("json", "'{\"a\": 1}'", "'{\"a\":2}'", False),
        ("json", "NULL", "'{}'", False),
        ("varchar", "'a'", "'A'", False),
    ],
)
def test_what_is_read_back_is_what_was_meant(kind, meant, found, same):
    assert alike(column("c", kind), meant, found) is same
