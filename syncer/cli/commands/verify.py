"""``syncer verify``."""

from __future__ import annotations

from typing import Any

import click

from syncer.cli import display, options, output, signals
from syncer.cli.shape import Command
from syncer.errors import ExitCode


@click.command(
    "verify",
    cls=Command,
    examples="""
syncer verify -c syncer.toml
syncer verify mysql://syncer@db1 mysql://syncer@db2 --tables 'shop.*' --json
syncer verify -c syncer.toml --max-load Threads_running=10 --max-rows-per-second 50000
""",
    exits={
        0: "equal",
        1: "a difference was found, or a table was left out",
        2: "usage or configuration",
        3: "preflight refuses the pair",
        4: "failed, safe to run again",
        130: "interrupted: not everything was compared",
    },
    short_help="Compare every selected row on both sides, read-only.",
)
@options.pair_options
@options.selection_options
@options.policy_options
@options.chunk_options
@options.throttle_options
@options.ledger_option
@options.output_options
def command(**given: Any) -> int:
    """
    Compare both sides whole while they are written to; write nothing.

    A row that is being changed is looked at again before it counts as different. It gives way as whole-table comparisons of a run do.
    """
    config = options.load(given)
    from syncer.service.app import verify

    silent = given["quiet"] or given["as_json"]
    with (
        signals.draining(notice=not display.live_wanted(silent=silent)) as stop,
        display.watching(config, stop, silent=silent) as observer,
    ):
        report = verify(config, observer, stop)
    if given["as_json"]:
        output.document("verify", report, equal=report.equal)
    else:
        output.verify_report(report)
    return int(ExitCode.OK if report.equal else ExitCode.DIFFERENT)
