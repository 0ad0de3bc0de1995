"""What holds for every decision: both labels alike, nothing left to decide after the write, nothing lost unsaid."""

from __future__ import annotations

import os

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from syncer.core import onesided
from syncer.core.decision import Decision, RowFact, Verdict, decide
from syncer.core.lint import holes
from syncer.core.mark import KeyMarks, Op, Reason, SideMarks, Touch
from syncer.core.policy import OnDelete, OnNull, OnTie, Policy, Presence, Rule, RuleKind
from syncer.core.rules import parse_chain
from syncer.core.side import SIDES, Direction, Side
from syncer.core.visibility import NOTHING, Horizon
from tests.unit.core.schemas import column, table

EXAMPLES = 250 if "CI" in os.environ else 600
"""CI takes the same examples every time, so that more of them find nothing more; elsewhere they are others in every run."""
SEQS = st.integers(0, 9)
SPREADS = st.tuples(SEQS, SEQS).map(sorted)
TIMES = st.sampled_from([0, 1, 2, 1_000_000, 1_000_001, 2_000_000, 5_000_000, 5_000_003])


@st.composite
def touches(draw):
    first, last = draw(SPREADS)
    return Touch(
        first,
        last,
        draw(st.sampled_from(Op)),
        draw(st.sampled_from(Op)),
        draw(st.booleans()),
        draw(TIMES),
    )


@st.composite
def side_marks(draw):
    exact = draw(st.none() | touches())
    if draw(st.booleans()):
        return SideMarks(exact=exact)
    first, last = draw(SPREADS)
    return SideMarks(exact, first, last, draw(st.none() | st.sampled_from(Reason)))


VALUES = st.tuples(st.none() | st.integers(0, 3))
ROWS = st.one_of(
    st.just(RowFact(None)),
    st.builds(RowFact, st.sampled_from(["x", "y"]), VALUES),
)
HORIZONS = st.one_of(
    SPREADS.map(lambda pair: Horizon(*pair)), SEQS.map(lambda n: Horizon(NOTHING, n))
)
RULES = st.sampled_from(
    [
        "hold",
        "prefer:a",
        "prefer:b",
        "newest",
        "oldest",
        *(f"{k}:c" for k in RuleKind if k.compares),
        "halt",
        "skip",
        "update_wins then delete_wins",
        "delete_wins then newest:c then hold",
        "equals:c=1 then keep_both:a then newest then halt",
        "matches:c=[23] then lowest_version:c then prefer:b",
        "keep_both:b then update_wins then skip",
        "newest:c then oldest then prefer:a",
    ]
).map(parse_chain)


def _policy(chain, **modifiers):
    return Policy(rule=chain[0], fallbacks=chain[1:], **modifiers)


POLICIES = st.builds(
    _policy,
    chain=RULES,
    on_delete=st.none() | st.sampled_from(OnDelete),
    on_tie=st.none() | st.sampled_from(OnTie),
    on_null=st.none() | st.sampled_from(OnNull),
    presence=st.sampled_from(Presence),
    direction=st.sampled_from(Direction),
)
WORLDS = st.tuples(side_marks(), side_marks(), ROWS, ROWS, HORIZONS, HORIZONS, POLICIES)
SETTLED = st.sampled_from([Horizon(9, 9), Horizon(5, 5)])
DIFFERENT = st.tuples(
    side_marks(),
    side_marks(),
    st.builds(RowFact, st.just("x"), VALUES),
    st.just(RowFact(None)) | st.builds(RowFact, st.just("y"), VALUES),
    SETTLED,
    SETTLED,
    POLICIES,
)
"""Rows that differ within one bound: most of these are decided; A has the row."""


def judged(a, b, row_a, row_b, ends_a, ends_b, policy) -> Decision:
    return decide(
        KeyMarks(a, b), {Side.A: row_a, Side.B: row_b}, {Side.A: ends_a, Side.B: ends_b}, policy
    )


