"""``syncer run``."""

from __future__ import annotations

from typing import Any

import click

from syncer.cli import display, options, output, signals
from syncer.cli.shape import Command
from syncer.core.side import Side


@click.command(
    "run",
    cls=Command,
    examples="""
syncer run -c syncer.toml
syncer run mysql://syncer@db1 mysql://syncer@db2 --tables 'shop.*' \\
    --rule newest:updated_at --on-delete update_wins --on-tie a
syncer run -c syncer.toml --until-in-sync --json
syncer run -c syncer.toml --direction a-to-b --dry-run
""",
    exits={
        0: "ended in sync, or as asked",
        1: "an open conflict or a paused table remains, a dry run plans a change, or it was stopped before the end that was asked for",
        2: "usage or configuration",
        3: "preflight refuses the pair",
        4: "failed, safe to run again",
        5: "an operator must decide",
        130: "interrupted twice",
    },
    short_help="Compare once where needed, then keep both sides equal.",
)
@options.pair_options
@click.option(
    "--until-in-sync",
    is_flag=True,
    help="End when both sides are proven equal up to positions read now.",
)
@click.option(
    "--once",
    is_flag=True,
    help="One pass: what is dirty at the start and what the streams hold by then, then end.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Decide and print, write nothing to the primaries nor to the ledger.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="End in an orderly way after this time.",
)
@click.option(
    "--accept-loss",
    type=click.Choice(["a", "b"]),
    multiple=True,
    help="The server of this side lacks what was read from it (a restored backup, a failover that lost transactions): "
    "compare every table and hold what differs without history.",
)
@options.pair_name_option
@options.selection_options
@options.policy_options
@options.chunk_options
@options.throttle_options
@options.heartbeat_option
@options.ledger_option
@options.output_options
def command(**given: Any) -> int:
    """
    Keep both sides equal.

    A table that the ledger does not know yet is compared whole; after that only what the streams name is read again. The
    first SIGINT or SIGTERM ends the batch in hand and saves, the second ends at once; nothing is lost by either.
    """
    if given["once"] and given["until_in_sync"]:
        raise click.UsageError("--once and --until-in-sync exclude each other")
    config = options.load(given)
    from syncer.service.app import run
    from syncer.service.run import RunOptions

    asked = RunOptions(
        until_in_sync=given["until_in_sync"],
        once=given["once"],
        dry_run=given["dry_run"],
        duration_s=given["duration"],
        accept_loss=tuple(Side(side) for side in given["accept_loss"]),
    )
    silent = given["quiet"] or given["as_json"]
    with (
        signals.draining(notice=not display.live_wanted(silent=silent)) as stop,
        display.watching(config, stop, silent=silent) as observer,
    ):
        report = run(config, asked, observer, stop)
    if given["as_json"]:
        output.document("run", report)
    else:
        output.run_report(report, dry_run=given["dry_run"])
    return report.exit_code
