"""``syncer undo``: rows that syncer overwrote or deleted become again what they were."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.text import Text

from syncer.cli import journal, options, output, person
from syncer.cli import text as words
from syncer.cli.commands.status import config_option
from syncer.cli.shape import Command
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from syncer.ledger import Ledger
    from syncer.ledger.records import ConflictRecord
    from syncer.ledger.undo import Overwritten, Restoration, RestorationRecord

PAGE = 1000
SHOWN = 100


@click.command(
    "undo",
    cls=Command,
    examples="""
syncer undo --since 10m --dry-run
syncer undo --since 2026-11-21T08:00 --until 2026-11-21T08:05 --table 'shop.*'
syncer undo --run 7 --merged a
syncer undo --status
""",
    exits={
        0: "asked; a running syncer does it within a second, else the next `syncer run`",
        1: "some rows were left as they are: merged ones without --merged; with --status, those that changed since",
        2: "usage or configuration",
        5: "the ledger cannot be read or written",
    },
    short_help="Restore rows that syncer overwrote or deleted.",
)
@click.option("--since", metavar="TIME", help="Written since: 30m, 2h, 7d (ago), or a UTC time.")
@click.option("--until", metavar="TIME", help="Written before that time.")
@click.option("--table", metavar="GLOB", multiple=True, help="Only of these tables; repeat it.")
@click.option(
    "--run",
    type=click.IntRange(min=1),
    help="Only what this run wrote: its epoch, as `status` shows.",
)
@click.option(
    "--merged",
    type=click.Choice(["a", "b"]),
    help="Of rows that were made of both sides' rows: whose row is to stand again; without it they are left.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be restored.")
@click.option("--status", "outcome", is_flag=True, help="Show what became of what was asked last.")
@config_option
@options.ledger_option
@options.output_options
def command(**given: Any) -> int:
    """
    Restore rows that syncer overwrote or deleted, on the side where it did; they travel to the other side from there.

    A row is written only where it still is what syncer made of it: one that changed since is left, and --status names it. What was
    inserted stays. Rows are kept as [journal] undo_rows and image_days say.
    """
    from syncer.clock import SystemClock
    from syncer.ledger import Ledger
    from syncer.ledger.restorations import ask_back

    clock = SystemClock()
    config = options.load(given, need_pair=False, log_in=False)
    chosen = _chosen(given, clock.now())
    with Ledger.open(
        config.ledger, pair_id=None, identity={}, clock=clock, read_only=True
    ) as ledger:
        if given["outcome"]:
            return _status(ledger.last_restorations(SHOWN), as_json=given["as_json"])
        if not any(given[name] for name in ("since", "until", "table", "run")):
            raise click.UsageError("say what to undo: --since, --until, --table or --run")
        found = with_merges(_matching(ledger, chosen, given["table"]), partial(_older, ledger))
        folded = fold(found, person.name())
        asked, left = unmerge(folded, given["merged"], ledger.conflict)
        path = ledger.path
    if asked and not given["dry_run"]:
        ask_back(path, asked, clock.now())
    if given["as_json"]:
        rows = [{"table": one.table, "key": list(one.key), "side": one.side.value} for one in asked]
        skipped = [
            {
                "table": one.table,
                "key": list(one.key),
                "conflict_id": one.conflict_id,
                "reason": why,
            }
            for one, why in left
        ]
        output.document("undo", {"dry_run": given["dry_run"], "rows": rows, "left": skipped})
    else:
        journal.print_restorations(asked, dry_run=given["dry_run"])
        for one, why in left:
            key = words.printable(", ".join(one.key))
            output.out().print(Text(f"{one.table} {key}: left: {why}", "yellow"))
    return int(ExitCode.DIFFERENT if left else ExitCode.OK)


def _chosen(given: dict[str, Any], now: float) -> dict[str, Any]:
    from syncer.ledger import selector

    try:
        times = {
            name: selector.moment(given[name], now) for name in ("since", "until") if given[name]
        }
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return times | {"run": given["run"]}


def _matching(
    ledger: Ledger, chosen: dict[str, Any], globs: Sequence[str]
) -> Iterator[Overwritten]:
    patterns = [glob if "." in glob else f"*.{glob}" for glob in globs]
    wanted: Callable[[str], bool] = lambda table: (  # noqa: E731 - one test, used once
        not patterns or any(fnmatchcase(table, pattern) for pattern in patterns)
    )
    before: dict[str, int] = {}
    while page := ledger.overwritten(**chosen, **before, limit=PAGE):
        yield from (one for one in page if wanted(one.restoration.table))
        before = {"before": page[-1].number}


def _older(ledger: Ledger, before: int) -> Iterator[Overwritten]:
    """Yield all that was written before the number *before*, newest first."""
    while page := ledger.overwritten(before=before, limit=PAGE):
        yield from page
        before = page[-1].number


def with_merges(
    found: Iterator[Overwritten], older: Callable[[int], Iterator[Overwritten]]
) -> Iterator[Overwritten]:
    """
    Yield *found*, and behind it the merges of which it has the second half alone.

    A merged row is written to side A, and goes from there to side B (INV-16): one decision, whatever was chosen of its two writes.
    """
    halves: dict[tuple[str, object], int] = {}
    for one in found:
        at = (one.restoration.table, one.restoration.key_stored[0])
        if one.restoration.side == "b":
            halves[at] = one.number
        else:
            halves.pop(at, None)
        yield one
    if not halves:
        return
    for one in older(max(halves.values())):
        at = (one.restoration.table, one.restoration.key_stored[0])
        if one.number >= halves.get(at, 0):
            continue
        del halves[at]
        if one.restoration.expected_image is not None:
            yield one
        if not halves:
            return


def fold(found: Iterator[Overwritten], actor: str) -> list[Restoration]:
    """
    Return one restoration per row: what it was before the first of *found*, where it still is what the last made of it.

    Args:
        found: newest first; the result keeps that order, so that what was deleted last, the parents, comes back first.
    """
    rows: dict[tuple[str, object], Restoration] = {}
    for one in found:
        back = one.restoration
        at = (back.table, back.key_stored[0])
        newest = rows.get(at, back)
        rows[at] = msgspec.structs.replace(
            back, expected=newest.expected, expected_image=newest.expected_image, actor=actor
        )
    return [
        one for one in rows.values() if one.expected_image is not None or one.expected != one.meant
    ]


def unmerge(
    folded: Sequence[Restoration],
    take: str | None,
    find: Callable[[int], ConflictRecord | None],
) -> tuple[list[Restoration], list[tuple[Restoration, str]]]:
    """
    Divide *folded* in what can be asked for and what is left, with the reason.

    Before a merge there were two rows: side A's was overwritten first, side B's is in the journal (*find*). *take* says which of
    them is to stand again.
    """
    from syncer.core.side import Side
    from syncer.ledger import ConflictStatus
    from syncer.ledger.restorations import revert

    asked, left = [], []
    for one in folded:
        if one.conflict_id is None:
            asked.append(one)
            continue
        record = find(one.conflict_id)
        if take is None or record is None:
            why = f"decision {one.conflict_id} made one row of both: --merged a or b says whose row is to stand again"
            left.append((one, why))
            continue
        try:
            # Whatever became of the decision since: what counts is what the last of the writes made of the row.
            applied = msgspec.structs.replace(record, status=ConflictStatus.APPLIED)
            back = revert(applied, one.actor, Side(take))
        except ValueError as error:
            left.append((one, str(error)))
            continue
        asked.append(
            msgspec.structs.replace(
                back, expected=one.expected, expected_image=one.expected_image, conflict_id=None
            )
        )
    return asked, left


def _status(records: Sequence[RestorationRecord], *, as_json: bool) -> int:
    left = [one for one in records if one.status == "left"]
    if as_json:
        rows = [
            {
                "status": one.status.value,
                "table": one.restoration.table,
                "key": list(one.restoration.key),
                "side": one.restoration.side.value,
                "note": one.note,
                "asked_at": one.asked_at,
            }
            for one in records
        ]
        output.document("undo", {"restorations": rows})
    else:
        console = output.out()
        for one in records:
            key = words.printable(", ".join(one.restoration.key))
            line = f"{one.status.value}  {one.restoration.table} {key}"
            note = f": {one.note}" if one.note else ""
            console.print(Text(line + note, "yellow" if one in left else ""))
        if not records:
            console.print("nothing was asked to be restored")
    return int(ExitCode.DIFFERENT if left else ExitCode.OK)
