"""The rows of the next keys, read while those before them are decided: after an outage neither servers nor we wait for the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import NamedTuple

from syncer.core.key import StoredKey
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.core.visibility import NOTHING, Horizon
from syncer.ledger.records import ClaimedKey
from syncer.mysql.snapshot import Bounds
from syncer.service.reading import PairReader, Rows


class _Begun(NamedTuple):
    table: PairedTable
    keys: frozenset[StoredKey]
    reads: Mapping[Side, Future[tuple[Rows, Bounds]]]


class ReadAhead:
    """
    One read at a time, of keys of one table. Used by the reconciler's thread alone.

    What is read so is proven as any other read: its bounds are its own, the fence is waited for when it is taken, and only then are
    marks read (INV-3 to INV-5). Keys that are not due any more, or of a table that is another one by now, are not taken.
    """

    def __init__(self, reader: PairReader) -> None:
        """Read with *reader*."""
        self._reader = reader
        self._begun: _Begun | None = None

    def begin(self, table: PairedTable, keys: Sequence[StoredKey]) -> None:
        """Begin to read the rows of *keys* on both sides. What was begun before must have been taken."""
        wanted = {table.table_id: table.load_all(keys)}
        reads = self._reader.begin_keys(wanted, {table.table_id: table})
        self._begun = _Begun(table, frozenset(keys), reads)

    def chosen(self, due: Sequence[ClaimedKey]) -> list[ClaimedKey]:
        """Return those of *due* whose rows are being read; none where any of them is missing there."""
        begun = self._begun
        if begun is None:
            return []
        table_id, keys = begun.table.table_id, begun.keys
        found = [one for one in due if one.table_id == table_id and one.key in keys]
        return found if len(found) == len(keys) else []

    def take(
        self, table: PairedTable, keys: Collection[StoredKey]
    ) -> tuple[dict[Side, Rows], dict[Side, Horizon]] | None:
        """
        Return what ``PairReader.read_keys`` would of *keys*; None: they are to be read now.

        Whatever was read is used up. Raises as ``PairReader.read_keys``.
        """
        begun, self._begun = self._begun, None
        if begun is None:
            return None
        if begun.table is not table or begun.keys != frozenset(keys):
            wait(begun.reads.values())
            return None
        rows, horizons = self._reader.end_keys(begun.reads)
        if any(horizons[side].lower == NOTHING for side in SIDES):
            return None  # another read has proven more meanwhile
        return rows, horizons

    def wait(self) -> None:
        """Wait until nothing is being read: the sides' sessions for reads are free then."""
        if self._begun is not None:
            wait(self._begun.reads.values())

    def drop(self) -> None:
        """Wait, and forget what was read."""
        self.wait()
        self._begun = None
