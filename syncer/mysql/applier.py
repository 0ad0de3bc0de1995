"""
One batch, one transaction at the target: marker, guard, write, read back, commit (INV-9, INV-10, INV-15).

The order of the writes within the transaction is a *plan*. Foreign keys and secondary unique keys can ask for opposite
orders, so there are several; the caller tries the next one where the server refuses.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence

import msgspec

from syncer.core.key import Key
from syncer.core.links import emptied
from syncer.core.literals import split_image
from syncer.core.mark import Op
from syncer.core.pairing import PairedTable, write_order
from syncer.errors import EpochLost, GuardFailed, ReconcileError, StatementRefused
from syncer.mysql import columns as cols
from syncer.mysql import marker, statements
from syncer.mysql.connection import Session
from syncer.mysql.detours import detachable, displaceable
from syncer.mysql.documents import read_digest
from syncer.mysql.reader import ChunkValues, read_values

DUPLICATE_KEY = 1062
CHILD_EXISTS = 1451
STATEMENT_BYTES = 1 << 20


class Plan(enum.Enum):
    """The order of writes in one transaction."""

    DELETES_FIRST = "deletes_first"
    """Frees unique values and children before anything is written."""
    DELETES_LAST = "deletes_last"
    """Lets children move away before their parent goes."""
    DISPLACE = "displace"
    """Takes rows out and puts them back: unique values can swap places. Only where a unique key refused the others."""
    LINKS_APART = "links_apart"
    """Writes rows that refer to each other first without that, then with it. Only where a foreign key refused the others."""


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """
    One row to make at the target what it is at the source.

    Attributes:
        key: as spelt at the source, or at the target where the source has no row.
        target_key: as spelt at the target; None where the row is absent there.
        expected: digest of the target's row as read; None: absent.
        meant: digest of the source's row; None: absent.
        image: the source's row as SQL literals; None: absent.
        aside: the target's row, to be inserted again under a key that the target makes; None: it is not kept.
    """

    table: PairedTable
    key: Key
    target_key: Key | None
    expected: str | None
    meant: str | None
    image: str | None
    aside: str | None = None

    @property
    def op(self) -> Op:
        """What the target will see."""
        if self.image is None:
            return Op.DELETE
        return Op.INSERT if self.expected is None else Op.UPDATE


class Dependent(msgspec.Struct, frozen=True):
    """
    A table whose rows the target deletes with their parents.

    *pairs*: foreign-key column and the parent's column that it refers to.
    """

    child: PairedTable
    pairs: tuple[tuple[str, str], ...]


Dependents = Mapping[int, Sequence[Dependent]]
"""By the parent's table id."""


class Applied(msgspec.Struct, frozen=True):
    """
    What became of a batch's items, by their places.

    Attributes:
        written: committed at the target.
        blocked: deletes left out, since children would have gone with them that nobody has decided about.
    """

    written: frozenset[int]
    blocked: frozenset[int] = frozenset()


class ReadBackFailed(ReconcileError):
    """What was written is not what was meant (trigger, truncation, charset): rolled back, the items are held (INV-15)."""

    code = "read_back"

    def __init__(self, items: frozenset[int]) -> None:
        """Name the items by their place in the batch."""
        super().__init__("rows read back after the write differ from what was meant")
        self.items = items


class GuardMissed(GuardFailed):
    """Rows moved since they were read: rolled back."""

    def __init__(self, items: frozenset[int]) -> None:
        """Name the items by their place in the batch."""
        super().__init__("rows moved between the read and the write")
        self.items = items


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
        _lock_marker(session, pair_id, epoch)
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
        _write(session, [writes[at] for at in chosen], plan, dependents)
        _set_asides(session, [writes[at] for at in chosen])
        _read_back(session, {at: writes[at] for at in chosen})
    except BaseException:
        session.rollback_quietly()
        raise
    session.commit()
    return Applied(frozenset(chosen), blocked)


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
        _lock_marker(session, pair_id, epoch)
        if _guard(session, [write]):
            found = _digests(session, write.table, [write.key]).get(write.key)
            session.rollback()
            if found == write.meant:
                return False
            raise GuardMissed(frozenset((0,)))
        if _blocked(session, {0: write}, dependents):
            raise StatementRefused(
                f"{session.where}: the row of {write.table.name} still has children",
                errno=CHILD_EXISTS,
            )
        _write(session, [write], Plan.DELETES_FIRST, dependents)
        _read_back(session, {0: write})
    except BaseException:
        session.rollback_quietly()
        raise
    session.commit()
    return True


