"""What a transaction of ours leaves of its rows."""

from syncer.binlog.transaction import OpenTransaction
from syncer.core.record import BatchItem, Erasure
from syncer.core.side import Side
from syncer.mysql.marker import pack_items

COPIED, OTHER = 4, 5


class Store:
    """Knows one batch: a copied range, then a key."""

    def batch_items(self, side, batch_id):
        assert (side, batch_id) == (Side.B, 9)
        return BatchItem(COPIED, (), every=True), BatchItem(OTHER, (1,))


def record_of(written):
    transaction = OpenTransaction("g", 1, begun=True)
    transaction.own_batch(pack_items(9, written))
    transaction.rows(COPIED, "insert", [10, 11, 12])
    transaction.rows(OTHER, "insert", [1, 2])
    return transaction.record(Side.B, 7, Store())


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
