"""
From arguments to an exit code.

``main`` never ends the process; ``entry`` does. Every error becomes one line here, and nowhere else.
"""

from __future__ import annotations

import os
import select
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click
import structlog

from syncer.cli import output
from syncer.cli.arguments import hide_passwords
from syncer.cli.shape import EXIT_CODES, LateGroup
from syncer.errors import ExitCode, SyncerError
from syncer.telemetry import events, logs


def _check() -> click.Command:
    from syncer.cli.commands.check import command

    return command


def _run() -> click.Command:
    from syncer.cli.commands.run import command

    return command


def _verify() -> click.Command:
    from syncer.cli.commands.verify import command

    return command


def _status() -> click.Command:
    from syncer.cli.commands.status import command

    return command


def _conflicts() -> click.Command:
    from syncer.cli.commands.plans import group

    return group


def _guard() -> click.Command:
    from syncer.cli.commands.guard import group

    return group


def _policy() -> click.Command:
    from syncer.cli.commands.policy import group

    return group


def _undo() -> click.Command:
    from syncer.cli.commands.undo import command

    return command


def _config() -> click.Command:
    from syncer.cli.commands.config import group

    return group


@click.group(
    cls=LateGroup,
    late={
        "check": _check,
        "run": _run,
        "verify": _verify,
        "status": _status,
        "conflicts": _conflicts,
        "guard": _guard,
        "policy": _policy,
        "undo": _undo,
        "config": _config,
    },
    examples="""
syncer check mysql://syncer@db1/shop mysql://syncer@db2/shop --ask-pass
syncer config init
syncer run -c syncer.toml
syncer verify -c syncer.toml
syncer conflicts list
""",
    exits=EXIT_CODES,
)
@click.version_option(package_name="syncer", prog_name="syncer", message="%(prog)s %(version)s")
def cli() -> None:
    """Keep two MySQL or MariaDB primaries equal while both are written to."""


def main(argv: list[str] | None = None) -> int:
    """
    Run one command.

    Args:
        argv: the arguments after the program's name; None: those of the process.

    Returns:
        The exit code (``errors.ExitCode``).
    """
    arguments = sys.argv[1:] if argv is None else argv
    fail = partial(output.error, as_json="--json" in arguments, given=arguments)
    logs.configure(level="warning")  # until a command knows better
    try:
        result: Any = cli.main(args=arguments, prog_name="syncer", standalone_mode=False)
        sys.stdout.flush()
        return int(result or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return int(ExitCode.USAGE)
    except click.ClickException as error:
        message = error.format_message().rstrip(".")
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context is not None else ""
        fail("usage", message + hint, ExitCode.USAGE)
        return int(ExitCode.USAGE)
    except SyncerError as error:
        findings = tuple(getattr(error, "findings", ()))
        fail(error.code, str(error), error.exit_code, findings=findings)
        return int(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        fail("interrupted", "interrupted", ExitCode.INTERRUPTED)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        return int(_reader_gone())
    except SystemExit as ended:  # click ends so on shell completion, and where a reader has gone
        if "_SYNCER_COMPLETE" in os.environ:
            return ended.code if isinstance(ended.code, int) else int(ExitCode.OK)
        return int(_reader_gone())
    except Exception as error:  # noqa: BLE001 - the last line of defence: one line, never a bare traceback
        structlog.get_logger().debug(events.COMMAND_FAILED, exc_info=True)
        # Its text may hold a row value or a credential: only the kind and the place are shown.
        message = (
            f"unexpected {type(error).__name__} in {_place(error)}; this is a bug, and it is safe to "
            "run again (--log-level debug shows the traceback)"
        )
        fail("unexpected", message, ExitCode.RETRY)
        return int(ExitCode.RETRY)
    finally:
        logs.redirect(None)
        try:
            sys.stderr.flush()
        except OSError:
            _abandon(sys.stderr)


def entry() -> None:
    """Run the command line and end the process; ``syncer/__main__.py`` is quicker at hiding passwords."""
    hide_passwords()
    sys.exit(main())


def _place(error: BaseException) -> str:
    """Return file and line of ours nearest to where *error* was raised."""
    package = str(Path(__file__).parents[1])
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename.startswith(package)] or list(frames)
    last = ours[-1]
    return f"{last.filename.removeprefix(package).lstrip(os.sep)}:{last.lineno}"


def _reader_gone() -> ExitCode:
    """Return what it means that a reader has gone: who wants no more of stdout has what was asked for, who reads stderr has not."""
    asked = select.poll()
    asked.register(sys.stdout.fileno(), 0)
    gone = bool(asked.poll(0))
    _abandon(sys.stdout)
    return ExitCode.OK if gone else ExitCode.RETRY


def _abandon(stream: TextIO) -> None:
    """Point a stream at nothing, so that the flush at exit does not fail a second time."""
    with open(os.devnull, "w", encoding="utf-8") as null:  # noqa: PTH123 - os.devnull is no path to speak of
        os.dup2(null.fileno(), stream.fileno())
