"""
The ledger against a reference that keeps one entry per key and knows no runs, no folding in SQL and no files.

Keys of the table of integers are 0..11, of the table of texts four blobs. Every step compares all marks of all keys.
"""

import itertools
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from syncer.core.mark import KeyMark, KeyMarks, Op, Reason, SideMarks, SpanMark, Touch
from syncer.core.record import Erasure, RowRecord, TransactionRecord
from syncer.core.schema import TableName
from syncer.core.side import SIDES
from syncer.ledger.ledger import Ledger
from syncer.ledger.records import Batch, IntentItem
from tests.unit.ledger.bench import FakeClock, position

INTEGERS = list(range(12))
BLOBS = [b"a", b"b", b"c", b"d"]
NUMBERS = st.integers(0, 11)
STEP = st.integers(1, 4)
SIDE = st.sampled_from(SIDES)
OP = st.sampled_from(list(Op))
INT_KEYS = st.lists(NUMBERS, min_size=1, unique=True)
PRESENT = st.one_of(st.none(), st.sets(NUMBERS))


class Reference:
    """What the ledger should hold, key by key."""

    def __init__(self):
        self.marks = {}  # (table, side, exact, key) -> (Touch, reason)
        self.spans = {}  # (table, side, key) -> [first, last, reason]
        self.held = set()  # (table, key)
        self.later = {}  # (table, side, exact, key) -> not_before

    def touched(self, table, side, key, touch, *, exact, reason=None):
        at = (table, side, exact, key)
        old = self.marks.get(at)
        self.marks[at] = (
            (touch, reason) if old is None else (old[0].fold(touch), join(old[1], reason))
        )
        self.held.discard((table, key))

    def spanned(self, table, side, keys, seq, reason):
        for key in keys:
            old = self.spans.get((table, side, key))
            self.spans[table, side, key] = (
                [seq, seq, reason]
                if old is None
                else [min(old[0], seq), max(old[1], seq), join(old[2], reason)]
            )
        # What marks a whole table may have settled any of its held keys.
        self.held = {(t, key) for t, key in self.held if t != table}

    def cleared(self, table, keys, lower, absent):
        for at, (touch, reason) in list(self.marks.items()):
            if at[0] != table or at[3] not in keys:
                continue
            bound = lower.get(at[1], -1)
            if touch.last_seq <= bound:
                del self.marks[at]
                self.later.pop(at, None)
            elif touch.first_seq <= bound:
                op = touch.first_op
                op = Op.INSERT if at[3] in absent else Op.UPDATE if op is Op.INSERT else op
                self.marks[at] = (
                    Touch(bound + 1, touch.last_seq, op, *touch_rest(touch)),
                    reason,
                )
        self.held &= {(t, k) for t, _, _, k in self.marks}

    def of(self, table, key, *, any_span):
        return KeyMarks(*(self._of(table, side, key, any_span) for side in SIDES))

    def _of(self, table, side, key, any_span):
        exact = self.marks.get((table, side, True, key))
        spans = [
            tuple(span)
            for (t, s, k), span in self.spans.items()
            if (t, s) == (table, side) and (any_span or k == key)
        ]
        inexact = self.marks.get((table, side, False, key))
        if inexact is not None:
            spans.append((inexact[0].first_seq, inexact[0].last_seq, inexact[1]))
        if not spans:
            return SideMarks(exact and exact[0])
        reason = None
        for _, _, each in spans:
            reason = join(reason, each)
        return SideMarks(
            exact and exact[0], min(s[0] for s in spans), max(s[1] for s in spans), reason
        )


def touch_rest(touch):
    return touch.last_op, touch.recreated, touch.commit_us


def join(one, other):
    return other if rank(other) > rank(one) else one


