"""Tables that a mass guard has stopped, and what a person let through."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from syncer.core.guard import Stop
from syncer.core.mark import Op, Reason
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.errors import LedgerError
from syncer.ledger import queries as q
from syncer.ledger.requests import writable
from syncer.ledger.store import Store, translate


class Stops(Store):
    """The part of the ledger that keeps stopped tables; their marks are not claimed until a person agrees."""

    def stop_table(self, stop: Stop) -> None:
        """Let the marks of a table wait until ``confirm_stop``, or until ``end_stop``."""
        with self._writing(durable=True) as db:
            db.execute(
                q.PUT_STOP,
                (
                    stop.table_id,
                    stop.target.value,
                    stop.op.value,
                    stop.amount,
                    stop.reason,
                    stop.since,
                    stop.left,
                ),
            )

    def stops(self) -> dict[int, Stop]:
        """Return the stopped tables by id, and those that a person let go on, until what was counted is through."""
        with self._reading() as db:
            return {row[0]: _stop(row) for row in db.execute(q.STOPS)}

    def end_stop(self, table_id: int) -> None:
        """The table flows as if it had never been stopped."""
        with self._writing() as db:
            db.execute(q.DROP_STOP, (table_id,))

    def count_changed(self, table_id: int, side: Side, op: Op) -> int:
        """
        Count the marked keys of *side* whose last change was *op*: what is about to travel, held ones left out.

        A key that is deleted in a TRUNCATE and known by now counts as deleted; one inserted and changed counts as no update.
        """
        reason = Reason.TRUNCATE.value if op is Op.DELETE else ""
        with self._reading() as db:
            row = db.execute(
                q.COUNT_CHANGED,
                {"table_id": table_id, "side": side.value, "op": op.value, "reason": reason},
            ).fetchone()
            return int(row[0])

    def is_truncated(self, table_id: int, side: Side) -> bool:
        """Say whether a TRUNCATE of *side* has not been looked at whole yet."""
        with self._reading() as db:
            row = db.execute(q.HAS_TRUNCATED, (table_id, side.value)).fetchone()
            return row is not None


def _stop(row: tuple[int, str, str, int, str, float, int | None]) -> Stop:
    table_id, target, op, amount, reason, since, left = row
    return Stop(
        table_id=table_id,
        target=Side(target),
        op=Op(op),
        amount=amount,
        reason=reason,
        since=since,
        left=left,
    )


def confirm(path: Path, tables: list[TableName]) -> None:
    """
    Let stopped tables go on once, beside a running syncer or without one; all of them or none.

    Raises:
        LedgerIncompatible: another version of syncer made the ledger.
        LedgerError: the file fails, or one of *tables* is not stopped.
    """
    db = writable(path)
    try:
        db.execute(q.BEGIN)
        for name in tables:
            done = db.execute(q.CONFIRM_STOP, (name.database, name.name))
            if not done.rowcount:
                db.execute(q.ROLLBACK)
                raise LedgerError(f"table {name} is not stopped: syncer guard list")
        db.execute(q.COMMIT)
    except sqlite3.Error as error:
        translate(error, path)
    finally:
        db.close()
