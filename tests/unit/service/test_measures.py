"""Measures in the ledger for ``status``, and warnings about clocks that come once."""

import pytest

from syncer.core.pulse import Skew
from syncer.core.side import Side
from syncer.mysql.preflight import SKEW_WARNING_S
from syncer.service.pulse import Pulse, skew
from syncer.service.reports import BaselineProgress, ClockReport, RunSnapshot, SideStatus
from syncer.service.snapshot import NOTE_EVERY_S, Noter
from syncer.service.standing import noted_clocks
from tests.unit.ledger.bench import Bench


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "syncer.db")
    yield made
    made.ledger.close()


def test_a_side_that_is_not_heard_is_named():
    facts = {"measured_at": 1.0, "a_state": "connected", "a_error": None}
    assert ClockReport(measured_at=1.0).unheard == {}
    assert ClockReport(**facts, b_state="stopped").unheard == {}
    refused = ClockReport(**facts, b_state="interrupted", b_error="side b: refused")
    assert refused.unheard == {Side.B: "side b: refused"}
    assert ClockReport(**facts, b_state="failed").unheard == {Side.B: "failed"}


class Log:
    def __init__(self):
        self.lines = []

    def warning(self, event, **facts):
        self.lines.append((event, facts["seconds"]))

    info = warning


def taken(apart=None):
    return RunSnapshot(
        phase="tailing",
        uptime_s=1.0,
        a=SideStatus(lag_s=0.25),
        b=SideStatus(lag_s=0.5, behind_s=0.75),
        dirty_keys=0,
        dirty_spans=0,
        held=0,
        conflicts_resolved=0,
        conflicts_held=0,
        baseline=BaselineProgress(),
        cycles=0,
        chunk_rows=1,
        clock_skew_s=apart.seconds if apart else None,
        clock_skew_error_s=apart.error_s if apart else None,
    )


def test_status_finds_what_was_written_down(bench):
    assert noted_clocks(bench.ledger) is None
    noter = Noter(bench.ledger, bench.clock, Log())
    noter.note(taken(), None)
    apart = Skew(-3.0, 0.1)
    noter.note(taken(apart), apart)
    assert noted_clocks(bench.ledger).skew_s is None, "not with every snapshot"
    bench.clock.time += NOTE_EVERY_S
    noter.note(taken(apart), apart)
    found = noted_clocks(bench.ledger)
    assert (found.skew_s, found.skew_error_s, found.measured_at) == (-3.0, 0.1, bench.clock.time)
    assert (found.a_lag_s, found.b_lag_s, found.a_behind_s, found.b_behind_s) == (
        (0.25, 0.5, None, 0.75)
    )


def test_clocks_that_part_are_told_once_and_again_when_they_agree(bench):
    log = Log()
    noter = Noter(bench.ledger, bench.clock, log)
    above, unsure, close = SKEW_WARNING_S + 1, SKEW_WARNING_S - 0.5, 0.1
    for seconds, error_s in (
        (close, 0.01),
        (above, 1.5),  # may be less
        (-above, 0.1),
        (-above, 0.1),
        (-unsure, 0.1),
        (close, 0.1),
    ):
        apart = Skew(seconds, error_s)
        noter.note(taken(apart), apart)
        bench.clock.time += NOTE_EVERY_S
    assert log.lines == [("clock.skewed", -above), ("clock.agreed", close)]


def test_a_beat_arrives_when_no_mark_up_to_it_is_left(bench):
    """What is marked after a beat does not keep it from having arrived."""
    pulse = Pulse(Side.A, 3, bench.clock, bench.ledger.has_settled)
    pulse.sending(1)
    pulse.answered(1)
    first = bench.mark(Side.A, 1)
    pulse.met("3.1", bench.record(Side.A))
    assert pulse.report().behind_s is None
    bench.clock.time += 2
    bench.mark(Side.A, 2)
    bench.ledger.clear(bench.t, [1], {Side.A: first})
    pulse.look()
    assert pulse.report().behind_s == 2
    assert pulse.report().lag_s == 0


def test_beats_of_another_epoch_are_passed_over(bench):
    pulse = Pulse(Side.A, 3, bench.clock, bench.ledger.has_settled)
    pulse.sending(1)
    for beat in ("2.1", "", "3.", "3.x", "33.1"):
        pulse.met(beat, 5)
    assert pulse.report().beats == 0
    assert skew({Side.A: pulse, Side.B: pulse}) is None
