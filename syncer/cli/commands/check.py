"""``syncer check``."""

from __future__ import annotations

from typing import Any

import click

from syncer.cli import options, output
from syncer.cli.shape import Command
from syncer.errors import ExitCode


@click.command(
    "check",
    cls=Command,
    examples="""
syncer check -c syncer.toml
syncer check mysql://syncer@db1 mysql://syncer@db2 --table shop.orders --ask-pass
syncer check -c syncer.toml --json | jq '.findings[].fix'
""",
    exits={
        0: "the pair can run",
        2: "usage or configuration",
        3: "at least one finding refuses the pair",
        4: "a server does not answer",
    },
    short_help="Look whether the pair can be kept in sync; print what to fix.",
)
@options.pair_options
@options.selection_options
@options.policy_options
@options.ledger_option
@options.output_options
def command(**given: Any) -> int:
    """Look at both servers and the tables selected, change nothing, and print every finding with its fix."""
    config = options.load(given)
    from syncer.service.app import check

    report = check(config)
    if given["as_json"]:
        output.document("check", report, ok=report.ok)
    else:
        output.findings(report.findings)
        output.check_summary(report)
    return int(ExitCode.OK if report.ok else ExitCode.PREFLIGHT)
