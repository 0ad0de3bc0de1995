"""
The visibility proof in numbers (INV-3, INV-5).

A read of rows on one side yields ``Horizon(lower, upper)``: every transaction numbered <= lower is in the rows, none
numbered > upper is. What lies between may or may not be in them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from syncer.core.origins import Named
from syncer.core.position import Coordinate, GtidSet

NOTHING = -1
"""A lower bound that proves nothing."""
BRANCHES_KEPT = 1024
NO_IDS: Mapping[int, str] = MappingProxyType({})


class Horizon(msgspec.Struct, frozen=True):
    """What one read of one side is known to contain, in sequence numbers; both bounds inclusive."""

    lower: int
    upper: int

    def holds(self, last_seq: int) -> bool:
        """A mark that ends at *last_seq* is in the rows for certain."""
        return last_seq <= self.lower


class Branches(msgspec.Struct, frozen=True):
    """
    What a read knows of the branches of XA transactions whose COMMIT is logged (MariaDB): they are visible later than that.

    Attributes:
        since: number of the last one that was proven and forgotten before the read began; so are all before it.
        ended: numbers of further ones that had ended before its snapshot.
    """

    since: int = 0
    ended: frozenset[int] = frozenset()


NO_BRANCHES = Branches()


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
        self._branches: dict[int, str] = {}
        self._ended: set[int] = set()
        self._forgotten_branches: deque[int] = deque(maxlen=BRANCHES_KEPT)

    def extend(self, transactions: Iterable[Named], branches: Mapping[int, str] = NO_IDS) -> None:
        """Add the next transactions; *branches*: those among them that commit a branch of an XA transaction, and its id (MariaDB)."""
        self._recent.extend(transactions)
        if branches:
            self._branches.update(branches)

    @property
    def branches(self) -> tuple[Mapping[int, str], Branches]:
        """Return the branches that nobody has proven to have ended, by number, and what is known of the others."""
        if not self._branches and not self._forgotten_branches:
            return NO_IDS, NO_BRANCHES
        since = self._forgotten_branches[-1] if self._forgotten_branches else 0
        return dict(self._branches), Branches(since, frozenset(self._ended))

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

    def lower_by_coordinate(self, at: Coordinate, branches: Branches = NO_BRANCHES) -> int:
        """
        Translate a coordinate up to which all was committed before the rows were read (MariaDB) into a lower bound.

        A branch of an XA transaction that is not known to have ended ends the proven prefix. Proven transactions are forgotten. A read
        proves nothing whose coordinate lies before what another read has proven, or which does not know of a branch that one has proven.

        Not for a binlog end read under row locks: that proves nothing of other rows; ``upper_by_coordinate`` is both bounds
        for the rows locked.
        """
        for seq in branches.ended & self._branches.keys():
            del self._branches[seq]
            self._ended.add(seq)
        if at < self._base_end or self._has_forgotten_more(branches):
            return NOTHING
        recent, last = self._recent, None
        while recent and recent[0][2] <= at:
            seq = recent[0][0]
            if seq in self._branches or (seq in self._ended and seq not in branches.ended):
                break
            last = recent.popleft()
            if seq in self._ended:
                self._ended.discard(seq)
                self._forgotten_branches.append(seq)
        return self._forgotten(last)

    def _has_forgotten_more(self, branches: Branches) -> bool:
        """Say whether another read has proven a branch to have ended that may be missing in the rows of this one."""
        kept = self._forgotten_branches
        if len(kept) == BRANCHES_KEPT and branches.since < kept[0]:
            return True
        return any(seq > branches.since and seq not in branches.ended for seq in reversed(kept))

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
