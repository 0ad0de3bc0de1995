"""Folding touches: what became of a key since both sides last agreed."""

from __future__ import annotations

import itertools

import pytest

from syncer.core.mark import KeyMarks, Op, SideMarks, Touch
from syncer.core.side import Side
from tests.unit.core.facts import exact, touch

WORDS = ["".join(word) for n in (1, 2, 3) for word in itertools.product("iud", repeat=n)]


@pytest.mark.parametrize("word", WORDS)
def test_a_fold_keeps_the_first_and_the_last_operation(word):
    folded = touch(word)
    assert (folded.first_op, folded.last_op) == (Op(word[0]), Op(word[-1]))
    assert folded.recreated is ("di" in word)


@pytest.mark.parametrize("word", [w for w in WORDS if len(w) == 3])
def test_folding_does_not_depend_on_grouping(word):
    one, two, three = (
        Touch(at, at, Op(op), Op(op), recreated=False, commit_us=at) for at, op in enumerate(word)
    )
    assert one.fold(two).fold(three) == one.fold(two.fold(three))


def test_a_fold_spans_both_numbers_and_takes_the_later_time():
    folded = touch("u", 3, 7, commit_us=30).fold(touch("u", 5, 9, commit_us=50))
    assert (folded.first_seq, folded.last_seq, folded.commit_us) == (3, 9, 50)
    late = touch("u", 5, 6, commit_us=50).fold(touch("u", 2, 2, commit_us=20))
    assert (late.first_seq, late.last_seq, late.commit_us) == (2, 6, 20)


def test_recreated_once_is_recreated_for_good():
    assert touch("di").fold(touch("u")).recreated
    assert touch("u").fold(touch("di")).recreated


def test_no_marks_are_no_marks_on_either_side():
    assert KeyMarks().of(Side.A) == KeyMarks().of(Side.B) == SideMarks()
    marks = KeyMarks(a=exact("i"))
    assert marks.of(Side.A) == exact("i")
    assert marks.of(Side.B) == SideMarks()
