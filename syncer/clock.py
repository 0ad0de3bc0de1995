"""Time as a dependency: production code takes a Clock, tests pass a fake one."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Protocol


class Clock(Protocol):
    """A source of time. Thread-safe."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


STEP_S = 0.1
TOGETHER = 10
"""What is nearer than one part in so many of its time counts as now."""
BEHIND_S = 0.02
"""So long after those who write to the servers the others wake up."""


def until_next_s(now_s: float, every_s: float, behind_s: float = 0.0) -> float:
    """
    Return the seconds from *now_s* to the next moment that is *behind_s* after a multiple of *every_s*, on the monotonic clock.

    Threads that have little to do wake up together so: after a pause a processor runs the first milliseconds slowly, and each wake-up
    by itself would pay for that [measured: the same work takes 2.6 times as long after a second of rest]. 0 where *every_s* is 0.
    """
    if every_s <= 0:
        return 0.0
    left_s = every_s - (now_s - behind_s) % every_s
    return left_s if left_s > every_s / TOGETHER else left_s + every_s


class Ages:
    """
    Ages of moments noted by the wall clock, which may be set in between: then no age is better than a wrong one.

    Not thread-safe.
    """

    def __init__(self, clock: Clock) -> None:
        """Watch *clock* from now on."""
        self._clock = clock
        self._base = clock.now() - clock.monotonic()
        self._since = float("-inf")

    def age_s(self, moment: float) -> float | None:
        """Return the seconds since *moment*; None where the wall clock was set meanwhile, as far as that can be told."""
        return next(iter(self.ages_s((moment,))), None)

    def ages_s(self, moments: Iterable[float]) -> list[float]:
        """Return the seconds since each of *moments*; those that ``age_s`` has no age of are left out."""
        now = self._clock.now()
        base = now - self._clock.monotonic()
        if abs(base - self._base) > STEP_S:
            self._base, self._since = base, now
        return [now - moment for moment in moments if self._since <= moment <= now]
