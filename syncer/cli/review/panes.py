"""What the review shows of one conflict: both rows, the merge of them, or where they come from. Values are text, never markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from syncer.cli import answers, journal, output, text
from syncer.core.side import SIDES, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from syncer.ledger import ConflictEntry, ConflictRecord
    from syncer.ledger.requests import Resolution

NAME_WIDTH = 16
OPS = {"i": "ins", "u": "upd", "d": "del"}


def op(entry: ConflictEntry, side: Side) -> str:
    """Return what a side did last in three letters; ``-`` for a row that is absent, ``row`` for one nobody knows more of."""
    last, image = (entry.a_op, entry.a_image) if side is Side.A else (entry.b_op, entry.b_image)
    if last is not None:
        return OPS[last.value]
    return "-" if image is None else "row"


def head(record: ConflictRecord) -> Text:
    """Return one line that names the conflict and why it is held."""
    entry = record.entry
    return Text.assemble(
        (f"{entry.table}#{text.printable(', '.join(entry.key))}", "bold"),
        f"  conflict {record.conflict_id}  {entry.kind.value}  ",
        (entry.rule, "dim"),
    )


def difference(record: ConflictRecord, takes: Sequence[str | None] = ()) -> RenderableType:
    """Return both rows side by side; *takes*: what a merge that is chosen takes from where."""
    parts: list[RenderableType] = [head(record)]
    parts += [Text.assemble(f"{name}: ", said) for name, said in journal.beside(record.entry)]
    return Group(*parts, merge(record, takes) if takes else journal.images(record))


def merge(record: ConflictRecord, takes: Sequence[str | None]) -> Table:
    """Return the three rows and what the merge makes of them, the columns that differ first."""
    entry = record.entry
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("column", no_wrap=True)
    table.add_column("A", header_style=output.SIDE_STYLES["a"], overflow="fold")
    table.add_column("base", overflow="fold")
    table.add_column("B", header_style=output.SIDE_STYLES["b"], overflow="fold")
    table.add_column("", width=2)
    table.add_column("merged", header_style="bold", overflow="fold")
    rows = (entry.a_image or (), entry.base_image or (), entry.b_image or ())
    cells = list(zip(entry.columns, *rows, takes, strict=True))
    for name, a, base, b, take in sorted(cells, key=lambda cell: cell[4] == ""):
        style = "dim" if take == "" else ""
        table.add_row(
            Text(name, style or "bold"),
            _cell(a, "yellow" if take == "a" else style),
            _cell(base, "dim"),
            _cell(b, "yellow" if take == "b" else style),
            Text({"a": "A", "b": "B", "rule": "*"}.get(take or "", ""), "bold"),
            _result(a, b, take, style),
        )
    return table


def _result(a: str | None, b: str | None, take: str | None, style: str) -> Text:
    if take is None:
        return Text("? both changed it", "bold yellow")
    if take == "rule":
        return Text("by the policy's rule", "italic")
    if take == "?":
        return Text("(redacted)", "dim")
    return _cell(b if take == "b" else a, style or "bold green")


def _cell(cell: str | None, style: str) -> Text:
    return Text("(not kept)", "dim") if cell is None else Text(text.printable(cell), style)


def details(record: ConflictRecord, answer: Resolution | None = None) -> RenderableType:
    """Return where the changes come from: operation, time, transaction, server; why nobody has decided, or who has: *answer*."""
    entry = record.entry
    sides = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 3, 0, 0))
    sides.add_column("", min_width=NAME_WIDTH)
    for side in SIDES:
        sides.add_column(side.value.upper(), header_style=output.SIDE_STYLES[side.value])
    for name, found in _facts(entry):
        sides.add_row(Text(name, "dim"), *(Text(one or "-") for one in found))
    facts = Table.grid(padding=(0, 3))
    facts.add_column(style="dim", min_width=NAME_WIDTH)
    facts.add_column(overflow="fold")
    facts.add_row("detected", text.moment(entry.detected_at))
    if entry.sub_kinds:
        facts.add_row("more exactly", ", ".join(entry.sub_kinds))
    if entry.skew_bound_s is not None:
        facts.add_row("clocks", f"at most {text.lag(entry.skew_bound_s)} apart")
    if entry.possible:
        facts.add_row("possible", "one side's history is not known exactly: it may be no conflict")
    if entry.policy_version:
        facts.add_row("policy", f"version {entry.policy_version}, run {entry.run}")
    for name, said in journal.beside(entry):
        facts.add_row(name, said)
    if answer is not None:
        facts.add_row("answer", Text("\n".join(answers.waits(record, answer)), "yellow"))
    if entry.note:
        facts.add_row("note", Text(text.printable(entry.note), "yellow"))
    return Group(head(record), sides, facts)


def _facts(entry: ConflictEntry) -> list[tuple[str, list[str]]]:
    def both(name: str) -> list[object]:
        return [getattr(entry, f"{side.value}_{name}") for side in SIDES]

    return [
        ("last change", ["" if one is None else str(getattr(one, "name", one)).lower() for one in both("op")]),
        ("committed", [text.moment_us(one) if isinstance(one, int) and one else "" for one in both("commit_us")]),
        ("transaction", [str(one or "") for one in both("gtid")]),
        ("number in stream", ["" if one is None else str(one) for one in both("seq")]),
        ("server_id", ["" if one is None else str(one) for one in both("server_id")]),
        ("row", ["absent" if one is None else "there" for one in both("image")]),
    ]  # fmt: skip