def apply_ranges(
    session: Session,
    *,
    pair_id: str,
    epoch: int,
    batch_id: int,
    table: PairedTable,
    found: Sequence[ChunkValues],
) -> None:
    """
    Insert whole ranges of rows that the target lacks, in one transaction, as item 0 of the batch.

    The plain INSERT is the guard of each row's absence (INV-9). Each range, read back, must be what it is at the source
    (INV-15), by its digest, or without one by its text: a row of anybody else's within the range shows there too.

    Raises:
        ReadBackFailed: a range is not what it is at the source; nothing was written.
        EpochLost, StatementRefused, TransientDatabaseError, OutcomeUnknown: as ``apply_batch``.
    """
    schema = table.schema(session.side)
    columns = table.writable(session.side)
    session.begin()
    try:
        _lock_marker(session, pair_id, epoch)
        marker.write_batch(session, pair_id, batch_id, (0,))
        for part in found:
            session.execute(statements.insert_rows(schema, columns, [part.values]))
        for part in found:
            if not _is_there(session, table, part):
                raise ReadBackFailed(frozenset((0,)))
    except BaseException:
        session.rollback_quietly()
        raise
    session.commit()


def _is_there(session: Session, table: PairedTable, meant: ChunkValues) -> bool:
    if meant.digest is None:
        return read_values(session, table, meant.low, meant.high, digest=False) == meant
    sql = statements.select_chunk_digest(
        table.schema(session.side),
        session.flavor,
        table.compared(session.side),
        meant.low,
        meant.high,
    )
    count, digest = session.query(sql)[0]
    return (int(count), int(digest or 0)) == (meant.rows, meant.digest)


def _lock_marker(session: Session, pair_id: str, epoch: int) -> None:
    """INV-9, INV-17: the marker row first, and its epoch must be ours."""
    found = marker.lock(session, pair_id)
    if found is None or found.epoch != epoch:
        raise EpochLost(
            f"side {session.side}: another syncer has taken the pair over; stop one of the two"
        )


Grouped = list[tuple[PairedTable, list[tuple[int, Write]]]]


def _by_table(writes: Iterable[tuple[int, Write]]) -> Grouped:
    """Group by table, parents before children; every write keeps its place in the batch."""
    tables: dict[int, PairedTable] = {}
    grouped: dict[int, list[tuple[int, Write]]] = defaultdict(list)
    for at, write in writes:
        tables[write.table.table_id] = write.table
        grouped[write.table.table_id].append((at, write))
    return [(table, grouped[table.table_id]) for table in write_order(tables.values())]


def _digests(
    session: Session, table: PairedTable, keys: Sequence[Key], *, lock: bool = False
) -> dict[Key, str]:
    schema = table.schema(session.side)
    sql = statements.select_digests(
        schema,
        session.flavor,
        table.compared(session.side),
        statements.keys_condition(schema, keys),
        lock=lock,
        ordered=lock,
    )
    width = len(schema.key)
    return {
        cols.read_key(schema.key_columns, row): read_digest(row[width:]) or ""
        for row in session.query(sql)
    }


