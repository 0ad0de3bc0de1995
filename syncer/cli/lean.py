"""What keeps a start short; imported before anything that imports structlog."""

from __future__ import annotations

import sys


def load_structlog() -> None:
    """
    Import structlog as where rich is not installed: it would load all of it to draw tracebacks.

    Ours are made by ``telemetry/logs.py``, and what is drawn on a terminal loads rich itself.
    """
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # the import system's way to say: not to be found
    try:
        import structlog  # noqa: F401 - only loaded
    finally:
        del sys.modules["rich"]
