"""
Marks: what the ledger holds.

A mark says that rows of one table may differ, and why we think so. Its shape is

- POINT: one key (``low == high``);
- RUN: every ``step``-th integer key from ``low`` to ``high``, both inclusive; every key of these was touched;
- SPAN: the keys from ``low`` (inclusive) to ``high`` (exclusive), None meaning unbounded; never exact.

An *exact* mark comes from a row event: that key did change. An *inexact* one covers keys that nobody may have touched.

What is made for every transaction of a stream is hidden from the garbage collector (``gc=False``): it holds no cycles, and
walking over it took a fifth of the tailers' time.
"""

from __future__ import annotations

import enum

import msgspec

from syncer.core.key import StoredKey
from syncer.core.side import Side


class Op(enum.StrEnum):
    """What a row event did to a key."""

    INSERT = "i"
    UPDATE = "u"
    DELETE = "d"


class Shape(enum.IntEnum):
    """The three forms a dirty range takes."""

    POINT = 0
    RUN = 1
    SPAN = 2


class Reason(enum.StrEnum):
    """Why a span was marked."""

    BASELINE = "baseline"
    TRUNCATE = "truncate"
    STATEMENT = "statement"
    DDL = "ddl"
    PURGED = "purged"
    RESTORED = "restored"
    UNREADABLE = "unreadable"
    ALARM = "alarm"
    CASCADE = "cascade"


_WEIGHTS: dict[Reason | None, int] = {None: 0, Reason.BASELINE: 1, Reason.CASCADE: 2}


def weight(reason: Reason | None) -> int:
    """
    Order reasons by how little they leave known; of several the heaviest counts, and of equals the first.

    A baseline outweighs no reason. A cascade changes and deletes rows that were there; any other one may hide an insert too.
    """
    return _WEIGHTS.get(reason, 3)


class Touch(msgspec.Struct, frozen=True, gc=False):
    """
    What one side's exact marks of one key say.

    Attributes:
        first_seq: number of the first transaction that touched the key and is not cleared (inclusive).
        last_seq: number of the last one (inclusive).
        first_op: its first operation; INSERT means that the key was absent when both sides last agreed.
        last_op: its last operation.
        recreated: the key was deleted and inserted again in between.
        commit_us: commit time of the last one, microseconds since the epoch, by that server's clock.
    """

    first_seq: int
    last_seq: int
    first_op: Op
    last_op: Op
    recreated: bool
    commit_us: int

    def fold(self, later: Touch) -> Touch:
        """Join a touch of the same key by the same side that came after this one."""
        again = self.last_op is Op.DELETE and later.first_op is Op.INSERT
        return Touch(
            first_seq=min(self.first_seq, later.first_seq),
            last_seq=max(self.last_seq, later.last_seq),
            first_op=self.first_op,
            last_op=later.last_op,
            recreated=self.recreated or later.recreated or again,
            commit_us=later.commit_us,
        )


class KeyMark(msgspec.Struct, frozen=True, gc=False):
    """
    A POINT or RUN mark on its way into the ledger; *high* (inclusive) equals *low* for a point.

    A run has the keys low, low + step, ..., high.

    *exact* is False for keys that a batch of ours wrote which this ledger does not know, and for keys left over from a span.
    """

    table_id: int
    low: StoredKey
    high: StoredKey
    touch: Touch
    exact: bool = True
    step: int = 1


class SpanMark(msgspec.Struct, frozen=True):
    """An inexact SPAN mark on its way into the ledger: the whole table."""

    table_id: int
    seq: int
    reason: Reason


class Lookup(msgspec.Struct, frozen=True):
    """
    Rows of a child table that a change of their parent changed without an event: those whose *columns* are *value*.

    Attributes:
        table_id: the child's.
        columns: its foreign-key columns.
        value: the value that they had, or have, encoded as a key (``core/key.py``, never as an integer).
        removes: the rows were deleted; else *columns* were changed.
        seq: the transaction of the parent's change.
    """

    table_id: int
    columns: tuple[str, ...]
    value: bytes
    removes: bool
    seq: int


class Mark(msgspec.Struct, frozen=True):
    """A mark as read back from the ledger."""

    mark_id: int
    table_id: int
    side: Side
    shape: Shape
    low: StoredKey | None
    high: StoredKey | None
    exact: bool
    touch: Touch
    reason: Reason | None
    tries: int


class SideMarks(msgspec.Struct, frozen=True):
    """
    All marks of one key on one side.

    Attributes:
        exact: folded exact marks, None where there are none.
        inexact_first: lowest sequence number of an inexact mark that may cover the key; None where there is none.
        inexact_last: the highest such number.
        reason: why the inexact mark was made.
    """

    exact: Touch | None = None
    inexact_first: int | None = None
    inexact_last: int | None = None
    reason: Reason | None = None


class KeyMarks(msgspec.Struct, frozen=True):
    """The marks of one key on both sides."""

    a: SideMarks = SideMarks()
    b: SideMarks = SideMarks()

    def of(self, side: Side) -> SideMarks:
        """The marks of *side*."""
        return self.a if side is Side.A else self.b
