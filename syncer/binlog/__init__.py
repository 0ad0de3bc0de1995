"""Reading the replication streams: one tailer per side. The only importer of pymysqlreplication."""

from syncer.binlog.layout import Flavor, LayoutSource, StreamEndpoint, TableLayout
from syncer.binlog.progress import ProgressSnapshot, StreamProgress
from syncer.binlog.tailer import Tailer

__all__ = [
    "Flavor",
    "LayoutSource",
    "ProgressSnapshot",
    "StreamEndpoint",
    "StreamProgress",
    "TableLayout",
    "Tailer",
]
