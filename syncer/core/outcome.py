"""What is decided from, and what a decision says. Pure; how it is come to: ``decision.py``."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from syncer.core.pulse import Skew
from syncer.core.rules import Rule, RuleValue
from syncer.core.side import Side


class Verdict(enum.StrEnum):
    """What becomes of a key in this cycle."""

    EQUAL = "equal"
    """Rows equal: clear marks <= lower on both sides."""
    COPY = "copy"
    """Make the target what the source is (its row or its absence)."""
    HOLD = "hold"
    """A person decides; marks stay."""
    HALT = "halt"
    """A person decides, and the whole table waits until then."""
    SKIP = "skip"
    """The difference is accepted until either side changes the row again; marks stay."""
    AMBIGUOUS = "ambiguous"
    """A mark lies in (lower, upper]: read again (INV-5)."""
    LATER = "later"
    """Only marks after upper: nothing may be said yet."""
    ALARM = "alarm"
    """Rows differ and no side is marked: inexact marks on both sides, loudly."""

    @property
    def waits(self) -> bool:
        """A conflict that nothing is written for."""
        return self in {Verdict.HOLD, Verdict.HALT, Verdict.SKIP}


class ConflictKind(enum.StrEnum):
    """Why a person, a rule or the journal is concerned with a key."""

    INSERT_INSERT = "insert_insert"
    UPDATE_UPDATE = "update_update"
    UPDATE_DELETE = "update_delete"
    RECREATE = "recreate"
    KEY_CHANGE_DIVERGENT = "key_change_divergent"
    KEY_CHANGE_COLLISION = "key_change_collision"
    PRESENCE_AMBIGUOUS = "presence_ambiguous"
    DRIFT = "drift"
    TRUNCATE_DML = "truncate_dml"
    APPLY_ERROR = "apply_error"
    UNIQUE_VIOLATION = "unique_violation"
    FK_PARENT_MISSING = "fk_parent_missing"
    FK_CHILD_EXISTS = "fk_child_exists"
    READ_BACK = "read_back"
    GUARD = "guard"


class RowFact(msgspec.Struct, frozen=True):
    """
    What a read says of one key on one side.

    Attributes:
        digest: digest of the row; None where it is absent.
        values: those of ``Policy.columns``, in that order; None for NULL and a zero date. Empty for an absent row.
        inside: the table's filter takes the row; of no account where there is no filter.
        cells: the literals of the written columns; None where nobody asks for them, and for an absent row.
    """

    digest: str | None
    values: tuple[RuleValue | None, ...] = ()
    inside: bool = True
    cells: tuple[str, ...] | None = None

    @property
    def present(self) -> bool:
        """The row exists."""
        return self.digest is not None

    @property
    def in_scope(self) -> bool:
        """The row exists, and the filter takes it."""
        return self.present and self.inside


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """
    The result.

    Attributes:
        winner: the side whose state travels to the other; None unless the verdict is COPY.
        conflict: its kind, where a journal entry is due; None for one-sided changes.
        rule: the rule or modifier that decided, for the journal: ``newest:updated_at``, ``on_delete=update_wins``...
        path: how the rule came to its result: rule, tie, null, clock, stale, truncate, custom, on_delete, incarnation, presence, exact,
            direction, one_sided, merge, base, on_fk, unit.
        possible: it may be no conflict: one side's history is known inexactly.
        keeps: the loser's row is inserted again under a new key (``keep_both``).
        merged: the literals of a third row, that is written at the winner's other side in the place of the winner's row and
            travels from there as that side's change (INV-16); None where a side's state stands.
    """

    verdict: Verdict
    winner: Side | None = None
    conflict: ConflictKind | None = None
    rule: str = ""
    path: str = ""
    possible: bool = False
    keeps: bool = False
    merged: tuple[str, ...] | None = None


class Answer(msgspec.Struct, frozen=True):
    """
    What a custom rule says.

    Attributes:
        winner: the side whose state travels; None: see *row* and *leaves*.
        row: the literals of a third row that stands on both sides; both have one now.
        leaves: the next rule of the chain is asked; else the row is held.
        reason: why it is held, in words; "" where the function said so itself.
    """

    winner: Side | None = None
    leaves: bool = False
    reason: str = ""
    row: tuple[str, ...] | None = None


Consult = Callable[[Rule, ConflictKind], Answer]


class WrittenColumn(msgspec.Struct, frozen=True):
    """
    A written column as the merging rules see it.

    Attributes:
        name: in lower case.
        low, high: the least and the greatest value that both sides can store, inclusive; None where it is no counter.
        scale: digits behind the point.
        key: it is part of the key.
    """

    name: str
    low: Decimal | None = None
    high: Decimal | None = None
    scale: int = 0
    key: bool = False


class Base(msgspec.Struct, frozen=True):
    """
    The row that both sides agreed on last.

    Attributes:
        cells: its literals, None for one that cannot be told; None: see *why*.
        why: why it is not known, one word or two; "" where it is.
        values: those of ``Policy.columns``, as in RowFact; None for one that cannot be told too. Empty where none is known.
    """

    cells: tuple[str | None, ...] | None = None
    why: str = "not kept"
    values: tuple[RuleValue | None, ...] = ()


NO_BASE = Base()


class Around(msgspec.Struct, frozen=True):
    """
    What a decision takes from outside of the key.

    Attributes:
        skew: between the clocks of both servers; None where it is not known.
        now_us: what each server's clock says, microseconds since the epoch; a side that is missing is not known.
        utc_columns: the columns, in lower case, whose times are points in time whatever a session's zone is (TIMESTAMP).
        columns: the written columns, in the order of every row's literals; empty where no rule merges.
        base: what is known of the last agreement about this key.
        consult: asks the function of a custom rule about this key; None: there is none to be asked.
    """

    skew: Skew | None = None
    now_us: Mapping[Side, int] = {}
    consult: Consult | None = None
    utc_columns: frozenset[str] = frozenset()
    columns: tuple[WrittenColumn, ...] = ()
    base: Base = NO_BASE

    @property
    def earliest_now_us(self) -> int | None:
        """What the clock that is behind says; None where neither is known."""
        return min(self.now_us.values(), default=None)


ALONE = Around()
"""Nothing is known from outside."""
