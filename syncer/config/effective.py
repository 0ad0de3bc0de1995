"""What the configuration means: the pair, the tables selected, and the policy of each."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from syncer.core.filtering import RowFilter, parse_filter
from syncer.core.guard import Limit, WriteGuard
from syncer.core.lint import holes
from syncer.core.naming import NameMap, parse_map
from syncer.core.policy import Policy
from syncer.core.rules import parse_chain
from syncer.core.schema import TableName
from syncer.core.side import Direction, Side
from syncer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from syncer.config.engine import EngineSection
    from syncer.config.model import (
        FileConfig,
        HeartbeatSection,
        LogSection,
        PolicySection,
        SyncSection,
        TableSection,
        ThrottleSection,
    )
    from syncer.mysql.endpoint import Endpoint

SYSTEM_DATABASES = frozenset({"information_schema", "mysql", "performance_schema", "sys", "syncer"})
"""Never kept equal, whatever the globs say: the servers' own, and ours."""

_POLICY_KEYS = (
    "rule",
    "on_delete",
    "on_tie",
    "on_null",
    "presence",
    "on_truncate",
    "on_fk",
    "base",
    "custom_timeout_s",
    "clock_margin_s",
    "max_future_s",
)

_GUARD_KEYS = (
    *("deletes_max", "deletes_percent_max", "updates_max", "updates_percent_max"),
    *("forbid_a", "forbid_b"),
)