def relabelled(policy):
    """The same policy where A is called B."""
    rule, *behind = (
        rule if rule.side is None else Rule(rule.kind, side=rule.side.other)
        for rule in policy.chain
    )
    tie = {OnTie.A: OnTie.B, OnTie.B: OnTie.A}
    way = {Direction.A_TO_B: Direction.B_TO_A, Direction.B_TO_A: Direction.A_TO_B}
    return msgspec.structs.replace(
        policy,
        rule=rule,
        fallbacks=tuple(behind),
        on_tie=tie.get(policy.on_tie, policy.on_tie),
        direction=way.get(policy.direction, policy.direction),
    )


@given(WORLDS)
@settings(max_examples=EXAMPLES)
def test_labels_do_not_matter(world):
    """Sides and the policy's sides swapped: the decision with its winner swapped."""
    a, b, row_a, row_b, ends_a, ends_b, policy = world
    found = judged(*world)
    swapped = judged(b, a, row_b, row_a, ends_b, ends_a, relabelled(policy))
    assert swapped.winner == (found.winner.other if found.winner else None)
    for name in ("verdict", "conflict", "path", "possible", "keeps"):
        assert getattr(swapped, name) == getattr(found, name)


@given(WORLDS)
def test_the_same_facts_give_the_same_decision(world):
    assert judged(*world) == judged(*world)


@given(DIFFERENT, SEQS)
@settings(max_examples=EXAMPLES)
def test_after_the_write_nothing_is_left_to_decide(world, extra):
    """Rows as the decision made them, the marks that it cleared gone: equal, whoever looks again."""
    a, b, row_a, row_b, _ends_a, _ends_b, policy = world
    found = judged(*world)
    if found.verdict is not Verdict.COPY:
        return
    result = {Side.A: row_a, Side.B: row_b}[found.winner]
    later = Horizon(9 + extra, 9 + extra)
    for left in ((a, b), (SideMarks(), SideMarks())):
        again = judged(*left, result, result, later, later, policy)
        assert again.verdict is Verdict.EQUAL


@given(WORLDS)
@settings(max_examples=EXAMPLES)
def test_a_decision_is_whole(world):
    """A copy has a winner and the others none; whatever is held says what it is and why."""
    found = judged(*world)
    assert (found.winner is not None) == (found.verdict is Verdict.COPY)
    if found.verdict.waits:
        assert found.conflict is not None
        assert found.rule
        assert found.path
    if found.conflict is not None:
        assert found.verdict is Verdict.COPY or found.verdict.waits
        assert found.rule
    if found.possible:
        assert found.conflict is not None


@given(WORLDS)
@settings(max_examples=EXAMPLES)
def test_a_total_policy_leaves_nothing_open(world):
    """Where no hole is named, a hold is asked for by name or is about what nobody can know."""
    policy = world[-1]
    value_nullable = table(column(), column("c", nullable=True))
    if holes(policy, value_nullable):
        return
    found = judged(*world)
    if found.verdict is Verdict.HOLD and all(r.kind is not RuleKind.HOLD for r in policy.chain):
        asked = {"on_delete=hold", "on_tie=hold", "on_null=hold", "presence=hold"}
        unknown = found.path == "presence" or found.rule == "no commit time: hold"
        assert found.rule in asked or unknown
        for name in ("on_delete", "on_tie", "on_null", "presence"):
            if found.rule == f"{name}=hold":
                assert getattr(policy, name) == "hold"


@given(DIFFERENT)
@settings(max_examples=EXAMPLES)
def test_a_change_that_is_overwritten_is_journaled(world):
    """P2: the target's own exact change, if the rows contain it, never goes without an entry."""
    a, b, *_, ends_a, ends_b, _policy = world
    found = judged(*world)
    if found.verdict is not Verdict.COPY:
        return
    target = found.winner.other
    mark, ends = {Side.A: (a, ends_a), Side.B: (b, ends_b)}[target]
    if mark.exact is not None and mark.exact.first_seq <= ends.lower:
        row = {Side.A: world[2], Side.B: world[3]}[target]
        came_and_went = mark.exact.first_op is Op.INSERT and not row.present
        assert found.conflict is not None or came_and_went


