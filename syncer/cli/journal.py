"""The conflict journal for people: one line each, or one with both rows side by side."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from syncer.cli import output, text
from syncer.core.side import SIDES, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from syncer.ledger import ConflictRecord, Ledger

STATUS_STYLES = {"held": "bold yellow", "pending": "cyan", "applied": "green", "superseded": "dim"}


def select(ledger: Ledger, status: str, glob: str | None, limit: int) -> list[ConflictRecord]:
    """Return the newest conflicts of *status* (open, all, or one of the journal's) in tables that match *glob*."""
    from syncer.ledger import ConflictStatus

    if status == "all":
        wanted = None
    else:
        wanted = ConflictStatus.HELD if status == "open" else ConflictStatus(status)
    pattern = glob if glob is None or "." in glob else f"*.{glob}"
    exact = pattern if pattern and not any(c in pattern for c in "*?[") else None
    found: Sequence[ConflictRecord] = ledger.conflicts(
        status=wanted, table=exact, limit=limit if exact or not pattern else 1_000_000
    )
    if pattern and not exact:
        found = [r for r in found if fnmatchcase(r.entry.table, pattern)]
    return list(found[:limit])


def count_open(ledger: Ledger) -> int:
    """Return how many conflicts wait for a person."""
    from syncer.ledger import ConflictStatus

    return ledger.summary().conflicts.get(ConflictStatus.HELD, 0)


def _key(record: ConflictRecord) -> str:
    return text.printable(", ".join(record.entry.key))


def _winner(winner: Side | None) -> Text:
    return (
        Text(winner.value.upper(), output.SIDE_STYLES[winner.value]) if winner else Text("-", "dim")
    )


def print_list(records: list[ConflictRecord], open_: int, status: str) -> None:
    """Print one line per conflict."""
    console = output.out()
    if records:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column("id", justify="right")
        for name in ("detected", "status", "kind", "table", "key", "won", "by"):
            table.add_column(
                name, no_wrap=name in {"detected", "status", "kind", "won"}, overflow="fold"
            )
        for record in records:
            entry = record.entry
            table.add_row(
                str(record.conflict_id),
                text.moment(entry.detected_at),
                Text(record.status.value, STATUS_STYLES.get(record.status.value, "")),
                entry.kind.value + (" ?" if entry.possible else ""),
                entry.table,
                _key(record),
                _winner(entry.winner),
                entry.rule,
            )
        console.print(table)
    else:
        console.print("no conflicts" if status == "all" else f"no {status} conflicts")
    if open_ and status != "open":
        console.print(Text(f"{text.plural(open_, 'conflict')} open", "yellow"))


def print_record(record: ConflictRecord) -> None:
    """Print one conflict: what happened, then both rows with the differing columns marked."""
    console = output.out()
    entry = record.entry
    console.print(
        Text.assemble(
            (f"conflict {record.conflict_id}  ", "bold"),
            (record.status.value, STATUS_STYLES.get(record.status.value, "")),
            f"  {entry.kind.value}  {entry.table}  key {_key(record)}",
        )
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("detected", text.moment(entry.detected_at))
    facts.add_row(
        "decided by", " ".join(filter(None, (entry.rule, f"({entry.path})" if entry.path else "")))
    )
    facts.add_row(
        "winner", _winner(entry.winner) if entry.winner else "nobody: it waits for a person"
    )
    for side in SIDES:
        op = getattr(entry, f"{side.value}_op")
        when = text.moment_us(getattr(entry, f"{side.value}_commit_us"))
        if op is not None:
            facts.add_row(f"last on {side.value.upper()}", f"{op.name.lower()}  {when}")
    if record.batch_id is not None:
        facts.add_row("batch", str(record.batch_id))
    if entry.possible:
        facts.add_row("possible", "one side's history is not known exactly: it may be no conflict")
    if entry.note:
        facts.add_row("note", entry.note)
    console.print(facts)
    console.print()
    console.print(_images(record))
    console.print(Text("values are SQL literals; ≠ marks what differs", "dim"))


def _images(record: ConflictRecord) -> Table:
    entry = record.entry
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(" ", width=1)
    table.add_column("column", no_wrap=True)
    for side in SIDES:
        title = f"{side.value.upper()} (won)" if entry.winner is side else side.value.upper()
        table.add_column(title, header_style=output.SIDE_STYLES[side.value], overflow="fold")
    images = {Side.A: entry.a_image, Side.B: entry.b_image}
    for place, column in enumerate(entry.columns):
        cells = [None if (row := images[side]) is None else row[place] for side in SIDES]
        absent = [images[side] is None for side in SIDES]
        differs = absent[0] != absent[1] or cells[0] != cells[1]
        table.add_row(
            Text("≠" if differs else "", "bold yellow"),
            Text(column, "bold" if differs else ""),
            *(
                Text("(absent)", "dim italic")
                if gone
                else Text("(not kept)", "dim")
                if cell is None
                else Text(text.printable(cell), "yellow" if differs else "")
                for cell, gone in zip(cells, absent, strict=True)
            ),
        )
    return table


def print_asked(records: Sequence[ConflictRecord], take: Side, *, dry_run: bool) -> None:
    """Print one line per answered conflict: what goes where."""
    console = output.out()
    for record in records:
        entry = record.entry
        image = entry.a_image if take is Side.A else entry.b_image
        what = "the row" if image is not None else "the absence"
        console.print(
            f"{record.conflict_id}: {entry.table} {_key(record)}: {what} of side {take} "
            f"{'would go' if dry_run else 'goes'} to side {take.other}",
            markup=False,
            highlight=False,
        )
    if not dry_run:
        console.print(
            "a running syncer does it within a second, else the next `syncer run`", style="dim"
        )
