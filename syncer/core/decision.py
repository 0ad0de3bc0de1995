"""
The decision: what to do about one key, as a pure function of its marks, the two rows and the policy.

The model in ``tests/model`` drives this very function. INV-5, INV-6, INV-7; kinds and rules: conflicts.md §2-§5.
"""

from __future__ import annotations

import msgspec

from syncer.core.choosing import Conflict, choose, has_renewed
from syncer.core.mark import KeyMarks, Op, Reason, SideMarks, Touch
from syncer.core.outcome import ALONE, Around, ConflictKind, Decision, RowFact, Verdict
from syncer.core.policy import OnTruncate, Policy, Presence
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon

__all__ = ["Around", "ConflictKind", "Decision", "RowFact", "Verdict", "conflict_kind", "decide"]

OUTSIDE = "outside"
"""The path of a key whose rows are both outside of the table's filter: nothing is compared or written."""


def decide(
    marks: KeyMarks,
    rows: dict[Side, RowFact],
    horizons: dict[Side, Horizon],
    policy: Policy,
    around: Around = ALONE,
    *,
    filtered: bool = False,
) -> Decision:
    """
    Decide one key.

    Under a filter a key counts where its row is in scope on either side. A row outside of it was not kept equal: it counts
    as one that may have changed, and its absence says nothing of an agreement.

    Args:
        marks: all uncleared marks of the key, read after the fence (INV-4).
        rows: one read per side, taken within *horizons*.
        policy: total for the table (``lint.holes`` is empty).
        around: the servers' clocks, and who asks the function of a custom rule.
        filtered: the table has a filter.
    """
    if _ambiguous(marks.a, horizons[Side.A]) or _ambiguous(marks.b, horizons[Side.B]):
        return Decision(verdict=Verdict.AMBIGUOUS)
    at_a, at_b = horizons[Side.A], horizons[Side.B]
    exact = {Side.A: _exactly_changed(marks.a, at_a), Side.B: _exactly_changed(marks.b, at_b)}
    inexact = {
        Side.A: _inexactly_changed(marks.a, at_a),
        Side.B: _inexactly_changed(marks.b, at_b),
    }
    changed = [side for side in SIDES if exact[side] or inexact[side]]
    if not changed and any(_has_any(marks.of(side)) for side in SIDES):
        return Decision(verdict=Verdict.LATER)
    if any(_goes_beyond(marks.of(side), exact[side], inexact[side]) for side in SIDES):
        marks = KeyMarks(*(_told_by_rows(marks.of(s), exact[s], inexact[s]) for s in SIDES))
    if filtered and not any(rows[side].in_scope for side in SIDES):
        return Decision(verdict=Verdict.EQUAL, path=OUTSIDE)
    if rows[Side.A].digest == rows[Side.B].digest:
        if all(exact.values()) and policy.counts and policy.direction.source is None:
            return _counted(marks, rows, policy, around)
        return Decision(verdict=Verdict.EQUAL)
    if not changed:
        return Decision(verdict=Verdict.ALARM)
    if filtered:
        inexact |= {side: True for side in SIDES if rows[side].present and not rows[side].inside}
        changed = [side for side in SIDES if exact[side] or inexact[side]]
    if policy.direction.source is not None:
        return _one_way(policy, policy.direction.source, exact, inexact, marks, rows)
    emptied = any(inexact.values()) and any(
        _truncated(side, exact, inexact, marks, rows) for side in SIDES
    )
    if emptied and policy.on_truncate is not OnTruncate.CHANGE_WINS:
        halts = policy.on_truncate is OnTruncate.HALT
        return Decision(
            verdict=Verdict.HALT if halts else Verdict.HOLD,
            conflict=ConflictKind.TRUNCATE_DML,
            rule=f"on_truncate={policy.on_truncate}",
            path="truncate",
        )
    exactly = [side for side in SIDES if exact[side]]
    if len(exactly) == 2:
        return _conflict(marks, rows, policy, around)
    if len(exactly) == 1 and inexact[exactly[0].other] and _came_and_went(exactly[0], marks, rows):
        return _unknown_history(marks, rows, policy, around)
    gone = not filtered and rows[Side.A].present != rows[Side.B].present
    if gone and any(_went_unseen(side, exact, inexact, marks, rows) for side in SIDES):
        return _conflict(marks, rows, policy, around)
    if len(exactly) == 1:
        found = _one_exact(exactly[0], inexact[exactly[0].other], marks, rows, policy)
        if emptied and found.conflict is not None:
            return msgspec.structs.replace(found, conflict=ConflictKind.TRUNCATE_DML)
        return found
    if len(changed) == 1:
        return _one_inexact(changed[0], marks, rows)
    return _unknown_history(marks, rows, policy, around)


