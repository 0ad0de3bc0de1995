"""
Become another program that ends when the process that started it ends.

Run by path, not imported: `python -I -S launcher.py <parent pid> <program> ...`.
It asks the kernel for SIGKILL at the death of the parent *thread*, then executes
the program in the same process, which keeps the wish and the process id. This is
not done in a `preexec_fn`, because that forks a process that may have threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Set the death signal and execute the program; return only if the parent is gone."""
    parent, program = int(arguments[0]), arguments[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        return  # it ended before the wish was heard
    os.execv(program[0], program)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
