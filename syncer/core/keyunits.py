"""
One row that both sides gave another key: two keys, decided as one unit (conflicts.md §4, key_change_divergent). Pure.

To the marks a change of a key is a delete and an insert. Each by itself travels, and what was one row ends as two. Known to have been
one row, its two successors are compared as two versions of it: the loser's key goes where it was made, or both are held, or both
stay. Each key of the unit keeps its own proof and its own guard (INV-3 to INV-5, INV-9); what one of them lacks, both wait for.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from syncer.core.choosing import Conflict, choose
from syncer.core.mark import KeyMarks
from syncer.core.outcome import Around, ConflictKind, Decision, RowFact, Verdict
from syncer.core.policy import Policy
from syncer.core.side import SIDES, Side

KIND = ConflictKind.KEY_CHANGE_DIVERGENT
PATH = "unit"
"""The path of a key that waits for the other key of its row."""
LATER = Decision(verdict=Verdict.LATER)
_HELD = Decision(
    verdict=Verdict.HOLD,
    conflict=KIND,
    rule="the other key of its row is not to be decided now: hold",
    path=PATH,
)


class Half(msgspec.Struct, frozen=True):
    """
    The key that one side gave the row.

    Attributes:
        decision: what is decided about it by itself.
        taken: a person has answered it, or is asked about it for another reason: it stays as it is.
    """

    decision: Decision
    marks: KeyMarks
    rows: Mapping[Side, RowFact]
    taken: bool = False

    @property
    def unread(self) -> bool:
        """Nothing may be said of it yet (INV-5)."""
        return self.decision.verdict in {Verdict.AMBIGUOUS, Verdict.LATER}

    def waits(self, side: Side) -> bool:
        """Say whether it is *side*'s new row, and held for a reason of its own."""
        row = self.rows[side].present and not self.rows[side.other].present
        return self.taken or (row and self.decision.verdict.waits)

    def is_new(self, side: Side) -> bool:
        """Say whether it is *side*'s new row for certain, that nothing speaks against."""
        mine, theirs = self.marks.of(side), self.marks.of(side.other)
        known = mine.inexact_first is None and theirs.inexact_first is None
        alone = self.rows[side].present and not self.rows[side.other].present
        copied = self.decision.verdict is Verdict.COPY and self.decision.winner is side
        return known and alone and copied and theirs.exact is None and not self.decision.conflict


def decide_unit(
    halves: Mapping[Side, Half], policy: Policy, around: Around
) -> dict[Side, Decision]:
    """
    Return what takes the place of the decisions about both keys, *halves* by the side that made them; without a side its own stands.

    Only two plain inserts are one unit, exactly known on both sides; whatever else has become of either is no version of the row.
    """
    if any(half.unread for half in halves.values()):
        return {side: LATER for side in SIDES if not (halves[side].unread or halves[side].taken)}
    new = [side for side in SIDES if halves[side].is_new(side)]
    if len(new) == 1 and halves[new[0].other].waits(new[0].other):
        return {} if halves[new[0]].taken else {new[0]: _HELD}
    taken = [side for side in new if halves[side].taken]
    if taken:
        return {side: _HELD for side in new if side not in taken}
    if len(new) < 2:
        return {}
    marks = KeyMarks(halves[Side.A].marks.a, halves[Side.B].marks.b)
    rows = {side: halves[side].rows[side] for side in SIDES}
    found = compare(marks, rows, policy, around)
    return {} if found.keeps else dict.fromkeys(SIDES, found)


def compare(
    marks: KeyMarks, rows: Mapping[Side, RowFact], policy: Policy, around: Around
) -> Decision:
    """Let the rules choose between the new rows of both sides; where both are kept, each of them goes its way."""
    found = choose(Conflict(KIND, marks, dict(rows), policy, around))
    if found.merged is None:
        return found
    return Decision(
        verdict=Verdict.HOLD,
        conflict=KIND,
        rule=f"{found.rule}, and one row cannot have two keys: hold",
        path=found.path,
    )
