"""Which privileges the account has, and which it lacks. Parses SHOW GRANTS, roles that are active included."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

import msgspec

from syncer.core.schema import TableName
from syncer.mysql.columns import quote_name, quote_text
from syncer.mysql.connection import Session
from syncer.mysql.findings import Finding, Level
from syncer.mysql.flavor import Flavor
from syncer.mysql.introspect import OWN_SCHEMA

READ = frozenset({"SELECT"})
WRITE = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
OWN = frozenset({"SELECT", "INSERT", "UPDATE"})
READ_FULLY = {
    Flavor.MYSQL: (
        ("LOCK TABLES", "UPDATE", "DELETE"),
        ": rows that change all the time are read under locks",
    ),
    Flavor.MARIADB: (
        (
            "REFERENCES", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "INDEX", "ALTER", "CREATE VIEW", "SHOW VIEW", "TRIGGER",
        ),
        ": what foreign keys do to children cannot be seen",
    ),
}  # fmt: skip
"""
What SELECT alone does not let an account read. One of these does; the first is the least.

MySQL: a row under a lock. MariaDB: information_schema.referential_constraints, which is empty then [measured, 10.11].
"""
_OWN_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'syncer'"

_NAME = r"(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\"|[^\s.`\"]+)"
_GRANT = re.compile(
    rf"^(GRANT|REVOKE) (.+?) ON (?:TABLE |DATABASE )?({_NAME})\.({_NAME}) (?:TO|FROM) ", re.DOTALL
)
_COLUMNS = re.compile(r"\([^)]*\)")
_ALIASES = {
    "BINLOG MONITOR": "REPLICATION CLIENT",
    "REPLICATION REPLICA": "REPLICATION SLAVE",
    "ALL": "ALL PRIVILEGES",
}


class Grant(msgspec.Struct, frozen=True):
    """One line of SHOW GRANTS; *database* is a pattern or ``*``, *table* a name or ``*``."""

    privileges: frozenset[str]
    database: str
    table: str
    revoked: bool = False

    def covers(self, database: str, table: str) -> bool:
        """Say whether the line is about that table (``*``: about the whole database, or the whole server)."""
        if self.database != "*" and (database == "*" or not _like(self.database, database)):
            return False
        return self.table in {"*", table}


def parse_grants(lines: Iterable[str]) -> list[Grant]:
    """Read the lines of SHOW GRANTS. Grants of roles, proxies and single columns say nothing here."""
    found = []
    for line in lines:
        match = _GRANT.match(line)
        if not match:
            continue
        verb, listed, database, table = match.groups()
        privileges = set()
        for item in _COLUMNS.sub("()", listed).split(","):
            name = " ".join(item.upper().split())
            if not name.endswith("()"):  # of some columns only
                privileges.add(_ALIASES.get(name, name))
        found.append(
            Grant(frozenset(privileges), _unquote(database), _unquote(table), verb == "REVOKE")
        )
    return found


def granted(grants: Iterable[Grant], privilege: str, database: str = "*", table: str = "*") -> bool:
    """Say whether *privilege* is there; the defaults ask for the whole server."""
    held = False
    for grant in grants:
        if not (grant.privileges & {privilege, "ALL PRIVILEGES"}):
            continue
        if grant.covers(database, table):
            if grant.revoked:
                return False
            held = True
    return held


def read_grants(session: Session) -> list[Grant]:
    """Ask for the account's own grants and those of its active roles."""
    role = session.query("SELECT CURRENT_ROLE()")[0][0]
    if session.flavor is Flavor.MYSQL:
        using = f" USING {role}" if role and role != "NONE" else ""
        rows = session.query(f"SHOW GRANTS FOR CURRENT_USER(){using}")
    else:
        rows = session.query("SHOW GRANTS FOR CURRENT_USER")
        if role:
            rows += session.query("SHOW GRANTS FOR CURRENT_ROLE")
    return parse_grants(str(row[0]) for row in rows)


def writes_when_read_only(session: Session) -> bool:
    """Say whether the account writes under ``read_only`` too; nobody does under MySQL's ``super_read_only``."""
    mariadb = session.flavor is Flavor.MARIADB
    names = {"READ_ONLY ADMIN"} if mariadb else {"SUPER", "CONNECTION_ADMIN"}
    if mariadb and session.version < (10, 11):
        names.add("SUPER")
    grants = read_grants(session)
    return any(granted(grants, name) for name in names)


