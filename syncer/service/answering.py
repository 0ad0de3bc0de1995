"""
What a person said of a conflict, in the place of what the policy says; only while the rows are what the person saw. No I/O.

A merge is made as the merging rules make theirs.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from syncer.core.choosing import has_renewed
from syncer.core.literals import split_image
from syncer.core.mark import KeyMarks
from syncer.core.merging import Merging
from syncer.core.outcome import Around, Base, ConflictKind, Decision, RowFact, Verdict
from syncer.core.pairing import PairedTable
from syncer.core.rules import Rule, RuleKind
from syncer.core.side import SIDES, Side
from syncer.ledger.requests import AskedConflict
from syncer.mysql.reader import RowRead
from syncer.service.oversize import SIZE
from syncer.service.reading import KeyGroup

PERSON = "person"
"""The path of a decision that somebody took."""

NO_BASE_ROW = 'no base row is known: a policy with column_merge, or base = "keep", keeps one'


Shown = tuple[str | None, ...] | None
"""A row as the journal keeps it."""


def answer(
    asked: AskedConflict,
    decision: Decision,
    table: PairedTable,
    group: KeyGroup,
    marks: KeyMarks,
    base: Base,
    *,
    shown: tuple[Shown, Shown],
    shown_base: Shown,
) -> Decision | None:
    """
    Return what takes the place of *decision* by what a person said; None: it stands.

    What is equal or cannot be decided yet stays so, and a one-way run writes to its target only. An answer needs the rows that the
    person saw, a merge the base, too; where it cannot be made the row is held, and the rule says why. To be held needs nothing.
    """
    said = asked.resolution
    kind, source = asked.entry.kind, table.policy.direction.source
    if group.crowded or decision.path == SIZE:
        return None
    if not (decision.verdict.waits or decision.verdict is Verdict.COPY):
        return None
    if said.holds:
        return _waits(Verdict.HOLD, kind, said.actor)
    if shown != (asked.entry.a_image, asked.entry.b_image):
        return None
    if said.skip:
        return _waits(Verdict.SKIP, kind, said.actor)
    if said.merge:
        if base.cells is not None and shown_base != asked.entry.base_image:
            base = Base(why="it is not the one that was shown")
        take = said.take
        return merge(table, kind, group.rows, marks, base, otherwise=take, actor=said.actor)
    if source not in {None, said.take}:
        return None
    return Decision(
        verdict=Verdict.COPY,
        winner=said.take,
        conflict=kind,
        rule=f"resolved by {said.actor}: take {said.take}",
        path=PERSON,
    )


def _waits(verdict: Verdict, kind: ConflictKind, actor: str) -> Decision:
    rule = f"resolved by {actor}: take {verdict.value}"
    return Decision(verdict=verdict, conflict=kind, rule=rule, path=PERSON)


def merge(
    table: PairedTable,
    kind: ConflictKind,
    rows: Mapping[Side, RowRead | None],
    marks: KeyMarks,
    base: Base,
    *,
    otherwise: Side | None,
    actor: str,
) -> Decision:
    """
    Make one row of both: the policy's merging rules first, then every column that one side alone changed is taken.

    Columns that both changed take the value of *otherwise*; without one the row is held, and the decision's rule says why.
    """
    why = _impossible(table, rows, marks, base)
    if why:
        return _refused(kind, actor, why)
    facts = {side: _fact(rows[side]) for side in SIDES}
    around = Around(columns=table.merging, base=base)
    # Both have a base and neither is a new row: versions of one, whatever it is held for.
    merging = Merging(ConflictKind.UPDATE_UPDATE, facts, table.policy, around)
    rules = [rule for rule in table.policy.chain if rule.kind.merges]
    if all(rule.kind is not RuleKind.COLUMN_MERGE for rule in rules):
        rules.append(Rule(RuleKind.COLUMN_MERGE))
    open_, wrong = "", ""
    for rule in rules:
        found = merging.ask(rule)
        open_ = "" if isinstance(found, Decision) else found.rule
        if isinstance(found, Decision) and found.verdict is Verdict.COPY:
            break
        if isinstance(found, Decision):
            wrong = wrong or found.rule  # a counter that cannot be added up
    if otherwise is None and (wrong or open_):
        return _refused(kind, actor, (wrong or open_).removesuffix(": hold"))
    if isinstance(found, Decision) and found.verdict is Verdict.COPY:
        return _asked(found, kind, actor, otherwise)
    taken = Decision(verdict=Verdict.COPY, winner=otherwise, conflict=kind)
    return _asked(merging.close(taken), kind, actor, otherwise)


def _impossible(
    table: PairedTable, rows: Mapping[Side, RowRead | None], marks: KeyMarks, base: Base
) -> str:
    if table.policy.direction.source is not None:
        return "one way, the source decides"
    if any(row is None for row in rows.values()):
        return "a row is absent"
    if any(has_renewed(marks.of(side).exact) for side in SIDES):
        return "the rows are no versions of one"
    if base.cells is None:
        return f"{NO_BASE_ROW} ({base.why})"
    a, b = (split_image(row.image) for row in rows.values() if row is not None)
    spelt = zip(table.merging, a, b, strict=True)
    if any(column.key and x != y for column, x, y in spelt):
        return "the key is spelt in two ways"
    return ""


def _fact(row: RowRead | None) -> RowFact:
    if row is None:
        return RowFact(None)
    return RowFact(row.digest, row.values, row.inside, tuple(split_image(row.image)))


def _asked(decision: Decision, kind: ConflictKind, actor: str, otherwise: Side | None) -> Decision:
    also = f", else {otherwise}" if otherwise is not None else ""
    return msgspec.structs.replace(
        decision, conflict=kind, rule=f"resolved by {actor}: take merge{also}", path=PERSON
    )


def _refused(kind: ConflictKind, actor: str, why: str) -> Decision:
    return Decision(
        verdict=Verdict.HOLD,
        conflict=kind,
        rule=f"merge asked for by {actor} was left: {why}",
        path=PERSON,
    )
