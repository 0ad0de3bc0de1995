"""
Set-up of structlog: one way out, stderr, for our events and for the loggers of dependencies.

Context variables do not cross threads: give a thread a bound logger (``structlog.get_logger().bind(side="a")``).
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import IO, TYPE_CHECKING, Any, Literal

import msgspec
import structlog

from syncer.errors import SyncerError

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from structlog.typing import Processor

Format = Literal["console", "json"]

NOISY = ("pymysqlreplication", "pymysql", "asyncio", "urllib3", "docker")
"""Loggers of dependencies whose INFO is our DEBUG: they are heard only when DEBUG is asked for."""


class _LateStderr:
    """A stream that is whatever ``write`` belongs to now: the live display moves it above itself."""

    def __init__(self) -> None:
        self.target: Callable[[str], object] | None = None

    def write(self, text: str) -> int:
        (self.target or sys.stderr.write)(text)
        return len(text)

    def flush(self) -> None:
        if self.target is None:
            sys.stderr.flush()


_stream = _LateStderr()


def redirect(target: Callable[[str], object] | None) -> None:
    """Send log lines to *target*, a function of one text; None: to stderr again."""
    _stream.target = target


def configure(
    *, style: Format | None = None, level: str = "info", stream: IO[str] | None = None
) -> None:
    """
    Route every log line to stderr. May be called again; the last call counts.

    Args:
        style: console or json; None: console where stderr is a terminal, else json.
        level: debug, info, warning or error.
        stream: instead of stderr, for tests.
    """
    out: Any = stream or _stream
    terminal = bool(getattr(stream or sys.stderr, "isatty", lambda: False)())
    chosen = style or ("console" if terminal else "json")
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _traceback_without_texts,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderer(chosen, colors=terminal),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in NOISY:
        logging.getLogger(name).setLevel(
            threshold if threshold <= logging.DEBUG else logging.WARNING
        )


def _traceback_without_texts(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """
    Render ``exc_info``: kinds and places, and what errors of ours say.

    Neither local variables nor the texts of foreign errors: a driver's may quote a row, a decoder's the bytes it could not read.
    """
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
    if not isinstance(error, BaseException):
        return event
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    event["exception"] = "\n\n".join(
        "Traceback (most recent call last):\n"
        + "".join(traceback.format_tb(one.__traceback__))
        + type(one).__qualname__
        + (f": {one}" if isinstance(one, SyncerError) else "")
        for one in reversed(chain)
    )
    return event


def _renderer(chosen: str, *, colors: bool) -> list[Processor]:
    if chosen == "json":
        return [_to_json]
    return [structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=24)]


def _to_json(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    """Render one line: time, level and event first."""
    head = {k: event.pop(k) for k in ("timestamp", "level", "event") if k in event}
    return msgspec.json.encode({**head, **event}, enc_hook=str).decode()
