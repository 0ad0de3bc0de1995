import msgspec
import pytest

from syncer.core.mark import Op, Reason
from syncer.core.record import KeyChange
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.core.visibility import Horizon
from syncer.ledger import spans
from syncer.ledger.spans import complement
from tests.unit.ledger.bench import position

A, B = Side.A, Side.B
FAR = {A: 1000, B: 1000}


@pytest.fixture
def based(bench):
    bench.ledger.start({A: position(3), B: position(4)}, [bench.t], Reason.BASELINE)
    return bench


def claim(bench):
    return bench.ledger.claim_span(bench.clock.time)


def open_spans(bench, side):
    spans = bench.ledger._db.execute(
        "SELECT low, high FROM span WHERE side = ? ORDER BY id", (side.value,)
    )
    return spans.fetchall()


def test_spans_of_both_sides_are_claimed_together(based):
    span = claim(based)
    assert (span.low, span.high) == (None, None)
    assert span.seqs == {A: 3, B: 4}
    assert span.sides == (A, B)
    assert set(span.reasons.values()) == {Reason.BASELINE}


def test_equal_chunk_moves_the_beginning_of_the_span(based):
    based.ledger.narrow_span(claim(based), up_to=100, keys=[], lower=FAR, rows=99)
    span = claim(based)
    assert (span.low, span.high, span.rows, span.chunks) == (100, None, 99, 1)
    assert based.of(99).a.inexact_first is None
    assert based.of(100).a.inexact_first == 3
    assert based.claimed() == []


def test_differing_keys_become_inexact_marks_with_the_span_s_numbers(based):
    based.ledger.narrow_span(claim(based), up_to=100, keys=[7, 8, 9, 50], lower=FAR)
    assert based.claimed() == [7, 8, 9, 50]
    for key in (8, 50):
        marks = based.of(key)
        assert (marks.a.inexact_first, marks.a.inexact_last, marks.a.reason) == (
            3,
            3,
            Reason.BASELINE,
        )
        assert marks.b.inexact_last == 4
        assert marks.a.exact is None
    assert based.ledger._db.execute("SELECT count(*) FROM run").fetchone()[0] == 2


def test_last_chunk_ends_the_span(based):
    based.clock.time = 1007
    based.ledger.narrow_span(claim(based), up_to=None, keys=[b"k"], lower=FAR, rows=5)
    assert claim(based) is None
    (progress,) = based.ledger.span_progress()
    assert (progress.rows, progress.chunks, progress.differing) == (5, 1, 1)
    assert (progress.started_at, progress.finished_at, progress.open_spans) == (1000, 1007, 0)
    assert str(progress.table) == "shop.orders"


def test_new_mark_of_a_finished_table_begins_the_progress_anew(based):
    based.ledger.narrow_span(claim(based), up_to=None, keys=[], lower=FAR, rows=5)
    based.ledger.mark_table(based.t, [A], Reason.TRUNCATE, {A: 9})
    (progress,) = based.ledger.span_progress()
    assert (progress.rows, progress.finished_at, progress.reason) == (0, None, Reason.TRUNCATE)
    assert claim(based).sides == (A,)


def test_narrowing_is_refused_where_the_rows_are_older_than_the_mark(based):
    span = claim(based)
    with pytest.raises(ValueError, match="read them again"):
        based.ledger.narrow_span(span, up_to=5, keys=[1], lower={A: 3, B: 3})
    assert claim(based) == span
    assert based.claimed() == []


def test_narrowing_is_refused_where_the_span_has_moved(based):
    span = claim(based)
    based.ledger.narrow_span(span, up_to=5, keys=[], lower=FAR)
    with pytest.raises(ValueError, match="claim it again"):
        based.ledger.narrow_span(span, up_to=9, keys=[], lower=FAR)
    assert claim(based).low == 5


def test_mark_of_an_unbegun_table_folds(based):
    based.ledger.mark_table(based.t, [A], Reason.TRUNCATE, {A: 9})
    span = claim(based)
    assert span.seqs == {A: 9, B: 4}
    assert span.reasons == {A: Reason.TRUNCATE, B: Reason.BASELINE}
    assert open_spans(based, A) == [(None, None)]


