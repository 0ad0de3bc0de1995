"""
The process of one custom rule: ``python -m syncer.service.sandbox module:function``. It is started by ``customs.py``.

It reads questions (length, msgpack) from its standard input and answers one line each: ``a``, ``b``, ``hold``, ``next``, or a
reason to hold. What the function prints goes to stderr. Row values are in no answer.
"""

from __future__ import annotations

import os
import pkgutil
import signal
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec

ANSWERS = frozenset({"a", "b", "hold", "next"})


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
    if not isinstance(said, str) or said not in ANSWERS:
        return (
            f"the function returned a {type(said).__name__} that is not 'a', 'b', 'hold' or 'next'"
        )
    return said


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
        say(answer(function, msgspec.msgpack.decode(request)))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run ends it
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.exit(main(sys.argv[1], sys.stdin.buffer, answers))
