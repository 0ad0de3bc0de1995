"""Marks, rows and horizons for tests, in a few letters each."""

from __future__ import annotations

from syncer.core.decision import RowFact, decide
from syncer.core.mark import KeyMarks, Op, Reason, SideMarks, Touch
from syncer.core.policy import BaseRow, OnDelete, OnFk, OnNull, OnTie, OnTruncate, Policy, Presence
from syncer.core.rules import parse_chain
from syncer.core.side import Direction, Side
from syncer.core.visibility import Horizon

AT = 10
"""Both bounds of the read that ``judge`` assumes."""

ABSENT = RowFact(None)


def touch(ops="u", first=5, last=None, *, commit_us=0):
    """Fold one touch per letter of *ops* (i, u, d), all numbered from *first* to *last*."""
    folded = None
    for op in ops:
        one = Touch(
            first, first if last is None else last, Op(op), Op(op), recreated=False, commit_us=0
        )
        folded = one if folded is None else folded.fold(one)
    return Touch(
        folded.first_seq,
        folded.last_seq,
        folded.first_op,
        folded.last_op,
        folded.recreated,
        commit_us,
    )


def exact(ops="u", first=5, last=None, *, commit_us=0):
    return SideMarks(exact=touch(ops, first, last, commit_us=commit_us))


def inexact(reason=Reason.BASELINE, first=0, last=None):
    return SideMarks(
        inexact_first=first, inexact_last=first if last is None else last, reason=reason
    )


def both(one, other):
    """Join an exact and an inexact SideMarks of one side."""
    return SideMarks(one.exact, other.inexact_first, other.inexact_last, other.reason)


CLEAN = SideMarks()


def row(text, *values):
    return RowFact(text, values)


def outside(text):
    """A row that the table's filter does not take."""
    return RowFact(text, None, inside=False)


def policy(rule="hold", **modifiers):
    """Build a policy; modifiers are given as a configuration file would."""
    first, *behind = parse_chain(rule)
    given = {n: _TYPES[n](v) for n, v in modifiers.items() if v}
    return Policy(rule=first, fallbacks=tuple(behind), **given)


_TYPES = {
    "on_delete": OnDelete,
    "on_tie": OnTie,
    "on_null": OnNull,
    "presence": Presence,
    "base": BaseRow,
    "on_truncate": OnTruncate,
    "on_fk": OnFk,
    "direction": Direction,
}


def judge(a, b, row_a, row_b, chosen=None, *, at=None, filtered=False):
    """Decide with marks *a* and *b*; *at* is (lower, upper) of each side, or one pair for both."""
    at = at or (AT, AT)
    ends = at if isinstance(at[0], tuple) else (at, at)
    return decide(
        KeyMarks(a, b),
        {Side.A: row_a, Side.B: row_b},
        {Side.A: Horizon(*ends[0]), Side.B: Horizon(*ends[1])},
        chosen or policy(),
        filtered=filtered,
    )
