"""
Read table schemas from information_schema: a constant number of queries for any number of tables.

Facts only; whether two sides fit each other is ``compatibility.py``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import msgspec

from syncer.core.naming import AS_THEY_ARE, SideNames
from syncer.core.schema import Column, ForeignKey, TableName, TableSchema
from syncer.errors import StatementRefused, TransientDatabaseError
from syncer.mysql.columns import quote_name, quote_text, unsupported
from syncer.mysql.connection import Session
from syncer.mysql.flavor import Flavor

SYSTEM_SCHEMAS = frozenset({"mysql", "information_schema", "performance_schema", "sys"})
OWN_SCHEMA = "syncer"
PREFIX_MOST = 255
"""Most characters of a column's beginning that a key may rest on: servers sort by no more than some hundred bytes."""

_TABLES = """
SELECT table_schema, table_name, engine, table_rows, avg_row_length, table_type, create_options FROM information_schema.tables
WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND {scope}
"""
_COLUMNS = """
SELECT table_schema, table_name, column_name, ordinal_position, data_type, column_type, is_nullable,
  character_maximum_length, numeric_precision, numeric_scale, datetime_precision, character_set_name, collation_name, extra,
  column_default, generation_expression
FROM information_schema.columns WHERE {scope} ORDER BY table_schema, table_name, ordinal_position
"""
_INDEXES = """
SELECT table_schema, table_name, index_name, seq_in_index, column_name, sub_part, nullable, index_type, {usable}
FROM information_schema.statistics WHERE non_unique = 0 AND {scope}
ORDER BY table_schema, table_name, index_name, seq_in_index
"""
_FOREIGN_KEYS = """
SELECT k.table_schema, k.table_name, k.constraint_name, k.column_name, k.referenced_table_schema, k.referenced_table_name,
  k.referenced_column_name, r.delete_rule, r.update_rule
FROM information_schema.key_column_usage k
JOIN information_schema.referential_constraints r
  ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name AND r.table_name = k.table_name
WHERE k.referenced_table_name IS NOT NULL AND {scope}
ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position
"""
_TRIGGERS = """
SELECT event_object_schema, event_object_table, trigger_name FROM information_schema.triggers WHERE {scope}
ORDER BY event_object_schema, event_object_table, trigger_name
"""
_CHECKS = """
SELECT constraint_schema, table_name, check_clause FROM information_schema.check_constraints
WHERE check_clause LIKE '%json_valid%' AND {scope}
"""
_PADDED = (
    "SELECT collation_name FROM information_schema.collations WHERE pad_attribute = 'PAD SPACE'"
)

_MEMBER = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_ESCAPED = re.compile(r"\'\'|\\.", re.DOTALL)
_UNESCAPED = {r"\0": "\0", r"\n": "\n", r"\r": "\r"}
_GENERATED = re.compile(
    r"\b(VIRTUAL|STORED|PERSISTENT) GENERATED\b|\bROW (START|END)\b", re.IGNORECASE
)
_FILLED = re.compile(r"auto_increment|generated", re.IGNORECASE)
_JSON_CHECK = re.compile(r"^\s*json_valid\(`((?:[^`]|``)+)`\)\s*$", re.IGNORECASE)

_Where = tuple[str, str]
_Rows = list[tuple[Any, ...]]


class _Index(msgspec.Struct, frozen=True):
    """A unique index; a part that is an expression has the name ``(expression)``."""

    name: str
    columns: tuple[str, ...]
    identifies: bool
    """Its columns are never NULL, and its order can be walked."""
    prefix: bool = False
    """It holds no more than the beginning of some column."""


def list_tables(session: Session, names: SideNames = AS_THEY_ARE) -> list[TableName]:
    """Return the user's tables by the pair's *names*, in order: no views, no system schemas, not our own."""
    hidden = ",".join(quote_text(name) for name in sorted(SYSTEM_SCHEMAS | {OWN_SCHEMA}))
    rows = session.query(_TABLES.format(scope=f"table_schema NOT IN ({hidden})"))
    found = (names.here(TableName(row[0], row[1])) for row in rows)
    return sorted(name for name in found if name is not None)


