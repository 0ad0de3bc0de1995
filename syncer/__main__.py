"""``python -m syncer``, and the console script: what must be done before anything slow is imported."""

from __future__ import annotations

import gc
import sys

from syncer.cli.arguments import hide_passwords


def entry() -> None:
    """Run the command line and end the process."""
    hide_passwords()  # the imports below take a while
    from syncer.cli.lean import load_structlog

    load_structlog()
    from syncer.cli.main import main

    code = main()
    gc.freeze()  # at its end the interpreter would look for garbage in all of it once more
    sys.exit(code)


if __name__ == "__main__":
    entry()
