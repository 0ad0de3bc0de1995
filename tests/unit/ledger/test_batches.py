import shutil

import msgspec
import pytest

from syncer.core.decision import ConflictKind
from syncer.core.mark import Op, Reason
from syncer.core.record import BatchItem
from syncer.core.side import Side
from syncer.errors import LedgerError
from syncer.ledger.records import Batch, ConflictEntry, ConflictStatus, CopiedRange, IntentItem
from tests.unit.ledger.bench import Bench

A, B = Side.A, Side.B

ENTRY = ConflictEntry(
    table="shop.orders",
    key=("1",),
    kind=ConflictKind.UPDATE_UPDATE,
    detected_at=999.5,
    rule="newest:updated_at",
    path="rule",
    winner=A,
    columns=("id", "name"),
    a_image=("1", "'x'"),
    b_image=None,
    a_op=Op.UPDATE,
    b_op=Op.DELETE,
    a_commit_us=5,
)


def batch_of(bench, *keys, conflicts=(), present=True, lower=None, target=B):
    return Batch(
        batch_id=bench.ledger.next_batch_id(),
        target=target,
        lower={A: 100, B: 100} if lower is None else lower,
        items=tuple(
            IntentItem(
                table_id=bench.t,
                keys=(key,),
                action=Op.UPDATE,
                present=present,
                conflict=ENTRY if key in conflicts else None,
            )
            for key in keys
        ),
    )


def statuses(bench):
    return [record.status for record in bench.ledger.conflicts()]


def test_batch_ids_grow_over_the_ledger_s_life(bench):
    assert [bench.ledger.next_batch_id() for _ in range(2)] == [1, 2]
    bench.reopen()
    assert bench.ledger.next_batch_id() == 3
    bench.record(A, batch_id=10)
    assert bench.ledger.next_batch_id() == 11


def test_open_batches_come_back_whole(bench):
    batches = [batch_of(bench, 1, 2, conflicts={2}), batch_of(bench, b"k", lower={A: 3}, target=A)]
    bench.ledger.begin_batches(batches)
    bench.reopen()
    assert bench.ledger.open_batches() == batches
    assert not bench.ledger.is_empty()
    assert statuses(bench) == [ConflictStatus.PENDING]


def test_an_intent_waits_for_the_disk_and_its_outcome_does_not(bench):
    """INV-8. The outcome is durable with the next intent, before anything else is sent to the target."""
    said = []
    first, second = batch_of(bench, 1), batch_of(bench, 2)
    bench.ledger._db.set_trace_callback(said.append)
    for work, waits in (
        (lambda: bench.ledger.begin_batches([first]), True),
        (lambda: bench.ledger.finish(first.batch_id, {0}), False),
        (lambda: bench.ledger.begin_batches([second]), True),
        (lambda: bench.ledger.drop(second.batch_id), False),
    ):
        said.clear()
        work()
        assert any("FULL" in statement for statement in said) is waits


def test_an_outcome_that_a_power_failure_took_is_open_again(bench, tmp_path):
    """INV-13: then the target is asked."""
    first, second = batch_of(bench, 1), batch_of(bench, 2)
    bench.ledger.begin_batches([first])
    lost = copied(bench, tmp_path / "lost")
    bench.ledger.finish(first.batch_id, {0})
    bench.ledger.begin_batches([second])
    kept = copied(bench, tmp_path / "kept")
    bench.ledger.finish(second.batch_id, {0})
    assert [batch.batch_id for batch in lost.ledger.open_batches()] == [first.batch_id]
    assert [batch.batch_id for batch in kept.ledger.open_batches()] == [second.batch_id]


def copied(bench, folder):
    """The ledger as it is on the disk now."""
    folder.mkdir()
    for path in bench.path.parent.glob(bench.path.name + "*"):
        if not path.name.endswith((".lock", "-shm")):
            shutil.copyfile(path, folder / path.name)
    return Bench(folder / bench.path.name)


