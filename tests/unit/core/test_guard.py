"""Guards: when a number of writes is too many, and what a side never gets."""

from __future__ import annotations

import pytest

from syncer.core.guard import Limit, Window, WriteGuard, WriteKind, excess
from syncer.core.mark import Op
from syncer.core.side import Side

A, B = Side.A, Side.B


@pytest.mark.parametrize(
    ("limit", "amount", "rows", "stops"),
    [
        (Limit(), 10**9, 10, False),
        (Limit(rows=10), 10, None, False),
        (Limit(rows=10), 11, None, True),
        (Limit(percent=50), 500, 1000, False),
        (Limit(percent=50), 501, 1000, True),
        (Limit(percent=50), 99, 99, False),  # a small table
        (Limit(percent=50), 501, None, False),  # nobody counted
        (Limit(rows=1000, percent=10), 200, 1000, True),
        (Limit(percent=50), 5000, 1000, True),  # more than the server estimates
    ],
)
def test_too_many_are_named_with_their_limit(limit, amount, rows, stops):
    guard = WriteGuard(deletes=limit, updates=limit)
    for op, what in ((Op.DELETE, "deletes"), (Op.UPDATE, "updates")):
        found = excess(guard, op, amount, rows)
        assert (found is not None) is stops
        assert found is None or (str(amount) in found and f"{what}_" in found)
    assert excess(guard, Op.INSERT, amount, rows) is None


def test_a_side_is_forbidden_what_it_is_forbidden_and_nothing_else():
    guard = WriteGuard(forbid_b=(WriteKind.DELETE, WriteKind.UPDATE))
    forbidden = {(side, op) for side in Side for op in Op if guard.forbids(side, op)}
    assert forbidden == {(B, Op.DELETE), (B, Op.UPDATE)}
    assert guard.words() == "forbid_b=delete,update"
    assert WriteGuard().words() == ""


def test_the_window_forgets_what_is_older():
    window = Window()
    for at in (0.0, 5.0, 9.0):
        window.add(at, 10)
    assert window.total(10.0, 10.0) == 20
    assert window.total(14.0, 10.0) == 20
    assert window.total(15.0, 10.0) == 10
    assert window.total(30.0, 10.0) == 0
