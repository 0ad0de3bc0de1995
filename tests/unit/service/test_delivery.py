"""When a row that the target refused is tried again, and with which others."""

from __future__ import annotations

import itertools

import pytest

from syncer.service.delivery import BACK_OFF_MOST_S, BACK_OFF_S, due_again

RETRY_LIMIT = 8
"""The default."""


@pytest.mark.parametrize("tries", range(12))
def test_a_row_waits_longer_from_try_to_try_and_never_too_long(tries):
    waits = [due_again(now / 7, tries) - now / 7 for now in range(1000)]
    assert min(waits) > 0
    assert max(waits) <= min(BACK_OFF_MOST_S, 2 * BACK_OFF_S * 2**tries) + 1e-6


@pytest.mark.parametrize("began", [0.0, 0.05, 1.99, 1234.567, 99_999.93])
@pytest.mark.parametrize("later", [0.001, 0.03, 0.09, 0.19, 0.7, 2.5])
def test_rows_refused_one_after_the_other_are_tried_together_before_they_are_held(began, later):
    """Each alone is refused: the row that it refers to is not there. They are read in order of their back-offs."""
    due = {"child": began, "parent": began + later}
    tries = dict.fromkeys(due, 0)
    for _ in itertools.repeat(None, 4 * RETRY_LIMIT):
        now = min(due.values())
        claimed = [row for row, at in due.items() if at <= now]
        if len(claimed) == 2:
            break
        for row in claimed:
            due[row] = due_again(now, tries[row])
            tries[row] += 1
    assert len(claimed) == 2
    assert max(tries.values()) < RETRY_LIMIT
