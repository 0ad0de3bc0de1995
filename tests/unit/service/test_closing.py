"""How a run's end is told: its exit code and its words."""

from __future__ import annotations

import pytest

from syncer.service.closing import conclude
from syncer.service.endings import Ending
from syncer.service.reports import BaselineProgress, PausedLine, RunSnapshot, SideStatus

PAUSED = PausedLine(table="shop.orders", reason="guard", since=1.0, guard=True)


def told(ending, asked=None, *, planned=(), **facts):
    plain = {"dirty_keys": 0, "dirty_spans": 0, "held": 0, "conflicts_resolved": 0}
    last = RunSnapshot(
        phase="tailing",
        uptime_s=1.0,
        a=SideStatus(),
        b=SideStatus(),
        conflicts_held=0,
        baseline=BaselineProgress(),
        cycles=1,
        chunk_rows=1,
        **{**plain, **facts},
    )
    return conclude(ending, last, asked=asked, rows_read=0, rows_compared=0, planned=planned)


@pytest.mark.parametrize(
    ("ending", "asked", "code", "in_sync"),
    [
        (Ending.IN_SYNC, Ending.IN_SYNC, 0, True),
        (Ending.ONE_PASS, Ending.ONE_PASS, 0, None),
        (Ending.STOPPED, None, 0, None),
        (Ending.STOPPED, Ending.IN_SYNC, 1, False),
        (Ending.STOPPED, Ending.ONE_PASS, 1, None),
    ],
)
def test_only_the_end_that_was_asked_for_is_a_success(ending, asked, code, in_sync):
    """A script that goes on when both sides are in sync must not when the run's time was up before."""
    report = told(ending, asked)
    assert (report.exit_code, report.in_sync, report.ended) == (code, in_sync, ending.value)
    assert ("stopped before" in report.message) == (code == 1)


def test_what_waits_for_a_person_is_told_whichever_end_it_was():
    for ending, asked in ((Ending.IN_SYNC, Ending.IN_SYNC), (Ending.STOPPED, Ending.IN_SYNC)):
        report = told(ending, asked, held=2)
        assert (report.exit_code, report.in_sync) == (1, False)
        assert "2 held rows" in report.message
    assert told(Ending.STOPPED, Ending.IN_SYNC, paused=(PAUSED,)).exit_code == 5
    assert told(Ending.ONE_PASS, Ending.ONE_PASS, planned=("insert",)).exit_code == 1