def test_batches_begin_all_or_none(bench):
    batch = batch_of(bench, 1, conflicts={1})
    with pytest.raises(LedgerError):
        bench.ledger.begin_batches([batch, batch])
    assert bench.ledger.open_batches() == []
    assert statuses(bench) == []


def test_items_are_known_to_the_target_s_tailer_in_bit_order(bench):
    batch = batch_of(bench, 5, 1)
    bench.ledger.begin_batches([batch])
    assert bench.ledger.batch_items(B, batch.batch_id) == (
        BatchItem(bench.t, (5,)),
        BatchItem(bench.t, (1,)),
    )
    assert bench.ledger.batch_items(A, batch.batch_id) is None
    assert bench.ledger.batch_items(B, 99) is None


def test_finish_settles_what_was_written_and_nothing_else(bench):
    for key in (1, 2):
        bench.mark(A, key)
        bench.mark(B, key)
    batch = batch_of(bench, 1, 2, conflicts={1, 2})
    bench.ledger.begin_batches([batch])
    bench.ledger.finish(batch.batch_id, {0})
    assert bench.claimed() == [2]
    assert statuses(bench) == [ConflictStatus.APPLIED]
    assert bench.ledger.open_batches() == []
    assert bench.ledger.last_confirmed(B) == batch.batch_id
    assert bench.ledger.last_confirmed(A) == 0


def test_finish_keeps_marks_after_lower_and_says_what_was_agreed(bench):
    bench.mark(A, 1, op=Op.DELETE)
    batch = batch_of(bench, 1, present=False, lower={A: 1, B: 0})
    bench.ledger.begin_batches([batch])
    bench.mark(A, 1, op=Op.INSERT)
    bench.ledger.finish(batch.batch_id, [0])
    assert bench.of(1).a.exact.first_op is Op.INSERT
    assert bench.of(1).a.exact.first_seq == 2


def test_merge_clears_one_side_only(bench):
    bench.mark(A, 1)
    bench.mark(B, 1)
    batch = batch_of(bench, 1, lower={B: 100}, target=A)
    bench.ledger.begin_batches([batch])
    bench.ledger.finish(batch.batch_id, [0])
    assert bench.of(1).a.exact is not None
    assert bench.of(1).b.exact is None


def test_every_spelling_is_cleared(bench):
    bench.mark(A, b"X", table=bench.u)
    bench.mark(B, b"x", table=bench.u)
    item = IntentItem(table_id=bench.u, keys=(b"X", b"x"), action=Op.INSERT, present=True)
    batch = Batch(batch_id=1, target=B, lower={A: 9, B: 9}, items=(item,))
    bench.ledger.begin_batches([batch])
    bench.ledger.finish(1, [0])
    assert bench.ledger.is_empty()


def test_dropped_batch_leaves_marks_and_no_entries(bench):
    bench.mark(A, 1)
    batch = batch_of(bench, 1, conflicts={1})
    bench.ledger.begin_batches([batch])
    bench.ledger.drop(batch.batch_id)
    assert bench.claimed() == [1]
    assert statuses(bench) == []
    assert bench.ledger.batch_items(B, batch.batch_id) is None
    assert bench.ledger.last_confirmed(B) == 0


@pytest.mark.parametrize("seen_first", [True, False])
def test_batch_is_forgotten_when_it_is_finished_and_met(bench, seen_first):
    batch = batch_of(bench, 1)
    number = batch.batch_id
    bench.ledger.begin_batches([batch])
    steps = [lambda: bench.record(B, batch_id=number), lambda: bench.ledger.finish(number, [0])]
    for step in steps if seen_first else steps[::-1]:
        assert bench.ledger.batch_items(B, number) is not None
        step()
    assert bench.ledger.batch_items(B, number) is None
    assert bench.ledger.last_confirmed(B) == number


