"""
Before-images: what the rows of an event were, for the tables whose conflicts ask for it (``core/agreement.py``).

A column whose value in a row image is not what a SELECT would render is left out: its base is not known.
"""

from __future__ import annotations

import struct
from typing import Any

from syncer.binlog import rowimage, tablemap
from syncer.binlog.events import RowsKind
from syncer.binlog.tablemap import ColumnMap, LayoutUnknownError, TableMap
from syncer.binlog.walker import Wanted
from syncer.core.keptimage import LoggedRow, pack, signature
from syncer.core.schema import ADDRESS_BYTES, Column, TableSchema

_MOST_PLACES = 256


class ImageReader:
    """Reads the images of one table under one table map."""

    def __init__(self, found: TableMap, schema: TableSchema) -> None:
        """Prepare; *found* fits *schema* (``tablemap.check``)."""
        ordered = sorted(schema.columns, key=lambda column: column.position)
        wants = [
            want
            for place, (column, seen) in enumerate(zip(ordered, found.columns, strict=True))
            if (want := _wanted(column, seen, place)) is not None
        ]
        self._columns = len(ordered)
        self._places = bytes(want.place for want in wants)
        self._signature = signature(schema)
        self._reader = rowimage.RowReader(found, wants, stored=False) if wants else None

    def before(self, kind: RowsKind, body: bytes, at: int) -> list[Any] | None:
        """
        Return the values that the rows of an update or delete had; None where the event does not hold them all.

        *at* is as for ``RowReader.read``, which has read the event.
        """
        update = kind.operation == "update"
        try:
            whole, _ = rowimage.present(body, at, update=update)
            if self._reader is None or len(whole) != self._columns:
                return None
            rows = self._reader.read(
                body, at, update=update, partial=kind.partial, compressed=kind.compressed
            )
        except LayoutUnknownError:
            return None
        return rows[::2] if update else rows

    def pack(self, values: Any) -> bytes:
        """Return the values of one row as the ledger keeps them."""
        return pack(LoggedRow(self._signature, self._places, values))


def _wanted(column: Column, seen: ColumnMap, place: int) -> Wanted | None:
    """Choose how a column is read; None where its value cannot be told for certain."""
    if place >= _MOST_PLACES or column.data_type in ADDRESS_BYTES or column.generated:
        return None
    if seen.kind in {tablemap.FLOAT, tablemap.DOUBLE}:
        unpack = struct.Struct("<f" if seen.kind == tablemap.FLOAT else "<d").unpack_from
        return Wanted(place, seen.width, read=lambda data, at: unpack(data, at)[0])
    try:
        tablemap.check_column(column, seen)
        return rowimage.wanted(column, seen, place)
    except (LayoutUnknownError, KeyError):
        return None
