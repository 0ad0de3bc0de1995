"""``syncer guard list``, ``confirm`` and ``reject``: tables that a mass guard has stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.text import Text

from syncer.cli import options, output, person, text
from syncer.cli.commands.status import config_option
from syncer.cli.shape import Command, Group
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from syncer.core.guard import Stop
    from syncer.core.schema import TableName
    from syncer.ledger import Ledger


@click.group(
    "guard",
    cls=Group,
    examples="""
syncer guard list
syncer guard confirm shop.orders --dry-run
syncer guard confirm shop.orders
syncer guard reject shop.orders
""",
    short_help="Look at tables that a mass guard has stopped; let them go on, or turn the change back.",
)
def group() -> None:
    """
    Look at tables that a mass guard has stopped ([guard] in the configuration), and let them go on once, or have the change turned back.

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
    """What is stopped, and what goes on and is not through yet: a run ends what is."""
    names = ledger.tables()
    found = {}
    for number, stop in ledger.stops().items():
        left = ledger.agreed(number) if stop.confirmed else None
        if left != 0:
            found[str(names[number])] = msgspec.structs.replace(stop, left=left)
    return found


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
    """List the tables that a mass guard has stopped, and those that go on or are turned back and are not through yet."""
    with _open(given) as ledger:
        stopped, rejected = _stopped(ledger), _rejected(ledger)
    if given["as_json"]:
        document = {"stopped": _plain(stopped), "rejected": rejected}
        output.document("guard list", document)
    else:
        _print(stopped, rejected)
    waiting = any(not stop.confirmed for stop in stopped.values())
    return int(ExitCode.OPERATOR if waiting else ExitCode.OK)


def _rejected(ledger: Ledger) -> list[dict[str, Any]]:
    """What is being turned back, and is not through: a run ends what is."""
    names = ledger.tables()
    found = [
        {
            "table": str(names[one.table_id]),
            "side": one.source.value,
            "op": one.op.name.lower(),
            "actor": one.actor,
            "since": one.since,
            "left": ledger.count_rejected(one, held=True),
        }
        for one in ledger.rejections()
    ]
    return [one for one in found if one["left"]]


def _print(stopped: Mapping[str, Stop], rejected: Sequence[Mapping[str, Any]] = ()) -> None:
    console = output.out()
    if not stopped and not rejected:
        console.print("no table is stopped")
    for one in rejected:
        console.print(
            Text.assemble(
                (one["table"], "bold"),
                (" is turned back", "cyan"),
                f"  {text.plural(one['left'], one['op'])} of side {one['side']} left",
                (f"  since {text.moment(one['since'])}", "dim"),
            )
        )
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

    Works beside a running syncer and without one. To have the change undone instead: `syncer guard reject`.
    """
    from syncer.ledger.stops import confirm

    names = _named(given)
    with _open(given) as ledger:
        stopped = _stopped(ledger)
        path = ledger.path
    if not given["dry_run"]:
        confirm(path, names)
    chosen = {str(name): stopped[str(name)] for name in names if str(name) in stopped}
    if given["as_json"]:
        document = {"dry_run": given["dry_run"], "confirmed": _plain(chosen)}
        output.document("guard confirm", document)
    else:
        would = "would go" if given["dry_run"] else "go"
        _say(chosen, f"{would} to side {{stop.target}}", dry_run=given["dry_run"])
    return int(ExitCode.OK)


@group.command(
    "reject",
    cls=Command,
    examples="""
syncer guard reject shop.orders --dry-run
syncer guard reject shop.orders shop.items
""",
    exits={
        0: "asked; a running syncer does it within a second, else the next `syncer run`",
        2: "usage or configuration, or a table goes one way",
        5: "the ledger cannot be written, or a table is not stopped",
    },
    short_help="Turn back what stopped tables: the other side's rows stand.",
)
@click.argument("tables", metavar="TABLE...", nargs=-1, help="Tables as database.table.")
@click.option("--dry-run", is_flag=True, help="Show what would be turned back.")
@config_option
@options.ledger_option
@options.output_options
def reject_command(**given: Any) -> int:
    """
    Turn back what stopped tables: of every row that was counted the side that was to be written keeps its own, and it is written back.

    Each row is guarded and journaled. What was changed after this command was given travels as ever. Works beside a running syncer and
    without one.
    """
    from syncer.ledger.stops import reject

    names = _named(given)
    config = options.load(given, need_pair=False, log_in=False)
    for name in names:
        source = config.policy_for(name).direction.source
        if source is not None:
            raise ConfigError(f"{name} goes one way: write the rows again on side {source}")
    with _open(given) as ledger:
        stopped = _stopped(ledger)
        path = ledger.path
    if not given["dry_run"]:
        reject(path, names, person.name())
    chosen = {str(name): stopped[str(name)] for name in names if str(name) in stopped}
    if given["as_json"]:
        document = {"dry_run": given["dry_run"], "rejected": _plain(chosen)}
        output.document("guard reject", document)
    else:
        would = "would be" if given["dry_run"] else "are"
        _say(chosen, f"{would} turned back on side {{stop.target.other}}", dry_run=given["dry_run"])
    return int(ExitCode.OK)


def _named(given: Mapping[str, Any]) -> list[TableName]:
    """Return the tables that a command names, each once."""
    from syncer.core.schema import TableName

    names = list(dict.fromkeys(given["tables"]))
    if not names:
        raise click.UsageError("name at least one table (syncer guard list)")
    wrong = [name for name in names if name.count(".") < 1]
    if wrong:
        raise ConfigError(f"{wrong[0]!r} names no table: write database.table")
    return [TableName(*name.split(".", 1)) for name in names]


def _say(chosen: Mapping[str, Stop], what: str, *, dry_run: bool) -> None:
    """Print what becomes of each stopped table, and when."""
    console = output.out()
    for name, stop in chosen.items():
        amount = text.plural(stop.amount, stop.op.name.lower())
        console.print(f"{name}: {amount} {what.format(stop=stop)}", markup=False)
    if not dry_run:
        console.print(
            "a running syncer does it within a second, else the next `syncer run`", style="dim"
        )
