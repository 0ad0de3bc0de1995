"""
The command line with a probe: ``SYNCER_PROBE=moment[.side][:count]`` kills this process at the count-th passing, as kill -9.

Two names more: ``between.a_b`` and ``between.b_a`` kill it when the first side has committed its part of a pair of batches
and the second has not been sent its part. ``hold.moment[.side][:count]`` stops the thread that passes it so, and no other, for as long
as the file ``SYNCER_HELD`` is there, which it makes. Production has no such switch: it lives in this module alone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from syncer.cli.main import entry
from syncer.core.side import Side
from syncer.mysql import applier, carrying
from syncer.service import app
from syncer.service.probes import Moment
from syncer.service.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncer.service.probes import Probe

BETWEEN_DEADLINE_S = 20.0
HOLD_DEADLINE_S = 60.0


def die() -> NoReturn:
    """End as a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


class At:
    """Does something at the count-th passing of one moment, on the thread that passes."""

    def __init__(
        self, moment: Moment, side: Side | None, count: int, act: Callable[[], None]
    ) -> None:
        self._moment, self._side, self._left, self._act = moment, side, count, act
        self._lock = threading.Lock()

    def __call__(self, moment: Moment, side: Side | None) -> None:
        if moment is not self._moment or self._side not in {None, side}:
            return
        with self._lock:
            self._left -= 1
            due = self._left == 0
        if due:
            self._act()


def hold() -> None:
    """Wait until the file is gone that says so."""
    file = Path(os.environ["SYNCER_HELD"])
    file.touch()
    ends = time.monotonic() + HOLD_DEADLINE_S
    while file.exists() and time.monotonic() < ends:
        time.sleep(0.01)


class KillBetween:
    """Holds the second side's apply back until the first side has committed, then dies."""

    def __init__(self, first: Side) -> None:
        self._first = first
        self._armed = threading.Event()
        self._committed = threading.Event()

    def __call__(self, moment: Moment, side: Side | None) -> None:
        if moment is Moment.INTENT_BOTH:
            self._committed.clear()
            self._armed.set()
        if moment is Moment.APPLY_COMMITTED and side is self._first:
            self._committed.set()
        if moment is Moment.APPLY_BEFORE and side is self._first.other and self._armed.is_set():
            # A batch that its guard stops never commits: then the second goes, and the next pair is waited for.
            if self._committed.wait(BETWEEN_DEADLINE_S):
                die()
            self._armed.clear()


def probe_of(text: str) -> Probe:
    """Read ``SYNCER_PROBE``."""
    name, _, count = text.partition(":")
    if name.startswith("between."):
        return KillBetween(Side(name.removeprefix("between.")[0]))
    name, holds = name.removeprefix("hold."), name.startswith("hold.")
    side = None
    if name not in set(Moment):
        name, _, letter = name.rpartition(".")
        side = Side(letter)
    return At(Moment(name), side, int(count or 1), hold if holds else die)


def probe_the_applier(probe: Probe) -> None:
    """Call the probe at the two moments inside a transaction at a target, of rows one by one and of many together."""

    def before(function: Callable[..., Any], moment: Moment) -> Callable[..., Any]:
        def probed(session: Any, *args: Any) -> Any:
            probe(moment, session.side)
            return function(session, *args)

        return probed

    def after(function: Callable[..., Any], moment: Moment) -> Callable[..., Any]:
        def probed(session: Any, *args: Any) -> Any:
            result = function(session, *args)
            probe(moment, session.side)
            return result

        return probed

    for module in (applier, carrying):
        module._guard = before(module._guard, Moment.APPLY_LOCKED)
        module._read_back = after(module._read_back, Moment.APPLY_WRITTEN)


def main() -> None:
    probe = probe_of(os.environ["SYNCER_PROBE"])
    probe_the_applier(probe)
    app.run = lambda config, options, observer, stop: Run(
        config, options, observer, stop, probe=probe
    )()
    sys.argv[0] = "syncer"
    entry()


if __name__ == "__main__":
    main()
