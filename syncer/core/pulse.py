"""
What heartbeats and looks at a clock say: how far a side is behind, and how the servers' clocks differ.

Every time given in is of one monotonic clock, ours, in seconds: a host whose wall clock jumps measures as before. Not
thread-safe: the owner locks.
"""

from __future__ import annotations

from collections import deque

import msgspec

DRIFT = 0.0002
"""How fast a server's clock and ours may part, seconds per second; a faster one shows as small jumps."""
MOST_WAITING = 4_096
"""Beats that are remembered until they are met; later ones are not measured while a stream is that far behind."""
KEPT_DELAYS = 10_000


class Offset(msgspec.Struct, frozen=True):
    """A server's clock (seconds since the epoch) minus our monotonic one; the true value is within *error_s* of it."""

    ahead_s: float
    error_s: float


class Skew(msgspec.Struct, frozen=True):
    """
    Side B's clock minus side A's; the true value is within *error_s* of it.

    For rules that compare times of both servers: closer than ``resolution + abs(seconds) + error_s`` is no order.
    """

    seconds: float
    error_s: float

    @classmethod
    def between(cls, a: Offset | None, b: Offset | None) -> Skew | None:
        """Compare two offsets taken at the same moment; None where one is not known."""
        if a is None or b is None:
            return None
        return cls(b.ahead_s - a.ahead_s, a.error_s + b.error_s)

    @property
    def bound_s(self) -> float:
        """How far the clocks are apart at most."""
        return abs(self.seconds) + self.error_s

    def certainly_above(self, limit_s: float) -> bool:
        """Say whether the clocks differ by more than *limit_s*, whatever the error."""
        return abs(self.seconds) - self.error_s > limit_s


class ServerClock:
    """One server's clock, from looks at it. Bounds are kept, not averages: a slow answer never makes them worse."""

    def __init__(self) -> None:
        """Know nothing."""
        self._low = self._high = 0.0
        self._at: float | None = None

    def learn(self, sent_s: float, answered_s: float, server_s: float) -> float:
        """
        Take a look: the server said *server_s* (since the epoch) at some moment between *sent_s* and *answered_s*.

        Returns:
            By how many seconds its clock has jumped since what was known; 0.0 where it fits.
        """
        low, high = server_s - answered_s, server_s - sent_s
        jump_s = 0.0
        known = self.offset(answered_s)
        if known is not None:
            known_low, known_high = known.ahead_s - known.error_s, known.ahead_s + known.error_s
            if low <= known_high and known_low <= high:
                low, high = max(low, known_low), min(high, known_high)
            else:
                jump_s = (low + high) / 2 - known.ahead_s
        self._low, self._high, self._at = low, high, answered_s
        return jump_s

    def offset(self, now_s: float) -> Offset | None:
        """Return what is known at *now_s*; None before the first look. The error grows with the age of the last one."""
        if self._at is None:
            return None
        aged = DRIFT * max(0.0, now_s - self._at)
        return Offset((self._low + self._high) / 2, (self._high - self._low) / 2 + aged)


class _Beat(msgspec.Struct):
    sent_s: float
    answered_s: float | None = None


class Beats:
    """
    The heartbeats of one side on their way: written, met in its stream, arrived at the other side.

    A beat has arrived when nothing that its side wrote before it is left to be carried over, held keys apart.

    Attributes:
        delays_s: written to met, of the newest beats.
        count: beats met.
    """

    def __init__(self) -> None:
        """Begin without beats."""
        self._written: dict[int, _Beat] = {}
        self._met: deque[tuple[int, _Beat]] = deque()
        self._lag_s: float | None = None
        self._behind_s: float | None = None
        self.delays_s: deque[float] = deque(maxlen=KEPT_DELAYS)
        self.count = 0

    def sending(self, number: int, at_s: float) -> None:
        """Beat *number* is about to be written; numbers rise."""
        if len(self._written) < MOST_WAITING:
            self._written[number] = _Beat(at_s)

    def answered(self, number: int, at_s: float) -> None:
        """Beat *number* is committed. It may have been met before."""
        beat = self._written.get(number)
        if beat is not None:
            beat.answered_s = at_s

    def failed(self, number: int) -> None:
        """Nobody knows whether beat *number* was written: it is not waited for."""
        self._written.pop(number, None)

    def met(self, number: int, seq: int, at_s: float) -> None:
        """Beat *number* came as transaction *seq* of its stream, and everything before it is in the ledger."""
        beat = self._written.get(number)
        for earlier in [n for n in self._written if n <= number]:
            del self._written[earlier]
        if beat is None:
            return
        self.count += 1
        self._lag_s = at_s - beat.sent_s
        self.delays_s.append(self._lag_s)
        if len(self._met) < MOST_WAITING:
            self._met.append((seq, beat))

    @property
    def waiting(self) -> tuple[int, int] | None:
        """The transactions of the oldest and the newest beat that were met and have not arrived; None: none."""
        return (self._met[0][0], self._met[-1][0]) if self._met else None

    def arrived(self, seq: int, at_s: float) -> None:
        """Everything up to transaction *seq* has arrived at the other side."""
        while self._met and self._met[0][0] <= seq:
            self._behind_s = at_s - self._met.popleft()[1].sent_s

    def lag_s(self, now_s: float) -> float | None:
        """
        Return how far the stream is behind; None before the first beat was met.

        That is what the last beat took, or the age of the oldest one that was written and not met, if that is more.
        """
        oldest = min(
            (b.answered_s for b in self._written.values() if b.answered_s is not None), default=None
        )
        return greater(self._lag_s, None if oldest is None else now_s - oldest)

    def behind_s(self, now_s: float) -> float | None:
        """Return the same for the arrival at the other side: what was written up to then has arrived there."""
        oldest = self._met[0][1].sent_s if self._met else None
        waiting = None if oldest is None else now_s - oldest
        known = greater(self._behind_s, waiting)
        lag = self.lag_s(now_s)
        return known if known is None or lag is None else max(known, lag)


def greater(known: float | None, age: float | None) -> float | None:
    """Return what is *known*, or *age* where that is more; None where nothing is known."""
    if known is None:
        return None
    return known if age is None else max(known, age)


def percentile_ms(delays_s: list[float], share: float) -> float | None:
    """Return the delay that *share* of them do not exceed, in milliseconds; None where there are none."""
    if not delays_s:
        return None
    ordered = sorted(delays_s)
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]
