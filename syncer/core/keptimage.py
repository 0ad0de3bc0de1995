"""
The form in which the ledger keeps what a row was: as a stream showed it, or as literals. Pure; nothing is rendered here.

Bytes are made for every event of a table that keeps bases and looked into for conflicts alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from syncer.core.schema import TableSchema

IMAGE_BYTES = 65_536
"""Longer ones are not kept: the base of such a row is not known."""
NOT_KEPT = b""
"""Stands for the image of a row that was too long."""


class LoggedRow(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """
    A row as it lay in a binlog.

    Attributes:
        signature: of the definition that it was read by (``signature``).
        places: the places in the table of the columns that could be read.
        values: theirs, in that order: scalars (``core/key.py``), floats, None.
    """

    signature: int
    places: bytes
    values: tuple[Any, ...]


class RenderedRow(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A row as literals of *columns*."""

    columns: tuple[str, ...]
    cells: tuple[str, ...]


KeptForm = LoggedRow | RenderedRow
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KeptForm).decode


def pack(row: KeptForm) -> bytes:
    """Return *row* as bytes; NOT_KEPT where it is too long or holds what is no text."""
    try:
        packed = _encode(row)
    except (UnicodeEncodeError, OverflowError):
        return NOT_KEPT
    return packed if len(packed) <= IMAGE_BYTES else NOT_KEPT


def unpack(image: bytes) -> KeptForm | None:
    """Undo ``pack``; None for NOT_KEPT."""
    return _decode(image) if image else None


def signature(schema: TableSchema) -> int:
    """Return a number that is another one where rows of *schema* would be read otherwise."""
    columns = sorted(schema.columns, key=lambda column: column.position)
    said: Sequence[object] = [(c.name.lower(), c.column_type, c.charset) for c in columns]
    return zlib.crc32(repr(said).encode())
