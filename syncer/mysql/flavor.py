"""What MySQL and MariaDB call differently, in one place. No I/O in here."""

from __future__ import annotations

import enum
import re

Version = tuple[int, ...]

_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
_REPLICATION_PREFIX = "5.5.5-"
"""Older MariaDB servers say this in front of their version, for the sake of old replicas."""


class Flavor(enum.StrEnum):
    """The two families; forks of MySQL (Percona, Aurora) count as MySQL."""

    MYSQL = "mysql"
    MARIADB = "mariadb"

    @property
    def label(self) -> str:
        """The name as people write it."""
        return "MySQL" if self is Flavor.MYSQL else "MariaDB"

    @property
    def floor(self) -> Version:
        """The oldest version that is supported (inclusive)."""
        return (8, 0) if self is Flavor.MYSQL else (10, 5)

    @property
    def identity_variable(self) -> str:
        """The variable that tells servers apart, see ``StreamPosition.server``."""
        return "server_uuid" if self is Flavor.MYSQL else "server_id"

    @property
    def isolation_variable(self) -> str:
        """The session's isolation level, by a name that all supported versions know."""
        return "transaction_isolation" if self is Flavor.MYSQL else "tx_isolation"

    @property
    def monitor_privilege(self) -> str:
        """The privilege that shows the binlog's position."""
        return "REPLICATION CLIENT" if self is Flavor.MYSQL else "BINLOG MONITOR"

    def binlog_status(self, version: Version) -> str:
        """The statement whose first two columns are the binlog's file and its end."""
        if self is Flavor.MYSQL and version >= (8, 2):
            return "SHOW BINARY LOG STATUS"
        return "SHOW MASTER STATUS"

    def replica_status(self, version: Version) -> str:
        """The statement that lists every upstream this server replicates from."""
        if self is Flavor.MARIADB:
            return "SHOW ALL SLAVES STATUS"
        return "SHOW REPLICA STATUS" if version >= (8, 0, 22) else "SHOW SLAVE STATUS"

    def replica_hosts(self, version: Version) -> str:
        """The statement that lists the servers that replicate from this one."""
        if self is Flavor.MARIADB:
            return "SHOW SLAVE HOSTS"
        return "SHOW REPLICAS" if version >= (8, 0, 22) else "SHOW SLAVE HOSTS"

    def session_settings(self, version: Version, statement_timeout_s: float) -> dict[str, str]:
        """
        Settings that only this flavour has, as variable -> SQL text, for every session of ours.

        They keep a global setting from cutting statements shorter than *statement_timeout_s*, from turning key lookups into
        scans, or from answering them out of a cache. MySQL bounds only what reads.
        """
        if self is Flavor.MYSQL:
            return {
                # Beyond 8 MB of key lists the optimiser falls back to a full scan.
                "range_optimizer_max_mem_size": "0",
                "max_execution_time": str(int(statement_timeout_s * 1000)),
                # Estimates would be a day old.
                "information_schema_stats_expiry": "0",
            }
        # Of more than 32,000 keys the last columns, or all, are left out of a range otherwise.
        ranges = {"optimizer_max_sel_arg_weight": "0"} if version >= (10, 5, 9) else {}
        return {
            **ranges,
            # Lists of 1,000 and more become a join with a temporary table otherwise.
            "in_predicate_conversion_threshold": "0",
            # Invalidated behind the engine's commit: a snapshot would find rows in it from before what it contains (INV-3).
            "query_cache_type": "0",
            "max_statement_time": f"{statement_timeout_s:.3f}",
        }


def detect(version_text: str, comment: str = "") -> tuple[Flavor, Version]:
    """
    Read what ``VERSION()`` and ``@@version_comment`` say.

    Raises:
        ValueError: the text holds no version.
    """
    mariadb = "mariadb" in version_text.lower() or "mariadb" in comment.lower()
    found = _NUMBERS.search(version_text.removeprefix(_REPLICATION_PREFIX))
    if not found:
        raise ValueError(f"not a server version: {version_text!r}")
    version = tuple(int(part or 0) for part in found.groups())
    return (Flavor.MARIADB if mariadb else Flavor.MYSQL), version
