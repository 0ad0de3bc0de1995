"""
One frame of the live view: a snapshot drawn for a terminal of any width.

Pure: the same snapshot, history and width give the same picture. Colour means something or is not there: green runs,
yellow waits or is held, red needs a person; cyan is A, magenta is B; everything else is plain or dim.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from syncer.cli import text
from syncer.cli.output import SIDE_STYLES
from syncer.core.side import SIDES, Side

if TYPE_CHECKING:
    from rich.console import RenderableType

    from syncer.service.reports import (
        BaselineProgress,
        ConflictLine,
        PausedLine,
        RunSnapshot,
        SideStatus,
    )

STATE_STYLES = {
    "connected": "green",
    "starting": "yellow",
    "interrupted": "yellow",
    "failed": "bold red",
    "stopped": "dim",
}
PHASES = {
    "starting": "starting",
    "baseline": "comparing tables",
    # One word for both: a busy pair changes between them several times a second.
    "reconciling": "following both streams",
    "tailing": "following both streams",
    "stopping": "finishing the batch in hand",
}
MAX_WIDTH = 118
PAUSED_LINES = 4
CONFLICT_LINES = 5
_BARS = "▁▂▃▄▅▆▇█"


class History:
    """Rates of the last minutes, from successive snapshots of one run."""

    def __init__(self, *, points: int = 48, every_s: float = 1.0) -> None:
        """Keep *points* rates per side, one each *every_s* seconds."""
        self._every_s = every_s
        self._last: tuple[float, dict[Side, int]] | None = None
        self.rates: dict[Side, deque[float]] = {side: deque(maxlen=points) for side in SIDES}

    def learn(self, snapshot: RunSnapshot) -> None:
        """Take a snapshot; those that come too soon are passed over."""
        now = {side: getattr(snapshot, side.value).transactions for side in SIDES}
        if self._last is None:
            self._last = (snapshot.uptime_s, now)
            return
        passed = snapshot.uptime_s - self._last[0]
        if passed < self._every_s:
            return
        for side in SIDES:
            self.rates[side].append(max(0.0, (now[side] - self._last[1][side]) / passed))
        self._last = (snapshot.uptime_s, now)

    def rate(self, side: Side) -> float:
        """Return the mean of the last few rates, transactions per second; 0.0 before the first."""
        recent = list(self.rates[side])[-5:]
        return sum(recent) / len(recent) if recent else 0.0


def sparkline(values: list[float], width: int) -> str:
    """Return the last *width* values as small bars, right-aligned; nothing is the lowest bar."""
    shown = values[-width:] if width > 0 else []
    top = max(shown, default=0.0)
    bars = "".join(
        " " if v <= 0 else _BARS[min(len(_BARS) - 1, int(v / top * (len(_BARS) - 1) + 0.5))]
        for v in shown
    )
    return bars.rjust(max(width, 0))


def draw(
    snapshot: RunSnapshot, history: History, *, title: str, width: int, stopping: bool = False
) -> RenderableType:
    """Return the whole view of a run for a terminal *width* columns wide."""
    width = min(width, MAX_WIDTH)
    phase = "stopping" if stopping else snapshot.phase
    parts: list[RenderableType] = [_heading(snapshot, phase, title, width)]
    side_by_side = width >= 76
    each = (width - 1) // 2 if side_by_side else width
    panels = [_panel(snapshot, side, history, each) for side in SIDES]
    if side_by_side:
        grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
        grid.add_column(width=each)
        grid.add_column(width=each)
        grid.add_row(*panels)
        parts.append(grid)
    else:
        parts += panels
    if snapshot.baseline.tables_done < snapshot.baseline.tables_total:
        parts.append(progress(snapshot.baseline, width))
    parts.append(_figures(snapshot))
    parts += _troubles(snapshot)
    parts += [paused_line(one) for one in snapshot.paused[:PAUSED_LINES]]
    if len(snapshot.paused) > PAUSED_LINES:
        parts.append(Text(f" and {len(snapshot.paused) - PAUSED_LINES} more paused", "yellow"))
    if snapshot.recent_conflicts:
        parts += [Text(), conflict_lines(snapshot.recent_conflicts, width)]
    return Group(*parts)


def _heading(snapshot: RunSnapshot, phase: str, title: str, width: int) -> RenderableType:
    calm = phase in {"tailing", "reconciling"}
    left = Text.assemble(
        ("syncer ", "bold"),
        (title, ""),
        ("  ", ""),
        ("● ", "green" if calm else "yellow"),
        (PHASES.get(phase, phase), "green" if calm else "yellow"),
    )
    grid = Table.grid(expand=False)
    right = Text(f"up {text.duration(snapshot.uptime_s)}", "dim")
    grid.add_column(width=max(1, width - len(right)), no_wrap=True, overflow="ellipsis")
    grid.add_column(width=len(right))
    grid.add_row(left, right)
    return grid


def _panel(snapshot: RunSnapshot, side: Side, history: History, width: int) -> Panel:
    status: SideStatus = getattr(snapshot, side.value)
    inner = width - 4
    name = Text.assemble(
        (side.value.upper(), SIDE_STYLES[side.value]), (f"  {status.endpoint}", "bold")
    )
    grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column(style="dim", width=9, no_wrap=True)
    grid.add_column(width=max(8, inner - 10), no_wrap=True, overflow="ellipsis")
    style = STATE_STYLES.get(status.state, "yellow")
    grid.add_row(
        "stream",
        Text.assemble(
            ("● ", style),
            (status.state, style),
            ("  lag ", "dim"),
            text.lag(status.lag_s),
            ("  arrived ", "dim") if status.behind_s is not None else "",
            text.lag(status.behind_s) if status.behind_s is not None else "",
        ),
    )
    rate = f"{text.short(history.rate(side))}/s"
    total = text.count(status.transactions)
    room = inner - 10 - len(total) - len(rate) - 4
    grid.add_row(
        "seen",
        Text.assemble(
            total,
            (f"  {rate}", "dim"),
            (
                f"  {sparkline(list(history.rates[side]), min(room, 24))}",
                SIDE_STYLES[side.value][5:],
            ),
        ),
    )
    grid.add_row("written", _applied(status))
    grid.add_row("position", Text(status.position or "-", "dim"))
    return Panel(
        grid,
        box=box.ROUNDED,
        title=name,
        title_align="left",
        subtitle=Text(status.server, "dim") if status.server else None,
        subtitle_align="right",
        border_style="bright_black" if status.state != "failed" else "red",
        width=width,
        padding=(0, 1),
    )


def _applied(status: SideStatus) -> Text:
    line = Text()
    for sign, number, style in (
        ("+", status.applied_inserts, "green"),
        ("~", status.applied_updates, "yellow"),
        ("-", status.applied_deletes, "red"),
    ):
        line.append(sign, style if number else "dim")
        line.append(f"{text.count(number)}   ", "" if number else "dim")
    return line


def progress(baseline: BaselineProgress, width: int, waits: str | None = None) -> RenderableType:
    """Return the bar of a whole-table comparison, and below it what it *waits* for."""
    total = max(baseline.rows_total, baseline.rows_done, 1)
    share = baseline.rows_done / total
    tail = Text.assemble(
        (f"{share:4.0%}", "bold"), ("  left ", "dim"), text.duration(baseline.eta_s)
    )
    bar = max(8, width - 9 - 20)
    grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column(width=8, no_wrap=True, style="dim")
    grid.add_column(width=bar)
    grid.add_column(width=18, no_wrap=True)
    picture = ProgressBar(
        total=total,
        completed=min(baseline.rows_done, total),
        width=bar,
        complete_style="blue",
        finished_style="green",
    )
    grid.add_row(" compare", picture, tail)
    facts = Text.assemble(
        " " * 9,
        f"{text.short(baseline.rows_done)} of {text.short(total)} rows",
        (
            f"   table {min(baseline.tables_done + 1, baseline.tables_total)} of {baseline.tables_total}",
            "dim",
        ),
        (f"  {baseline.table}", ""),
        no_wrap=True,
        overflow="ellipsis",
    )
    if baseline.differing:
        facts.append(f"   {text.short(baseline.differing)} differ", "yellow")
    if waits is None:
        return Group(grid, facts)
    reason = " ".join(waits.split())
    held = Text.assemble(
        (" waiting ", "dim"), (reason, "yellow"), no_wrap=True, overflow="ellipsis"
    )
    return Group(grid, facts, held)


def _figures(snapshot: RunSnapshot) -> Text:
    """Return what waits and what was decided, in one line."""
    waiting = snapshot.dirty_keys or snapshot.dirty_spans
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(" dirty ", "dim")
    line.append(text.plural(snapshot.dirty_keys, "key"), "" if waiting else "green")
    if snapshot.dirty_spans:
        line.append(f", {text.plural(snapshot.dirty_spans, 'range')}")
    line.append("   conflicts ", "dim")
    line.append(f"{text.count(snapshot.conflicts_resolved)} resolved")
    line.append(", ")
    held = max(snapshot.conflicts_held, snapshot.held)
    line.append(f"{text.count(held)} held", "bold yellow" if held else "")
    line.append("   latency ", "dim")
    line.append(text.milliseconds(snapshot.latency_p50_ms))
    line.append("  p99 ", "dim")
    line.append(text.milliseconds(snapshot.latency_p99_ms))
    if snapshot.clock_skew_s is not None:
        line.append("   clocks ", "dim")
        line.append(text.skew(snapshot.clock_skew_s, snapshot.clock_skew_error_s))
    return line


def _troubles(snapshot: RunSnapshot) -> list[Text]:
    """Return a line for each side that has trouble, and one for what holds everything up."""
    found = [
        (f" {side.value.upper()} ", SIDE_STYLES[side.value], error)
        for side in SIDES
        if (error := getattr(snapshot, side.value).error)
    ]
    if snapshot.throttled_by:
        found.append((" waiting ", "dim", snapshot.throttled_by))
    return [
        Text.assemble(
            (label, style), (" ".join(reason.split()), "yellow"), overflow="ellipsis", no_wrap=True
        )
        for label, style, reason in found
    ]


def paused_line(paused: PausedLine) -> Text:
    """Return one line for a table that waits, and why."""
    return Text.assemble(
        (" paused ", "bold yellow"),
        paused.table,
        (f"  {' '.join(paused.reason.split())}", "yellow"),
        (f"  since {text.moment(paused.since)}", "dim"),
        overflow="ellipsis",
        no_wrap=True,
    )


def _kind(line: ConflictLine) -> str:
    """Return the kind in words; a pair of operations with a stroke: ``update/delete``."""
    parts = line.kind.split("_")
    pair = len(parts) == 2 and set(parts) <= {"insert", "update", "delete"}
    return ("/" if pair else " ").join(parts) + (" ?" if line.possible else "")


def conflict_lines(lines: tuple[ConflictLine, ...], width: int) -> RenderableType:
    """Return the newest conflicts, one line each."""
    wide = width >= 100
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="dim", justify="right", no_wrap=True, width=6)
    table.add_column(no_wrap=True, width=5)
    table.add_column(no_wrap=True, overflow="ellipsis", width=20 if wide else 13)
    table.add_column(no_wrap=True, overflow="ellipsis", width=max(12, width - (67 if wide else 30)))
    if wide:
        table.add_column(no_wrap=True, overflow="ellipsis", style="dim", width=26)
    for line in lines[:CONFLICT_LINES]:
        won = (
            Text.assemble((line.winner.upper(), SIDE_STYLES[line.winner]), " won")
            if line.winner
            else Text(line.status[:5], "bold yellow" if line.status == "held" else "dim")
        )
        place = Text.assemble((line.table, ""), (f"  {text.printable(line.key)}", "bold"))
        cells: list[str | Text] = [f"#{line.conflict_id}", won, _kind(line), place]
        table.add_row(*cells, *([line.rule] if wide else []))
    return table
