"""Who gives an answer."""

from __future__ import annotations

import getpass
import os


def name() -> str:
    """Return the user's name for the journal; the user id where nobody has named it, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
