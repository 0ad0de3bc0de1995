"""What is known of one side by its heartbeats and its clock, shared by those who write, meet and show it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import msgspec

from syncer.clock import Clock
from syncer.core.outcome import Around
from syncer.core.pulse import Beats, Offset, ServerClock, Skew, percentile_ms
from syncer.core.side import SIDES, Side
from syncer.mysql import heartbeat

Settled = Callable[[Side, int], bool]
"""Says whether nothing that a side wrote up to a transaction is left to be carried over."""


class PulseReport(msgspec.Struct, frozen=True, kw_only=True):
    """The measures of one side at one moment; None where there is no measure. See ``SideStatus``."""

    beats: int = 0
    lag_s: float | None = None
    behind_s: float | None = None
    lag_p50_ms: float | None = None
    lag_p99_ms: float | None = None


class Pulse:
    """
    One side's measures. Thread-safe.

    Its heart writes (``sending``, ``answered``, ``failed``, ``looked``), its tailer meets (``met``), the main thread looks.
    """

    def __init__(self, side: Side, epoch: int, clock: Clock, settled: Settled) -> None:
        """Begin without measures; beats of other epochs than *epoch* are passed over."""
        self.side = side
        self._epoch = epoch
        self._clock = clock
        self._settled = settled
        self._lock = threading.Lock()
        self._beats = Beats()
        self._server = ServerClock()

    def sending(self, number: int) -> None:
        """A beat is about to be written."""
        with self._lock:
            self._beats.sending(number, self._clock.monotonic())

    def answered(self, number: int) -> None:
        """It is committed."""
        with self._lock:
            self._beats.answered(number, self._clock.monotonic())

    def failed(self, number: int) -> None:
        """It may have been written or not."""
        with self._lock:
            self._beats.failed(number)

    def looked(self, sent_s: float, answered_s: float, server_s: float) -> float:
        """See ``ServerClock.learn``."""
        with self._lock:
            return self._server.learn(sent_s, answered_s, server_s)

    def met(self, beat: str, seq: int) -> None:
        """A beat came by in the stream, and everything up to it is in the ledger."""
        number = heartbeat.number_of(beat, self._epoch)
        if number is None:
            return
        with self._lock:
            self._beats.met(number, seq, self._clock.monotonic())
        self.look()

    def look(self) -> None:
        """Find out which beats have arrived at the other side by now."""
        with self._lock:
            waiting = self._beats.waiting
        if waiting is None:
            return
        # Without the lock: a look at a large ledger takes time.
        upto = next((seq for seq in reversed(waiting) if self._settled(self.side, seq)), None)
        if upto is not None:
            with self._lock:
                self._beats.arrived(upto, self._clock.monotonic())

    def offset(self) -> Offset | None:
        """Return the server's clock against our monotonic one, now."""
        with self._lock:
            return self._server.offset(self._clock.monotonic())

    def report(self) -> PulseReport:
        """Return the measures at this moment."""
        with self._lock:
            now = self._clock.monotonic()
            delays = list(self._beats.delays_s)
            return PulseReport(
                beats=self._beats.count,
                lag_s=self._beats.lag_s(now),
                behind_s=self._beats.behind_s(now),
                lag_p50_ms=percentile_ms(delays, 0.50),
                lag_p99_ms=percentile_ms(delays, 0.99),
            )


def skew(pulses: Mapping[Side, Pulse]) -> Skew | None:
    """Return side B's clock minus side A's, as it is known now; None where one was never looked at."""
    a, b = (pulses[side].offset() for side in SIDES)
    return Skew.between(a, b)


def clocks(pulses: Mapping[Side, Pulse], clock: Clock) -> Around:
    """Return what is known of both servers' clocks at this moment, for rules that compare times."""
    now_s = clock.monotonic()
    offsets = {side: pulses[side].offset() for side in SIDES}
    return Around(
        skew=Skew.between(offsets[Side.A], offsets[Side.B]),
        now_us={
            side: round((offset.ahead_s + now_s) * 1_000_000)
            for side, offset in offsets.items()
            if offset is not None
        },
    )
