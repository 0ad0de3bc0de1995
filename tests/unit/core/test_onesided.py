"""Changes of one side: what is said of many at once. That it is what ``decide`` says: tests/property/test_core_decision.py."""

from __future__ import annotations

import pytest

from syncer.core.mark import Op
from syncer.core.onesided import joined, may_be, verdict
from syncer.core.outcome import Verdict
from syncer.core.policy import BaseRow, Policy
from syncer.core.side import Direction, Side


@pytest.mark.parametrize(
    ("first", "changed", "other", "one_way", "said"),
    [
        (Op.UPDATE, "x", "y", False, Verdict.COPY),
        (Op.UPDATE, "x", "x", False, Verdict.EQUAL),
        (Op.DELETE, None, "y", False, Verdict.COPY),
        (Op.DELETE, None, None, False, Verdict.EQUAL),
        (Op.INSERT, "x", None, False, Verdict.COPY),
        (Op.INSERT, "x", "y", False, Verdict.COPY),
        (Op.INSERT, None, "y", False, Verdict.COPY),
        # Both had it, and it is gone on the other side without an event.
        (Op.UPDATE, "x", None, False, None),
        (Op.DELETE, "x", None, False, None),
        # It came and went at the source: what the target has is its own.
        (Op.INSERT, None, "y", True, None),
        (Op.DELETE, None, "y", True, Verdict.COPY),
    ],
)
def test_what_becomes_of_a_key(first, changed, other, one_way, said):
    assert verdict(first, changed, other, one_way=one_way) is said


def test_a_policy_that_needs_more_is_left_alone():
    assert may_be(Policy(), Side.A)
    assert may_be(Policy(direction=Direction.A_TO_B), Side.A)
    assert not may_be(Policy(direction=Direction.A_TO_B), Side.B)
    assert not may_be(Policy(base=BaseRow.KEEP), Side.A)


def test_digests_of_rows_make_that_of_a_chunk():
    one, two = "00000000000000ff" + "a" * 16, "f000000000000001" + "b" * 16
    assert joined([]) == 0
    assert joined([one]) == 0xFF
    assert joined([one, two]) == joined([two, one]) == 0xF0000000000000FE
