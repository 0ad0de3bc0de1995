"""The tables of ours that are met in a stream: the marker and the heartbeat. Readers of their rows."""

from __future__ import annotations

from syncer.binlog import rowimage, tablemap
from syncer.binlog.tablemap import LayoutUnknownError, TableMap
from syncer.errors import UnsupportedEvent

MARKER = ("syncer", "marker")
HEARTBEAT = ("syncer", "heartbeat")
_MARKER_KINDS = [
    {tablemap.VARCHAR},
    {tablemap.LONGLONG},
    {tablemap.LONGLONG},
    {tablemap.STRING},
    {tablemap.BLOB, tablemap.MEDIUM_BLOB},
]
_HEARTBEAT_KINDS = [{tablemap.VARCHAR}, {tablemap.LONGLONG}, {tablemap.VARCHAR}]
_PAIR, _ITEMS, _BEAT = 0, 4, 2


def marker_reader(body: bytes) -> rowimage.RowReader:
    """Read (pair, items). Raises UnsupportedEvent where the table is not the one that syncer made."""
    found = tablemap.parse(body, 8)
    if not _fits(found, _MARKER_KINDS):
        raise UnsupportedEvent("the table syncer.marker is not the one that syncer made: drop it")
    return rowimage.bytes_reader(found, (_PAIR, _ITEMS))


def heartbeat_reader(body: bytes) -> rowimage.RowReader | None:
    """Read (pair, beat). None where the table is not the one that syncer made: only measures depend on beats."""
    try:
        found = tablemap.parse(body, 8)
    except LayoutUnknownError:
        return None
    return rowimage.bytes_reader(found, (_PAIR, _BEAT)) if _fits(found, _HEARTBEAT_KINDS) else None


def _fits(found: TableMap, kinds: list[set[int]]) -> bool:
    return len(found.columns) >= len(kinds) and all(
        column.kind in allowed for column, allowed in zip(found.columns, kinds, strict=False)
    )
