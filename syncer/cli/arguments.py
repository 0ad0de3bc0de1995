"""Takes passwords out of the process list: those in URLs and DSNs on the command line."""

from __future__ import annotations

import contextlib
import ctypes
import re
from pathlib import Path

_ARG_START, _ARG_END = 47, 48
_URL = re.compile(rb"(?:mysql|mariadb)://[^/?#\0]*?:([^\0/?#]*)@")
_DSN = re.compile(rb"(?:^|(?<=[\0,=]))p=((?:\\,|[^,\0])*)")


def hide_passwords() -> None:
    """
    Overwrite passwords in what ``ps`` and ``/proc/<pid>/cmdline`` show of this process with asterisks of the same number.

    Python has its own copy of the arguments, which stays. Where there is no /proc, nothing happens; between the start of
    the process and this call the password is visible, so the command line remains the wrong place for one.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        line = Path("/proc/self/cmdline").read_bytes()
        # The second field is the program's name in parentheses and may hold anything.
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[_ARG_START - 2]), int(fields[_ARG_END - 2])
        if not 0 < start < end or end - start < len(line):
            return
        if ctypes.string_at(start, len(line)) != line:
            return
        for low, high in password_places(line):
            ctypes.memset(start + low, ord("*"), high - low)


def password_places(line: bytes) -> list[tuple[int, int]]:
    """Find the passwords in NUL-separated arguments; places as (start, end), end exclusive."""
    places = [found.span(1) for found in _URL.finditer(line)]
    for argument in re.finditer(rb"[^\0]+", line):
        # Only what is a DSN by the look of it: another key=value in front or behind.
        if re.match(rb"(?:-[\w-]+=)?[hPupDtSFsA]=", argument.group()):
            places += [
                (argument.start() + low, argument.start() + high)
                for low, high in (found.span(1) for found in _DSN.finditer(argument.group()))
            ]
    return places
