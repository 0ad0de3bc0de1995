"""
Results on stdout, everything else on stderr.

``--json`` prints one document: the report's Struct with ``format_version`` and ``command`` in front (docs/cli-json.md).
Fields are added, never changed. Human tables are a rendering of the same Structs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from syncer.cli import text
from syncer.core.side import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from syncer.service.reports import RunReport, VerifyReport

FORMAT_VERSION = 1
"""Raised when a field of a JSON document changes its meaning."""

LEVEL_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan", "ok": "green"}
SIDE_STYLES = {"a": "bold cyan", "b": "bold magenta"}


def out() -> Console:
    """Return a console on stdout; plain text where that is no terminal."""
    width = None if sys.stdout.isatty() else 1000  # a file or a pipe folds nothing
    return Console(file=sys.stdout, highlight=False, width=width)


def err() -> Console:
    """Return a console on stderr."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def document(command: str, report: Any, **more: Any) -> None:
    """Print *report*, a Struct or a dict, as the JSON document of *command*; *more* are computed fields."""
    fields = {"format_version": FORMAT_VERSION, "command": command, **more, **builtins(report)}
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(fields), indent=2).decode() + "\n")


def builtins(report: Any) -> dict[str, Any]:
    """Return a report as plain JSON values; table names become ``database.table``."""
    plain = _plain(report)
    assert isinstance(plain, dict)
    return plain


def _plain(value: Any) -> Any:
    from syncer.core.schema import TableName

    if isinstance(value, TableName):
        return str(value)
    if isinstance(value, msgspec.Struct):
        return {f: _plain(getattr(value, f)) for f in value.__struct_fields__}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    return msgspec.to_builtins(value, enc_hook=str)


def error(
    code: str, message: str, exit_code: int, *, as_json: bool, findings: Iterable[Any] = ()
) -> None:
    """Print the error that ends the program on stderr: one line, or one JSON object; then its findings."""
    found = list(findings)
    if as_json:
        problem: dict[str, Any] = {"code": code, "message": message, "exit_code": int(exit_code)}
        if found:
            problem["findings"] = [builtins(f) for f in found]
        line = {"format_version": FORMAT_VERSION, "error": problem}
        sys.stderr.write(msgspec.json.encode(line).decode() + "\n")
        return
    console = err()
    console.print(Text.assemble(("syncer: error: ", "bold red"), " ".join(message.split())))
    if found:
        console.print(_findings_table(found))


def findings(found: Iterable[Any]) -> None:
    """Print the findings of preflight as a table, errors first."""
    listed = list(found)
    if listed:
        out().print(_findings_table(listed))


def _findings_table(found: list[Any]) -> RenderableType:
    order = {"error": 0, "warning": 1, "info": 2}
    rows: list[RenderableType] = []
    for finding in sorted(found, key=lambda f: order.get(str(f.level), 3)):
        level = str(finding.level)
        side = str(finding.side) if finding.side else ""
        rows.append(
            Text.assemble(
                (f"{level:<8}", LEVEL_STYLES.get(level, "")),
                (f"{side or '-':<2} ", SIDE_STYLES.get(side, "dim")),
                (f"{finding.subject}: " if finding.subject else "", "bold"),
                finding.message,
                (f"  [{finding.code}]", "dim"),
            )
        )
        if finding.fix:
            rows.append(Padding(Text.assemble(("fix  ", "green"), finding.fix), (0, 0, 0, 11)))
    return Group(*rows)


def check_summary(report: Any) -> None:
    """Print the verdict of ``check``."""
    errors = sum(str(f.level) == "error" for f in report.findings)
    warnings = sum(str(f.level) == "warning" for f in report.findings)
    counted = ", ".join(
        text.plural(n, word) for n, word in ((errors, "error"), (warnings, "warning")) if n
    )
    verdict = ("READY", "bold green") if report.ok else ("REFUSED", "bold red")
    out().print(Text.assemble(verdict, f"  {counted or 'nothing to mend'}"))


