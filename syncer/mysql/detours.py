"""What a batch may leave undone for a while within its transaction: rows that are taken out, references that are left out."""

from __future__ import annotations

from collections.abc import Sequence

from syncer.core.links import circular
from syncer.core.pairing import PairedTable
from syncer.core.schema import TableSchema
from syncer.mysql.connection import Session


def displaceable(session: Session, table: PairedTable) -> bool:
    """
    Say whether rows of *table* may be taken out and put back within one transaction.

    Not where a column would come back with its default, a trigger would fire for nothing, or another table refers to
    columns that the row may come back with other values in: nobody would check those references.
    """
    schema = table.schema(session.side)
    written = {name.lower() for name in table.written}
    whole = all(c.generated or c.name.lower() in written for c in schema.columns)
    if not schema.unique or schema.triggers or not whole:
        return False
    keys = ", ".join("%s" for _ in schema.key)
    return not _is_referred_to(session, schema, f"NOT IN ({keys})", schema.key)


def detachable(session: Session, tables: Sequence[PairedTable]) -> dict[int, tuple[str, ...]]:
    """
    Return, by table id, the references on circles between *tables* that a row may be written without at first.

    Not where a trigger would see such a row, or another table refers to the column itself.
    """
    found = circular(table.schema(session.side) for table in tables)
    detached = {}
    for table in tables:
        schema = table.schema(session.side)
        written = {name.lower() for name in table.written}
        columns = tuple(
            name
            for name in found.get(schema.name, ())
            if name.lower() in written and not _is_referred_to(session, schema, "= %s", (name,))
        )
        if columns and not schema.triggers:
            detached[table.table_id] = columns
    return detached


def _is_referred_to(
    session: Session, schema: TableSchema, which: str, columns: Sequence[str]
) -> bool:
    """Say whether a foreign key refers to a column of the table whose name is *which* of *columns*."""
    found = session.query(
        "SELECT COUNT(*) FROM information_schema.key_column_usage WHERE referenced_table_schema = %s"
        f" AND referenced_table_name = %s AND referenced_column_name {which}",
        (schema.on_server.database, schema.on_server.name, *columns),
    )
    return bool(int(found[0][0]))
