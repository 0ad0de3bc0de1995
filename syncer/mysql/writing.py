"""
The writes of a batch within its transaction, in the order of a *plan* (INV-9).

Foreign keys and secondary unique keys can ask for opposite orders, so there are several plans; the caller tries the next one
where the server refuses.
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
from syncer.errors import GuardFailed, ReconcileError, StatementRefused
from syncer.mysql import columns as cols
from syncer.mysql import statements
from syncer.mysql.connection import Session
from syncer.mysql.detours import detachable, displaceable

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
        made: the image is a row that no server has had yet, so that *meant* is not known: it is read back by its literals.
        expected_image: the target's row as literals, where its digest is not known (*expected* is None then): it was *made*.
    """

    table: PairedTable
    key: Key
    target_key: Key | None
    expected: str | None
    meant: str | None
    image: str | None
    aside: str | None = None
    made: bool = False
    expected_image: str | None = None

    @property
    def op(self) -> Op:
        """What the target will see."""
        if self.image is None:
            return Op.DELETE
        absent = self.expected is None and self.expected_image is None
        return Op.INSERT if absent else Op.UPDATE


class Dependent(msgspec.Struct, frozen=True):
    """
    A table whose rows the target deletes with their parents.

    *pairs*: foreign-key column and the parent's column that it refers to.
    """

    child: PairedTable
    pairs: tuple[tuple[str, str], ...]


Dependents = Mapping[int, Sequence[Dependent]]
"""By the parent's table id."""


class GuardMissed(GuardFailed):
    """Rows moved since they were read: rolled back."""

    def __init__(self, items: frozenset[int]) -> None:
        """Name the items by their place in the batch."""
        super().__init__("rows moved between the read and the write")
        self.items = items


class ReadBackFailed(ReconcileError):
    """What was written is not what was meant (trigger, truncation, charset): rolled back, the items are held (INV-15)."""

    code = "read_back"

    def __init__(self, items: frozenset[int]) -> None:
        """Name the items by their place in the batch."""
        super().__init__("rows read back after the write differ from what was meant")
        self.items = items


Grouped = list[tuple[PairedTable, list[tuple[int, Write]]]]


def by_table(writes: Iterable[tuple[int, Write]]) -> Grouped:
    """Group by table, parents before children; every write keeps its place in the batch."""
    tables: dict[int, PairedTable] = {}
    grouped: dict[int, list[tuple[int, Write]]] = defaultdict(list)
    for at, write in writes:
        tables[write.table.table_id] = write.table
        grouped[write.table.table_id].append((at, write))
    return [(table, grouped[table.table_id]) for table in write_order(tables.values())]


