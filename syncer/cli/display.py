"""
Who watches a run: a live view on a terminal, a line now and then elsewhere, nobody with --quiet or --json.

All of it goes to stderr. ``watching`` chooses; the observers are called from the main thread only.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

import structlog

from syncer.cli import text
from syncer.telemetry import events, logs

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from syncer.config import Config
    from syncer.service.reports import BaselineProgress, Observer, RunSnapshot

LINE_EVERY_S = 5.0


def live_wanted(*, silent: bool) -> bool:
    """Whether the live view can and shall be shown."""
    return not silent and sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}


@contextlib.contextmanager
def watching(config: Config, stop: threading.Event, *, silent: bool) -> Iterator[Observer]:
    """Yield the observer that suits the terminal and the options."""
    if silent:
        yield Nobody()
    elif live_wanted(silent=silent):
        if "log.level" not in config.origins:
            logs.configure(style=config.log.format, level="warning")  # the view says the rest
        from syncer.cli.liveview import LiveView

        with LiveView(title(config), stop) as view:
            yield view
    else:
        json = config.log.format == "json" or (
            config.log.format is None and not sys.stderr.isatty()
        )
        yield Events() if json else Lines(_to_stderr)


def title(config: Config) -> str:
    """Return what is kept equal, in a few words."""
    names = config.sync.tables or tuple(f"{d}.*" for d in config.sync.databases)
    shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
    return shown or config.pair_id


def _to_stderr(line: str) -> None:
    """Print a line; a run does not end because nobody reads it any more, or the disk it goes to is full."""
    with contextlib.suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class Nobody:
    """Sees nothing."""

    def update(self, snapshot: RunSnapshot) -> None:
        """Pass it over."""

    def verify_progress(self, progress: BaselineProgress, waits: str | None = None) -> None:
        """Pass it over."""


class _Paced:
    """Decides when another line is due: at every change of the phase or a state, else every few seconds."""

    def __init__(self, every_s: float = LINE_EVERY_S) -> None:
        self._every_s = every_s
        self._phase: list[str] = []
        self._at = float("-inf")

    def due(self, *words: str) -> bool:
        now = time.monotonic()
        phase = ["tailing" if word == "reconciling" else word for word in words]
        if phase == self._phase and now - self._at < self._every_s:
            return False
        self._phase, self._at = phase, now
        return True


class Lines:
    """One plain line every few seconds and at every change of phase."""

    def __init__(self, write: Callable[[str], None], *, every_s: float = LINE_EVERY_S) -> None:
        """Hand each line to *write*."""
        self._write = write
        self._paced = _Paced(every_s)

    def update(self, snapshot: RunSnapshot) -> None:
        if self._paced.due(snapshot.phase, snapshot.a.state, snapshot.b.state):
            self._write(_line(snapshot))

    def verify_progress(self, progress: BaselineProgress, waits: str | None = None) -> None:
        if self._paced.due("verify", progress.table, "waits" if waits else ""):
            self._write(f"{'verify':<11} {_baseline(progress)}{_waiting(waits)}")


class Events:
    """The same as log events, where stderr is read by a machine."""

    def __init__(self, *, every_s: float = LINE_EVERY_S) -> None:
        """Log an event every *every_s* seconds."""
        self._paced = _Paced(every_s)
        self._log = structlog.get_logger()

    def update(self, snapshot: RunSnapshot) -> None:
        if not self._paced.due(snapshot.phase, snapshot.a.state, snapshot.b.state):
            return
        self._log.info(
            events.RUN_STATUS,
            phase=snapshot.phase,
            uptime_s=round(snapshot.uptime_s, 1),
            dirty_keys=snapshot.dirty_keys,
            dirty_spans=snapshot.dirty_spans,
            held=snapshot.held,
            paused=[one.table for one in snapshot.paused],
            conflicts_resolved=snapshot.conflicts_resolved,
            a_state=snapshot.a.state,
            b_state=snapshot.b.state,
            a_lag_s=snapshot.a.lag_s,
            b_lag_s=snapshot.b.lag_s,
            a_behind_s=snapshot.a.behind_s,
            b_behind_s=snapshot.b.behind_s,
            clock_skew_s=snapshot.clock_skew_s,
            clock_skew_error_s=snapshot.clock_skew_error_s,
            a_written=_written(snapshot.a),
            b_written=_written(snapshot.b),
        )

    def verify_progress(self, progress: BaselineProgress, waits: str | None = None) -> None:
        if self._paced.due("verify", progress.table, "waits" if waits else ""):
            self._log.info(
                events.VERIFY_STATUS,
                table=progress.table,
                rows=progress.rows_done,
                differing=progress.differing,
                eta_s=progress.eta_s,
                throttled_by=waits,
            )


def _written(status: object) -> int:
    return sum(getattr(status, f"applied_{op}") for op in ("inserts", "updates", "deletes"))


def _baseline(progress: BaselineProgress) -> str:
    total = max(progress.rows_total, progress.rows_done, 1)
    return (
        f"{progress.rows_done / total:.0%} of {text.count(total)} rows  "
        f"tables {progress.tables_done}/{progress.tables_total}  "
        f"differing {text.count(progress.differing)}  left {text.duration(progress.eta_s)}  {progress.table}"
    ).rstrip()


def _line(snapshot: RunSnapshot) -> str:
    parts = [f"{snapshot.phase:<11}", f"up {text.duration(snapshot.uptime_s)}"]
    if snapshot.baseline.tables_done < snapshot.baseline.tables_total:
        parts.append(_baseline(snapshot.baseline))
    for name, side in (("A", snapshot.a), ("B", snapshot.b)):
        state = "" if side.state == "connected" else f" {side.state}"
        parts.append(
            f"{name}{state} lag {text.lag(side.lag_s)} seen {text.count(side.transactions)} "
            f"written +{side.applied_inserts} ~{side.applied_updates} -{side.applied_deletes}"
        )
    parts.append(f"dirty {text.count(snapshot.dirty_keys)}")
    if snapshot.dirty_spans:
        parts[-1] += f" +{text.plural(snapshot.dirty_spans, 'range')}"
    parts.append(f"conflicts {snapshot.conflicts_resolved} resolved {snapshot.conflicts_held} held")
    return "  ".join(parts) + _waiting(snapshot.throttled_by)


def _waiting(reason: str | None) -> str:
    return f"  waiting: {' '.join(reason.split())}" if reason else ""
