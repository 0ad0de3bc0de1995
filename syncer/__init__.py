"""Keep two MySQL or MariaDB primaries equal by reading both replication streams."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("syncer")
except PackageNotFoundError:  # run from a tree that was never installed
    __version__ = "0+unknown"
