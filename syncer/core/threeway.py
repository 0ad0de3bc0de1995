"""
Which side changed what of a row, by the row that both agreed on: for people, before they ask for a merge. Pure.

The merge itself is made where the rows are: ``merging.py``.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from syncer.core.policy import Policy
from syncer.core.rules import RuleKind

Cells = Sequence[str | None]


class Changed(enum.Enum):
    """Who changed a column."""

    NOBODY = ""
    A = "a"
    B = "b"
    BOTH = "both"
    """Differently, or in one group of columns: somebody has to say."""
    RULE = "rule"
    """Another merging rule of the policy has it: a counter, a maximum."""
    UNSEEN = "?"
    """It is redacted: the syncer that has the rows finds out."""


class Groups(msgspec.Struct, frozen=True):
    """
    What a table's policy says of the columns of a merge, in lower case.

    Attributes:
        together: columns that go together.
        ruled: columns of the policy's other merging rules.
    """

    together: tuple[tuple[str, ...], ...] = ()
    ruled: frozenset[str] = frozenset()

    @classmethod
    def of(cls, policy: Policy) -> Groups:
        """Read them off a policy."""
        merging = [rule for rule in policy.chain if rule.kind.merges]
        groups = [rule.groups for rule in merging if rule.kind is RuleKind.COLUMN_MERGE]
        return cls(
            tuple(tuple(name.lower() for name in group) for one in groups for group in one),
            frozenset(name for rule in merging for name in rule.reads),
        )


NO_GROUPS = Groups()


def changes(
    names: Sequence[str],
    a: Cells,
    base: Cells,
    b: Cells,
    groups: Groups = NO_GROUPS,
    hidden: Sequence[str] = (),
) -> tuple[Changed, ...]:
    """Say who changed each column; *hidden*: those that are redacted."""
    places = {name.lower(): at for at, name in enumerate(names)}
    unseen = {name.lower() for name in hidden}
    found = [_one(*cells) for cells in zip(a, base, b, strict=True)]
    for group in groups.together:
        members = [places[name] for name in group if name in places]
        who = {found[at] for at in members} - {Changed.NOBODY}
        if len(who) > 1 or Changed.BOTH in who:
            for at in members:
                found[at] = Changed.BOTH if a[at] != b[at] else Changed.NOBODY
    for name, at in places.items():
        if name in unseen:
            found[at] = Changed.UNSEEN
        elif name in groups.ruled and a[at] != b[at]:
            found[at] = Changed.RULE
    return tuple(found)


def _one(a: str | None, base: str | None, b: str | None) -> Changed:
    if a == b:
        return Changed.NOBODY
    if base is None or base not in {a, b}:
        return Changed.BOTH
    return Changed.B if base == a else Changed.A