def with_children(
    session: Session, writes: Sequence[Write], dependents: Dependents, *, ops: Container[Op]
) -> set[tuple[int, Key]]:
    """Return table and key of rows to delete that have children, those not counted that *writes* change by one of *ops*."""
    found: set[tuple[int, Key]] = set()
    if not dependents:
        return found
    grouped = {table.table_id: (table, items) for table, items in by_table(enumerate(writes))}
    for table_id, (table, items) in grouped.items():
        keys = target_keys((write for _, write in items), {Op.DELETE})
        if not keys:
            continue
        parent = table.schema(session.side)
        for one in dependents.get(table_id, ()):
            child = one.child.schema(session.side)
            _, theirs = grouped.get(one.child.table_id, (table, []))
            but = target_keys((write for _, write in theirs), ops)
            for part in statements.split_keys(parent, keys, session.most_bytes // 4):
                sql = statements.select_parents_with_children(parent, part, child, one.pairs, but)
                found |= {
                    (table_id, cols.read_key(parent.key_columns, row)) for row in session.query(sql)
                }
    return found


def target_keys(writes: Iterable[Write], ops: Container[Op]) -> list[Key]:
    """Return the keys, as the target spells them, of the rows that *writes* change by one of *ops*."""
    return [w.target_key for w in writes if w.op in ops and w.target_key is not None]


def write_rows(
    session: Session, writes: Sequence[Write], plan: Plan, dependents: Dependents
) -> None:
    """
    Write all rows, whose present ones are locked and known to be what was read.

    Raises:
        GuardMissed: a row that was absent has come since.
        StatementRefused: another plan may do.
    """
    grouped = by_table(enumerate(writes))
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


def set_asides(session: Session, writes: Mapping[int, Write]) -> dict[int, int]:
    """Insert the rows again that ``keep_both`` has overwritten; return their new keys, by place; raises StatementRefused."""
    found: dict[int, int] = {}
    for table, numbered in by_table((at, write) for at, write in writes.items() if write.aside):
        images = {at: write.aside for at, write in numbered if write.aside}
        found |= _set_aside(session, table, images)
    return found


def _set_aside(session: Session, table: PairedTable, images: Mapping[int, str]) -> dict[int, int]:
    """
    Insert rows again under keys of the target's own, and return these.

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
    made = {}
    for place, image in images.items():
        literals = split_image(image)
        row = ",".join(literals[at] for at in kept)
        session.execute(statements.insert_rows(schema, [columns[at] for at in kept], [row]))
        made[place] = int(session.query("SELECT LAST_INSERT_ID()")[0][0])
    return made


def _write_apart(session: Session, grouped: Grouped, dependents: Dependents) -> None:
    """
    Write rows that refer to each other, those references last.

    All is within the batch's transaction and under its guard: an absent row is still written by a plain INSERT (INV-9), and
    what is read back before the commit has its references (INV-15).
    """
    apart = detachable(session, [table for table, _ in grouped])
    for table, numbered in grouped:
        gone = target_keys((write for _, write in numbered), {Op.DELETE})
        if gone and table.table_id in apart:
            schema = table.schema(session.side)
            for part in statements.split_keys(schema, gone, session.most_bytes // 2):
                session.execute(statements.empty_columns(schema, apart[table.table_id], part))
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
                delete_keys(session, table, keys)
    finally:
        session.execute("SET SESSION foreign_key_checks = 1")


def _delete(session: Session, grouped: Grouped, dependents: Dependents) -> None:
    writes = [write for _, items in grouped for _, write in items]
    if with_children(session, writes, dependents, ops={Op.DELETE}):
        raise StatementRefused(
            f"{session.where}: rows that are to go still have children that are to stay",
            errno=CHILD_EXISTS,
        )
    for table, numbered in reversed(grouped):
        keys = [w.target_key for _, w in numbered if w.op is Op.DELETE and w.target_key is not None]
        if keys:
            delete_keys(session, table, keys)


def delete_keys(session: Session, table: PairedTable, keys: Sequence[Key]) -> None:
    """Delete the rows of *keys*."""
    schema = table.schema(session.side)
    for part in statements.split_keys(schema, keys, session.most_bytes // 2):
        session.execute(statements.delete_rows(schema, part))


def _most_bytes(session: Session) -> int:
    """How long the rows of one statement may be, together."""
    return min(STATEMENT_BYTES, session.most_bytes // 2)


def _insert(session: Session, table: PairedTable, writes: Sequence[Write]) -> None:
    insert_images(session, table, [write.image for write in writes if write.image is not None])


def insert_images(session: Session, table: PairedTable, images: Sequence[str]) -> None:
    """Insert rows that were absent. Raises GuardMissed where one has come since, StatementRefused."""
    schema = table.schema(session.side)
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
    pairs = [
        (w.image, w.target_key) for w in writes if w.image is not None and w.target_key is not None
    ]
    alike = all(w.key == w.target_key for w in writes)
    update_images(
        session, table, [image for image, _ in pairs], [key for _, key in pairs], alike=alike
    )


def update_images(
    session: Session,
    table: PairedTable,
    images: Sequence[str],
    keys: Sequence[Key],
    *,
    alike: bool = True,
) -> None:
    """Make the rows of *keys*, which are there and locked, what *images* say; *alike*: these spell the keys as the target does."""
    if not images:
        return
    schema = table.schema(session.side)
    columns = table.writable(session.side)
    if not schema.unique and not schema.triggers and alike:
        for batch in statements.split_by_bytes(images, _most_bytes(session)):
            session.execute(statements.overwrite_rows(schema, columns, batch))
        return
    for image, key in zip(images, keys, strict=True):
        session.execute(statements.update_row(schema, columns, image, key))
