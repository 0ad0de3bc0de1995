"""Whether a server is still the one that was read, or holds all of it in the other's place (INV-19). Reads only."""

from __future__ import annotations

import re

import msgspec

from syncer.core.mark import Reason
from syncer.core.position import Coordinate, GtidSet, MariaDbGtids, StreamPosition
from syncer.core.side import Side
from syncer.errors import PositionLost, StatementRefused, TransientDatabaseError
from syncer.mysql.connection import Session
from syncer.mysql.snapshot import binlog_end
from syncer.service.positions import FILE_START, await_visible

_WRONG_OFFSET = 1220
_MYSQL_GTID = re.compile(r"GTID_NEXT\s*=\s*'([^']+)'")
_MARIADB_GTID = re.compile(r"GTID (\d+)-(\d+)-(\d+)")
_ANY_MARIADB_GTID = re.compile(r"\d+-\d+-\d+")
_OWNER = re.compile(r"#\d+")
_CATCH_UP_TRIES = 50
_SHOWN = 120


class Doubt(msgspec.Struct, frozen=True):
    """Why a saved position cannot simply be resumed, for the log."""

    reason: Reason
    what: str


class Standing(msgspec.Struct, frozen=True):
    """
    How a side stands to its saved position.

    Attributes:
        position: where to resume: the saved one, or the same place in the binlog of the server that took its place.
        doubt: events were purged before they were read; None where the stream goes on without a gap.
    """

    position: StreamPosition
    doubt: Doubt | None = None


def examine(session: Session, saved: StreamPosition) -> Standing:
    """
    Check a saved position against the server.

    Another server is followed where it provably holds every transaction that was read from the one before. What was read
    includes what we wrote there, up to the last batch that our stream has met; for later ones see ``restart.settle``.

    Raises:
        PositionLost: transactions that were read are not there, or nothing proves that they are.
        TransientDatabaseError: they are on their way: a replica that still applies, a commit that is not visible yet.
    """
    identity = session.server_identity()
    moved = identity.lower() != saved.server.lower()
    mysql = session.flavor == "mysql"
    if moved:
        _refuse_unproven(session, saved, identity)
    elif not (_mysql_same if mysql else _mariadb_same)(session, saved):
        raise lost(
            session.side,
            "the binlog is not the one that was read: the server was restored or reset",
        )
    gone = _mysql_gone(session, saved) if mysql else _mariadb_gone(session, saved)
    if gone:
        what = f"lacks transactions that were already read: {_short(gone)}"
        raise lost(
            session.side,
            f"server {identity} took the place of {saved.server} and {what}; the address is wrong, or the failover lost them"
            if moved
            else f"the server {what}; it was restored or reset",
        )
    position = _moved(session, saved, identity) if moved else saved
    purged = _mysql_purged(session, saved) if mysql else _mariadb_purged(session, position, moved)
    doubt = Doubt(Reason.PURGED, "transactions were purged from the binlog before they were read")
    return Standing(position, doubt if purged else None)


def lost(side: Side, what: str) -> PositionLost:
    """Make the refusal of a side whose past cannot be resumed, with both ways out."""
    return PositionLost(
        f"side {side}: {what}; run with --accept-loss {side} to keep the ledger and compare every table, or "
        "start with a new ledger: it costs a baseline and deletes nothing two-way"
    )


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


# Another server


def _refuse_unproven(session: Session, saved: StreamPosition, identity: str) -> None:
    """Raise where no GTID can prove what *identity* holds of the history of ``saved.server``."""
    change = f"server {identity} took the place of {saved.server}"
    if not saved.gtids:
        raise lost(session.side, f"{change}, and nothing was read that could prove it a replica")
    if session.flavor != "mysql" and session.variables("gtid_strict_mode").get(
        "gtid_strict_mode", ""
    ).upper() not in {"ON", "1"}:
        # Without it a transaction of its own may stand before the position, where no stream would send it.
        raise lost(
            session.side,
            f"{change} with gtid_strict_mode=OFF: the order of its transactions proves nothing",
        )
    if _still_applies(session, saved.server):
        raise TransientDatabaseError(
            f"side {session.side}: {change} and still applies its changes: end that there (STOP REPLICA) before it is "
            "written to, and start again"
        )


def _still_applies(session: Session, source: str) -> bool:
    rows = session.query_named(session.flavor.replica_status(session.version))
    return any(
        str(row.get("Replica_SQL_Running") or row.get("Slave_SQL_Running")) != "No"
        and source.lower()
        in {
            str(row.get(name)).lower()
            for name in ("Source_UUID", "Master_UUID", "Master_Server_Id")
        }
        for row in rows
    )


def _moved(session: Session, saved: StreamPosition, identity: str) -> StreamPosition:
    """
    Return the same place at the other server: its GTIDs, and the beginning of its first binlog file.

    That file is at or before the place where the stream will begin, which is all that a coordinate has to be (INV-4).
    """
    if session.flavor != "mysql":
        await_visible(session, binlog_end(session))
    first = str(session.query("SHOW BINARY LOGS")[0][0])
    return msgspec.structs.replace(saved, server=identity, file=first, offset=FILE_START, file_at=0)


# MySQL


def _executed(session: Session) -> GtidSet:
    return GtidSet(str(session.query("SELECT @@GLOBAL.gtid_executed")[0][0]))