def check_grants(
    session: Session, tables: Collection[TableName], *, target: bool, beats: bool
) -> list[Finding]:
    """
    Name every missing privilege, each finding with the GRANT statement that adds it.

    Args:
        target: rows will be written on this side.
        beats: heartbeats will be written there.
    """
    grants = read_grants(session)
    account = account_of(session)
    monitor = session.flavor.monitor_privilege
    found = []

    def missing(
        level: Level, privileges: Collection[str], scope: str, subject: str, why: str
    ) -> None:
        names = ", ".join(sorted(privileges))
        found.append(
            Finding(
                level=level,
                side=session.side,
                code="grant_missing",
                subject=subject,
                message=f"{account} lacks {names} on {subject}{why}",
                fix=f"GRANT {names} ON {scope} TO {account};",
            )
        )

    for privilege, name in (
        ("REPLICATION SLAVE", "REPLICATION SLAVE"),
        ("REPLICATION CLIENT", monitor),
    ):
        if not granted(grants, privilege):
            missing(Level.ERROR, [name], "*.*", "*.*", "")
    existing = {str(row[0]) for row in session.query(_OWN_TABLES)}
    told: set[str] = set()
    for table, needed, level, why in (
        ("marker", True, Level.ERROR, "" if target else ": a source has a marker row too"),
        ("heartbeat", beats, Level.WARNING, ": heartbeats cannot be written"),
    ):
        own = OWN if table in existing else OWN | {"CREATE"}
        lacking = {p for p in own if not granted(grants, p, OWN_SCHEMA, table)} - told
        if needed and lacking:
            told |= lacking
            missing(level, lacking, f"`{OWN_SCHEMA}`.*", f"{OWN_SCHEMA}.*", why)
    for database, (privileges, names) in _lacking(
        grants, tables, WRITE if target else READ
    ).items():
        scope = f"{quote_name(database)}.*"
        missing(Level.ERROR, privileges, scope, _subject(database, names), "")
    if target:
        for database, (privileges, names) in _lacking(grants, tables, {"TRIGGER"}).items():
            scope = f"{quote_name(database)}.*"
            why = ": triggers on tables that are written cannot be seen"
            missing(Level.WARNING, privileges, scope, _subject(database, names), why)
    else:
        enough, why = READ_FULLY[session.flavor]
        partly = [
            name
            for name in tables
            if not any(granted(grants, p, name.database, name.name) for p in enough)
        ]
        for database, (privileges, names) in _lacking(grants, partly, enough[:1]).items():
            scope = f"{quote_name(database)}.*"
            missing(Level.ERROR, privileges, scope, _subject(database, names), why)
    return found


def _lacking(
    grants: list[Grant], tables: Collection[TableName], wanted: Collection[str]
) -> dict[str, tuple[set[str], list[str]]]:
    found: dict[str, tuple[set[str], list[str]]] = defaultdict(lambda: (set(), []))
    for name in sorted(tables):
        lacking = {p for p in wanted if not granted(grants, p, name.database, name.name)}
        if lacking:
            found[name.database][0].update(lacking)
            found[name.database][1].append(name.name)
    return found


def _subject(database: str, names: list[str]) -> str:
    more = f" and {len(names) - 1} more tables" if len(names) > 1 else ""
    return f"{database}.{names[0]}{more}"


def account_of(session: Session) -> str:
    """Return the account of a session as GRANT writes it."""
    user, _, host = str(session.query("SELECT CURRENT_USER()")[0][0]).rpartition("@")
    return f"{quote_text(user)}@{quote_text(host)}"


def _unquote(name: str) -> str:
    if name[:1] in {"`", '"'}:
        return name[1:-1].replace(name[0] * 2, name[0])
    return name


def _like(pattern: str, name: str) -> bool:
    r"""Match as the servers match the database of a grant: ``%`` and ``_`` are wild unless escaped."""
    regex = re.sub(
        r"\\?.",
        lambda part: {"%": ".*", "_": "."}.get(part.group(), re.escape(part.group()[-1])),
        pattern,
        flags=re.DOTALL,
    )
    return re.fullmatch(regex, name, re.IGNORECASE | re.DOTALL) is not None
