"""What differs by the texts of both sides, what has to be looked at once more, and which keys may wait for others."""

from __future__ import annotations

import msgspec
import pytest

from syncer.core.chunking import ChunkSizer
from syncer.core.side import Side
from syncer.ledger.records import ClaimedKey
from syncer.mysql.keydigests import END, KeyDigests
from syncer.mysql.reader import is_unknown
from syncer.service.chunks import GATHER_S, ChunkComparer
from syncer.service.differing import MOST_BY_KEY, by_entries, by_rows, closer_look
from tests.unit.core.schemas import column, paired, table

PLAIN = paired()
DOCUMENTS = msgspec.structs.replace(paired(table(column(), column("d", "json"))), mixed=True)


def entries(rows):
    text = b"".join(f"{digest:<016}{key}".encode() + END for key, digest in rows.items())
    return KeyDigests(len(rows), text)


def test_keys_that_differ_come_with_both_digests():
    found = by_entries(
        PLAIN, {Side.A: entries({1: "a", 2: "b", 3: "c"}), Side.B: entries({1: "a", 2: "d", 4: "e"})}
    )  # fmt: skip
    b, c, d, e = (f"{digest:<016}" for digest in "bcde")
    assert found == {(2,): (b, d), (3,): (c, None), (4,): (None, e)}


def test_a_row_without_a_digest_differs_from_one_without_a_digest():
    found = by_entries(PLAIN, {Side.A: entries({1: "x"}), Side.B: entries({1: "y"})})
    assert found is not None
    a, b = found[1,]
    assert is_unknown(a)
    assert is_unknown(b)
    assert a != b


def test_nothing_follows_from_a_text_that_was_cut_off():
    whole = entries({1: "a", 2: "b"})
    cut = msgspec.structs.replace(whole, text=whole.text[:-1])
    assert by_entries(PLAIN, {Side.A: whole, Side.B: cut}) is None
    assert by_rows({Side.A: {(1,): "a", (2,): "b"}, Side.B: {(2,): "c"}}) == {
        (2,): ("b", "c"),
        (1,): ("a", None),
    }


class Reader:
    """Says what it was asked for."""

    def digests_in_range(self, _table, low, high):
        return "range", low, high

    def digests_by_key(self, _table, keys):
        return "keys", *keys


FEW, MANY = [(1,), (7,)], [(key,) for key in range(MOST_BY_KEY + 1)]


@pytest.mark.parametrize(
    ("one", "differing", "read"),
    [
        (PLAIN, [], None),
        (PLAIN, MANY, None),
        (PLAIN, None, ("range", (0,), (9,))),
        (DOCUMENTS, [], None),
        (DOCUMENTS, FEW, ("keys", (1,), (7,))),
        (DOCUMENTS, MANY, ("range", (0,), (9,))),
        (DOCUMENTS, None, ("range", (0,), (9,))),
    ],
)
def test_rows_are_read_once_more_where_their_texts_say_too_little(one, differing, read):
    look = closer_look(one, (0,), (9,), differing)
    assert (look and look(Reader())) == read


class Clock:
    time = 100.0

    def monotonic(self):
        return self.time


def test_keys_wait_while_all_of_them_were_found_just_now():
    clock = Clock()
    chunks = ChunkComparer(None, None, None, None, ChunkSizer(), None, clock, None, settled=print)
    chunks.narrowed = {(1, key): clock.time + GATHER_S for key in (5, 6)}
    found = [ClaimedKey(1, key, 0, 0.0) for key in (5, 6)]
    assert chunks.may_wait(found)
    told_by_a_stream = ClaimedKey(1, 7, 0, 0.0)
    assert not chunks.may_wait([*found, told_by_a_stream])
    clock.time += GATHER_S
    assert not chunks.may_wait(found)
