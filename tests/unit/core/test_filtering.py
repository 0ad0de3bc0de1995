"""What a filter may say, and what is refused by name."""

import pytest

from syncer.core.filtering import parse_filter
from tests.unit.core.schemas import column, table


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", ()),
        ("region = 'eu'", ("region",)),
        ("id > 1000 AND NOT deleted", ("id", "deleted")),
        ("`odd ``name` IN ('it''s', N) or é IS NULL", ("odd `name", "N", "é")),
        ("MOD(id, 4) = 1 AND lower(name) LIKE 'a%'", ("id", "name")),
        ("created >= DATE '2024-01-01' && x <=> 0x0f", ("created", "x")),
        ("CASE WHEN a < -1.5e3 THEN b ELSE 0 END", ("a", "b")),
        ("x'00' = bits", ("bits",)),
    ],
)
def test_columns_literals_and_sure_functions_make_a_filter(text, columns):
    assert parse_filter(f" {text} ").columns == columns


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("created > NOW()", "NOW() is no function"),
        ("id IN (SELECT id FROM other)", "where:"),
        ("RAND () < 0.5", "RAND() is no function"),
        ("id = @x", "'@' cannot stand"),
        ("id = 1; DROP TABLE t", "';' cannot stand"),
        ("id = 1 -- rest", "'-' cannot stand"),
        ("id /* */ = 1", "'/' cannot stand"),
        ("id = 1 # rest", "'#' cannot stand"),
        ('name = "x"', "cannot stand"),
        (r"name = 'a\'", "a string with a backslash or without an end"),
        ("name = 'a", "a string with a backslash or without an end"),
        ("id = 1e", "'1' cannot stand"),
        ("(id = 1", "parentheses do not match"),
        ("id = 1) OR (id = 2", "parentheses do not match"),
        ("1 = 1", "mentions no column"),
    ],
)
def test_what_need_not_be_the_same_everywhere_is_refused(text, words):
    if "SELECT" in text:  # a word that is neither is taken for a column, and no table has it
        found = parse_filter(text).problems(table(), "a")
        assert found[0] == "where: shop.t has no column 'SELECT' on side a"
        return
    with pytest.raises(ValueError, match="where: ") as caught:
        parse_filter(text)
    assert words in str(caught.value)


def test_a_column_that_is_not_compared_or_not_there_is_named():
    found = parse_filter("ID = 1 AND gone = 2 AND free = 3")
    schema = table(column("id"), column("free"))
    assert found.problems(schema, "b", {"free"}) == [
        "where: shop.t has no column 'gone' on side b",
        "where: column free of shop.t is in ignore_columns: both sides may differ in it",
    ]
