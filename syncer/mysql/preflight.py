"""
Is this pair fit to be kept in sync? Read-only questions to both servers, answered as findings.

Nothing is changed, and nothing is decided: the caller refuses the pair where a finding is an error.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from syncer.clock import Clock, SystemClock
from syncer.core.pulse import ServerClock
from syncer.core.schema import Column, TableName
from syncer.core.side import SIDES, Direction, Side
from syncer.errors import StatementRefused
from syncer.mysql.connection import Session
from syncer.mysql.digests import row_digest
from syncer.mysql.findings import Finding, Level
from syncer.mysql.grants import account_of, check_grants
from syncer.mysql.heartbeat import measure_clock
from syncer.mysql.server_checks import ServerChecks
from syncer.mysql.table_checks import (
    NOTHING_IGNORED,
    Ignored,
    Schemas,
    check_both,
    check_tables,
    logs_cascades,
)

__all__ = ["Finding", "Level", "check_pair", "check_side", "clock_offset", "probe_digest"]

SKEW_WARNING_S = 2.0

_PROBE_COLUMNS = (
    Column(name="i", position=0, data_type="bigint", column_type="bigint", nullable=False),
    Column(name="n", position=1, data_type="decimal", column_type="decimal(20,4)", nullable=False),
    Column(name="f", position=2, data_type="double", column_type="double", nullable=False),
    Column(name="t", position=3, data_type="varchar", column_type="varchar(50)", nullable=False),
    Column(name="l", position=4, data_type="longtext", column_type="longtext", nullable=False),
    Column(name="b", position=5, data_type="varbinary", column_type="varbinary(9)", nullable=False),
    Column(name="d", position=6, data_type="datetime", column_type="datetime(6)", nullable=False),
    Column(name="z", position=7, data_type="int", column_type="int", nullable=True),
    Column(name="g", position=8, data_type="double", column_type="double", nullable=False),
    Column(name="h", position=9, data_type="double", column_type="double", nullable=False, by_value=True),
    Column(name="m", position=10, data_type="time", column_type="time(6)", nullable=False),
    Column(name="k", position=11, data_type="varchar", column_type="varchar(9)", nullable=False, charset="cp932"),
    Column(name="q", position=12, data_type="varchar", column_type="varchar(9)", nullable=False, charset="cp932"),
    Column(name="w", position=13, data_type="text", column_type="text", nullable=False, charset="cp932", by_bytes=True),
)  # fmt: skip
_PROBE_ROW = (
    "SELECT -9223372036854775808 AS i, CAST(-1.5 AS DECIMAL(20,4)) AS n, 0.1E0 AS f, 'é,€:😀~' AS t, 'l' AS l,"
    " X'00FF' AS b, CAST('2038-01-19 03:14:07.5' AS DATETIME(6)) AS d, NULL AS z,"
    " -1.2345678901234567E-300 AS g, -0E0 AS h, CAST('-00:00:00.1' AS TIME(6)) AS m,"
    " _cp932 X'835C' AS k, _cp932 X'FA54' AS q, _cp932 X'FA54' AS w"
)


def check_side(
    session: Session, schemas: Schemas, *, target: bool = True, beats: bool = True
) -> list[Finding]:
    """
    Check one server and its tables.

    Args:
        schemas: of the tables to be kept in sync, as they are there.
        target: rows will be written there (False for the source of a one-way sync).
        beats: heartbeats will be written there.
    """
    checks = ServerChecks(session)
    return _side(session, schemas, checks, NOTHING_IGNORED, target=target, beats=beats)


def check_pair(
    a: Session,
    b: Session,
    schemas_a: Schemas,
    schemas_b: Schemas,
    *,
    direction: Direction = Direction.BOTH,
    ignored: Ignored = NOTHING_IGNORED,
    beats: Collection[Side] = SIDES,
    ignore_extra: bool = False,
    clock: Clock | None = None,
) -> list[Finding]:
    """
    Check both servers, all tables, and what only shows when both are looked at; errors first.

    Args:
        beats: the sides that heartbeats will be written to.
        ignore_extra: columns of one side alone are no error where they have a default.
    """
    checks = {Side.A: ServerChecks(a), Side.B: ServerChecks(b)}
    found = check_both(schemas_a, schemas_b, ignored, ignore_extra=ignore_extra)
    for one, schemas in ((a, schemas_a), (b, schemas_b)):
        target, beaten = one.side in direction.targets, one.side in beats
        found += _side(one, schemas, checks[one.side], ignored, target=target, beats=beaten)
    settings_a, settings_b = checks[Side.A].settings, checks[Side.B].settings
    same = a.flavor is b.flavor and a.server_identity() == b.server_identity()
    if same and _started(a) == _started(b):
        found.append(
            _finding(
                Level.ERROR,
                "same_server",
                "server",
                "both sides are one and the same server",
                "correct an address",
            )
        )
    elif settings_a.get("server_id") == settings_b.get("server_id"):
        found.append(
            _finding(
                Level.ERROR,
                "server_id_equal",
                "server_id",
                f"both servers have server_id {settings_a.get('server_id')}",
                "give one of them another server_id",
            )
        )
    found += _replication(a, b, settings_b) + _replication(b, a, settings_a)
    for side, settings in ((a, settings_a), (b, settings_b)):
        found += _relayed(side, settings)
    found += _case(settings_a, settings_b, [n for n, s in schemas_b.items() if not s.stored_as])
    if direction is Direction.BOTH:
        found += _auto_increment(settings_a, settings_b, schemas_a)
    found += _skew(a, b, clock or SystemClock())
    found += _digests(a, b)
    order = list(Level)
    return sorted(found, key=lambda finding: order.index(finding.level))


def _side(
    session: Session,
    schemas: Schemas,
    checks: ServerChecks,
    ignored: Ignored,
    *,
    target: bool,
    beats: bool,
) -> list[Finding]:
    logged = logs_cascades(
        session.flavor, session.version, native=checks.is_on("innodb_native_foreign_keys")
    )
    places = {schema.on_server for schema in schemas.values()}
    return [
        *checks.run({place.database for place in places}, target=target),
        *check_grants(session, places, target=target, beats=beats),
        *check_tables(session.side, schemas, target=target, logs_cascades=logged, ignored=ignored),
    ]


def _finding(
    level: Level, code: str, subject: str, message: str, fix: str = "", side: Side | None = None
) -> Finding:
    return Finding(level=level, side=side, code=code, subject=subject, message=message, fix=fix)


def _started(session: Session) -> tuple[str, str]:
    """What only one running server has: its address of birth. MariaDB's server_id may be there twice by mistake."""
    found = session.variables("hostname", "port", "datadir", "server_uid")
    return found.get("server_uid", found.get("hostname", "")), found.get("datadir", "") + found.get(
        "port", ""
    )


