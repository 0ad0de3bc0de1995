"""
Options that several commands share, and how they become a ``Config``.

An option sets one key of the configuration file and goes before it; the names are those that users of older tools guess.
"""

from __future__ import annotations

import functools
import getpass
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
import structlog

from syncer import config as configuration
from syncer.config import Config
from syncer.core.policy import OnDelete, OnNull, OnTie, Presence
from syncer.core.rules import parse_chain, show_chain
from syncer.core.schema import SchemaDifference
from syncer.core.side import Direction
from syncer.telemetry import logs

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


class CommaList(click.ParamType[Any]):
    """Names separated by commas."""

    name = "names"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if "://" in str(value):  # at the commas of a password it would be cut
            self.fail(f"{value!r} is a URL, where names are wanted", param, ctx)
        parts = tuple(p.strip() for p in str(value).split(",") if p.strip())
        if not parts:
            self.fail("an empty list", param, ctx)
        return parts


class RuleText(click.ParamType[Any]):
    """A chain of rules, refused where one is misspelt; kept as text."""

    name = "rule"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        try:
            return show_chain(parse_chain(str(value)))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class RowBounds(click.ParamType[Any]):
    """``N`` or ``MIN:MAX`` rows; read as (min or None, max)."""

    name = "rows"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, int]:
        if isinstance(value, tuple):
            return cast("tuple[int | None, int]", value)
        low, colon, high = str(value).rpartition(":")
        try:
            bounds = (int(low) if colon else None, int(high))
        except ValueError:
            self.fail(f"{value!r} is neither a number of rows nor MIN:MAX", param, ctx)
        if bounds[1] < 1 or (bounds[0] is not None and not 1 <= bounds[0] <= bounds[1]):
            self.fail(
                f"{value!r}: a chunk holds at least one row, and MIN is not above MAX", param, ctx
            )
        return bounds


class Interval(click.ParamType[Any]):
    """Seconds, or ``off`` for 0."""

    name = "seconds"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if str(value).strip().lower() == "off":
            return 0.0
        try:
            seconds = float(str(value))
        except ValueError:
            self.fail(f"{value!r} is neither a number of seconds nor off", param, ctx)
        if seconds != 0 and not 0.1 <= seconds <= 60:
            self.fail(f"{value!r}: from 0.1 to 60 seconds, or off", param, ctx)
        return seconds


def _choice(kind: type) -> click.Choice[str]:
    return click.Choice([member.value for member in cast("Any", kind)], case_sensitive=False)


