"""What the tests of the ledger share."""

from syncer.core.mark import KeyMark, Op, Touch
from syncer.core.position import StreamPosition
from syncer.core.record import TransactionRecord
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.ledger.ledger import Ledger


class FakeClock:
    """A clock that a test sets."""

    def __init__(self):
        self.time = 1000.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time


class Bench:
    """A ledger with short words for what tests do to it."""

    def __init__(self, path):
        self.path = path
        self.clock = FakeClock()
        self.ledger = self.open()
        self.t = self.ledger.table_id(TableName("shop", "orders"))
        self.u = self.ledger.table_id(TableName("shop", "names"))
        self.seq = {Side.A: 0, Side.B: 0}

    def open(self, **more):
        options = {"pair_id": "pair", "identity": {"a": "x", "b": "y"}, "clock": self.clock} | more
        return Ledger.open(self.path, **options)

    def reopen(self):
        self.ledger.close()
        self.ledger = self.open()

    def touch(self, seq, op=Op.UPDATE, commit_us=0):
        return Touch(seq, seq, op, op, False, commit_us)

    def mark(self, side, low, high=None, *, op=Op.UPDATE, table=None, exact=True, step=1, **more):
        """Record one transaction with one mark; return its number."""
        self.seq[side] += 1
        seq = self.seq[side]
        mark = KeyMark(
            self.t if table is None else table,
            low,
            low if high is None else high,
            self.touch(seq, op, commit_us=seq * 10),
            exact,
            step,
        )
        record = TransactionRecord(seq=seq, marks=(mark,), **more)
        self.ledger.record(side, [record], position(seq))
        return seq

    def record(self, side, **more):
        """Record one transaction without marks of its own; return its number."""
        self.seq[side] += 1
        seq = self.seq[side]
        self.ledger.record(side, [TransactionRecord(seq=seq, **more)], position(seq))
        return seq

    def of(self, key, table=None):
        table = self.t if table is None else table
        return self.ledger.marks_of(table, [key])[key]

    def claimed(self, limit=100):
        return [c.key for c in self.ledger.claim_keys(limit, self.clock.time)]


def position(seq):
    return StreamPosition(server="s", gtids="", file="binlog.000001", offset=seq * 100, seq=seq)
