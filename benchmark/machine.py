"""What was measured on: never the machine's name nor a path of it."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Iterable
from pathlib import Path


def facts(versions: Iterable[str]) -> list[str]:
    """Processor, memory, programs, date: one sentence each."""
    return [
        f"{os.cpu_count()} cores, {_cpu()}, {_memory_gib():.0f} GiB of memory; everything on one machine",
        f"Python {platform.python_version()}; {'; '.join(versions)}",
        "every server: innodb_buffer_pool_size 512M, sync_binlog=1, innodb_flush_log_at_trx_commit=1 while measured",
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
    ]


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
