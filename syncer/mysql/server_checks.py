"""Preflight of one server: its version, its binlog, what its settings no longer promise (INV-20)."""

from __future__ import annotations

from collections.abc import Collection

from syncer.errors import StatementRefused
from syncer.mysql.connection import Session
from syncer.mysql.findings import Finding, Level
from syncer.mysql.flavor import Flavor
from syncer.mysql.grants import account_of, writes_when_read_only
from syncer.mysql.introspect import OWN_SCHEMA

SMALLEST_PACKET = 4 << 20

_SETTINGS = (
    "log_bin",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_value_options",
    "binlog_row_metadata",
    "binlog_order_commits",
    "binlog_transaction_compression",
    "log_bin_compress",
    "gtid_mode",
    "enforce_gtid_consistency",
    "sync_binlog",
    "innodb_flush_log_at_trx_commit",
    "server_id",
    "read_only",
    "super_read_only",
    "max_allowed_packet",
    "time_zone",
    "system_time_zone",
    "log_replica_updates",
    "log_slave_updates",
    "lower_case_table_names",
    "auto_increment_increment",
    "auto_increment_offset",
    "innodb_native_foreign_keys",
    "local_infile",
)


class ServerChecks:
    """Collects the findings of one server. Used once, by one thread."""

    def __init__(self, session: Session) -> None:
        """Read the settings, in one query."""
        self._session = session
        self.settings = session.variables(*_SETTINGS)
        self.findings: list[Finding] = []

    def add(self, level: Level, code: str, subject: str, message: str, fix: str = "") -> None:
        """Note a finding of this side."""
        self.findings.append(
            Finding(
                level=level,
                side=self._session.side,
                code=code,
                subject=subject,
                message=message,
                fix=fix,
            )
        )

    def is_on(self, name: str) -> bool:
        """Say whether a setting is on; False where the server does not know it."""
        return self.settings.get(name, "OFF").upper() in {"ON", "1"}

    def run(self, databases: Collection[str], *, target: bool) -> list[Finding]:
        """Check everything about the server itself; *databases* are those of the tables kept in sync."""
        self._version()
        if self._binlog():
            self._format()
            self._gtids()
            self._filters({*databases, OWN_SCHEMA})
        self._durability()
        self._identity()
        if target:
            self._writable()
            self._loading()
        else:
            self._markable()
        self._rest()
        return self.findings

    def _version(self) -> None:
        flavor, version = self._session.flavor, self._session.version
        if version < flavor.floor:
            floor = ".".join(map(str, flavor.floor))
            self.add(
                Level.ERROR,
                "version_too_old",
                "version",
                f"{flavor.label} {self._session.server_info} is not supported",
                f"upgrade to {flavor.label} {floor} or newer",
            )

    def _binlog(self) -> bool:
        if self.is_on("log_bin"):
            return True
        self.add(
            Level.ERROR,
            "binlog_off",
            "log_bin",
            "the binary log is off: there is no stream to read",
            "set log_bin in the server's configuration and restart it",
        )
        return False

    def _format(self) -> None:
        value = self.settings.get("binlog_format", "ROW")
        if value != "ROW":
            self.add(
                Level.ERROR,
                "binlog_format",
                "binlog_format",
                f"binlog_format is {value}: changes are not logged row by row",
                "SET GLOBAL binlog_format = 'ROW'; and let every application connect again",
            )
        image = self.settings.get("binlog_row_image", "FULL")
        if image != "FULL":
            self.add(
                Level.WARNING,
                "binlog_row_image",
                "binlog_row_image",
                f"binlog_row_image is {image}: a conflict's last agreed row is not in the log",
                "SET GLOBAL binlog_row_image = 'FULL';",
            )
        if self.settings.get("binlog_row_value_options"):
            self.add(
                Level.ERROR,
                "partial_json",
                "binlog_row_value_options",
                "binlog_row_value_options is set: partial JSON updates cannot be decoded",
                "SET GLOBAL binlog_row_value_options = '';",
            )
        metadata = self.settings.get("binlog_row_metadata")
        if metadata not in {None, "FULL"}:
            self.add(
                Level.INFO,
                "binlog_row_metadata",
                "binlog_row_metadata",
                f"binlog_row_metadata is {metadata}: column names come from the tables as they are now",
            )
        for name in ("binlog_transaction_compression", "log_bin_compress"):
            if self.is_on(name):
                self.add(
                    Level.INFO,
                    "binlog_compressed",
                    name,
                    f"{name} is on: events are decompressed here",
                )

    def _gtids(self) -> None:
        if self._session.flavor is not Flavor.MYSQL:
            return  # MariaDB's binlog always has them
        if self.settings.get("gtid_mode") != "ON":
            self.add(
                Level.ERROR,
                "gtid_mode",
                "gtid_mode",
                f"gtid_mode is {self.settings.get('gtid_mode')}: what a read contains cannot be proven",
                "SET PERSIST enforce_gtid_consistency = ON; then gtid_mode = OFF_PERMISSIVE, ON_PERMISSIVE, ON",
            )
        elif not self.is_on("enforce_gtid_consistency"):
            self.add(
                Level.ERROR,
                "gtid_consistency",
                "enforce_gtid_consistency",
                "enforce_gtid_consistency is off",
                "SET PERSIST enforce_gtid_consistency = ON;",
            )
        if self.settings.get("binlog_order_commits", "ON") != "ON":
            self.add(
                Level.WARNING,
                "commit_order",
                "binlog_order_commits",
                "binlog_order_commits is off: commits may become visible in another order than logged",
                "SET PERSIST binlog_order_commits = ON;",
            )

    def _filters(self, databases: Collection[str]) -> None:
        try:
            rows = self._session.query_named(self._session.status_statement)
        except StatementRefused:
            return  # the missing privilege is a finding of its own, see grants.py
        if not rows:
            return
        only = _names(rows[0].get("Binlog_Do_DB"))
        never = _names(rows[0].get("Binlog_Ignore_DB"))
        for database in sorted(databases):
            if database in never or (only and database not in only):
                self.add(
                    Level.ERROR,
                    "binlog_filtered",
                    database,
                    f"database {database} is kept out of the binary log",
                    f"remove it from binlog-ignore-db, or add it to binlog-do-db: {database}; restart",
                )

    def _durability(self) -> None:
        if self.settings.get("sync_binlog") != "1":
            self.add(
                Level.WARNING,
                "sync_binlog",
                "sync_binlog",
                f"sync_binlog is {self.settings.get('sync_binlog')}: after a crash of the machine, changes that were "
                "already carried over may be missing from its log",
                "SET GLOBAL sync_binlog = 1;",
            )
        if self.settings.get("innodb_flush_log_at_trx_commit") != "1":
            self.add(
                Level.WARNING,
                "flush_log",
                "innodb_flush_log_at_trx_commit",
                "innodb_flush_log_at_trx_commit is not 1: a crash of the machine may undo rows that this side has "
                "already sent or acknowledged",
                "SET GLOBAL innodb_flush_log_at_trx_commit = 1;",
            )

    def _identity(self) -> None:
        if self.settings.get("server_id") == "0":
            self.add(
                Level.ERROR,
                "server_id_zero",
                "server_id",
                "server_id is 0: the server sends its log to nobody",
                "SET GLOBAL server_id to a number that no other server has",
            )

    def _read_only(self) -> tuple[str, bool] | None:
        """Return the setting that keeps everybody from writing, and whether an account may be exempt; None where none is on."""
        for name in ("super_read_only", "read_only"):
            value = self.settings.get(name, "OFF")
            if value not in {"OFF", "0"}:
                return name, name == "read_only" and value in {"ON", "1"}
        return None

    def _refuse_read_only(self, name: str, message: str, more: str) -> None:
        fix = "SET GLOBAL read_only = OFF;"
        if name == "super_read_only":
            more = " super_read_only goes off with it"
        self.add(Level.ERROR, "read_only", name, f"{name} is on: {message}", fix + more)

    def _writable(self) -> None:
        found = self._read_only()
        if found is not None:
            name, exempts = found
            more = " or make this side the source of a one-way sync, with an account that is exempt from read_only"
            message = "nothing can be written to this side"
            self._refuse_read_only(name, message, more if exempts else "")

    def _loading(self) -> None:
        if not self.is_on("local_infile"):
            self.add(
                Level.INFO,
                "local_infile",
                "local_infile",
                "local_infile is off: tables that are empty here are filled by INSERT, which costs this server up to twice as much as loading rows",
                "SET GLOBAL local_infile = ON;",
            )

    def _markable(self) -> None:
        """A source is written to as well: the marker row (INV-13, INV-17). read_only refuses even locks on rows."""
        found = self._read_only()
        if found is None:
            return
        name, exempts = found
        if exempts and writes_when_read_only(self._session):
            return
        mariadb = self._session.flavor is Flavor.MARIADB
        privilege = "READ_ONLY ADMIN" if mariadb else "CONNECTION_ADMIN"
        more = f" or GRANT {privilege} ON *.* TO {account_of(self._session)};" if exempts else ""
        message = "no marker row can be written to syncer.marker, which a source needs too"
        self._refuse_read_only(name, message, more)

    def _rest(self) -> None:
        size = int(self.settings.get("max_allowed_packet", "0"))
        if size < SMALLEST_PACKET:
            self.add(
                Level.WARNING,
                "max_allowed_packet",
                "max_allowed_packet",
                f"max_allowed_packet is {size} bytes: wider rows than that cannot be carried over",
                "SET GLOBAL max_allowed_packet = 67108864;",
            )
        zone = self.settings.get("time_zone", "")
        system = self.settings.get("system_time_zone", "")
        self.add(
            Level.INFO,
            "time_zone",
            "time_zone",
            f"time zone is {zone}{f' ({system})' if zone == 'SYSTEM' else ''}; sessions of ours use UTC",
        )


def _names(value: object) -> set[str]:
    return {name for name in str(value or "").split(",") if name}
