"""How many rows a table has, near enough and soon."""

from __future__ import annotations

from syncer.core.schema import TableSchema
from syncer.mysql.connection import Session
from syncer.mysql.statements import quote_table

EXACT_UP_TO = 100_000
_EXPLAIN_COLUMNS_MYSQL = 12


def count_rows(session: Session, schema: TableSchema) -> int:
    """Return the number of rows of a table; above a hundred thousand it is the server's estimate, at least that many."""
    table = quote_table(schema.on_server)
    counted = session.query(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT {EXACT_UP_TO + 1}) AS some"
    )
    rows = int(counted[0][0])
    if rows <= EXACT_UP_TO:
        return rows
    plan = session.query(f"EXPLAIN SELECT * FROM {table}")[0]
    # MariaDB has no columns "partitions" and "filtered".
    estimate = plan[9] if len(plan) == _EXPLAIN_COLUMNS_MYSQL else plan[8]
    return max(rows, int(estimate or 0))
