"""``syncer conflicts list``, ``show`` and ``resolve``: the journal of a ledger."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import click
import msgspec

from syncer.cli import journal, options, output
from syncer.cli.commands.status import config_option
from syncer.cli.shape import Command, Group
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from syncer.ledger import Ledger

STATUSES = ("open", "held", "pending", "applied", "superseded", "all")


@click.group(
    "conflicts",
    cls=Group,
    examples="""
syncer conflicts list
syncer conflicts list --status all --table 'shop.*' --limit 20
syncer conflicts show 42
syncer conflicts resolve 42 --take a
""",
    short_help="Look at the conflicts of the journal, and decide those that are held.",
)
def group() -> None:
    """
    Look at the conflicts of the journal, what both sides had and which rule chose, and decide those that are held.

    Only the ledger is touched: it works beside a running syncer and while no server answers.
    """


def _open(given: dict[str, Any]) -> Ledger:
    config = options.load(given, need_pair=False, log_in=False)
    from syncer.clock import SystemClock
    from syncer.ledger import Ledger

    return Ledger.open(
        config.ledger, pair_id=None, identity={}, clock=SystemClock(), read_only=True
    )


@group.command(
    "list",
    cls=Command,
    examples="""
syncer conflicts list
syncer conflicts list --status applied --table 'shop.*' --json
""",
    exits={
        0: "no conflict is open",
        1: "conflicts are open",
        2: "usage or configuration",
        5: "the ledger cannot be read",
    },
    short_help="List conflicts, newest first.",
)
@config_option
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    default="open",
    show_default=True,
    help="Which conflicts; open: those that wait for a person.",
)
@click.option("--table", "table", metavar="GLOB", help="Only of these tables.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many."
)
@options.ledger_option
@options.output_options
def list_command(**given: Any) -> int:
    """List the conflicts of the journal, newest first."""
    with _open(given) as ledger:
        records = journal.select(ledger, given["status"], given["table"], given["limit"])
        open_ = journal.count_open(ledger)
    if given["as_json"]:
        listed = [output.builtins(record) for record in records]
        output.document("conflicts list", {"open": open_, "conflicts": listed})
    else:
        journal.print_list(records, open_, given["status"])
    return int(ExitCode.DIFFERENT if open_ else ExitCode.OK)


@group.command(
    "show",
    cls=Command,
    examples="""
syncer conflicts show 42
syncer conflicts show 42 --json | jq .entry.a_image
""",
    exits={0: "shown", 2: "usage, or no such conflict", 5: "the ledger cannot be read"},
    short_help="Show one conflict with both rows, column by column.",
)
@click.argument(
    "conflict_id", type=click.IntRange(min=1), metavar="ID", help="Number from the list."
)
@config_option
@options.ledger_option
@options.output_options
def show_command(**given: Any) -> int:
    """Show one conflict with both rows, column by column; the values are SQL literals."""
    with _open(given) as ledger:
        record = ledger.conflict(given["conflict_id"])
    if record is None:
        raise ConfigError(
            f"no conflict {given['conflict_id']} in the journal (syncer conflicts list)"
        )
    if given["as_json"]:
        output.document("conflicts show", msgspec.structs.asdict(record))
    else:
        journal.print_record(record)
    return int(ExitCode.OK)


@group.command(
    "resolve",
    cls=Command,
    examples="""
syncer conflicts resolve 42 --take a
syncer conflicts resolve 42 43 44 --take b --dry-run
""",
    exits={
        0: "asked; a running syncer does it within a second, else the next `syncer run`",
        2: "usage or configuration",
        5: "the ledger cannot be written, or a conflict is not held",
    },
    short_help="Let one side's row win a held conflict.",
)
@click.argument(
    "numbers", type=click.IntRange(min=1), metavar="ID...", nargs=-1, help="Numbers from the list."
)
@click.option(
    "--take",
    type=click.Choice(["a", "b"]),
    required=True,
    help="The side whose row, or whose absence, goes to the other side.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be asked.")
@config_option
@options.ledger_option
@options.output_options
def resolve_command(**given: Any) -> int:
    """
    Let one side's row win a held conflict; works beside a running syncer and without one.

    It is carried out only if both rows still are what the journal shows: otherwise the conflict is held anew, to be looked at
    again. The journal keeps the losing row.
    """
    from syncer.clock import SystemClock
    from syncer.core.side import Side
    from syncer.ledger.requests import Resolution, ask

    numbers = given["numbers"]
    if not numbers:
        raise click.UsageError("name at least one conflict (syncer conflicts list)")
    take = Side(given["take"])
    with _open(given) as ledger:
        found = [ledger.conflict(number) for number in numbers]
        path = ledger.path
    missing = [number for number, record in zip(numbers, found, strict=True) if record is None]
    if missing:
        raise ConfigError(f"no conflict {missing[0]} in the journal (syncer conflicts list)")
    records = [record for record in found if record is not None]
    if not given["dry_run"]:
        answer = Resolution(take=take, actor=getpass.getuser(), asked_at=SystemClock().now())
        ask(path, numbers, answer)
    if given["as_json"]:
        asked = {"take": take.value, "dry_run": given["dry_run"], "conflicts": list(numbers)}
        output.document("conflicts resolve", asked)
    else:
        journal.print_asked(records, take, dry_run=given["dry_run"])
    return int(ExitCode.OK)
