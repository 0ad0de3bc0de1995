"""Replicas of the servers under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed.endpoint import Endpoint


def replicate(source: Endpoint, replica: Endpoint, *, from_now: bool = False) -> None:
    """
    Make *replica* one of *source*, with the same administrator, and start it.

    *from_now*: what the source's binlog holds by now is left out.
    """
    replica.script(
        "SET SESSION sql_log_bin = 0",
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{source.password}'",
        f"ALTER USER 'root'@'%' IDENTIFIED BY '{source.password}'",
    )
    replica.password = source.password
    mysql = replica.flavor == "mysql"
    if from_now and mysql:
        [(told,)] = source.query("SELECT @@GLOBAL.gtid_executed")
        replica.script(f"SET GLOBAL gtid_purged = '+{told}'")
    elif from_now:
        [(told,)] = source.query("SELECT @@GLOBAL.gtid_binlog_pos")
        replica.script(f"SET GLOBAL gtid_slave_pos = '{told}'")
    word = "SOURCE" if mysql else "MASTER"
    login = (
        f"{word}_HOST='{source.host}', {word}_PORT={source.port}, {word}_USER='root', "
        f"{word}_PASSWORD='{source.password}'"
    )
    if mysql:
        replica.script(
            f"CHANGE REPLICATION SOURCE TO {login}, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1",
            "START REPLICA",
        )
    else:
        replica.script(f"CHANGE MASTER TO {login}, MASTER_USE_GTID=slave_pos", "START SLAVE")
