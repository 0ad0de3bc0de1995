"""What the demonstration prints: its steps, and the summary at the end. On stdout; the product's progress is on stderr."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Show", "Tally", "percentile"]

_STYLES = {"a": "bold cyan", "b": "bold magenta"}
_OPS = ("insert", "update", "delete")
_SHOWN = 20
_PLAIN_WIDTH = 140
_WIDE = 95


@dataclass
class Tally:
    """
    Rows written by `a.insert`, `b.delete`...

    Attributes:
        users: by the writers, each row of each transaction; a key change is one delete and one insert.
        applied: by the product, to that side.
    """

    users: dict[str, int] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, *counts: Mapping[str, int]) -> Tally:
        """Add up what the writers wrote; a moved row is logged as two halves, both `move`."""
        users: dict[str, int] = {}
        for counted in counts:
            for name, number in counted.items():
                side, _, op = name.partition(".")
                halves = ("delete", "insert") if op == "move" else (op,)
                for half in halves:
                    name_ = f"{side}.{half}"
                    users[name_] = users.get(name_, 0) + number // len(halves)
        return cls(users)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the smallest of *values* that *share* of them do not exceed; there must be one."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


class Show:
    """Prints for people; plain text where stdout is no terminal."""

    def __init__(self) -> None:
        self._tty = sys.stdout.isatty()
        self._console = Console(
            highlight=False, soft_wrap=not self._tty, width=None if self._tty else _PLAIN_WIDTH
        )
        self._step = 0

    def _print(self, *what: Any) -> None:
        self._console.print(*what)
        sys.stdout.flush()

    def title(self, flavor: str, seconds: float) -> None:
        """Say what is going to be shown."""
        self._print(
            Text.assemble(
                ("syncer demo", "bold"), f"  {flavor}, {seconds:g} s of writes on both sides"
            )
        )

    def step(self, name: str, what: str) -> None:
        """Begin a step."""
        self._step += 1
        self._print(Text.assemble(f"\n{self._step}  ", (f"{name:<11}", "bold"), (what, "dim")))

    def fact(self, line: str) -> None:
        """Print a line of the step in hand."""
        style = _STYLES.get(line[:1].lower(), "") if line[1:3] == "  " else ""
        self._print(Text.assemble("   ", (line[:1], style), line[1:]))

    def applied(self, side: str, applied: Mapping[str, int]) -> None:
        """Say what was written to one side."""
        numbers = [applied.get(f"{side}.{op}", 0) for op in _OPS]
        self.fact(
            f"{side.upper()}  {numbers[0]} inserted, {numbers[1]} updated, {numbers[2]} deleted"
        )

    def unknown_history(self, journal: Sequence[Mapping[str, Any]]) -> None:
        """Say what the journal keeps of rows that differed before the product had seen any stream."""
        kinds: dict[str, int] = {}
        for conflict in journal:
            kind = str(conflict["entry"]["kind"])
            kinds[kind] = kinds.get(kind, 0) + 1
        if kinds:
            each = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
            self.fact(f"journal: {each}, each with both rows")

    def findings(self, serious: Sequence[Mapping[str, Any]], total: int) -> None:
        """Print warnings and errors of preflight, and the number of all findings."""
        for finding in serious:
            self.fact(f"{finding['level']}: {finding['subject']}: {finding['message']}")
            if finding["fix"]:
                self.fact(f"  fix: {finding['fix']}")
        if not serious:
            self.fact(f"ready: no error, no warning ({total} notes)")

    def writers_stopped(self, tally: Tally, collisions: int, canaries: int) -> None:
        """Say what the writers did, once they have ended."""
        total = sum(tally.users.values())
        self.fact(
            f"writers stopped: {total:,} row writes, {collisions} rows on both sides at once; "
            f"{canaries:,} canary updates"
        )

    def proven(self, rows: int, writes: int, collisions: int) -> None:
        """Say what the comparison has shown."""
        self.fact(f"{rows:,} rows on each side, every column equal")
        self.fact(f"all {writes:,} acknowledged row writes accounted for, none lost")
        self.fact(
            f"all {collisions} conflicts in the journal with the winner the rule names, and no other"
        )

    def differences(self, lines: Sequence[str]) -> None:
        """Print what the comparison has found."""
        for line in lines[:_SHOWN]:
            self.fact(line)
        if len(lines) > _SHOWN:
            self.fact(f"and {len(lines) - _SHOWN} more")

    def summary(
        self,
        tally: Tally,
        conflicts: Sequence[Mapping[str, Any]],
        lags_s: Mapping[Any, Sequence[float]],
    ) -> None:
        """Print the tables at the end."""
        self._heading("rows written", "while both sides were written to")
        table = self._table("", "inserts", "updates", "deletes")
        for side in "ab":
            other = "ba"["ab".index(side)].upper()
            for who, counts in (
                (f"{side.upper()}  by its users", tally.users),
                (f"{side.upper()}  by syncer, from {other}", tally.applied),
            ):
                numbers = (f"{counts.get(f'{side}.{op}', 0):,}" for op in _OPS)
                table.add_row(Text.assemble((who[:1], _STYLES[side]), who[1:]), *numbers)
        self._print(table)
        self._note(
            "Several writes to a row may travel as one; the canary's updates are among them."
        )
        self._conflicts(conflicts)
        self._heading("lag", "from COMMIT on one side to a SELECT on the other that sees it")
        table = self._table("", "p50", "p95", "p99", "max", "canaries")
        for side, values in lags_s.items():
            way = Text.assemble(
                (side.upper(), _STYLES[side]),
                " to ",
                ("AB"[side == "a"], _STYLES["ba"[side == "b"]]),
            )
            if not values:
                table.add_row(way, "-", "-", "-", "-", "0")
                continue
            marks = (percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0))
            table.add_row(way, *(f"{1000 * mark:.0f} ms" for mark in marks), f"{len(values):,}")
        self._print(table)
        self._note("A row each way, changed again 0.1 s after its arrival; polled every 4 ms.")

    def in_sync(self) -> None:
        """End well."""
        self._print(Text("\nIN SYNC", "bold green"))

    def failed(self, message: str) -> None:
        """End with what went wrong."""
        self._print(Text(f"\ndemo: {message}", "bold red"))

    def _conflicts(self, conflicts: Sequence[Mapping[str, Any]]) -> None:
        self._heading("conflicts", "a row written on both sides at once: total @ updated_at")
        if not conflicts:
            self.fact("none")
            return
        wide = self._console.width >= _WIDE
        table = self._table("kind", "row", "won", "A had", "B had", "by", right=False)
        for conflict in conflicts[:_SHOWN]:
            entry = conflict["entry"]
            winner = entry["winner"]
            won = Text(winner.upper(), _STYLES[winner]) if winner else Text("held", "bold yellow")
            images = (
                Text(_brief(entry, side), "" if side == winner else "dim") for side in ("a", "b")
            )
            table.add_row(
                entry["kind"],
                f"{entry['table'].partition('.')[2]} {', '.join(entry['key'])}",
                won,
                *images,
                entry["rule"] if wide else entry["rule"].partition(":")[0].partition("=")[0],
            )
        self._print(table)
        if len(conflicts) > _SHOWN:
            self.fact(f"and {len(conflicts) - _SHOWN} more")

    def _heading(self, name: str, what: str) -> None:
        self._print(Text.assemble("\n", (name, "bold"), "  ", (what, "dim")))

    def _note(self, line: str) -> None:
        self._print(Text(f"   {line}", "dim"))

    def _table(self, *names: str, right: bool = True) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for number, name in enumerate(names):
            justify = "right" if right and number else "left"
            table.add_column(name, justify=justify, overflow="fold", no_wrap=name != "by")  # type: ignore[arg-type]
        return table


def _brief(entry: Mapping[str, Any], side: str) -> str:
    """Give what one side had, in the columns that tell the rows apart."""
    image = entry[f"{side}_image"]
    if image is None:
        return "deleted"
    row = dict(zip(entry["columns"], image, strict=True))
    seconds = str(row["updated_at"]).strip("'").rpartition(":")[2]
    return f"{row['total']} @ :{seconds[:-3]}"
