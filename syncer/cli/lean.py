"""What keeps a start short; imported before anything that imports structlog."""

from __future__ import annotations

import sys
import types


class _Asyncio(types.ModuleType):
    """Stands for asyncio where it was imported, and loads it when anything of it is asked for."""

    def __getattr__(self, name: str) -> object:
        import asyncio

        return getattr(asyncio, name)


def load_structlog() -> None:
    """
    Import structlog as where rich is not installed, and without asyncio until that is used: both lengthen every start.

    It draws tracebacks with rich; ours are made by ``telemetry/logs.py``, and what is drawn on a terminal loads rich itself. Nothing of ours is
    asynchronous.
    """
    stands = {"rich": None, "asyncio": _Asyncio("asyncio")}  # None: not to be found
    stands = {name: stand for name, stand in stands.items() if name not in sys.modules}
    sys.modules.update(stands)  # type: ignore[arg-type]  # the import system knows what None means
    try:
        import structlog  # noqa: F401 - only loaded
    finally:
        for name in stands:
            del sys.modules[name]
