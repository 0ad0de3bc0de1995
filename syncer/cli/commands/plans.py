"""``syncer conflicts export`` and ``apply``: held conflicts by way of a plan file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from syncer.cli import answers, journal, options, output, text
from syncer.cli.answers import GONE
from syncer.cli.commands.conflicts import (
    group,
    open_ledger,
    open_with_groups,
    selector_options,
)
from syncer.cli.commands.status import config_option
from syncer.cli.shape import Command
from syncer.errors import ConfigError, ExitCode

__all__ = ["group"]


@group.command(
    "export",
    cls=Command,
    examples="""
syncer conflicts export -o plan.toml
syncer conflicts export --table 'shop.*' --where "kind:update_*" -o plan.toml
""",
    exits={
        0: "written",
        2: "usage or configuration; a file that is there is not overwritten",
        5: "the ledger cannot be read",
    },
    short_help="Write held conflicts to a plan file, to be edited and applied.",
)
@selector_options
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, for its owner alone.  [default: stdout]",
)
@config_option
@options.ledger_option
@options.output_options
def export_command(**given: Any) -> int:
    """
    Write the held conflicts that the selectors match to a plan file (TOML), each on hold, with what differs as comments.

    Edit it (take = "a", "b", "newest", "merge" or "hold", per conflict, by rule or by default), then: syncer conflicts apply FILE.
    """
    from syncer.clock import SystemClock
    from syncer.ledger import planfile

    now = SystemClock().now()
    matches = journal.selectors(given, now)
    with open_ledger(given) as ledger:
        records = journal.select(ledger, "open", matches)[::-1]
        pair = ledger.summary().pair_id
        said = ledger.answers()
    waits = {number: answers.words(one.wanted) for number, one in said.items()}
    plan = planfile.render(records, pair, now, waits)
    target = given["target"]
    if given["as_json"] and target is None:
        raise click.UsageError("--json goes with --output")
    if target is None:
        sys.stdout.write(plan)
        return int(ExitCode.OK)
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{target}: it is there and is not overwritten") from None
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(plan)
    except OSError as error:
        target.unlink()  # part of a plan is none
        raise ConfigError(f"{target}: {error.strerror}") from None
    if given["as_json"]:
        numbers = [record.conflict_id for record in records]
        output.document("conflicts export", {"path": str(target), "conflicts": numbers})
    else:
        output.out().print(f"{target}: {text.plural(len(records), 'conflict')}", markup=False)
    return int(ExitCode.OK)


@group.command(
    "apply",
    cls=Command,
    examples="""
syncer conflicts apply plan.toml --dry-run
syncer conflicts apply plan.toml
""",
    exits={
        0: "asked; a running syncer does it within a second, else the next `syncer run`",
        1: "some were left: changed or decided since they were exported",
        2: "usage or configuration, or the plan cannot be read: nothing was asked",
        5: "the ledger cannot be written",
    },
    short_help="Carry a plan file out.",
)
@click.argument(
    "plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A plan, as `conflicts export` writes it.",
)
@click.option(
    "--dry-run", is_flag=True, help="Show what would be asked, or withdrawn; nothing is written."
)
@config_option
@options.ledger_option
@options.output_options
def apply_command(**given: Any) -> int:
    """
    Carry a plan file out: what it takes is asked for, what it holds stays held, and an answer that waits there is withdrawn.

    A conflict that is no longer what was exported is left and named. A plan that cannot be read is refused whole.
    """
    from syncer.clock import SystemClock
    from syncer.ledger import planfile

    name, now = given["plan"], SystemClock().now()
    try:
        written = name.read_text("utf-8", errors="surrogateescape")
        plan, rules = planfile.parse(written, now)
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror}") from None
    except planfile.PlanError as error:
        raise ConfigError(f"{name}: {error}") from None
    opened, groups = open_with_groups(given)
    with opened as ledger:
        pair, path = ledger.summary().pair_id, ledger.path
        if plan.pair != pair:
            raise ConfigError(
                f"{name}: it is a plan of pair {plan.pair!r}, the ledger is of {pair!r}"
            )
        found = planfile.decide(plan, rules, ledger.conflict, groups)
    left, held = dict(found.left), [record.conflict_id for record in found.held]
    said = answers.ask_for(path, found.takes, now, withdrawn=held, dry_run=given["dry_run"])
    left |= dict.fromkeys(sorted(said.left), GONE)
    takes = [one for one in found.takes if one[0].conflict_id not in said.left]
    if given["as_json"]:
        document = {
            "dry_run": given["dry_run"],
            "taken": answers.taken(takes, said.replaced),
            "held": held,
            "withdrawn": [number for number in held if number in said.replaced],
            "left": [{"conflict_id": n, "reason": why} for n, why in left.items()],
        }
        output.document("conflicts apply", document)
    else:
        answers.print_asked(takes, (), said.replaced, dry_run=given["dry_run"])
        answers.print_withdrawn(found.held, said.replaced, dry_run=given["dry_run"])
        journal.print_left(left, len(held))
    return int(ExitCode.DIFFERENT if left else ExitCode.OK)
