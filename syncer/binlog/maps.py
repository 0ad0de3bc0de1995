"""Table maps: what the rows that follow belong to, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from syncer.binlog import rowimage, tablemap
from syncer.binlog.images import ImageReader
from syncer.binlog.layout import LayoutSource, TableLayout
from syncer.binlog.own_tables import HEARTBEAT, MARKER, heartbeat_reader, marker_reader
from syncer.binlog.parents import Parents
from syncer.binlog.tablemap import LayoutUnknownError
from syncer.core.position import Coordinate
from syncer.core.schema import TableName, TableSchema
from syncer.core.side import Side

_MOST_KNOWN = 10_000


class MappedTable(NamedTuple):
    """
    What a table map turned out to be. Without layout: out of scope, or a table of ours if it has a reader.

    *certain_from* is that of the layout, None where the table map itself proves the layout. *images* reads what rows were.
    """

    database: str
    name: str
    layout: TableLayout | None
    reader: rowimage.RowReader | None
    parents: Parents | None = None
    certain_from: Coordinate | None = None
    images: ImageReader | None = None


class TableMaps:
    """The table maps of one stream, by the number that its rows events name. Used by the stream's thread alone."""

    def __init__(
        self,
        side: Side,
        layouts: LayoutSource,
        on_schema_change: Callable[[Side, TableName], None],
    ) -> None:
        """Begin without any."""
        self._side, self._layouts, self._on_schema_change = side, layouts, on_schema_change
        self._by_number: dict[int, MappedTable] = {}
        self._known: dict[bytes, MappedTable] = {}
        self._hopeless: dict[tuple[str, str], TableSchema | None] = {}

    def clear(self) -> None:
        """Forget the numbers: a new file gives others."""
        self._by_number.clear()

    def get(self, number: int) -> MappedTable | None:
        """Return what rows with this number belong to; None where no map told."""
        return self._by_number.get(number)

    def take(self, body: bytes) -> None:
        """
        Take the body of one table map event.

        Raises LayoutUnknownError, LookupError or ValueError where it cannot be read.
        """
        known = self.known(body)
        if known is None:
            known = self._learn(body)
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[body] = known
        self._by_number[int.from_bytes(body[:6], "little")] = known

    def known(self, body: bytes) -> MappedTable | None:
        """Return what this body was found to be before; None where it is new, or its table's layout has changed since."""
        known = self._known.get(body)
        if known is None or (
            (known.layout or not known.reader)
            and self._layouts(known.database, known.name) is not known.layout
        ):
            return None
        return known

    def _learn(self, body: bytes) -> MappedTable:
        database, name, _ = tablemap.table_name(body, 8)
        if (database, name) == MARKER:
            return MappedTable(database, name, None, marker_reader(body))
        if (database, name) == HEARTBEAT:
            return MappedTable(database, name, None, heartbeat_reader(body))
        layout = self._layouts(database, name)
        if layout is None or layout.schema is None:
            return MappedTable(database, name, layout, None)
        table = _read_by(layout, database, name, body)
        if table.reader is None and self._hopeless.get((database, name)) is not layout.schema:
            # It may have been altered without a trace in the binlog: whoever knows the tables is to look, once.
            self._on_schema_change(self._side, TableName(database, name))
            layout = self._layouts(database, name)
            if layout is None:
                return MappedTable(database, name, None, None)
            table = _read_by(layout, database, name, body)
            if table.reader is None:
                self._hopeless[database, name] = layout.schema
        return table


def _read_by(layout: TableLayout, database: str, name: str, body: bytes) -> MappedTable:
    if layout.schema is None:
        return MappedTable(database, name, layout, None)
    try:
        found = tablemap.parse(body, 8)
        reader = rowimage.key_reader(found, layout.schema)
    except (LayoutUnknownError, IndexError, KeyError, UnicodeError):
        return MappedTable(database, name, layout, None)
    parents = Parents(found, layout) if layout.edges else None
    proven = tablemap.proves(found, layout.schema)
    certain_from = None if proven else layout.certain_from
    images = ImageReader(found, layout.schema) if layout.keeps else None
    return MappedTable(database, name, layout, reader, parents, certain_from, images)
