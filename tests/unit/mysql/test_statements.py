from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.mysql import statements
from syncer.mysql.flavor import Flavor
from tests.unit.mysql.tables import column, table, text

ONE = table(column("id"), text("v"))
TWO = table(column("a"), text("b"), column("v"), key=("a", "b"))
THREE = table(column("a"), column("b"), column("c"), key=("a", "b", "c"))
V = (column("id"), text("v"))


def test_a_single_column_key_is_a_list():
    assert statements.keys_condition(ONE, [(2,), (1,), (2,)]) == "`id` IN (1,2)"


def test_no_keys_are_no_rows():
    assert statements.keys_condition(ONE, []) == "FALSE"


def test_composite_keys_share_what_they_have_in_common():
    found = statements.keys_condition(TWO, [(1, "x"), (2, "y"), (1, "z")])
    assert found == "((`a`=1 AND `b` IN ('x','z')) OR (`a`=2 AND `b` IN ('y')))"


@pytest.mark.parametrize(
    ("schema", "keys", "limit"),
    [
        (ONE, [(10**18 + i,) for i in range(500)], 1000),
        (TWO, [(i % 7, "'\\" * (i % 90)) for i in range(500)], 2000),
        (TWO, [(i, "\U0001f42c" * 40) for i in range(50)], 2000),
        (THREE, [(i % 7, i % 5, -i) for i in range(500)], 2000),
        (table(column("id", "varbinary")), [(b"x" * (i % 300),) for i in range(300)], 1000),
    ],
)
def test_keys_are_divided_by_the_length_of_their_condition(schema, keys, limit):
    parts = statements.split_keys(schema, keys, limit)
    assert len(parts) > 1
    assert sorted(key for part in parts for key in part) == sorted(set(keys))
    assert all(len(statements.keys_condition(schema, part).encode()) <= limit for part in parts)
    assert statements.split_keys(schema, keys, 1 << 20) == [keys]


def test_a_key_that_is_longer_than_what_is_allowed_stands_alone():
    keys = [(1, "x" * 500), (2, "y"), (3, "z")]
    assert statements.split_keys(TWO, keys, 400) == [keys[:1], keys[1:]]
    assert statements.split_keys(ONE, [(1,), (2,)], 1) == [[(1,)], [(2,)]]
    assert statements.split_keys(ONE, [], 1) == [[]]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (None, None, "TRUE"),
        ((1,), None, "`id` >= 1"),
        (None, (9,), "`id` < 9"),
        ((1,), (9,), "`id` >= 1 AND `id` < 9"),
    ],
)
def test_a_range_is_half_open(low, high, expected):
    assert statements.range_condition(ONE, low, high) == expected


def test_a_composite_range_is_an_or_of_intervals():
    found = statements.range_condition(THREE, (1, 2, 3), None)
    assert found == "((`a` > 1) OR (`a`=1 AND `b` > 2) OR (`a`=1 AND `b`=2 AND `c` >= 3))"


def test_a_range_within_one_prefix_says_so_once():
    assert (
        statements.range_condition(THREE, (1, 2, 3), (1, 2, 9))
        == "`a`=1 AND `b`=2 AND `c` >= 3 AND `c` < 9"
    )


def test_the_order_is_the_keys_order():
    assert statements.order_by(TWO) == "`a`,`b`"
    assert statements.order_by(TWO, descending=True) == "`a` DESC,`b` DESC"


def test_a_select_locks_and_orders_only_when_asked():
    plain = statements.select_digests(ONE, Flavor.MYSQL, V, "TRUE")
    assert "FOR UPDATE" not in plain
    assert "ORDER BY" not in plain
    asked = statements.select_digests(
        ONE, Flavor.MYSQL, V, "TRUE", lock=True, ordered=True, images=V, extra=["NOW()"]
    )
    assert asked.endswith("ORDER BY `id` FOR UPDATE")
    assert "NOW()" in asked


def test_names_are_quoted_everywhere():
    assert statements.quote_table(TableName("d`b", "t")) == "`d``b`.`t`"
    assert "`d``b`.`t`" in statements.select_boundary(ONE, (1,), None, 10)


def test_an_insert_names_its_columns():
    found = statements.insert_rows(ONE, V, ["1,'a'", "2,NULL"])
    assert found == "INSERT INTO `d``b`.`t` (`id`,`v`) VALUES (1,'a'),(2,NULL)"


def test_many_rows_are_overwritten_at_once_where_nothing_else_can_be_hit():
    found = statements.update_rows(ONE, V, ["1,'a'", "2,'b'"], [(1,), (2,)])
    assert len(found) == 1
    assert found[0].endswith("ON DUPLICATE KEY UPDATE `id`=VALUES(`id`),`v`=VALUES(`v`)")


