from syncer.core.mark import Reason
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.ledger import status_queries
from syncer.ledger.records import SideSummary
from tests.unit.ledger.bench import position

A, B = Side.A, Side.B


def test_table_keeps_its_number(bench):
    name = TableName("shop", "more")
    number = bench.ledger.table_id(name)
    assert bench.ledger.table_id(name) == number
    bench.reopen()
    assert bench.ledger.table_id(name) == number
    assert bench.ledger.tables()[number] == name
    assert len(bench.ledger.tables()) == 3


def test_form_of_keys_is_remembered(bench):
    assert bench.ledger.table_keys(bench.t) is None
    bench.ledger.set_table(bench.t, integer=True, unsigned=False)
    assert bench.ledger.table_keys(bench.t) == (True, False)


def test_epoch_meta_and_counters(bench):
    assert bench.ledger.epoch() == 0
    bench.ledger.set_epoch(4)
    assert bench.ledger.get_meta("pair_id") is None
    bench.ledger.set_meta("pair_id", "mine")
    bench.ledger.add_counters({"updates.a": 2, "inserts.b": 1})
    bench.ledger.add_counters({"updates.a": 3})
    bench.reopen()
    assert bench.ledger.epoch() == 4
    assert bench.ledger.get_meta("pair_id") == "mine"
    assert bench.ledger.pair_id() == "pair"
    assert bench.ledger.counters() == {"updates.a": 5, "inserts.b": 1}


def test_summary_of_an_empty_ledger(bench):
    summary = bench.ledger.summary()
    assert (summary.tables, summary.keys, summary.oldest_s, summary.positions) == ((), 0, 0.0, {})
    assert bench.ledger.is_empty()


def test_summary_counts_by_table_and_side(bench):
    bench.mark(A, 1)
    bench.clock.time = 1010
    bench.mark(A, 100, 199)
    bench.mark(B, 2)
    bench.ledger.hold(bench.t, [2], 7)
    bench.ledger.mark_table(bench.u, [A, B], Reason.DDL, {A: 1, B: 1})
    bench.clock.time = 1015
    summary = bench.ledger.summary()
    orders, names = summary.tables
    assert orders.a == SideSummary(keys=101, held=0, spans=0)
    assert orders.of(B) == SideSummary(keys=0, held=1, spans=0)
    assert names.a == names.b == SideSummary(keys=0, held=0, spans=1)
    assert (summary.keys, summary.held, summary.held_keys, summary.spans) == (101, 1, 1, 2)
    assert summary.oldest_s == 15
    assert summary.positions == {A: position(2), B: position(1)}
    assert summary.pair_id == "pair"


def test_forgotten_table_leaves_no_marks_in_file_or_memory(bench):
    bench.mark(A, 1)
    bench.mark(A, 5, 9)
    bench.ledger.hold(bench.t, [1], 7)
    bench.ledger.mark_table(bench.t, [A, B], Reason.DDL, {A: 1, B: 1})
    bench.mark(B, b"k", table=bench.u)
    bench.ledger.set_scope([bench.u])
    bench.ledger.forget_table(bench.t)
    bench.reopen()
    assert bench.ledger.scope() == {bench.u}
    assert bench.claimed() == [b"k"]
    assert bench.ledger.held() == []
    assert bench.ledger.claim_span(1000) is None


def test_summary_looks_no_point_up_and_sorts_none(bench):
    """
    Millions of rows in the order of an index are as many random reads: seconds, while the tailers wait.

    A sort of them takes as much memory as the page cache may.
    """
    plan = bench.ledger._db.execute(f"EXPLAIN QUERY PLAN {status_queries.SUM_POINTS}").fetchall()
    assert any("USING COVERING INDEX point_key" in row[3] for row in plan), plan
    assert not any("TEMP B-TREE" in row[3] for row in plan), plan
