"""A host whose clock is set measures no nonsense."""

import pytest

from syncer.clock import Ages, SystemClock, until_next_s


class FakeClock:
    def __init__(self):
        self.wall, self.steady = 1_700_000_000.0, 50.0

    def now(self):
        return self.wall

    def monotonic(self):
        return self.steady

    def tick(self, seconds):
        self.wall += seconds
        self.steady += seconds


def test_ages_while_nobody_sets_the_clock():
    clock = FakeClock()
    ages = Ages(clock)
    moment = clock.now()
    clock.tick(2.5)
    assert ages.age_s(moment) == pytest.approx(2.5)
    assert ages.age_s(moment - 3600) == pytest.approx(3602.5), "noted by an earlier process"


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_no_age_reaches_over_a_jump(jump):
    clock = FakeClock()
    ages = Ages(clock)
    before = clock.now()
    clock.tick(1.0)
    clock.wall += jump
    assert ages.age_s(before) is None
    after = clock.now()
    clock.tick(0.25)
    assert ages.age_s(after) == pytest.approx(0.25)
    assert ages.age_s(before) is None
    assert ages.ages_s([before, after]) == [pytest.approx(0.25)]


def test_the_system_clock_steps_nowhere_by_itself():
    ages = Ages(SystemClock())
    age = ages.age_s(SystemClock().now())
    assert age is not None
    assert age >= 0


@pytest.mark.parametrize(
    ("now", "every", "behind", "left"),
    [
        (50.25, 1.0, 0.0, 0.75),
        (50.0, 1.0, 0.0, 1.0),
        (50.25, 1.0, 0.5, 0.25),
        (50.0, 1.0, 0.25, 0.25),
        (49.95, 1.0, 0.0, 1.05),
        (50.5, 60.0, 0.0, 9.5),
        (50.5, 0.0, 0.0, 0.0),
    ],
)
def test_those_with_little_to_do_wake_up_at_the_same_moments(now, every, behind, left):
    """One that wakes up a moment too early does not do so again at once."""
    assert until_next_s(now, every, behind) == pytest.approx(left)
