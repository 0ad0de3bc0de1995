"""Where the tailers begin: at a fresh start, and behind a gap. Whether they may simply go on: ``history.py``."""

from __future__ import annotations

from syncer.binlog.progress import StreamProgress
from syncer.core.mark import Reason, SpanMark
from syncer.core.position import Coordinate, StreamPosition
from syncer.core.record import TransactionRecord
from syncer.errors import ServerChanged, TransientDatabaseError
from syncer.ledger import Ledger
from syncer.mysql.connection import Session
from syncer.mysql.snapshot import binlog_end, binlog_status, snapshot_coordinate

FILE_START = 4
_STILL_TRIES = 200
_VISIBLE_TRIES = 300


def end_behind(session: Session, progress: StreamProgress) -> Coordinate:
    """
    Read the end of the binlog to wait for (INV-4). It cannot be before what the stream had come to when it was asked for.

    Raises ServerChanged where it is: the binlog was begun anew under the same identity, and the run has to look at it again (INV-19).
    """
    before = progress.coordinate
    return not_before(session.where, before, binlog_end(session))


def not_before(where: str, before: Coordinate, end: Coordinate) -> Coordinate:
    """Return *end*, a binlog's that was read after its stream had come to *before*. Raises as ``end_behind``."""
    if end < before:
        raise ServerChanged(
            f"{where}: its binlog ends before what was read of it: it was reset, restored, or begun anew elsewhere"
        )
    return end


def start_position(session: Session, seq: int = 0) -> StreamPosition:
    """
    Read a position before which everything is visible, so that a read that follows contains it (INV-3).

    MySQL: the GTIDs executed; the stream sends whatever is not among them. The coordinate is only a lower bound: the
    start of the present file. MariaDB: an end of the binlog whose GTID position is known and that a snapshot has reached.
    """
    if session.flavor == "mysql":
        file, _ = binlog_status(session)
        gtids = "".join(str(session.query("SELECT @@GLOBAL.gtid_executed")[0][0]).split())
        offset = FILE_START
    else:
        file, offset, gtids = _mariadb_start(session)
    return StreamPosition(
        server=session.server_identity(), gtids=gtids, file=file, offset=offset, seq=seq
    )


def _mariadb_start(session: Session) -> tuple[str, int, str]:
    """
    Find (file, offset, GTID position) of one and the same place, and wait until it is visible.

    ``gtid_binlog_pos`` belongs to the binlog's end where that stood still around it; on a busy server the end is translated
    by ``BINLOG_GTID_POS``, which answers NULL for a file with an event above ``max_allowed_packet`` [measured]. An empty
    position would mean the binlog's beginning, and old changes taken for new ones.
    """
    for _ in range(_STILL_TRIES):
        file, offset = binlog_status(session)
        gtids = session.query("SELECT @@GLOBAL.gtid_binlog_pos")[0][0]
        if binlog_status(session) == (file, offset):
            break
    else:
        gtids = session.query("SELECT BINLOG_GTID_POS(%s, %s)", (file, offset))[0][0]
        if not gtids:
            raise TransientDatabaseError(
                f"{session.where}: the server cannot tell the GTID position of its binlog's end while it is that busy; "
                "try again"
            )
    await_visible(session, Coordinate.parse(file, offset))
    return file, offset, str(gtids or "")


def await_visible(session: Session, end: Coordinate) -> None:
    """MariaDB: wait until a snapshot holds everything logged before *end*. Raises TransientDatabaseError after half a minute."""
    for _ in range(_VISIBLE_TRIES):
        session.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        status = dict(session.query("SHOW STATUS LIKE 'Binlog_snapshot_%'"))
        session.rollback()
        if snapshot_coordinate(status) >= end:
            return
        session.query("SELECT SLEEP(0.1)")  # the server's own wait: a commit is on its way
    raise TransientDatabaseError(
        f"{session.where}: a transaction at the binlog's end does not become visible; try again"
    )


def leap(
    session: Session, ledger: Ledger, saved: StreamPosition, table_ids: list[int], reason: Reason
) -> StreamPosition:
    """
    Give up what lies between *saved* and now: a new position, and every table inexact on this side.

    One ledger transaction. The gap counts as one transaction, so that its marks are proven by reads from now on only.
    """
    position = start_position(session, saved.seq + 1)
    spans = tuple(SpanMark(table_id, position.seq, reason) for table_id in table_ids)
    ledger.record(session.side, [TransactionRecord(seq=position.seq, spans=spans)], position)
    return position
