"""Tables that a mass guard has stopped, what a person let through, and what was turned back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from syncer.core import progression
from syncer.core.guard import Rejection, Stop
from syncer.core.key import StoredKey
from syncer.core.mark import Op, Reason
from syncer.core.position import StreamPosition
from syncer.core.progression import Progression
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.errors import LedgerError
from syncer.ledger import queries as q
from syncer.ledger import stop_queries as sq
from syncer.ledger.ranges import Ranges
from syncer.ledger.requests import requesting

RUNS_MOST = 200


class Stops(Ranges):
    """The part of the ledger that keeps stopped tables; their marks are not claimed until a person agrees."""

    def stop_table(self, stop: Stop) -> None:
        """Let the marks of a table wait until ``confirm``, or until ``end_stop``; an agreement to what was counted before is over."""
        with self._writing(durable=True) as db:
            db.execute(
                sq.PUT_STOP,
                (
                    stop.table_id,
                    stop.target.value,
                    stop.op.value,
                    stop.amount,
                    stop.reason,
                    stop.since,
                    stop.waiting,
                ),
            )

    def stops(self) -> dict[int, Stop]:
        """Return the stopped tables by id, and those that a person let go on, until what was counted is through."""
        with self._reading() as db:
            return {row[0]: _stop(row) for row in db.execute(sq.STOPS)}

    def agreed(self, table_id: int) -> int:
        """
        Return how many more writes a person's agreement is good for; 0 where there is none.

        What was written under it is taken off by ``finish``; and where no range is left of those that were to be compared then, it is
        good for no more keys than were marked then and still are.
        """
        with self._reading() as db:
            row = db.execute(sq.AGREED, (table_id,)).fetchone()
            return 0 if row is None else int(row[0])

    def end_stop(self, table_id: int) -> None:
        """The table flows as if it had never been stopped."""
        with self._writing() as db:
            db.execute(sq.DROP_STOP, (table_id,))

    def count_changed(self, table_id: int, side: Side, op: Op) -> int:
        """
        Count the marked keys of *side* whose last change was *op*: what is about to travel, held ones left out.

        A key that is deleted in a TRUNCATE and known by now counts as deleted; one inserted and changed counts as no update.
        """
        with self._reading() as db:
            return _changed(db, table_id, side, op)

    def marked_so_far(self) -> int:
        """Return a number that grows by at least one for every key that is marked, whatever becomes of the mark."""
        with self._mutex:
            return self._next_id + self._run_keys

    def count_deleted_twice(self, table_id: int) -> int:
        """
        Count the keys that both sides deleted last: nothing of them is to be written. Of very many runs none is counted.

        A key that lies under a mark of its own and under a run of the other side is not counted.
        """
        with self._reading() as db:
            return _deleted_twice(db, table_id)

    def is_truncated(self, table_id: int, side: Side, after: int = -1) -> bool:
        """Say whether a TRUNCATE of *side* behind transaction *after* has not been looked at whole yet."""
        with self._reading() as db:
            row = db.execute(sq.HAS_TRUNCATED, (table_id, side.value, after)).fetchone()
            return row is not None

    def is_compared(self, table_id: int) -> bool:
        """Say whether a range of the table is still to be compared."""
        with self._reading() as db:
            return db.execute(q.HAS_SPAN, (table_id,)).fetchone() is not None

    def rejections(self) -> tuple[Rejection, ...]:
        """Return what is being turned back, longest asked for first."""
        with self._reading() as db:
            return tuple(_rejection(row) for row in db.execute(sq.REJECTIONS))

    def count_rejected(self, one: Rejection, *, held: bool) -> int:
        """Count the marks that *one* is about, of keys that are *held* too or not, and a TRUNCATE that was not looked at whole as one."""
        about = {
            "table_id": one.table_id,
            "side": one.source.value,
            "op": one.op.value,
            "upto": one.upto,
            "held": int(held),
            "since": one.since,
        }
        with self._reading() as db:
            found = int(db.execute(sq.COUNT_REJECTED, about).fetchone()[0])
            return found + (db.execute(sq.HAS_REJECTED_SPAN, about).fetchone() is not None)

    def held_before(self, table_id: int, keys: Sequence[StoredKey], since: float) -> bool:
        """Say whether one of *keys* is held, or was until now, for a conflict of before *since*."""
        with self._reading() as db:
            return any(
                db.execute(sq.HELD_BEFORE, (table_id, key, since)).fetchone() is not None
                for key in keys
            )

    def end_rejection(self, one: Rejection) -> None:
        """Nothing is left of what it was about."""
        with self._writing() as db:
            db.execute(sq.DROP_REJECTION, (one.table_id, one.target.value, one.op.value))


def _changed(db: sqlite3.Connection, table_id: int, side: Side, op: Op) -> int:
    reason = Reason.TRUNCATE.value if op is Op.DELETE else ""
    about = {"table_id": table_id, "side": side.value, "op": op.value, "reason": reason}
    return int(db.execute(sq.COUNT_CHANGED, about).fetchone()[0])


def _deleted_twice(db: sqlite3.Connection, table_id: int) -> int:
    count = int(db.execute(sq.DELETED_TWICE, (table_id,)).fetchone()[0])
    rows = db.execute(sq.DELETED_RUNS, (table_id, RUNS_MOST + 1)).fetchall()
    if len(rows) > RUNS_MOST:
        return count
    runs = {side.value: [Progression(*row[1:]) for row in rows if row[0] == side] for side in SIDES}
    both = (progression.intersect(a, b) for a in runs["a"] for b in runs["b"])
    return count + sum(one.size for one in both if one is not None)


def _read_upto(db: sqlite3.Connection, side: Side) -> int:
    """Return the number of the last transaction of *side* that is in the ledger."""
    row = db.execute(q.POSITION, (side.value,)).fetchone()
    return 0 if row is None else msgspec.json.decode(row[0], type=StreamPosition).seq


def _stop(row: tuple[int, str, str, int, str, float, int, int | None]) -> Stop:
    table_id, target, op, amount, reason, since, waiting, left = row
    return Stop(
        table_id=table_id,
        target=Side(target),
        op=Op(op),
        amount=amount,
        reason=reason,
        since=since,
        waiting=waiting,
        left=left,
    )


def _rejection(row: tuple[int, str, str, int, str, float]) -> Rejection:
    table_id, target, op, upto, actor, since = row
    return Rejection(
        table_id=table_id,
        target=Side(target),
        op=Op(op),
        upto=upto,
        actor=actor,
        since=since,
    )


def reject(path: Path, tables: list[TableName], actor: str) -> None:
    """
    Have the changes that stopped tables turned back, beside a running syncer or without one; all of them or none.

    Those that are marked by now: what comes later is not part of it.

    Raises:
        LedgerIncompatible: another version of syncer made the ledger.
        LedgerError: the file fails, or one of *tables* is not stopped.
    """
    with requesting(path) as db:
        for name in tables:
            row = db.execute(sq.STOPPED, (name.database, name.name)).fetchone()
            if row is None:
                raise LedgerError(f"table {name} is not stopped: syncer guard list")
            table_id, target, op, since = row
            source = Side(target).other
            upto = _read_upto(db, source)
            db.execute(sq.PUT_REJECTION, (table_id, target, op, upto, actor, since))
            about = {
                "table_id": table_id,
                "side": source.value,
                "op": op,
                "upto": upto,
                "since": since,
            }
            db.execute(sq.OPEN_REJECTED, about)
            db.execute(sq.DROP_STOP, (table_id,))


def confirm(path: Path, tables: list[TableName]) -> None:
    """
    Let stopped tables go on once, beside a running syncer or without one; all of them or none.

    What waits by now goes through; what comes later is not part of it. A second agreement changes nothing.

    Raises:
        LedgerIncompatible: another version of syncer made the ledger.
        LedgerError: the file fails, or one of *tables* is not stopped.
    """
    with requesting(path) as db:
        for name in tables:
            row = db.execute(sq.ASKED, (name.database, name.name)).fetchone()
            if row is None:
                raise LedgerError(f"table {name} is not stopped: syncer guard list")
            table_id, target, op, waiting, left = row
            if left is not None:
                continue
            marked = _changed(db, table_id, Side(target).other, Op(op))
            if Op(op) is Op.DELETE:
                marked -= _deleted_twice(db, table_id)
            upto = (_read_upto(db, side) for side in SIDES)
            db.execute(sq.CONFIRM_STOP, (max(waiting, marked), *upto, table_id))