def _stack(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def apply(command: F) -> F:
        return functools.reduce(lambda f, d: d(f), reversed(decorators), command)

    return apply


pair_options = _stack(
    click.argument(
        "urls",
        nargs=-1,
        metavar="[URL_A URL_B]",
        help="Both servers: mysql://user@host:port/database?ssl-mode=..., or h=,P=,u=,D=. Passwords: --ask-pass, "
        "SYNCER_PASSWORD_A and _B, ~/.my.cnf.",
    ),
    click.option(
        "-c",
        "--config",
        "config_path",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration file.  [default: ./syncer.toml if it is there and no URL is given]",
    ),
    click.option("--ask-pass", is_flag=True, help="Ask for both passwords on the terminal."),
)
"""Which servers."""

ledger_option = click.option(
    "--ledger",
    type=click.Path(dir_okay=False),
    help="File that remembers positions, dirty keys and conflicts.  [default: ./syncer.db]",
)

pair_name_option = click.option(
    "--pair",
    "pair",
    metavar="NAME",
    help="Name of the pair in the ledger and the marker rows.  [default: made from both addresses]",
)

selection_options = _stack(
    click.option(
        "--tables",
        "--table",
        "tables",
        type=CommaList(),
        multiple=True,
        help="Only these tables: globs on database.table; repeat it or separate by commas.",
    ),
    click.option(
        "--databases",
        "--database",
        "databases",
        type=CommaList(),
        multiple=True,
        help="Only tables of these databases (globs).",
    ),
    click.option(
        "--ignore-tables", type=CommaList(), multiple=True, help="Never these tables (globs)."
    ),
    click.option(
        "--ignore-databases",
        type=CommaList(),
        multiple=True,
        help="Never tables of these databases (globs).",
    ),
    click.option(
        "--where",
        "row_filter",
        metavar="CONDITION",
        help="Only rows for which this is true, as in \"region = 'eu'\". A row counts where it is true on either side.",
    ),
    click.option(
        "--map",
        "map",
        type=CommaList(),
        multiple=True,
        metavar="A=B",
        help="A database or table that has another name on side b, as in shop=store or shop.orders=store.purchases; all else "
        "names tables as side a does.",
    ),
    click.option(
        "--schema-difference",
        type=_choice(SchemaDifference),
        help="A table that differs on the two sides waits, or leaves extra columns with a default out, or ends the run.  "
        "[default: pause]",
    ),
)
"""Which tables."""

policy_options = _stack(
    click.option(
        "--direction",
        type=_choice(Direction),
        help="Which way differences travel.  [default: both]",
    ),
    click.option(
        "--rule",
        type=RuleText(),
        help="Who wins where both sides changed a row: newest[:column], oldest[:column], "
        "highest_version:column, lowest_version:column, prefer:a, prefer:b, update_wins, delete_wins, equals:column=value, "
        "matches:column=pattern, custom:module:function, keep_both:a, keep_both:b, hold, halt or skip; or several, joined by "
        "'then'.  [default: hold]",
    ),
    click.option(
        "--on-delete", type=_choice(OnDelete), help="An update against a delete, under --rule."
    ),
    click.option("--on-tie", type=_choice(OnTie), help="Equal values under --rule."),
    click.option("--on-null", type=_choice(OnNull), help="NULL in the column of --rule."),
    click.option(
        "--presence",
        type=_choice(Presence),
        help="A row on one side only that no stream told of.  [default: copy]",
    ),
)
"""What is decided. They set [sync] and [policy]; a [[table]] entry of the file is more specific and stays."""

chunk_options = _stack(
    click.option(
        "--chunk-time",
        type=click.FloatRange(0, 60, min_open=True),
        metavar="SECONDS",
        help="Time one chunk of a whole-table comparison should take.  [default: 0.5]",
    ),
    click.option(
        "--chunk-size",
        type=RowBounds(),
        metavar="ROWS",
        help="Most rows of a chunk, or MIN:MAX.  [default: 50:20000]",
    ),
    click.option(
        "--threads",
        type=click.IntRange(1, 64),
        metavar="NUMBER",
        help="Chunks that are read at a time, and transactions that are written at a time.  "
        "[default: a chunk for each processor here, at most 4; 4 transactions]",
    ),
)
"""How whole tables are read."""

heartbeat_option = click.option(
    "--heartbeat",
    type=Interval(),
    metavar="SECONDS",
    help="Time between two heartbeats of a side, or off.  [default: 1]",
)

throttle_options = _stack(
    click.option(
        "--max-load",
        type=CommaList(),
        multiple=True,
        metavar="NAME=NUMBER",
        help="Pause whole-table comparisons while a status variable of either server is above; off for none.  "
        "[default: Threads_running=25]",
    ),
    click.option(
        "--max-rows-per-second",
        type=click.IntRange(0, 1_000_000_000),
        metavar="ROWS",
        help="Most rows compared or copied whole per second.  [default: no limit]",
    ),
    click.option(
        "--pause-file",
        type=click.Path(dir_okay=False),
        help="Pause whole-table comparisons while this file exists.",
    ),
    click.option(
        "--replica",
        type=CommaList(),
        multiple=True,
        metavar="SIDE=HOST[:PORT]",
        help="Pause whole-table comparisons while this replica of a side is behind, as in a=db3:3306.",
    ),
    click.option(
        "--find-replicas",
        is_flag=True,
        default=None,
        help="Ask both servers for their replicas, and watch those, too.",
    ),
    click.option(
        "--max-replica-lag",
        type=click.FloatRange(0, 86_400),
        metavar="SECONDS",
        help="How far a replica may be behind.  [default: 10]",
    ),
)
"""When whole-table work gives way."""

output_options = _stack(
    click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document."),
    click.option("-q", "--quiet", is_flag=True, help="No progress; log warnings and errors only."),
    click.option(
        "--log-format",
        type=click.Choice(["console", "json"]),
        help="Log lines on stderr.  [default: console on a terminal, else json]",
    ),
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        help="Least severity of log lines.  [default: info; warning below the live display]",
    ),
)
"""What is printed."""


