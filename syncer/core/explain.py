"""
A policy in words: what becomes of every kind of conflict. Pure.

Nothing here knows what a rule does: every line is a question that ``decide`` was asked, with each side in either part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

from syncer.core.decision import decide
from syncer.core.families import Course, Kin, Stand, course, word_of
from syncer.core.keyunits import compare
from syncer.core.lint import Cell
from syncer.core.mark import KeyMarks, Op, Reason, SideMarks, Touch
from syncer.core.outcome import (
    NO_BASE,
    Answer,
    Around,
    Base,
    Decision,
    RowFact,
    Verdict,
    WrittenColumn,
)
from syncer.core.policy import OnFk, Policy
from syncer.core.rules import Rule, RuleKind, RuleValue
from syncer.core.side import SIDES, Direction, Side
from syncer.core.visibility import Horizon

_AT = Horizon(10, 10)
_OPS: dict[Cell, tuple[str, str]] = {
    Cell.INSERT_INSERT: ("i", "i"),
    Cell.UPDATE_UPDATE: ("u", "u"),
    Cell.UPDATE_DELETE: ("u", "d"),
    Cell.RECREATE_UPDATE: ("di", "u"),
    Cell.RECREATE_DELETE: ("di", "d"),
    Cell.RECREATE_RECREATE: ("di", "di"),
    Cell.KEY_CHANGE_DIVERGENT: ("i", "i"),
    Cell.KEY_CHANGE_COLLISION: ("i", "i"),
}
_WAITING = {
    Verdict.HOLD: "held: a person decides",
    Verdict.HALT: "held, and the table waits until a person decides",
    Verdict.SKIP: "left as it is, until either side changes the row again",
}


_COURSES = {
    Course.HOLD: _WAITING[Verdict.HOLD],
    Course.RESTORE: "the parent comes back, the child stays",
    Course.DROP: "the child goes where it was written",
}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """
    What becomes of some kinds of conflict.

    Attributes:
        kinds: the kinds; one that falls into cells is told by them, as ``recreate against update``.
        when: what is found, in words; "" for whatever is found.
        outcome: what stands on both sides then, in words.
        rule: the rule or modifier that says so, as in the journal.
    """

    kinds: tuple[str, ...]
    when: str
    outcome: str
    rule: str


class _Case(msgspec.Struct, frozen=True):
    """
    What one rule may find: the values for the side in the first part and for the other, and who they are.

    *merge*, of a merging rule: done, left, null, unknown (the base). *stale*: the values are older than that of the base. *made*: a
    function returns a row.
    """

    when: str
    values: tuple[RuleValue | None, RuleValue | None] = (1, 1)
    times: tuple[int, int] | None = None
    answer: bool | None = None
    first: str = ""
    second: str = ""
    merge: str = ""
    stale: bool = False
    made: bool = False


_LEAST, _MOST = Decimal(0), Decimal(1_000)
_COLUMNS = re.compile(r"\b[cxy]\d+\b(, [cxy]\d+\b)*")
_SAME_TIME = (5_000_001, 5_000_001)
_OTHER_TIMES = (9_000_001, 5_000_001)
_NO_TIME = (0, 0)


def explain(policy: Policy) -> tuple[Outcome, ...]:
    """Say what becomes of every kind of conflict, in words."""
    if policy.direction is not Direction.BOTH:
        source = policy.direction.source or Side.A
        return (
            Outcome(
                kinds=("every kind",),
                when="",
                outcome=f"what side {source.value.upper()} has stands",
                rule=f"direction={policy.direction}",
            ),
        )
    told: dict[tuple[tuple[str, str, str], ...], list[str]] = {}
    for cell in Cell:
        lines = tuple(_lines(cell, policy))
        told.setdefault(lines, []).append(cell.value)
    found = [
        Outcome(kinds=tuple(kinds), when=when, outcome=outcome, rule=rule)
        for lines, kinds in told.items()
        for when, outcome, rule in lines
    ]
    return (*found, *_unknown(policy))


def _unknown(policy: Policy) -> Iterator[Outcome]:
    for when, reason in (
        ("no stream ever told of the row (baseline)", Reason.BASELINE),
        ("a gap in the history may hide a delete", Reason.PURGED),
    ):
        marks = SideMarks(None, 0, 0, reason)
        rows = {Side.A: RowFact("a"), Side.B: RowFact(None)}
        found = decide(KeyMarks(marks, marks), rows, dict.fromkeys(SIDES, _AT), policy)
        copied = found.verdict is Verdict.COPY
        outcome = "the row is copied" if copied else _WAITING[found.verdict]
        yield Outcome(kinds=("presence_ambiguous",), when=when, outcome=outcome, rule=found.rule)
    emptied = SideMarks(None, 5, 5, Reason.TRUNCATE)
    rows = {Side.A: RowFact("a"), Side.B: RowFact(None)}
    both = KeyMarks(_marks("u", 0), emptied)
    found = decide(both, rows, dict.fromkeys(SIDES, _AT), policy)
    yield Outcome(
        kinds=("truncate_dml",),
        when="one side truncated the table, the other one changed the row",
        outcome="the row stays" if found.verdict is Verdict.COPY else _WAITING[found.verdict],
        rule=found.rule,
    )
    yield _family(policy)


def _family(policy: Policy) -> Outcome:
    """Say what becomes of a row of the table as the child, and as the parent of tables that say nothing."""
    word = word_of(policy, None)
    outcome = _COURSES[course([Kin(word, Stand.WANTS)])]
    if word is OnFk.CASCADE:
        outcome += ", and so do its own children"
    if policy.on_fk is None:
        outcome = f"what the parent's table says; {outcome}"
    return Outcome(
        kinds=("fk_parent_missing", "fk_child_exists"),
        when="one side wrote a child, the other one deleted its parent",
        outcome=outcome,
        rule=f"on_fk={word}",
    )


def _lines(
    cell: Cell, policy: Policy, at: int = 0, before: tuple[_Case, ...] = ()
) -> Iterator[tuple[str, str, str]]:
    """Yield (when, outcome, rule) of one cell: the cases of the rule at *at*, and of the next where it leaves one open."""
    last = at == len(policy.chain) - 1
    for case in _possible(_cases(policy.chain[at], cell) + _stale(policy, at, cell), before):
        found = _both(cell, policy, (*before, case))
        left = not last and _is_left(cell, policy, at, (*before, case))
        if left:
            yield from _lines(cell, policy, at + 1, (*before, case))
            continue
        when = "; ".join(part.when for part in (*before, case) if part.when)
        yield when, _words(cell, case, *found), found[0].rule


def _is_left(cell: Cell, policy: Policy, at: int, cases: tuple[_Case, ...]) -> bool:
    """Whether the rule at *at* leaves its case open: another rule behind it would be asked."""
    probe = msgspec.structs.replace(
        policy, fallbacks=(*policy.chain[1 : at + 1], Rule(RuleKind.SKIP))
    )
    return policy.chain[at].kind is not RuleKind.SKIP and all(
        decision.verdict is Verdict.SKIP for decision in _both(cell, probe, cases)
    )


def _cases(rule: Rule, cell: Cell) -> list[_Case]:
    kind = rule.kind
    if kind is RuleKind.CUSTOM:
        return [
            _Case(f"{rule} names a side", answer=True, first="what it names stands"),
            *([] if cell.absent else [_Case(f"{rule} returns a row", made=True)]),
            _Case(f"{rule} leaves it open"),
        ]
    if kind.merges:
        return _merge_cases(rule, cell)
    if kind.compares and rule.column is None:
        unknown = _Case("a commit time is not known", times=_NO_TIME)
        if cell is Cell.DRIFT:
            return [unknown]
        return [
            _Case(
                "the commit times differ",
                times=_OTHER_TIMES,
                first="the later change stands",
                second="the earlier change stands",
            ),
            _Case("the commit times are equal", times=_SAME_TIME),
            unknown,
        ]
    if cell.absent or (cell is Cell.RECREATE_UPDATE and not kind.tests):
        return [_Case("")]
    if kind.compares:
        return [
            _Case(
                f"{rule.column} differs",
                (2, 1),
                first=f"the row with the greater {rule.column} stands",
                second=f"the row with the smaller {rule.column} stands",
            ),
            _Case(f"{rule.column} is equal"),
            _Case(
                f"{rule.column} is NULL on one side",
                (1, None),
                first="the row with a value stands",
                second="the row with NULL stands",
            ),
            _Case(f"{rule.column} is NULL on both sides", (None, None)),
        ]
    if kind.tests:
        return [
            _Case(f"one row passes {rule}", (1, 0), first="the row that passes stands"),
            _Case(f"both or neither pass {rule}", (0, 0)),
        ]
    return [_Case("")]


def _stale(policy: Policy, at: int, cell: Cell) -> list[_Case]:
    """What a comparing rule finds beside the values, where the base is kept."""
    rule = policy.chain[at]
    if not (policy.needs_base and rule.kind.compares and rule.column):
        return []
    if cell is not Cell.UPDATE_UPDATE:
        return []
    return [
        _Case(
            f"a change left {rule.column} as it was, or set it back",
            times=_OTHER_TIMES,
            first="the later change stands",
            second="the earlier change stands",
            stale=True,
        )
    ]


def _possible(cases: list[_Case], before: Sequence[_Case]) -> list[_Case]:
    """Leave out what contradicts *before*: the row that both agreed on is known to all rules or to none."""
    said = {case.merge for case in before} - {""}
    ours = [case for case in cases if case.merge == "unknown"]
    if "unknown" in said and ours:
        return [_Case("", merge="unknown")]
    if "unknown" in said:
        cases = [case for case in cases if not case.stale]
    if (said or any(case.stale for case in before)) and len(cases) > 1:
        return [case for case in cases if case.merge != "unknown"]
    return cases


def _merge_cases(rule: Rule, cell: Cell) -> list[_Case]:
    if cell.absent or cell is Cell.RECREATE_UPDATE or (rule.kind.needs_base and cell.two_rows):
        return [_Case("", merge="unknown")]
    unknown = _Case("the row that both agreed on is not known", merge="unknown")
    if rule.kind is RuleKind.COLUMN_MERGE:
        return [
            _Case("no column was changed on both sides", merge="done"),
            _Case("a column was changed on both sides", merge="left"),
            unknown,
        ]
    names = ", ".join(name for group in rule.groups for name in group)
    cases = [
        _Case(f"only {names} differ", merge="done"),
        _Case("other columns differ too", merge="left"),
    ]
    if rule.kind is not RuleKind.DELTA:
        return cases
    null = _Case(f"a sum of {names} is NULL or out of range", merge="null")
    return [*cases, null, unknown]


_CELLS = {
    (RuleKind.DELTA, "done"): (("1", "2", "3"), ("1", "2", "3")),
    (RuleKind.DELTA, "left"): (("1", "2", "3"), ("1", "2", "3"), ("1", "2", "1")),
    (RuleKind.DELTA, "null"): (("1", "NULL", "3"), ("1", "1", "1")),
    (RuleKind.COLUMN_MERGE, "done"): (("1", "2", "1"), ("1", "1", "2")),
    (RuleKind.COLUMN_MERGE, "left"): (("1", "2", "3"), ("1", "2", "1"), ("1", "1", "2")),
    (RuleKind.COLUMN_MERGE, "unknown"): (("1", "2", "1"), ("1", "1", "2")),
    (RuleKind.MAX, "done"): (("1", "2", "1"), ("1", "1", "2")),
    (RuleKind.MAX, "left"): (("1", "2", "1"), ("1", "1", "2"), ("1", "2", "1")),
}
"""Per rule and case: the base, the side in the first part, the other one, of the columns c and y of the rule, and of one beside."""
_SAME = (("1", "1", "1"),) * 3


def _merged_cells(rules: Sequence[Rule], cases: Sequence[_Case]) -> dict[str, tuple[str, ...]]:
    """Return base, first and other of the columns that the merging rules look at."""
    found: dict[str, tuple[str, ...]] = {}
    for at, rule in enumerate(rules):
        if not rule.kind.merges:
            continue
        case = cases[at].merge if at < len(cases) else ""
        kind = RuleKind.MAX if rule.kind is RuleKind.MIN else rule.kind
        cells = _CELLS.get((kind, case), _SAME)
        found |= {f"{name}{at}": one for name, one in zip("cyx", cells, strict=False)}
    return found


def _both(cell: Cell, policy: Policy, cases: tuple[_Case, ...]) -> tuple[Decision, Decision]:
    """Ask twice: side A in the first part of every case, then side B."""
    return _ask(cell, policy, cases, Side.A), _ask(cell, policy, cases, Side.B)


def _ask(cell: Cell, policy: Policy, cases: tuple[_Case, ...], first: Side) -> Decision:
    # Every rule reads a column of its own, and a test is passed by 1: what one finds says nothing of the others.
    rules = [
        msgspec.structs.replace(
            rule,
            kind=RuleKind.EQUALS if rule.kind.tests else rule.kind,
            column=None if rule.column is None else f"c{at}",
            test="1" if rule.kind.tests else rule.test,
            groups=((f"c{at}",), (f"y{at}",)) if rule.groups and not _bare(rule) else (),
        )
        for at, rule in enumerate(policy.chain)
    ]
    asked = msgspec.structs.replace(policy, rule=rules[0], fallbacks=tuple(rules[1:]))
    times = next((case.times for case in cases if case.times), _NO_TIME)
    named, made = any(case.answer for case in cases), any(case.made for case in cases)
    cells = _merged_cells(rules, cases)
    stale = {f"c{at}" for at, case in enumerate(cases) if case.stale}
    was = tuple(9 if name in stale else 0 for name in asked.columns)
    marks, rows = {}, {}
    for part, side in enumerate((first, first.other)):
        values = [
            cases[at].values[part] if at < len(cases) else 1
            for at, rule in enumerate(rules)
            if rule.column is not None
        ]
        values = [
            values.pop(0) if name not in cells else _number(cells[name][1 + part])
            for name in asked.columns
        ]
        ops = None if cell is Cell.DRIFT else _OPS[cell][part]
        gone = ops is not None and ops.endswith("d")
        marks[side] = SideMarks(None, 0, 0) if ops is None else _marks(ops, times[part])
        mine = tuple(cells[name][1 + part] for name in cells)
        rows[side] = RowFact(None) if gone else RowFact(side.value, tuple(values), cells=mine)

    def consult(_rule: Rule, _kind: object) -> Answer:
        if made:
            return Answer(row=("9",) * len(cells))
        return Answer(winner=first) if named else Answer(leaves=True)

    around = Around(
        consult=consult,
        columns=tuple(WrittenColumn(name, _LEAST, _MOST) for name in cells),
        base=NO_BASE
        if any(case.merge == "unknown" for case in cases)
        else Base(tuple(one[0] for one in cells.values()), "", was),
    )
    both = KeyMarks(marks[Side.A], marks[Side.B])
    if cell is Cell.KEY_CHANGE_DIVERGENT:
        found = compare(both, rows, asked, around)
    else:
        found = decide(both, rows, dict.fromkeys(SIDES, _AT), asked, around)
    return msgspec.structs.replace(found, rule=_renamed(found.rule, rules, policy.chain))


def _bare(rule: Rule) -> bool:
    """It takes every column that no other rule has."""
    return rule.kind is RuleKind.COLUMN_MERGE


def _number(cell: str) -> int | None:
    return None if cell == "NULL" else int(cell)


def _renamed(text: str, rules: Sequence[Rule], shown: Sequence[Rule]) -> str:
    """Put the policy's own rules in the place of those that were asked, and words in the place of their columns."""
    for at, rule in enumerate(rules):
        text = text.replace(str(rule), f"\0{at}\0")
    text = _COLUMNS.sub("a column", text)
    for at, rule in enumerate(shown):
        text = text.replace(f"\0{at}\0", str(rule))
    return text


def _marks(ops: str, commit_us: int) -> SideMarks:
    touch: Touch | None = None
    for op in ops:
        one = Touch(5, 5, Op(op), Op(op), recreated=False, commit_us=commit_us)
        touch = one if touch is None else touch.fold(one)
    return SideMarks(exact=touch)


def _words(cell: Cell, case: _Case, of_a: Decision, of_b: Decision) -> str:
    if of_a.verdict.waits:
        return _WAITING[of_a.verdict]
    if of_a.merged is not None:
        return "a row made of both stands"
    if of_a.winner is of_b.winner and of_a.winner is not None:
        side = of_a.winner.value.upper()
        if of_a.keeps and cell is Cell.KEY_CHANGE_DIVERGENT:
            return "both rows stay, each under its own key"
        if of_a.keeps:
            return f"the row of side {side} keeps the key, the other one gets a new key"
        return f"what side {side} has stands"
    mine = of_a.winner is Side.A
    if case.first:
        return case.first if mine else case.second or "the other row stands"
    if cell.absent:
        return "the row stays" if mine else "the row is deleted"
    return "the new row stands" if mine else "the old row stands"