def test_mark_of_a_begun_table_goes_on_and_comes_round(based):
    """A stream of marks must not keep the comparison at the beginning of the table for ever."""
    based.ledger.narrow_span(claim(based), up_to=50, keys=[], lower=FAR)
    based.ledger.mark_table(based.t, [A, B], Reason.STATEMENT, {A: 9, B: 9})
    assert open_spans(based, A) == [(50, None), (None, 50)]
    based.ledger.narrow_span(claim(based), up_to=70, keys=[], lower=FAR)
    based.ledger.mark_table(based.t, [A, B], Reason.STATEMENT, {A: 10, B: 10})
    assert open_spans(based, A) == [(70, None), (None, 70)]
    based.ledger.narrow_span(claim(based), up_to=None, keys=[], lower=FAR)
    based.ledger.narrow_span(claim(based), up_to=20, keys=[], lower=FAR)
    assert open_spans(based, A) == open_spans(based, B) == [(20, 70)]
    based.ledger.mark_table(based.t, [A, B], Reason.STATEMENT, {A: 11, B: 11})
    assert open_spans(based, A) == [(20, 70), (70, None), (None, 20)]
    assert claim(based).sides == (A, B)
    assert claim(based).seqs == {A: 11, B: 11}


def test_span_narrowed_to_its_end_is_done(based):
    based.ledger.narrow_span(claim(based), up_to=50, keys=[], lower=FAR)
    based.ledger.mark_table(based.t, [A, B], Reason.DDL, {A: 9, B: 9})
    based.ledger.narrow_span(claim(based), up_to=None, keys=[], lower=FAR)
    based.ledger.narrow_span(claim(based), up_to=50, keys=[], lower=FAR)
    assert claim(based) is None


def test_spans_of_one_side_do_not_draw_the_other_in(based):
    based.ledger.narrow_span(claim(based), up_to=50, keys=[], lower=FAR)
    based.ledger.mark_table(based.t, [A], Reason.TRUNCATE, {A: 9})
    based.ledger.narrow_span(claim(based), up_to=None, keys=[], lower=FAR)
    span = claim(based)
    assert (span.low, span.high, span.sides) == (None, 50, (A,))
    assert based.of(5).b.inexact_first is None


def test_differing_key_reopens_a_held_one(based):
    based.mark(A, 7)
    based.ledger.hold(based.t, [7], 1)
    based.ledger.narrow_span(claim(based), up_to=50, keys=[7], lower=FAR)
    assert based.claimed() == [7]


@pytest.mark.parametrize(
    ("chain", "missing"),
    [
        ([], [(None, None)]),
        ([(None, None)], []),
        ([(5, None)], [(None, 5)]),
        ([(None, 5)], [(5, None)]),
        ([(3, 5)], [(5, None), (None, 3)]),
        ([(5, None), (None, 5)], []),
        ([(5, None), (None, 3)], [(3, 5)]),
        ([(3, 5), (5, None), (None, 2)], [(2, 3)]),
    ],
)
def test_complement_completes_the_circle(chain, missing):
    assert complement(chain) == missing


def test_later_span_of_the_other_side_is_not_drawn_in(bench):
    """Narrowing it would tear the chain: what lies between would not be seen as missing."""
    bench.ledger.mark_table(bench.t, [A], Reason.DDL, {A: 1})
    bench.ledger.narrow_span(claim(bench), up_to=50, keys=[], lower=FAR)
    bench.ledger.mark_table(bench.t, [A], Reason.DDL, {A: 2})
    bench.ledger.narrow_span(claim(bench), up_to=None, keys=[], lower=FAR)
    bench.ledger.mark_table(bench.t, [B], Reason.DDL, {B: 3})
    ((number,),) = bench.ledger._db.execute("SELECT id FROM span WHERE side = 'b'").fetchall()
    other = msgspec.structs.replace(claim(bench), low=None, high=None, seqs={B: 3}, ids={B: number})
    bench.ledger.narrow_span(other, up_to=50, keys=[], lower=FAR)
    bench.ledger.mark_table(bench.t, [B], Reason.DDL, {B: 4})
    assert open_spans(bench, A) == [(None, 50)]
    assert open_spans(bench, B) == [(50, None), (None, 50)]
    assert claim(bench).sides == (A,)


def test_whole_tables_are_claimed_and_taken_out_together(bench):
    """What was marked again since, or was not found equal, stays as it is."""
    three = bench.ledger.table_id(TableName("shop", "third"))
    bench.ledger.start({A: position(3), B: position(4)}, [three, bench.t, bench.u], Reason.BASELINE)
    assert [one.table_id for one in bench.ledger.claim_tables(2)] == [three, bench.t]
    spans = bench.ledger.claim_tables(9)
    assert spans[0] == claim(bench)
    bench.ledger.mark_table(bench.t, [B], Reason.DDL, {B: 9})
    done = bench.ledger.drop_spans({three: 5, bench.t: 6}, spans, {A: 8, B: 8})
    assert [one.table_id for one in done] == [three]
    left = {one.table_id: one for one in bench.ledger.claim_tables(9)}
    assert left[bench.t].seqs == {A: 3, B: 9}
    assert left[bench.u].seqs == {A: 3, B: 4}
    progress = {one.table_id: one for one in bench.ledger.span_progress()}
    assert (progress[three].rows, progress[three].open_spans) == (5, 0)
    assert progress[three].finished_at is not None
    assert (progress[bench.t].rows, progress[bench.t].finished_at) == (0, None)


