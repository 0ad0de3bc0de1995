"""
Conflict policy: what is decided when both sides changed the same key.

A policy is total or it does not load: every cell that its rules can reach is filled by a rule or by a modifier (``lint.py``,
conflicts.md §3). The default rule is hold: what is no conflict flows, everything else waits for a person.
"""

from __future__ import annotations

import enum

import msgspec

from syncer.core.rules import Rule, RuleKind
from syncer.core.side import Direction

__all__ = [
    "BaseRow",
    "OnDelete",
    "OnFk",
    "OnNull",
    "OnTie",
    "OnTruncate",
    "Policy",
    "Presence",
    "Rule",
    "RuleKind",
]


class OnDelete(enum.StrEnum):
    """An update against a delete, where the rule has nothing to compare."""

    UPDATE_WINS = "update_wins"
    DELETE_WINS = "delete_wins"
    HOLD = "hold"


class OnTie(enum.StrEnum):
    """Two equal values."""

    A = "a"
    B = "b"
    HOLD = "hold"


class OnNull(enum.StrEnum):
    """One value is NULL (or a zero date): it loses, or the row is held. Two NULLs are a tie."""

    LOSE = "lose"
    HOLD = "hold"


class Presence(enum.StrEnum):
    """A row on one side only, of which no stream ever told anything."""

    COPY = "copy"
    HOLD = "hold"


class OnTruncate(enum.StrEnum):
    """A row that one side changed and the other one truncated away."""

    CHANGE_WINS = "change_wins"
    HOLD = "hold"
    HALT = "halt"


class OnFk(enum.StrEnum):
    """A child that was written on one side while its parent was deleted on the other."""

    HOLD = "hold"
    RESTORE_PARENT = "restore_parent"
    """The parent's row comes back where it was deleted."""
    DROP_CHILD = "drop_child"
    """The child goes where it was written."""
    CASCADE = "cascade"
    """So do the children that stand in its way, and theirs."""


class BaseRow(enum.StrEnum):
    """When the row that both sides agreed on last is kept for changes that are not settled."""

    AUTO = "auto"
    """Where a rule cannot do without it."""
    KEEP = "keep"
    """Always: shown with every conflict, and rules may notice a stale value."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """
    The policy of one table. ``on_*`` None means not set: the next rule of the chain is asked.

    Attributes:
        rule: the first rule.
        fallbacks: the rules behind it, in turn.
        custom_timeout_s: seconds that the function of a custom rule may take.
        clock_margin_s: added to what two times must be apart to have an order; where it is set, columns' times too.
        base: whether it is kept what rows were that no rule asks for.
        max_future_s: a time further ahead of both servers' clocks is not believed; 0: any is.
    """

    rule: Rule = Rule(RuleKind.HOLD)
    on_delete: OnDelete | None = None
    on_tie: OnTie | None = None
    on_null: OnNull | None = None
    presence: Presence = Presence.COPY
    direction: Direction = Direction.BOTH
    fallbacks: tuple[Rule, ...] = ()
    custom_timeout_s: float = 1.0
    clock_margin_s: float = 0.0
    max_future_s: float = 60.0
    base: BaseRow = BaseRow.AUTO
    on_truncate: OnTruncate = OnTruncate.CHANGE_WINS
    on_fk: OnFk | None = None

    @property
    def chain(self) -> tuple[Rule, ...]:
        """All rules in turn."""
        return (self.rule, *self.fallbacks)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rules read, in lower case, each once."""
        return tuple(dict.fromkeys(name for rule in self.chain for name in rule.reads))

    @property
    def merges(self) -> bool:
        """A rule makes a third row of two."""
        return any(rule.kind.merges for rule in self.chain)

    @property
    def needs_base(self) -> bool:
        """The row that both sides agreed on last is kept; one way nothing is asked."""
        asked = self.base is BaseRow.KEEP or any(rule.kind.needs_base for rule in self.chain)
        return asked and self.direction is Direction.BOTH

    @property
    def counts(self) -> bool:
        """Some columns are counters: rows that look equal may have been changed on both sides."""
        return any(rule.kind is RuleKind.DELTA for rule in self.chain)
