"""Preflight of the tables: can their rows be told apart, compared, carried over and written. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from syncer.core.cascade import CASCADING
from syncer.core.schema import TableName, TableSchema
from syncer.core.side import Side
from syncer.mysql.columns import MEMBERS, unsupported
from syncer.mysql.compatibility import compare, other_expressions
from syncer.mysql.findings import Finding, Level
from syncer.mysql.flavor import Flavor, Version

LOGS_CASCADES: Version = (9, 6)
"""MySQL logs what a cascade did to the children from this version on (inclusive); MariaDB does not."""

Schemas = Mapping[TableName, TableSchema]
Ignored = Mapping[TableName, frozenset[str]]
"""Per table the names in lower case of columns that are neither compared nor written; a table may be missing."""
NOTHING_IGNORED: Ignored = {}


def check_tables(
    side: Side,
    schemas: Schemas,
    *,
    target: bool,
    logs_cascades: bool,
    ignored: Ignored = NOTHING_IGNORED,
) -> list[Finding]:
    """Check the tables of one side. *target*: rows are written here; *ignored*: columns neither compared nor written."""
    found: list[Finding] = []
    for name in sorted(schemas):
        schema = schemas[name]

        def add(
            level: Level, code: str, message: str, fix: str = "", *, table: TableName = name
        ) -> None:
            found.append(
                Finding(
                    level=level,
                    side=side,
                    code=code,
                    subject=str(table),
                    message=f"table {table}: {message}",
                    fix=fix,
                )
            )

        if schema.engine.lower() != "innodb":
            add(
                Level.ERROR,
                "engine",
                f"engine {schema.engine or 'none'} has no transactions",
                "convert it: ALTER TABLE ... ENGINE=InnoDB;",
            )
        if schema.versioned:
            add(
                Level.ERROR,
                "versioned",
                "it has system versioning: its past cannot be carried over",
                "leave the table out, or ALTER TABLE ... DROP SYSTEM VERSIONING",
            )
        if not schema.key and schema.asked_key:
            add(
                Level.ERROR,
                "no_key",
                f"it has no unique key over exactly ({', '.join(schema.asked_key)}), all NOT NULL, as the configuration asks",
                "correct the table's key in the configuration, or add that unique key",
            )
        elif not schema.key:
            add(
                Level.ERROR,
                "no_key",
                "it has neither a primary key nor a unique key over NOT NULL columns: rows cannot be told apart",
                "add a primary key, or leave the table out",
            )
        keys = {key.lower() for key in schema.key}
        out = ignored.get(name, frozenset())
        for column in schema.columns:
            in_key = column.name.lower() in keys
            if column.name.lower() not in out:
                reason = unsupported(column, key=in_key)
                if reason:
                    add(Level.ERROR, "unsupported_column", reason, "leave the table out")
            elif in_key:
                add(
                    Level.ERROR,
                    "ignored_column",
                    f"column {column.name} is in the key and in ignore_columns",
                    "take it out of ignore_columns, or name another unique key",
                )
            elif target and not column.has_default:
                add(
                    Level.ERROR,
                    "ignored_column",
                    f"column {column.name} in ignore_columns is NOT NULL and has no default: no row could be inserted",
                    "give it a default, or take it out of ignore_columns",
                )
        if target and schema.triggers:
            add(
                Level.WARNING,
                "triggers",
                f"triggers fire on rows that are carried over: {', '.join(schema.triggers)}",
                "a trigger that changes such a row makes it differ again, and it is then held: drop the trigger here",
            )
        for key in schema.foreign_keys:
            if (
                not logs_cascades
                and key.parent not in schemas
                and {key.on_delete, key.on_update} & CASCADING
            ):
                add(
                    Level.WARNING,
                    "cascade",
                    f"what foreign key {key.name} changes by cascade is not in this server's log, and its parent "
                    f"{key.parent} is left out",
                    "take the parent table in; else rows changed by a cascade are found by verification only",
                )
    return found


def logs_cascades(flavor: Flavor, version: Version, *, native: bool) -> bool:
    """Say whether the server logs the children of a cascade; *native*: ``innodb_native_foreign_keys`` is on."""
    return flavor is Flavor.MYSQL and version >= LOGS_CASCADES and not native


def check_both(
    a: Schemas, b: Schemas, ignored: Ignored = NOTHING_IGNORED, *, ignore_extra: bool = False
) -> list[Finding]:
    """Check that the tables of both sides fit each other; for *ignore_extra* see ``compare``."""
    found = []

    def add(
        level: Level, side: Side | None, code: str, name: TableName, message: str, fix: str
    ) -> None:
        found.append(
            Finding(
                level=level,
                side=side,
                code=code,
                subject=str(name),
                message=f"table {name}: {message}",
                fix=fix,
            )
        )

    for name in sorted({*a, *b}):
        if name not in a or name not in b:
            side = Side.B if name in a else Side.A
            add(
                Level.ERROR,
                side,
                "table_missing",
                name,
                f"it does not exist on side {side}",
                f"create it on side {side}, or leave it out",
            )
            continue
        left_out = ignored.get(name, frozenset())
        for difference in compare(a[name], b[name], left_out, ignore_extra=ignore_extra):
            add(Level.ERROR, None, "schema_differs", name, difference, "make both sides alike")
        for made, words in other_expressions(a[name], b[name], left_out):
            add(
                Level.WARNING,
                None,
                "generated_differs",
                name,
                f"generated column {made} is {words}: rows for which the two differ are held",
                "give both the same expression, or put the column into ignore_columns",
            )
        for column, other in zip(a[name].key_columns, b[name].key_columns, strict=False):
            if column.collation != other.collation and column.data_type not in MEMBERS:
                add(
                    Level.WARNING,
                    None,
                    "key_collation",
                    name,
                    f"key column {column.name} is sorted by {column.collation} on side a and {other.collation} on side b: "
                    "rows whose keys are equal on one side only are held (unique_violation)",
                    "give both the same collation where there is one",
                )
    return found
