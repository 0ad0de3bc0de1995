"""A merge that a person asked for: made as the merging rules make theirs, of rows and a base that are what the person saw. No I/O."""

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
from syncer.mysql.reader import RowRead

PERSON = "person"
"""The path of a decision that somebody took."""

NO_BASE_ROW = 'no base row is known: a policy with column_merge, or base = "keep", keeps one'


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