def rank(reason):
    return {None: 0, Reason.BASELINE: 1, Reason.CASCADE: 2}.get(reason, 3)


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.ledger = self.open()
        self.t = self.ledger.table_id(TableName("d", "integers"))
        self.u = self.ledger.table_id(TableName("d", "texts"))
        self.ref = Reference()
        self.seq = dict.fromkeys(SIDES, 0)
        self.batches = {}
        self.prepared = {}

    def open(self):
        return Ledger.open(self.folder / "l.db", pair_id="p", identity={}, clock=self.clock)

    def teardown(self):
        self.ledger.close()
        shutil.rmtree(self.folder)

    def keys_of(self, table):
        return INTEGERS if table == self.t else BLOBS

    def next_touch(self, side, op):
        self.seq[side] += 1
        seq = self.seq[side]
        return Touch(seq, seq, op, op, False, seq * 7)

    def save(self, side, **parts):
        seq = self.seq[side]
        self.ledger.record(side, [TransactionRecord(seq=seq, **parts)], position(seq))

    @rule(
        side=SIDE,
        changes=st.lists(
            st.tuples(
                st.lists(st.tuples(NUMBERS, st.integers(0, 5), STEP), max_size=3), OP, st.booleans()
            ),
            min_size=1,
            max_size=4,
        ),
    )
    def record_integers(self, side, changes):
        """Several transactions with points and runs in one call."""
        records = []
        for bounds, op, exact in changes:
            touch = self.next_touch(side, op)
            marks = []
            for low, more, step in bounds:
                keys = range(low, min(11, low + more * step) + 1, step)
                marks.append(KeyMark(self.t, low, keys[-1], touch, exact, step))
                for key in keys:
                    self.ref.touched(self.t, side, key, touch, exact=exact)
            records.append(TransactionRecord(seq=touch.last_seq, marks=tuple(marks)))
        self.ledger.record(side, records, position(self.seq[side]))

    @rule(side=SIDE, keys=st.lists(NUMBERS | st.sampled_from(BLOBS), min_size=1, max_size=4), op=OP)
    def record_rows(self, side, keys, op):
        """Transactions of one row each, in their short form."""
        records = []
        for key in keys:
            table, touch = (self.t if isinstance(key, int) else self.u), self.next_touch(side, op)
            records.append(RowRecord(touch.last_seq, table, key, op, touch.commit_us))
            self.ref.touched(table, side, key, touch, exact=True)
        self.ledger.record(side, records, position(self.seq[side]))

    @rule(side=SIDE, key=st.sampled_from(BLOBS), op=OP, exact=st.booleans())
    def record_text(self, side, key, op, exact):
        touch = self.next_touch(side, op)
        self.save(side, marks=(KeyMark(self.u, key, key, touch, exact),))
        self.ref.touched(self.u, side, key, touch, exact=exact)

    @rule(side=SIDE, low=NUMBERS, more=st.integers(0, 5), step=STEP, op=OP)
    def spill(self, side, low, more, step, op):
        self.seq[side] += 1
        touch = Touch(self.seq[side], self.seq[side], op, op, False, 0)
        keys = range(low, min(11, low + more * step) + 1, step)
        self.ledger.spill(side, [KeyMark(self.t, low, keys[-1], touch, True, step)])
        for key in keys:
            self.ref.touched(self.t, side, key, touch, exact=True)

    @rule(side=SIDE, erased=INT_KEYS, key=NUMBERS, op=OP)
    def own_write(self, side, erased, key, op):
        touch = self.next_touch(side, op)
        self.save(
            side,
            erase=(Erasure(self.t, tuple(erased)),),
            marks=(KeyMark(self.t, key, key, touch),),
        )
        self.ref.cleared(self.t, erased, {side: touch.last_seq - 1}, set())
        self.ref.touched(self.t, side, key, touch, exact=True)

    @rule(
        side=SIDE,
        xid=st.sampled_from("xy"),
        parts=st.lists(st.tuples(NUMBERS, OP), min_size=1, max_size=3),
    )
    def prepare(self, side, xid, parts):
        """All but the last change of the branch were spilled."""
        self.seq[side] += 1
        seq = self.seq[side]
        changes = [(key, Touch(seq, seq, op, op, False, seq * 7)) for key, op in parts]
        marks = [KeyMark(self.t, key, key, touch) for key, touch in changes]
        for place, mark in enumerate(marks[:-1]):
            self.ledger.spill_branch(side, [mark], (), first=place == 0)
        self.save(side, prepared_xid=xid, marks=(marks[-1],), spilled=len(parts) > 1)
        self.prepared[side, xid] = changes

    @rule(side=SIDE, xid=st.sampled_from("xy"), commit=st.booleans())
    def end_xa(self, side, xid, commit):
        self.seq[side] += 1
        seq = self.seq[side]
        known = self.prepared.pop((side, xid), None)
        if not commit:
            self.save(side, rolled_back_xid=xid)
            return
        self.save(side, committed_xid=xid)
        if known is None:
            for table in (self.t, self.u):
                self.ref.spanned(table, side, self.keys_of(table), seq, Reason.UNREADABLE)
        else:
            for key, touch in known:
                stamped = Touch(seq, seq, touch.first_op, *touch_rest(touch))
                self.ref.touched(self.t, side, key, stamped, exact=True)

    @rule(side=SIDE, text=st.booleans(), reason=st.sampled_from(list(Reason)))
    def mark_by_stream(self, side, text, reason):
        self.seq[side] += 1
        table = self.u if text else self.t
        self.save(side, spans=(SpanMark(table, self.seq[side], reason),))
        self.ref.spanned(table, side, self.keys_of(table), self.seq[side], reason)

    @rule(text=st.booleans())
    def start(self, text):
        table = self.u if text else self.t
        self.ledger.start(
            {side: position(self.seq[side]) for side in SIDES}, [table], Reason.BASELINE
        )
        for side in SIDES:
            self.ref.spanned(table, side, self.keys_of(table), self.seq[side], Reason.BASELINE)

    @rule(data=st.data())
    def narrow(self, data):
        span = self.ledger.claim_span(0)
        if span is None:
            assert not self.ref.spans
            return
        table = span.table_id
        keys = self.keys_of(table)
        inside = [
            k
            for k in keys
            if (span.low is None or k >= span.low) and (span.high is None or k < span.high)
        ]
        # A bound at the first key would leave a span without a key, which the reference cannot tell from none.
        up_to = data.draw(st.sampled_from([None, *[k for k in inside[1:] if k != keys[0]]]))
        chunk = [k for k in inside if up_to is None or k < up_to]
        differing = data.draw(
            st.lists(st.sampled_from(chunk), unique=True) if chunk else st.just([])
        )
        lower = {
            side: data.draw(st.integers(seq - 1, self.seq[side])) for side, seq in span.seqs.items()
        }
        before = {side: [self.ref.spans[table, side, k] for k in inside] for side in span.sides}
        refused = any(lower[side] < seq for side, seq in span.seqs.items())
        try:
            self.ledger.narrow_span(span, up_to=up_to, keys=differing, lower=lower)
        except ValueError:
            assert refused
            return
        assert not refused
        for side in span.sides:
            first = min(s[0] for s in before[side])
            touch = Touch(first, span.seqs[side], Op.UPDATE, Op.UPDATE, False, 0)
            for key in chunk:
                del self.ref.spans[table, side, key]
            for key in differing:
                self.ref.touched(table, side, key, touch, exact=False, reason=span.reasons[side])

    def lower(self, data):
        return {
            side: data.draw(st.integers(max(0, self.seq[side] - 4), self.seq[side]))
            for side in data.draw(st.sampled_from([SIDES, SIDES, SIDES, SIDES[:1], SIDES[1:]]))
        }

    @rule(data=st.data(), keys=INT_KEYS, absent=PRESENT)
    def clear(self, data, keys, absent):
        lower = self.lower(data)
        present = None if absent is None else {key: key not in absent for key in keys}
        self.ledger.clear(self.t, keys, lower, present)
        self.ref.cleared(self.t, keys, lower, absent or set())

    @rule(data=st.data(), key=st.sampled_from(BLOBS))
    def clear_text(self, data, key):
        lower = self.lower(data)
        self.ledger.clear(self.u, [key], lower, None)
        self.ref.cleared(self.u, [key], lower, set())

    @rule(keys=INT_KEYS, wait=st.integers(-2, 5))
    def defer(self, keys, wait):
        due = self.clock.time + wait
        self.ledger.defer(self.t, keys, due)
        for at in self.ref.marks:
            if at[0] == self.t and at[3] in keys and (self.t, at[3]) not in self.ref.held:
                self.ref.later[at] = due

    @rule()
    def wait(self):
        self.clock.time += 2

    @rule(keys=INT_KEYS)
    def hold(self, keys):
        self.ledger.hold(self.t, keys, 7)
        for at in self.ref.marks:
            if at[0] == self.t and at[3] in keys:
                self.ref.held.add((self.t, at[3]))
                self.ref.later.pop(at, None)

    @rule(keys=INT_KEYS)
    def release(self, keys):
        self.ledger.release(self.t, keys)
        self.ref.held -= {(self.t, key) for key in keys}

    @rule(data=st.data(), to=SIDE, keys=INT_KEYS, absent=PRESENT)
    def begin(self, data, to, keys, absent):
        number = self.ledger.next_batch_id()
        assert number > max(self.batches, default=0)
        items = tuple(
            IntentItem(
                table_id=self.t, keys=(k,), action=Op.UPDATE, present=k not in (absent or ())
            )
            for k in keys
        )
        batch = Batch(batch_id=number, target=to, lower=self.lower(data), items=items)
        self.ledger.begin_batches([batch])
        self.batches[number] = batch

    def open_batches(self):
        return [batch for batch in self.batches.values() if batch is not None]

    @precondition(lambda self: self.open_batches())
    @rule(data=st.data(), drop=st.booleans())
    def close_batch(self, data, drop):
        batch = data.draw(st.sampled_from(self.open_batches()))
        self.batches[batch.batch_id] = None
        if drop:
            self.ledger.drop(batch.batch_id)
            return
        written = data.draw(st.sets(st.integers(0, len(batch.items) - 1)))
        self.ledger.finish(batch.batch_id, written)
        items = [batch.items[place] for place in written]
        absent = {item.keys[0] for item in items if not item.present}
        self.ref.cleared(self.t, {item.keys[0] for item in items}, batch.lower, absent)

    @rule()
    def reopen(self):
        self.ledger.close()
        self.ledger = self.open()

    @invariant()
    def marks_are_those_of_the_reference(self):
        for table in (self.t, self.u):
            found = self.ledger.marks_of(table, self.keys_of(table))
            for key, marks in found.items():
                expected = self.ref.of(table, key, any_span=table == self.u)
                for side in SIDES:
                    self.compare(marks.of(side), expected.of(side))

    @rule(data=st.data(), text=st.booleans())
    def ask_for_one_sided_keys(self, data, text):
        """A key that is said to be of one side has the marks that this means; one that has them, and no span, is said to be."""
        table = self.u if text else self.t
        lower = dict.fromkeys(SIDES, -1) | self.lower(data)
        keys = self.keys_of(table)
        said = self.ledger.one_sided(table, keys, lower)
        spans = any(at[0] == table for at in self.ref.spans)
        for key, marks in self.ledger.marks_of(table, keys).items():
            sides = [side for side in SIDES if marks.of(side) != SideMarks()]
            exact = marks.of(sides[0]).exact if len(sides) == 1 else None
            of_one = (
                exact is not None
                and marks.of(sides[0]) == SideMarks(exact)
                and exact.last_seq <= lower[sides[0]]
                and not spans
            )
            for side in SIDES:
                found = said.get(side, {}).get(key)
                assert found == (exact.first_op if of_one and side is sides[0] else None)

    @staticmethod
    def compare(found, expected):
        assert found.exact == expected.exact
        assert found.inexact_last == expected.inexact_last
        # Of two gaps either may be named.
        assert rank(found.reason) == rank(expected.reason)
        if expected.inexact_first is None or found.inexact_first is None:
            assert found.inexact_first is expected.inexact_first
        else:
            # A span that reaches further after a second mark keeps its first number: early is safe, late is not.
            assert found.inexact_first <= expected.inexact_first

    @invariant()
    def claims_are_those_of_the_reference(self):
        now = self.clock.time
        claimed = {(c.table_id, c.key) for c in self.ledger.claim_keys(10**6, now)}
        free = [at for at in self.ref.marks if (at[0], at[3]) not in self.ref.held]
        due = {(at[0], at[3]) for at in free if self.ref.later.get(at, 0) <= now}
        # A run that arrives over a deferred key makes it due.
        assert due <= claimed <= {(at[0], at[3]) for at in free}
        assert {(h.table_id, h.key) for h in self.ledger.held()} == self.ref.held
        empty = not free and not self.ref.spans and not self.open_batches()
        assert self.ledger.is_empty() == empty
        assert self.ledger.has_claimable(now) == bool(claimed or self.ref.spans)
        next_due = self.ledger.next_due(now)
        if claimed or self.ref.spans:
            assert next_due == now
        elif free:
            assert next_due == min(self.ref.later[at] for at in free)
        else:
            assert next_due is None

    @invariant()
    def open_batches_are_those_of_the_reference(self):
        assert self.ledger.open_batches() == self.open_batches()

    @invariant()
    def rows_keep_their_own_invariants(self):
        rows = self.ledger._db.execute(
            "SELECT table_id, side, exact, low, high, step, residue FROM run"
        ).fetchall()
        covered = []
        for table, side, exact, low, high, step, residue in rows:
            assert low <= high
            assert (high - low) % step == 0
            assert low % step == residue
            assert (step, residue) in self.ledger._runs_in[table]
            covered += [(table, side, exact, key) for key in range(low, high + 1, step)]
        assert len(covered) == len(set(covered)), "runs of one side have no key in common"
        for table in (self.t, self.u):
            for side in SIDES:
                chain = self.ledger._db.execute(
                    "SELECT low, high FROM span WHERE table_id = ? AND side = ? ORDER BY id",
                    (table, side.value),
                ).fetchall()
                for one, other in itertools.pairwise(chain):
                    assert one[1] == other[0], "spans form a chain"


LedgerMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestLedger = LedgerMachine.TestCase
