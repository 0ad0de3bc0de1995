"""What a person chooses while reviewing. Pure: no terminal, and nothing is asked of the ledger before it is confirmed."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from syncer.core.decision import ConflictKind
from syncer.core.side import SIDES, Side
from syncer.core.threeway import NO_GROUPS, Changed, Groups
from syncer.ledger.records import ConflictEntry, ConflictRecord, Wanted
from syncer.ledger.selector import Match, differing, newest
from syncer.ledger.wants import no_merge, wanted, who_changed

if TYPE_CHECKING:
    from syncer.ledger.requests import Resolution

_NONE: Mapping[int, Resolution] = MappingProxyType({})
_AGAIN = frozenset(
    {
        ConflictKind.GUARD,
        ConflictKind.UNIQUE_VIOLATION,
        ConflictKind.FK_PARENT_MISSING,
        ConflictKind.FK_CHILD_EXISTS,
        ConflictKind.READ_BACK,
        ConflictKind.APPLY_ERROR,
    }
)
BOTH_CHANGED = "both sides changed it, or it is not known which"


class Choice(enum.Enum):
    """What is to become of a conflict."""

    OPEN = "<-?->"
    """Nobody has said: it stays held."""
    TAKE_A = "---->"
    TAKE_B = "<----"
    MERGE = "<-M->"
    SKIP = "skip"
    """The difference is accepted, until either side changes the row again."""

    @property
    def side(self) -> Side | None:
        """The side whose row travels; None: none does as it is."""
        return {Choice.TAKE_A: Side.A, Choice.TAKE_B: Side.B}.get(self)


def of_side(side: Side | None) -> Choice:
    """Return the choice that takes *side*; OPEN for None."""
    if side is None:
        return Choice.OPEN
    return Choice.TAKE_A if side is Side.A else Choice.TAKE_B


def of_answer(answer: Wanted) -> Choice:
    """Return the choice that an answer is."""
    if answer.merge:
        return Choice.MERGE
    return Choice.SKIP if answer.skip else of_side(answer.side)


def only_changed(entry: ConflictEntry) -> Side | None:
    """Return the side that alone changed the row, by the base row, else by what the streams told; None: both, or not known."""
    base = entry.base_image
    if base is not None:
        rows = {Side.A: entry.a_image, Side.B: entry.b_image}
        same = [side for side in SIDES if rows[side] == base]
        return same[0].other if len(same) == 1 else None
    told = [side for side, op in ((Side.A, entry.a_op), (Side.B, entry.b_op)) if op is not None]
    return told[0] if len(told) == 1 else None


def recommended(entry: ConflictEntry) -> Choice:
    """
    Return what is accepted beforehand: the side that alone changed the row. A true conflict is left open.

    What a guard withholds, or the target refused, is left open, too: it would be withheld, or refused, again.
    """
    return Choice.OPEN if entry.kind in _AGAIN else of_side(only_changed(entry))


class Review:
    """
    The conflicts under review and what is chosen for each.

    Every row begins with the answer that waits for it, else with its recommendation. An answer that is left as it is is not asked for
    again.
    """

    def __init__(
        self,
        records: Sequence[ConflictRecord],
        groups: Callable[[ConflictEntry], Groups] = lambda _entry: NO_GROUPS,
        answers: Mapping[int, Resolution] = _NONE,
    ) -> None:
        """
        Take the conflicts in the order in which they are shown.

        Args:
            groups: what their tables' policies say of merges.
            answers: what somebody has said already and waits to be carried out, by conflict.
        """
        self.records = list(records)
        self._groups = groups
        self._answers = answers
        self._left: set[int] = set()
        self._choices = [Choice.OPEN for _ in self.records]
        self._merges: dict[int, Wanted] = {}
        for at in range(len(self.records)):
            self.restore(at)
        self.selected: frozenset[int] = frozenset()
        self._join = ""
        self.ignored: dict[int, str] = {}

    def choice(self, at: int) -> Choice:
        """Return what is chosen for the conflict at a place."""
        return self._choices[at]

    def merge_of(self, at: int) -> Wanted | None:
        """Return what the merge that is chosen at a place takes; None where none is."""
        return self._merges.get(at) if self._choices[at] is Choice.MERGE else None

    def changed(self, at: int) -> tuple[Changed, ...]:
        """Return who changed each column; empty where it is not known."""
        entry = self.records[at].entry
        return who_changed(entry, self._groups(entry))

    def choose(self, at: int, choice: Choice) -> str:
        """Choose for one conflict; return why not, "" where it is done."""
        self._choices[at] = choice
        self._left.discard(at)
        return ""

    def answer(self, at: int) -> Resolution | None:
        """Return the answer that waits for the conflict at a place and is left as it is."""
        return self._answers[self.records[at].conflict_id] if at in self._left else None

    def restore(self, at: int) -> str:
        """Go back to the answer that waits, else to the recommendation."""
        record = self.records[at]
        said = self._answers.get(record.conflict_id)
        if said is None:
            return self.choose(at, recommended(record.entry))
        if said.wanted.merge:
            self._merges[at] = said.wanted
        self._choices[at] = of_answer(said.wanted)
        self._left.add(at)
        return ""

    def take_newest(self, at: int, *, oldest: bool = False) -> str:
        """Take the side that committed last, or first; return why not, "" where it is done."""
        side = newest(self.records[at].entry)
        if side is None:
            return "no commit times, or equal ones"
        return self.choose(at, of_side(side.other if oldest else side))

    def take_changed(self, at: int) -> str:
        """Take the side that alone changed the row; return why not, "" where it is done."""
        side = only_changed(self.records[at].entry)
        return BOTH_CHANGED if side is None else self.choose(at, of_side(side))

    def invert(self, at: int) -> str:
        """Take the other side, or, of a merge, its values; return why not, "" where it is done."""
        choice = self._choices[at]
        if choice.side is not None:
            return self.choose(at, of_side(choice.side.other))
        merge = self.merge_of(at)
        if merge is None or merge.side is None:
            return "there is no side to be turned round"
        self._merges[at] = Wanted(merge.side.other, merge=True)
        return self.choose(at, Choice.MERGE)

    def merge(self, at: int, otherwise: str | None = None) -> str:
        """Merge both rows; *otherwise* as in ``wants.wanted``; return why not, "" where it is done."""
        entry = self.records[at].entry
        try:
            self._merges[at] = wanted(entry, "merge", otherwise, self._groups(entry))
        except ValueError as error:
            return str(error)
        return self.choose(at, Choice.MERGE)

    def merged(self, at: int, otherwise: Side | None) -> tuple[str | None, ...]:
        """
        Return which column a merge takes from where: ``a``, ``b``, ``""`` (both have it), None: still to be said.

        Empty where the rows cannot be merged.
        """
        taken: dict[Changed, str | None] = {
            Changed.NOBODY: "",
            Changed.BOTH: None if otherwise is None else otherwise.value,
        }
        return tuple(taken.get(one, one.value) for one in self.changed(at))

    def ignore(self, at: int, reason: str) -> str:
        """Accept a difference for good: it is skipped, and ``policy_lines`` says what keeps its like from being held."""
        self.ignored[at] = reason
        return self.choose(at, Choice.SKIP)

    def policy_lines(self, actor: str, day: str) -> str:
        """Return what would be added to the configuration so that what is ignored is no conflict any more; "" for nothing."""
        tables: dict[tuple[str, str], list[ConflictRecord]] = {}
        for at, reason in sorted(self.ignored.items()):
            if self._choices[at] is Choice.SKIP:
                record = self.records[at]
                tables.setdefault((record.entry.table, reason), []).append(record)
        return "\n".join(
            _policy_of(table, records, f"{day} {actor}: {reason}")
            for (table, reason), records in tables.items()
        )

    # Which conflicts a key is about.

    def targets(self, cursor: int) -> list[int]:
        """Return the places that a key is about: those selected, else the one under the cursor."""
        return sorted(self.selected) or [cursor]

    def join(self, how: str) -> None:
        """Let the next selection be one of those selected (``&``), or come on top of them (``|``)."""
        self._join = how

    def select(self, word: str) -> None:
        """
        Select by one of the words of ``WORDS``; ``A`` all, ``X`` those that are not selected, ``""`` none.

        Raises KeyError.
        """
        every = range(len(self.records))
        if word == "X":
            self.selected = frozenset(every) - self.selected
            self._join = ""
            return
        test = WORDS[word][0] if word else lambda _review, _at: False
        self._take(at for at in every if test(self, at))

    def select_matching(self, match: Match) -> None:
        """Select what an expression matches (``selector.parse``)."""
        self._take(at for at, record in enumerate(self.records) if match(record))

    def _take(self, places: Iterable[int]) -> None:
        found = frozenset(places)
        if self._join == "&":
            found &= self.selected
        elif self._join == "|":
            found |= self.selected
        self.selected, self._join = found, ""

    def takes(self) -> list[tuple[ConflictRecord, Wanted]]:
        """Return what is to be asked for."""
        found = []
        for at, record in enumerate(self.records):
            if at in self._left:
                continue
            choice = self._choices[at]
            merge = self.merge_of(at)
            if merge is not None:
                found.append((record, merge))
            elif choice is Choice.SKIP:
                found.append((record, Wanted(None, skip=True)))
            elif choice.side is not None:
                found.append((record, Wanted(choice.side)))
        return found

    def summary(self) -> str:
        """Count the choices, in words."""
        counts = {choice: self._choices.count(choice) for choice in Choice}
        said = (
            f"{counts[Choice.TAKE_A]} from A, {counts[Choice.TAKE_B]} from B, {counts[Choice.MERGE]} merged, "
            f"{counts[Choice.SKIP]} skipped, {counts[Choice.OPEN]} open"
        )
        if self._left:
            said += f"   {len(self._left)} answered before"
        return f"{said}   {len(self.selected)} selected" if self.selected else said


def _policy_of(table: str, records: Sequence[ConflictRecord], why: str) -> str:
    """One ``[[table]]``: the columns that differ are left out where rows differ in some only, else conflicts are skipped."""
    entries = [record.entry for record in records]
    columns = {name: None for entry in entries for name in differing(entry)}
    partly = all(entry.a_image and entry.b_image for entry in entries) and columns
    if partly and len(columns) < len(entries[0].columns):
        names = ", ".join(_quoted(name) for name in columns)
        what = f"ignore_columns = [{names}]  # neither compared nor written"
    else:
        what = 'rule = "skip"  # every conflict of the table is accepted until either side changes the row again'
    return f"# {_comment(why)}\n[[table]]\nmatch = {_quoted(table)}\n{what}\n"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


WORDS: dict[str, tuple[Callable[[Review, int], bool], str]] = {
    "A": (lambda _review, _at: True, "all"),
    "C": (
        lambda review, at: recommended(review.records[at].entry) is Choice.OPEN,
        "conflicts: what is not accepted beforehand",
    ),
    "1": (lambda review, at: review.choice(at) is Choice.TAKE_A, "what goes from A to B"),
    "2": (lambda review, at: review.choice(at) is Choice.TAKE_B, "what goes from B to A"),
    "W": (lambda review, at: review.answer(at) is not None, "what was answered before and waits"),
    "M": (lambda review, at: not no_merge(review.records[at].entry), "what can be merged"),
    "U": (lambda review, at: review.choice(at) is Choice.OPEN, "what is still open"),
}
"""What a key selects: a test, and in words."""
