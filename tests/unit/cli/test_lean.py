"""What a start does not load, and that it is there all the same."""

from __future__ import annotations

import subprocess
import sys

_LOADED = """
import sys
from syncer.cli.lean import load_structlog
load_structlog()
assert not {"asyncio", "rich"} & set(sys.modules)
import structlog.stdlib
structlog.stdlib.asyncio.sleep  # as what is asynchronous there would ask for it
assert "asyncio" in sys.modules
import asyncio, rich
assert structlog.stdlib.asyncio.sleep is asyncio.sleep
"""


def test_what_structlog_imports_is_loaded_when_it_is_used():
    done = subprocess.run(
        [sys.executable, "-c", _LOADED], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
