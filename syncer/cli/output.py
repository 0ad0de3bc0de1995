"""
Results on stdout, everything else on stderr.

``--json`` prints one document: the report's Struct with ``format_version`` and ``command`` in front (docs/cli-json.md).
Fields are added, never changed. Human tables are a rendering of the same Structs.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from syncer.cli import paper, text
from syncer.cli.paper import Column, Part
from syncer.core.side import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from syncer.service.reports import RunReport, VerifyReport

FORMAT_VERSION = 1
"""Raised when a field of a JSON document changes its meaning."""

LEVEL_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan", "ok": "green"}
SIDE_STYLES = {"a": "bold cyan", "b": "bold magenta"}


def out(*, folds: bool = False) -> Console:
    """Return a console on stdout; plain text where that is no terminal. *folds*: to the terminal's width, into a pipe as well."""
    return paper.console(sys.stdout, folds=folds)


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
    code: str,
    message: str,
    exit_code: int,
    *,
    as_json: bool,
    given: Sequence[str] = (),
    findings: Iterable[Any] = (),
) -> None:
    """
    Print the error that ends the program on stderr: one line, or one JSON object with its findings, which the line names too.

    Args:
        given: the arguments of the command, of which the message may name one that holds a password: it is masked.

    Where nobody can read it any more the exit code says it alone.
    """
    from syncer.cli.masking import masked

    found = list(findings)
    message = " ".join(masked(message, given).split())
    with contextlib.suppress(OSError):
        if as_json:
            problem: dict[str, Any] = {
                "code": code,
                "message": message,
                "exit_code": int(exit_code),
            }
            if found:
                problem["findings"] = [builtins(f) for f in found]
            line = {"format_version": FORMAT_VERSION, "error": problem}
            sys.stderr.write(msgspec.json.encode(line).decode() + "\n")
            return
        sheet = paper.err()
        sheet.line(("syncer: error: ", "bold red"), message)


def findings(found: Iterable[Any]) -> None:
    """Print the findings of preflight, errors first."""
    sheet = paper.out()
    order = {"error": 0, "warning": 1, "info": 2}
    for finding in sorted(found, key=lambda f: order.get(str(f.level), 3)):
        level = str(finding.level)
        side = str(finding.side) if finding.side else ""
        sheet.line(
            (f"{level:<8}", LEVEL_STYLES.get(level, "")),
            (f"{side or '-':<2} ", SIDE_STYLES.get(side, "dim")),
            (f"{finding.subject}: " if finding.subject else "", "bold"),
            finding.message,
            (f"  [{finding.code}]", "dim"),
        )
        if finding.fix:
            sheet.line(("fix  ", "green"), finding.fix, indent=11)


def check_summary(report: Any) -> None:
    """Print the verdict of ``check``."""
    errors = sum(str(f.level) == "error" for f in report.findings)
    warnings = sum(str(f.level) == "warning" for f in report.findings)
    counted = ", ".join(
        text.plural(n, word) for n, word in ((errors, "error"), (warnings, "warning")) if n
    )
    verdict = ("READY", "bold green") if report.ok else ("REFUSED", "bold red")
    paper.out().line(verdict, f"  {counted or 'nothing to mend'}")


def run_report(report: RunReport, *, dry_run: bool) -> None:
    """Print how a run ended."""
    sheet = paper.out()
    for line in report.planned:
        sheet.line(text.printable(line))
    last = report.last
    rows: list[list[Part]] = []
    for side in SIDES:
        status = getattr(last, side.value)
        written = (status.applied_inserts, status.applied_updates, status.applied_deletes)
        rows.append(
            [
                (side.value.upper(), SIDE_STYLES[side.value]),
                " ".join(filter(None, (status.endpoint, status.server))),
                *(text.count(n) for n in (status.transactions, *written)),
            ]
        )
    counts = ("transactions", "inserted", "updated", "deleted")
    sheet.table(
        [
            Column("", fold=True),
            Column("server", fold=True),
            *(Column(name, right=True) for name in counts),
        ],
        rows,
    )
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
    sheet.line((" · ".join(facts), "dim"), wraps=False)
    if report.message:
        sheet.line(report.message)
    sheet.line(*_run_verdict(report, dry_run=dry_run))


def _run_verdict(report: RunReport, *, dry_run: bool) -> list[Part]:
    if dry_run:
        planned = text.plural(len(report.planned), "change")
        early: Part = ("  stopped before all was looked at", "bold red")
        verdict: Part = (f"DRY RUN  {planned} planned, nothing written", "bold")
        return [verdict, early] if report.ended == "stopped" else [verdict]
    if report.in_sync:
        accepted = report.last.conflicts_skipped
        but_for = f"  but for {text.plural(accepted, 'accepted difference')}" if accepted else ""
        return [("IN SYNC", "bold green"), (but_for, "yellow")]
    last = report.last
    dirty = f"{text.plural(last.dirty_keys, 'key')} and {text.plural(last.dirty_spans, 'range')}"
    left = f"  {dirty} dirty, {text.count(last.held)} held"
    if report.in_sync is False:
        return [("NOT IN SYNC", "bold red"), left]
    if report.ended == "one_pass":
        some = last.dirty_keys or last.dirty_spans or last.held
        return [("ONE PASS DONE", "bold"), left if some else ""]
    return [("STOPPED", "bold")]


def verify_report(report: VerifyReport) -> None:
    """Print a full comparison."""
    sheet = paper.out()
    rows: list[list[Part]] = []
    for verdict in report.tables:
        found = (verdict.only_a, verdict.only_b, verdict.differing)
        mark = ("equal", "green") if verdict.equal else ("different", "red")
        if verdict.skipped is not None:
            mark = (f"left out: {verdict.skipped}", "yellow")
        rows.append(
            [
                verdict.table,
                text.count(verdict.rows_a),
                text.count(verdict.rows_b),
                *((text.count(n), "bold red" if n else "dim") for n in found),
                mark,
            ]
        )
    counts = ("rows A", "rows B", "only A", "only B", "differing")
    sheet.table(
        [Column("table", fold=True), *(Column(name, right=True) for name in counts), Column("")],
        rows,
    )
    for verdict in report.tables:
        for sample in verdict.samples:
            sheet.line((f"  {verdict.table}  ", "dim"), text.printable(sample))
        if verdict.note is not None:
            sheet.line((f"  {verdict.table}  ", "dim"), (verdict.note, "yellow"))
    different = sum(not verdict.equal for verdict in report.tables)
    took = f"{text.plural(len(report.tables), 'table')} in {text.duration(report.seconds)}"
    if report.equal:
        sheet.line(("EQUAL", "bold green"), f"  {took}")
    else:
        sheet.line(("DIFFERENT", "bold red"), f"  {text.count(different)} of {took}")
