"""
Rules: how one is written, what it reads, and what the row's values say to it. Pure.

Rules stand in a chain, ``newest:updated_at then hold``: what one leaves open goes to the next (conflicts.md §3).
"""

from __future__ import annotations

import decimal
import enum
import itertools
import re

import msgspec

from syncer.core.side import Side

RuleValue = int | str | decimal.Decimal
"""A column's value in a form whose order is the column's; texts come as they are."""

_THEN = re.compile(r"\s+then(?:\s+|$)", re.IGNORECASE)
MATCHED_CHARACTERS = 1_000
"""``matches`` looks at so much of a text, from its beginning: a pattern may take long on a long one."""


class RuleKind(enum.StrEnum):
    """The rules of this version."""

    NEWEST = "newest"
    OLDEST = "oldest"
    HIGHEST_VERSION = "highest_version"
    LOWEST_VERSION = "lowest_version"
    PREFER = "prefer"
    UPDATE_WINS = "update_wins"
    DELETE_WINS = "delete_wins"
    EQUALS = "equals"
    MATCHES = "matches"
    CUSTOM = "custom"
    KEEP_BOTH = "keep_both"
    COLUMN_MERGE = "column_merge"
    DELTA = "delta"
    MAX = "max"
    MIN = "min"
    HOLD = "hold"
    HALT = "halt"
    SKIP = "skip"

    @property
    def compares(self) -> bool:
        """The rule compares a value of the two rows."""
        return self in _COMPARING

    @property
    def takes_greater(self) -> bool:
        """The row with the greater value wins."""
        return self in {RuleKind.NEWEST, RuleKind.HIGHEST_VERSION}

    @property
    def temporal(self) -> bool:
        """The value compared is a point in time."""
        return self in {RuleKind.NEWEST, RuleKind.OLDEST}

    @property
    def tests(self) -> bool:
        """The rule tests a value of each row by itself."""
        return self in {RuleKind.EQUALS, RuleKind.MATCHES}

    @property
    def merges(self) -> bool:
        """The rule makes a third row of two, column by column; the columns that it leaves go to the next one."""
        return self in _MERGING

    @property
    def needs_base(self) -> bool:
        """The rule asks for the row that both sides agreed on last."""
        return self in {RuleKind.COLUMN_MERGE, RuleKind.DELTA}

    @property
    def waits(self) -> bool:
        """The rule writes nothing."""
        return self in {RuleKind.HOLD, RuleKind.HALT, RuleKind.SKIP}

    @property
    def total(self) -> bool:
        """Nothing is left open after it: a rule behind it is never asked."""
        return self.waits or self is RuleKind.PREFER


_COMPARING = frozenset(
    {RuleKind.NEWEST, RuleKind.OLDEST, RuleKind.HIGHEST_VERSION, RuleKind.LOWEST_VERSION}
)
_MERGING = frozenset({RuleKind.COLUMN_MERGE, RuleKind.DELTA, RuleKind.MAX, RuleKind.MIN})
_SIDED = frozenset({RuleKind.PREFER, RuleKind.KEEP_BOTH})


