"""The model's clearing, folding and erasing against a real ledger; decisions that the model has brought to light."""

import random

import pytest

from syncer.core.decision import ConflictKind, RowFact, Verdict, decide
from syncer.core.mark import KeyMark, KeyMarks, Op, Reason, SideMarks, SpanMark, Touch
from syncer.core.policy import Policy
from syncer.core.record import Erasure, TransactionRecord
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.ledger.marks import raw_touch
from tests.model.rules import Rules
from tests.model.state import Config
from tests.unit.ledger.bench import Bench, position

KEY = 7


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "ledger.db")
    yield made
    made.ledger.close()


class Both:
    """One key of one side in a real ledger and in the model; every step is taken in both."""

    def __init__(self, bench, side):
        self.bench, self.side, self.rules = bench, side, Rules(Config())
        self.marks = (None, None)
        self.span = None
        self.seq = 0

    def touch(self, chance):
        self.seq += 1
        op, time = chance.choice(list(Op)), chance.randrange(5)
        exact = chance.random() < 0.7
        touch = Touch(self.seq, self.seq, op, op, False, time)
        # A run of keys as often as a point: both are kept, folded and cut by statements of their own.
        low, high = chance.choice([(KEY, KEY), (KEY, KEY), (KEY - 2, KEY + 2)])
        self.record(marks=(KeyMark(self.bench.t, low, high, touch, exact),))
        first, second = self.marks
        if exact:
            first = self.rules.fold(first, self.rules.touch(self.seq, op.value, time))
        else:
            second = self.rules.fold_inexact(second, (self.seq, self.seq, None))
        self.marks = first, second

    def spread(self, chance):
        self.seq += 1
        reason = chance.choice([Reason.BASELINE, Reason.STATEMENT, Reason.PURGED, Reason.CASCADE])
        self.record(spans=(SpanMark(self.bench.t, self.seq, reason),))
        self.span = self.rules.fold_inexact(self.span, (self.seq, self.seq, reason.value))

    def erase(self, _chance):
        self.seq += 1
        self.record(erase=(Erasure(self.bench.t, (KEY,)),))
        self.marks = self.rules.cleared(self.marks, self.seq - 1, absent=False)

    def clear(self, chance):
        lower = chance.randrange(-1, self.seq + 2)
        present = chance.choice([True, False])
        self.bench.ledger.clear(self.bench.t, [KEY], {self.side: lower}, {KEY: present})
        self.marks = self.rules.cleared(self.marks, lower, absent=not present)

    def record(self, **what):
        record = TransactionRecord(seq=self.seq, **what)
        self.bench.ledger.record(self.side, [record], position(self.seq))

    def check(self):
        exact, inexact = self.marks
        if self.span is not None:
            inexact = self.rules.fold_inexact(inexact, self.span)
        real = self.bench.ledger.marks_of(self.bench.t, [KEY])[KEY].of(self.side)
        assert (real.exact and raw_touch(real.exact)) == exact
        found = (real.inexact_first, real.inexact_last, real.reason and real.reason.value)
        assert found == (inexact or (None, None, None))


@pytest.mark.parametrize("seed", range(40))
def test_marks_are_folded_and_cut_as_the_ledger_does(bench, seed):
    chance = random.Random(seed)
    both = Both(bench, chance.choice(SIDES))
    for _ in range(30):
        step = chance.choice([both.touch, both.touch, both.clear, both.erase, both.spread])
        step(chance)
        both.check()


def inserted_after(reason):
    """A inserted at 2, maybe after something inexact at 1; B has no row and was inexactly marked."""
    touch = Touch(2, 2, Op.INSERT, Op.INSERT, False, 0)
    a = SideMarks(touch) if reason is None else SideMarks(touch, 1, 1, reason)
    return decide(
        KeyMarks(a, SideMarks(None, 1, 1, reason or Reason.PURGED)),
        {Side.A: RowFact("x"), Side.B: RowFact(None)},
        {side: Horizon(9, 9) for side in SIDES},
        Policy(),
    )


@pytest.mark.parametrize("reason", [Reason.PURGED, Reason.STATEMENT, Reason.RESTORED])
def test_an_insert_after_a_gap_is_no_proof_of_absence(reason):
    """The gap may hide the delete of a row that both had; then B's own delete of it would go without an entry."""
    decision = inserted_after(reason)
    assert (decision.verdict, decision.winner) == (Verdict.COPY, Side.A)
    assert decision.conflict is ConflictKind.UPDATE_DELETE
    assert decision.possible


@pytest.mark.parametrize("reason", [None, Reason.BASELINE])
def test_an_insert_that_began_a_history_is_a_new_row(reason):
    decision = inserted_after(reason)
    assert (decision.verdict, decision.winner) == (Verdict.COPY, Side.A)
    assert decision.conflict is None
