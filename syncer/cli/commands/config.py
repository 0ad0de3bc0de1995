"""``syncer config init`` and ``show``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from syncer.cli import options, output, settings
from syncer.cli.shape import Command, Group
from syncer.config import DEFAULT_FILE
from syncer.errors import ConfigError, ExitCode


@click.group(
    "config",
    cls=Group,
    examples="""
syncer config init
syncer config show -c syncer.toml
""",
    short_help="Write a configuration file, or show what is in effect.",
)
def group() -> None:
    """Write a configuration file, or show what is in effect."""


@group.command(
    "init",
    cls=Command,
    examples="""
syncer config init
syncer config init /etc/syncer/shop.toml
""",
    exits={0: "written", 2: "the file is there already, or cannot be written"},
    short_help="Write a commented configuration file.",
)
@click.argument(
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_FILE,
    help="File to write.  [default: ./syncer.toml]",
)
def init_command(path: Path) -> int:
    """Write a commented configuration file to PATH (./syncer.toml); an existing file is not touched."""
    try:
        # Passwords may come to stand in it.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(settings.template())
    except FileExistsError:
        raise ConfigError(f"{path} exists and is not overwritten: name another file") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    click.echo(
        f"wrote {path}: name both servers and the tables in it, then run syncer check -c {path}"
    )
    return int(ExitCode.OK)


@group.command(
    "show",
    cls=Command,
    examples="""
syncer config show
syncer config show -c syncer.toml --rule prefer:a
syncer config show --json | jq .config.engine
""",
    exits={0: "it can be used", 2: "it cannot, and why"},
    short_help="Print the effective configuration.",
)
@options.pair_options
@options.selection_options
@options.policy_options
@options.chunk_options
@options.throttle_options
@options.ledger_option
@options.output_options
def show_command(**given: Any) -> int:
    """Print the configuration in effect: file, environment and options together, where each value comes from, no password."""
    config = options.load(given, need_pair=False)
    if given["as_json"]:
        output.document("config show", settings.show_json(config))
    else:
        sys.stdout.write(settings.show(config))
    return int(ExitCode.OK)
