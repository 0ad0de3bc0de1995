"""Which tables are kept equal: selection, and pairing of both schemas."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import msgspec

from syncer.config import Config
from syncer.core.key import Key
from syncer.core.lint import holes
from syncer.core.naming import clashes
from syncer.core.pairing import PairedTable
from syncer.core.schema import TableName, TableSchema
from syncer.core.side import SIDES, Side
from syncer.errors import ConfigError, StatementRefused
from syncer.mysql import statements
from syncer.mysql.columns import key_text
from syncer.mysql.connection import Session
from syncer.mysql.introspect import list_tables, load_schemas


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """
    The tables selected on both sides.

    Attributes:
        schemas: per side, the schemas by name; a table may be missing on one side: preflight refuses that.
        mixed: one side is MySQL, the other MariaDB.
    """

    names: tuple[TableName, ...]
    schemas: dict[Side, dict[TableName, TableSchema]]
    mixed: bool = False

    @property
    def on_both(self) -> tuple[TableName, ...]:
        """Tables that exist on both sides."""
        return tuple(n for n in self.names if all(n in self.schemas[side] for side in SIDES))


def select(config: Config, sessions: Mapping[Side, Session]) -> Selection:
    """
    Find the tables that the configuration selects and read their schemas.

    Raises ConfigError where a table named without a glob exists on neither side, or nothing is selected.
    """
    spelt = config.names
    listed = {side: set(list_tables(sessions[side], spelt.on(side))) for side in SIDES}
    everywhere = listed[Side.A] | listed[Side.B]
    for name in config.explicit_tables():
        if name not in everywhere:
            raise ConfigError(
                f"unknown table {name}: it exists on neither side; check the name and the grants"
                + (" (a table that is mapped goes by its name on side a)" if spelt.entries else "")
            )
    for name in spelt.b.tables:
        if name not in everywhere:
            raise ConfigError(
                f"map: {spelt.entries[str(name)]}: neither table exists; check the names and the grants"
            )
    names = tuple(sorted(name for name in everywhere if config.selects(name)))
    if not names:
        raise ConfigError(
            "no table is selected: none that exists matches; check --tables, --databases and the grants"
        )
    for name, owner in clashes(spelt.b, (n for n in names if n in listed[Side.A])).items():
        raise ConfigError(
            f"map: {name} and {owner} would both be {spelt.b.there(name)} on side b: map one elsewhere, or leave "
            f"{name} out with --ignore-tables"
        )

    def load(side: Side) -> dict[TableName, TableSchema]:
        found = [name for name in names if name in listed[side]]
        return load_schemas(sessions[side], found, asked_key=config.key_for, names=spelt.on(side))

    with ThreadPoolExecutor(len(SIDES)) as pool:
        schemas = dict(zip(SIDES, pool.map(load, SIDES), strict=True))
    _try_filters(config, sessions, schemas)
    mixed = len({sessions[side].flavor for side in SIDES}) > 1
    return Selection(names=names, schemas=schemas, mixed=mixed)


def _try_filters(
    config: Config,
    sessions: Mapping[Side, Session],
    schemas: Mapping[Side, Mapping[TableName, TableSchema]],
) -> None:
    """Raise ConfigError where a server refuses a filter; a column that it lacks is ``pair_table``'s to name."""
    for side in SIDES:
        for name, schema in schemas[side].items():
            where = config.filter_for(name)
            if not where.text or where.problems(schema, str(side)):
                continue
            try:
                asked = msgspec.structs.replace(schema, where=where.text)
                sessions[side].query(statements.try_filter(asked))
            except StatementRefused as error:
                raise ConfigError(
                    f"where of {name}: side {side} refuses it (error {error.errno}): correct the filter"
                ) from error


def pair_tables(
    config: Config, selection: Selection, ids: Mapping[TableName, int]
) -> dict[int, PairedTable]:
    """Pair the schemas of the tables that *ids* names; they exist on both sides and fit each other."""
    return {
        number: pair_table(
            config,
            number,
            *(selection.schemas[side][name] for side in SIDES),
            mixed=selection.mixed,
        )
        for name, number in ids.items()
    }


def pair_table(
    config: Config, table_id: int, a: TableSchema, b: TableSchema, *, mixed: bool
) -> PairedTable:
    """Pair the schemas of one table. Raises ConfigError where its policy asks for what a side does not have."""
    policy = config.policy_for(a.name)
    ignored = {column.lower() for column in config.ignore_columns_for(a.name)}
    where = config.filter_for(a.name)
    found = dict.fromkeys([*holes(policy, a), *holes(policy, b)])
    wrong = [*found, *where.problems(a, "a", ignored), *where.problems(b, "b")]
    if wrong:
        raise ConfigError("; ".join(wrong))
    theirs = {column.name.lower(): column for column in b.columns}
    keys = {column.lower() for column in a.key}
    columns = [
        column
        for column in a.columns
        if column.name.lower() in theirs
        and (column.name.lower() not in ignored or column.name.lower() in keys)
    ]
    redacted = tuple(column.name for column in columns if config.redacts(a.name, column.name))
    named = [column for column in redacted if column.lower() in keys]
    if named:
        raise ConfigError(
            f"journal.redact: {a.name}.{named[0]} is part of the key: it names rows in the ledger and cannot be left out"
        )
    return PairedTable(
        table_id=table_id,
        name=a.name,
        a=msgspec.structs.replace(a, where=where.text),
        b=msgspec.structs.replace(b, where=where.text),
        columns=tuple(column.name for column in columns),
        written=tuple(
            c.name for c in columns if not c.generated and not theirs[c.name.lower()].generated
        ),
        policy=policy,
        mixed=mixed,
        guard=config.guard_for(a.name),
        redacted=redacted,
        undo=not redacted and config.file.journal.undo_rows > 0,
    )


def printable_key(table: PairedTable, key: Key) -> str:
    """A key for a person's eyes."""
    return ",".join(map(key_text, table.a.key_columns, key))
