"""
The linter: which cells of the table of conflicts a policy leaves open, and which rules depend on when they are asked. Pure.

A cell is a kind of conflict together with what a rule may find there: equal values, a NULL, a deleted row, nothing to choose by.
A policy with an open cell does not load. Source: conflicts.md §3, §4, §6.
"""

from __future__ import annotations

import enum

from syncer.core.policy import OnFk, OnTruncate, Policy
from syncer.core.rules import Rule, RuleKind
from syncer.core.schema import Column, TableSchema, counter_range
from syncer.core.side import Direction

_NUMBERS = frozenset(
    {"tinyint", "smallint", "mediumint", "int", "bigint", "year", "decimal", "float", "double"}
)
_TIMES = frozenset({"date", "datetime", "timestamp"})
COMPARABLE = _NUMBERS | _TIMES
"""Types whose values compare alike on any server."""
TESTABLE = frozenset(
    {"char", "varchar", "tinytext", "text", "enum", "set"} | _NUMBERS - {"float", "double"}
)
"""Types whose values have one text on any server."""


class Cell(enum.Enum):
    """A kind of conflict as far as rules tell them apart."""

    INSERT_INSERT = "insert_insert"
    UPDATE_UPDATE = "update_update"
    UPDATE_DELETE = "update_delete"
    RECREATE_UPDATE = "recreate against update"
    RECREATE_DELETE = "recreate against delete"
    RECREATE_RECREATE = "recreate on both sides"
    DRIFT = "drift of two rows"
    KEY_CHANGE_DIVERGENT = "key_change_divergent"
    KEY_CHANGE_COLLISION = "key_change_collision"

    @property
    def absent(self) -> bool:
        """One side has no row."""
        return self in {Cell.UPDATE_DELETE, Cell.RECREATE_DELETE}

    @property
    def two_rows(self) -> bool:
        """Both sides have a row, and these are no versions of one key's row."""
        return self in {
            *(Cell.INSERT_INSERT, Cell.RECREATE_RECREATE, Cell.DRIFT),
            *(Cell.KEY_CHANGE_DIVERGENT, Cell.KEY_CHANGE_COLLISION),
        }


class Open(enum.Enum):
    """What a rule may leave open."""

    ON_DELETE = "has nothing to look at in a deleted row"
    ON_TIE = "leaves equal values open"
    ON_NULL = "can meet a NULL"
    BEHIND = "leaves rows open"


_REMEDIES = {
    Open.ON_DELETE: "set on_delete to update_wins, delete_wins or hold",
    Open.ON_TIE: "set on_tie to a, b or hold",
    Open.ON_NULL: "set on_null to lose or hold",
}


def left_open(rule: Rule, cell: Cell, policy: Policy, *, nullable: bool) -> set[Open]:
    """Say what *rule* may leave to the next one in *cell*; empty where it decides whatever it finds."""
    kind = rule.kind
    if kind.total:
        return set()
    if kind is RuleKind.CUSTOM:
        return {Open.BEHIND}
    if cell.absent:
        if kind in {RuleKind.UPDATE_WINS, RuleKind.DELETE_WINS} or policy.on_delete is not None:
            return set()
        if kind.temporal and rule.column is None:
            return {Open.ON_TIE} if policy.on_tie is None else set()
        return {Open.ON_DELETE}
    if kind.merges:
        return {Open.BEHIND}
    if kind is RuleKind.KEEP_BOTH:
        return set() if cell.two_rows else {Open.BEHIND}
    one_new = cell is Cell.RECREATE_UPDATE
    if kind in {RuleKind.UPDATE_WINS, RuleKind.DELETE_WINS}:
        return set() if one_new else {Open.BEHIND}
    if kind.tests:
        return {Open.BEHIND}
    if one_new:
        return set()
    found = set()
    if policy.on_tie is None:
        found.add(Open.ON_TIE)
    if nullable and policy.on_null is None and rule.column is not None:
        found.add(Open.ON_NULL)
    return found


def holes(policy: Policy, schema: TableSchema | None = None) -> list[str]:
    """
    Name every reachable cell that *policy* leaves open; empty where it is total.

    Without *schema* only what is certain from the policy alone is named; with it, a nullable column asks for on_null. Commit
    times that are not known, and zero dates in a column that cannot be NULL, are held where no rule follows.
    """
    if schema is not None:
        wrong = [text for rule in policy.chain for text in _misfit(rule, schema)]
        if wrong:  # One-way too: the columns are read whoever decides.
            return wrong
    if policy.direction is not Direction.BOTH:
        return []
    found: dict[tuple[Rule, Open], list[Cell]] = {}
    for cell in Cell:
        for at, rule in enumerate(policy.chain):
            opened = left_open(rule, cell, policy, nullable=_nullable(rule, schema))
            if not opened:
                break
            if at == len(policy.chain) - 1:
                for what in opened:
                    found.setdefault((rule, what), []).append(cell)
    order = list(Open)
    return [
        _hole(rule, what, cells)
        for (rule, what), cells in sorted(found.items(), key=lambda one: order.index(one[0][1]))
    ]


