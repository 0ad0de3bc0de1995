"""
Many rows to one target, guarded and read back by what they are together (INV-9, INV-15).

It is ``applier.py``'s transaction with one digest for all rows of a table in the place of one for each. Where that is not what it
should be, the transaction is rolled back, and nobody knows which row it was: the caller goes key by key.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncer.core.key import Key
from syncer.core.mark import Op
from syncer.core.onesided import joined
from syncer.core.pairing import PairedTable, write_order
from syncer.core.side import Side
from syncer.mysql import marker, statements
from syncer.mysql.connection import Session
from syncer.mysql.marker import lock_for
from syncer.mysql.reader import RowRead
from syncer.mysql.writing import (
    GuardMissed,
    ReadBackFailed,
    delete_keys,
    insert_images,
    update_images,
)


class Carried:
    """
    Rows of one table to be made at *target* what they are at the source; every key is spelt alike on both sides.

    Attributes:
        keys: all of them, in the order in which they were added, which is that of the next two.
        meant: the digests of the source's rows; None: absent there.
        overwritten: the target's rows; None: absent there.
        deletes, updates, inserts: the keys of each kind; images go with the last two.
    """

    def __init__(self, table: PairedTable, target: Side) -> None:
        """Begin with none."""
        self.table = table
        self.target = target
        self.keys: list[Key] = []
        self.meant: list[str | None] = []
        self.overwritten: list[RowRead | None] = []
        self.deletes: list[Key] = []
        self.updates: list[Key] = []
        self.update_images: list[str] = []
        self.insert_images: list[str] = []

    def add(self, key: Key, meant: str | None, image: str, there: RowRead | None) -> None:
        """Add one row: what it is to be, and what the target has; not both absent."""
        self.keys.append(key)
        self.meant.append(meant)
        self.overwritten.append(there)
        if there is None:
            self.insert_images.append(image)
        elif meant is None:
            self.deletes.append(key)
        else:
            self.updates.append(key)
            self.update_images.append(image)

    def counts(self) -> dict[Op, int]:
        """How many writes of each kind they are."""
        return {
            Op.DELETE: len(self.deletes),
            Op.UPDATE: len(self.updates),
            Op.INSERT: len(self.insert_images),
        }

    def longest(self) -> int:
        """The length of the longest image, in characters."""
        return max(map(len, (*self.update_images, *self.insert_images)), default=0)


def carry_rows(
    session: Session, *, row: str, epoch: int, batch_id: int, tables: Sequence[Carried]
) -> None:
    """
    Write all rows of *tables* in one transaction, by the marker row *row*; they are items 0, 1, ... of the batch in that order.

    Raises:
        GuardMissed: some row is not what was read; nothing was written.
        ReadBackFailed: some row became something else; nothing was written.
        EpochLost, StatementRefused, TransientDatabaseError, OutcomeUnknown: as ``applier.apply_batch``.
    """
    order = {t.table_id: at for at, t in enumerate(write_order(one.table for one in tables))}
    ordered = sorted(tables, key=lambda one: order[one.table.table_id])
    session.begin()
    try:
        lock_for(session, row, epoch)
        _guard(session, ordered)
        marker.write_batch(session, row, batch_id, range(sum(len(one.keys) for one in tables)))
        for one in reversed(ordered):
            if one.deletes:
                delete_keys(session, one.table, one.deletes)
        for one in ordered:
            update_images(session, one.table, one.update_images, one.updates)
            insert_images(session, one.table, one.insert_images)
        _read_back(session, ordered)
    except BaseException:
        session.rollback_quietly()
        raise
    session.commit()


def _guard(session: Session, tables: Sequence[Carried]) -> None:
    """Lock the rows; together they must be what was read, absent ones included (INV-9). Raises GuardMissed."""
    for one in tables:
        here = [row.digest for row in one.overwritten if row is not None]
        if _look(session, one, lock=True) != (len(here), joined(here)):
            raise GuardMissed(frozenset())


def _read_back(session: Session, tables: Sequence[Carried]) -> None:
    """Together they must be what was meant (INV-15). Raises ReadBackFailed."""
    for one in tables:
        meant = [digest for digest in one.meant if digest is not None]
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