@given(DIFFERENT)
@settings(max_examples=EXAMPLES)
@example(
    (
        SideMarks(None, 1, 1, Reason.PURGED),
        SideMarks(None, 1, 1, Reason.BASELINE),
        RowFact(None),
        RowFact("x"),
        Horizon(5, 5),
        Horizon(5, 5),
        Policy(direction=Direction.A_TO_B),
    )
)
@example(
    (
        SideMarks(None, 0, 0, Reason.BASELINE),
        SideMarks(None, 6, 6),  # beyond the rows: it says nothing of them
        RowFact("x"),
        RowFact(None),
        Horizon(9, 9),
        Horizon(5, 5),
        Policy(direction=Direction.B_TO_A),
    )
)
def test_nothing_is_deleted_on_a_guess(world):
    """Without an event that says so a row goes in one case only: a one-way baseline, and it is journaled."""
    a, b, row_a, row_b, ends_a, ends_b, policy = world
    found = judged(*world)
    if found.verdict is not Verdict.COPY:
        return
    rows, marks = {Side.A: row_a, Side.B: row_b}, {Side.A: a, Side.B: b}
    if rows[found.winner].present:
        return
    exactly = any(
        marks[side].exact is not None and marks[side].exact.first_seq <= ends.lower
        for side, ends in zip(SIDES, (ends_a, ends_b), strict=True)
    )
    told = marks[found.winner].reason in {Reason.TRUNCATE, Reason.STATEMENT, Reason.CASCADE}
    # Both had the row, a cascade changed it at one side, and at the other it is gone without an event: a rule decided.
    unseen = marks[found.winner.other].reason is Reason.CASCADE and found.conflict is not None
    reasons = {
        m.reason
        for m, ends in ((a, ends_a), (b, ends_b))
        if m.inexact_first is not None and m.inexact_first <= ends.lower
    }
    baseline = policy.direction.source is found.winner and reasons == {Reason.BASELINE}
    by_source = baseline and policy.presence is Presence.COPY and found.conflict is not None
    assert exactly or told or by_source or unseen


@given(WORLDS, st.sampled_from(SIDES), st.integers(1, 5))
@settings(max_examples=EXAMPLES)
def test_marks_after_the_rows_change_nothing(world, side, beyond):
    """A mark newer than both bounds never speaks about rows read before it (model README §4.1)."""
    a, b, row_a, row_b, ends_a, ends_b, policy = world
    marks = {Side.A: a, Side.B: b}
    marks[side] = SideMarks()
    found = judged(marks[Side.A], marks[Side.B], *world[2:])
    ends = {Side.A: ends_a, Side.B: ends_b}[side]
    number = ends.upper + beyond
    marks[side] = SideMarks(
        Touch(number, number, Op.UPDATE, Op.UPDATE, recreated=False, commit_us=1)
    )
    with_later = judged(marks[Side.A], marks[Side.B], row_a, row_b, ends_a, ends_b, policy)
    unmarked = marks[side.other] == SideMarks()
    if found.verdict is Verdict.ALARM or (found.verdict is Verdict.EQUAL and unmarked):
        assert with_later.verdict is Verdict.LATER
    else:
        assert with_later == found


@given(touches(), st.sampled_from(SIDES), ROWS, ROWS, POLICIES, st.integers(0, 3), st.booleans())
@settings(max_examples=EXAMPLES)
def test_what_is_said_of_one_side_s_changes_is_what_is_decided(
    touch, side, mine, other, policy, above, other_proven
):
    """``onesided.verdict`` stands for ``decide`` where one side alone has marks, all of them proven."""
    if not onesided.may_be(policy, side):
        return
    said = onesided.verdict(
        touch.first_op,
        mine.digest,
        other.digest,
        one_way=policy.direction.source is not None,
    )
    if said is None:
        return
    marks = {side: SideMarks(touch), side.other: SideMarks()}
    ends = Horizon(touch.last_seq, touch.last_seq + above)
    theirs = Horizon(5, 7) if other_proven else Horizon(NOTHING, 7)
    found = decide(
        KeyMarks(marks[Side.A], marks[Side.B]),
        {side: mine, side.other: other},
        {side: ends, side.other: theirs},
        policy,
    )
    assert found.verdict is said
    assert found.conflict is None
    assert found.merged is None
    assert not found.keeps
    if said is Verdict.COPY:
        assert found.winner is side
