"""Commands whose help ends with examples and exit codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

EXIT_CODES = {
    0: "done; in sync where that was asked",
    1: "a difference, an open conflict or a paused table remains, or it was stopped before the end that was asked for",
    2: "usage or configuration: correct the command",
    3: "preflight refuses the pair: each finding has its fix",
    4: "failed, safe to run again",
    5: "an operator must decide",
    130: "interrupted",
}
"""What every exit code means; a command may say it more exactly."""


class _Shaped(click.Command):
    def __init__(
        self,
        *args: Any,
        examples: str = "",
        exits: Mapping[int, str] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **kwargs)
        self.examples = [line.rstrip() for line in examples.strip().splitlines()]
        self.exits = dict(exits or {})

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are, then the exit codes."""
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"  {line}\n")
        if self.exits:
            with formatter.section("Exit codes"):
                formatter.write_dl([(str(code), text) for code, text in self.exits.items()])
        super().format_epilog(ctx, formatter)


class Command(_Shaped):
    """A command."""


class Group(_Shaped, click.Group):
    """A group that lists its commands in the order of their use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self.commands)


class LateGroup(Group):
    """A group whose commands are imported when they are asked for: no command waits for what another one needs."""

    def __init__(
        self, *args: Any, late: Mapping[str, Callable[[], click.Command]], **kwargs: Any
    ) -> None:
        """Take by the commands' names who imports them."""
        super().__init__(*args, **kwargs)
        self._late = dict(late)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self._late)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._late and cmd_name not in self.commands:
            self.add_command(self._late[cmd_name](), cmd_name)
        return super().get_command(ctx, cmd_name)
