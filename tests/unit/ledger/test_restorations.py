"""Rows that a person wants back, and images that go after a time."""

import msgspec
import pytest

from syncer.cli.commands.undo import fold, unmerge, with_merges
from syncer.core.decision import ConflictKind
from syncer.core.mark import Op
from syncer.core.side import Side
from syncer.ledger import ConflictEntry, ConflictStatus
from syncer.ledger.records import Batch, IntentItem
from syncer.ledger.restorations import ask_back, revert
from syncer.ledger.undo import Overwritten, OverwrittenRows, Restoration, RestorationStatus

A, B = Side.A, Side.B
ENTRY = ConflictEntry(
    table="shop.orders",
    key=("1",),
    kind=ConflictKind.UPDATE_UPDATE,
    detected_at=5.0,
    rule="prefer:a",
    path="rule",
    winner=A,
    columns=("id", "note"),
    a_image=("1", "'left'"),
    b_image=("1", "'right'"),
    a_digest="aa",
    b_digest="bb",
    key_stored=(1,),
)


def applied(bench, **facts):
    """Have a decision written; return its record."""
    bench.mark(A, 1)
    item = IntentItem(
        table_id=bench.t,
        keys=(1,),
        action=Op.UPDATE,
        present=True,
        conflict=msgspec.structs.replace(ENTRY, **facts),
    )
    number = bench.ledger.next_batch_id()
    bench.ledger.begin_batches([Batch(batch_id=number, target=B, lower=bench.seq, items=(item,))])
    bench.ledger.finish(number, {0})
    return bench.ledger.conflicts(limit=1)[0]


def test_the_losing_row_is_asked_for_where_it_was_lost(bench):
    back = revert(applied(bench), "somebody")
    assert (back.side, back.image, back.expected, back.meant) == (B, "1,'right'", "aa", "bb")
    back = revert(applied(bench, winner=B, a_image=None, a_digest=None), "somebody")
    assert (back.side, back.image, back.expected, back.meant) == (A, None, "bb", None)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"redacted": ("note",)}, "note is redacted"),
        ({"b_digest": None}, "without all that is needed"),
        ({"key_stored": ()}, "without all that is needed"),
        ({"b_image": ("1", None)}, "without all that is needed"),
        ({"winner": None}, "one row of both.*--take a or b"),
    ],
)
def test_what_cannot_be_taken_back_says_why(bench, facts, says):
    with pytest.raises(ValueError, match=says):
        revert(applied(bench, **facts), "somebody")


def test_a_revert_is_a_decision_of_its_own(bench):
    record = applied(bench)
    ask_back(bench.path, [revert(record, "somebody")], 7.0)
    bench.reopen()
    (asked,) = bench.ledger.asked_restorations(0, 10)
    assert bench.ledger.restoration_of(record.conflict_id) == asked
    new = msgspec.structs.replace(ENTRY, winner=B, reverts=record.conflict_id)
    bench.ledger.end_restoration(asked, RestorationStatus.DONE, "", new)
    assert bench.ledger.asked_restorations(0, 10) == []
    assert bench.ledger.conflict(record.conflict_id).status is ConflictStatus.REVERTED
    newest = bench.ledger.conflicts(limit=1)[0]
    assert (newest.status, newest.entry.reverts) == (ConflictStatus.APPLIED, record.conflict_id)
    with pytest.raises(ValueError, match="it is reverted"):
        revert(bench.ledger.conflict(record.conflict_id), "somebody")


MADE = {"winner": None, "result_image": ("1", "'both'")}


def test_a_merge_is_taken_back_by_name(bench):
    record = applied(bench, **MADE)
    for take, image, digest in ((A, "1,'left'", "aa"), (B, "1,'right'", "bb")):
        back = revert(record, "somebody", take)
        assert (back.side, back.winner, back.image, back.meant) == (A, take, image, digest)
        assert (back.expected, back.expected_image, back.makes) == (None, "1,'both'", False)
    with pytest.raises(ValueError, match="--take a or b"):
        revert(record, "somebody")
    with pytest.raises(ValueError, match="side a won"):
        revert(applied(bench), "somebody", B)
    with pytest.raises(ValueError, match="without all that is needed"):
        revert(applied(bench, winner=None), "somebody", A)


def test_a_merge_taken_back_can_be_had_again(bench):
    record = applied(bench, **MADE)
    taken = applied(bench, **MADE | {"winner": B, "reverts": record.conflict_id})
    back = revert(taken, "somebody")
    assert (back.side, back.image, back.meant, back.makes) == (A, "1,'both'", None, True)
    assert (back.expected, back.expected_image) == ("bb", None)


