"""What rows were before they changed: kept with their marks, gone with them, and never a later one for a first."""

import pytest

from syncer.core.mark import KeyMark, Op, Reason
from syncer.core.record import BatchItem, BeforeImage, Erasure
from syncer.core.side import SIDES, Side
from syncer.ledger.images import Images
from syncer.ledger.records import Batch, IntentItem

KEY = 7
NOWHERE = dict.fromkeys(SIDES, 0)


@pytest.fixture
def kept(bench):
    bench.ledger.keep_images([bench.t], NOWHERE)
    return bench


def change(bench, side, image=b"o", *, key=KEY, op=Op.UPDATE, table=None, **more):
    table = bench.t if table is None else table
    images = (BeforeImage(table, key, image),) if op is not Op.INSERT else ()
    return bench.mark(side, key, op=op, table=table, images=images, **more)


def first(bench, side=Side.A, key=KEY, table=None):
    """(transaction, image) of the first image that counts; None where it is not known."""
    table = bench.t if table is None else table
    marks = bench.ledger.marks_of(table, [key])
    found = bench.ledger.images_of(table, marks).get(key, {}).get(side)
    return None if found is None or found.gap else (found.seq, found.image)


def test_the_first_image_counts(kept):
    seqs = [change(kept, side, image) for image in (b"1", b"2") for side in SIDES]
    assert first(kept) == (seqs[0], b"1")
    assert first(kept, Side.B) == (seqs[1], b"1")


def test_a_key_that_one_side_changed_has_no_conflict(kept):
    change(kept, Side.A)
    assert first(kept) is None


def test_images_go_with_their_marks_and_later_ones_stay(kept):
    change(kept, Side.B)
    seqs = [change(kept, Side.A, image) for image in (b"1", b"2", b"3")]
    kept.ledger.clear(kept.t, [KEY], {Side.A: seqs[0]})
    assert first(kept) == (seqs[1], b"2")
    kept.ledger.clear(kept.t, [KEY], {Side.A: seqs[2]})
    change(kept, Side.A, b"4")
    assert first(kept)[1] == b"4"


def test_our_own_write_takes_older_images_along(kept):
    change(kept, Side.B)
    change(kept, Side.A, b"1")
    kept.record(Side.A, erase=(Erasure(kept.t, (KEY,)),))
    assert first(kept) is None
    change(kept, Side.A, b"2")
    assert first(kept)[1] == b"2"


def test_an_image_survives_a_restart(kept):
    for side in SIDES:
        change(kept, side)
    kept.reopen()
    kept.ledger.keep_images([kept.t], NOWHERE)
    assert first(kept)[1] == b"o"


def test_what_was_marked_before_images_were_kept_has_none(bench):
    bench.mark(Side.B, KEY)
    bench.mark(Side.A, KEY)
    bench.ledger.keep_images([bench.t], bench.seq)
    change(bench, Side.A, b"later")
    assert first(bench) is None
    change(bench, Side.A, key=8)
    change(bench, Side.B, key=8)
    assert first(bench, key=8)[1] == b"o"


def test_a_table_that_comes_meanwhile_knows_nothing_of_before(bench):
    bench.mark(Side.A, KEY)
    bench.mark(Side.B, KEY)
    change(bench, Side.A)
    change(bench, Side.B)
    assert first(bench) is None
    for side in SIDES:
        change(bench, side, key=8)
    assert first(bench, key=8) is not None


def test_a_table_whose_rules_ask_no_more_is_forgotten(kept):
    for side in SIDES:
        change(kept, side)
    kept.ledger.keep_images([], NOWHERE)
    kept.ledger.keep_images([kept.t], kept.seq)
    assert first(kept) is None


def test_an_image_that_is_missing_makes_no_later_one_the_first(kept):
    change(kept, Side.B)
    kept.mark(Side.A, KEY)  # a change without an image
    change(kept, Side.A, b"later")
    assert first(kept) is None
    # A key that changed after it is none the worse.
    for side in SIDES:
        change(kept, side, key=8)
    assert first(kept, key=8)[1] == b"o"


@pytest.mark.parametrize("how", ["spilled", "run", "xa", "not whole", "purged"])
def test_every_way_to_have_no_image(kept, how):
    change(kept, Side.B)
    if how == "spilled":
        kept.ledger.spill(Side.A, [KeyMark(kept.t, KEY, KEY, kept.touch(1))])
    elif how == "run":
        images = (BeforeImage(kept.t, KEY, b"o"),)
        kept.mark(Side.A, KEY - 2, KEY + 2, images=images)
    elif how == "xa":
        mark = KeyMark(kept.t, KEY, KEY, kept.touch(1))
        images = (BeforeImage(kept.t, KEY, b"o"),)
        kept.record(Side.A, marks=(mark,), images=images, prepared_xid="x")
        kept.record(Side.A, committed_xid="x")
    elif how == "not whole":
        change(kept, Side.A, None)
    else:
        change(kept, Side.A, b"o")
        kept.ledger.mark_table(kept.t, [Side.A], Reason.PURGED, dict.fromkeys(SIDES, 9))
    change(kept, Side.A, b"later")
    found = first(kept)
    assert found is None or found[1] is None


def test_a_row_that_was_inserted_needs_no_image(kept):
    change(kept, Side.B)
    change(kept, Side.A, op=Op.INSERT)
    assert kept.of(KEY).a.exact.first_op is Op.INSERT
    change(kept, Side.A, key=8)
    change(kept, Side.B, key=8)
    assert first(kept, key=8) is not None


def test_too_many_images_are_forgotten_and_counted_anew(kept, monkeypatch):
    monkeypatch.setattr(Images, "images_most", 4)
    for key in range(3):
        for side in SIDES:
            change(kept, side, key=key)
    assert first(kept, key=0) is not None
    for key in range(3, 6):
        for side in SIDES:
            change(kept, side, key=key)
    assert first(kept, key=0) is None
    assert first(kept, key=5) is not None


def test_what_is_merged_begins_with_the_other_side_s_row(kept):
    """The tailer hands on what the intent names."""
    item = IntentItem(table_id=kept.t, keys=(KEY,), action=Op.UPDATE, present=True, base=b"theirs")
    batch = Batch(batch_id=1, target=Side.A, lower={Side.A: 1, Side.B: 1}, items=(item,))
    kept.ledger.begin_batches([batch])
    assert kept.ledger.batch_items(Side.A, 1) == (BatchItem(kept.t, (KEY,), base=b"theirs"),)
    assert kept.ledger.open_batches() == [batch]


@pytest.mark.parametrize("how", ["forget_table", "leave", "disown"])
def test_images_are_forgotten_with_what_they_belong_to(kept, how):
    for side in SIDES:
        change(kept, side)
    if how == "disown":
        kept.ledger.disown(Side.A, kept.ledger.position(Side.A), [kept.t])
    else:
        getattr(kept.ledger, how)(kept.t)
    for side in SIDES:
        change(kept, side, b"later", key=8)
    db = kept.ledger._db
    left = db.execute("SELECT count(*) FROM image WHERE key = ? AND side = 'a'", (KEY,)).fetchone()
    assert left == (0,)


def test_a_gap_is_never_made_shorter(kept):
    """A table marked whole at an earlier place of the stream says nothing of an image that is missing later."""
    change(kept, Side.B)
    missing = kept.mark(Side.A, KEY)
    change(kept, Side.A, b"2")
    kept.ledger.mark_table(kept.t, [Side.A], Reason.DDL, {Side.A: missing - 1})
    assert first(kept) is None
