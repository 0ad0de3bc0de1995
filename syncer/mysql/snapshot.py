"""
A snapshot of one side with the bounds that the visibility proof needs (INV-3).

Three calls on one session: ``begin``, any number of reads, ``end``. All rows come from one snapshot. Before it: MySQL
``gtid_executed``, MariaDB the end of what is committed. Right after it was opened: the binlog's end; a change that is logged later is in
no row of it. A locking read takes the binlog's end while the rows are locked: that is both bounds, on either flavour (INV-5).

MariaDB names a snapshot's own coordinate (``Binlog_snapshot_position``), and it is not to be had: every session's SHOW STATUS puts
its own into one place of the server's, and another's may be shown, which may be later than the snapshot [measured: 2 of 1,000 reads
beside one monitor]. Whatever is shown has been committed by then, so it is taken before the snapshot.

It costs as few round trips as it can: what opens it goes with the first read, and what closes it with the last where it is
known which that is. The server runs the statements of a message in their order, and none after one that failed: INV-3 holds as
if they had been sent one by one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from syncer.core.position import Coordinate, GtidSet
from syncer.core.visibility import NO_BRANCHES, Branches
from syncer.errors import StatementRefused
from syncer.mysql import columns as cols
from syncer.mysql.connection import Session
from syncer.mysql.flavor import Flavor

_BEGIN = "START TRANSACTION WITH CONSISTENT SNAPSHOT"
_END = "ROLLBACK"
_EXECUTED = "SELECT @@GLOBAL.gtid_executed"
_COMMITTED = "SHOW STATUS LIKE 'Binlog_snapshot_%'"
_PREPARED = "XA RECOVER FORMAT='SQL'"
_NOWHERE = Coordinate(0, 0)


class Bounds(msgspec.Struct, frozen=True):
    """
    What a read proves, in the server's own terms.

    Attributes:
        executed: MySQL: the GTIDs that are in the rows for certain; None elsewhere.
        end: nothing that was logged after it is in the rows; the binlog's end as of some moment of the read.
        committed: MariaDB: what was logged up to there is in the rows, branches of XA transactions apart; None elsewhere.
        prepared: MariaDB: the ids of the branches that had not ended before the snapshot, as ``XA RECOVER`` writes them; None where
            that was not asked for.
        branches: what is known of others, and made of that; whoever knows the stream adds it.
        locked: the rows were locked while *end* was read: whatever was logged before it and touched *these* rows is in
            them. Of other rows it proves nothing.
    """

    executed: GtidSet | None
    end: Coordinate
    locked: bool = False
    committed: Coordinate | None = None
    prepared: tuple[str, ...] | None = None
    branches: Branches = NO_BRANCHES


class Snapshot:
    """One snapshot after another, on one session. Not thread-safe."""

    def __init__(self, session: Session) -> None:
        """Take a session over, one that may send several statements at once."""
        self._session = session
        self._locking = self._asks = False
        self._opening: list[str] = []
        self._opened: list[list[tuple[Any, ...]]] = []
        self._left: int | None = None
        self._closed = False
        self._end: Coordinate | None = None

    @property
    def session(self) -> Session:
        """The session, for statements between snapshots."""
        return self._session

    @property
    def _is_mysql(self) -> bool:
        return self._session.flavor is Flavor.MYSQL

    def begin(
        self, *, locking: bool = False, reads: int | None = None, branches: bool = False
    ) -> None:
        """
        Open the snapshot, together with the first read.

        Args:
            locking: every row read is locked until ``end``, absent keys too.
            reads: at most so many will follow, at least 1; None: nobody knows.
            branches: MariaDB: ask which branches of XA transactions have not ended (``Bounds.prepared``).
        """
        self._locking = locking
        self._asks = branches
        self._opened = []
        self._left = reads
        self._closed = False
        self._end = None
        if locking:
            self._opening = ["START TRANSACTION"]
        else:
            known = [_EXECUTED] if self._is_mysql else [_COMMITTED]
            asked = [_PREPARED] if branches else []
            self._opening = [*known, *asked, _BEGIN, self._session.status_statement]

    def open_now(self) -> None:
        """Open the snapshot before anything is read, where that has not been done."""
        if self._opening:
            opening, self._opening = self._opening, []
            self._opened = self._session.query_all(opening)

    def end(self) -> Bounds:
        """Read the upper bound and close the snapshot."""
        self.open_now()
        if not self._closed:
            self._close(self._session.query_all(self._closing()))
        self._left, self._closed = None, False
        if self._locking:
            if self._end is None:
                raise ValueError("a snapshot that was not begun has no end")
            return Bounds(None, self._end, self._locking)
        end = Coordinate.parse(*_status(self._session, self._opened[-1]))
        if self._is_mysql:
            return Bounds(GtidSet(str(self._opened[0][0][0])), end)
        committed = snapshot_coordinate(dict(self._opened[0]))
        if committed > end:
            committed = _NOWHERE  # file and position of two sessions, around a new file
        prepared = tuple(cols.as_text(row[-1]) for row in self._opened[1]) if self._asks else None
        return Bounds(None, end, committed=committed, prepared=prepared)

    def abandon(self) -> None:
        """Close the snapshot after an error; never raises."""
        self._opening, self._left, self._closed = [], None, False
        self._session.rollback_quietly()

    def _expect(self, more: int) -> None:
        """So many reads will follow beyond those that ``begin`` was told of."""
        if self._left is not None:
            self._left += more

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one read, with what opens the snapshot and what closes it where it is the first or the last."""
        if self._closed:
            raise ValueError("a read after the one that was to be the last")
        opening, self._opening = self._opening, []
        if self._left is not None:
            self._left -= 1
        closing = self._closing() if self._left == 0 else []
        if not opening and not closing:
            return self._session.query(sql)
        answers = self._session.query_all([*opening, sql, *closing])
        if opening:
            self._opened = answers[: len(opening)]
        if closing:
            self._closed = True
            self._close(answers[len(opening) + 1 :])
        return answers[len(opening)]

    def _closing(self) -> list[str]:
        return [self._session.status_statement, _END] if self._locking else [_END]

    def _close(self, answers: list[list[tuple[Any, ...]]]) -> None:
        if self._locking:
            self._end = Coordinate.parse(*_status(self._session, answers[0]))


def binlog_end(session: Session) -> Coordinate:
    """Read the end of the binlog."""
    file, offset = binlog_status(session)
    return Coordinate.parse(file, offset)


def binlog_status(session: Session) -> tuple[str, int]:
    """Read file and position of the binlog's end. Raises StatementRefused where there is no binlog."""
    return _status(session, session.query(session.status_statement))


def _status(session: Session, rows: list[tuple[Any, ...]]) -> tuple[str, int]:
    if not rows:
        raise StatementRefused(
            f"{session.where}: the binary log is off; set log_bin and restart the server"
        )
    return cols.as_text(rows[0][0]), int(rows[0][1])


def snapshot_coordinate(status: dict[Any, Any]) -> Coordinate:
    """Read MariaDB's Binlog_snapshot_file and Binlog_snapshot_position."""
    lowered = {str(name).lower(): value for name, value in status.items()}
    file = cols.as_text(lowered.get("binlog_snapshot_file", ""))
    if not file:
        raise StatementRefused("the server gives no Binlog_snapshot_file: the binary log is off")
    return Coordinate.parse(file, int(lowered["binlog_snapshot_position"]))
