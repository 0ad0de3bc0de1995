"""
The process of one custom rule: ``python -m syncer.service.sandbox module:function``. It is started by ``customs.py``.

It reads questions (length, msgpack) from its standard input and answers one line each: ``a``, ``b``, ``hold``, ``next``, ``row`` with
the columns of a row (base64, msgpack), or a reason to hold. What the function prints goes to stderr. No reason holds a row value.
"""

from __future__ import annotations

import base64
import datetime as dt
import os
import pkgutil
import signal
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec

ANSWERS = frozenset({"a", "b", "hold", "next"})
ROW = "row "
DECIMAL = 1
"""The extension type of a DECIMAL in a question."""


def load(name: str) -> Callable[..., Any]:
    """Import ``module:function``. Raises ValueError in one line."""
    try:
        found: Callable[..., Any] = pkgutil.resolve_name(name)
    except BaseException as error:  # noqa: BLE001 - whatever a module does when it is imported
        raise ValueError(f"the function cannot be imported: {type(error).__name__}") from None
    if callable(found):
        return found
    raise ValueError("what it names is no function")


def answer(function: Callable[..., Any], asked: dict[str, Any]) -> str:
    """Ask the function; what goes wrong is the answer, without any value of a row."""
    try:
        said = function(*(asked[name] for name in ("kind", "a", "b", "base", "meta")))
    except Exception as error:  # noqa: BLE001 - the row is held with it
        return f"the function raised {type(error).__name__}"
    if said is None:
        return "next"
    if isinstance(said, dict):
        return _row(said)
    if not isinstance(said, str) or said not in ANSWERS:
        return f"the function returned a {type(said).__name__} that is not 'a', 'b', 'hold', 'next' or a row"
    return said


def _row(said: dict[Any, Any]) -> str:
    if not all(isinstance(name, str) for name in said):
        return "the function returned a row with a column whose name is no text"
    try:
        packed = msgspec.msgpack.encode({name: _told(value) for name, value in said.items()})
    except (UnicodeEncodeError, OverflowError):
        return "the function returned a row with a value that is no text or no number of 64 bits"
    return ROW + base64.b64encode(packed).decode()


def _told(value: Any) -> tuple[str, Any]:
    """Return what a value is, and the value in a form that travels."""
    match value:
        case None:
            return "null", None
        case bool() | int():
            return "int", int(value)
        case float():
            return "float", value
        case Decimal():
            return "decimal", str(value)
        case str():
            return "text", str(value)
        case bytes() | bytearray() | memoryview():
            return "bytes", bytes(value)
        case dt.datetime() if value.tzinfo is None:
            return "time", value.isoformat(" ")
        case dt.date() if not isinstance(value, dt.datetime):
            return "time", value.isoformat()
        case dt.timedelta():
            return "time", _clock(value)
    return "other", type(value).__name__


def _clock(value: dt.timedelta) -> str:
    seconds, fraction = divmod(abs(value) // dt.timedelta(microseconds=1), 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return (
        f"{'-' if value < dt.timedelta(0) else ''}{hour:02}:{minute:02}:{second:02}.{fraction:06}"
    )


def _decimal(_code: int, data: memoryview) -> Decimal:
    return Decimal(bytes(data).decode())


def main(name: str, source: BinaryIO, out: BinaryIO) -> int:
    """Answer until the questions end."""

    def say(text: str) -> None:
        out.write(text.encode() + b"\n")
        out.flush()

    try:
        function = load(name)
    except ValueError as error:
        say(str(error))
        return 1
    say("ready")
    while len(head := source.read(4)) == 4:
        request = source.read(int.from_bytes(head, "big"))
        say(answer(function, msgspec.msgpack.decode(request, ext_hook=_decimal)))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run ends it
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.exit(main(sys.argv[1], sys.stdin.buffer, answers))
