"""What transactions of a stream are called at their servers, for the journal. Pure; no decision rests on it."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

import msgspec

from syncer.core.position import Coordinate

ORIGINS_KEPT = 10_000
"""Of so many transactions read last the names are known: some MiB."""

Named = tuple[int, str, Coordinate, int]
"""Number, GTID ("" where the stream gave none), end, and ``server_id`` of one transaction."""


class Origin(msgspec.Struct, frozen=True):
    """
    Where a change comes from.

    Attributes:
        gtid: None where the stream gave none.
        server_id: the server that logged the change first.
    """

    gtid: str | None
    server_id: int


class Origins:
    """
    The names of the transactions read last, at least ``ORIGINS_KEPT`` where there were as many. Not thread-safe.

    Groups are kept as they come: nothing is done for a transaction by itself.
    """

    def __init__(self) -> None:
        """Know nothing: what an earlier process read has no name."""
        self._groups: deque[Sequence[Named]] = deque()
        self._count = 0

    def add(self, group: Sequence[Named]) -> None:
        """Take the next transactions; their numbers follow each other."""
        if not group:
            return
        self._groups.append(group)
        self._count += len(group)
        while self._count - len(self._groups[0]) >= ORIGINS_KEPT:
            self._count -= len(self._groups.popleft())

    def of(self, seq: int) -> Origin | None:
        """Return what transaction *seq* is called; None where it is not known any more."""
        at = bisect_right(self._groups, seq, key=lambda group: group[0][0]) - 1
        if at < 0:
            return None
        group = self._groups[at]
        place = seq - group[0][0]
        if place >= len(group) or group[place][0] != seq:
            return None
        return Origin(group[place][1] or None, group[place][3])