class Rule(msgspec.Struct, frozen=True):
    """
    A rule with its argument.

    Attributes:
        column: of the comparing and the testing ones; None for commit times.
        side: of ``prefer``, and of ``keep_both``: the side whose row keeps the key.
        test: the value of ``equals``, the pattern of ``matches``, ``module:function`` of ``custom``.
        groups: of the merging ones: columns that go together, one each for ``delta``, ``max`` and ``min``.
    """

    kind: RuleKind
    column: str | None = None
    side: Side | None = None
    test: str | None = None
    groups: tuple[tuple[str, ...], ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns whose values the rule compares or computes with, in lower case."""
        if self.column is not None:
            return (self.column.lower(),)
        if self.kind.merges and self.kind is not RuleKind.COLUMN_MERGE:
            return tuple(name.lower() for group in self.groups for name in group)
        return ()

    @classmethod
    def parse(cls, text: str) -> Rule:
        """
        Read one rule: ``newest:updated_at``, ``equals:region=eu``, ``custom:shop.rules:decide``, ``prefer:a``, ``hold``...

        ``newest`` and ``oldest`` without a column compare commit times. Raises ValueError in one line.
        """
        name, _, argument = text.strip().partition(":")
        try:
            kind = RuleKind(name.strip().lower())
        except ValueError:
            known = ", ".join(RuleKind)
            raise ValueError(f"unknown rule {name!r}: use one of {known}") from None
        argument = argument.strip()
        if kind in _SIDED:
            if argument.lower() not in {"a", "b"}:
                raise ValueError(f"rule {kind} names a side: {kind}:a or {kind}:b")
            return cls(kind, side=Side(argument.lower()))
        if kind.tests:
            return cls._testing(kind, argument)
        if kind is RuleKind.CUSTOM:
            return cls(kind, test=_entry_point(argument))
        if kind.merges:
            return cls(kind, groups=_groups(kind, argument))
        if kind.compares:
            if not argument and not kind.temporal:
                raise ValueError(f"rule {kind} names a column: {kind}:version")
            return cls(kind, column=argument or None)
        if argument:
            raise ValueError(f"rule {kind} takes no argument")
        return cls(kind)

    @classmethod
    def _testing(cls, kind: RuleKind, argument: str) -> Rule:
        column, sign, test = argument.partition("=")
        if not sign or not column.strip():
            raise ValueError(
                f"rule {kind} names a column and what it is tested for: {kind}:region=eu"
            )
        if kind is RuleKind.MATCHES:
            try:
                re.compile(test)
            except re.error as error:
                raise ValueError(
                    f"rule matches: {test!r} is no regular expression: {error}"
                ) from None
        return cls(kind, column=column.strip(), test=test)

    def holds_for(self, value: RuleValue | None) -> bool:
        """Say whether *value* passes the test of ``equals`` or ``matches``; NULL passes none."""
        if value is None or self.test is None:
            return False
        if self.kind is RuleKind.MATCHES:
            return re.search(self.test, str(value)[:MATCHED_CHARACTERS]) is not None
        if isinstance(value, str):
            return value == self.test
        try:
            return decimal.Decimal(value) == decimal.Decimal(self.test.strip())
        except decimal.InvalidOperation:
            return False

    def __str__(self) -> str:
        if self.kind.tests:
            return f"{self.kind}:{self.column}={self.test}"
        if self.groups:
            return f"{self.kind}:{','.join('+'.join(group) for group in self.groups)}"
        argument = self.column or self.test or (self.side.value if self.side else "")
        return f"{self.kind}:{argument}" if argument else self.kind.value


def _groups(kind: RuleKind, argument: str) -> tuple[tuple[str, ...], ...]:
    """Read ``stock,reserved``, or the column groups of ``column_merge``: ``amount+currency,street+city``."""
    if not argument and kind is RuleKind.COLUMN_MERGE:
        return ()
    together = kind is RuleKind.COLUMN_MERGE
    parts = [part.split("+") if together else [part] for part in argument.split(",")]
    groups = tuple(tuple(name.strip() for name in part) for part in parts)
    names = [name.lower() for group in groups for name in group]
    if not all(names):
        raise ValueError(
            f"rule {kind} names columns: {kind}:{'amount+currency' if together else 'stock,reserved'}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"rule {kind} names a column twice")
    if together and any(len(group) == 1 for group in groups):
        raise ValueError(
            "rule column_merge takes columns that go together: column_merge:amount+currency"
        )
    return groups


def _entry_point(argument: str) -> str:
    module, sign, function = argument.partition(":")
    names = [*module.split("."), function]
    if not sign or not all(name.isidentifier() for name in names):
        raise ValueError("rule custom names a Python function: custom:module:function")
    return argument


def parse_chain(text: str) -> tuple[Rule, ...]:
    """
    Read rules joined by ``then``: ``equals:region=eu then newest:updated_at then hold``.

    Raises ValueError in one line, also where a rule stands behind one that leaves nothing open.
    """
    chain = tuple(Rule.parse(part) for part in _THEN.split(text.strip()))
    for rule, after in itertools.pairwise(chain):
        if rule.kind.total:
            raise ValueError(f"rule {after} is never asked: {rule} leaves nothing open")
    if len(set(chain)) < len(chain):
        raise ValueError("a rule stands in the chain twice")
    merged = [name.lower() for rule in chain for group in rule.groups for name in group]
    twice = next((name for name in merged if merged.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"column {twice} is merged by two rules")
    if [rule.kind for rule in chain].count(RuleKind.COLUMN_MERGE) > 1:
        raise ValueError("rule column_merge stands in the chain twice")
    return chain


def show_chain(chain: tuple[Rule, ...]) -> str:
    """Undo ``parse_chain``."""
    return " then ".join(map(str, chain))
