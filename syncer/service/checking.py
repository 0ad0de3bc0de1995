"""The preflight of a configured pair: the servers' findings, and tables that one side lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from syncer.config import Config
from syncer.core.cascade import CASCADING
from syncer.core.schema import SchemaDifference, TableName, TableSchema
from syncer.core.side import SIDES, Direction, Side
from syncer.errors import ConfigError, PreflightError
from syncer.mysql.compatibility import compare, other_key
from syncer.mysql.connection import Session
from syncer.mysql.load import load_of
from syncer.mysql.preflight import Finding, Level, check_pair
from syncer.mysql.table_checks import check_both, check_tables
from syncer.service.customs import CustomRules
from syncer.service.tables import Selection, pair_table
from syncer.service.throttle import CORRECT_LOAD, NO_LOAD, unknown_loads

ABOUT_A_TABLE = frozenset(
    {
        "engine",
        "no_key",
        "unsupported_column",
        "ignored_column",
        "table_missing",
        "schema_differs",
        "filter",
    }
)
"""Codes of findings that concern one table alone: it may wait while the others flow."""


def find(config: Config, sessions: Mapping[Side, Session], selection: Selection) -> list[Finding]:
    """Examine the pair; errors first."""
    both = selection.on_both
    schemas = {side: {name: selection.schemas[side][name] for name in both} for side in SIDES}
    directions = {config.policy_for(name).direction for name in both}
    direction = directions.pop() if len(directions) == 1 else Direction.BOTH
    found = check_pair(
        sessions[Side.A],
        sessions[Side.B],
        schemas[Side.A],
        schemas[Side.B],
        direction=direction,
        ignored={name: _ignored(config, name) for name in both},
        beats=beating_sides(config, (config.policy_for(name).direction for name in both)),
        ignore_extra=ignores_extra(config),
    )
    found += _missing(config, selection) + _loads(config, sessions)
    for name in both:
        for words in _unsound_filter(config, *(schemas[side][name] for side in SIDES)):
            fix = "take the filter from this table, or leave the table out"
            found.append(
                Finding(
                    level=Level.ERROR,
                    side=None,
                    code="filter",
                    subject=str(name),
                    message=f"table {name}: {words}",
                    fix=fix,
                )
            )
    order = list(Level)
    return sorted(found, key=lambda finding: order.index(finding.level))


def beating_sides(config: Config, directions: Iterable[Direction]) -> set[Side]:
    """The sides that heartbeats are written to: a source, which no table is written to, only where that is asked for."""
    asked = config.heartbeat
    if not asked.interval_s:
        return set()
    return set(SIDES) if asked.source else {s for d in directions for s in d.targets}


def _missing(config: Config, selection: Selection) -> list[Finding]:
    """A table asked for by name is an error; one that only matched a pattern is left out and said so."""
    explicit = set(config.explicit_tables())
    return [
        Finding(
            level=Level.ERROR if name in explicit else Level.WARNING,
            side=side,
            code="table_missing",
            subject=str(name),
            message=f"the table {name} exists on side {side.other} only{_called(config, name, side)}"
            + ("" if name in explicit else " and waits until it is on both"),
            fix="create it here, or leave it out with --ignore-tables",
        )
        for name in selection.names
        for side in SIDES
        if name not in selection.schemas[side]
    ]


def _loads(config: Config, sessions: Mapping[Side, Session]) -> list[Finding]:
    """A limit for a load that a server does not have would never hold anything up."""
    limits = config.throttle.loads()
    return [
        Finding(
            level=Level.ERROR,
            side=side,
            code="max_load",
            subject=name,
            message=f"max_load names {name}, {NO_LOAD}",
            fix=CORRECT_LOAD,
        )
        for side in SIDES
        if limits
        for name in unknown_loads(limits, load_of(sessions[side], limits))
    ]


def absent(config: Config, name: TableName, side: Side) -> str:
    """Say that a table does not exist on *side*, and what it would be called there."""
    return f"it does not exist on side {side}{_called(config, name, side)}"


def _called(config: Config, name: TableName, side: Side) -> str:
    place = config.names.on(side).there(name)
    return "" if place == name else f" (its name there would be {place})"


def refuse_errors(
    config: Config,
    sessions: Mapping[Side, Session],
    selection: Selection,
    known: Collection[TableName] = (),
) -> list[Finding]:
    """
    Return what does not stop the run. Raises PreflightError, one line that names every error with its fix.

    *known* are tables that were kept equal before: where a difference of theirs only makes them wait it is a warning.
    """
    waits = {str(name) for name in known}
    if config.sync.schema_difference is SchemaDifference.STOP:
        waits = set()
    found = find(config, sessions, selection)
    errors = [
        finding
        for finding in found
        if finding.level is Level.ERROR
        and not (finding.subject in waits and finding.code in ABOUT_A_TABLE)
    ]
    if errors:
        refused = PreflightError(
            "; ".join(str(finding).removeprefix("error: ") for finding in errors)
        )
        refused.findings = tuple(errors)
        raise refused
    return [finding for finding in found if finding.level is Level.WARNING]


def find_all(
    config: Config, sessions: Mapping[Side, Session], selection: Selection
) -> list[Finding]:
    """Add to what ``find`` finds the policies that a run refuses, in its words; errors first."""
    paired, found = [], []
    for name in selection.on_both:
        a, b = (selection.schemas[side][name] for side in SIDES)
        if misfits(config, a, b):
            continue
        try:
            paired.append(pair_table(config, 0, a, b, mixed=selection.mixed))
        except ConfigError as error:
            found.append(_of_policy(str(name), error))
    customs = CustomRules()
    try:
        customs.load(paired)
    except ConfigError as error:
        found.append(_of_policy("policy", error))
    finally:
        customs.close()
    order = list(Level)
    found += find(config, sessions, selection)
    return sorted(found, key=lambda finding: order.index(finding.level))


def _of_policy(subject: str, error: ConfigError) -> Finding:
    return Finding(
        level=Level.ERROR,
        side=None,
        code="policy",
        subject=subject,
        message=str(error),
        fix="correct the configuration: a run refuses it (exit code 2)",
    )


def problems(config: Config, a: TableSchema, b: TableSchema) -> list[str]:
    """Name in words what keeps one table from being kept equal; [] where nothing does."""
    name = a.name
    direction = config.policy_for(name).direction
    ignored = {name: _ignored(config, name)}
    found = check_both({name: a}, {name: b}, ignored, ignore_extra=ignores_extra(config))
    for side, schema in ((Side.A, a), (Side.B, b)):
        found += check_tables(
            side,
            {name: schema},
            target=side in direction.targets,
            logs_cascades=True,
            ignored=ignored,
        )
    words = [
        f"{f'side {one.side}: ' if one.side else ''}{one.message.removeprefix(f'table {name}: ')}"
        for one in found
        if one.level is Level.ERROR
    ]
    words += _unsound_filter(config, a, b)
    owner = config.names.on(Side.B).taken_by(name)
    if owner is not None:
        words.append(f"it and {owner} would both be {b.on_server} on side b: map one elsewhere")
    if not words:
        try:
            pair_table(config, 0, a, b, mixed=False)
        except ConfigError as error:
            words.append(str(error))
    return words


def misfits(config: Config, a: TableSchema, b: TableSchema) -> list[str]:
    """
    Name in words why rows of two tables cannot be called equal, whatever they hold; [] where nothing is in the way.

    What a run refuses or pauses for, but for the key: rows can be counted without one.
    """
    found = compare(a, b, _ignored(config, a.name), ignore_extra=ignores_extra(config))
    keys = other_key(a, b)
    return [words for words in found if words not in keys]


def _unsound_filter(config: Config, a: TableSchema, b: TableSchema) -> list[str]:
    """
    Name the foreign keys that a filter does not go with.

    A child that a cascade deleted has no event on some servers: that it is absent is told from a row that has just come into the
    filter by nothing (INV-6).
    """
    if not config.filter_for(a.name).text:
        return []
    keys = {key.name: key for schema in (a, b) for key in schema.foreign_keys}
    return [
        f"it has a filter (where), and foreign key {name} changes its rows by cascade: rows deleted so are not told from rows "
        "that enter the filter"
        for name, key in sorted(keys.items())
        if {key.on_delete, key.on_update} & CASCADING
    ]


def _ignored(config: Config, name: TableName) -> frozenset[str]:
    return frozenset(column.lower() for column in config.ignore_columns_for(name))


def ignores_extra(config: Config) -> bool:
    """Say whether columns of one side alone may be left out."""
    return config.sync.schema_difference is SchemaDifference.IGNORE_EXTRA
