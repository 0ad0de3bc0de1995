"""Programs that are measured: run, timed, and what the kernel says of them (Linux)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
TIMEOUT_S = 3600
_LOOK_S = 0.02


def environment() -> dict[str, str]:
    """
    The environment without what would configure the product or a client behind our back.

    Python keeps what it has compiled, as it does where the product is installed.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SYNCER_PASSWORD", "SYNCER_CONFIG", "MYSQL", "PYTHONDONTWRITE"))
    }
    return kept | {"PYTHONPATH": str(REPOSITORY)}


def run(command: Sequence[str], codes: tuple[int, ...] = (0,), text: str | None = None) -> str:
    """
    Run a program to its end and give what it printed.

    Raises RuntimeError where it ends with another code than *codes*.
    """
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=environment(),
        check=False,
    )
    if done.returncode not in codes:
        raise RuntimeError(
            f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr[-800:] or done.stdout[-800:]}"
        )
    return done.stdout


def timed(command: Sequence[str], codes: tuple[int, ...] = (0,)) -> float:
    """Run a program to its end; give the seconds it took, its start included."""
    begun = time.perf_counter()
    run(command, codes)
    return time.perf_counter() - begun


def module(name: str, task: dict[str, Any]) -> dict[str, Any]:
    """Run a module of this package as a process of its own: JSON in, JSON out."""
    answer = run([sys.executable, "-m", name], text=json.dumps(task))
    found: dict[str, Any] = json.loads(answer)
    return found


def peak_mib(pid: int | str = "self") -> float:
    """The most memory that a process has had resident, in MiB; 0.0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watch:
    """Follows a process's peak of resident memory while it runs."""

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._end.wait(_LOOK_S):
            self.peak = max(self.peak, peak_mib(self._pid))

    def stop(self) -> float:
        """End it; give the peak in MiB."""
        self._end.set()
        self._thread.join()
        return self.peak
