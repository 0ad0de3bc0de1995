"""Memory and open files of a process, sampled from /proc, and whether they grew."""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
from dataclasses import dataclass, field

SAMPLE_S = 0.5
RSS_MOST = 192 << 20
"""No process of a soak may take more, in bytes."""
FILES_MOST = 48
"""Nor have more files open: the ledger's three, and a dozen connections."""
WARM_S = 60.0
JUDGED_S = 180.0
"""A process is judged by its growth once it has lived so long; what it takes while it warms up does not count."""
GROWTH_SHARE = 0.10
GROWTH_BYTES = 8 << 20
GROWTH_FILES = 4


@dataclass
class Life:
    """Samples of one process: seconds since its start, resident bytes, open files."""

    pid: int
    samples: list[tuple[float, int, int]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return self.samples[-1][0] if self.samples else 0.0

    def growth(self) -> tuple[float, float] | None:
        """Give how much the last third has more than the first, in bytes and files; None for a short life."""
        warm = [sample for sample in self.samples if sample[0] >= WARM_S]
        if self.seconds < JUDGED_S or len(warm) < 30:
            return None
        third = len(warm) // 3
        early, late = warm[:third], warm[-third:]
        memory, files = (
            statistics.median(s[at] for s in late) - statistics.median(s[at] for s in early)
            for at in (1, 2)
        )
        return memory, files

    def told(self) -> str:
        """Say how much it grew, and how much that would be in an hour."""
        grown = self.growth()
        if grown is None:
            return ""
        # The middles of the two thirds lie two thirds of the judged time apart.
        hours = (self.seconds - WARM_S) * 2 / 3 / 3600
        mib = grown[0] / 2**20
        return f"{mib:+.1f} MiB ({mib / hours:+.0f} MiB an hour), {grown[1]:+.0f} files"

    def complaints(self) -> list[str]:
        """Name what was beyond its bound or grew."""
        found = []
        if (most := max((s[1] for s in self.samples), default=0)) > RSS_MOST:
            found.append(f"process {self.pid}: {most >> 20} MiB resident, bound {RSS_MOST >> 20}")
        if (files := max((s[2] for s in self.samples), default=0)) > FILES_MOST:
            found.append(f"process {self.pid}: {files} open files, bound {FILES_MOST}")
        grown = self.growth()
        if grown is not None:
            warm = statistics.median(s[1] for s in self.samples if s[0] >= WARM_S)
            if grown[0] > max(GROWTH_BYTES, warm * GROWTH_SHARE):
                found.append(f"process {self.pid}: memory grew by {grown[0] / 2**20:.1f} MiB")
            if grown[1] > GROWTH_FILES:
                found.append(f"process {self.pid}: open files grew by {grown[1]:.0f}")
        return found


class Watch(threading.Thread):
    """Samples whatever process it is told of, until it is stopped."""

    def __init__(self) -> None:
        super().__init__(name="watch", daemon=True)
        self.lives: list[Life] = []
        self._end = threading.Event()
        self._lock = threading.Lock()

    def look_at(self, pid: int) -> None:
        """Sample this process from now on."""
        with self._lock:
            self.lives.append(Life(pid))

    def stop(self) -> None:
        self._end.set()
        self.join()

    def now(self) -> tuple[int, int]:
        """Give the last sample of the present process: resident bytes, open files."""
        with self._lock:
            samples = self.lives[-1].samples if self.lives else []
            return samples[-1][1:] if samples else (0, 0)

    def most(self) -> tuple[int, int]:
        """Give the most bytes and the most files that any process had."""
        samples = [sample for life in self.lives for sample in life.samples]
        return max((s[1] for s in samples), default=0), max((s[2] for s in samples), default=0)

    def complaints(self) -> list[str]:
        return [line for life in self.lives for line in life.complaints()]

    def run(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        ticks = 0
        while not self._end.wait(SAMPLE_S):
            with self._lock:
                life = self.lives[-1] if self.lives else None
            if life is None:
                continue
            ticks = ticks + 1 if life.samples else 1
            with contextlib.suppress(OSError, IndexError, ValueError):  # it has just ended
                with open(f"/proc/{life.pid}/statm") as file:  # noqa: PTH123 - no path to speak of
                    resident = int(file.read().split()[1]) * page
                files = len(os.listdir(f"/proc/{life.pid}/fd"))  # noqa: PTH208
                if resident:
                    life.samples.append((ticks * SAMPLE_S, resident, files))
