"""Rows above a packet: what is held for it, and what is not."""

from __future__ import annotations

import pytest

from syncer.core.decision import ConflictKind, Verdict
from syncer.core.mark import KeyMarks
from syncer.core.side import Side
from syncer.mysql.reader import RowRead, digest_of
from syncer.service.oversize import SIZE, above_packet
from syncer.service.planning import plan
from syncer.service.reading import KeyGroup
from tests.unit.core.facts import exact, inexact
from tests.unit.service.test_planning import NUMBERS, WITHIN

A, B = Side.A, Side.B
LARGE = RowRead((1,), "large", (), "")
SMALL = RowRead((1,), "small", (), "1,'x'")


def planned(marks, a, b):
    [found] = plan(NUMBERS, [KeyGroup(((1,),), {A: a, B: b})], {1: marks}, WITHIN, {})
    return found


@pytest.mark.parametrize(
    ("marks", "a", "b"),
    [
        (KeyMarks(a=exact()), LARGE, SMALL),
        (KeyMarks(a=exact("i")), LARGE, None),
        (KeyMarks(a=exact(), b=exact()), LARGE, SMALL),
        (KeyMarks(a=exact(), b=exact()), SMALL, LARGE),
        (KeyMarks(a=exact(), b=inexact()), SMALL, LARGE),
    ],
)
def test_what_cannot_be_carried_over_or_kept_in_the_journal_is_held(marks, a, b):
    found = planned(marks, a, b)
    assert (found.decision.verdict, found.decision.path) == (Verdict.HOLD, SIZE)
    entry = found.entry(0.0, winner=None)
    assert entry.kind is ConflictKind.APPLY_ERROR
    side = "a" if a is LARGE else "b"
    assert entry.note.startswith(
        f"a row of shop.t, key (id), is larger than max_allowed_packet of side {side}: raise it"
    )
    assert (entry.a_image is None, entry.b_image is None) == (a is not SMALL, b is not SMALL)


@pytest.mark.parametrize(
    ("marks", "a", "verdict"),
    [
        (KeyMarks(a=exact()), SMALL, Verdict.COPY),
        (KeyMarks(a=exact("d")), None, Verdict.COPY),
        (KeyMarks(a=exact()), LARGE, Verdict.EQUAL),
        (KeyMarks(a=exact(first=99)), SMALL, Verdict.LATER),
    ],
)
def test_a_row_that_is_only_overwritten_or_equal_may_be_of_any_size(marks, a, verdict):
    assert planned(marks, a, LARGE).decision.verdict is verdict


@pytest.mark.parametrize(
    "marks",
    [KeyMarks(a=exact()), KeyMarks(b=exact()), KeyMarks(a=exact(), b=inexact()), KeyMarks()],
)
def test_a_row_that_cannot_be_compared_is_held_whoever_changed_it(marks):
    """Nothing could guard a write over it; that it is equal can be said of it even less."""
    one, other = (RowRead((1,), digest_of([None]), (), "") for _ in "ab")
    assert one.digest != other.digest
    assert not one.known
    assert SMALL.known
    for a, b in ((one, SMALL), (SMALL, one), (one, other)):
        found = planned(marks, a, b)
        assert (found.decision.verdict, found.decision.path) == (Verdict.HOLD, SIZE)


def test_a_statement_is_measured_in_bytes_with_its_words():
    assert not above_packet(NUMBERS, None, 10)
    assert not above_packet(NUMBERS, "x" * 3000, 5000)
    assert above_packet(NUMBERS, "x" * 5000, 5000)
    assert above_packet(NUMBERS, "😀" * 3000, 12_500)
    assert not above_packet(NUMBERS, "😀" * 2000, 12_500)
    assert above_packet(NUMBERS, "\udcff" * 12_000, 12_500)