def being_changed(
    session: Session, names: Iterable[TableName], on_server: SideNames = AS_THEY_ARE
) -> set[TableName]:
    """
    Return those of *names* whose definition is being changed, once ``lock_wait_timeout`` is over; else wait for the change.

    A change may be logged and not visible yet, as a commit that waits for a replica is not. ``load_schemas`` would find the old
    definition: MySQL's information_schema waits for such a change too, but goes on after the timeout with no more than a warning.
    Raises TransientDatabaseError where the connection is lost.
    """
    found = set()
    for name in names:
        there = on_server.there(name)
        table = f"{quote_name(there.database)}.{quote_name(there.name)}"
        try:
            session.query(f"SELECT 1 FROM {table} LIMIT 0")
        except StatementRefused:
            continue  # it is not there, or cannot be read: told elsewhere
        except TransientDatabaseError:
            if not session.is_open:
                raise
            found.add(name)
    return found


def load_schemas(
    session: Session,
    tables: Collection[TableName] | None = None,
    databases: Collection[str] | None = None,
    asked_key: Callable[[TableName], tuple[str, ...]] | None = None,
    names: SideNames = AS_THEY_ARE,
) -> dict[TableName, TableSchema]:
    """
    Read the schemas of *tables*, or of all user tables, or of those in *databases*; *asked_key* may name a table's key columns.

    A table that does not exist is missing from the result. Tables, parents included, go by the pair's *names*. Triggers show
    only with the TRIGGER privilege.
    """
    chosen = list_tables(session, names) if tables is None else list(tables)
    if databases is not None:
        chosen = [name for name in chosen if name.database in databases]
    if not chosen:
        return {}
    places = {name: names.there(name) for name in chosen}
    scope = ",".join(quote_text(d) for d in sorted({place.database for place in places.values()}))

    def grouped(sql: str, column: str = "table_schema", **more: str) -> dict[_Where, _Rows]:
        groups: dict[_Where, _Rows] = defaultdict(list)
        for row in session.query(sql.format(scope=f"{column} IN ({scope})", **more)):
            groups[row[0], row[1]].append(row[2:])
        return groups

    mysql = session.flavor is Flavor.MYSQL
    if mysql:
        usable = "is_visible = 'YES'"
    else:
        usable = "ignored = 'NO'" if session.version >= (10, 6) else "1"
    facts = grouped(_TABLES)
    columns = grouped(_COLUMNS)
    indexes = grouped(_INDEXES, usable=usable)
    foreign = grouped(_FOREIGN_KEYS, "k.table_schema")
    triggers = grouped(_TRIGGERS, "event_object_schema")
    checks = {} if mysql else grouped(_CHECKS, "constraint_schema")
    padded = {str(row[0]) for row in session.query(_PADDED)} if mysql else None

    found: dict[TableName, TableSchema] = {}
    for name in chosen:
        place = places[name]
        where = (place.database, place.name)
        if where not in facts:
            continue
        engine, rows, row_bytes, table_type, options = facts[where][0]
        json_columns = _json_columns(checks.get(where, ()))
        parsed = tuple(_column(row, padded, json_columns) for row in columns[where])
        asked = asked_key(name) if asked_key else ()
        key, others = _choose_key(_indexes(indexes.get(where, ())), parsed, asked)
        found[name] = TableSchema(
            name=name,
            engine=str(engine or ""),
            columns=parsed,
            key=key.columns if key else (),
            key_index=key.name if key else "",
            key_prefix=key is not None and key.prefix,
            asked_key=asked,
            versioned=str(table_type).upper() == "SYSTEM VERSIONED",
            partitioned="partitioned" in str(options).lower(),
            unique=tuple(index.columns for index in others),
            foreign_keys=_foreign_keys(foreign.get(where, ()), names),
            triggers=tuple(str(row[0]) for row in triggers.get(where, ())),
            rows=int(rows or 0),
            row_bytes=int(row_bytes or 0),
            stored_as=place if place != name else None,
        )
    return found


