"""
Who wins a conflict: the policy's chain of rules, asked in turn. Pure. Source: conflicts.md §3-§5.

A rule decides or leaves the matter open; the next one is asked then. Whatever nobody decides is held.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence

import msgspec

from syncer.core.mark import KeyMarks, Op, Touch
from syncer.core.merging import Left, Merging
from syncer.core.outcome import Around, Base, ConflictKind, Decision, RowFact, Verdict
from syncer.core.policy import OnDelete, OnNull, OnTie, Policy
from syncer.core.rules import Rule, RuleKind, RuleValue
from syncer.core.side import SIDES, Side
from syncer.core.stale import PATH as STALE_PATH
from syncer.core.stale import stale_sides

COMMIT_TIE_US = 1_000_000
"""Commit times of MariaDB are whole seconds: closer than this is a tie (inclusive)."""

_WAITING = {
    RuleKind.HOLD: Verdict.HOLD,
    RuleKind.HALT: Verdict.HALT,
    RuleKind.SKIP: Verdict.SKIP,
}
_KEPT = frozenset(
    {ConflictKind.INSERT_INSERT, ConflictKind.DRIFT, ConflictKind.KEY_CHANGE_DIVERGENT}
)
"""Two rows that are no versions of one key's row: both can be kept."""


class Conflict(msgspec.Struct, frozen=True):
    """One conflict as every rule sees it."""

    kind: ConflictKind
    marks: KeyMarks
    rows: dict[Side, RowFact]
    policy: Policy
    around: Around

    @property
    def live(self) -> bool:
        """Both sides have a row."""
        return all(self.rows[side].present for side in SIDES)

    def value(self, side: Side, rule: Rule) -> RuleValue | None:
        """Return what *rule* reads of the row of *side*."""
        at = self.policy.columns.index((rule.column or "").lower())
        values = self.rows[side].values
        return values[at] if at < len(values) else None


def choose(conflict: Conflict) -> Decision:
    """Ask the rules in turn. What merging rules leave open of a row is for the rules behind them."""
    left = Left("hold", "rule")
    merging = _merging(conflict)
    for rule in conflict.policy.chain:
        if rule.kind.merges and merging is not None:
            found = merging.ask(rule)
        else:
            found = _ask(rule, conflict)
        if isinstance(found, Decision):
            closes = merging is not None and not rule.kind.merges
            return merging.close(found) if merging is not None and closes else found
        left = found
    return Decision(verdict=Verdict.HOLD, conflict=conflict.kind, rule=left.rule, path=left.path)


def _merging(conflict: Conflict) -> Merging | None:
    """Begin to merge where a rule may and both rows can be one; rows of two incarnations never are."""
    policy, around = conflict.policy, conflict.around
    if conflict.kind is ConflictKind.KEY_CHANGE_DIVERGENT:
        return None  # no row has two keys
    if not policy.merges or not conflict.live or not around.columns:
        return None
    if any(conflict.rows[side].cells is None for side in SIDES):
        return None
    kind = conflict.kind
    if kind is ConflictKind.RECREATE:
        renewed = [side for side in SIDES if has_renewed(conflict.marks.of(side).exact)]
        if len(renewed) == 1:
            return None
        # Two new rows are as two rows inserted: there is no base that any of them came from.
        around = msgspec.structs.replace(around, base=Base(why="another row"))
    return Merging(kind, conflict.rows, policy, around)


def _ask(rule: Rule, conflict: Conflict) -> Decision | Left:
    kind = rule.kind
    if kind.waits:
        return Decision(
            verdict=_WAITING[kind], conflict=conflict.kind, rule=kind.value, path="rule"
        )
    if kind is RuleKind.PREFER:
        return _won(rule.side or Side.A, conflict, str(rule), "rule")
    if kind is RuleKind.CUSTOM:
        return _consult(rule, conflict)
    if not conflict.live:
        return _update_delete(rule, conflict)
    if kind.merges:
        return Left(f"{rule}, and the rows are no versions of one: hold", "incarnation")
    renewed = [side for side in SIDES if has_renewed(conflict.marks.of(side).exact)]
    if kind in {RuleKind.UPDATE_WINS, RuleKind.DELETE_WINS}:
        if len(renewed) == 1:
            # The delete was of the row that went: both rules keep the one that came in its place.
            return _won(renewed[0], conflict, f"{rule}: incarnation", "incarnation")
        return Left(f"{rule}, and both rows are there: hold", "rule")
    if kind is RuleKind.KEEP_BOTH:
        if conflict.kind in _KEPT or len(renewed) == 2:
            won = _won(rule.side or Side.A, conflict, str(rule), "rule")
            return msgspec.structs.replace(won, keeps=True)
        return Left(f"{rule}, and both rows are one: hold", "rule")
    if kind.tests:
        return _by_test(rule, conflict)
    if len(renewed) == 1:
        winner = renewed[0] if kind.takes_greater else renewed[0].other
        return _won(winner, conflict, f"{rule}: incarnation", "incarnation")
    return _by_commit_time(rule, conflict) if rule.column is None else _by_value(rule, conflict)


