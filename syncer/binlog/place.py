"""Where in its server's binlog a stream is: which file, how far, and since when there is such a file."""

from __future__ import annotations

from syncer.binlog import events
from syncer.core.position import Coordinate, StreamPosition
from syncer.core.side import Side
from syncer.errors import PositionLost


class Place:
    """
    The place behind the last whole transaction. It never goes back within a file.

    Attributes:
        file: the binlog file; *offset*: the end of the last transaction in it, in bytes (exclusive).
    """

    def __init__(
        self, side: Side, position: StreamPosition, exact_from: Coordinate | None = None
    ) -> None:
        """Begin at *position*; *exact_from*: see ``Tailer``."""
        self._side = side
        self.file, self.offset = position.file, position.offset
        self._file_at, self._sent_file = position.file_at, ""
        self._exact_from = exact_from
        self._reached, self._elsewhere = 0, False
        self._parsed_file, self._index = "", 0

    @property
    def coordinate(self) -> Coordinate:
        """File and offset as an ordered value."""
        if self.file != self._parsed_file:
            self._parsed_file = self.file
            self._index = Coordinate.parse(self.file, self.offset).index
        return Coordinate(self._index, self.offset)

    @property
    def file_at(self) -> int:
        """When the file was begun; 0 where that is not known, and where the place is a lower bound (``StreamPosition``)."""
        exact = self._exact_from is None or self.coordinate >= self._exact_from
        return self._file_at if exact else 0

    def reach(self, log_pos: int) -> None:
        """
        Take what the header of the next event of a transaction tells of its end: 32 bits.

        Event by event, since a transaction may be longer than the half of what these tell; 0 tells nothing. Between transactions the
        head of a file is sent again, which lies before the place, not 4 GiB behind it.
        """
        if log_pos:
            self._reached = self.whole(log_pos)

    def whole(self, log_pos: int) -> int:
        """Return the end of the event at hand; what its header tells of it wraps in files above 4 GiB."""
        return events.unwrapped(log_pos, max(self.offset, self._reached))

    def at(self, log_pos: int) -> Coordinate:
        """Return the end of the event at hand as a coordinate."""
        return Coordinate.parse(self.file, self.whole(log_pos))

    def advance(self, log_pos: int) -> None:
        """Move between transactions."""
        self.offset = max(self.offset, log_pos)

    def heartbeat(self, file: str, position: int) -> None:
        """Move to where the server says, between transactions, that its stream is."""
        if file == self.file:
            self.offset = max(self.offset, position)

    def end(self, log_pos: int) -> None:
        """Move to a transaction's end. Raises as ``refuse_elsewhere``."""
        self.refuse_elsewhere()
        self.offset = max(self.offset, self.whole(log_pos))

    def rotate(self, file: str, position: int) -> None:
        """Go on in another file; one that comes before this one holds what was read, and the stream passes through it."""
        if file != self.file and Coordinate.parse(file, position) > self.coordinate:
            self.file, self.offset, self._file_at = file, position, 0
        self._sent_file, self._reached = file, 0
        self._elsewhere = file != self.file

    def refuse_elsewhere(self) -> None:
        """Raise PositionLost where a new transaction comes out of a file before this one: its end would prove nothing (INV-4)."""
        if self._elsewhere:
            raise self._begun_anew()

    def begun(self, timestamp: int) -> None:
        """Note when the present file was begun; one of the same name that began at another time is another one (INV-19)."""
        if self._elsewhere or not self._sent_file or not timestamp:
            return
        if self._file_at not in {0, timestamp}:
            raise self._begun_anew()
        self._file_at = timestamp

    def _begun_anew(self) -> PositionLost:
        return PositionLost(
            f"{self._sent_file} is not the binlog file that was read under this name, nor one behind {self.file}: the server was "
            f"restored or reset, or its binlog begun anew; run with --accept-loss {self._side} to keep the ledger and compare every "
            "table, or start with a new ledger: it costs a baseline and deletes nothing two-way"
        )
