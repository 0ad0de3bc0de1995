"""Reports as people and as machines read them."""

import json

import pytest

from syncer.cli import output, text
from syncer.core.side import Side
from syncer.mysql.findings import Finding, Level
from syncer.service.reports import CheckReport, RunReport, TableVerdict, VerifyReport
from tests.unit.cli.test_display import snapshot

FINDINGS = (
    Finding(
        level=Level.WARNING,
        side=None,
        code="clock_skew",
        subject="",
        message="clocks differ by 3 s",
    ),
    Finding(
        level=Level.ERROR,
        side=Side.B,
        code="grant_missing",
        subject="REPLICATION SLAVE",
        message="user u lacks it",
        fix="GRANT REPLICATION SLAVE ON *.* TO 'u'@'%';",
    ),
)
EQUAL = TableVerdict(table="shop.a", rows_a=2, rows_b=2, chunks=1, only_a=0, only_b=0, differing=0)
OTHER = TableVerdict(
    table="shop.b",
    rows_a=2,
    rows_b=1,
    chunks=1,
    only_a=1,
    only_b=0,
    differing=0,
    samples=("only on a: 7",),
)


def report(**more):
    return RunReport(**{"in_sync": True, "exit_code": 0, "last": snapshot(), **more})


def test_findings_come_errors_first_each_with_its_fix(capsys):
    output.findings(FINDINGS)
    output.check_summary(CheckReport(findings=FINDINGS, tables=("shop.a",)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("error   b  REPLICATION SLAVE: user u lacks it")
    assert lines[1].strip().startswith("fix  GRANT REPLICATION SLAVE")
    assert lines[2].startswith("warning - clocks") or lines[2].startswith("warning -  clocks")
    assert lines[-1] == "REFUSED  1 error, 1 warning"


def test_a_time_that_has_no_date_is_shown_all_the_same():
    assert text.moment(9e11) == "after 9999"
    assert text.moment(0.0) == "1970-01-01 00:00:00Z"


def test_a_refusal_shows_its_findings(capsys):
    output.error("preflight", "the pair is refused", 3, as_json=False, findings=FINDINGS)
    assert capsys.readouterr().err == "syncer: error: the pair is refused\n", "it names them itself"
    output.error("preflight", "the pair is refused", 3, as_json=True, findings=FINDINGS)
    problem = json.loads(capsys.readouterr().err)["error"]
    assert [f["code"] for f in problem["findings"]] == ["clock_skew", "grant_missing"]


@pytest.mark.parametrize(
    ("changes", "dry_run", "last_line"),
    [
        ({}, False, "IN SYNC"),
        (
            {"last": snapshot(conflicts_skipped=1)},
            False,
            "IN SYNC  but for 1 accepted difference",
        ),
        ({"in_sync": False}, False, "NOT IN SYNC  1 key and 0 ranges dirty, 0 held"),
        ({"in_sync": None}, False, "STOPPED"),
        (
            {"in_sync": None, "ended": "one_pass", "last": snapshot(dirty_keys=0)},
            False,
            "ONE PASS DONE",
        ),
        (
            {"in_sync": None, "ended": "one_pass", "last": snapshot(dirty_keys=0, held=3)},
            False,
            "ONE PASS DONE  0 keys and 0 ranges dirty, 3 held",
        ),
        (
            {"planned": ("a: update shop.orders 1",), "ended": "one_pass"},
            True,
            "DRY RUN  1 change planned, nothing written",
        ),
        (
            {"planned": ("a: update shop.orders 1",)},
            True,
            "DRY RUN  1 change planned, nothing written  stopped before all was looked at",
        ),
    ],
)
def test_a_run_ends_with_its_verdict(capsys, changes, dry_run, last_line):
    output.run_report(report(**changes), dry_run=dry_run)
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == last_line
    assert "12,345" in out
    assert "\x1b" not in out


def test_a_verification_names_what_differs(capsys):
    output.verify_report(VerifyReport(tables=(EQUAL, OTHER), seconds=2.0))
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "DIFFERENT  1 of 2 tables in 2.0 s"
    assert "only on a: 7" in out
    output.verify_report(VerifyReport(tables=(EQUAL,), seconds=75))
    assert capsys.readouterr().out.splitlines()[-1] == "EQUAL  1 table in 1:15"


def test_documents_carry_format_version_and_command(capsys):
    output.document("run", report())
    document = json.loads(capsys.readouterr().out)
    assert list(document)[:2] == ["format_version", "command"]
    assert document["last"]["a"]["transactions"] == 12_345
    output.document("verify", VerifyReport(tables=(OTHER,), seconds=1.0), equal=False)
    assert json.loads(capsys.readouterr().out)["equal"] is False