def run_report(report: RunReport, *, dry_run: bool) -> None:
    """Print how a run ended."""
    console = out()
    for line in report.planned:
        console.print(Text(text.printable(line)))
    last = report.last
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("", "server"):
        table.add_column(name, overflow="fold")
    for name in ("transactions", "inserted", "updated", "deleted"):
        table.add_column(name, justify="right")
    for side in SIDES:
        status = getattr(last, side.value)
        table.add_row(
            Text(side.value.upper(), style=SIDE_STYLES[side.value]),
            " ".join(filter(None, (status.endpoint, status.server))),
            *(
                text.count(n)
                for n in (
                    status.transactions,
                    status.applied_inserts,
                    status.applied_updates,
                    status.applied_deletes,
                )
            ),
        )
    console.print(table)
    facts = [
        f"{text.plural(report.rows_compared, 'row')} compared",
        f"{text.plural(report.rows_read, 'row')} read",
        f"{text.count(last.conflicts_resolved)} conflicts resolved, {text.count(last.conflicts_held)} held",
    ]
    if last.latency_p50_ms is not None:
        facts.append(
            f"latency {text.milliseconds(last.latency_p50_ms)} (p99 {text.milliseconds(last.latency_p99_ms)})"
        )
    for side in SIDES:
        status = getattr(last, side.value)
        if status.lag_p50_ms is not None:
            facts.append(
                f"lag {side.value.upper()} {text.milliseconds(status.lag_p50_ms)} "
                f"(p99 {text.milliseconds(status.lag_p99_ms)})"
            )
    if last.clock_skew_s is not None:
        facts.append(f"clocks {text.skew(last.clock_skew_s, last.clock_skew_error_s)}")
    facts.append(text.duration(last.uptime_s))
    console.print(Text(" · ".join(facts), style="dim"), soft_wrap=True)
    if report.message:
        console.print(Text(report.message))
    console.print(_run_verdict(report, dry_run=dry_run))


def _run_verdict(report: RunReport, *, dry_run: bool) -> Text:
    if dry_run:
        return Text(
            f"DRY RUN  {text.plural(len(report.planned), 'change')} planned, nothing written",
            "bold",
        )
    if report.in_sync:
        return Text("IN SYNC", "bold green")
    if report.in_sync is False:
        last = report.last
        dirty = (
            f"{text.plural(last.dirty_keys, 'key')} and {text.plural(last.dirty_spans, 'range')}"
        )
        left = f"  {dirty} dirty, {text.count(last.held)} held"
        return Text.assemble(("NOT IN SYNC", "bold red"), left)
    return Text("STOPPED", "bold")


def verify_report(report: VerifyReport) -> None:
    """Print a full comparison."""
    console = out()
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("table", overflow="fold")
    for name in ("rows A", "rows B", "only A", "only B", "differing"):
        table.add_column(name, justify="right")
    table.add_column("")
    for verdict in report.tables:
        found = (verdict.only_a, verdict.only_b, verdict.differing)
        if verdict.skipped is not None:
            mark = Text(f"left out: {verdict.skipped}", style="yellow")
        else:
            mark = Text("equal", style="green") if verdict.equal else Text("different", style="red")
        table.add_row(
            verdict.table,
            text.count(verdict.rows_a),
            text.count(verdict.rows_b),
            *(Text(text.count(n), style="bold red" if n else "dim") for n in found),
            mark,
        )
    console.print(table)
    for verdict in report.tables:
        for sample in verdict.samples:
            console.print(Text.assemble((f"  {verdict.table}  ", "dim"), text.printable(sample)))
        if verdict.note is not None:
            console.print(Text.assemble((f"  {verdict.table}  ", "dim"), (verdict.note, "yellow")))
    different = sum(not verdict.equal for verdict in report.tables)
    took = f"{text.plural(len(report.tables), 'table')} in {text.duration(report.seconds)}"
    if report.equal:
        console.print(Text.assemble(("EQUAL", "bold green"), f"  {took}"))
    else:
        console.print(
            Text.assemble(("DIFFERENT", "bold red"), f"  {text.count(different)} of {took}")
        )