def load(options: dict[str, Any], *, need_pair: bool = True, log_in: bool = True) -> Config:
    """
    Make the configuration of a command from its *options*, and set logging up by it.

    Raises:
        click.UsageError, ConfigError: what was given is wrong.
    """
    urls = options.get("urls") or ()
    if len(urls) not in {0, 2}:
        raise click.UsageError(
            "name both servers, URL_A and URL_B, or none and use a configuration file"
        )
    sides: dict[str, Any] = {side: {"url": url} for side, url in zip("ab", urls, strict=False)}
    low, high = options.get("chunk_size") or (None, None)
    overrides = {
        **sides,
        "ledger": options.get("ledger"),
        "pair": options.get("pair"),
        "sync": {
            **{key: _flat(options.get(key)) for key in _LISTS},
            "where": options.get("row_filter"),
            "direction": options.get("direction"),
            "schema_difference": options.get("schema_difference"),
        },
        "policy": {key: options.get(key) for key in _POLICY},
        "engine": {
            "chunk_time_s": options.get("chunk_time"),
            "chunk_rows_min": low if low is not None or high is None or high >= 50 else high,
            "chunk_rows_max": high,
            "threads": options.get("threads"),
        },
        "heartbeat": {"interval_s": options.get("heartbeat")},
        "throttle": {
            "max_load": _limits(_flat(options.get("max_load"))),
            "rows_per_s": options.get("max_rows_per_second"),
            "pause_file": options.get("pause_file"),
            "replicas": _flat(options.get("replica")),
            "find_replicas": options.get("find_replicas"),
            "replica_lag_max_s": options.get("max_replica_lag"),
        },
        "log": {"format": options.get("log_format"), "level": options.get("log_level")},
    }
    config = configuration.load(
        options.get("config_path"),
        overrides,
        passwords=_ask() if options.get("ask_pass") else None,
        need_pair=need_pair,
        log_in=log_in,
    )
    quiet = options.get("quiet") and "log.level" not in config.origins
    logs.configure(style=config.log.format, level="warning" if quiet else config.log.level)
    for name in config.exposed:
        structlog.get_logger().warning("config.exposed", file=name, message=f"chmod 600 {name}")
    return config


_LISTS = ("tables", "databases", "ignore_tables", "ignore_databases", "map")
_POLICY = ("rule", "on_delete", "on_tie", "on_null", "presence")


def _flat(lists: tuple[tuple[str, ...], ...] | None) -> tuple[str, ...] | None:
    return tuple(name for names in lists for name in names) if lists else None


def _limits(words: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return () if words == ("off",) else words


def _ask() -> dict[str, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            typed = {side: _typed(side) for side in ("a", "b")}
    except getpass.GetPassWarning:
        raise click.UsageError(
            "--ask-pass needs a terminal; without one: SYNCER_PASSWORD_A and SYNCER_PASSWORD_B, ?password-file=, or ~/.my.cnf"
        ) from None
    return {side: password for side, password in typed.items() if password}


def _typed(side: str) -> str:
    asked: str = click.prompt(
        f"Password of side {side}", hide_input=True, default="", show_default=False, err=True
    )
    return asked