def _update_delete(rule: Rule, conflict: Conflict) -> Decision | Left:
    """One side is absent: most rules have nothing to look at there; commit times have, unless on_delete is set."""
    on_delete = conflict.policy.on_delete
    if rule.kind is RuleKind.UPDATE_WINS:
        return _by_absence(conflict, str(rule), "rule", delete=False)
    if rule.kind is RuleKind.DELETE_WINS:
        return _by_absence(conflict, str(rule), "rule", delete=True)
    if on_delete is None and rule.column is None and rule.kind.temporal:
        return _by_commit_time(rule, conflict)
    if on_delete is OnDelete.HOLD:
        return _held(conflict, "on_delete=hold", "on_delete")
    if on_delete is None:
        return Left("on_delete=hold", "on_delete")
    return _by_absence(
        conflict, f"on_delete={on_delete}", "on_delete", delete=on_delete is OnDelete.DELETE_WINS
    )


def _by_absence(conflict: Conflict, rule: str, path: str, *, delete: bool) -> Decision:
    live = Side.A if conflict.rows[Side.A].present else Side.B
    if not delete:
        return _won(live, conflict, rule, path)
    if _unseen_by_delete(conflict.marks.of(live).exact):
        return _won(live, conflict, f"{rule}: another row", "incarnation")
    return _won(live.other, conflict, rule, path)


def has_renewed(touch: Touch | None) -> bool:
    """Say whether the row that both had agreed on went and another came in its place (conflicts.md §4, recreate)."""
    return touch is not None and touch.recreated and touch.first_op is not Op.INSERT


def _unseen_by_delete(live: Touch | None) -> bool:
    """Say whether the live row is younger than the last agreement: the other side's delete was not of it."""
    return live is not None and (live.recreated or live.first_op is Op.INSERT)


def _by_test(rule: Rule, conflict: Conflict) -> Decision | Left:
    passing = [side for side in SIDES if rule.holds_for(conflict.value(side, rule))]
    if len(passing) == 1:
        return _won(passing[0], conflict, str(rule), "rule")
    how = "both rows pass" if passing else "neither row passes"
    return Left(f"{rule}, {how}: hold", "rule")


def _by_value(rule: Rule, conflict: Conflict) -> Decision | Left:
    on_null = conflict.policy.on_null
    a, b = (conflict.value(side, rule) for side in SIDES)
    if rule.kind.temporal and (rule.column or "").lower() in conflict.around.utc_columns:
        ahead = _too_far_ahead(conflict, [_microseconds(v) for v in (a, b) if isinstance(v, str)])
        if ahead is not None:
            return ahead
    if a is None and b is None:
        return _tie(conflict, "null")
    if a is None or b is None:
        if on_null is OnNull.LOSE:
            return _won(Side.A if b is None else Side.B, conflict, "on_null=lose", "null")
        if on_null is OnNull.HOLD:
            return _held(conflict, "on_null=hold", "null")
        return Left("on_null=hold", "null")
    around = conflict.around
    names = [column.name for column in around.columns]
    stale = stale_sides(rule, conflict.kind, conflict.rows, conflict.policy, around.base, names)
    if stale:
        return _past_stale(rule, conflict, stale)
    if a == b or _too_close(rule, conflict, a, b):
        return _tie(conflict, "tie")
    a_greater = a > b  # type: ignore[operator]  # both come from one column: one type
    winner = Side.A if a_greater == rule.kind.takes_greater else Side.B
    return _won(winner, conflict, str(rule), "rule")


def _past_stale(rule: Rule, conflict: Conflict, stale: Sequence[Side]) -> Decision | Left:
    """A change left the column as it was, or set it back: commit times are asked in its place, and a version says nothing."""
    said = f"{rule}, stale on side {' and '.join(stale)}"
    if not rule.kind.temporal:
        return Left(f"{said}: hold", STALE_PATH)
    found = _by_commit_time(rule, conflict)
    if isinstance(found, Left):
        return Left(f"{said}, {found.rule}", STALE_PATH)
    path = STALE_PATH if found.path == "rule" else found.path
    return msgspec.structs.replace(found, rule=f"{said}: {_how(found, rule)}", path=path)