def test_a_revert_that_was_left_changes_no_decision(bench):
    record = applied(bench)
    ask_back(bench.path, [revert(record, "somebody")], 7.0)
    (asked,) = bench.ledger.asked_restorations(0, 10)
    bench.ledger.end_restoration(asked, RestorationStatus.LEFT, "the row has changed since")
    assert bench.ledger.conflict(record.conflict_id).status is ConflictStatus.APPLIED
    assert bench.ledger.restoration_of(record.conflict_id).note == "the row has changed since"


def test_images_of_what_was_decided_go_and_the_decision_stays(bench):
    old = applied(bench)
    held = bench.ledger.journal_held([msgspec.structs.replace(ENTRY, winner=None)])[0]
    bench.clock.time += 100
    young = applied(bench)
    assert bench.ledger.prune_images(bench.clock.time - 50) == 1
    assert bench.ledger.prune_images(bench.clock.time - 50) == 0
    pruned = bench.ledger.conflict(old.conflict_id)
    assert pruned.pruned
    assert (pruned.entry.a_image, pruned.entry.b_image) == (None, None)
    assert (pruned.entry.rule, pruned.entry.winner) == ("prefer:a", A)
    for number in (held, young.conflict_id):
        assert bench.ledger.conflict(number).entry.a_image == ENTRY.a_image
    with pytest.raises(ValueError, match="are gone"):
        revert(pruned, "somebody")


def test_pruning_goes_in_small_steps(bench):
    for _ in range(5):
        applied(bench)
    bench.clock.time += 100
    done = [bench.ledger.prune_images(bench.clock.time, 2) for _ in range(4)]
    assert done == [2, 2, 1, 0]


def test_an_entry_names_the_run_that_wrote_it(bench):
    bench.ledger.set_epoch(7)
    assert applied(bench).entry.run == 7


BACK = Restoration(
    table="shop.orders",
    key=("1",),
    key_stored=(1,),
    side=B,
    columns=("id", "note"),
    expected="after",
    meant="before",
    image="1,'before'",
    actor="",
)


def overwrite(bench, *, written=True, key=1, **facts):
    """Overwrite or delete a row, or fail to."""
    bench.mark(A, key)
    back = msgspec.structs.replace(BACK, key_stored=(key,), **facts)
    item = IntentItem(table_id=bench.t, keys=(key,), action=Op.UPDATE, present=True, undo=back)
    number = bench.ledger.next_batch_id()
    bench.ledger.begin_batches([Batch(batch_id=number, target=B, lower=bench.seq, items=(item,))])
    assert bench.ledger.open_batches()[0].items == (item,)
    if written:
        bench.ledger.finish(number, {0})
    else:
        bench.ledger.drop(number)


def test_what_was_overwritten_is_kept_once_it_is_written(bench):
    overwrite(bench, written=False)
    assert bench.ledger.overwritten() == []
    bench.ledger.set_epoch(3)
    overwrite(bench)
    (one,) = bench.ledger.overwritten()
    assert (one.run, one.at, one.restoration) == (3, bench.clock.time, BACK)
    assert bench.ledger.overwritten(run=2) == []
    assert bench.ledger.overwritten(since=bench.clock.time + 1) == []
    assert bench.ledger.overwritten(until=bench.clock.time) == []


def test_what_a_merge_overwrote_names_its_decision(bench):
    record = applied(bench, **MADE)
    bench.mark(A, 2)
    back = msgspec.structs.replace(BACK, side=A, expected=None, expected_image="1,'both'")
    entry = msgspec.structs.replace(ENTRY, **MADE)
    item = IntentItem(
        table_id=bench.t, keys=(2,), action=Op.UPDATE, present=True, conflict=entry, undo=back
    )
    number = bench.ledger.next_batch_id()
    bench.ledger.begin_batches([Batch(batch_id=number, target=A, lower=bench.seq, items=(item,))])
    bench.ledger.finish(number, {0})
    (one,) = bench.ledger.overwritten()
    assert one.restoration.conflict_id == record.conflict_id + 1
    folded = fold(iter([one]), "somebody")
    assert [found.expected_image for found in folded] == ["1,'both'"]
    asked, left = unmerge(folded, None, bench.ledger.conflict)
    assert (asked, "--merged a or b" in left[0][1]) == ([], True)
    for take, image in (("a", "1,'left'"), ("b", "1,'right'")):
        (again,), left = unmerge(folded, take, bench.ledger.conflict)
        assert (again.side, again.image, again.conflict_id, left) == (A, image, None, [])
        assert again.expected_image == "1,'both'"
    # It was carried to the other side since, by its digest.
    carried = msgspec.structs.replace(
        one, restoration=msgspec.structs.replace(BACK, expected="made", meant="bb")
    )
    (again,), _ = unmerge(fold(iter([carried, one]), "x"), "b", bench.ledger.conflict)
    assert (again.side, again.expected, again.expected_image) == (A, "made", None)
    (first,) = fold(iter([one, carried]), "x")
    assert (first.side, first.conflict_id, first.expected_image) == (B, None, "1,'both'")


