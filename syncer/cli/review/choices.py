"""What a person chooses while reviewing. Pure: no terminal, and nothing is asked of the ledger before it is confirmed."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from syncer.core.decision import ConflictKind
from syncer.core.side import Side
from syncer.ledger.records import ConflictEntry, ConflictRecord, Wanted
from syncer.ledger.selector import newest


class Choice(enum.Enum):
    """What is to become of a conflict."""

    OPEN = "<-?->"
    """Nobody has said: it stays held."""
    TAKE_A = "---->"
    TAKE_B = "<----"
    SKIP = "skip"
    """It stays held, on purpose."""

    @property
    def side(self) -> Side | None:
        """The side whose row travels; None: it stays held."""
        return {Choice.TAKE_A: Side.A, Choice.TAKE_B: Side.B}.get(self)


def of_side(side: Side | None) -> Choice:
    """Return the choice that takes *side*; OPEN for None."""
    if side is None:
        return Choice.OPEN
    return Choice.TAKE_A if side is Side.A else Choice.TAKE_B


def recommended(entry: ConflictEntry) -> Choice:
    """
    Return what is accepted beforehand: the side that alone changed the row. A true conflict is left open.

    Which side changed is known from the base row, else from what the streams told. What a guard withholds is left open: it would
    be withheld again.
    """
    if entry.kind is ConflictKind.GUARD:
        return Choice.OPEN
    base = entry.base_image
    if base is not None:
        same = [side for side, row in _rows(entry) if row == base]
        if len(same) == 1:
            return of_side(same[0].other)
        return Choice.OPEN
    told = [side for side, op in ((Side.A, entry.a_op), (Side.B, entry.b_op)) if op is not None]
    return of_side(told[0]) if len(told) == 1 else Choice.OPEN


def _rows(entry: ConflictEntry) -> list[tuple[Side, tuple[str | None, ...] | None]]:
    return [(Side.A, entry.a_image), (Side.B, entry.b_image)]


class Review:
    """The conflicts under review and what is chosen for each; every row begins with its recommendation."""

    def __init__(self, records: Sequence[ConflictRecord]) -> None:
        """Take the conflicts in the order in which they are shown."""
        self.records = list(records)
        self._choices = [recommended(record.entry) for record in self.records]

    def choice(self, at: int) -> Choice:
        """Return what is chosen for the conflict at a place."""
        return self._choices[at]

    def choose(self, at: int, choice: Choice) -> None:
        """Choose for one conflict."""
        self._choices[at] = choice

    def restore(self, at: int) -> None:
        """Go back to the recommendation."""
        self._choices[at] = recommended(self.records[at].entry)

    def take_newest(self, at: int, *, oldest: bool = False) -> bool:
        """Take the side that committed last, or first; say whether that is known. Where it is not, nothing changes."""
        side = newest(self.records[at].entry)
        if side is None:
            return False
        self._choices[at] = of_side(side.other if oldest else side)
        return True

    def takes(self) -> list[tuple[ConflictRecord, Wanted]]:
        """Return what is to be asked for."""
        return [
            (record, Wanted(choice.side))
            for record, choice in zip(self.records, self._choices, strict=True)
            if choice.side is not None
        ]

    def summary(self) -> str:
        """Count the choices, in words."""
        counts = {choice: self._choices.count(choice) for choice in Choice}
        return (
            f"{counts[Choice.TAKE_A]} from A, {counts[Choice.TAKE_B]} from B, "
            f"{counts[Choice.SKIP]} skipped, {counts[Choice.OPEN]} open"
        )
