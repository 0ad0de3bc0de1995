"""``syncer status``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from syncer.cli import options, output
from syncer.cli.shape import Command
from syncer.errors import ExitCode

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration file.  [default: ./syncer.toml if it is there]",
)


@click.command(
    "status",
    cls=Command,
    examples="""
syncer status
syncer status --ledger /var/lib/syncer/shop.db --json
""",
    exits={
        0: "no open conflict, no table waits",
        1: "conflicts are open, a table is paused or stopped by a guard, or a side was not heard when the run last looked",
        2: "usage or configuration",
        5: "the ledger cannot be read",
    },
    short_help="Show what the ledger knows, without asking a server.",
)
@config_option
@options.ledger_option
@options.output_options
def command(**given: Any) -> int:
    """
    Show positions, dirty keys, open conflicts and counters of a ledger.

    Only the ledger is read: it works beside a running syncer and while no server answers.
    """
    config = options.load(given, need_pair=False, log_in=False)
    from syncer.service.app import status

    report = status(config)
    if given["as_json"]:
        output.document("status", report)
    else:
        from syncer.cli import standing

        standing.print_status(report)
    held = any(n for status, n in report.summary.conflicts.items() if str(status) == "held")
    unheard = report.clocks is not None and report.clocks.unheard
    return int(ExitCode.DIFFERENT if held or report.paused or unheard else ExitCode.OK)
