"""
The product's rules, asked in the model's words; a mutant spoils one of them.

``decide``, ``Touch.fold``, ``fold_reason`` and ``TransactionLog`` are the product's own code. The rule that clears and cuts
is SQL in the product (``CLEAR_POINT``, ``CUT_POINT``; ``Ranges._keep_later`` for runs): ``cleared`` is the same rule on
tuples, and ``test_rules.py`` holds it against a real ledger.
"""

from __future__ import annotations

import msgspec

from syncer.core.decision import ConflictKind, Decision, RowFact, Verdict, decide
from syncer.core.families import Turn, turned
from syncer.core.mark import KeyMarks, Op, Reason, SideMarks, Touch
from syncer.core.policy import OnFk, OnTie, Policy, Rule
from syncer.core.position import Coordinate, GtidSet
from syncer.core.side import Direction, Side
from syncer.core.visibility import Horizon, TransactionLog
from syncer.ledger.marks import raw_touch
from syncer.ledger.ranges import as_reason, as_touch, fold_reason
from tests.model.state import ABSENT, Config

Exact = tuple[int, int, str, str, int, int]
Inexact = tuple[int, int, str | None]
FAR = 1 << 20
TURNED = "turned"
"""A rule of the model alone: prefer B, but what ``on_fk`` may turn round is turned round."""
_UUID = "00000000-0000-0000-0000-000000000001"


class Answer:
    """A decision in the model's words: *winner* is 0 or 1, -1 for none."""

    __slots__ = ("conflict", "path", "possible", "verdict", "winner")

    def __init__(self, verdict, winner, conflict, possible, path):
        self.verdict, self.winner = verdict, winner
        self.conflict, self.possible, self.path = conflict, possible, path


