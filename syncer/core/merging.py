"""
A third row out of two: what ``delta``, ``max``, ``min`` and ``column_merge`` do, column by column. Pure. Source: conflicts.md §3, §4.

A column is *open* while nobody has said what it becomes. Columns that both rows have alike are not, but for counters. What the
merging rules leave open takes the value of the row that the next rule chooses.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from syncer.core.outcome import Around, ConflictKind, Decision, RowFact, Verdict
from syncer.core.policy import Policy
from syncer.core.rules import Rule, RuleKind
from syncer.core.side import SIDES, Side

PATH = "merge"
"""The path of a decision that made a row of two, or of one that a merging rule holds."""
NULL = "NULL"
_EXACT = decimal.Context(prec=200, traps=[decimal.InvalidOperation, decimal.Inexact])
_TWO_ROWS = frozenset({ConflictKind.INSERT_INSERT, ConflictKind.DRIFT})
"""Never one row, as far as is known: there is no base."""


class Left(msgspec.Struct, frozen=True):
    """A rule leaves the matter open; *rule* and *path* say why the row is held where no other rule follows."""

    rule: str
    path: str


class Merging:
    """The merge of one key in the making. Only for two rows that may be one."""

    def __init__(
        self, kind: ConflictKind, rows: dict[Side, RowFact], policy: Policy, around: Around
    ) -> None:
        """Begin with the columns that both rows have alike."""
        self._kind, self._rows, self._policy, self._around = kind, rows, policy, around
        self._a, self._b = (rows[side].cells or () for side in SIDES)
        self._names = [column.name for column in around.columns]
        self._cells = list(self._a)
        self._open = {at for at, cell in enumerate(self._a) if cell != self._b[at]}
        self._said: list[str] = []
        self._unknown = ""

    def ask(self, rule: Rule) -> Decision | Left:
        """Let a merging rule say what it can; a Decision where nothing is left open, or where the row is to be held."""
        if any(self._around.columns[at].key for at in self._open):
            return Left(f"{rule}, and the key is spelt in two ways: hold", PATH)
        base = self._around.base.cells
        if rule.kind.needs_base and (base is None or self._kind in _TWO_ROWS):
            if rule.kind is RuleKind.DELTA and self._kind not in _TWO_ROWS:
                # Alike or not: both sides may have counted.
                self._open |= set(self._places(rule.reads))
            why = "no row was agreed on" if self._kind in _TWO_ROWS else self._around.base.why
            self._unknown = f"base unknown ({why})"
            return Left(f"{rule}: {self._unknown}: hold", "base")
        if rule.kind is RuleKind.DELTA and base is not None:
            wrong = self._count(rule, base)
            if wrong:
                return Decision(
                    verdict=Verdict.HOLD,
                    conflict=self._kind,
                    rule=f"{rule}: {wrong}: hold",
                    path=PATH,
                )
        elif rule.kind is RuleKind.COLUMN_MERGE and base is not None:
            self._take_changed(rule, base)
        else:
            self._take_extreme(rule)
        self._said.append(str(rule))
        if self._open:
            return Left(f"{rule} leaves {self._left()}: hold", PATH)
        return self._made(str(rule))

    def close(self, decision: Decision) -> Decision:
        """Give what is still open to the row that another rule chose, or name it where the row waits."""
        if decision.keeps or decision.verdict is not Verdict.COPY or decision.winner is None:
            why = self._unknown
            if self._said and self._open:
                why = f"{' then '.join(self._said)} leaves {self._left()}"
            if decision.verdict.waits and why:
                return msgspec.structs.replace(decision, rule=f"{why}: {decision.rule}")
            return decision
        if not self._said:
            return decision
        theirs = decision.merged or (self._a if decision.winner is Side.A else self._b)
        for at in self._open:
            self._cells[at] = theirs[at]
        if tuple(self._cells) == theirs:
            return decision
        return self._made(decision.rule)

    def _made(self, rule: str) -> Decision:
        """Say what the merged row is: one of the two, or a third one, that side A gets (INV-16)."""
        merged = tuple(self._cells)
        said = dict.fromkeys([*self._said, rule])
        winner = Side.A if merged == self._a else Side.B
        third = merged not in {self._a, self._b}
        return Decision(
            verdict=Verdict.COPY,
            winner=winner,
            conflict=self._kind,
            rule=" then ".join(said),
            path=PATH,
            merged=merged if third else None,
        )

    def _left(self) -> str:
        names = ", ".join(self._names[at] for at in sorted(self._open))
        return f"{names}, {self._unknown}" if self._unknown else names

    def _places(self, names: Iterable[str]) -> list[int]:
        return [self._names.index(name.lower()) for name in names]

    def _count(self, rule: Rule, base: tuple[str | None, ...]) -> str:
        """Add what both sides added; return what keeps a sum from being made, in words, "" where nothing does."""
        for at in self._places(rule.reads):
            column = self._around.columns[at]
            cells = (base[at], self._a[at], self._b[at])
            if cells[0] in cells[1:]:
                # One side alone changed it, or nobody did.
                self._cells[at] = self._b[at] if cells[0] == cells[1] else self._a[at]
                self._open.discard(at)
                continue
            if NULL in cells:
                return f"{column.name} is NULL"
            if column.low is None or column.high is None or None in cells:
                return f"{column.name} is no counter"
            try:
                o, a, b = (Decimal(cell or "") for cell in cells)
                total = _EXACT.add(_EXACT.subtract(a, o), b)
            except decimal.DecimalException:
                return f"{column.name} is no counter"
            if not column.low <= total <= column.high:
                return f"{column.name} would be out of range"
            self._cells[at] = f"{total:.{column.scale}f}"
            self._open.discard(at)
        return ""

    def _take_extreme(self, rule: Rule) -> None:
        """``max`` and ``min``: the greater or smaller value; NULL gives way to any."""
        for name in rule.reads:
            [at] = self._places([name])
            place = self._policy.columns.index(name)
            a, b = (self._rows[side].values[place] for side in SIDES)
            if at not in self._open or (a is None and b is None):
                continue
            if a is None or b is None:
                takes_a = b is None
            elif rule.kind is RuleKind.MAX:
                takes_a = a >= b  # type: ignore[operator]  # both come from one column: one type
            else:
                takes_a = a <= b  # type: ignore[operator]  # as above
            self._cells[at] = (self._a if takes_a else self._b)[at]
            self._open.discard(at)

    def _take_changed(self, rule: Rule, base: tuple[str | None, ...]) -> None:
        """``column_merge``: what one side changed alone is taken from there; groups of columns go together."""
        others = {
            name.lower() for one in self._policy.chain for name in one.reads if one.kind.merges
        }
        groups = [self._places(group) for group in rule.groups]
        grouped = {at for group in groups for at in group}
        single = [[at] for at in sorted(self._open - grouped) if self._names[at] not in others]
        for group in [*groups, *single]:
            if not self._open.intersection(group):
                continue
            by_a = any(self._changed(at, self._a, base) for at in group)
            by_b = any(self._changed(at, self._b, base) for at in group)
            if by_a and by_b:
                # All of them go to whoever is chosen: half a group of each would be a value that nobody wrote.
                continue
            for at in group:
                self._cells[at] = (self._a if by_a else self._b)[at]
            self._open.difference_update(group)

    def _changed(self, at: int, row: tuple[str, ...], base: tuple[str | None, ...]) -> bool:
        """What the base had, but cannot be told, counts as changed where the rows differ."""
        if base[at] is None:
            return self._a[at] != self._b[at]
        return row[at] != base[at]
