"""Places in a replication stream: binlog coordinates, MySQL GTID sets, MariaDB GTID positions."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

import msgspec

_FILE = re.compile(r"^(.*)\.(\d+)$")


class Coordinate(msgspec.Struct, frozen=True, order=True, gc=False):
    """
    A byte position in one server's binlog; ordered within one server only.

    Attributes:
        index: the number in the binlog file's name (``binlog.000012`` is 12).
        offset: bytes from the start of that file.
    """

    index: int
    offset: int

    @classmethod
    def parse(cls, file: str, offset: int) -> Coordinate:
        """Read a file name as the server gives it. Raises ValueError where it carries no number."""
        found = _FILE.match(file)
        if not found:
            raise ValueError(f"binlog file name without a number: {file!r}")
        return cls(int(found.group(2)), offset)


class StreamPosition(msgspec.Struct, frozen=True, kw_only=True):
    """
    A tailer's saved position, always at a transaction end.

    Attributes:
        server: identity of the server that wrote it (MySQL ``server_uuid``; MariaDB ``server_id``).
        gtids: MySQL GTID set, or MariaDB GTID position (``domain-server-sequence``, comma separated).
        file: binlog file name.
        offset: end of the last transaction in that file (exclusive).
        seq: number of the last transaction.
        file_at: when the server began that file, by its clock, seconds since the epoch; 0 where it is not known yet, and where
            *file* and *offset* are no more than a lower bound of the place that *gtids* tell.
    """

    server: str
    gtids: str
    file: str
    offset: int
    seq: int
    file_at: int = 0

    @property
    def coordinate(self) -> Coordinate:
        """File and offset as an ordered value."""
        return Coordinate.parse(self.file, self.offset)


class GtidSet:
    """
    A set of MySQL GTIDs, tags included: ``uuid[:tag]:1-5:7, ...``.

    Intervals are inclusive at both ends. Mutable; equality is by content.
    """

    def __init__(self, text: str = "") -> None:
        """Parse the server's text form; white space is ignored. Raises ValueError on anything else."""
        self._intervals: dict[str, list[list[int]]] = {}
        for part in "".join(text.split()).split(","):
            if part:
                self._parse(part)

    def _parse(self, part: str) -> None:
        fields = part.split(":")
        source = fields[0].lower()
        if len(source.replace("-", "")) != 32:
            raise ValueError(f"not a GTID set: {part!r}")
        name = source
        for field in fields[1:]:
            if not field[:1].isdigit():
                name = f"{source}:{field.lower()}"
                continue
            low, _, high = field.partition("-")
            self._add_interval(name, int(low), int(high or low))

    def _add_interval(self, name: str, low: int, high: int) -> None:
        spans = self._intervals.setdefault(name, [])
        if spans and spans[-1][1] + 1 == low:
            spans[-1][1] = high
            return
        joined = [*spans, [low, high]]
        joined.sort()
        merged: list[list[int]] = []
        for start, end in joined:
            if merged and start <= merged[-1][1] + 1:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        self._intervals[name] = merged

    @staticmethod
    def _split(gtid: str) -> tuple[str, int]:
        name, _, number = gtid.rpartition(":")
        return name.lower(), int(number)

    def add(self, gtid: str) -> None:
        """Add one GTID, ``uuid[:tag]:number``."""
        name, number = self._split(gtid)
        spans = self._intervals.get(name)
        if spans and spans[-1][1] + 1 == number:
            spans[-1][1] = number  # the next one, as a stream has them
        elif not self._covered(name, number, number):
            self._add_interval(name, number, number)

    def extend(self, prefix: str, low: int, high: int) -> None:
        """Add the numbers *low* to *high* (inclusive) of one source: *prefix* is all that a GTID has in front of its number."""
        self._add_interval(prefix[:-1].lower(), low, high)

    def contains_one(self, gtid: str) -> bool:
        """Say whether one GTID, ``uuid[:tag]:number``, is a member."""
        name, number = self._split(gtid)
        return self._covered(name, number, number)

    def _covered(self, name: str, low: int, high: int) -> bool:
        spans = self._intervals.get(name)
        if not spans:
            return False
        at = bisect_right(spans, low, key=lambda span: span[0]) - 1
        return at >= 0 and high <= spans[at][1]

    def contains(self, other: GtidSet) -> bool:
        """Say whether every member of *other* is a member here; True for an empty *other*."""
        return all(
            self._covered(name, low, high)
            for name, spans in other._intervals.items()
            for low, high in spans
        )

    def subtract(self, other: GtidSet) -> GtidSet:
        """Return the members that *other* lacks, as a new set."""
        result = GtidSet()
        for name, spans in self._intervals.items():
            theirs = other._intervals.get(name, [])
            for low, high in spans:
                start = low
                for their_low, their_high in theirs:
                    if their_high < start or their_low > high:
                        continue
                    if their_low > start:
                        result._add_interval(name, start, their_low - 1)
                    start = their_high + 1
                if start <= high:
                    result._add_interval(name, start, high)
        return result

    def __len__(self) -> int:
        return sum(high - low + 1 for spans in self._intervals.values() for low, high in spans)

    def __bool__(self) -> bool:
        return any(self._intervals.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GtidSet) and self.contains(other) and other.contains(self)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return ",".join(
            f"{name}:"
            + ":".join(f"{low}-{high}" if high > low else f"{low}" for low, high in spans)
            for name, spans in sorted(self._intervals.items())
            if spans
        )


class MariaDbGtids:
    """A MariaDB GTID position: the last (server, sequence) per domain."""

    def __init__(self, text: str = "") -> None:
        """Parse ``domain-server-sequence`` items, comma separated. Raises ValueError on anything else."""
        self._last: dict[int, tuple[int, int]] = {}
        for part in "".join(text.split()).split(","):
            if part:
                self.add(part)

    def add(self, gtid: str) -> None:
        """Move the domain of *gtid* to it."""
        domain, server, sequence = gtid.split("-")
        self._last[int(domain)] = (int(server), int(sequence))

    def extend(self, prefix: str, _low: int, high: int) -> None:
        """Move the domain to the number *high*; *prefix* is ``domain-server-``."""
        self.add(f"{prefix}{high}")

    def items(self) -> Iterator[tuple[int, int, int]]:
        """Yield (domain, server, sequence)."""
        for domain, (server, sequence) in sorted(self._last.items()):
            yield domain, server, sequence

    def __str__(self) -> str:
        return ",".join(f"{d}-{s}-{n}" for d, s, n in self.items())
