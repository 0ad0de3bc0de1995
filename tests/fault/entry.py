"""
The command line with a probe: ``SYNCER_PROBE=moment[.side][:count]`` kills this process at the count-th passing, as kill -9.

Two names more: ``between.a_b`` and ``between.b_a`` kill it when the first side has committed its part of a pair of batches
and the second has not been sent its part. ``hold.moment[.side]`` stops the thread that passes first, and none later, for as long
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


class KillAt:
    """Dies at the count-th passing of one moment."""

    def __init__(self, moment: Moment, side: Side | None, count: int) -> None:
        self._moment, self._side, self._left = moment, side, count
        self._lock = threading.Lock()

    def __call__(self, moment: Moment, side: Side | None) -> None:
        if moment is not self._moment or self._side not in {None, side}:
            return
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                die()


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


class HoldAt:
    """Holds the thread that passes a moment first until a file is gone."""

    def __init__(self, moment: Moment, side: Side | None, file: Path) -> None:
        self._moment, self._side, self._file = moment, side, file
        self._passed = threading.Lock()

    def __call__(self, moment: Moment, side: Side | None) -> None:
        if moment is not self._moment or self._side not in {None, side}:
            return
        if not self._passed.acquire(blocking=False):
            return
        self._file.touch()
        ends = time.monotonic() + HOLD_DEADLINE_S
        while self._file.exists() and time.monotonic() < ends:
            time.sleep(0.01)


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
    if holds:
        return HoldAt(Moment(name), side, Path(os.environ["SYNCER_HELD"]))
    return KillAt(Moment(name), side, int(count or 1))


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
