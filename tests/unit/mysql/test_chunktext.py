"""Which tables' chunks are digested as one text, and why the text is whole."""

from __future__ import annotations

import msgspec
import pytest

from syncer.mysql import chunktext
from syncer.mysql.flavor import Flavor
from tests.unit.core.schemas import column, paired, table, text

NUMBER, WORD = column("id"), text("w")


def _fits(a, b=None, *, rows=1, **facts):
    return chunktext.fits(msgspec.structs.replace(paired(a, b), **facts), Flavor.MARIADB, rows)


def test_two_mariadb_servers_read_a_primary_key_in_the_same_order():
    plain = table(NUMBER, WORD)
    assert _fits(plain)
    assert not chunktext.fits(paired(plain), Flavor.MYSQL, 1)
    assert not _fits(plain, mixed=True)


@pytest.mark.parametrize("facts", [{"partitioned": True}, {"key_index": "second"}, {"key": ()}])
def test_an_order_that_is_not_the_key_s_is_not_relied_on(facts):
    plain = table(NUMBER, WORD)
    assert not _fits(plain, table(NUMBER, WORD, **facts))
    assert not _fits(table(NUMBER, WORD, **facts), plain)


@pytest.mark.parametrize(
    ("ours", "theirs", "alike"),
    [
        (column(), column(data_type="bigint"), True),
        (text(), text(), True),
        (text(), text(collation="utf8mb4_unicode_ci"), False),
        (text(), column(data_type="varbinary"), False),
        (column(data_type="datetime"), column(data_type="datetime"), True),
        (column(data_type="datetime"), column(data_type="timestamp"), False),
        (column(data_type="enum", members=("b", "a")), column(data_type="enum", members=("a", "b")), False),
        (column(data_type="bit"), column(data_type="bit"), False),
    ],
)  # fmt: skip
def test_keys_are_in_one_order_where_type_and_collation_say_so(ours, theirs, alike):
    assert _fits(table(ours), table(theirs)) is alike


def test_a_chunk_whose_text_may_be_longer_than_a_packet_is_left_out():
    rows = chunktext.TEXT_BYTES // 400
    light, heavy = (table(NUMBER, WORD, row_bytes=weight) for weight in (400, 401))
    assert _fits(light, rows=rows)
    assert not _fits(light, heavy, rows=rows)
    assert not _fits(light, rows=rows + 1)
