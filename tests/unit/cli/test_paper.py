"""Reports on a terminal and elsewhere, and what is loaded for them."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from syncer.cli.paper import Column, Paper

COLUMNS = [Column("table", fold=True), Column("rows", right=True), Column("")]
ROWS = [["shop.a", "1,000", ("equal", "green")], ["shop.木", "2", ("different", "red")]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_columns_end_alike_whatever_the_width_of_a_letter():
    stream = io.StringIO()
    Paper(stream).table(COLUMNS, ROWS)
    assert stream.getvalue().splitlines() == [
        "table     rows",
        "shop.a   1,000  equal",
        "shop.木      2  different",
    ]


def test_a_terminal_gets_the_same_words_in_colour(terminal):
    paper = Paper(terminal)
    paper.table(COLUMNS, ROWS)
    paper.line(("EQUAL", "bold green"), "  2 tables")
    lines = terminal.getvalue().splitlines()
    assert "\x1b[32mequal" in lines[1]
    assert lines[3] == "\x1b[1;32mEQUAL\x1b[0m  2 tables"


def test_a_terminal_breaks_a_long_line_at_a_word_and_keeps_its_indent(terminal):
    Paper(terminal).line("word " * 12, indent=5)
    lines = terminal.getvalue().rstrip().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("     word") for line in lines)


def test_elsewhere_no_line_is_broken():
    stream = io.StringIO()
    Paper(stream).line("word " * 300, indent=5)
    assert stream.getvalue() == " " * 5 + "word " * 300 + "\n"


def test_nothing_that_draws_is_loaded_where_nothing_is_drawn():
    """What structlog would load of it included: together a sixth of a small ``syncer verify``."""
    code = (
        "import sys; sys.argv = ['syncer', 'status', '--json', '--ledger', 'none.db']\n"
        "from syncer.__main__ import entry\n"
        "try: entry()\n"
        "finally:\n"
        "    import syncer.service.app, syncer.cli.commands.run, syncer.cli.commands.verify, syncer.cli.commands.check\n"
        "    print(sorted(name for name in sys.modules if name.split('.')[0] in {'rich', 'pygments', 'textual'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 5, done.stderr
    assert done.stdout == "[]\n"
