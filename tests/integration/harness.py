"""Run the product as its users do: a process with arguments, two streams of output, signals and an exit code."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import oracle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from testbed.endpoint import Endpoint
    from testbed.provision import Pair

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 120.0
_POLL_S = 0.1
_TAIL = 6000


def wait_until(what: str, ask: Callable[[], tuple[bool, object]], deadline_s: float = DEADLINE_S):
    """Ask until the first answer is true; give the second. Fails with the last state."""
    end = time.monotonic() + deadline_s
    while True:
        done, state = ask()
        if done:
            return state
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:.0f} s: {what}; last state: {state}")
        time.sleep(_POLL_S)


@dataclass(frozen=True)
class Done:
    """A finished command."""

    arguments: Sequence[str]
    code: int
    stdout: str
    stderr: str
    seconds: float

    def document(self) -> dict[str, Any]:
        try:
            return json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"no JSON on stdout\n{self}") from None

    def must(self, *codes: int) -> Done:
        assert self.code in codes, f"exit code {self.code}, not {codes}\n{self}"
        assert "Traceback" not in self.stderr, str(self)
        return self

    def __str__(self) -> str:
        return (
            f"syncer {' '.join(self.arguments)}\nexit code {self.code} after {self.seconds:.1f} s\n"
            f"--- stdout\n{self.stdout[-_TAIL:]}\n--- stderr\n{self.stderr[-_TAIL:]}"
        )


def syncer(
    *arguments: object,
    timeout_s: float = DEADLINE_S,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
) -> Done:
    """Run a command to its end."""
    words = [str(argument) for argument in arguments]
    begun = time.monotonic()
    with subprocess.Popen(
        _command(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd or REPOSITORY,
        env=_environment(env),
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            late = Done(words, -9, stdout, stderr, time.monotonic() - begun)
            raise AssertionError(f"no end within {timeout_s:.0f} s\n{late}") from None
    return Done(words, process.returncode, stdout, stderr, time.monotonic() - begun)


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-W", "error::ResourceWarning", "-m", "syncer", *words]


def _environment(more: dict[str, str] | None) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SYNCER_", "MYSQL"))
    }
    return kept | {"PYTHONPATH": str(REPOSITORY), "HOME": "/nonexistent"} | (more or {})


@dataclass(frozen=True)
class Conflict:
    """An entry of the journal."""

    kind: str
    status: str
    rule: str
    path: str
    winner: str | None
    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    images: dict[str, tuple[str | None, ...] | None]
    possible: bool

    @property
    def loser(self) -> str | None:
        return None if self.winner is None else "ab".replace(self.winner, "")

    def value(self, side: str | None, column: str) -> str | None:
        """Give one column of one side's image as text; None for an absent row or NULL."""
        image = self.images[side or ""]
        if image is None:
            return None
        literal = image[self.columns.index(column)]
        return None if literal is None or literal == "NULL" else literal.strip("'")


