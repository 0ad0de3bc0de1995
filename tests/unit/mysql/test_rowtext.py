"""Rows that come as one text: all of them or none."""

from __future__ import annotations

import msgspec
import pytest

from syncer.mysql import rowtext
from syncer.mysql.flavor import Flavor
from tests.unit.mysql.tables import column, table, text

ONE = table(column("id", "bigint"), text("v"))
DIGEST = 32 * "a"


def entry(key, image):
    return f"{key},{DIGEST},{image}{rowtext.END}"


def test_rows_are_read_as_they_were_made():
    found = entry(-7, r"-7,'a, \'b\\ \0 \n'") + entry(2**64 - 1, "18446744073709551615,NULL")
    assert list(rowtext.take_apart(2, found)) == [
        (-7, DIGEST, r"-7,'a, \'b\\ \0 \n'"),
        (2**64 - 1, DIGEST, "18446744073709551615,NULL"),
    ]
    assert list(rowtext.take_apart(0, "")) == []


@pytest.mark.parametrize(
    ("count", "found"),
    [
        (1, ""),  # no digest or no image: the whole entry is NULL, and left out
        (1, entry(1, "1,'x'")[:-1]),
        (1, entry(1, "1,'x'")[:-3]),
        (2, entry(1, "1,'x'") + entry(2, "2,'x'")[:-3]),
        (2, entry(1, "1,'x'")),
        (1, entry(1, "1,'x\0'")),
    ],
)
def test_a_text_that_is_not_whole_says_nothing(count, found):
    with pytest.raises(ValueError, match="not whole"):
        list(rowtext.take_apart(count, found))


def test_only_rows_of_one_integer_key_of_which_nothing_else_is_asked_come_so():
    assert rowtext.fits(ONE, ONE.columns)
    assert not rowtext.fits(msgspec.structs.replace(ONE, where="v = 'x'"), ONE.columns)
    assert not rowtext.fits(table(text("id")), (text("id"),))
    document = column("d", "json", by_value=True)
    assert not rowtext.fits(table(column("id", "bigint"), document), (column("id"), document))


@pytest.mark.parametrize("flavor", Flavor)
def test_a_row_is_one_entry(flavor):
    sql = rowtext.select(ONE, flavor, ONE.columns, ONE.columns)
    assert sql.startswith("COUNT(*),GROUP_CONCAT(`id`,',',LEFT(SHA2(")
    assert sql.endswith(r",'\0' SEPARATOR '')")
