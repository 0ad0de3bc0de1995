"""
Configuration: one TOML file, ``SYNCER_*`` variables and flags become one frozen ``Config``.

Nothing here opens a connection; whether a named table exists is the service's to find out.
"""

from syncer.config.effective import Config, is_glob
from syncer.config.engine import EngineSection
from syncer.config.loader import DEFAULT_FILE, load
from syncer.config.model import (
    FileConfig,
    LogSection,
    PolicySection,
    SyncSection,
    TableSection,
)

__all__ = [
    "DEFAULT_FILE",
    "Config",
    "EngineSection",
    "FileConfig",
    "LogSection",
    "PolicySection",
    "SyncSection",
    "TableSection",
    "is_glob",
    "load",
]
