"""``python -m syncer``, and the console script: what must be done before anything slow is imported."""

from __future__ import annotations

import gc
import sys

from syncer.cli.arguments import hide_passwords

OBJECTS_AT_ONCE = 50_000
"""Garbage in cycles is looked for after so many new objects: they come by the thousand here and leave by themselves."""


def entry() -> None:
    """Run the command line and end the process."""
    hide_passwords()  # the imports below take a while
    gc.disable()
    from syncer.cli.lean import load_structlog

    load_structlog()
    from syncer.cli.main import main

    gc.freeze()  # what was imported is no garbage
    gc.set_threshold(OBJECTS_AT_ONCE)
    gc.enable()
    code = main()
    gc.freeze()  # at its end the interpreter would look for garbage in all of it once more
    sys.exit(code)


if __name__ == "__main__":
    entry()
