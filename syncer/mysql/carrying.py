"""
Many rows to one target, guarded and read back by what they are together (INV-9, INV-15).

It is ``applier.py``'s transaction with one digest for all rows of a table in the place of one for each. Where that is not what it
should be, the transaction is rolled back, and nobody knows which row it was: the caller goes key by key.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from syncer.core.key import Key, StoredKey
from syncer.core.mark import Op
from syncer.core.onesided import joined
from syncer.core.pairing import PairedTable, write_order
from syncer.core.side import Side
from syncer.mysql import marker, statements
from syncer.mysql.connection import Session
from syncer.mysql.reader import RowRead
from syncer.mysql.writing import (
    GuardMissed,
    ReadBackFailed,
    delete_keys,
    insert_images,
    update_images,
)


class Rows(msgspec.Struct, gc=False):
    """
    Rows that are written in one way, in lists of one length, but for what that way has no use for: those stay empty.

    Attributes:
        keys, stored: of each, its key, and the same as the ledger has it.
        images, meant: the row to write, as literals, and its digest; not of deletes.
        there: what the target has; not of inserts.
    """

    keys: list[Key] = []
    stored: list[StoredKey] = []
    images: list[str] = []
    meant: list[str] = []
    there: list[RowRead] = []


class Carried(msgspec.Struct, frozen=True):
    """Rows of one table to be made at *target* what they are at the source; every key is spelt alike on both sides."""

    table: PairedTable
    target: Side
    deletes: Rows = msgspec.field(default_factory=Rows)
    updates: Rows = msgspec.field(default_factory=Rows)
    inserts: Rows = msgspec.field(default_factory=Rows)

    def ways(self) -> list[tuple[Op, Rows]]:
        """Return the rows of each kind of write that there are any of."""
        all_ways = (
            (Op.DELETE, self.deletes),
            (Op.UPDATE, self.updates),
            (Op.INSERT, self.inserts),
        )
        return [(op, rows) for op, rows in all_ways if rows.keys]

    @property
    def keys(self) -> list[Key]:
        """All keys."""
        return [*self.deletes.keys, *self.updates.keys, *self.inserts.keys]

    @property
    def stored(self) -> list[StoredKey]:
        """All keys as the ledger has them, in the order of *keys*."""
        return [*self.deletes.stored, *self.updates.stored, *self.inserts.stored]

    def longest(self) -> int:
        """The length of the longest image, in characters."""
        return max(map(len, (*self.updates.images, *self.inserts.images)), default=0)


def carry_rows(
    session: Session,
    *,
    row: str,
    epoch: int,
    batch_id: int,
    items: int,
    tables: Sequence[Carried],
) -> None:
    """
    Write all rows of *tables* in one transaction, by the marker row *row*, as all items of the batch: 0 to *items* (exclusive).

    Raises:
        GuardMissed: some row is not what was read; nothing was written.
        ReadBackFailed: some row became something else; nothing was written.
        EpochLost, StatementRefused, TransientDatabaseError, OutcomeUnknown: as ``applier.apply_batch``.
    """
    order = {t.table_id: at for at, t in enumerate(write_order(one.table for one in tables))}
    ordered = sorted(tables, key=lambda one: order[one.table.table_id])
    session.begin()
    try:
        marker.begin_batch(session, row, epoch, batch_id, range(items))
        _guard(session, ordered)
        for one in reversed(ordered):
            if one.deletes.keys:
                delete_keys(session, one.table, one.deletes.keys)
        for one in ordered:
            update_images(session, one.table, one.updates.images, one.updates.keys)
            insert_images(session, one.table, one.inserts.images)
        _read_back(session, ordered)
    except BaseException:
        session.rollback_quietly()
        raise
    session.commit()


def _guard(session: Session, tables: Sequence[Carried]) -> None:
    """Lock the rows; together they must be what was read, absent ones included (INV-9). Raises GuardMissed."""
    for one in tables:
        here = [row.digest for rows in (one.deletes, one.updates) for row in rows.there]
        if _look(session, one, lock=True) != (len(here), joined(here)):
            raise GuardMissed(frozenset())


def _read_back(session: Session, tables: Sequence[Carried]) -> None:
    """Together they must be what was meant (INV-15). Raises ReadBackFailed."""
    for one in tables:
        meant = one.updates.meant + one.inserts.meant
        if _look(session, one, lock=False) != (len(meant), joined(meant)):
            raise ReadBackFailed(frozenset())


def _look(session: Session, one: Carried, *, lock: bool) -> tuple[int, int]:
    """Return number and joined digest of the rows that are there, in the index's order where they are locked."""
    schema = one.table.schema(session.side)
    rows, digests = 0, 0
    for part in statements.split_keys(schema, one.keys, session.most_bytes // 2):
        sql = statements.select_keys_digest(
            schema, session.flavor, one.table.compared(session.side), part, lock=lock
        )
        count, digest = session.query(sql)[0]
        rows += int(count)
        digests ^= int(digest or 0)
    return rows, digests