def _how(found: Decision, rule: Rule) -> str:
    return "commit times" if found.rule == str(rule) else f"commit times, {found.rule}"


def _by_commit_time(rule: Rule, conflict: Conflict) -> Decision | Left:
    """Compare the commit times of the last exact changes; both must be known."""
    a, b = conflict.marks.a.exact, conflict.marks.b.exact
    if a is None or b is None or not a.commit_us or not b.commit_us:
        return Left("no commit time: hold", "null")
    ahead = _too_far_ahead(conflict, [a.commit_us, b.commit_us])
    if ahead is not None:
        return ahead
    if abs(a.commit_us - b.commit_us) <= _resolution_us(a.commit_us, b.commit_us) + _slack_us(
        conflict
    ):
        return _tie(conflict, "tie")
    a_wins = (a.commit_us > b.commit_us) == rule.kind.takes_greater
    return _won(Side.A if a_wins else Side.B, conflict, str(rule), "rule")


def _resolution_us(a: int, b: int) -> int:
    """Whole seconds that are a second apart may be of one moment; microseconds that differ have an order."""
    whole_seconds = a % COMMIT_TIE_US == 0 or b % COMMIT_TIE_US == 0
    return COMMIT_TIE_US if whole_seconds else 0


def _slack_us(conflict: Conflict) -> int:
    """How far the servers' clocks may be apart, and the margin on top (conflicts.md §5)."""
    skew = conflict.around.skew
    apart_s = 0.0 if skew is None else skew.bound_s
    return math.ceil((apart_s + conflict.policy.clock_margin_s) * 1_000_000)


def _too_close(rule: Rule, conflict: Conflict, a: RuleValue, b: RuleValue) -> bool:
    """Say whether two times of a column have no order; where no margin is set the application's word is taken."""
    if not (rule.kind.temporal and conflict.policy.clock_margin_s):
        return False
    if not (isinstance(a, str) and isinstance(b, str)):
        return False
    a_us, b_us = _microseconds(a), _microseconds(b)
    return abs(a_us - b_us) <= _resolution_us(a_us, b_us) + _slack_us(conflict)


def _microseconds(text: str) -> int:
    """Return a time as the reader gives it in microseconds since the epoch; 0 for one that is no day of the calendar."""
    try:
        moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    except ValueError:
        return 0
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _too_far_ahead(conflict: Conflict, times_us: list[int]) -> Decision | None:
    """Hold what a clock that is far ahead would let win for ever; the servers' own clocks are the measure."""
    now_us = conflict.around.earliest_now_us
    most_s = conflict.policy.max_future_s
    if now_us is None or not most_s or max(times_us, default=0) <= now_us + most_s * 1_000_000:
        return None
    return _held(conflict, "clock_skew: a time lies ahead of the servers' clocks: hold", "clock")


def _tie(conflict: Conflict, path: str) -> Decision | Left:
    on_tie = conflict.policy.on_tie
    if on_tie is None:
        return Left("on_tie=hold", path)
    if on_tie is OnTie.HOLD:
        return _held(conflict, "on_tie=hold", path)
    return _won(Side(on_tie.value), conflict, f"on_tie={on_tie.value}", path)


def _consult(rule: Rule, conflict: Conflict) -> Decision | Left:
    if conflict.around.consult is None:
        return Left(f"{rule}, and nobody was asked: hold", "custom")
    if conflict.live and conflict.rows[Side.A].digest == conflict.rows[Side.B].digest:
        return _won(
            Side.A, conflict, str(rule), "custom"
        )  # alike: whichever stands, nobody is asked
    answer = conflict.around.consult(rule, conflict.kind)
    if answer.row is not None:
        return msgspec.structs.replace(
            _won(Side.B, conflict, str(rule), "custom"), merged=answer.row
        )
    if answer.winner is not None:
        return _won(answer.winner, conflict, str(rule), "custom")
    if answer.leaves:
        return Left(f"{rule} leaves it open: hold", "custom")
    return _held(conflict, f"{rule}: {answer.reason or 'hold'}", "custom")


def _held(conflict: Conflict, rule: str, path: str) -> Decision:
    return Decision(verdict=Verdict.HOLD, conflict=conflict.kind, rule=rule, path=path)


def _won(winner: Side, conflict: Conflict, rule: str, path: str) -> Decision:
    return Decision(
        verdict=Verdict.COPY, winner=winner, conflict=conflict.kind, rule=rule, path=path
    )
