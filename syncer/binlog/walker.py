"""
The source text of row image walkers.

For each table map and columns-present bitmap a function is generated as Python source: widths are constants in it, and
adjoining fixed columns are skipped in one step. Nothing but integers computed here and names of helpers made here gets
into that source; names and values of users never do.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from syncer.binlog import values
from syncer.binlog.tablemap import ColumnMap, LayoutUnknownError

_CODES = {2: "h", 4: "i", 8: "q"}


class Wanted(msgspec.Struct, frozen=True):
    """
    A column to be read.

    Attributes:
        place: its place in the table map.
        width: of a fixed value, read by *read(body, at)*; 0 for one with a length in front.
        read: of a fixed value.
        decode: of a value with a length in front: bytes to scalar.
        integer: (bytes, unsigned): the value is read inline.
    """

    place: int
    width: int = 0
    read: values.FixedReader | None = None
    decode: values.TextDecoder | None = None
    integer: tuple[int, bool] | None = None


def broken() -> None:
    """End a walk."""
    raise LayoutUnknownError(
        "a row image does not end where its event ends, or a key column is NULL"
    )


def _place(skip: int) -> str:
    return f"p + {skip}" if skip else "p"


def _unsigned(skip: int, size: int) -> str:
    """The expression of a little-endian integer of *size* bytes that begins *skip* behind p."""
    bytes_ = (f"d[{_place(skip + at)}]" for at in range(size))
    parts = [f"{one} << {8 * at}" if at else one for at, one in enumerate(bytes_)]
    return parts[0] if size == 1 else f"({' | '.join(parts)})"


class Source:
    """The text of one walker in the making."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}

    def add(self, depth: int, line: str) -> None:
        self.lines.append("    " * depth + line)

    def bind(self, value: Any) -> str:
        name = f"h{len(self.names)}"
        self.names[name] = value
        return name


class Image:
    """One image of a row: its columns present and the variables its wanted columns go to."""

    def __init__(
        self,
        source: Source,
        columns: Sequence[ColumnMap],
        present: bytes,
        wants: dict[int, Wanted],
        mark: str,
        *,
        strict: bool,
    ) -> None:
        self.source = source
        self.mark = mark
        self.strict = strict
        self.columns = columns
        self.present = [at for at in range(len(columns)) if present[at // 8] >> at % 8 & 1]
        self.wants = wants
        self.found = set(self.present) & set(wants)

    def name(self, place: int) -> str:
        return f"{self.mark}{place}"

    def emit(self, depth: int) -> None:
        """Write the lines that read one image at p and leave p behind it."""
        add = self.source.add
        size, all_bits = (len(self.present) + 7) // 8, (1 << len(self.present)) - 1
        if size:
            word = {1: "d[p]", 2: "d[p] | d[p + 1] << 8"}.get(
                size, f"int.from_bytes(d[p:p + {size}], 'little')"
            )
            add(depth, f"n = ({word}) & {all_bits}")
        else:
            add(depth, "n = 0")
        add(depth, "if n:")
        wanted_bits = sum(1 << bit for bit, place in enumerate(self.present) if place in self.wants)
        if self.strict and wanted_bits:
            add(depth + 1, f"if n & {wanted_bits}: {self.source.bind(broken)}()")
        self._columns(depth + 1, size, nullable=True)
        add(depth, "else:")
        self._columns(depth + 1, size, nullable=False)

    def _columns(self, depth: int, skipped: int, *, nullable: bool) -> None:
        add = self.source.add
        skip = skipped
        for bit, place in enumerate(self.present):
            column, want, inner = self.columns[place], self.wants.get(place), depth
            if nullable:
                # Behind a column that may be missing no offset is constant.
                if skip:
                    add(depth, f"p += {skip}")
                skip = 0
                if want:
                    add(depth, f"if n & {1 << bit}: {self.name(place)} = None")
                    add(depth, "else:")
                else:
                    add(depth, f"if not n & {1 << bit}:")
                inner += 1
            if column.prefix:
                self._prefixed(inner, column, want, skip)
                skip = 0
            else:
                if want:
                    self._fixed(inner, want, skip)
                skip += column.width
                if nullable:
                    add(inner, f"p += {skip}")
                    skip = 0
        if skip or not self.present:  # a block is never empty
            add(depth, f"p += {skip}")

    def _prefixed(self, depth: int, column: ColumnMap, want: Wanted | None, skip: int) -> None:
        length, head = _unsigned(skip, column.prefix), skip + column.prefix
        add = self.source.add
        if want:
            add(depth, f"q = p + {head}")
            add(depth, f"p = q + {length}")
            add(depth, f"{self.name(want.place)} = {self.source.bind(want.decode)}(d[q:p])")
        else:
            add(depth, f"p += {head} + {length}")

    def _fixed(self, depth: int, want: Wanted, skip: int) -> None:
        name, add = self.name(want.place), self.source.add
        if want.integer is None:
            add(depth, f"{name} = {self.source.bind(want.read)}(d, {_place(skip)})")
            return
        size, unsigned = want.integer
        if size in _CODES:
            code = _CODES[size].upper() if unsigned else _CODES[size]
            unpack = self.source.bind(struct.Struct("<" + code).unpack_from)
            add(depth, f"{name} = {unpack}(d, {_place(skip)})[0]")
            return
        add(depth, f"{name} = {_unsigned(skip, size)}")
        if not unsigned:
            half = 1 << 8 * size - 1
            add(depth, f"if {name} >= {half}: {name} -= {2 * half}")
