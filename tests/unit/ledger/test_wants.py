"""What a person asks for, and why it cannot be had."""

from __future__ import annotations

import pytest

from syncer.core.side import Side
from syncer.core.threeway import Groups
from syncer.ledger.records import Wanted
from syncer.ledger.wants import both_changed, end_of_skip, wanted
from tests.unit.ledger.test_selector import record

A, B = Side.A, Side.B
COLUMNS = ("id", "note", "city", "total")
BASE = ("1", "'o'", "'Rome'", "5")


def entry(**facts):
    plain = {
        "columns": COLUMNS,
        "a_image": ("1", "'a'", "'Rome'", "5"),
        "base_image": BASE,
        "b_image": ("1", "'o'", "'Oslo'", "5"),
    }
    return record(1, **{**plain, **facts}).entry


BOTH = {"b_image": ("1", "'b'", "'Oslo'", "5")}
TIMES = {"a_commit_us": 9_000_001, "b_commit_us": 1_000_001}


@pytest.mark.parametrize(
    ("facts", "take", "otherwise", "found"),
    [
        ({}, "a", None, Wanted(A)),
        ({}, "b", None, Wanted(B)),
        (TIMES, "newest", None, Wanted(A)),
        ({}, "newest", None, "no commit times"),
        ({}, "merge", None, Wanted(None, merge=True)),
        ({}, "skip", None, Wanted(None, skip=True)),
        ({}, "hold", None, Wanted(None)),
        ({}, "merge", "b", Wanted(B, merge=True)),
        ({}, "merge", "newest", Wanted(None, merge=True)),
        (TIMES, "merge", "newest", Wanted(A, merge=True)),
        (BOTH, "merge", None, "both sides changed note: say"),
        (BOTH, "merge", "a", Wanted(A, merge=True)),
        (BOTH, "merge", "newest", "no commit times"),
        (BOTH | TIMES, "merge", "newest", Wanted(A, merge=True)),
        ({"base_image": None}, "merge", "a", "no base row"),
        ({"b_image": None}, "merge", "a", "a row is absent"),
        (
            {"a_image": ("1", None, "'Rome'", "5"), "b_image": ("1", None, "'Oslo'", "5"), "redacted": ("note",)},
            "merge",
            None,
            Wanted(None, merge=True),
        ),
    ],
)  # fmt: skip
def test_what_is_asked_for(facts, take, otherwise, found):
    if isinstance(found, str):
        with pytest.raises(ValueError, match=found):
            wanted(entry(**facts), take, otherwise)
    else:
        assert wanted(entry(**facts), take, otherwise) == found


def test_columns_that_go_together_are_open_together():
    assert both_changed(entry()) == []
    assert both_changed(entry(), Groups((("note", "city"),))) == ["note", "city"]


def test_what_is_asked_for_has_a_word():
    asked = [Wanted(A), Wanted(B), Wanted(A, merge=True), Wanted(None, skip=True), Wanted(None)]
    assert [one.word for one in asked] == ["a", "b", "merge", "skip", "hold"]


def test_a_skip_ends_after_a_time_or_at_one():
    assert end_of_skip("2h", 1000.0) == 8200.0
    assert end_of_skip("2026-11-22T00:00", 1000.0) > 1.7e9
    for text in ("2020-01-01", "0s", "soon"):
        with pytest.raises(ValueError, match="write"):
            end_of_skip(text, 1.7e9)
