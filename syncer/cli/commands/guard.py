"""``syncer guard list`` and ``confirm``: tables that a mass guard has stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from syncer.cli import options, output, text
from syncer.cli.commands.status import config_option
from syncer.cli.shape import Command, Group
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from syncer.core.guard import Stop
    from syncer.ledger import Ledger


@click.group(
    "guard",
    cls=Group,
    examples="""
syncer guard list
syncer guard confirm shop.orders --dry-run
syncer guard confirm shop.orders
""",
    short_help="Look at tables that a mass guard has stopped, and let them go on once.",
)
def group() -> None:
    """
    Look at tables that a mass guard has stopped ([guard] in the configuration), and let them go on once.

    Only the ledger is touched: it works beside a running syncer and while no server answers.
    """


def _open(given: dict[str, Any]) -> Ledger:
    config = options.load(given, need_pair=False, log_in=False)
    from syncer.clock import SystemClock
    from syncer.ledger import Ledger

    return Ledger.open(
        config.ledger, pair_id=None, identity={}, clock=SystemClock(), read_only=True
    )


def _stopped(ledger: Ledger) -> dict[str, Stop]:
    names = ledger.tables()
    return {str(names[number]): stop for number, stop in ledger.stops().items()}


def _plain(stopped: Mapping[str, Stop]) -> list[dict[str, Any]]:
    return [
        {
            "table": table,
            "side": stop.target.value,
            "op": stop.op.name.lower(),
            "amount": stop.amount,
            "reason": stop.reason,
            "since": stop.since,
            "left": stop.left,
        }
        for table, stop in stopped.items()
    ]


@group.command(
    "list",
    cls=Command,
    examples="""
syncer guard list
syncer guard list --json | jq -r '.stopped[].table'
""",
    exits={
        0: "no table is stopped",
        2: "usage or configuration",
        5: "a table is stopped: a person decides; or the ledger cannot be read",
    },
    short_help="List stopped tables, longest stopped first.",
)
@config_option
@options.ledger_option
@options.output_options
def list_command(**given: Any) -> int:
    """List the tables that a mass guard has stopped, and those that were let go on and are not through yet."""
    with _open(given) as ledger:
        stopped = _stopped(ledger)
    if given["as_json"]:
        output.document("guard list", {"stopped": _plain(stopped)})
    else:
        _print(stopped)
    waiting = any(not stop.confirmed for stop in stopped.values())
    return int(ExitCode.OPERATOR if waiting else ExitCode.OK)


def _print(stopped: Mapping[str, Stop]) -> None:
    console = output.out()
    if not stopped:
        console.print("no table is stopped")
    for table, stop in stopped.items():
        state = Text(" goes on", "green") if stop.confirmed else Text(" stopped", "bold yellow")
        console.print(
            Text.assemble(
                (table, "bold"),
                state,
                f"  before writing to side {stop.target}: {stop.reason}",
                (f"  since {text.moment(stop.since)}", "dim"),
                f"  {text.count(stop.left)} left" if stop.left is not None else "",
            )
        )


@group.command(
    "confirm",
    cls=Command,
    examples="""
syncer guard confirm shop.orders
syncer guard confirm shop.orders shop.items --dry-run
""",
    exits={
        0: "confirmed; a running syncer goes on within a second, else the next `syncer run`",
        2: "usage or configuration",
        5: "the ledger cannot be written, or a table is not stopped",
    },
    short_help="Let stopped tables go on, once.",
)
@click.argument("tables", metavar="TABLE...", nargs=-1, help="Tables as database.table.")
@click.option("--dry-run", is_flag=True, help="Show what would be let through.")
@config_option
@options.ledger_option
@options.output_options
def confirm_command(**given: Any) -> int:
    """
    Let stopped tables go on, once: what is waiting now is written, then the guard counts anew.

    Works beside a running syncer and without one. To undo the change instead, write the rows again where they were deleted.
    """
    from syncer.core.schema import TableName
    from syncer.ledger.stops import confirm

    names = list(dict.fromkeys(given["tables"]))
    if not names:
        raise click.UsageError("name at least one table (syncer guard list)")
    wrong = [name for name in names if name.count(".") < 1]
    if wrong:
        raise ConfigError(f"{wrong[0]!r} names no table: write database.table")
    with _open(given) as ledger:
        stopped = _stopped(ledger)
        path = ledger.path
    if not given["dry_run"]:
        confirm(path, [TableName(*name.split(".", 1)) for name in names])
    chosen = {name: stop for name, stop in stopped.items() if name in names}
    if given["as_json"]:
        document = {"dry_run": given["dry_run"], "confirmed": _plain(chosen)}
        output.document("guard confirm", document)
    else:
        console = output.out()
        for name, stop in chosen.items():
            console.print(
                f"{name}: {text.plural(stop.amount, f'{stop.op.name.lower()}')} "
                f"{'would go' if given['dry_run'] else 'go'} to side {stop.target}",
                markup=False,
            )
        if not given["dry_run"]:
            console.print(
                "a running syncer does it within a second, else the next `syncer run`", style="dim"
            )
    return int(ExitCode.OK)
