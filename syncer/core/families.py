"""
A parent deleted on one side while a child was written on the other: what ``on_fk`` makes of the two. Pure.

Neither can be carried over: the child's target has no parent for it, the parent's has a child. Every way out is a decision about
one key, as any other: its own rows and marks prove it (INV-3 to INV-7), its own guard lets it be written (INV-9), and the journal
has what lost. What has to be known of the other rows is known *where the parent still is*: the children that stand in its way.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from syncer.core.key import StoredKey
from syncer.core.mark import KeyMarks, Op, Reason, SideMarks
from syncer.core.outcome import ConflictKind, Decision, Verdict
from syncer.core.policy import OnFk, Policy
from syncer.core.side import SIDES, Side

PATH = "on_fk"
"""The path of a decision that was taken for the sake of a family."""


class Stand(enum.Enum):
    """How it is with a child that stands in the way of its parent's delete."""

    WANTS = "wants"
    """It was changed here, and the other side refuses it: its parent is not there."""
    GOES = "goes"
    """It is to be deleted here too, and waits for children of its own."""
    WAITS = "waits"
    """Nothing is decided about it yet."""
    STAYS = "stays"
    """Nobody changed it, or not every change is known, or a person is asked about it for another reason."""


class Kin(msgspec.Struct, frozen=True):
    """A child that stands in the way: *word* is what ``on_fk`` says of it and its parent."""

    word: OnFk
    stand: Stand


class Course(enum.IntEnum):
    """What becomes of a parent that cannot be deleted; of several the least counts."""

    HOLD = 0
    """A person decides, about each row that is refused."""
    WAIT = 1
    """A child is still to be decided."""
    RESTORE = 2
    """The parent's row comes back where it was deleted."""
    DROP = 3
    """The children go first."""


_DROPS = frozenset({OnFk.DROP_CHILD, OnFk.CASCADE})


def word_of(child: Policy, passed: OnFk | None) -> OnFk:
    """Return what is said of a child and its parent: by the child's table, else by the parent's (*passed*), else hold."""
    return child.on_fk or passed or OnFk.HOLD


def passed_on(parent: Policy) -> OnFk | None:
    """Return what a table says of its children, where their own tables say nothing."""
    return parent.on_fk if parent.on_fk in {OnFk.RESTORE_PARENT, OnFk.CASCADE} else None


def passed_down(word: OnFk) -> OnFk | None:
    """Return what a child that is to go says of its own children."""
    return OnFk.CASCADE if word is OnFk.CASCADE else None


def course(kin: Sequence[Kin], below: Sequence[Kin] = ()) -> Course:
    """
    Say what becomes of a parent.

    Args:
        kin: the children that stand in its way.
        below: those that stand in the way of children that would be deleted, and so on.
    """
    found = min(map(_of_child, kin), default=Course.WAIT)
    return found if found is not Course.DROP else min([found, *map(_of_descendant, below)])


def _of_child(one: Kin) -> Course:
    if one.stand is Stand.STAYS:
        return Course.HOLD
    if one.stand is not Stand.WANTS:
        return Course.WAIT
    if one.word is OnFk.RESTORE_PARENT:
        return Course.RESTORE
    return Course.DROP if one.word in _DROPS else Course.HOLD


def _of_descendant(one: Kin) -> Course:
    """Its parent is to be deleted, not restored: whoever says otherwise contradicts."""
    found = _of_child(one)
    return Course.HOLD if found is Course.RESTORE else found


def stand_of(here: Side, marks: KeyMarks, *, refused: bool, turned: Side | None) -> Stand:
    """
    Say how it is with a child whose parent is to be deleted *here*.

    Args:
        refused: the other side has refused it for want of its parent.
        turned: who wins it by ``on_fk``; None where that is not said.
    """
    if turned is not None:
        return Stand.WANTS if turned is here else Stand.GOES
    mine, theirs = marks.of(here), marks.of(here.other)
    if mine == theirs == SideMarks():
        return Stand.STAYS
    if refused and mine.exact is not None and told(mine) and told(theirs):
        return Stand.WANTS
    if mine == SideMarks() and deletes(theirs):
        return Stand.GOES
    return Stand.WAITS


def deletes(marks: SideMarks) -> bool:
    """Say whether what a side did last of a key was to delete it, as far as is known: an event said so, or a foreign key did it."""
    if marks.exact is not None:
        return marks.exact.last_op is Op.DELETE and told(marks)
    return marks.inexact_first is not None and told(marks)


def told(marks: SideMarks) -> bool:
    """Say whether the side's history has no gap; what a foreign key did without an event is none: it was looked up."""
    return marks.inexact_first is None or marks.reason is Reason.CASCADE


def is_new(here: Side, marks: KeyMarks) -> bool:
    """
    Say whether the other side has no row of a child written *here*: it is deleted where it goes, else what is there comes back.

    Not where a foreign key changed or deleted it there without an event: then its own delete finds out.
    """
    mine, theirs = marks.of(here).exact, marks.of(here.other).exact
    new = mine is not None and mine.first_op is Op.INSERT
    return new or (theirs is not None and theirs.last_op is Op.DELETE)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """
    The other side is to win a key that its winner's target refuses.

    Attributes:
        winner: who wins now.
        kind: what it was refused for.
        word: what ``on_fk`` says.
        here: the side that has the family.
        digest: of the row there, as it was when this was decided.
        root: table and key of the parent whose delete began it.
        note: what happened, in words, without a value.
    """

    winner: Side
    kind: ConflictKind
    word: OnFk
    here: Side
    digest: str
    root: tuple[int, StoredKey]
    note: str = ""


def turned(turn: Turn, decision: Decision, marks: KeyMarks, digest: str | None) -> Decision | None:
    """
    Return what takes the place of *decision*, or None: it stands. *digest*: of the row of the side that has the family, now.

    Only a plain copy of the side that was refused is turned round, of rows that are as they were, with a history that is known on
    both sides: what loses is what its side did, and the journal has it.
    """
    loser = turn.winner.other
    if decision.verdict is not Verdict.COPY or decision.winner is not loser:
        return None
    if decision.merged is not None or decision.keeps:
        return None
    if digest != turn.digest or not all(told(marks.of(side)) for side in SIDES):
        return None
    lost = marks.of(loser)
    known = deletes(lost) if turn.here is turn.winner else lost.exact is not None
    if not known:
        return None
    return Decision(
        verdict=Verdict.COPY,
        winner=turn.winner,
        conflict=turn.kind,
        rule=f"on_fk={turn.word}",
        path=PATH,
    )
