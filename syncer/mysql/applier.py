"""
One batch, one transaction at the target: marker, guard, write, read back, commit (INV-9, INV-10, INV-15).

The order of the writes within the transaction is a *plan* (``writing.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from syncer.core.key import Key
from syncer.core.literals import split_image
from syncer.core.mark import Op
from syncer.core.pairing import PairedTable
from syncer.core.schema import Column
from syncer.errors import StatementRefused
from syncer.mysql import columns as cols
from syncer.mysql import marker, statements
from syncer.mysql.columns import as_text
from syncer.mysql.connection import Session
from syncer.mysql.documents import read_digest
from syncer.mysql.images import alike
from syncer.mysql.loading import load_lines
from syncer.mysql.reader import ChunkValues
from syncer.mysql.writing import (
    CHILD_EXISTS,
    Dependents,
    GuardMissed,
    Plan,
    ReadBackFailed,
    Write,
    by_table,
    set_asides,
    with_children,
    write_rows,
)

INSERT_BYTES = 96 << 10
"""
Length of one INSERT of many rows. Servers make many times as much of its text, which is to fit what is near the processors where several
are at it [measured, four on two processors: 640 KiB cost MySQL a fifth more than 100, MariaDB a tenth more than 160; 60 are no better].
"""


class Applied(msgspec.Struct, frozen=True):
    """
    What became of a batch's items, by their places.

    Attributes:
        written: committed at the target.
        blocked: deletes left out, since children would have gone with them that nobody has decided about.
        kept: the keys under which overwritten rows were inserted again.
    """

    written: frozenset[int]
    blocked: frozenset[int] = frozenset()
    kept: Mapping[int, int] = {}


def apply_batch(
    session: Session,
    *,
    pair_id: str,
    epoch: int,
    batch_id: int,
    writes: Sequence[Write],
    plan: Plan,
    leave_out: bool,
    dependents: Dependents,
) -> Applied:
    """
    Apply *writes* in one transaction.

    Args:
        dependents: what the target deletes together with a row: such a delete waits until it takes nothing along.
        leave_out: leave rows that moved out of the batch; otherwise any of them stops the whole batch.

    Raises:
        GuardMissed: rows moved; nothing was written.
        ReadBackFailed: rows became something else; nothing was written.
        EpochLost: another syncer has the pair.
        StatementRefused, TransientDatabaseError: nothing was written.
        OutcomeUnknown: the commit was sent and its answer lost (INV-14): look the batch up.
    """
    session.begin()
    try:
        marker.lock_for(session, pair_id, epoch)
        missed = _guard(session, writes)
        if missed and not leave_out:
            raise GuardMissed(missed)
        chosen = [at for at in range(len(writes)) if at not in missed]
        if not chosen:
            raise GuardMissed(missed)
        blocked = _blocked(session, {at: writes[at] for at in chosen}, dependents)
        chosen = [at for at in chosen if at not in blocked]
        if not chosen:
            session.rollback()
            return Applied(frozenset(), blocked)
        marker.write_batch(session, pair_id, batch_id, chosen)
        write_rows(session, [writes[at] for at in chosen], plan, dependents)
        kept = set_asides(session, {at: writes[at] for at in chosen})
        _read_back(session, {at: writes[at] for at in chosen})
    except BaseException:
        session.rollback_quietly()
        raise
    session.commit()
    return Applied(frozenset(chosen), blocked, kept)


def apply_change(
    session: Session, *, pair_id: str, epoch: int, write: Write, dependents: Dependents
) -> bool:
    """
    Write one row as a change of this side: the stream takes it for one of anybody else's, and it travels (INV-16).

    Guarded as a batch is (INV-9), read back (INV-15), and without a batch id: so it is no own write (INV-12). Returns False
    where the row is already what was meant, as after an unknown outcome; raises as ``apply_batch``.
    """
    session.begin()
    try:
        marker.lock_for(session, pair_id, epoch)
        if _guard(session, [write]):
            there = _is_there_already(session, write)
            session.rollback()
            if there:
                return False
            raise GuardMissed(frozenset((0,)))
        if _blocked(session, {0: write}, dependents):
            raise StatementRefused(
                f"{session.where}: the row of {write.table.name} still has children",
                errno=CHILD_EXISTS,
            )
        write_rows(session, [write], Plan.DELETES_FIRST, dependents)
        _read_back(session, {0: write})
    except BaseException:
        session.rollback_quietly()
        raise
    session.commit()
    return True


def apply_ranges(
    session: Session,
    *,
    row: str,
    epoch: int,
    batch_id: int,
    table: PairedTable,
    found: Sequence[ChunkValues],
) -> None:
    """
    Insert whole ranges of rows that the target lacks, in one transaction, as item 0 of the batch; *row*: the marker row that it writes.

    The plain INSERT is the guard of each row's absence (INV-9); where lines are loaded, that all of them were inserted. All that is
    between the beginning of the first range and the end of the last one, read back, must be what it is at the source (INV-15) by its
    digest: a row of anybody else's shows there too.

    Args:
        found: in the order of their keys; the source has no row between them.

    Raises:
        ReadBackFailed: the ranges are not what they are at the source; nothing was written.
        EpochLost, StatementRefused, TransientDatabaseError, OutcomeUnknown: as ``apply_batch``.
    """
    schema = table.schema(session.side)
    columns = table.writable(session.side)
    session.begin()
    try:
        marker.begin_batch(session, row, epoch, batch_id, (0,))
        for part in found:
            if isinstance(part.values, str):
                for rows in statements.split_rows(part.values, part.rows, INSERT_BYTES):
                    session.execute(statements.insert_rows(schema, columns, [rows]))
            elif session.load(load_lines(schema, columns), part.values) != part.rows:
                raise ReadBackFailed(frozenset((0,)))
        if not _are_there(session, table, found):
            raise ReadBackFailed(frozenset((0,)))
    except BaseException:
        session.rollback_quietly()
        raise
    session.commit()


def _are_there(session: Session, table: PairedTable, meant: Sequence[ChunkValues]) -> bool:
    sql = statements.select_chunk_digest(
        table.schema(session.side),
        session.flavor,
        table.compared(session.side),
        meant[0].low,
        meant[-1].high,
    )
    rows, whole = 0, 0
    for part in meant:
        rows, whole = rows + part.rows, whole ^ part.digest
    count, digest = session.query(sql)[0]
    return (int(count), int(digest or 0)) == (rows, whole)


def _select(
    session: Session,
    table: PairedTable,
    keys: Sequence[Key],
    *,
    lock: bool = False,
    images: Sequence[Column] = (),
) -> dict[Key, Sequence[object]]:
    """Return what of a row's digest is selected, and its image behind it where *images* are asked for."""
    schema = table.schema(session.side)
    width = len(schema.key)
    found: dict[Key, Sequence[object]] = {}
    for part in statements.split_keys(schema, keys, session.most_bytes // 2):
        sql = statements.select_digests(
            schema,
            session.flavor,
            table.compared(session.side),
            statements.keys_condition(schema, part),
            lock=lock,
            images=images,
            ordered=lock,
        )
        for row in session.query(sql):
            found[cols.read_key(schema.key_columns, row)] = row[width:]
    return found


def _digests(
    session: Session, table: PairedTable, keys: Sequence[Key], *, lock: bool = False
) -> dict[Key, str]:
    found = _select(session, table, keys, lock=lock)
    return {key: read_digest(cells) or "" for key, cells in found.items()}


def _guard(session: Session, writes: Sequence[Write]) -> frozenset[int]:
    """
    Lock the rows in key order and return the places of those that are not what was read (INV-9).

    An absent row is guarded by the plain INSERT that follows; what is there already shows here.
    """
    missed: set[int] = set()
    for table, items in by_table(enumerate(writes)):
        schema = table.schema(session.side)
        keys = [write.target_key or write.key for _, write in items]
        found = _digests(session, table, keys, lock=True)
        expected = {write.target_key for _, write in items if write.target_key is not None}
        strangers = any(key not in expected for key in found)
        told = [write.key for _, write in items if write.expected_image is not None]
        images = _images(session, table, told, lock=True) if told else {}
        for at, write in items:
            if write.expected_image is not None:
                here = not _is_row(session, table, write.expected_image, images.get(write.key))
            elif write.expected is None:
                here = write.key in found or (strangers and not schema.exact_spelling)
            else:
                here = found.get(write.target_key or write.key) != write.expected
            if here:
                missed.add(at)
    return frozenset(missed)


def _blocked(
    session: Session, writes: Mapping[int, Write], dependents: Dependents
) -> frozenset[int]:
    """
    Return the places of deletes that would take children along which this batch does not write (INV-9).

    The guard has locked the parents, so no child can come to them before the commit.
    """
    left = dict(writes)
    while True:
        parents = with_children(
            session, list(left.values()), dependents, ops={Op.DELETE, Op.UPDATE}
        )
        found = [
            at
            for at, write in left.items()
            if write.op is Op.DELETE and (write.table.table_id, write.target_key) in parents
        ]
        if not found:
            return frozenset(writes.keys() - left.keys())
        for at in found:
            del left[at]


def _images(
    session: Session, table: PairedTable, keys: Sequence[Key], *, lock: bool = False
) -> dict[Key, str]:
    found = _select(session, table, keys, lock=lock, images=table.writable(session.side))
    return {key: as_text(cells[-1]) for key, cells in found.items() if cells[-1] is not None}


def _is_row(session: Session, table: PairedTable, image: str | None, found: str | None) -> bool:
    """Say whether a row whose digest nobody knows is there in every literal (INV-9, INV-15)."""
    meant, there = split_image(image or ""), split_image(found or "")
    columns = table.writable(session.side)
    return len(meant) == len(there) == len(columns) and all(map(alike, columns, meant, there))


def _is_there_already(session: Session, write: Write) -> bool:
    """Say whether the row is what was meant, as after an unknown outcome."""
    if write.made:
        found = _images(session, write.table, [write.key]).get(write.key)
        return _is_row(session, write.table, write.image, found)
    return _digests(session, write.table, [write.key]).get(write.key) == write.meant


def _read_back(session: Session, writes: dict[int, Write]) -> None:
    wrong: set[int] = set()
    for table, items in by_table(writes.items()):
        found = _digests(session, table, [write.key for _, write in items])
        made = [write.key for _, write in items if write.made]
        images = _images(session, table, made) if made else {}
        for at, write in items:
            if write.made:
                bad = not _is_row(session, table, write.image, images.get(write.key))
            elif write.meant is None:
                bad = write.key in found or (bool(write.target_key) and write.target_key in found)
            else:
                bad = found.get(write.key) != write.meant
            if bad:
                wrong.add(at)
    if wrong:
        raise ReadBackFailed(frozenset(wrong))
