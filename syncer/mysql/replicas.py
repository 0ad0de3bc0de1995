"""What servers say of replication: who replicates from one, and how far one is behind."""

from __future__ import annotations

from syncer.errors import StatementRefused
from syncer.mysql.connection import Session

_BEHIND = ("Seconds_Behind_Source", "Seconds_Behind_Master")


def behind_s(session: Session) -> int | None:
    """
    Return by how many seconds the server is behind the worst of what it replicates from; None where one of them stands still.

    Raises:
        StatementRefused: it replicates from nobody, or does not tell the account (MySQL REPLICATION CLIENT, MariaDB REPLICA
            MONITOR).
    """
    rows = session.query_named(session.flavor.replica_status(session.version))
    if not rows:
        raise StatementRefused(f"{session.where}: the server replicates from nobody")
    found = [next((row[name] for name in _BEHIND if name in row), None) for row in rows]
    if None in found:
        return None
    return max(int(str(seconds)) for seconds in found)


def replicas_of(session: Session) -> list[tuple[str, int]]:
    """
    Return host and port of the servers that replicate from this one now and say where they are (``report_host``).

    Raises:
        StatementRefused: the account may not ask (MySQL REPLICATION SLAVE, MariaDB REPLICATION MASTER ADMIN).
    """
    rows = session.query_named(session.flavor.replica_hosts(session.version))
    found = ((str(row["Host"] or ""), int(row["Port"] or 0)) for row in rows)
    return [(host, port) for host, port in found if host and port]