def _hole(rule: Rule, what: Open, cells: list[Cell]) -> str:
    where = ", ".join(cell.value for cell in cells)
    remedy = _REMEDIES.get(what, f"add a rule behind it, as in '{rule} then hold'")
    return f"rule {rule} {what.value} ({where}): {remedy}"


def _nullable(rule: Rule, schema: TableSchema | None) -> bool:
    return schema is not None and rule.column is not None and schema.column(rule.column).nullable


def _misfit(rule: Rule, schema: TableSchema) -> list[str]:
    """What *rule* asks for and *schema* does not have."""
    if rule.kind is RuleKind.KEEP_BOTH:
        return _no_new_key(rule, schema)
    if rule.kind.merges:
        return [
            text
            for group in rule.groups
            for name in group
            for text in _unmerged(rule, name, schema)
        ]
    if rule.column is None:
        return []
    try:
        column = schema.column(rule.column)
    except KeyError:
        return [f"rule {rule}: table {schema.name} has no column {rule.column!r}"]
    what = f"rule {rule}: {schema.name}.{column.name} is {column.data_type}"
    if rule.kind.compares and column.data_type not in COMPARABLE:
        return [f"{what}: name a column of numbers or of dates"]
    if rule.kind.tests and not _testable(column):
        return [f"{what}: name a column of short text, of whole numbers or of decimals"]
    return []


def _unmerged(rule: Rule, name: str, schema: TableSchema) -> list[str]:
    """Say why a merging rule cannot have a column."""
    try:
        column = schema.column(name)
    except KeyError:
        return [f"rule {rule}: table {schema.name} has no column {name!r}"]
    what = f"rule {rule}: {schema.name}.{column.name}"
    if column in schema.key_columns:
        return [f"{what} is part of the key: leave it out"]
    if column.generated:
        return [f"{what} is generated: leave it out"]
    if rule.kind is RuleKind.DELTA and counter_range(column) is None:
        return [f"{what} is {column.data_type}: name a column of whole numbers or of decimals"]
    if rule.kind in {RuleKind.MAX, RuleKind.MIN} and column.data_type not in COMPARABLE:
        return [f"{what} is {column.data_type}: name a column of numbers or of dates"]
    return []


def _testable(column: Column) -> bool:
    return column.data_type in TESTABLE and not column.raw_text


def _no_new_key(rule: Rule, schema: TableSchema) -> list[str]:
    if len(schema.key) == 1 and schema.key_columns[0].auto_increment:
        return []
    return [
        f"rule {rule}: {schema.name} makes no keys of its own: it needs one AUTO_INCREMENT column as its key"
    ]


_BY_TIME = {
    RuleKind.OLDEST: "the older change wins until it is carried over",
    RuleKind.LOWEST_VERSION: "the smaller version wins until it is carried over",
    RuleKind.PREFER: "the other side's changes win where they are carried over in between",
    RuleKind.UPDATE_WINS: "it takes effect only where both changes meet in one comparison",
    RuleKind.DELETE_WINS: "it takes effect only where both changes meet in one comparison",
    RuleKind.EQUALS: "the other row wins where it is carried over in between",
    RuleKind.MATCHES: "the other row wins where it is carried over in between",
    RuleKind.CUSTOM: "nothing is known of the function",
    RuleKind.KEEP_BOTH: "rows that meet in turn get other keys",
    RuleKind.COLUMN_MERGE: "a column that both sides changed is found only where both changes meet in one comparison",
    RuleKind.DELTA: "where a value is set instead of being added to; additions alone end alike",
}


def depends_on_timing(policy: Policy) -> list[str]:
    """
    Name what may end otherwise where the same changes are compared earlier or later; empty where nothing does.

    Source: conflicts.md §6.
    """
    if policy.direction is not Direction.BOTH:
        return []
    found = [f"{rule}: {_BY_TIME[rule.kind]}" for rule in policy.chain if rule.kind in _BY_TIME]
    if policy.on_truncate is not OnTruncate.CHANGE_WINS:
        found.append(f"on_truncate={policy.on_truncate}: {_BY_TIME[RuleKind.UPDATE_WINS]}")
    if policy.on_fk not in {None, OnFk.HOLD}:
        found.append(
            f"on_fk={policy.on_fk}: it takes effect only where a child and the delete of its parent cross"
        )
    if policy.needs_base:
        found += [
            f"{rule}: a change that leaves {rule.column} as it was is noticed only where both changes meet in one comparison"
            for rule in policy.chain
            if rule.kind.compares and rule.column is not None
        ]
    decides = any(r.kind.compares or r.kind.tests or r.kind.merges for r in policy.chain)
    if decides and policy.on_delete not in {None, "hold"}:
        found.append(f"on_delete={policy.on_delete}: {_BY_TIME[RuleKind.UPDATE_WINS]}")
    if decides and policy.on_tie not in {None, "hold"}:
        found.append(f"on_tie={policy.on_tie}: ties are not transitive")
    return found
