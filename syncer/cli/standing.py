"""What ``syncer status`` prints: the ledger at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from syncer.cli import frame, journal, output, text
from syncer.clock import SystemClock
from syncer.core.side import SIDES

if TYPE_CHECKING:
    from syncer.core.position import StreamPosition
    from syncer.service.standing import StatusReport


def print_status(report: StatusReport) -> None:
    """Print positions, what is dirty, comparisons under way and conflicts."""
    console = output.out()
    summary = report.summary
    console.print(
        Text.assemble(
            ("pair ", "dim"), (summary.pair_id, "bold"), ("  epoch ", "dim"), str(summary.epoch)
        )
    )
    for side in SIDES:
        name = (side.value.upper(), output.SIDE_STYLES[side.value])
        console.print(
            Text.assemble(name, ("  read up to ", "dim"), _position(summary.positions.get(side)))
        )
    _print_clocks(report)
    _print_tables(report)
    for paused in report.paused:
        console.print(frame.paused_line(paused))
    for span in report.spans:
        if span.open_spans:
            console.print(
                Text.assemble(
                    ("comparing ", "dim"),
                    str(span.table),
                    f"  {text.plural(span.rows, 'row')} so far, {text.count(span.differing)} differ",
                    (f"  since {text.moment(span.started_at)}", "dim"),
                )
            )
    if summary.open_batches:
        batches = (
            "batch without a known outcome"
            if summary.open_batches == 1
            else "batches without a known outcome"
        )
        console.print(
            Text(f"{summary.open_batches} {batches}: looked up at the next start", "yellow")
        )
    _print_conflicts(report)


def _position(position: StreamPosition | None) -> str:
    if position is None:
        return "nothing yet"
    return f"{position.file}:{position.offset}  (transaction {text.count(position.seq)})"


def _print_clocks(report: StatusReport) -> None:
    found = report.clocks
    if found is None:
        return
    line = Text.assemble(("clocks ", "dim"), text.skew(found.skew_s, found.skew_error_s))
    for side in SIDES:
        lag, behind = (getattr(found, f"{side.value}_{name}_s") for name in ("lag", "behind"))
        line.append("  lag ", "dim")
        line.append(side.value.upper(), output.SIDE_STYLES[side.value])
        line.append(f" {text.lag(lag)}")
        if behind is not None:
            line.append(" arrived ", "dim")
            line.append(text.lag(behind))
    age = text.duration(SystemClock().now() - found.measured_at)
    line.append(f"  at {text.moment(found.measured_at)}, {age} ago", "dim")
    output.out().print(line)
    for side, why in found.unheard.items():
        name = (side.value.upper(), output.SIDE_STYLES[side.value])
        said = (f"  is not heard: {' '.join(why.split())}", "yellow")
        output.out().print(Text.assemble(name, said))
    if found.throttled_by:
        reason = Text.assemble(("waiting ", "dim"), (found.throttled_by, "yellow"))
        output.out().print(reason)


def _print_tables(report: StatusReport) -> None:
    summary = report.summary
    console = output.out()
    if not summary.tables:
        console.print(Text("nothing is dirty", "green"))
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("dirty", overflow="fold")
    for name in ("keys A", "keys B", "ranges A", "ranges B", "held A", "held B"):
        table.add_column(name, justify="right")
    for row in summary.tables:
        numbers = [getattr(row.of(s), f) for f in ("keys", "spans", "held") for s in SIDES]
        table.add_row(str(row.table), *(Text(text.count(n), "" if n else "dim") for n in numbers))
    console.print(table)
    if summary.oldest_s:
        console.print(Text(f"oldest mark {text.duration(summary.oldest_s)} ago", "dim"))


def _print_conflicts(report: StatusReport) -> None:
    console = output.out()
    counts = {str(status): n for status, n in report.summary.conflicts.items() if n}
    line = Text("conflicts ", "dim")
    if not counts:
        line.append("none", "green")
    for place, (status, number) in enumerate(counts.items()):
        line.append(", " if place else "")
        line.append(f"{text.count(number)} {status}", journal.STATUS_STYLES.get(status, ""))
    console.print(line)
    if report.recent_conflicts:
        console.print(
            frame.conflict_lines(report.recent_conflicts, min(console.width, frame.MAX_WIDTH))
        )