@pytest.mark.parametrize("seen_first", [True, False])
def test_the_journal_learns_which_transaction_wrote_a_decision(bench, seen_first):
    batch = batch_of(bench, 1, 2, conflicts=(1,))
    bench.ledger.begin_batches([batch])
    bench.record(A, batch_id=batch.batch_id, gtid="0-1-3")
    steps = [
        lambda: bench.record(B, batch_id=batch.batch_id, gtid="0-2-7"),
        lambda: bench.ledger.finish(batch.batch_id, [0, 1]),
    ]
    for step in steps if seen_first else steps[::-1]:
        step()
    bench.reopen()
    (entry,) = bench.ledger.conflicts()
    assert (entry.status, entry.applied_gtid) == (ConflictStatus.APPLIED, "0-2-7")


def test_batch_met_in_the_other_stream_is_not_met(bench):
    batch = batch_of(bench, 1)
    bench.ledger.begin_batches([batch])
    bench.ledger.finish(batch.batch_id, [0])
    bench.record(A, batch_id=batch.batch_id)
    assert bench.ledger.batch_items(B, batch.batch_id) is not None


@pytest.mark.parametrize("close", ["finish", "drop"])
def test_batch_that_is_not_open_cannot_be_closed(bench, close):
    batch = batch_of(bench, 1)
    bench.ledger.begin_batches([batch])
    bench.ledger.finish(batch.batch_id, [0])
    call = {"finish": lambda n: bench.ledger.finish(n, []), "drop": bench.ledger.drop}[close]
    for number in (batch.batch_id, 99):
        with pytest.raises(LedgerError, match="no open batch"):
            call(number)


# --- journal ---


def held(**changes):
    return msgspec.structs.replace(ENTRY, winner=None, rule="hold", **changes)


def test_held_entry_comes_back_whole(bench):
    (number,) = bench.ledger.journal_held([held()])
    record = bench.ledger.conflict(number)
    assert record.entry == held()
    assert (record.status, record.changed_at, record.batch_id) == (ConflictStatus.HELD, 1000, None)
    assert bench.ledger.conflict(number + 1) is None


def test_same_images_are_journaled_once(bench):
    first = bench.ledger.journal_held([held(), held(key=("2",))])
    assert bench.ledger.journal_held([held(detected_at=2000)]) == first[:1]
    assert bench.ledger.journal_held([held(a_image=("1", "'y'"))]) != first[:1]
    assert len(bench.ledger.conflicts()) == 3


def test_held_again_with_other_images_supersedes(bench):
    bench.mark(A, 1)
    (first,) = bench.ledger.journal_held([held()])
    bench.ledger.hold(bench.t, [1], first)
    bench.mark(A, 1)
    (second,) = bench.ledger.journal_held([held(b_image=("1", "'z'"))])
    bench.ledger.hold(bench.t, [1], second)
    assert bench.ledger.conflict(first).status is ConflictStatus.SUPERSEDED
    assert bench.ledger.conflict(second).status is ConflictStatus.HELD
    assert bench.ledger.held()[0].conflict_id == second


def test_held_again_with_the_same_images_stays(bench):
    bench.mark(A, 1)
    (first,) = bench.ledger.journal_held([held()])
    bench.ledger.hold(bench.t, [1], first)
    bench.mark(A, 1)
    assert bench.ledger.journal_held([held()]) == [first]
    bench.ledger.hold(bench.t, [1], first)
    assert bench.ledger.conflict(first).status is ConflictStatus.HELD


@pytest.mark.parametrize("how", ["clear", "finish"])
def test_held_entry_is_superseded_when_the_key_is_settled(bench, how):
    bench.mark(A, 1)
    (number,) = bench.ledger.journal_held([held()])
    bench.ledger.hold(bench.t, [1], number)
    bench.ledger.release(bench.t, [1])
    bench.clock.time = 1234
    if how == "clear":
        bench.ledger.clear(bench.t, [1], {A: 9, B: 9})
    else:
        batch = batch_of(bench, 1)
        bench.ledger.begin_batches([batch])
        bench.ledger.finish(batch.batch_id, [0])
    record = bench.ledger.conflict(number)
    assert (record.status, record.changed_at) == (ConflictStatus.SUPERSEDED, 1234)
    assert bench.ledger._hold_tables == set()


