"""
Conflict policy: what is decided when both sides changed the same key.

A policy is total or it does not load: every cell that a rule can reach is filled by the rule itself or by a modifier
(conflicts.md §3). The default rule is hold: what is no conflict flows, everything else waits for a person.
"""

from __future__ import annotations

import enum

import msgspec

from syncer.core.schema import TableSchema
from syncer.core.side import Direction, Side

_COMPARABLE = frozenset(
    {
        *(
            "tinyint",
            "smallint",
            "mediumint",
            "int",
            "bigint",
            "year",
            "decimal",
            "float",
            "double",
        ),
        *("date", "datetime", "timestamp"),
    }
)
"""Types whose values compare alike on any server."""


class RuleKind(enum.StrEnum):
    """The rules of this version."""

    NEWEST = "newest"
    OLDEST = "oldest"
    HIGHEST_VERSION = "highest_version"
    LOWEST_VERSION = "lowest_version"
    PREFER = "prefer"
    HOLD = "hold"

    @property
    def compares(self) -> bool:
        """The rule compares a value of the two rows."""
        return self in {
            RuleKind.NEWEST,
            RuleKind.OLDEST,
            RuleKind.HIGHEST_VERSION,
            RuleKind.LOWEST_VERSION,
        }

    @property
    def takes_greater(self) -> bool:
        """The row with the greater value wins."""
        return self in {RuleKind.NEWEST, RuleKind.HIGHEST_VERSION}

    @property
    def temporal(self) -> bool:
        """The value compared is a point in time."""
        return self in {RuleKind.NEWEST, RuleKind.OLDEST}


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


class Rule(msgspec.Struct, frozen=True):
    """A rule with its argument: a column for the comparing ones, a side for ``prefer``."""

    kind: RuleKind
    column: str | None = None
    side: Side | None = None

    @classmethod
    def parse(cls, text: str) -> Rule:
        """
        Read ``newest:updated_at``, ``newest``, ``highest_version:version``, ``prefer:a`` or ``hold``.

        ``newest`` and ``oldest`` without a column compare commit times. Raises ValueError in one line.
        """
        name, _, argument = text.strip().partition(":")
        try:
            kind = RuleKind(name.strip().lower())
        except ValueError:
            known = ", ".join(RuleKind)
            raise ValueError(f"unknown rule {name!r}: use one of {known}") from None
        argument = argument.strip()
        if kind is RuleKind.PREFER:
            if argument.lower() not in {"a", "b"}:
                raise ValueError("rule prefer names a side: prefer:a or prefer:b")
            return cls(kind, side=Side(argument.lower()))
        if kind is RuleKind.HOLD:
            if argument:
                raise ValueError("rule hold takes no argument")
            return cls(kind)
        if not argument and not kind.temporal:
            raise ValueError(f"rule {kind} names a column: {kind}:version")
        return cls(kind, column=argument or None)

    def __str__(self) -> str:
        argument = self.column or (self.side.value if self.side else "")
        return f"{self.kind}:{argument}" if argument else self.kind.value


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The policy of one table. ``on_*`` None means not set; ``holes`` says where that matters."""

    rule: Rule = Rule(RuleKind.HOLD)
    on_delete: OnDelete | None = None
    on_tie: OnTie | None = None
    on_null: OnNull | None = None
    presence: Presence = Presence.COPY
    direction: Direction = Direction.BOTH

    def holes(self, schema: TableSchema | None = None) -> list[str]:
        """
        Name every reachable case that this policy leaves open; empty where it is total.

        Without *schema* only what is certain from the policy alone is named; with it, a nullable column asks for on_null.
        """
        column = None
        if schema is not None and self.rule.column is not None:
            try:
                column = schema.column(self.rule.column)
            except KeyError:
                # One-way too: the column is read whoever decides.
                return [f"rule {self.rule}: table {schema.name} has no column {self.rule.column!r}"]
            if column.data_type not in _COMPARABLE:
                what = f"{schema.name}.{column.name} is {column.data_type}"
                return [f"rule {self.rule}: {what}: name a column of numbers or of dates"]
        if self.direction is not Direction.BOTH or not self.rule.kind.compares:
            return []
        found = []
        if self.on_delete is None and self.rule.column is not None:
            found.append(
                f"rule {self.rule} has nothing to compare a deleted row with: set on_delete to "
                "update_wins, delete_wins or hold"
            )
        if self.on_tie is None:
            found.append(f"rule {self.rule} leaves equal values open: set on_tie to a, b or hold")
        if schema is not None and column is not None and column.nullable and self.on_null is None:
            found.append(
                f"rule {self.rule}: {schema.name}.{column.name} can be NULL: set on_null to lose or hold"
            )
        return found