def _ambiguous(marks: SideMarks, horizon: Horizon) -> bool:
    """
    Say whether a mark may lie in (lower, upper] (INV-5).

    A folded mark that begins at or below *lower* and ends above *upper* may hide one in between, unless there is no
    number in between.
    """
    if horizon.upper <= horizon.lower:
        return False
    spans = []
    if marks.exact is not None:
        spans.append((marks.exact.first_seq, marks.exact.last_seq))
    if marks.inexact_first is not None and marks.inexact_last is not None:
        spans.append((marks.inexact_first, marks.inexact_last))
    return any(last > horizon.lower and first <= horizon.upper for first, last in spans)


def _exactly_changed(marks: SideMarks, horizon: Horizon) -> bool:
    return marks.exact is not None and marks.exact.first_seq <= horizon.lower


def _inexactly_changed(marks: SideMarks, horizon: Horizon) -> bool:
    return marks.inexact_first is not None and marks.inexact_first <= horizon.lower


def _goes_beyond(marks: SideMarks, exact: bool, inexact: bool) -> bool:
    """Say whether some of *marks* came after the rows."""
    return (marks.exact is not None and not exact) or (
        marks.inexact_first is not None and not inexact
    )


def _told_by_rows(marks: SideMarks, exact: bool, inexact: bool) -> SideMarks:
    """Leave out what came after the rows: it says nothing of them, its kind and its time neither."""
    touch = marks.exact if exact else None
    if not inexact:
        return SideMarks(touch)
    return msgspec.structs.replace(marks, exact=touch)


def _has_any(marks: SideMarks) -> bool:
    return marks.exact is not None or marks.inexact_first is not None


def _came_and_went(side: Side, marks: KeyMarks, rows: dict[Side, RowFact]) -> bool:
    """*side* had no such row when both agreed and has none now: its delete was of a row of its own."""
    touch = marks.of(side).exact
    return touch is not None and touch.first_op is Op.INSERT and not rows[side].present


def _told(side: Side, marks: KeyMarks) -> bool:
    """An event said that rows of *side* went: the only inexact marks that may delete (INV-6)."""
    return marks.of(side).reason in {Reason.TRUNCATE, Reason.STATEMENT, Reason.CASCADE}


def _truncated(
    side: Side,
    exact: dict[Side, bool],
    inexact: dict[Side, bool],
    marks: KeyMarks,
    rows: dict[Side, RowFact],
) -> bool:
    """Say whether *side* truncated a row away that the other side changed; one inserted since both agreed was never there."""
    other = side.other
    return (
        inexact[side]
        and marks.of(side).reason is Reason.TRUNCATE
        and not rows[side].present
        and rows[other].present
        and exact[other]
        and not _new_row(marks.of(other))
    )


def _went_unseen(
    side: Side,
    exact: dict[Side, bool],
    inexact: dict[Side, bool],
    marks: KeyMarks,
    rows: dict[Side, RowFact],
) -> bool:
    """
    Say whether the row of *side* was deleted without an event (``core/cascade.py``), and the other side's was changed.

    Both had the row when they last agreed: the other side's first operation was no INSERT, or a cascade changed its row. No
    gap in the history of *side* explains that its row is absent.
    """
    other = side.other
    theirs = marks.of(other)
    if rows[side].present or not rows[other].present or exact[side]:
        return False
    if inexact[side] and marks.of(side).reason is not Reason.CASCADE:
        return False
    if exact[other]:
        return _had_it(theirs)
    return inexact[other] and not inexact[side] and theirs.reason is Reason.CASCADE


def _had_it(marks: SideMarks) -> bool:
    """
    Say whether the side of *marks*, which changed exactly, had the row when both last agreed.

    Not where an inexact mark of before its first exact change may hide the row's insert. A cascade inserts nothing.
    """
    if marks.exact is None or marks.exact.first_op is Op.INSERT:
        return False
    gap = marks.inexact_first if marks.reason is not Reason.CASCADE else None
    return gap is None or gap > marks.exact.first_seq


def _one_way(
    policy: Policy,
    source: Side,
    exact: dict[Side, bool],
    inexact: dict[Side, bool],
    marks: KeyMarks,
    rows: dict[Side, RowFact],
) -> Decision:
    """
    The source decides; what the target wrote by itself is journaled before it is overwritten.

    A row that only the target has and that no stream ever told of goes at the baseline: the source decides what is there.
    After a gap in a history that was known, or with presence=hold, it is held.
    """
    target = source.other
    deleted = exact[source] and not _came_and_went(source, marks, rows)
    guessed = not rows[source].present and not (deleted or exact[target] or _told(source, marks))
    reasons = {marks.of(s).reason for s in SIDES if inexact[s]}
    if guessed and (policy.presence is Presence.HOLD or reasons - {Reason.BASELINE}):
        return Decision(
            verdict=Verdict.HOLD,
            conflict=ConflictKind.PRESENCE_AMBIGUOUS,
            rule="absent without history: hold",
            path="presence",
        )
    conflict = None
    if guessed:
        conflict = ConflictKind.PRESENCE_AMBIGUOUS
    elif exact[target] or (inexact[target] and rows[target].present):
        conflict = conflict_kind(marks, rows) if exact[source] else ConflictKind.DRIFT
    return Decision(
        verdict=Verdict.COPY,
        winner=source,
        conflict=conflict,
        rule=f"direction={'a-to-b' if source is Side.A else 'b-to-a'}",
        path="direction",
        possible=conflict is not None and not exact[target],
    )