def test_the_oldest_go_where_there_are_too_many_or_they_are_too_old(bench):
    bench.ledger.undo_rows = 3
    for key in range(1, 6):
        bench.clock.time += 10
        overwrite(bench, key=key)
    kept = [one.restoration.key_stored[0] for one in bench.ledger.overwritten()]
    assert kept == [5, 4, 3]
    bench.ledger.prune_overwritten(bench.clock.time - 5)
    assert [one.restoration.key_stored[0] for one in bench.ledger.overwritten()] == [5]


def together(bench, keys):
    """Overwrite many rows as one item of an intent."""
    bench.mark(A, keys[0], keys[-1])
    back = OverwrittenRows(
        *("shop.orders", B, ("id", "note")),
        [(str(key),) for key in keys],
        list(keys),
        [f"after {key}" for key in keys],
        [f"before {key}" for key in keys],
        [f"{key},'before'" for key in keys],
    )
    item = IntentItem(
        table_id=bench.t, keys=tuple(keys), action=Op.UPDATE, present=True, undo=back, rows=3
    )
    number = bench.ledger.next_batch_id()
    bench.ledger.begin_batches([Batch(batch_id=number, target=B, lower=bench.seq, items=(item,))])
    bench.reopen()
    assert bench.ledger.open_batches()[0].items == (item,)
    bench.ledger.finish(number, {0})
    assert not any(bench.of(key).a.exact for key in keys)


def test_rows_that_were_overwritten_together_are_kept_as_one_record_and_come_back_one_by_one(bench):
    overwrite(bench, key=1)
    together(bench, [5, 6, 7])
    overwrite(bench, key=2)
    found = bench.ledger.overwritten()
    assert [one.restoration.key_stored for one in found] == [(2,), (7,), (6,), (5,), (1,)]
    numbers = [one.number for one in found]
    assert numbers == sorted(set(numbers), reverse=True)
    assert found[2].restoration == msgspec.structs.replace(
        *(BACK,),
        key=("6",),
        key_stored=(6,),
        expected="after 6",
        meant="before 6",
        image="6,'before'",
    )
    for at in range(1, len(found)):
        assert bench.ledger.overwritten(before=numbers[at - 1], limit=2) == found[at : at + 2]
    bench.ledger.undo_rows = 3
    overwrite(bench, key=3)
    kept = [one.restoration.key_stored[0] for one in bench.ledger.overwritten()]
    assert kept == [3, 2, 7, 6, 5], "a record goes as a whole, and not before all of it may go"
    overwrite(bench, key=4)
    overwrite(bench, key=8)
    assert [one.restoration.key_stored[0] for one in bench.ledger.overwritten()] == [8, 4, 3]


def test_several_writes_of_a_row_are_undone_to_what_was_before_the_first(bench):
    overwrite(bench, meant="one", expected="two", image="1,'one'")
    overwrite(bench, key=2, meant="x", expected=None)
    overwrite(bench, meant="two", expected="three", image="1,'two'")
    overwrite(bench, key=3, meant="same", expected="other")
    overwrite(bench, key=3, meant="other", expected="same")
    found = fold(iter(bench.ledger.overwritten()), "somebody")
    assert [(one.key_stored, one.expected, one.meant, one.image) for one in found] == [
        ((1,), "three", "one", "1,'one'"),
        ((2,), None, "x", "1,'before'"),
    ]
    assert {one.actor for one in found} == {"somebody"}


def wrote(number, key, side, *, merged=False):
    back = Restoration(
        table="shop.orders",
        key=(str(key),),
        key_stored=(key,),
        side=side,
        columns=("id",),
        expected=None if merged else "now",
        meant="was",
        image="1",
        actor="",
        expected_image="2" if merged else None,
        conflict_id=9 if merged else None,
    )
    return Overwritten(number=number, batch_id=1, run=1, at=1.0, restoration=back)


def test_the_second_half_of_a_merge_brings_the_first():
    """Whether it lies before the time, or in another run: newest first, and no further back than the write before it."""
    history = [
        wrote(12, 1, B),
        wrote(11, 3, B),
        wrote(10, 4, A),
        wrote(9, 2, B),
        wrote(8, 3, A),
        wrote(7, 1, A, merged=True),
        wrote(6, 3, A, merged=True),
        wrote(5, 4, A, merged=True),
        wrote(4, 2, B),
    ]

    def found(*numbers):
        chosen = [one for one in history if one.number in numbers]
        return [
            one.number
            for one in with_merges(
                iter(chosen), lambda n: iter([o for o in history if o.number < n])
            )
        ]

    assert found(12, 11, 10, 9) == [12, 11, 10, 9, 7]
    assert found(12, 7) == [12, 7]
    assert found(12) == [12, 7]
    assert found(11) == [11], "what came between was no merge"
    assert found(10) == [10], "side A's row was not the second half"
    assert found(4) == [4]