@pytest.mark.parametrize("facts", [{"unique": (("v",),)}, {"triggers": ("audit",)}])
def test_rows_are_updated_one_by_one_where_another_row_could_be_hit(facts):
    schema = table(*V, **facts)
    found = statements.update_rows(schema, V, ["1,'a,b'", "3,'b'"], [(1,), (2,)])
    assert len(found) == 2
    assert found[0].endswith("SET `id`=1,`v`='a,b' WHERE `id`=1")
    assert found[1].endswith("SET `id`=3,`v`='b' WHERE `id`=2"), "the spelling of a key may change"
    with pytest.raises(ValueError, match="unique"):
        statements.overwrite_rows(schema, V, ["1,'a'"])


def test_replace_is_never_used():
    for sql in (
        statements.insert_rows(ONE, V, ["1,'a'"]),
        *statements.update_rows(ONE, V, ["1,'a'"], [(1,)]),
        statements.delete_rows(ONE, [(1,)]),
    ):
        assert "REPLACE" not in sql


def test_the_rows_of_a_chunk_are_divided_between_rows_and_none_is_lost():
    rows = [f"{at},'{'x' * (at * 7 % 30)}'" for at in range(100)]
    values = "),(".join(rows)
    found = list(statements.split_rows(values, len(rows), 100))
    assert len(found) > 10
    assert all(len(one) <= 100 for one in found)
    assert [row for one in found for row in one.split("),(")] == rows


def test_rows_longer_than_a_statement_stand_alone():
    rows = ["1,'a'", f"2,'{'b' * 300}'", "3,'c'", f"4,'{'d' * 300}'"]
    found = list(statements.split_rows("),(".join(rows), len(rows), 100))
    assert found == rows


@pytest.mark.parametrize(
    ("values", "rows"),
    [("1,'a),(b'),(2,'" + "x" * 200 + "'", 2), ("1,'" + "),(" * 99 + "'", 1), ("", 1), ("1", 1)],
)
def test_a_value_that_looks_like_the_end_of_a_row_keeps_its_chunk_whole(values, rows):
    assert list(statements.split_rows(values, rows, 100)) == [values]


def test_images_are_split_by_bytes_and_none_is_lost():
    images = ["x" * 10, "ä" * 10, "y" * 100, "z"]
    found = list(statements.split_by_bytes(images, 40))
    assert [image for batch in found for image in batch] == images
    assert found == [["x" * 10, "ä" * 10], ["y" * 100], ["z"]]
    assert list(statements.split_by_bytes([], 40)) == []


def test_a_mapped_table_is_spoken_of_by_its_name_on_its_server():
    there = msgspec.structs.replace(ONE, stored_as=TableName("sto`re", "x"))
    row = ["1,'a'"]
    found = [
        statements.table_by_key(there),
        statements.select_chunk_digest(there, Flavor.MYSQL, V, None, None),
        statements.select_multiset_digest(there, Flavor.MYSQL, V),
        statements.select_small_digest(there, Flavor.MYSQL, V, 7, 200),
        statements.select_children(there, ["id"], [(1,)], V, 5),
        statements.select_parents_with_children(there, [(1,)], there, [("id", "id")], [(2,)]),
        statements.insert_rows(there, V, row),
        statements.overwrite_rows(there, V, row),
        *statements.update_rows(there, V, row, [(1,)]),
        statements.delete_rows(there, [(1,)]),
    ]
    for text_ in found:
        assert "`sto``re`.`x`" in text_
        assert "`d``b`" not in text_


def test_no_statement_is_made_with_the_pair_s_name():
    folder = Path(statements.__file__).parents[1]
    texts = {path.name: path.read_text() for path in folder.rglob("*.py")}
    assert [
        name for name, one in texts.items() if re.search(r"quote_table\(\w+\.name\)", one)
    ] == []


def test_a_filter_narrows_what_is_compared_and_never_what_is_read_by_key():
    some = msgspec.structs.replace(ONE, where="v = 'x' OR id > 5")
    compared = [
        statements.select_chunk_digest(some, Flavor.MYSQL, V, (1,), (9,)),
        statements.select_chunk_values(some, Flavor.MYSQL, V, V, (1,), (9,)),
        statements.select_entries(some, Flavor.MYSQL, V, (1,), (9,), Side.A),
    ]
    for one in compared:
        assert " AND (v = 'x' OR id > 5)" in one
    keyless = [
        statements.select_multiset_digest(some, Flavor.MYSQL, V),
        statements.select_row_digests(some, Flavor.MYSQL, V, ""),
        statements.select_row_digests(some, Flavor.MYSQL, V, "a"),
    ]
    small = statements.select_small_digest(some, Flavor.MYSQL, V, 7, 200)
    assert small.endswith("WHERE v = 'x' OR id > 5 LIMIT 201) AS t")
    for one in keyless:
        assert "(v = 'x' OR id > 5)" in one or one.endswith("WHERE v = 'x' OR id > 5")
    for one in (
        statements.keys_condition(some, [(1,)]),
        statements.select_boundary(some, None, None, 5),
        statements.delete_rows(some, [(1,)]),
    ):
        assert "v = 'x'" not in one
