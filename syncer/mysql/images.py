"""
What a row was, as the literals that its server would render: from what the ledger kept of a binlog (``core/keptimage.py``). No I/O.

The counterpart of ``columns.literal``: a value is told in the same words, or it is not told at all.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence

from syncer.core.keptimage import LoggedRow, RenderedRow, signature, unpack
from syncer.core.literals import literal_value
from syncer.core.pairing import PairedTable
from syncer.core.schema import Column
from syncer.core.side import Side
from syncer.mysql import columns as cols

Cells = tuple[str | None, ...]
NULL = "NULL"
_QUOTED = str.maketrans({"\\": "\\\\", "'": "\\'", "\0": "\\0", "\x1a": "\\Z"})
"""As the servers' QUOTE() does it."""


def kept_cells(
    image: bytes, table: PairedTable, side: Side, rows: Sequence[Sequence[str]]
) -> Cells | None:
    """
    Return the literals of the written columns, None for one that cannot be told; None where nothing can.

    Args:
        rows: the literals of the rows as they are now: a float is told in the words of one that is equal to it.
    """
    kept = unpack(image)
    if kept is None:
        return None
    if isinstance(kept, RenderedRow):
        return kept.cells if kept.columns == table.written else None
    schema = table.schema(side)
    if kept.signature != signature(schema):
        return None
    values = _by_position(kept)
    return tuple(
        _cell(column, values[column.position], [row[at] for row in rows])
        if column.position in values
        else None
        for at, column in enumerate(table.writable(side))
    )


def _by_position(kept: LoggedRow) -> dict[int, object]:
    return dict(zip(kept.places, kept.values, strict=True))


def _cell(column: Column, value: object, now: Sequence[str]) -> str | None:
    kind = column.data_type
    if value is None:
        return NULL
    if isinstance(value, float):
        same = [cell for cell in now if _float(cell) == value]
        return same[0] if same else f"'{value!r}'"
    if kind in cols.INTEGERS or kind in cols.DECIMALS or kind == "bit":
        return str(value)
    if kind in cols.SHORT_BINARIES or kind in cols.LONG_BINARIES:
        return f"X'{value.hex().upper()}'" if isinstance(value, bytes) else None
    if kind == "enum" and value == "":
        return None if "" in column.members else "0"
    if column.raw_text:
        if not cols.bytes_count(column) or not isinstance(value, bytes):
            return None
        return f"_{column.charset} X'{value.hex().upper()}'"
    known = cols.CHARACTERS | cols.MEMBERS | cols.TEMPORALS
    if kind not in known or not isinstance(value, str):
        return None
    return quoted(value)


def quoted(text: str) -> str:
    """Return a text as the literal that a server renders of it."""
    return f"'{text.translate(_QUOTED)}'"


def _float(cell: str) -> float | None:
    with contextlib.suppress(ValueError, TypeError):
        return float(literal_value(cell) or "")
    return None


def alike(column: Column, meant: str, found: str) -> bool:
    """
    Say whether a literal that was written is what is read back (INV-15).

    It may have been rendered by the other flavour, whose floats and documents have other words for the same value.
    """
    if meant == found:
        return True
    if column.data_type in cols.FLOATS:
        value = _float(meant)
        return value is not None and value == _float(found)
    if column.data_type == "json":
        with contextlib.suppress(ValueError):
            a, b = (json.loads(literal_value(one) or "") for one in (meant, found))
            return bool(a == b)
    return False
