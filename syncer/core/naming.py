"""
Tables and databases that have another name on side B: what the configuration's ``map`` says.

A table of the pair goes by the name that it has on side A, everywhere: in the configuration, the ledger, logs and reports.
Only what is said to or comes from server B is translated, at one place each way: definitions (``mysql/introspect.py``), and
table names in its stream (``service/streams.py``, ``service/catalog.py``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from syncer.core.schema import TableName
from syncer.core.side import Side

N = TypeVar("N", str, TableName)

_PART = r"(?:`(?:[^`]|``)+`|[^`.=\s](?:[^`.=]*[^`.=\s])?)"
_ENTRY = re.compile(rf"\s*({_PART})(?:\.({_PART}))?\s*=\s*({_PART})(?:\.({_PART}))?\s*")


class SideNames(msgspec.Struct, frozen=True):
    """
    What the tables of the pair are called on one side.

    Attributes:
        databases, tables: the pair's names to those of the side, where they differ.
        own_databases, own_tables: the way back.
    """

    databases: Mapping[str, str] = {}
    tables: Mapping[TableName, TableName] = {}
    own_databases: Mapping[str, str] = {}
    own_tables: Mapping[TableName, TableName] = {}

    def there(self, name: TableName) -> TableName:
        """Return what the pair's table *name* is called there. Two names of the pair may give one: see ``taken_by``."""
        found = self.tables.get(name)
        if found is not None:
            return found
        database = self.databases.get(name.database)
        return name if database is None else TableName(database, name.name)

    def here(self, name: TableName) -> TableName | None:
        """Return the pair's name of the table called *name* there; None where that name means another table of the pair."""
        found = self.own_tables.get(name)
        if found is None:
            database = self.own_databases.get(name.database)
            found = name if database is None else TableName(database, name.name)
        return found if self.there(found) == name else None

    def taken_by(self, name: TableName) -> TableName | None:
        """Return the other table of the pair that *name* would share a table with there; None where it has its own."""
        owner = self.here(self.there(name))
        return None if owner == name else owner

    def database(self, name: str) -> str:
        """Return what the pair's database *name* is called there."""
        return self.databases.get(name, name)


AS_THEY_ARE = SideNames()
"""The names of side A, and of side B where nothing is mapped."""


class NameMap(msgspec.Struct, frozen=True):
    """
    The whole map.

    Attributes:
        b: the names of side B.
        entries: the text it was read from, by the pair's name: ``shop`` or ``shop.orders``.
    """

    b: SideNames = AS_THEY_ARE
    entries: Mapping[str, str] = {}

    def on(self, side: Side) -> SideNames:
        """Return the names of *side*."""
        return self.b if side is Side.B else AS_THEY_ARE


@functools.lru_cache(maxsize=8)
def parse_map(entries: tuple[str, ...]) -> NameMap:
    """
    Read ``shop=store`` (databases) and ``shop.orders=store.purchases`` (tables), side A's name first.

    A table's entry goes before its database's. Names with a dot or an equals sign stand in back-quotes.

    Raises:
        ValueError: an entry is misspelt, or two of them give one name two meanings.
    """
    databases: dict[str, str] = {}
    tables: dict[TableName, TableName] = {}
    said: dict[str, str] = {}
    for entry in entries:
        match = _ENTRY.fullmatch(entry)
        parts = [_unquote(part) for part in match.groups()] if match else []
        if not parts or (parts[1] is None) != (parts[3] is None):
            raise ValueError(
                f"map: {entry!r} is neither DATABASE=DATABASE nor DATABASE.TABLE=DATABASE.TABLE, side a's name first"
            )
        if any(char in part for part in parts if part for char in "*?["):
            raise ValueError(f"map: {entry!r}: a name is mapped to a name, not a pattern")
        database, table, other, other_table = parts
        assert database is not None
        assert other is not None
        if table is None or other_table is None:
            _add(databases, database, other, entry, said)
        else:
            _add(tables, TableName(database, table), TableName(other, other_table), entry, said)
    return NameMap(
        SideNames(databases, tables, _turned(databases), _turned(tables)),
        said,
    )


def _add(known: dict[N, N], ours: N, theirs: N, entry: str, said: dict[str, str]) -> None:
    if known.get(ours, theirs) != theirs:
        raise ValueError(f"map: {ours} is mapped to {known[ours]} and to {theirs}: take one out")
    other = next((name for name, one in known.items() if one == theirs and name != ours), None)
    if other is not None:
        raise ValueError(
            f"map: {other} and {ours} are both mapped to {theirs} on side b: take one out"
        )
    known[ours] = theirs
    said[str(ours)] = entry


def _turned(names: Mapping[N, N]) -> dict[N, N]:
    return {theirs: ours for ours, theirs in names.items()}


def _unquote(part: str | None) -> str | None:
    if part is None or part[:1] != "`":
        return part
    return part[1:-1].replace("``", "`")


def clashes(names: SideNames, tables: Iterable[TableName]) -> dict[TableName, TableName]:
    """Return those of *tables* that would share a table with another one there, and with which."""
    found = {name: names.taken_by(name) for name in tables}
    return {name: owner for name, owner in found.items() if owner is not None}