def is_glob(pattern: str) -> bool:
    """Whether *pattern* can mean more than one name."""
    return any(c in pattern for c in "*?[")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """
    The effective configuration.

    Attributes:
        file: every key with its value, wherever it came from; patterns are qualified (``database.table``).
        endpoint_a, endpoint_b: None where no server is named; ``a`` and ``b`` refuse that in one line.
        origins: dotted key -> where its value came from; a key that is not in it has its default.
        path: the file read, if any.
        exposed: files that hold a password or a key in use and that every user of the machine can read.
    """

    file: FileConfig
    endpoint_a: Endpoint | None = None
    endpoint_b: Endpoint | None = None
    origins: Mapping[str, str] = {}
    path: Path | None = None
    exposed: tuple[str, ...] = ()

    @property
    def a(self) -> Endpoint:
        """Side A. Raises ConfigError where it is not named."""
        return self.endpoint(Side.A)

    @property
    def b(self) -> Endpoint:
        """Side B. Raises ConfigError where it is not named."""
        return self.endpoint(Side.B)

    def endpoint(self, side: Side) -> Endpoint:
        """Return the server of *side*. Raises ConfigError where it is not named."""
        found = self.endpoint_a if side is Side.A else self.endpoint_b
        if found is None:
            raise ConfigError(
                f"no server is named for side {side.value}: give two URLs, or [{side.value}] url in "
                "a configuration file (syncer config init writes one)"
            )
        return found

    @property
    def ledger(self) -> Path:
        """The ledger file."""
        return Path(self.file.ledger).expanduser()

    @property
    def pair_id(self) -> str:
        """
        The pair's name: as configured, else a stable hash of both addresses in the order a, b.

        The order counts: a ledger written with the sides the other way round is refused by its pair id.
        """
        if self.file.pair:
            return self.file.pair
        text = "\n".join(_address(e) for e in (self.a, self.b))
        return "pair-" + hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def sync(self) -> SyncSection:
        """The section ``[sync]``."""
        return self.file.sync

    @property
    def policy(self) -> PolicySection:
        """The section ``[policy]``."""
        return self.file.policy

    @property
    def tables(self) -> tuple[TableSection, ...]:
        """The ``[[table]]`` entries in file order."""
        return self.file.table

    @property
    def engine(self) -> EngineSection:
        """The section ``[engine]``."""
        return self.file.engine

    @property
    def heartbeat(self) -> HeartbeatSection:
        """The section ``[heartbeat]``."""
        return self.file.heartbeat

    @property
    def throttle(self) -> ThrottleSection:
        """The section ``[throttle]``."""
        return self.file.throttle

    @property
    def log(self) -> LogSection:
        """The section ``[log]``."""
        return self.file.log

    @property
    def names(self) -> NameMap:
        """What tables and databases are called on side B."""
        return parse_map(self.sync.map)

    def selects(self, table: TableName) -> bool:
        """Whether *table*, by the pair's name, is to be kept equal. Names are compared in their own letter case."""
        if table.database.lower() in SYSTEM_DATABASES:
            return False
        sync = self.sync
        full = str(table)
        return (
            (not sync.databases or _any(sync.databases, table.database))
            and (not sync.tables or _any(sync.tables, full))
            and not _any(sync.ignore_databases, table.database)
            and not _any(sync.ignore_tables, full)
        )

    def policy_for(self, table: TableName) -> Policy:
        """Return the table's policy: ``[policy]`` and ``[sync]``, then every matching ``[[table]]``."""
        full = str(table)
        return self._fold(entry for entry in self.tables if fnmatchcase(full, entry.match))

    def guard_for(self, table: TableName) -> WriteGuard:
        """Return the table's guards: ``[guard]``, then every matching ``[[table]]``, key by key."""
        section = self.file.guard
        chosen: dict[str, Any] = {key: getattr(section, key) for key in _GUARD_KEYS}
        full = str(table)
        for entry in self.tables:
            if fnmatchcase(full, entry.match):
                said = {key: getattr(entry, key) for key in _GUARD_KEYS}
                chosen |= {key: value for key, value in said.items() if value is not None}
        return WriteGuard(
            deletes=Limit(chosen["deletes_max"], chosen["deletes_percent_max"]),
            updates=Limit(chosen["updates_max"], chosen["updates_percent_max"]),
            percent_from_rows=section.percent_from_rows,
            window_s=section.window_s,
            forbid_a=chosen["forbid_a"],
            forbid_b=chosen["forbid_b"],
        )

    def redacts(self, table: TableName, column: str) -> bool:
        """Whether values of the column are never kept in the journal. Letter case of the column does not count."""
        full = f"{table}.{column.lower()}"
        patterns = (pattern.rpartition(".") for pattern in self.file.journal.redact)
        return _any((f"{names}{dot}{last.lower()}" for names, dot, last in patterns), full)

    def ignore_columns_for(self, table: TableName) -> tuple[str, ...]:
        """Return the columns that the last matching ``[[table]]`` with ``ignore_columns`` names."""
        full = str(table)
        found: tuple[str, ...] = ()
        for entry in self.tables:
            if entry.ignore_columns is not None and fnmatchcase(full, entry.match):
                found = entry.ignore_columns
        return found

    def filter_for(self, table: TableName) -> RowFilter:
        """Return the filter of the last matching ``[[table]]`` with ``where``, else that of ``[sync]``."""
        full = str(table)
        found = self.sync.where
        for entry in self.tables:
            if entry.where is not None and fnmatchcase(full, entry.match):
                found = entry.where
        return parse_filter(found)

    def key_for(self, table: TableName) -> tuple[str, ...]:
        """Return the key columns that the last matching ``[[table]]`` with ``key`` names; () where none does."""
        full = str(table)
        found = ""
        for entry in self.tables:
            if entry.key is not None and fnmatchcase(full, entry.match):
                found = entry.key
        return tuple(name.strip() for name in found.split(",") if name.strip())

    def explicit_tables(self) -> list[TableName]:
        """Return the tables named without glob characters, each once: the service refuses unknown ones."""
        patterns = [*self.sync.tables, *(entry.match for entry in self.tables)]
        names = {p: None for p in patterns if not is_glob(p)}
        return [_table_name(name) for name in names]

    def unmatched(self, known: Iterable[TableName]) -> list[str]:
        """Return the patterns of ``[sync]`` databases and tables and of ``[[table]]`` that no *known* table matches."""
        tables = list(known)
        full = [str(t) for t in tables]
        databases = {t.database for t in tables}
        wanted = [*self.sync.tables, *(entry.match for entry in self.tables)]
        return [
            *(p for p in self.sync.databases if not any(fnmatchcase(d, p) for d in databases)),
            *(p for p in dict.fromkeys(wanted) if not any(fnmatchcase(f, p) for f in full)),
        ]

    def check_policies(self) -> list[str]:
        """
        Name every hole of every policy that a table can have; empty where all are total.

        An entry is judged together with the entries that cover it (``*.*`` covers ``shop.*``), since a table that
        matches it matches those too. Source: conflicts.md §3.
        """
        found = [f"policy: {hole}" for hole in holes(self._fold(()))] if self._falls_back() else []
        for entry in self.tables:
            policy = self._fold(e for e in self.tables if fnmatchcase(entry.match, e.match))
            found += [f"table {entry.match}: {hole}" for hole in holes(policy)]
        return list(dict.fromkeys(found))

    def require_pair(self) -> None:
        """Raise ConfigError unless both sides are named, differ, and at least one table can be selected."""
        if _address(self.a) == _address(self.b):
            raise ConfigError(f"a and b are the same server, {_address(self.a)}: name two")
        if not self.sync.tables and not self.sync.databases:
            raise ConfigError(
                "no table is selected: name some with --tables 'shop.*' or --databases shop "
                "(--tables '*.*' takes everything), or in [sync]"
            )
        for name in self.explicit_tables():
            if str(name) in self.sync.tables and not self.selects(name):
                raise ConfigError(
                    f"sync.tables: {name} is named, but databases, ignore_databases or ignore_tables "
                    "leaves it out, or it is a system table"
                )

    def _falls_back(self) -> bool:
        """Whether some table can be ruled by ``[policy]`` alone."""
        return not any(entry.match in {"*", "*.*"} for entry in self.tables)

    def _fold(self, entries: Iterable[TableSection]) -> Policy:
        chosen: dict[str, Any] = {key: getattr(self.policy, key) for key in _POLICY_KEYS}
        direction: Direction = self.sync.direction
        for entry in entries:
            for key in _POLICY_KEYS:
                value = getattr(entry, key)
                if value is not None:
                    chosen[key] = value
            direction = entry.direction if entry.direction is not None else direction
        chosen["rule"], *behind = parse_chain(chosen["rule"])
        chosen["fallbacks"] = tuple(behind)
        return Policy(direction=direction, **chosen)


def _any(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _table_name(qualified: str) -> TableName:
    database, _, name = qualified.partition(".")
    return TableName(database, name)


def _address(endpoint: Endpoint) -> str:
    """Return what identifies a server: its socket, or host and port."""
    return endpoint.address.lower() if endpoint.socket is None else endpoint.address
