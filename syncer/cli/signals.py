"""Signals: the first asks for an orderly end, the second ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

from syncer.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SHOW_CURSOR = b"\x1b[?25h\n"


def _say(line: bytes) -> None:
    """Write to stderr by itself: a handler may run in the middle of a buffered write. Nobody may be there to read it."""
    with contextlib.suppress(OSError):
        os.write(2, line)


@contextlib.contextmanager
def draining(*, notice: bool = True) -> Iterator[threading.Event]:
    """
    Yield an event that the first SIGINT or SIGTERM sets; the second ends the process with 130.

    *notice*: say so in a line; a live display says it itself. Outside the main thread nothing is installed. The handlers found are put back.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    asked = False
    bell, cord = os.pipe()

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked or stop.is_set():
            if os.isatty(2):
                _say(_SHOW_CURSOR)
            os._exit(ExitCode.INTERRUPTED)
        asked = True
        # Not stop.set(): this may run in the middle of stop.wait(), by the same thread and under the event's own lock.
        os.write(cord, b"\0")
        if notice:
            _say(b"\nsyncer: finishing the batch in hand; once more stops at once\n")

    def pass_on() -> None:
        if os.read(bell, 1):
            stop.set()

    ringing = threading.Thread(target=pass_on, name="signals", daemon=True)
    ringing.start()
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(cord)
        ringing.join()
        os.close(bell)
