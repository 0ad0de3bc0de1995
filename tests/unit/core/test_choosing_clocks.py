"""Times of two clocks: what is too close to have an order, and what lies ahead of both (conflicts.md §5)."""

from __future__ import annotations

import pytest

from syncer.core.choosing import _microseconds
from syncer.core.decision import Around, decide
from syncer.core.mark import KeyMarks
from syncer.core.outcome import Verdict
from syncer.core.policy import OnTie, Policy
from syncer.core.pulse import Skew
from syncer.core.rules import Rule
from syncer.core.side import Side
from syncer.core.visibility import Horizon
from tests.unit.core.facts import exact, row

A, B = Side.A, Side.B
S = 1_000_000
NOON = 43_200 * S


def commits(a_us, b_us, *, skew=None, now=None, rule="newest", **settings):
    return _decide((a_us, b_us), (row("x"), row("y")), rule, Around(skew, now or {}), settings)


def column(a, b, *, skew=None, now=None, stamps=frozenset({"t"}), **settings):
    rows = row("x", f"1970-01-01 {a}"), row("y", f"1970-01-01 {b}")
    around = Around(skew, now or {}, utc_columns=stamps)
    return _decide((0, 0), rows, "newest:t", around, settings)


def _decide(us, rows, rule, around, settings):
    return decide(
        KeyMarks(*(exact(commit_us=at) for at in us)),
        dict(zip((A, B), rows, strict=True)),
        {A: Horizon(10, 10), B: Horizon(10, 10)},
        Policy(rule=Rule.parse(rule), on_tie=OnTie.HOLD, **settings),
        around,
    )


@pytest.mark.parametrize(
    ("apart_us", "skew", "margin_s", "tied"),
    [
        (1, None, 0.0, False),
        (1, Skew(0.0, 0.0), 0.0, False),
        (500, Skew(0.0, 0.0005), 0.0, True),
        (501, Skew(0.0, 0.0005), 0.0, False),
        (2 * S, Skew(2.0, 0.0), 0.0, True),
        (2 * S, Skew(-2.0, 0.0), 0.0, True),
        (2 * S + 1, Skew(-2.0, 0.0), 0.0, False),
        (3 * S, Skew(2.0, 0.5), 0.5, True),
        (3 * S + 1, Skew(2.0, 0.5), 0.5, False),
        (S, None, 1.0, True),
    ],
)
def test_commit_times_closer_than_the_clocks_are_a_tie(apart_us, skew, margin_s, tied):
    at = NOON + 7
    for times in ((at, at + apart_us), (at + apart_us, at)):
        found = commits(*times, skew=skew, clock_margin_s=margin_s)
        assert (found.path == "tie") is tied
        assert tied or found.winner is (B if times[1] > times[0] else A)


def test_whole_seconds_add_their_second_to_the_skew():
    skew = Skew(0.25, 0.25)
    assert commits(NOON, NOON + S * 3 // 2, skew=skew).path == "tie"
    assert commits(NOON, NOON + 2 * S, skew=skew).winner is B


def test_a_column_is_taken_as_it_is_unless_a_margin_is_set():
    skew = Skew(5.0, 0.0)
    times = "12:00:00.000001", "12:00:04.500000"
    assert column(*times, skew=skew).winner is B
    assert column(*times, skew=skew, clock_margin_s=0.1).path == "tie"
    assert column("12:00:00.000001", "12:00:05.100002", skew=skew, clock_margin_s=0.1).winner is B
    assert column("12:00:00.000000", "12:00:06.100000", skew=skew, clock_margin_s=0.1).path == "tie"


NOW = {A: NOON, B: NOON + 3600 * S}


@pytest.mark.parametrize("rule", ["newest", "oldest"])
@pytest.mark.parametrize("ahead", [A, B])
def test_a_commit_time_ahead_of_both_clocks_is_held(rule, ahead):
    for seconds, held in ((59, False), (60, False), (61, True)):
        late, early = NOON + seconds * S, NOON - 90 * S
        times = (late, early) if ahead is A else (early, late)
        found = commits(*times, now=NOW, rule=rule)
        assert (found.path == "clock") is held
        assert (found.verdict is Verdict.HOLD) is held
        assert commits(*times, now=NOW, rule=rule, max_future_s=0.0).winner is not None
        assert commits(*times, rule=rule).winner is not None, "no clock was ever looked at"


def test_a_timestamp_ahead_is_held_and_a_datetime_has_no_zone():
    held = column("12:00:00", "12:01:01", now=NOW)
    assert (held.verdict, held.path) == (Verdict.HOLD, "clock")
    assert "clock_skew" in held.rule
    assert column("12:00:00", "12:00:59", now=NOW).winner is B
    assert column("12:00:00", "12:01:01", now=NOW, stamps=frozenset()).winner is B


def test_a_time_that_is_no_day_of_the_calendar_lies_before_all():
    assert _microseconds("2020-02-30 00:00:00.000000") == 0
    assert _microseconds("1970-01-01 00:00:01.000002") == S + 2
