"""From groups of rows to decisions. No I/O: everything comes in as arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from syncer.core.decision import Around, ConflictKind, Decision, RowFact, Verdict, decide
from syncer.core.key import StoredKey
from syncer.core.literals import split_image
from syncer.core.mark import KeyMarks, Op, SideMarks, weight
from syncer.core.outcome import ALONE, NO_BASE, Answer, Base, Consult
from syncer.core.pairing import PairedTable
from syncer.core.rules import Rule, RuleKind
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.ledger.images import KeptImage
from syncer.ledger.records import ClaimedKey
from syncer.ledger.requests import AskedConflict
from syncer.mysql.columns import key_text
from syncer.mysql.reader import RowRead
from syncer.service.answering import answer
from syncer.service.bases import base_of, is_stale
from syncer.service.customrows import answer_of
from syncer.service.customs import CustomRules, question
from syncer.service.oversize import large_rows, plain_policy, put_off
from syncer.service.planned import OriginOf, Planned, nobody_knows, shown_image
from syncer.service.reading import KeyGroup

UNMARKED = KeyMarks()

CROWDED = Decision(
    verdict=Verdict.HOLD,
    conflict=ConflictKind.UNIQUE_VIOLATION,
    rule="several rows under one key of the other side's collation: hold",
    path="identity",
)


def plan(
    table: PairedTable,
    groups: Iterable[KeyGroup],
    marks: Mapping[StoredKey, KeyMarks],
    horizons: Mapping[Side, Horizon],
    claims: Mapping[StoredKey, ClaimedKey],
    asked: Mapping[StoredKey, AskedConflict] | None = None,
    *,
    customs: CustomRules | None = None,
    outside: Around = ALONE,
    images: Mapping[StoredKey, Mapping[Side, KeptImage]] | None = None,
    origin: OriginOf = nobody_knows,
) -> list[Planned]:
    """
    Decide every group of one table.

    *images*: what rows were before they changed, where that is kept; *asked*: what a person answered, by key; *customs*: asks custom rules; *outside*: what is known of the servers' clocks.
    """
    stamps = stamps_of(table)
    merges = table.policy.merges and table.policy.direction.source is None
    columns = table.merging if merges else ()
    outside = msgspec.structs.replace(outside, utc_columns=stamps, columns=columns)
    skew = outside.skew
    skew_bound_s = None if skew is None else skew.bound_s
    planned = []
    seen, filtered = dict(horizons), bool(table.where)
    lower = {side: horizons[side].lower for side in SIDES}
    for group in groups:
        stored = tuple(map(table.store, group.keys))
        joined = join_marks([marks.get(key, UNMARKED) for key in stored])
        large = large_rows(group.rows)
        cells = (merges or table.policy.needs_base) and not large
        facts = {side: _fact(group.rows[side], cells=cells) for side in SIDES}
        base = NO_BASE
        if images is not None and not large:
            spelt = [(key, marks.get(key, UNMARKED)) for key in stored]
            base = base_of(table, group, spelt, images)
        around = outside
        if base is not NO_BASE:
            around = msgspec.structs.replace(around, base=base)
        if customs is not None and asks(table):
            consult = consult_for(customs, table, group, joined, base)
            around = msgspec.structs.replace(around, consult=consult)
        policy = plain_policy(table.policy) if large else table.policy
        decision = decide(joined, facts, seen, policy, around, filtered=filtered)
        if large:
            known = all(row is None or row.known for row in group.rows.values())
            decision = put_off(decision, large, known=known)
        if group.crowded:
            decision = CROWDED
        claimed = [claims[key] for key in stored if key in claims]
        item = Planned(
            table=table,
            group=group,
            stored=stored,
            marks=joined,
            decision=decision,
            marked_at=min((claim.marked_at for claim in claimed), default=None),
            tries=max((claim.tries for claim in claimed), default=0),
            lower=lower,
            base=base,
            stale=base.cells is not None and is_stale(table, decision, facts, base),
            skew_bound_s=skew_bound_s,
            origin=origin,
        )
        answers = [asked[key] for key in stored if key in asked] if asked else []
        planned.append(answered(item, answers[0]) if answers else item)
    return planned


def stamps_of(table: PairedTable) -> frozenset[str]:
    """Return the columns that rules read whose times are points in time whatever a session's zone is."""
    columns = table.policy.columns
    return frozenset(n for n in columns if table.a.column(n).data_type == "timestamp")


def asks(table: PairedTable) -> bool:
    """Say whether a rule of the table is a function."""
    return any(rule.kind is RuleKind.CUSTOM for rule in table.policy.chain)


def answered(item: Planned, asked: AskedConflict) -> Planned:
    """Put a person's answer in the place of a hold, where both rows still are what the person saw (``answering.answer``)."""
    shown = {side: shown_image(item.table, row) for side, row in item.group.rows.items()}
    decision = answer(
        asked,
        item.decision,
        item.table,
        item.group,
        item.marks,
        item.base,
        shown=(shown[Side.A], shown[Side.B]),
        shown_base=item.shown_base(),
    )
    if decision is None:
        return item
    said = asked.resolution
    return msgspec.structs.replace(item, decision=decision, actor=said.actor, until=said.until)


def consult_for(
    customs: CustomRules, table: PairedTable, group: KeyGroup, marks: KeyMarks, base: Base
) -> Consult:
    """Ask the function of a custom rule about one key."""

    def ask(rule: Rule, kind: ConflictKind) -> Answer:
        rows = {side: group.rows[side] for side in SIDES}
        images = {
            side: None if row is None else tuple(split_image(row.image))
            for side, row in rows.items()
        }
        meta: dict[str, object] = {
            "key": list(map(key_text, table.a.key_columns, group.keys[0])),
        }
        for side in SIDES:
            touch = marks.of(side).exact
            meta[f"{side}_op"] = touch.last_op.value if touch else None
            meta[f"{side}_commit_us"] = touch.commit_us if touch else 0
        asked = question(table, kind, images, meta, base.cells)
        said = customs.ask(rule, asked, table.policy.custom_timeout_s)
        return said if isinstance(said, Answer) else answer_of(table, images, said)

    return ask


def join_marks(found: list[KeyMarks]) -> KeyMarks:
    """Fold the marks of several spellings of one key."""
    if len(found) == 1:
        return found[0]
    return KeyMarks(
        a=_join_side([marks.a for marks in found]), b=_join_side([marks.b for marks in found])
    )


def _join_side(found: list[SideMarks]) -> SideMarks:
    touches = sorted(
        (m.exact for m in found if m.exact is not None),
        # a rename from one spelling to another deletes and inserts in one transaction
        key=lambda t: (t.first_seq, t.last_seq, t.first_op is Op.INSERT),
    )
    exact = None
    for touch in touches:
        exact = touch if exact is None else exact.fold(touch)
    if exact is not None:
        # The one that began last need not be the one that ended last.
        last = max(reversed(touches), key=lambda touch: touch.last_seq)
        exact = msgspec.structs.replace(exact, last_op=last.last_op, commit_us=last.commit_us)
    firsts = [m.inexact_first for m in found if m.inexact_first is not None]
    lasts = [m.inexact_last for m in found if m.inexact_last is not None]
    return SideMarks(
        exact=exact,
        inexact_first=min(firsts, default=None),
        inexact_last=max(lasts, default=None),
        reason=max((m.reason for m in found), key=weight, default=None),
    )


def _fact(row: RowRead | None, *, cells: bool) -> RowFact:
    if row is None:
        return RowFact(None)
    split = tuple(split_image(row.image)) if cells else None
    return RowFact(row.digest, row.values, row.inside, split)
