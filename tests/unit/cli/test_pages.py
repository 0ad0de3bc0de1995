"""Every command, option, exit code, key, JSON field and event is documented."""

import ast
import re
from pathlib import Path

import pytest

from syncer import errors
from syncer.cli.shape import EXIT_CODES
from syncer.config.model import SECTIONS
from syncer.ledger.records import (
    ConflictEntry,
    ConflictRecord,
    LedgerSummary,
    SideSummary,
    SpanProgress,
    TableSummary,
)
from syncer.service import reports
from syncer.telemetry import events
from tests.unit.cli import pages

PACKAGE = Path(__file__).parents[3] / "syncer"


@pytest.mark.parametrize("page", ["cli.md", "config.md"])
def test_generated_parts_are_current(page):
    text = (pages.DOCS / page).read_text("utf-8")
    assert pages.render(text) == text, "run python -m tests.unit.cli.pages"


def test_every_command_and_section_has_its_block():
    cli = (pages.DOCS / "cli.md").read_text("utf-8")
    config = (pages.DOCS / "config.md").read_text("utf-8")
    assert [m[1] for m in pages.BLOCK.findall(cli)] == [name for name, _ in pages.commands()]
    assert {m[1] for m in pages.BLOCK.findall(config)} == {"top", "table", *SECTIONS} - {"b"}


def test_every_command_has_help_examples_and_exit_codes():
    for name, command in pages.commands():
        assert command.help, name
        assert command.examples, name
        assert {0, 2} <= set(command.exits), name
        assert set(command.exits) <= set(EXIT_CODES), name
        for param in command.params:
            assert param.help, f"{name} {param.name}"


def test_every_exit_code_is_documented():
    assert set(EXIT_CODES) == {int(code) for code in errors.ExitCode}
    page = (pages.DOCS / "cli.md").read_text("utf-8")
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in page


@pytest.mark.parametrize(
    "kind",
    [
        reports.RunReport,
        reports.RunSnapshot,
        reports.SideStatus,
        reports.ClockReport,
        reports.BaselineProgress,
        reports.ConflictLine,
        reports.VerifyReport,
        reports.TableVerdict,
        LedgerSummary,
        TableSummary,
        SideSummary,
        SpanProgress,
        ConflictRecord,
        ConflictEntry,
    ],
)
def test_every_json_field_is_documented(kind):
    page = (pages.DOCS / "cli-json.md").read_text("utf-8")
    missing = [f for f in kind.__struct_fields__ if f"`{f}`" not in page]
    assert missing == []


LEVELS = {"debug", "info", "warning", "error", "exception"}
EVENT = re.compile(r"[a-z_]+\.[a-z_]+")


def test_every_event_that_is_logged_is_listed():
    unlisted = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            first = node.args[0] if node.args else None
            attr, text = node.func.attr, str(getattr(first, "value", ""))
            if (attr in LEVELS or attr == "level") and EVENT.fullmatch(text):
                unlisted |= {text} - events.ALL
    assert unlisted == set()