def _upstreams(session: Session) -> list[dict[str, Any]] | None:
    """The servers it replicates from; None where the account may not ask."""
    try:
        return session.query_named(session.flavor.replica_status(session.version))
    except StatementRefused:
        return None


def _replication(replica: Session, source: Session, settings: Mapping[str, str]) -> list[Finding]:
    """Native replication from *source* to *replica* would carry every change twice."""
    upstreams = _upstreams(replica)
    if upstreams is None:
        privilege = "REPLICA MONITOR" if replica.flavor == "mariadb" else "REPLICATION CLIENT"
        return [
            _finding(
                Level.WARNING,
                "replication_unknown",
                "replication",
                "whether it replicates from the other side cannot be seen",
                f"GRANT {privilege} ON *.* TO {account_of(replica)};",
                replica.side,
            )
        ]
    found = []
    for status in upstreams:
        if not _points_at(status, source, settings):
            continue
        running = "Yes" in {_either(status, "IO_Running"), _either(status, "SQL_Running")}
        found.append(
            _finding(
                Level.ERROR if running else Level.WARNING,
                "native_replication",
                "replication",
                f"it replicates from side {source.side} by itself{'' if running else ' (stopped)'}: every change would come twice",
                "STOP and RESET that replication on it",
                replica.side,
            )
        )
    return found


def _either(status: Mapping[str, Any], name: str) -> str:
    """A column of the status, by its new or its old name."""
    for prefix in ("Replica_", "Slave_", "Source_", "Master_"):
        if status.get(prefix + name) is not None:
            return str(status[prefix + name])
    return ""