def _guard(session: Session, writes: Sequence[Write]) -> frozenset[int]:
    """
    Lock the rows in key order and return the places of those that are not what was read (INV-9).

    An absent row is guarded by the plain INSERT that follows; what is there already shows here.
    """
    missed: set[int] = set()
    for table, items in _by_table(enumerate(writes)):
        schema = table.schema(session.side)
        keys = [write.target_key or write.key for _, write in items]
        found = _digests(session, table, keys, lock=True)
        expected = {write.target_key for _, write in items if write.target_key is not None}
        strangers = any(key not in expected for key in found)
        for at, write in items:
            if write.expected is None:
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
        parents = _with_children(
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


def _with_children(
    session: Session, writes: Sequence[Write], dependents: Dependents, *, ops: Container[Op]
) -> set[tuple[int, Key]]:
    """Return table and key of rows to delete that have children, those not counted that *writes* change by one of *ops*."""
    found: set[tuple[int, Key]] = set()
    if not dependents:
        return found
    grouped = {table.table_id: (table, items) for table, items in _by_table(enumerate(writes))}
    for table_id, (table, items) in grouped.items():
        keys = _target_keys((write for _, write in items), {Op.DELETE})
        if not keys:
            continue
        parent = table.schema(session.side)
        for one in dependents.get(table_id, ()):
            child = one.child.schema(session.side)
            _, theirs = grouped.get(one.child.table_id, (table, []))
            but = _target_keys((write for _, write in theirs), ops)
            sql = statements.select_parents_with_children(parent, keys, child, one.pairs, but)
            found |= {
                (table_id, cols.read_key(parent.key_columns, row)) for row in session.query(sql)
            }
    return found


def _target_keys(writes: Iterable[Write], ops: Container[Op]) -> list[Key]:
    return [w.target_key for w in writes if w.op in ops and w.target_key is not None]


def _write(session: Session, writes: Sequence[Write], plan: Plan, dependents: Dependents) -> None:
    grouped = _by_table(enumerate(writes))
    if plan is Plan.LINKS_APART:
        _write_apart(session, grouped, dependents)
        return
    displaced: set[int] = set()
    if plan is Plan.DISPLACE:
        displaced = {table.table_id for table, _ in grouped if displaceable(session, table)}
        _take_out(session, grouped, displaced)
    if plan is not Plan.DELETES_LAST:
        _delete(session, grouped, dependents)
    for table, numbered in grouped:
        items = [write for _, write in numbered]
        moved = table.table_id in displaced
        updates = [w for w in items if w.op is Op.UPDATE and not moved]
        inserts = [w for w in items if w.op is Op.INSERT or (w.op is Op.UPDATE and moved)]
        _update(session, table, updates)
        _insert(session, table, inserts)
    if plan is Plan.DELETES_LAST:
        _delete(session, grouped, dependents)


def _set_asides(session: Session, writes: Sequence[Write]) -> None:
    """Keep the rows that ``keep_both`` has overwritten."""
    for table, numbered in _by_table(enumerate(write for write in writes if write.aside)):
        _set_aside(session, table, [write.aside for _, write in numbered if write.aside])


def _set_aside(session: Session, table: PairedTable, images: Sequence[str]) -> None:
    """
    Insert rows again under keys of the target's own.

    To the stream these are new rows of the target like anybody's: none of our items, so they are marked and travel (INV-12).
    """
    schema = table.schema(session.side)
    found = session.query(
        "SELECT COUNT(*) FROM information_schema.key_column_usage "
        "WHERE referenced_table_schema = %s AND referenced_table_name = %s",
        (schema.on_server.database, schema.on_server.name),
    )
    if int(found[0][0]):
        raise StatementRefused(
            f"{session.where}: rows of {table.name} cannot get another key: other tables refer to them"
        )
    columns = table.writable(session.side)
    keys = {name.lower() for name in schema.key}
    kept = [at for at, column in enumerate(columns) if column.name.lower() not in keys]
    for image in images:
        literals = split_image(image)
        row = ",".join(literals[at] for at in kept)
        session.execute(statements.insert_rows(schema, [columns[at] for at in kept], [row]))


def _write_apart(session: Session, grouped: Grouped, dependents: Dependents) -> None:
    """
    Write rows that refer to each other, those references last.

    All is within the batch's transaction and under its guard: an absent row is still written by a plain INSERT (INV-9), and
    what is read back before the commit has its references (INV-15).
    """
    apart = detachable(session, [table for table, _ in grouped])
    for table, numbered in grouped:
        gone = _target_keys((write for _, write in numbered), {Op.DELETE})
        if gone and table.table_id in apart:
            schema = table.schema(session.side)
            session.execute(statements.empty_columns(schema, apart[table.table_id], gone))
    for table, numbered in grouped:
        columns = apart.get(table.table_id, ())
        names = [column.name for column in table.writable(session.side)]
        items = [write for _, write in numbered]
        inserts = [w for w in items if w.op is Op.INSERT]
        if not columns:
            _update(session, table, [w for w in items if w.op is Op.UPDATE])
        _insert(session, table, [_without(w, names, columns) for w in inserts])
    for table, numbered in grouped:
        if table.table_id in apart:
            items = [write for _, write in numbered if write.op is not Op.DELETE]
            there = [msgspec.structs.replace(w, target_key=w.target_key or w.key) for w in items]
            _update(session, table, there)
    _delete(session, grouped, dependents)


def _without(write: Write, names: Sequence[str], columns: Sequence[str]) -> Write:
    if not columns or write.image is None:
        return write
    return msgspec.structs.replace(write, image=emptied(write.image, names, columns))


def _take_out(session: Session, grouped: Grouped, displaced: set[int]) -> None:
    """Delete rows that come back under the same key: unchecked, since references to them stay good."""
    session.execute("SET SESSION foreign_key_checks = 0")
    try:
        for table, numbered in grouped:
            keys = [
                w.target_key for _, w in numbered if w.op is Op.UPDATE and w.target_key is not None
            ]
            if keys and table.table_id in displaced:
                session.execute(statements.delete_rows(table.schema(session.side), keys))
    finally:
        session.execute("SET SESSION foreign_key_checks = 1")


def _delete(session: Session, grouped: Grouped, dependents: Dependents) -> None:
    writes = [write for _, items in grouped for _, write in items]
    if _with_children(session, writes, dependents, ops={Op.DELETE}):
        raise StatementRefused(
            f"{session.where}: rows that are to go still have children that are to stay",
            errno=CHILD_EXISTS,
        )
    for table, numbered in reversed(grouped):
        keys = [w.target_key for _, w in numbered if w.op is Op.DELETE and w.target_key is not None]
        if keys:
            session.execute(statements.delete_rows(table.schema(session.side), keys))


def _most_bytes(session: Session) -> int:
    """How long the rows of one statement may be, together."""
    return min(STATEMENT_BYTES, session.most_bytes // 2)


def _insert(session: Session, table: PairedTable, writes: Sequence[Write]) -> None:
    schema = table.schema(session.side)
    images = [write.image for write in writes if write.image is not None]
    for batch in statements.split_by_bytes(images, _most_bytes(session)):
        try:
            session.execute(statements.insert_rows(schema, table.writable(session.side), batch))
        except StatementRefused as error:
            if error.errno == DUPLICATE_KEY and error.on_primary_key and not schema.key_prefix:
                # The absence was the guard's word; somebody has inserted the row since. (A row that only begins like ours
                # is another one, that ours cannot stand beside.)
                raise GuardMissed(frozenset()) from error
            raise


def _update(session: Session, table: PairedTable, writes: Sequence[Write]) -> None:
    schema = table.schema(session.side)
    pairs = [
        (w.image, w.target_key) for w in writes if w.image is not None and w.target_key is not None
    ]
    if not pairs:
        return
    columns = table.writable(session.side)
    if not schema.unique and not schema.triggers and all(w.key == w.target_key for w in writes):
        for batch in statements.split_by_bytes([image for image, _ in pairs], _most_bytes(session)):
            session.execute(statements.overwrite_rows(schema, columns, batch))
        return
    for image, key in pairs:
        session.execute(statements.update_row(schema, columns, image, key))


def _read_back(session: Session, writes: dict[int, Write]) -> None:
    wrong: set[int] = set()
    for table, items in _by_table(writes.items()):
        found = _digests(session, table, [write.key for _, write in items])
        for at, write in items:
            if write.meant is None:
                bad = write.key in found or (bool(write.target_key) and write.target_key in found)
            else:
                bad = found.get(write.key) != write.meant
            if bad:
                wrong.add(at)
    if wrong:
        raise ReadBackFailed(frozenset(wrong))
