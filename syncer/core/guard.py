"""
Guards: which writes a side never gets, and how many of a kind a table gets before a person is asked.

What is withheld is never lost: a forbidden write is held as a conflict of kind ``guard``; a table that is stopped keeps all its
marks (INV-9, INV-12) and goes on where it stood.
"""

from __future__ import annotations

import enum

import msgspec

from syncer.core.mark import Op, Reason, SideMarks
from syncer.core.side import SIDES, Side


class WriteKind(enum.StrEnum):
    """What a write does to its target, in a configuration's words."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"

    @classmethod
    def of(cls, op: Op) -> WriteKind:
        """Name what *op* does."""
        return cls[op.name]


class Limit(msgspec.Struct, frozen=True):
    """
    The most writes of one kind that a table gets within the window; 0 is no limit.

    Attributes:
        rows: the absolute number.
        percent: the share of the table's rows at that side.
    """

    rows: int = 0
    percent: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.rows or self.percent)


NO_LIMIT = Limit()


class WriteGuard(msgspec.Struct, frozen=True, kw_only=True):
    """
    The guards of one table.

    Attributes:
        deletes, updates: mass guards, for either side.
        percent_from_rows: a share counts in tables of at least so many rows.
        window_s: so long a write counts.
        forbid_a, forbid_b: what that side never gets.
    """

    deletes: Limit = Limit()
    updates: Limit = Limit()
    percent_from_rows: int = 100
    window_s: float = 60.0
    forbid_a: tuple[WriteKind, ...] = ()
    forbid_b: tuple[WriteKind, ...] = ()

    def forbids(self, target: Side, op: Op) -> bool:
        """Say whether *target* never gets a write of that kind."""
        kinds = self.forbid_a if target is Side.A else self.forbid_b
        return bool(kinds) and WriteKind.of(op) in kinds

    def limit(self, op: Op) -> Limit:
        """Return the mass guard of that kind; inserts have none."""
        if op is Op.DELETE:
            return self.deletes
        return self.updates if op is Op.UPDATE else NO_LIMIT

    def words(self) -> str:
        """Say what is forbidden; "" where nothing is."""
        parts = [
            f"forbid_{side}={','.join(sorted(kinds))}"
            for side, kinds in zip(SIDES, (self.forbid_a, self.forbid_b), strict=True)
            if kinds
        ]
        return " ".join(parts)


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """
    A table that a mass guard has stopped.

    Attributes:
        target: the side that would be written.
        op: what the writes would do.
        amount: how many writes were counted, those of the window included.
        reason: the limit that they exceed, in words.
        since: seconds since the epoch.
        waiting: how many of them were still to be written.
        left: how many more go through once a person has agreed, less than none where more were written; None until then.
    """

    table_id: int
    target: Side
    op: Op
    amount: int
    reason: str
    since: float
    waiting: int = 0
    left: int | None = None

    @property
    def confirmed(self) -> bool:
        """A person has agreed: the table flows."""
        return self.left is not None


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """
    A mass change that a person has turned back.

    Attributes:
        target: the side that would have been written; its rows stand.
        op: what the writes would have done.
        upto: the last transaction of the other side that it is about (inclusive).
        actor: who asked.
        since: when the table was stopped, seconds since the epoch: what was held before it was not counted.
    """

    table_id: int
    target: Side
    op: Op
    upto: int
    actor: str
    since: float

    @property
    def source(self) -> Side:
        """The side whose change it was; it is written."""
        return self.target.other

    def concerns(self, marks: SideMarks) -> bool:
        """Say whether what the source did last of a key is part of it: an event, or what told of rows that went."""
        exact = marks.exact
        if marks.inexact_last is not None and marks.inexact_last > self.upto:
            return False
        if exact is not None:
            return exact.last_seq <= self.upto and exact.last_op is self.op
        told = marks.reason in {Reason.TRUNCATE, Reason.STATEMENT, Reason.CASCADE}
        return self.op is Op.DELETE and marks.inexact_last is not None and told


def excess(guard: WriteGuard, op: Op, amount: int, rows: int | None) -> str | None:
    """
    Name the limit that *amount* writes of one kind exceed; None where they exceed none.

    Args:
        rows: of the table at the target before those writes, in full or by estimate; None where nobody has counted.
    """
    limit = guard.limit(op)
    what = f"{WriteKind.of(op)}s"
    if limit.rows and amount > limit.rows:
        return f"{amount} {what} exceed {what}_max = {limit.rows}"
    if not limit.percent or rows is None or rows < guard.percent_from_rows:
        return None
    share = 100.0 * amount / rows
    if share <= limit.percent:
        return None
    return (
        f"{amount} {what} are {min(share, 100.0):.3g}% of about {rows} rows, "
        f"{what}_percent_max = {limit.percent:g}"
    )


class Window:
    """Counts what happened within the last *seconds*. One owner."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._counts: list[tuple[float, int]] = []

    def add(self, now: float, count: int) -> None:
        """Count *count* more, at *now* of a monotonic clock."""
        if count:
            self._counts.append((now, count))

    def total(self, now: float, seconds: float) -> int:
        """Return what happened after *now* - *seconds*; older counts are forgotten."""
        self._counts = [one for one in self._counts if one[0] > now - seconds]
        return sum(count for _, count in self._counts)