class Rules:
    """The rules of one run; answers are kept, since the same questions come again and again."""

    def __init__(self, config: Config) -> None:
        """Choose the policy and the mutant."""
        self.mutant = config.mutant
        self.gtids = config.variant == "mysql"
        self.policy = policy(config)
        self.turns = config.rule == TURNED
        self._decided: dict = {}
        self._folded: dict = {}
        self._bounds: dict = {}

    # Marks

    @staticmethod
    def touch(seq: int, op: str, time: int) -> Exact:
        """The touch of one event."""
        return (seq, seq, op, op, 0, time)

    def fold(self, old: Exact | None, new: Exact) -> Exact:
        """``Touch.fold``."""
        if old is None:
            return new
        known = self._folded.get((old, new))
        if known is None:
            known = raw_touch(as_touch(old).fold(as_touch(new)))
            if self.mutant == "fold_keeps_time":
                known = (*known[:5], old[5])
            if self.mutant == "fold_keeps_last":
                known = (known[0], old[1], *known[2:])
            self._folded[old, new] = known
        return known

    @staticmethod
    def fold_inexact(old: Inexact | None, new: Inexact) -> Inexact:
        """As ``queries.FOLD`` and ``_Found.inexact`` join inexact marks."""
        if old is None:
            return new
        return (min(old[0], new[0]), max(old[1], new[1]), fold_reason(old[2], new[2]))

    def cleared(self, marks: tuple, lower: int, *, absent: bool) -> tuple:
        """Clear the marks of one key and side up to *lower*: what ends there goes, what reaches beyond is cut."""
        if lower < 0:
            return marks
        exact, inexact = marks
        if exact is not None and exact[0] <= lower:
            exact = self._cut(exact, lower, absent=absent)
        if inexact is not None and inexact[0] <= lower:
            inexact = self._cut((*inexact[:2], "u", "u", 0, 0), lower, absent=False) and (
                lower + 1,
                *inexact[1:],
            )
        return exact, inexact

    def _cut(self, touch: Exact, lower: int, *, absent: bool) -> Exact | None:
        if touch[1] <= lower:
            return None
        if self.mutant == "clear_whole":
            return None
        if self.mutant == "clear_none_of_folded":
            return touch
        first_op = "i" if absent else "u" if touch[2] == "i" else touch[2]
        if self.mutant == "cut_keeps_insert":
            first_op = touch[2]
        return (lower + 1, touch[1], first_op, *touch[3:])

    # Visibility

    def bounds(
        self, kind: str, tailed: int, floor: int, low: int, up: int, *, unproven: bool
    ) -> tuple[int, int, int, bool]:
        """
        (lower, upper) of a read, and what the ``TransactionLog`` knows afterwards: (floor, unproven).

        This is ``PairReader._horizon`` on a real ``TransactionLog``.
        """
        asked = (kind == "locked", tailed, floor, low, up, unproven)
        known = self._bounds.get(asked)
        if known is None:
            known = self._bounds[asked] = self._horizon(*asked)
        return known

    def _horizon(self, locked, tailed, floor, low, up, unproven):
        begun = GtidSet(f"{_UUID}:1-{floor}" if floor else "") if self.gtids and unproven else None
        # Without a position to be proven the floor is proven already: the log began before it.
        log = TransactionLog(floor, begun, Coordinate(1, floor if unproven else 0))
        for seq in range(floor + 1, tailed + 1):
            log.extend([(seq, f"{_UUID}:{seq}", Coordinate(1, seq), 0)])
        if locked:
            upper = log.upper_by_coordinate(Coordinate(1, up))
            if self.mutant == "lock_bound_for_all":
                log.lower_by_coordinate(Coordinate(1, up))
                return upper, upper, log.base_seq, False
            return upper, upper, floor, unproven
        if self.gtids:
            lower = log.lower_by_gtids(self._executed(low))
        else:
            lower = log.lower_by_coordinate(Coordinate(1, low))
        upper = max(log.upper_by_coordinate(Coordinate(1, up)), lower)
        return lower, upper, log.base_seq, unproven and lower < floor

    def _executed(self, mask: int) -> GtidSet:
        if self.mutant == "highest_gtid":
            mask = (1 << mask.bit_length()) - 1
        executed = GtidSet()
        seq = 1
        while mask >> seq - 1:
            if mask >> seq - 1 & 1:
                executed.add(f"{_UUID}:{seq}")
            seq += 1
        return executed

    # Decisions

    def decide(self, marks: tuple, contents: tuple, bounds: tuple) -> Answer:
        """``decide`` of one key: per side (exact, inexact with spans folded in), the content, (lower, upper)."""
        asked = (marks, contents, bounds)
        known = self._decided.get(asked)
        if known is None:
            known = self._decided[asked] = self._decide(*asked)
        return known

    def _decide(self, marks, contents, bounds) -> Answer:
        horizons = {}
        for side, bound, (exact, _) in zip(Side, bounds, marks, strict=True):
            low, up = bound
            if self.mutant == "marks_above_lower":
                low = up = FAR
            elif self.mutant == "no_ambiguity" or (
                self.mutant == "folded_not_ambiguous" and exact and exact[0] <= low < exact[1]
            ):
                up = low
            elif self.mutant in {"clear_to_upper", "no_fence"}:
                low = up
            horizons[side] = Horizon(low, up)
        sides = [self._side_marks(*pair) for pair in marks]
        rows = {
            side: RowFact(None if what == ABSENT else str(what))
            for side, what in zip(Side, contents, strict=True)
        }
        found = decide(KeyMarks(*sides), rows, horizons, self.policy)
        if self.turns:
            found = self._turned(found, KeyMarks(*sides), rows)
        winner = -1 if found.winner is None else 0 if found.winner is Side.A else 1
        return Answer(
            str(found.verdict), winner, found.conflict is not None, found.possible, found.path
        )

    def _turned(self, found: Decision, marks: KeyMarks, rows: dict[Side, RowFact]) -> Decision:
        """What the target would refuse, as ``on_fk`` decides it: side A has the family, side B the parent's delete."""
        here = rows[Side.A].digest
        if found.verdict is not Verdict.COPY or found.winner is None or here is None:
            return found
        turn = Turn(
            winner=found.winner.other,
            kind=ConflictKind.FK_PARENT_MISSING,
            word=OnFk.DROP_CHILD,
            here=Side.A,
            digest=here,
            root=(0, 0),
        )
        turn_made = turned(turn, found, marks, here)
        if turn_made is not None and self.mutant == "turned_unlogged":
            return msgspec.structs.replace(turn_made, conflict=None)
        return turn_made or found

    def _side_marks(self, exact: Exact | None, inexact: Inexact | None) -> SideMarks:
        if self.mutant == "inexact_as_exact" and inexact is not None:
            exact = self.fold(exact, (*inexact[:2], "u", "u", 0, 0))
            inexact = None
        if inexact is None:
            return SideMarks(exact and as_touch(exact))
        if self.mutant == "insert_despite_gap" and exact and exact[2] == "i":
            inexact = (*inexact[:2], "baseline")
        return SideMarks(exact and as_touch(exact), *inexact[:2], as_reason(inexact[2]))


def policy(config: Config) -> Policy:
    """The policy of a run."""
    if config.rule == "a-to-b":
        return Policy(direction=Direction("a-to-b"))
    tie = OnTie(config.tie) if config.rule == "newest" else None
    return Policy(rule=Rule.parse("prefer:b" if config.rule == TURNED else config.rule), on_tie=tie)


__all__ = ["Answer", "Op", "Reason", "Rules", "Touch", "policy"]
