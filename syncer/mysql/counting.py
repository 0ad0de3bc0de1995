"""How many rows a table has, near enough and soon."""

from __future__ import annotations

from syncer.core.schema import TableSchema
from syncer.mysql.connection import Session
from syncer.mysql.flavor import Flavor
from syncer.mysql.statements import quote_table

EXACT_UP_TO = 100_000


def count_rows(session: Session, schema: TableSchema) -> int:
    """Return the number of rows of a table; above a hundred thousand it is the server's estimate, at least that many."""
    table = quote_table(schema.on_server)
    counted = session.query(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT {EXACT_UP_TO + 1}) AS some"
    )
    rows = int(counted[0][0])
    if rows <= EXACT_UP_TO:
        return rows
    # As a table, whatever explain_format says; MariaDB's has no column "partitions".
    words, place = (
        ("EXPLAIN FORMAT=TRADITIONAL", 9) if session.flavor is Flavor.MYSQL else ("EXPLAIN", 8)
    )
    estimate = session.query(f"{words} SELECT * FROM {table}")[0][place]
    return max(rows, int(estimate or 0))
