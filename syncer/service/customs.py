"""
Custom rules: a function of the operator's is asked in a process of its own, so that it can be stopped (conflicts.md §3).

An exception, a time-out or an answer that means nothing holds the row with the reason; it never ends the run.
"""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from syncer.core.literals import value_of
from syncer.core.outcome import Answer, ConflictKind
from syncer.core.pairing import PairedTable
from syncer.core.rules import Rule, RuleKind
from syncer.core.side import SIDES, Side
from syncer.errors import ConfigError
from syncer.service.customrows import Given
from syncer.service.sandbox import DECIMAL, ROW

LOAD_TIMEOUT_S = 60.0
"""Importing a module may take a while, on a loaded machine more so."""
REASON_CHARACTERS = 200

Row = Mapping[str, Any] | None
_decode_row = msgspec.msgpack.Decoder(dict[str, tuple[str, Any]]).decode


class Question(msgspec.Struct, frozen=True):
    """What the function is told: its first four arguments and its last one."""

    kind: str
    a: dict[str, Any] | None
    b: dict[str, Any] | None
    base: dict[str, Any] | None
    meta: dict[str, Any]


def question(
    table: PairedTable,
    kind: ConflictKind,
    images: Mapping[Side, tuple[str | None, ...] | None],
    meta: Mapping[str, Any],
    base: tuple[str | None, ...] | None = None,
) -> Question:
    """Make a question of two images, and of the row that both agreed on where it is known whole."""
    a, b = (_row(table, images[side]) for side in SIDES)
    o = None if base is None or None in base else _row(table, base)
    return Question(kind.value, a, b, o, {"table": str(table.name), **meta})


def _row(table: PairedTable, image: tuple[str | None, ...] | None) -> dict[str, Any] | None:
    if image is None:
        return None
    return {
        name: None if text is None else value_of(text)
        for name, text in zip(table.written, image, strict=True)
    }


class CustomRules:
    """The processes of all custom rules, one per function; they are started when they are first needed. Single-threaded."""

    def __init__(self) -> None:
        """Start nothing."""
        self._running: dict[str, _Process] = {}

    def load(self, tables: Iterable[PairedTable]) -> None:
        """Import the function of every rule. Raises ConfigError in one line where that fails."""
        for table in tables:
            for rule in table.policy.chain:
                if rule.kind is RuleKind.CUSTOM and rule.test is not None:
                    answer = self._process(rule.test)
                    if isinstance(answer, str):
                        raise ConfigError(f"rule {rule}: {answer}")

    def ask(self, rule: Rule, asked: Question, timeout_s: float) -> Answer | Given:
        """Ask the function of *rule*; never raises. A row that it returns is still to be looked at: ``customrows.py``."""
        process = self._process(rule.test or "")
        if isinstance(process, str):
            return Answer(reason=process)
        rows = {name: _portable(getattr(asked, name)) for name in ("a", "b", "base")}
        request = msgspec.msgpack.encode(msgspec.structs.replace(asked, **rows))
        said = process.ask(request, timeout_s)
        if said is None:
            self._end(rule.test or "")
            return Answer(reason=f"no answer within {timeout_s:g} s")
        return _answer(said)

    def _process(self, name: str) -> _Process | str:
        process = self._running.get(name)
        if process is None:
            process = self._running[name] = _Process(name)
            said = process.receive(LOAD_TIMEOUT_S)
            if said != "ready":
                self._end(name)
                return (said or "it cannot be loaded")[:REASON_CHARACTERS]
        return process

    def _end(self, name: str) -> None:
        self._running.pop(name).close()

    def close(self) -> None:
        """End every process."""
        for name in list(self._running):
            self._end(name)


def _portable(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """Mark the DECIMALs of a row: else they would arrive as texts."""
    if row is None:
        return None
    return {
        name: msgspec.msgpack.Ext(DECIMAL, str(value).encode())
        if isinstance(value, Decimal)
        else value
        for name, value in row.items()
    }


def _answer(said: str) -> Answer | Given:
    if said.startswith(ROW):
        return _decode_row(base64.b64decode(said.removeprefix(ROW)))
    if said in {"a", "b"}:
        return Answer(winner=Side(said))
    if said == "hold":
        return Answer()
    if said == "next":
        return Answer(leaves=True)
    return Answer(reason=said[:REASON_CHARACTERS])


class _Process:
    """One process; a thread reads its answers, so that waiting for one can end."""

    def __init__(self, name: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "syncer.service.sandbox", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._changed = threading.Condition()
        self._answers: list[str | None] = []
        self._reader = threading.Thread(target=self._read, name="custom", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        out = self._child.stdout
        for line in out or ():
            self._put(line.decode("utf-8", "replace").rstrip("\n"))
        self._put(None)

    def _put(self, answer: str | None) -> None:
        with self._changed:
            self._answers.append(answer)
            self._changed.notify()

    def ask(self, request: bytes, timeout_s: float) -> str | None:
        """Send *request* and return the answer; None: there is none in time, or the process has ended."""
        pipe = self._child.stdin
        if pipe is None:  # pragma: no cover - it was asked for
            return None
        try:
            pipe.write(len(request).to_bytes(4, "big") + request)
            pipe.flush()
        except OSError:
            return None
        return self.receive(timeout_s)

    def receive(self, timeout_s: float) -> str | None:
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._answers), timeout_s):
                return None
            return self._answers.pop(0)

    def close(self) -> None:
        self._child.kill()
        with contextlib.suppress(OSError):
            if self._child.stdin is not None:
                self._child.stdin.close()
        self._child.wait()
        self._reader.join()
        if self._child.stdout is not None:
            self._child.stdout.close()
