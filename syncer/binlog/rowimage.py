"""
Row images: reading the wanted columns out of them; the functions that do it are made by ``walker.py``.

Row event bodies are given with their checksum stripped; ``at`` is a place in the body.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from syncer.binlog import tablemap, values
from syncer.binlog.tablemap import ColumnMap, LayoutUnknownError, TableMap
from syncer.binlog.walker import Image, Source, Wanted, broken
from syncer.core import key as core_key
from syncer.core.key import StoredKey
from syncer.core.schema import ADDRESS_BYTES, Column, TableSchema

Walker = Callable[[bytes, int, int], list[Any]]
"""``walk(body, start, end)``: a value per image; of an update before, after, before, after..."""

_BIAS = 1 << 63
_INTEGERS = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}
_PARTIAL_JSON = 1
LARGEST_EVENT = 1 << 30
"""No server writes a larger event: it is the limit of max_allowed_packet."""


def wanted(column: Column, seen: ColumnMap, place: int) -> Wanted:
    """Choose how a key column is read. The pair must have passed ``tablemap.check``."""
    kind, width = seen.kind, seen.width
    if column.data_type in _INTEGERS:
        return Wanted(place, width, integer=(_INTEGERS[column.data_type], column.unsigned))
    if not width:
        if column.data_type == "binary" or column.data_type in ADDRESS_BYTES:
            length = ADDRESS_BYTES.get(column.data_type, column.length)
            return Wanted(place, decode=lambda data: data.ljust(length, b"\0"))
        return Wanted(place, decode=values.text_decoder(column))
    readers: dict[int, Callable[[], values.FixedReader]] = {
        tablemap.YEAR: lambda: values.read_year,
        tablemap.DATE: lambda: values.read_date,
        tablemap.NEWDATE: lambda: values.read_date,
        tablemap.TIME: lambda: values.read_time,
        tablemap.DATETIME: lambda: values.read_datetime,
        tablemap.TIMESTAMP: lambda: values.read_timestamp,
        tablemap.TIME2: lambda: values.time2_reader(seen.detail),
        tablemap.DATETIME2: lambda: values.datetime2_reader(seen.detail),
        tablemap.TIMESTAMP2: lambda: values.timestamp2_reader(seen.detail),
        tablemap.NEWDECIMAL: lambda: values.decimal_reader(seen.length, seen.detail),
        tablemap.BIT: lambda: values.big_endian_reader(width),
        tablemap.ENUM: lambda: values.enum_reader(column, width),
        tablemap.SET: lambda: values.set_reader(column, width),
    }
    return Wanted(place, width, read=readers[kind]())


class RowReader:
    """
    Reads the wanted columns of one table under one table map.

    Keys come out in their stored form (``core/key.py``), so that no object per row is made for integer keys.

    Attributes:
        heads: how many bytes of a rows event's head count its columns and say which are there; by whether it is an update.
        walkers: what reads the rows behind such a head, as far as heads were met, whole and uncompressed: it is given the data, and
            where the rows begin and end in it.
    """

    def __init__(
        self,
        found: TableMap,
        wants: Sequence[Wanted],
        *,
        stored: bool,
        integer: bool = False,
        unsigned: bool = False,
    ) -> None:
        """
        Prepare; walkers are compiled when their columns-present bitmap is first met.

        Args:
            wants: the columns read, in the order of the result.
            stored: yield stored keys; else tuples, with None for what is NULL or not in the image.
            integer: the key is a single integer.
            unsigned: that integer is unsigned.
        """
        self._columns = found.columns
        self._wants = {want.place: want for want in wants}
        self._order = [want.place for want in wants]
        self._stored, self._integer, self._unsigned = stored, integer, unsigned
        bits = (len(found.columns) + 7) // 8
        count = 1 if len(found.columns) < 251 else 3
        self.heads = {False: count + bits, True: count + 2 * bits}
        self._json = sum(column.kind == tablemap.JSON for column in found.columns)
        self._compiled: dict[tuple[bytes, bytes | None, bool], Walker] = {}
        self.walkers: dict[bytes, Walker] = {}

    def read(
        self,
        body: bytes,
        at: int,
        *,
        update: bool = False,
        partial: bool = False,
        compressed: bool = False,
    ) -> list[Any]:
        """
        Read all rows of an event; *at* is the end of its post-header and extra data.

        Returns:
            A value per row; of an update two per row: before, after.

        Raises:
            LayoutUnknownError: the images do not fit the table map.
        """
        try:
            start = at
            if not partial and not compressed:
                at += self.heads[update]
                walk = self.walkers.get(body[start:at])
                if walk is not None:
                    return walk(body, at, len(body))
                at = start
            count, at = tablemap.packed_integer(body, at)
            if count != len(self._columns):
                raise LayoutUnknownError("rows and table map differ in their columns")
            size = (count + 7) // 8
            before, at = body[at : at + size], at + size
            after = None
            if update:
                after, at = body[at : at + size], at + size
            if compressed:
                body, at = uncompress(body, at), 0
            walk = self._compiled.get((before, after, partial))
            if walk is None:
                walk = self._compile(before, after, partial=partial)
                self._compiled[before, after, partial] = walk
                if not partial and not compressed:
                    self.walkers[body[start:at]] = walk
            return walk(body, at, len(body))
        except (
            IndexError,
            KeyError,
            struct.error,
            UnicodeError,
            OverflowError,
            zlib.error,
        ) as error:
            raise LayoutUnknownError(
                f"a row image cannot be read ({type(error).__name__})"
            ) from error

    def _compile(self, before: bytes, after: bytes | None, *, partial: bool) -> Walker:
        source = Source()
        source.add(0, "def walk(d, p, end):")
        source.add(1, "out = []")
        source.add(1, "append = out.append")
        source.add(1, "while p < end:")
        first = Image(source, self._columns, before, self._wants, "b", strict=self._stored)
        if not first.present:
            raise LayoutUnknownError("a row image has no columns")  # p would stand still
        missing = [place for place in self._order if place not in first.found]
        if self._stored and missing:
            raise LayoutUnknownError("a row image lacks a key column")
        for place in missing:
            source.add(2, f"b{place} = None")
        first.emit(2)
        self._append(source, [f"b{place}" for place in self._order])
        if after is not None:
            second = Image(source, self._columns, after, self._wants, "a", strict=self._stored)
            for place in self._order:
                if place not in second.found:
                    source.add(2, f"a{place} = b{place}" if self._stored else f"a{place} = None")
            if partial:
                source.add(2, f"p = {source.bind(self._skip_partial)}(d, p)")
            second.emit(2)
            self._append(source, [f"a{place}" for place in self._order])
        source.add(1, f"if p != end: {source.bind(broken)}()")
        source.add(1, "return out")
        exec("\n".join(source.lines), source.names)  # noqa: S102 - made of constants, see the module's head
        walk: Walker = source.names["walk"]
        return walk

    def _append(self, source: Source, names: list[str]) -> None:
        if self._stored and self._integer:
            source.add(2, f"append({names[0]}{f' - {_BIAS}' if self._unsigned else ''})")
        elif self._stored:
            source.add(2, f"append({source.bind(_encode)}(({', '.join(names)},)))")
        else:
            source.add(2, f"append(({', '.join(names)},))")

    def _skip_partial(self, data: bytes, at: int) -> int:
        """Step over the options and the bits of partially logged JSON columns in front of an after image."""
        options, at = tablemap.packed_integer(data, at)
        return at + (self._json + 7) // 8 if options & _PARTIAL_JSON else at


def present(body: bytes, at: int, *, update: bool) -> tuple[frozenset[int], frozenset[int]]:
    """
    Return the places of the columns that the images of an event hold: before and after; without *update* both are one.

    *at* is as for ``RowReader.read``, which has read the event.
    """
    count, at = tablemap.packed_integer(body, at)
    size = (count + 7) // 8
    found = []
    for start in (at, at + size) if update else (at, at):
        bits = body[start : start + size]
        found.append(frozenset(p for p in range(count) if bits[p // 8] >> p % 8 & 1))
    return found[0], found[1]


def _encode(key: core_key.Key) -> StoredKey:
    return core_key.encode(key, integer=False)


def uncompress(data: bytes, at: int) -> bytes:
    """
    Undo MariaDB's compression: a byte with the algorithm and the size of the length, the length, zlib's stream.

    Raises:
        LayoutUnknownError: another algorithm.
    """
    head = data[at]
    if head >> 4 & 7:
        raise LayoutUnknownError("compressed by an unknown algorithm")
    size = head & 7
    length = int.from_bytes(data[at + 1 : at + 1 + size], "big")
    if length > LARGEST_EVENT:
        raise LayoutUnknownError("compressed data of an impossible length")
    stream = zlib.decompressobj()
    # One byte more than announced shows that there is more, and never takes the memory of it; 0 would mean no limit.
    plain = stream.decompress(data[at + 1 + size :], length + 1)
    if len(plain) != length or not stream.eof:
        raise LayoutUnknownError("compressed data of the wrong length")
    return plain


def key_reader(found: TableMap, schema: TableSchema) -> RowReader:
    """
    Return the reader of a table's keys.

    Raises:
        LayoutUnknownError: the table map does not fit *schema*, or its key has no exact form in a row image.
    """
    tablemap.check(found, schema)
    places = [
        sorted(schema.columns, key=lambda c: c.position).index(column)
        for column in schema.key_columns
    ]
    wants = [
        wanted(column, found.columns[place], place)
        for column, place in zip(schema.key_columns, places, strict=True)
    ]
    return RowReader(
        found, wants, stored=True, integer=schema.integer_key, unsigned=schema.unsigned_key
    )


def bytes_reader(found: TableMap, places: Iterable[int]) -> RowReader:
    """Return a reader of tuples of columns with a length in front, as bytes."""
    return RowReader(found, [Wanted(place, decode=bytes) for place in places], stored=False)