def _column(row: Sequence[Any], padded: set[str] | None, json_columns: Collection[str]) -> Column:
    (
        name,
        ordinal,
        data_type,
        full,
        nullable,
        characters,
        precision,
        scale,
        fraction,
        charset,
        collation,
        extra,
        default,
        expression,
    ) = row
    kind = str(data_type).lower()
    members: tuple[str, ...] = ()
    if kind in {"enum", "set"}:
        members = parse_members(full)
        attributes = ""
    else:
        full = attributes = full.lower()
    if name in json_columns:
        kind = "json"
    length = precision if kind == "bit" else characters
    return Column(
        name=name,
        position=int(ordinal) - 1,
        data_type=kind,
        column_type=full,
        nullable=nullable == "YES",
        unsigned=" unsigned" in attributes,
        length=int(length or 0),
        precision=int(precision or 0) if kind == "decimal" else 0,
        scale=int(scale or 0) if kind == "decimal" else 0,
        fraction=int(fraction or 0),
        charset=charset,
        collation=collation,
        pad_space=_pads(collation, padded),
        members=members,
        generated=bool(_GENERATED.search(extra)),
        auto_increment="auto_increment" in extra.lower(),
        has_default=nullable == "YES" or default is not None or bool(_FILLED.search(extra)),
        on_update="on update" in extra.lower(),
        expression=expression or "",
    )


def _pads(collation: str | None, padded: set[str] | None) -> bool:
    """MySQL lists its PAD SPACE collations; MariaDB's all pad, but for those that say so in their name."""
    if collation is None or collation == "binary":
        return False
    return collation in padded if padded is not None else "nopad" not in collation


def parse_members(column_type: str) -> tuple[str, ...]:
    """Read the members out of ``enum('a','it''s')`` or ``set(...)``; the servers escape as they do in literals."""
    return tuple(
        _ESCAPED.sub(lambda part: _UNESCAPED.get(part.group(), part.group()[1:]), found.group(1))
        for found in _MEMBER.finditer(column_type.partition("(")[2])
    )


def _json_columns(rows: Iterable[Sequence[Any]]) -> set[str]:
    """MariaDB's JSON is LONGTEXT with a check."""
    found = (_JSON_CHECK.match(str(row[0])) for row in rows)
    return {match.group(1).replace("``", "`") for match in found if match}


def _indexes(rows: Iterable[Sequence[Any]]) -> list[_Index]:
    parts: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        parts[str(row[0])].append(row)
    return [
        _Index(
            name,
            tuple(str(row[2]) if row[2] is not None else "(expression)" for row in group),
            all(
                column is not None
                and int(sub_part or 0) <= PREFIX_MOST
                and nullable != "YES"
                and kind == "BTREE"
                and int(usable)
                for _, _, column, sub_part, nullable, kind, usable in group
            ),
            any(row[3] is not None for row in group),
        )
        for name, group in parts.items()
    ]


def _choose_key(
    indexes: Sequence[_Index], columns: Sequence[Column], asked: Sequence[str] = ()
) -> tuple[_Index | None, list[_Index]]:
    """
    Choose the key: PRIMARY, else the NOT NULL unique index over whole columns, with the fewest columns, then by name.

    Where columns are *asked* for, only an index over exactly those will do, in whatever order. An index of types that cannot
    be a key is taken only where there is no other, so that preflight can name them. A NULLable unique index is never an
    identity, nor is an expression.
    """
    wanted = {name.lower() for name in asked}
    by_name = {column.name.lower(): column for column in columns}

    def rank(index: _Index) -> tuple[bool, bool, bool, int, str]:
        unfit = any(unsupported(by_name[name.lower()], key=True) for name in index.columns)
        return unfit, index.name != "PRIMARY", index.prefix, len(index.columns), index.name

    def will_do(index: _Index) -> bool:
        return not wanted or {name.lower() for name in index.columns} == wanted

    fit = sorted((index for index in indexes if index.identifies and will_do(index)), key=rank)
    key = fit[0] if fit else None
    return key, [index for index in indexes if index is not key]


def _foreign_keys(rows: Iterable[Sequence[Any]], names: SideNames) -> tuple[ForeignKey, ...]:
    groups: dict[str, list[Sequence[Any]]] = defaultdict(list)
    for row in rows:
        groups[str(row[0])].append(row)
    return tuple(
        ForeignKey(
            name=name,
            columns=tuple(str(row[1]) for row in group),
            parent=_parent(TableName(str(group[0][2]), str(group[0][3])), names),
            parent_columns=tuple(str(row[4]) for row in group),
            on_delete=str(group[0][5]),
            on_update=str(group[0][6]),
        )
        for name, group in groups.items()
    )


def _parent(found: TableName, names: SideNames) -> TableName:
    """One that the map leaves no name of the pair gets one that no other table has: it is left out."""
    return names.here(found) or TableName(found.database, f"{found.name} (of that side alone)")