def test_a_table_that_is_compared_in_part_is_not_claimed_whole(based):
    based.ledger.narrow_span(claim(based), up_to=100, keys=[], lower=FAR)
    assert based.ledger.claim_tables(9) == []


def test_keys_of_an_equal_chunk_are_settled_as_far_as_they_are_in_it_for_certain(bench):
    seq = bench.mark(A, 7)
    bench.mark(A, 20, 40, op=Op.INSERT, step=2)
    bench.mark(B, 30, exact=False)
    bench.mark(B, b"text")
    bench.mark(A, 8)
    bench.ledger.hold(bench.t, [8], 1)
    last = bench.mark(A, 9)

    def settled(low, high, lower_a=last, lower_b=9):
        return bench.ledger.settled_keys(bench.t, low, high, {A: lower_a, B: lower_b})

    assert settled(None, None) == {7, 9, *range(20, 41, 2), b"text"}
    assert settled(0, 28) == {7, 9, 20, 22, 24, 26}
    assert settled(30, None) == {*range(30, 41, 2)}
    assert settled(7, 10, lower_a=seq) == {7}, "a later mark is not settled"
    assert settled(7, 10, lower_a=seq - 1) == set()
    assert settled(b"a", None) is settled(None, b"z") is None, "nobody here knows their order"
    assert settled(25, 35, lower_a=0) == {30}


def test_a_mark_that_begins_below_the_bounds_is_undecided_while_it_is_not_held(bench):
    seq = bench.mark(A, b"one")
    bench.mark(A, b"one")
    assert bench.ledger.has_undecided(bench.t, {A: seq, B: 9})
    assert not bench.ledger.has_undecided(bench.t, {A: seq - 1, B: 9})
    assert not bench.ledger.has_undecided(bench.u, {A: seq, B: 9})
    bench.ledger.hold(bench.t, [b"one"], 1)
    assert not bench.ledger.has_undecided(bench.t, {A: seq, B: 9})


def test_keys_too_many_and_those_that_moved_are_left_to_be_decided(bench, monkeypatch):
    bench.mark(A, 1)
    bench.mark(A, 11, 20)
    lower = {A: 9, B: 9}
    monkeypatch.setattr(spans, "MOST_SETTLED", 11)
    assert len(bench.ledger.settled_keys(bench.t, None, None, lower)) == 11
    monkeypatch.setattr(spans, "MOST_SETTLED", 10)
    assert bench.ledger.settled_keys(bench.t, None, None, lower) == set()
    assert bench.ledger.settled_keys(bench.t, 0, 10, lower) == {1}
    bench.record(A, key_changes=(KeyChange(bench.t, 3, 4),))
    assert bench.ledger.settled_keys(bench.t, 0, 10, lower) == set()


def test_a_mark_between_the_bounds_of_a_read_makes_its_chunk_doubtful(based):
    """Exact ones only: an inexact one is of no known time."""
    ledger = based.ledger

    def doubtful(low, high, lower, upper, but=()):
        horizons = {A: Horizon(lower, upper), B: Horizon(0, 0)}
        return ledger.may_have_changed(based.t, low, high, horizons, but)

    seq = based.mark(A, 7)
    assert doubtful(None, None, seq - 1, seq)
    assert doubtful(7, 8, seq - 1, seq)
    assert not doubtful(7, 8, seq - 1, seq, but=(7,))
    assert not doubtful(8, None, seq - 1, seq)
    assert not doubtful(None, 7, seq - 1, seq)
    assert not doubtful(None, None, seq, seq + 1), "it is in the rows"
    assert not doubtful(None, None, seq - 2, seq - 1), "it is not"
    assert not doubtful(None, None, seq, seq), "nothing lies between"
    again = based.mark(A, 7)
    assert doubtful(None, None, again - 1, again), "a folded one ends there"
    assert doubtful(None, None, seq, seq), "half of it is in the rows"
    run = based.mark(A, 100, 120, step=2)
    assert doubtful(101, 103, run - 1, run)
    assert not doubtful(101, 102, run - 1, run), "no key of it"
    assert not doubtful(121, None, run - 1, run)
    inexact = based.mark(A, 300, exact=False)
    assert not doubtful(300, 301, inexact - 1, inexact)
