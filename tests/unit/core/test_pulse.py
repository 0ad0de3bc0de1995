"""Bounds of clocks hold the truth, lag grows where nothing comes, and what was not written is not waited for."""

import random

import pytest

from syncer.core.pulse import DRIFT, Beats, Offset, ServerClock, Skew, percentile_ms


def look(clock, at, ahead, *, out=0.001, back=0.001):
    return clock.learn(at, at + out + back, at + out + ahead)


def test_an_offset_is_within_its_error_whatever_the_way_takes():
    chance = random.Random(7)
    clock = ServerClock()
    assert clock.offset(0.0) is None
    at, truth = 100.0, 1_700_000_000.25
    for _ in range(500):
        assert look(clock, at, truth, out=chance.random(), back=chance.random() ** 3) == 0.0
        at += 5.0
        truth += 5.0 * DRIFT * 0.5
        found = clock.offset(at)
        assert abs(found.ahead_s - truth) <= found.error_s + 1e-6


def test_a_slow_answer_makes_nothing_worse_and_age_does():
    clock = ServerClock()
    look(clock, 10.0, 1000.0)
    before = clock.offset(10.002).error_s
    assert before == pytest.approx(0.001, abs=1e-5)
    look(clock, 11.0, 1000.0, back=3.0)
    assert clock.offset(14.001).error_s == pytest.approx(before + 4 * DRIFT, abs=1e-3)
    assert clock.offset(1014.001).error_s == pytest.approx(before + 1004 * DRIFT, abs=1e-3)


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 1.0])
def test_a_clock_that_is_set_is_believed_at_once_and_told(jump):
    clock = ServerClock()
    look(clock, 10.0, 1000.0)
    assert look(clock, 15.0, 1000.0 + jump) == pytest.approx(jump, abs=0.01)
    assert clock.offset(15.002).ahead_s == pytest.approx(1000.0 + jump, abs=0.01)
    assert look(clock, 20.0, 1000.0 + jump) == 0.0


def test_skew_is_b_minus_a_and_its_errors_add_up():
    apart = Skew.between(Offset(1000.0, 0.01), Offset(1002.5, 0.02))
    assert (apart.seconds, round(apart.error_s, 9)) == (2.5, 0.03)
    assert apart.certainly_above(2.0)
    assert not apart.certainly_above(2.48)
    assert Skew(-2.5, 0.03).certainly_above(2.0)
    assert Skew.between(None, Offset(1.0, 0.0)) is None


def test_lag_is_what_the_last_beat_took():
    beats = Beats()
    assert beats.lag_s(0.0) is None
    beats.sending(1, 10.0)
    beats.answered(1, 10.01)
    assert beats.lag_s(10.02) is None, "nothing is known before the first"
    beats.met(1, 100, 10.03)
    assert beats.lag_s(10.5) == pytest.approx(0.03)


def test_lag_grows_while_a_stream_stands_still():
    beats = Beats()
    beats.sending(1, 10.0)
    beats.met(1, 100, 10.02)
    beats.answered(1, 10.03)  # the stream may be quicker than the answer
    beats.sending(2, 11.0)
    beats.answered(2, 11.01)
    assert beats.lag_s(71.01) == pytest.approx(60.0)
    beats.met(2, 101, 72.0)
    assert beats.lag_s(72.5) == pytest.approx(61.0)


def test_a_beat_without_an_answer_is_not_waited_for():
    beats = Beats()
    beats.sending(1, 10.0)
    beats.met(1, 100, 10.02)
    beats.sending(2, 11.0)
    assert beats.lag_s(90.0) == pytest.approx(0.02), "a lock on the row is no lag of the stream"
    beats.failed(2)
    beats.sending(3, 91.0)
    beats.met(3, 103, 91.01)
    assert beats.count == 2


def test_beats_are_measured_even_where_earlier_ones_never_came():
    beats = Beats()
    for number in (1, 2, 3):
        beats.sending(number, float(number))
        beats.answered(number, float(number))
    beats.met(3, 30, 3.5)
    assert beats.lag_s(100.0) == 0.5
    beats.met(2, 31, 4.0)
    assert beats.count == 1, "met twice, after a stream was opened again, counts once"


def test_behind_grows_until_everything_before_a_beat_has_arrived():
    beats = Beats()
    for number, at in ((1, 10.0), (2, 20.0), (3, 30.0)):
        beats.sending(number, at)
        beats.met(number, number * 100, at + 0.01)
    assert beats.behind_s(31.0) is None
    assert beats.waiting == (100, 300)
    beats.arrived(250, 31.0)
    assert beats.waiting == (300, 300)
    assert beats.behind_s(31.0) == pytest.approx(11.0)
    assert beats.behind_s(50.0) == pytest.approx(20.0)
    beats.arrived(300, 51.0)
    assert beats.waiting is None
    assert beats.behind_s(99.0) == pytest.approx(21.0)


def test_what_was_not_tailed_has_not_arrived():
    beats = Beats()
    beats.sending(1, 10.0)
    beats.answered(1, 10.0)
    beats.met(1, 100, 10.01)
    beats.arrived(100, 10.01)
    beats.sending(2, 11.0)
    beats.answered(2, 11.0)
    assert beats.behind_s(41.0) == pytest.approx(30.0)


def test_percentiles():
    assert percentile_ms([], 0.5) is None
    delays = [n / 1000 for n in range(100, 0, -1)]
    assert percentile_ms(delays, 0.5) == pytest.approx(51.0)
    assert percentile_ms(delays, 0.99) == pytest.approx(100.0)
