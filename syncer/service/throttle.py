"""
Giving way: whole-table comparisons and copies pause while a primary is busy or a replica behind, and keep below a rate.

Live changes are never held up: they cost what the application's own changes cost, and waiting would only let them pile up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import structlog

from syncer.clock import Clock
from syncer.config.model import ThrottleSection
from syncer.core.side import SIDES
from syncer.errors import ConfigError
from syncer.mysql.load import load_of
from syncer.service.sides import SideWorker, Workers

LOOK_EVERY_S = 1.0
"""A server is asked for its load at most so often, and only while there is something to hold up."""
PACE_S = 0.02
"""Where there is a rate, one read takes what it allows in so long: many short reads at an even pace keep nobody waiting."""
BURST_S = 0.05
"""So much of the rate may be used at once."""
LEAST_ROWS = 50
"""Reads of fewer rows would cost more than their rows."""
_SHOWN_S = 1.0
"""That the rate holds work up is said until it has not for so long."""


NO_LOAD = "which is no status variable of that server with a whole number"
CORRECT_LOAD = "correct its name, or leave it out"


def unknown_loads(names: Iterable[str], found: Mapping[str, int]) -> list[str]:
    """Name the limits that a server has nothing for, of what ``load_of`` found."""
    return [name for name in names if name.lower() not in found]


def nobody() -> str | None:
    """No replica is watched."""
    return None


class Throttle:
    """
    Says whether the next chunk may be read. Used by one thread; ``reason`` may be read anywhere.

    Attributes:
        reason: what holds work up, or slows it down; None: nothing.
        most_rows: a chunk should not have more rows, and be read alone; None: there is no rate.
    """

    def __init__(
        self,
        limits: ThrottleSection,
        workers: Workers,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        *,
        lagging: Callable[[], str | None] = nobody,
    ) -> None:
        """Take the limits; nothing is asked yet. *lagging* says which replicas are behind; it must not block."""
        self._limits = limits
        self._load = limits.loads()
        self._workers = workers
        self._clock = clock
        self._log = log
        self._lagging = lagging
        self._looked: float | None = None
        self._busy: str | None = None
        self._used_until = self._slow_until = float("-inf")
        self.most_rows = (
            max(LEAST_ROWS, int(limits.rows_per_s * PACE_S)) if limits.rows_per_s else None
        )
        self.reason: str | None = None

    def free(self) -> bool:
        """
        Say whether a chunk may be read now; if not, ``reason`` says why.

        Raises TransientDatabaseError where a server that is to be asked does not answer, ConfigError where it has no such load.
        """
        holds = self._paused() or self._load_above() or self._lagging()
        now = self._clock.monotonic()
        waits = holds is None and self._used_until > now
        if waits:
            self._slow_until = now + _SHOWN_S
        slow = f"no more than {self._limits.rows_per_s} rows/s" if self._slow_until > now else None
        reason = holds or slow
        if _without_amounts(reason) != _without_amounts(self.reason):
            if reason is None:
                self._log.info("throttle.ended")
            else:
                self._log.info("throttle.began", reason=reason)
        self.reason = reason
        return holds is None and not waits

    def free_in_s(self) -> float | None:
        """Return when the rate allows the next read, in seconds; None where it is not the rate that holds work up."""
        left = self._used_until - self._clock.monotonic()
        return left if left > 0 else None

    def rest(self) -> None:
        """Nothing is to be held up any more."""
        if self.reason is not None:
            self.reason = None
            self._log.info("throttle.ended")

    def used(self, rows: int) -> None:
        """Count rows that were compared or copied."""
        if self._limits.rows_per_s:
            start = max(self._used_until, self._clock.monotonic() - BURST_S)
            self._used_until = start + rows / self._limits.rows_per_s

    def _paused(self) -> str | None:
        """A file that nobody can look for pauses too: who named it wants to be able to."""
        file = self._limits.pause_file
        try:
            return f"{file} exists" if file and Path(file).expanduser().exists() else None
        except (OSError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            return f"the pause file {file} cannot be looked for: {why}"

    def _load_above(self) -> str | None:
        now = self._clock.monotonic()
        if not self._load or (self._looked is not None and now - self._looked < LOOK_EVERY_S):
            return self._busy
        found = self._workers.both(self._status)
        self._looked = now
        for side in SIDES:
            for name in unknown_loads(self._load, found[side]):
                raise ConfigError(f"side {side}: max_load names {name}, {NO_LOAD}: {CORRECT_LOAD}")
        above = [
            f"side {side}: {name} is {found[side][name.lower()]}, more than {most}"
            for side in SIDES
            for name, most in self._load.items()
            if found[side][name.lower()] > most
        ]
        self._busy = "; ".join(above) or None
        return self._busy

    def _status(self, worker: SideWorker) -> dict[str, int]:
        return load_of(worker.reader().session, self._load)


def _without_amounts(reason: str | None) -> str | None:
    """A load or a lag that goes up and down is no news; another server is."""
    return None if reason is None else re.sub(r" is \d+", "", reason)