class Product:
    """The product for one pair and one selection of tables, with a ledger of its own."""

    def __init__(self, pair: Pair, folder: Path, *options: object, tables: str) -> None:
        self.pair = pair
        self.folder = folder
        self.ledger = folder / "ledger.db"
        self.options = [str(option) for option in options]
        self.tables = tables
        self.urls = (pair.a.url(), pair.b.url())
        self._starts = 0
        self._running: list[Running] = []

    def arguments(self, command: str, *more: object) -> list[str]:
        base = [command, *self.urls, "--tables", self.tables, "--ledger", str(self.ledger)]
        return [*base, *self.options, *(str(word) for word in more)]

    def __call__(self, command: str, *more: object, timeout_s: float = DEADLINE_S) -> Done:
        return syncer(*self.arguments(command, *more), timeout_s=timeout_s, cwd=self.folder)

    def until_in_sync(self, *more: object, timeout_s: float = DEADLINE_S, codes=(0,)) -> dict:
        """Run until in sync; give the report."""
        done = self("run", "--until-in-sync", "--json", *more, timeout_s=timeout_s).must(*codes)
        report = done.document()
        assert report["in_sync"] is (0 in codes), str(done)
        return report

    def start(self, *more: object, command: str = "run") -> Running:
        """Start ``syncer run``, or another command, in the background."""
        self._starts += 1
        log = self.folder / f"run-{self._starts}.jsonl"
        running = Running(self, self.arguments(command, "--log-format", "json", *more), log)
        self._running.append(running)
        return running

    def close(self) -> None:
        for running in self._running:
            running.kill()

    def status(self) -> dict[str, Any]:
        """Give what the ledger says; it must be there."""
        done = syncer("status", "--ledger", self.ledger, "--json", cwd=self.folder)
        return done.must(0, 1).document()

    def position(self, side: str) -> tuple[int, int]:
        """Give the saved position of a side."""
        position = self.status()["summary"]["positions"][side]
        return _number(position["file"]), position["offset"]

    def conflicts(self, status: str = "all") -> list[Conflict]:
        """Give the journal, oldest first."""
        done = syncer(
            *("conflicts", "list", "--ledger", self.ledger, "--status", status),
            *("--limit", 1_000_000, "--json"),
            cwd=self.folder,
        )
        found = []
        for record in done.must(0, 1).document()["conflicts"]:
            entry = record["entry"]
            found.append(
                Conflict(
                    kind=entry["kind"],
                    status=record["status"],
                    rule=entry["rule"],
                    path=entry["path"],
                    winner=entry["winner"],
                    table=entry["table"],
                    key=tuple(entry["key"]),
                    columns=tuple(entry["columns"]),
                    images={
                        side: None if image is None else tuple(image)
                        for side, image in (
                            ("a", entry["a_image"]),
                            ("b", entry["b_image"]),
                            ("o", entry["base_image"]),
                        )
                    },
                    possible=entry["possible"],
                )
            )
        return found[::-1]

    def settled(self, deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """
        Wait until the ledger holds nothing that the binlogs' present ends do not account for; give the status.

        Held keys may stay. Writers must have stopped.
        """
        ends = {
            side: binlog_end(server) for side, server in zip("ab", self.pair.sides, strict=True)
        }

        def ask() -> tuple[bool, object]:
            if not self.ledger.exists():
                return False, "no ledger yet"
            status = self.status()
            summary = status["summary"]
            at = {
                side: (_number(position["file"]), position["offset"])
                for side, position in summary["positions"].items()
            }
            reached = at.keys() == ends.keys() and all(at[side] >= ends[side] for side in ends)
            empty = not (summary["keys"] or summary["spans"] or summary["open_batches"])
            begun = bool(status["spans"])  # every table's first comparison is known to the ledger
            # A table that is looked at may get marks when it flows again.
            looked = not any("being read" in one["reason"] for one in status["paused"])
            return reached and empty and begun and looked, (ends, summary, status["paused"])

        state = self._watched("settled", ask, deadline_s)
        return state[1]

    def until_equal(self, db: str, deadline_s: float = DEADLINE_S) -> None:
        """Wait until the oracle finds both sides equal."""

        def ask() -> tuple[bool, object]:
            found = oracle.differences(oracle.read_pair(self.pair, db))
            return not found, found

        self._watched(f"{db} equal on both sides", ask, deadline_s)

    def _watched(self, what: str, ask: Callable[[], tuple[bool, object]], deadline_s: float):
        """Wait, and fail at once if the process has ended."""
        running = self._running[-1] if self._running else None

        def watch() -> tuple[bool, object]:
            done, state = ask()
            if not done and running is not None and running.code is not None:
                raise AssertionError(f"syncer ended while waited for: {what}; {state}\n{running}")
            return done, state

        try:
            return wait_until(what, watch, deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{running or ''}") from None


class Running:
    """A ``syncer run`` in the background; its output goes to files."""

    def __init__(self, product: Product, arguments: list[str], log: Path) -> None:
        self.arguments = arguments
        self.log = log
        self._out = log.with_suffix(".out")
        self._begun = time.monotonic()
        with log.open("wb") as stderr, self._out.open("wb") as stdout:
            self._process = subprocess.Popen(
                _command(arguments),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=product.folder,
                env=_environment(None),
            )

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def events(self) -> list[dict[str, Any]]:
        """Give the log lines written so far."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def wait_event(
        self, what: str, wanted: Callable[[dict[str, Any]], bool], deadline_s: float = DEADLINE_S
    ) -> dict[str, Any]:
        """Wait for a log line."""

        def ask() -> tuple[bool, Any]:
            hits = [event for event in self.events() if wanted(event)]
            if not hits and self.code is not None:
                raise AssertionError(f"ended before: {what}\n{self}")
            return bool(hits), hits[0] if hits else str(self)

        return wait_until(what, ask, deadline_s)

    def connected(self) -> None:
        """Wait until both streams are read."""
        for side in "ab":
            self.wait_event(
                f"stream of side {side} connected",
                lambda event, side=side: (
                    event.get("event") == "stream.connected" and event.get("side") == side
                ),
            )

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def stop(self, deadline_s: float = DEADLINE_S) -> Done:
        """Send SIGTERM and wait for the end."""
        self.terminate()
        return self.wait(deadline_s)

    def wait(self, deadline_s: float = DEADLINE_S) -> Done:
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end within {deadline_s:.0f} s\n{self}") from None
        return self._done()

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing is read or written."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as kill -9 does; nothing happens if it is over."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _done(self) -> Done:
        code = self._process.poll()
        return Done(
            self.arguments,
            -1000 if code is None else code,
            self._out.read_text(errors="replace"),
            self.log.read_text(errors="replace"),
            time.monotonic() - self._begun,
        )

    def __str__(self) -> str:
        return str(self._done())


def binlog_end(server: Endpoint) -> tuple[int, int]:
    """Give the end of a server's binary log, in an order of its own."""
    words = "BINARY LOG" if server.flavor == "mysql" and server.version >= "8.2" else "MASTER"
    file, offset, *_ = server.query(f"SHOW {words} STATUS")[0]
    return _number(file), int(offset)


def _number(file: str) -> int:
    return int(file.rpartition(".")[2])
