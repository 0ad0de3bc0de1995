"""What a transaction of ours leaves of its rows."""

from syncer.binlog import transaction as transactions
from syncer.binlog.events import RowsKind
from syncer.binlog.tablemap import LayoutUnknownError
from syncer.binlog.transaction import OpenTransaction
from syncer.core.mark import Op
from syncer.core.record import BatchItem, Erasure
from syncer.core.side import Side
from syncer.mysql.marker import pack_items

COPIED, OTHER = 4, 5


class Store:
    """Knows one batch: a copied range, then a key."""

    def batch_items(self, side, batch_id):
        assert (side, batch_id) == (Side.B, 9)
        return BatchItem(COPIED, (), every=True, bounds=(5, 500)), BatchItem(OTHER, (1,))


def record_of(written):
    transaction = OpenTransaction("g", 1, begun=True)
    transaction.own_batch(pack_items(9, written), Side.B, Store())
    transaction.rows(COPIED, "insert", [10, 11, 12])
    transaction.rows(OTHER, "insert", [1, 2])
    return transaction.record(7)


def keys_of(record):
    return {(m.table_id, key) for m in record.marks for key in range(m.low, m.high + 1)}


def test_every_row_of_a_copied_range_s_table_is_ours():
    """INV-12: earlier marks of these keys are obsolete, and the rows of other tables are real changes."""
    found = record_of({0})
    assert found.erase == (Erasure(COPIED, (10, 11, 12)),)
    assert keys_of(found) == {(OTHER, 1), (OTHER, 2)}


def test_a_range_that_was_not_written_is_anybody_s():
    found = record_of({1})
    assert found.erase == (Erasure(OTHER, (1,)),)
    assert keys_of(found) == {(COPIED, 10), (COPIED, 11), (COPIED, 12), (OTHER, 2)}


class Together(Store):
    """Knows a batch that wrote many rows as one item."""

    def batch_items(self, side, batch_id):
        return (BatchItem(OTHER, tuple(range(0, 40, 2))),)


def test_rows_that_were_written_together_are_ours_and_all_others_are_real_changes():
    """INV-12: a trigger or a cascade within our transaction is somebody's change."""
    transaction = OpenTransaction("g", 1, begun=True)
    transaction.own_batch(pack_items(9, {0}), Side.B, Together())
    transaction.rows(OTHER, "insert", list(range(0, 20, 2)))
    transaction.rows(OTHER, "update", [20, 20, 22, 22, 7, 7])
    transaction.rows(COPIED, "insert", [2])
    found = transaction.record(7)
    assert found.erase == (Erasure(OTHER, tuple(range(0, 40, 2))),)
    assert keys_of(found) == {(OTHER, 7), (COPIED, 2)}


class Unread:
    """Reads an event that holds its keys, and counts how often."""

    read_times = 0

    def read(self, body, at, *, compressed):
        self.read_times += 1
        if body == b"damaged":
            raise LayoutUnknownError("a row image cannot be read")
        return [at + one for one in body]


def test_the_rows_of_a_copied_range_are_read_when_somebody_asks(monkeypatch):
    """INV-12: earlier marks of these keys are obsolete; most often there are none, and nobody asks."""
    transaction = OpenTransaction("g", 1, begun=True)
    reader = Unread()
    assert not transaction.copied(COPIED, reader, b"\1\2", 100, compressed=False), "not ours so far"
    transaction.own_batch(pack_items(9, {0}), Side.B, Store())
    assert transaction.copied(COPIED, reader, b"\1\2", 100, compressed=False)
    assert not transaction.copied(OTHER, reader, b"\1\2", 100, compressed=False)
    assert transaction.copied(COPIED, reader, b"damaged", 100, compressed=False)
    monkeypatch.setattr(transactions, "UNREAD_BYTES", 8)
    assert not transaction.copied(COPIED, reader, b"\3", 100, compressed=False), "too many to keep"
    transaction.rows(COPIED, "insert", [103])
    found = transaction.record(7)
    assert found.marks == ()
    assert reader.read_times == 0
    [erasure] = found.erase
    assert (erasure.table_id, erasure.bounds) == (COPIED, (5, 500))
    assert sorted(erasure.keys) == sorted(erasure.keys) == [101, 102, 103]


def test_a_range_that_was_not_written_is_read():
    transaction = OpenTransaction("g", 1, begun=True)
    transaction.own_batch(pack_items(9, {1}), Side.B, Store())
    assert not transaction.copied(COPIED, Unread(), b"\1\2", 100, compressed=False)


class Reader:
    """Gives what rows were: the event itself; None for an event that does not hold it."""

    def before(self, kind, body, at):
        return body

    def pack(self, values):
        return values.encode()


class Merged(Store):
    """Knows a merged row."""

    def batch_items(self, side, batch_id):
        return (BatchItem(OTHER, (1,), base=b"theirs", commit_us=-5),)


def keep(transaction, operation, keys, were=None):
    transaction.rows(OTHER, operation, keys)
    transaction.keep(OTHER, RowsKind(operation, extra=False), keys, Reader(), were, 0)


def images_of(record):
    return {one.key: one.image for one in record.images}


def test_the_first_image_of_a_key_counts():
    transaction = OpenTransaction("g", 1, begun=True)
    keep(transaction, "update", [1, 1, 2, 2], ["a", "b"])
    keep(transaction, "update", [1, 1], ["later"])
    keep(transaction, "delete", [3], ["c"])
    keep(transaction, "update", [5, 5])
    keep(transaction, "insert", [4, 3])
    keep(transaction, "update", [4, 4], ["inserted"])
    keep(transaction, "update", [6, 7], ["moved"])
    keep(transaction, "update", [7, 7], ["moved here"])
    found = images_of(transaction.record(7))
    assert found == {1: b"a", 2: b"b", 3: b"c", 5: None, 6: b"moved"}


def test_bulk_changes_keep_no_images(monkeypatch):
    monkeypatch.setattr(transactions, "IMAGES_KEPT", 3)
    transaction = OpenTransaction("g", 1, begun=True)
    for key in range(9):
        keep(transaction, "delete", [key], ["o"])
    record = transaction.record(7)
    assert len(record.images) < len(keys_of(record)) == 9


def test_a_merged_row_is_a_change_of_the_other_side_s_row():
    """INV-16: as if their row had come first, and a change of this side after it; logged or not."""
    for logged in (True, False):
        transaction = OpenTransaction("g", 1, begun=True)
        transaction.own_batch(pack_items(9, {0}), Side.A, Merged())
        if logged:
            keep(transaction, "update", [1, 1], ["ours"])
        record = transaction.record(7)
        assert record.erase == (Erasure(OTHER, (1,)),)
        assert keys_of(record) == {(OTHER, 1)}
        assert [mark.touch.first_op for mark in record.marks] == [Op.UPDATE]
        assert [mark.touch.commit_us for mark in record.marks] == [-5], "as old as what it carries"
        assert images_of(record) == {1: b"theirs"}


def test_a_merged_row_that_was_left_out_is_nothing():
    transaction = OpenTransaction("g", 1, begun=True)
    transaction.own_batch(pack_items(9, set()), Side.A, Merged())
    record = transaction.record(7)
    assert (record.marks, record.images) == ((), ())
