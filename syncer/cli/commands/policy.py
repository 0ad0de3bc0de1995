"""``syncer policy explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

from syncer.cli import options, output
from syncer.cli.commands.status import config_option
from syncer.cli.masking import masked
from syncer.cli.shape import Command, Group
from syncer.core.explain import explain
from syncer.core.lint import depends_on_timing
from syncer.core.rules import show_chain
from syncer.core.schema import TableName
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from syncer.core.policy import Policy

_MODIFIERS = (
    *("on_delete", "on_tie", "on_null", "presence", "on_truncate", "on_fk", "base", "direction"),
)


@click.group(
    "policy",
    cls=Group,
    examples="""
syncer policy explain shop.orders -c syncer.toml
""",
    short_help="Say what becomes of conflicts.",
)
def group() -> None:
    """Say what becomes of conflicts."""


@group.command(
    "explain",
    cls=Command,
    examples="""
syncer policy explain shop.orders
syncer policy explain shop.orders --rule 'newest:updated_at then hold'
syncer policy explain shop.orders --json | jq '.outcomes[].outcome'
""",
    exits={0: "printed", 2: "the policy cannot be used, and why"},
    short_help="Print the outcome of every kind of conflict in a table.",
)
@click.argument("table", help="Table as database.table; it need not exist.")
@config_option
@options.policy_options
@options.output_options
def explain_command(table: str, **given: Any) -> int:
    """
    Print, in words, what becomes of every kind of conflict in TABLE (database.table).

    No server is asked; whether the columns exist, and can be NULL, is seen when a run starts.
    """
    database, dot, name = table.partition(".")
    if not dot or not database or not name or masked(table, [table]) != table:
        raise ConfigError(f"{table!r} is no table: name it as database.table")
    config = options.load(given, need_pair=False, log_in=False)
    policy = config.policy_for(TableName(database, name))
    outcomes, labels = explain(policy), depends_on_timing(policy)
    if given["as_json"]:
        output.document(
            "policy explain",
            {
                "table": table,
                "rules": [str(rule) for rule in policy.chain],
                "modifiers": _modifiers(policy),
                "outcomes": list(outcomes),
                "depends_on_timing": labels,
            },
        )
        return int(ExitCode.OK)
    console = output.out(folds=True)
    said = [f"{key} = {value}" for key, value in _modifiers(policy).items() if value is not None]
    # As Text: a rule may hold what the console would take for markup or an emoji.
    console.print(Text(f"{table}: {show_chain(policy.chain)}   ({', '.join(said)})"))
    lines = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    longest = max(len(word) for one in outcomes for word in f"{', '.join(one.kinds)},".split())
    lines.add_column("conflict", overflow="fold", min_width=longest)
    for title in ("found", "on both sides", "by"):
        lines.add_column(title, overflow="fold")
    shown: tuple[str, ...] = ()
    for one in outcomes:
        kinds = "" if one.kinds == shown else ", ".join(one.kinds)
        shown = one.kinds
        lines.add_row(*map(Text, (kinds, one.when or "-", one.outcome, one.rule)))
    console.print(lines)
    console.print(
        "What a target refuses for any other reason, and what a guard withholds, is held whatever the rule."
    )
    for label in labels:
        console.print(Text(f"depends on when changes are compared: {label}"))
    return int(ExitCode.OK)


def _modifiers(policy: Policy) -> dict[str, str | None]:
    values = {key: getattr(policy, key) for key in _MODIFIERS}
    return {key: None if value is None else str(value) for key, value in values.items()}