def _mysql_gone(session: Session, saved: StreamPosition) -> str:
    """
    Name the GTIDs that were read and will never be executed there; "" where there are none.

    A transaction may have been read before it was visible (INV-2). It is owned by its session then: one that is neither
    owned nor executed, before and after, is not there.
    """
    read = GtidSet(saved.gtids)
    for _ in range(_CATCH_UP_TRIES):
        missing = read.subtract(_executed(session))
        if not missing:
            return ""
        owned = GtidSet(
            _OWNER.sub("", str(session.query("SELECT @@GLOBAL.gtid_owned")[0][0] or ""))
        )
        missing = missing.subtract(_executed(session))
        gone = missing.subtract(owned)
        if gone:
            return str(gone)
        session.query("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, 1)", (str(missing),))
    raise TransientDatabaseError(
        f"side {session.side}: transactions that were read do not become visible: does a commit wait for a replica?"
    )


def _mysql_purged(session: Session, saved: StreamPosition) -> bool:
    return not GtidSet(saved.gtids).contains(_gtid_purged(session))


def _gtid_purged(session: Session) -> GtidSet:
    return GtidSet(str(session.query("SELECT @@GLOBAL.gtid_purged")[0][0]))


def _mysql_same(session: Session, saved: StreamPosition) -> bool:
    """
    Say whether the binlog still is what *saved* was read from: GTIDs begin anew after a reset, and soon look familiar.

    At the saved coordinate must stand the end of the binlog and nothing unread, or an event not read yet, which if the
    server gave it its GTID is the next one. One that was read may stand there where the coordinate is a lower bound (``file_at``).
    """
    read = GtidSet(saved.gtids)
    executed = _executed(session)
    end = binlog_end(session)  # after the set: what is executed was logged before this end
    if saved.coordinate > end:
        return False
    if saved.coordinate == end and saved.offset > FILE_START:
        return read.contains(executed.subtract(_gtid_purged(session)))
    info = _event_at(session, saved)
    found = info is not None and _MYSQL_GTID.search(info)
    if not found:
        return info is not None
    gtid = found.group(1)
    source, _, number = gtid.rpartition(":")
    if read.contains_one(gtid):
        return not saved.file_at
    own = source.lower() == saved.server.lower()
    return not own or number == "1" or read.contains_one(f"{source}:{int(number) - 1}")


def _event_at(session: Session, saved: StreamPosition) -> str | None:
    """Describe the event at the saved coordinate; "" where there is nothing to look at, None where no event begins there."""
    files = {str(row[0]) for row in session.query("SHOW BINARY LOGS")}
    if saved.offset <= FILE_START or saved.file not in files:
        return ""
    try:
        found = session.query(
            "SHOW BINLOG EVENTS IN %s FROM %s LIMIT 1", (saved.file, saved.offset)
        )
    except StatementRefused as error:
        if error.errno == _WRONG_OFFSET:
            return None
        raise
    return str(found[0][-1]) if found else ""


# MariaDB


def _mariadb_gone(session: Session, saved: StreamPosition) -> str:
    """Name the GTIDs of the position that were never logged there; "" where there are none."""
    state: dict[tuple[int, int], int] = {}
    for gtid in _ANY_MARIADB_GTID.findall(_variable(session, "gtid_binlog_state")):
        domain, server, number = (int(field) for field in gtid.split("-"))
        state[domain, server] = number
    return ",".join(
        f"{domain}-{server}-{number}"
        for domain, server, number in MariaDbGtids(saved.gtids).items()
        if state.get((domain, server), -1) < number
    )


def _mariadb_purged(session: Session, position: StreamPosition, moved: bool) -> bool:
    first = str(session.query("SHOW BINARY LOGS")[0][0])
    if not moved:
        return position.coordinate < Coordinate.parse(first, FILE_START)
    read = {domain: number for domain, _, number in MariaDbGtids(position.gtids).items()}
    head = session.query("SHOW BINLOG EVENTS IN %s LIMIT 3", (first,))
    before = next(
        (str(row[-1]) for row in head if str(row[2]).lower() == "gtid_list"), ""
    )  # what the files before this one held
    return any(
        int(number) > read.get(int(domain), -1)
        for domain, _, number in (gtid.split("-") for gtid in _ANY_MARIADB_GTID.findall(before))
    )


def _mariadb_same(session: Session, saved: StreamPosition) -> bool:
    """As ``_mysql_same``: sequence numbers begin anew after a reset, too."""
    read = {domain: number for domain, _, number in MariaDbGtids(saved.gtids).items()}
    logged = _variable(session, "gtid_binlog_pos")
    end = binlog_end(session)  # after the position: that was logged before this end
    if saved.coordinate > end:
        return False
    if saved.coordinate == end and saved.offset > FILE_START:
        return all(number <= read.get(d, -1) for d, _, number in MariaDbGtids(logged).items())
    info = _event_at(session, saved)
    found = info is not None and _MARIADB_GTID.search(info)
    if not found:
        return info is not None
    domain, server, number = (int(field) for field in found.groups())
    last = read.get(domain)
    if last is None:
        return True
    if number <= last:
        return not saved.file_at
    return number == last + 1 or str(server) != saved.server


def goes_on_at_coordinate(session: Session, position: StreamPosition) -> bool:
    """
    Say whether a stream may begin at the coordinate of *position* without a look at its GTIDs (INV-19).

    A coordinate may stand before the place that was read to (``_moved``). It is that very place where the next transaction of the only
    domain that was read begins there. MySQL's is never proven so: what its stream left out as known may come behind it.
    """
    if session.flavor == "mysql" or not position.file_at:
        return False
    read = [*MariaDbGtids(position.gtids).items()]
    if len(read) != 1:
        return False
    [(domain, _, number)] = read
    found = _MARIADB_GTID.search(_event_at(session, position) or "")
    return found is not None and found.groups() == (
        str(domain),
        position.server,
        str(number + 1),
    )


def _variable(session: Session, name: str) -> str:
    return str(session.query(f"SELECT @@GLOBAL.{name}")[0][0] or "")
