"""Rows as lines: which columns may travel so, and the statement."""

from __future__ import annotations

import pytest

from syncer.mysql.loading import fits, load_lines
from tests.unit.mysql.tables import column, table, text

KINDS = [
    "int",
    "year",
    "decimal",
    "double",
    "datetime",
    "json",
    "enum",
    "bit",
    "blob",
    "point",
    "uuid",
]


@pytest.mark.parametrize("kind", KINDS)
def test_columns_whose_literals_a_server_can_load(kind):
    assert fits([column("c", kind)], [column("c", kind)])


def test_a_text_fits_where_its_literal_is_the_text():
    assert fits([text("c")], [text("c")])
    raw = text("c", "sjis_japanese_ci", "sjis")
    assert not fits([text("c"), raw], [text("c"), raw])


def test_number_0_of_an_enum_is_no_member_0():
    assert not fits(
        [column("c", "enum", members=("1", "0"))], [column("c", "enum", members=("1", "0"))]
    )


def test_both_sides_must_write_a_column_in_the_same_form():
    """A text column would take the hex digits of bytes for its text."""
    binary = column("c", "varbinary")
    assert not fits([binary], [text("c")])
    assert not fits([text("c")], [binary])
    assert not fits([column("c", "bit")], [column("c")])
    assert fits([column("c")], [column("c", "bigint")])


def test_the_statement_tells_what_is_bytes():
    columns = (column("id"), column("raw", "blob"), column("bits", "bit"))
    sql = load_lines(table(*columns), columns)
    assert sql.startswith(
        "LOAD DATA LOCAL INFILE 'syncer' INTO TABLE `d``b`.`t` CHARACTER SET utf8mb4 "
    )
    assert r"ENCLOSED BY '\'' ESCAPED BY '\\' LINES TERMINATED BY '\n'" in sql
    assert sql.endswith(
        "(`id`,@syncer_1,@syncer_2) SET `raw`=UNHEX(SUBSTR(@syncer_1,3,LENGTH(@syncer_1)-3)),"
        "`bits`=CAST(@syncer_2 AS UNSIGNED)"
    )