def _one_exact(
    winner: Side,
    other_inexact: bool,
    marks: KeyMarks,
    rows: dict[Side, RowFact],
    policy: Policy,
) -> Decision:
    """
    INV-7: the exactly changed side wins whatever the rule; if the other may have changed too, say so.

    A row that the other side lacks and whose history begins with the baseline is copied as any such row is (presence=copy).
    """
    if not other_inexact:
        return Decision(verdict=Verdict.COPY, winner=winner, path="one_sided")
    if _new_row(marks.of(winner)) and not rows[winner.other].present:
        return Decision(verdict=Verdict.COPY, winner=winner, path="one_sided")
    never_known = marks.of(winner.other).reason is Reason.BASELINE
    if never_known and not rows[winner.other].present and policy.presence is Presence.COPY:
        return Decision(verdict=Verdict.COPY, winner=winner, rule="presence=copy", path="presence")
    return Decision(
        verdict=Verdict.COPY,
        winner=winner,
        conflict=conflict_kind(marks, rows),
        rule="exact_history",
        path="exact",
        possible=True,
    )


def _new_row(marks: SideMarks) -> bool:
    """
    Say whether the key is known to have been absent when both sides last agreed: its side's first operation is an INSERT.

    Not where an inexact mark may hide the delete of an older row before it. A baseline hides none: it knows no agreement.
    """
    if marks.exact is None or marks.exact.first_op is not Op.INSERT:
        return False
    return marks.inexact_first is None or marks.reason is Reason.BASELINE


def _one_inexact(winner: Side, marks: KeyMarks, rows: dict[Side, RowFact]) -> Decision:
    """
    Only one side may have changed: rows were equal before, so it did (model README §6).

    Its absence deletes at the other side only where an event said so: a gap in the history is no evidence of a delete.
    """
    if not rows[winner].present and not _told(winner, marks):
        return Decision(
            verdict=Verdict.HOLD,
            conflict=ConflictKind.PRESENCE_AMBIGUOUS,
            rule="absent after a gap: hold",
            path="presence",
        )
    return Decision(verdict=Verdict.COPY, winner=winner, path="one_sided")


def _unknown_history(
    marks: KeyMarks, rows: dict[Side, RowFact], policy: Policy, around: Around
) -> Decision:
    """No exact change is known: nothing is deleted on a guess (INV-6)."""
    present = [side for side in SIDES if rows[side].present]
    unknown = [side for side in SIDES if marks.of(side).inexact_first is not None]
    if len(present) == 1:
        gap = any(marks.of(side).reason is not Reason.BASELINE for side in unknown)
        if policy.presence is Presence.HOLD or gap:
            # A gap in a known history may hide a delete: copying would bring it back. A mark without a reason is an alarm's.
            return Decision(
                verdict=Verdict.HOLD,
                conflict=ConflictKind.PRESENCE_AMBIGUOUS,
                rule="presence after a gap: hold" if gap else "presence=hold",
                path="presence",
            )
        return Decision(
            verdict=Verdict.COPY,
            winner=present[0],
            conflict=None,
            rule="presence=copy",
            path="presence",
        )
    return choose(Conflict(ConflictKind.DRIFT, marks, rows, policy, around))


def _conflict(
    marks: KeyMarks, rows: dict[Side, RowFact], policy: Policy, around: Around
) -> Decision:
    return choose(Conflict(conflict_kind(marks, rows), marks, rows, policy, around))


def _counted(
    marks: KeyMarks, rows: dict[Side, RowFact], policy: Policy, around: Around
) -> Decision:
    """Decide rows that look equal and were changed on both sides: counters may have been raised twice (conflicts.md §6)."""
    if not rows[Side.A].present or conflict_kind(marks, rows) is not ConflictKind.UPDATE_UPDATE:
        return Decision(verdict=Verdict.EQUAL)
    found = _conflict(marks, rows, policy, around)
    if found.verdict is Verdict.COPY and found.merged is None:
        return Decision(verdict=Verdict.EQUAL)
    return found


def conflict_kind(marks: KeyMarks, rows: dict[Side, RowFact]) -> ConflictKind:
    """Name the conflict from what each side did since both agreed, and from what is there now."""
    touches: list[Touch] = [t for t in (marks.a.exact, marks.b.exact) if t is not None]
    if any(has_renewed(touch) for touch in touches):
        return ConflictKind.RECREATE
    if rows[Side.A].present != rows[Side.B].present:
        return ConflictKind.UPDATE_DELETE
    if any(touch.first_op is Op.INSERT for touch in touches):
        return ConflictKind.INSERT_INSERT
    return ConflictKind.UPDATE_UPDATE