def test_conflicts_are_listed_newest_first_and_filtered(bench):
    bench.ledger.journal_held(
        [held(), held(table="shop.names"), held(kind=ConflictKind.DRIFT, key=("3",))]
    )
    batch = batch_of(bench, 1, conflicts={1})
    bench.ledger.begin_batches([batch])
    ids = lambda **f: [r.conflict_id for r in bench.ledger.conflicts(**f)]  # noqa: E731
    assert ids() == [4, 3, 2, 1]
    assert ids(limit=1) == [4]
    assert ids(status=ConflictStatus.HELD, table="shop.orders") == [3, 1]
    assert ids(kind=ConflictKind.DRIFT) == [3]
    assert bench.ledger.conflict(4).batch_id == batch.batch_id


def copied_batch(bench, low, up_to, high=None, *, lower):
    item = IntentItem(
        table_id=bench.t,
        keys=(),
        action=Op.INSERT,
        present=True,
        copied=CopiedRange(low, up_to, high, 7),
    )
    batch = Batch(batch_id=bench.ledger.next_batch_id(), target=B, lower=lower, items=(item,))
    bench.ledger.begin_batches([batch])
    return batch


def spanned(bench, seq=5):
    bench.ledger.mark_table(bench.t, (A, B), Reason.BASELINE, {A: seq, B: seq})


def test_a_copied_range_leaves_its_span(bench):
    spanned(bench)
    batch = copied_batch(bench, None, 40, lower={A: 5, B: 5})
    assert bench.ledger.open_batches() == [batch]
    assert bench.ledger.batch_items(B, batch.batch_id) == (
        BatchItem(bench.t, (), every=True, bounds=(-(1 << 63), 39)),
    )
    bench.ledger.finish(batch.batch_id, {0})
    span = bench.ledger.claim_span(0)
    assert (span.low, span.high, set(span.sides), span.rows) == (40, None, {A, B}, 7)
    last = copied_batch(bench, 40, None, lower={A: 5, B: 5})
    bench.ledger.finish(last.batch_id, {0})
    assert bench.ledger.claim_span(0) is None


@pytest.mark.parametrize("written", [set(), {0}])
def test_a_range_that_was_marked_after_the_rows_read_stays(bench, written):
    """INV-11: exactly what the rows are proven to contain."""
    spanned(bench)
    batch = copied_batch(bench, None, 40, lower={A: 5, B: 5})
    bench.ledger.mark_table(bench.t, (A, B), Reason.TRUNCATE, {A: 6, B: 6})
    bench.ledger.finish(batch.batch_id, written)
    assert bench.ledger.claim_span(0).low is None


def test_a_dropped_copy_leaves_its_span_as_it_was(bench):
    spanned(bench)
    bench.ledger.drop(copied_batch(bench, None, 40, lower={A: 5, B: 5}).batch_id)
    assert bench.ledger.claim_span(0).low is None


def test_marks_within_a_range(bench):
    ask = bench.ledger.has_marks_in
    assert not ask(bench.t, None, None)
    bench.mark(A, 10)
    bench.mark(B, 20, 25)
    for low, high, found in (
        (None, None, True), (None, 10, False), (10, 11, True), (11, 20, False), (11, 21, True), (25, 26, True),
        (26, None, False), (None, 21, True),
    ):  # fmt: skip
        assert ask(bench.t, low, high) is found, (low, high)
    assert not ask(bench.u, None, None)
    bench.mark(A, b"k", table=bench.u)
    assert ask(bench.u, b"x", b"z"), "no order is known of keys that are no integers"
