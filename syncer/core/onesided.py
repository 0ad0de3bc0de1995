"""
Changes of one side alone: what ``decide`` says of most keys, said of many at once.

A key is one of these where all of its marks are exact, are of one side, and are of transactions that the rows of that side
contain for certain. Whatever else there is to be known of a key is ``decide``'s: this module says nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import xor

from syncer.core.mark import Op
from syncer.core.outcome import Verdict
from syncer.core.policy import Policy
from syncer.core.side import Side

DIGEST_CHARACTERS = 32
"""A row's digest is so long where its server could make one."""
_CHUNK_DIGITS = 16
"""So much of a row's digest is part of a chunk's (design.md §4)."""


def verdict(
    first_op: Op, changed: str | None, other: str | None, *, one_way: bool
) -> Verdict | None:
    """
    Say what becomes of a key that one side alone changed (INV-6): EQUAL, or COPY its row or absence; None: ask ``decide``.

    Args:
        first_op: the first operation of its marks.
        changed: digest of the changed side's row; None: absent.
        other: that of the other side's row.
        one_way: the changed side is the source of a one-way table.
    """
    if changed == other:
        return Verdict.EQUAL
    if other is None and first_op is not Op.INSERT:
        return None  # both had the row, and one deleted it without an event
    if one_way and changed is None and first_op is Op.INSERT:
        return None  # it came and went: the target's row is its own
    return Verdict.COPY


def may_be(policy: Policy, side: Side) -> bool:
    """Say whether changes of *side* alone travel under *policy*, and nothing more needs to be known of them."""
    return not policy.needs_base and policy.direction.source in {None, side}


def joined(digests: Sequence[str]) -> int:
    """Return what a server's chunk digest is of exactly the rows that have these digests."""
    return reduce(xor, [int(digest[:_CHUNK_DIGITS], 16) for digest in digests], 0)
