"""
The visibility proof in numbers (INV-3, INV-5).

A read of rows on one side yields ``Horizon(lower, upper)``: every transaction numbered <= lower is in the rows, none
numbered > upper is. What lies between may or may not be in them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from syncer.core.origins import Named
from syncer.core.position import Coordinate, GtidSet

NOTHING = -1
"""A lower bound that proves nothing."""


class Horizon(msgspec.Struct, frozen=True):
    """What one read of one side is known to contain, in sequence numbers; both bounds inclusive."""

    lower: int
    upper: int

    def holds(self, last_seq: int) -> bool:
        """A mark that ends at *last_seq* is in the rows for certain."""
        return last_seq <= self.lower


class TransactionLog:
    """
    The transactions of one side that may not be visible yet, in stream order.

    Not thread-safe: the owner locks. Its length is bounded by what the server has written to its binlog and not yet made
    visible, plus what was tailed since the last read.

    Attributes:
        base_seq: every transaction up to it (inclusive) was tailed before this log began or is proven visible.
    """

    def __init__(self, base_seq: int, base_gtids: GtidSet | None, base_end: Coordinate) -> None:
        """
        Begin at a saved position.

        Args:
            base_seq: number of the last transaction saved; 0 before the first.
            base_gtids: MySQL: the GTIDs saved so far, which a read must contain before it proves anything.
            base_end: the coordinate saved.
        """
        self.base_seq = base_seq
        self._proven: GtidSet | None = base_gtids
        self._base_end = base_end
        self._recent: deque[Named] = deque()

    def extend(self, transactions: Iterable[Named]) -> None:
        """Add the next transactions."""
        self._recent.extend(transactions)

    def __len__(self) -> int:
        return len(self._recent)

    @property
    def last_seq(self) -> int:
        """Number of the last transaction appended."""
        return self._recent[-1][0] if self._recent else self.base_seq

    def lower_by_gtids(self, executed: GtidSet) -> int:
        """
        Translate ``gtid_executed`` as read BEFORE the rows into a lower bound.

        Membership is tested transaction by transaction; the first one that is missing ends the proven prefix, since
        gaps are normal (INV-19: never by "highest"). One without a GTID (an incident) changes no row: it goes with those
        before it. Proven transactions are forgotten.

        A read that began before another one, which has proven more by now, proves nothing: what was forgotten may be missing
        in its rows. (The set only grows: the one read later contains the other.)
        """
        if self._proven is not None and not executed.contains(self._proven):
            return NOTHING
        self._proven = executed
        recent, last = self._recent, None
        while recent and (not recent[0][1] or executed.contains_one(recent[0][1])):
            last = recent.popleft()
        return self._forgotten(last)

    def lower_by_coordinate(self, at: Coordinate) -> int:
        """
        Translate the coordinate of a consistent snapshot (MariaDB) into a lower bound. Proven transactions are forgotten.

        One that lies before what another read has proven proves nothing.

        Not for a binlog end read under row locks: that proves nothing of other rows; ``upper_by_coordinate`` is both bounds
        for the rows locked.
        """
        if at < self._base_end:
            return NOTHING
        recent, last = self._recent, None
        while recent and recent[0][2] <= at:
            last = recent.popleft()
        return self._forgotten(last)

    def _forgotten(self, last: Named | None) -> int:
        """Begin behind the last transaction that was forgotten, if any was; return the lower bound."""
        if last is not None:
            self.base_seq, _, self._base_end, _ = last
        return self.base_seq

    def upper_by_coordinate(self, at: Coordinate) -> int:
        """
        Translate the binlog's end as read AFTER the rows into an upper bound.

        Call it after the fence only: it counts what has been tailed (INV-4).
        """
        upper = self.base_seq
        for seq, _, end, _ in self._recent:
            if end > at:
                break
            upper = seq
        return upper