def _points_at(status: Mapping[str, Any], source: Session, settings: Mapping[str, str]) -> bool:
    endpoint = source.endpoint
    identities = {_either(status, "UUID"), _either(status, "Server_Id")} - {"", "0"}
    address = (_either(status, "Host"), _either(status, "Port"))
    return bool(
        identities & {source.server_identity(), settings.get("server_id", "0")}
    ) or address == (endpoint.host, str(endpoint.port))


def _relayed(session: Session, settings: Mapping[str, str]) -> list[Finding]:
    """What arrives from a third server must be in the log too."""
    on = settings.get("log_replica_updates", settings.get("log_slave_updates", "ON")) == "ON"
    if on or not _upstreams(session):
        return []
    return [
        _finding(
            Level.ERROR,
            "replicated_changes_unlogged",
            "log_slave_updates",
            "it is a replica, and what it receives is not in its own log",
            "set log_slave_updates (log_replica_updates) and restart",
            session.side,
        )
    ]


def _case(
    a: Mapping[str, str], b: Mapping[str, str], unmapped: Collection[TableName]
) -> list[Finding]:
    name = "lower_case_table_names"
    if a.get(name) == b.get(name):
        return []
    hurt = any(str(table) != str(table).lower() for table in unmapped)
    return [
        _finding(
            Level.ERROR if hurt else Level.WARNING,
            "table_name_case",
            name,
            f"{name} is {a.get(name)} on side a and {b.get(name)} on side b: names with capitals are not the same table",
            "use names in small letters only, or the same setting, or map them (--map)",
        )
    ]


def _auto_increment(a: Mapping[str, str], b: Mapping[str, str], schemas: Schemas) -> list[Finding]:
    if not any(column.auto_increment for schema in schemas.values() for column in schema.columns):
        return []
    step_a, step_b = int(a["auto_increment_increment"]), int(b["auto_increment_increment"])
    start_a, start_b = int(a["auto_increment_offset"]), int(b["auto_increment_offset"])
    if (start_a - start_b) % math.gcd(step_a, step_b):
        return []
    return [
        _finding(
            Level.WARNING,
            "auto_increment",
            "auto_increment_increment",
            "both sides generate the same AUTO_INCREMENT values: rows inserted on both sides at once are conflicts",
            "SET GLOBAL auto_increment_increment = 2 on both, auto_increment_offset = 1 on side a and 2 on side b",
        )
    ]


def clock_offset(session: Session, clock: Clock) -> tuple[float, float]:
    """
    Measure the server's clock against our monotonic one, so that a jump of our own clock takes no part.

    Returns:
        (seconds that it is ahead, bound of the error in seconds: half of the quickest round trip or less).
    """
    seen = ServerClock()
    measure_clock(session, clock, seen.learn)
    found = seen.offset(clock.monotonic())
    return (0.0, math.inf) if found is None else (found.ahead_s, found.error_s)


def _skew(a: Session, b: Session, clock: Clock) -> list[Finding]:
    ahead_a, error_a = clock_offset(a, clock)
    ahead_b, error_b = clock_offset(b, clock)
    skew, error = ahead_b - ahead_a, error_a + error_b
    late = abs(skew) > SKEW_WARNING_S
    return [
        _finding(
            Level.WARNING if late else Level.INFO,
            "clock_skew",
            "clock",
            f"side b's clock is {abs(skew):.3f} s {'ahead of' if skew >= 0 else 'behind'} side a's (error at most {error:.3f} s)"
            + (": the newest change may not be the one that looks newest" if late else ""),
            "set both clocks by NTP" if late else "",
        )
    ]


def probe_digest(session: Session) -> str | None:
    """Return the digest of one fixed row, which every server must compute alike."""
    digest = session.query(
        f"SELECT {row_digest(_PROBE_COLUMNS, session.flavor)} FROM ({_PROBE_ROW}) AS probe"
    )
    return None if digest[0][0] is None else str(digest[0][0])


def _digests(a: Session, b: Session) -> list[Finding]:
    digests = probe_digest(a), probe_digest(b)
    if digests[0] and digests[0] == digests[1]:
        return []
    return [
        _finding(
            Level.ERROR,
            "digest_differs",
            "digest",
            "the two servers compute different digests of the same row: nothing could be compared",
            "report this with both server versions",
        )
    ]
