"""The live view of a run on a terminal; all calls come from the main thread, log lines from any."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from syncer.cli import frame
from syncer.telemetry import logs

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from rich.console import RenderableType

    from syncer.service.reports import BaselineProgress, RunSnapshot

DRAW_EVERY_S = 0.25


class LiveView:
    """Draws the run in place; log lines scroll by above it."""

    def __init__(
        self, title: str, stop: threading.Event, *, console: Console | None = None
    ) -> None:
        """Draw on *console*; None: on stderr."""
        self._title = title
        self._stop = stop
        self._console = console or Console(stderr=True, highlight=False)
        self._history = frame.History()
        self._live = Live(
            Text("syncer  connecting", "dim"),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._drawn = 0.0

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        logs.redirect(self._log)
        return self

    def __exit__(self, *_exc: object) -> None:
        logs.redirect(None)
        self._live.stop()

    def update(self, snapshot: RunSnapshot) -> None:
        self._history.learn(snapshot)
        self._draw(
            lambda: frame.draw(
                snapshot,
                self._history,
                title=self._title,
                # Room for the ^C of the terminal: where it broke the last line, the frame would leave one behind.
                width=self._console.width - 2,
                stopping=self._stop.is_set(),
            )
        )

    def verify_progress(self, progress: BaselineProgress, waits: str | None = None) -> None:
        width = min(self._console.width - 2, frame.MAX_WIDTH)
        self._draw(lambda: frame.progress(progress, width, waits))

    def _draw(self, picture: Callable[[], RenderableType]) -> None:
        now = time.monotonic()
        if now - self._drawn >= DRAW_EVERY_S * 0.8:
            self._drawn = now
            self._live.update(picture(), refresh=True)

    def _log(self, line: str) -> None:
        # print() of a live console draws above the frame and may be called from any thread.
        if line.strip():
            self._live.console.print(Text.from_ansi(line.rstrip("\n")), soft_wrap=True)
