"""
The generated parts of docs/cli.md and docs/config.md: made from click's commands and the Structs of the configuration.

``python -m tests.unit.cli.pages`` writes them anew; ``test_pages.py`` fails while they are out of date.
"""

import re
from pathlib import Path

import click
from msgspec import NODEFAULT

from syncer.cli import settings
from syncer.cli.main import cli
from syncer.config.model import SECTIONS, FileConfig, TableSection

DOCS = Path(__file__).parents[3] / "docs"
BLOCK = re.compile(r"(<!-- generated: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands(group=cli, prefix="syncer"):
    """Yield (full name, command) of every command, groups left out."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        full = f"{prefix} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, full)
        else:
            yield full, command


def command_block(name):
    """Return the options, examples and exit codes of one command."""
    command = dict(commands())[name]
    usage = " ".join([name, *command.collect_usage_pieces(click.Context(command))])
    lines = [f"`{usage}`", "", "| option | meaning |", "|---|---|"]
    for option in command.params:
        if isinstance(option, click.Option):
            value = (
                "" if option.is_flag else f" {escape(option.make_metavar(click.Context(command)))}"
            )
            spelt = ", ".join(f"`{o}`" for o in option.opts)
            value = f" `{value.strip()}`" if value else ""
            lines.append(f"| {spelt}{value} | {escape(option.help)} |")
    lines += ["", "```sh", *command.examples, "```", "", "| exit code | meaning |", "|---|---|"]
    lines += [f"| {code} | {escape(text)} |" for code, text in command.exits.items()]
    return "\n".join(lines)


def section_block(name):
    """Return the keys of one section of the configuration file."""
    kind = {"top": FileConfig, "table": TableSection, **SECTIONS}[name]
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for key, description, default, example in settings.describe(kind):
        if name == "top" and key in {*SECTIONS, "table"}:
            continue
        if default is NODEFAULT:
            shown = "required"
        else:
            shown = "-" if default is None or default == () else f"`{settings.literal(default)}`"
        more = f" Example: `{example}`." if example else ""
        lines.append(f"| `{key}` | {shown} | {escape(description)}.{more} |")
    return "\n".join(lines)


def escape(text):
    return " ".join((text or "").split()).replace("|", "\\|")


def render(text):
    """Return a page with its generated blocks made anew."""

    def block(match):
        name = match[2]
        made = command_block(name) if name.startswith("syncer ") else section_block(name)
        return f"{match[1]}{made}\n{match[3]}"

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    for page in (DOCS / "cli.md", DOCS / "config.md"):
        page.write_text(render(page.read_text("utf-8")), "utf-8")
