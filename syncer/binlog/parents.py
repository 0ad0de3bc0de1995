"""What the changes of a parent's rows say of its children, where the server does not log those (``core/cascade.py``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from syncer.binlog import rowimage, tablemap
from syncer.binlog.layout import TableLayout
from syncer.binlog.tablemap import LayoutUnknownError, TableMap
from syncer.core import key as core_key
from syncer.core.cascade import Edge, places
from syncer.core.key import Key, StoredKey
from syncer.core.schema import TableSchema


class Found(NamedTuple):
    """
    Children with *value* under *edge* changed.

    *removes*: they were deleted; *came*: it is the value that they have now, not the one that they had.
    """

    edge: Edge
    value: bytes
    removes: bool
    came: bool


class UnknownValueError(Exception):
    """The row image does not hold what the children refer to (row image MINIMAL, or a type that cannot be read)."""


class _Watch(NamedTuple):
    """How the referred value is read: from the key, by *places*, or from the image by *reader*; neither: not at all."""

    edge: Edge
    places: tuple[int, ...] | None
    reader: rowimage.RowReader | None
    columns: frozenset[int]


class Parents:
    """Reads the referred values of one table under one table map."""

    def __init__(self, found: TableMap, layout: TableLayout) -> None:
        """Prepare for the edges of *layout*; its keys can be read."""
        if layout.schema is None:
            raise LayoutUnknownError("no schema")
        self._unsigned = layout.schema.unsigned_key
        self._watches = [_watch(found, layout.schema, edge) for edge in layout.edges]

    def read(
        self,
        operation: str,
        keys: Sequence[StoredKey],
        body: bytes,
        at: int,
        *,
        partial: bool,
        compressed: bool,
    ) -> Iterator[tuple[StoredKey, Found]]:
        """
        Yield what one rows event says, each with the key of the parent it comes from.

        Args:
            operation: ``delete`` or ``update``; an insert changes no children.
            keys: of the event, as ``RowReader.read`` gave them.

        Raises:
            UnknownValueError: children may have changed and nobody can say which.
        """
        update = operation == "update"
        for watch in self._watches:
            if not (watch.edge.on_update if update else watch.edge.on_delete):
                continue
            if watch.places is None:
                images = self._images(watch, body, at, update, partial, compressed)
                if images is None:
                    continue
            elif update and keys[::2] == keys[1::2]:
                continue
            else:
                loaded = [core_key.decode(key, unsigned=self._unsigned) for key in keys]
                images = [tuple(key[place] for place in watch.places) for key in loaded]
            yield from _changes(watch.edge, keys, images, update=update)

    def _images(
        self,
        watch: _Watch,
        body: bytes,
        at: int,
        update: bool,
        partial: bool,
        compressed: bool,
    ) -> list[Any] | None:
        """Read the referred columns; None where an update left them alone."""
        before, after = rowimage.present(body, at, update=update)
        if update and not watch.columns & after:
            return None
        if watch.reader is None or not watch.columns <= before:
            raise UnknownValueError
        images = watch.reader.read(body, at, update=update, partial=partial, compressed=compressed)
        if update and not watch.columns <= after:
            # A column that is not in the after image kept its value; which ones these are is not in the tuples.
            raise UnknownValueError
        return images


def _changes(
    edge: Edge, keys: Sequence[StoredKey], images: Sequence[Any], *, update: bool
) -> Iterator[tuple[StoredKey, Found]]:
    if not update:
        for key, value in zip(keys, images, strict=True):
            if None not in value:
                yield key, Found(edge, _encode(value), edge.removes, came=False)
        return
    for key, old, new in zip(keys[::2], images[::2], images[1::2], strict=True):
        if old == new:
            continue
        for value in (old, new):
            if None not in value:
                yield key, Found(edge, _encode(value), removes=False, came=value is new)


def _encode(value: Key) -> bytes:
    encoded = core_key.encode(value, integer=False)
    assert isinstance(encoded, bytes)
    return encoded


def _watch(found: TableMap, schema: TableSchema, edge: Edge) -> _Watch:
    by_key = places(edge.parent_columns, schema.key)
    if by_key is not None:
        return _Watch(edge, by_key, None, frozenset())
    ordered = sorted(schema.columns, key=lambda column: column.position)
    at = places(edge.parent_columns, [column.name for column in ordered]) or ()
    reader = None
    try:
        tablemap.check(found, msgspec.structs.replace(schema, key=edge.parent_columns))
        wants = [rowimage.wanted(ordered[p], found.columns[p], p) for p in at]
        reader = rowimage.RowReader(found, wants, stored=False)
    except (LayoutUnknownError, IndexError, KeyError):
        pass
    return _Watch(edge, None, reader, frozenset(at))
