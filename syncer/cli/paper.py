"""
What reports are put on: rich draws it on a terminal; elsewhere it is plain text, and rich is not even loaded.

Loading it is a sixth of a small ``syncer verify``, and most runs print to a log.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

Part = str | tuple[str, str]
"""A text, or a text and its style in rich's words."""


class Column(NamedTuple):
    """A column by its name; *right*: its cells end at the same place; *fold*: it is broken where the terminal is too narrow."""

    name: str
    right: bool = False
    fold: bool = False


class Paper:
    """Writes to *stream*; *wraps*: a terminal's lines end at a word, else where its width does."""

    def __init__(self, stream: IO[str], *, wraps: bool = True) -> None:
        """Write nothing yet."""
        self._stream = stream
        self._wraps = wraps
        self._console: Console | None = None
        if stream.isatty() or os.environ.get("FORCE_COLOR"):
            self._console = console(stream)

    def line(self, *parts: Part, indent: int = 0, wraps: bool | None = None) -> None:
        """Write *parts* as one line; *wraps* instead of the paper's."""
        if self._console is None:
            words = "".join(part if isinstance(part, str) else part[0] for part in parts)
            self._stream.write(" " * indent + words + "\n")
            return
        from rich.padding import Padding
        from rich.text import Text

        text = Text.assemble(*parts)
        soft = not (self._wraps if wraps is None else wraps)
        self._console.print(
            Padding(text, (0, 0, 0, indent)) if indent else text, soft_wrap=soft and not indent
        )

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[Part]]) -> None:
        """Write *rows* under the names of their *columns*."""
        if self._console is None:
            for line in _aligned(columns, rows):
                self._stream.write(line + "\n")
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(
                column.name,
                justify="right" if column.right else "left",
                overflow="fold" if column.fold else "ellipsis",
            )
        for row in rows:
            table.add_row(*(Text(*((cell,) if isinstance(cell, str) else cell)) for cell in row))
        self._console.print(table)


def console(stream: IO[str], *, folds: bool = False) -> Console:
    """Return rich's console on *stream*; *folds*: to the terminal's width even where that is none, as a file or a pipe."""
    from rich.console import Console

    width = None if folds or stream.isatty() else 1000
    return Console(file=stream, highlight=False, width=width)


def out() -> Paper:
    """Return the one for results."""
    return Paper(sys.stdout)


def err() -> Paper:
    """Return the one for errors."""
    return Paper(sys.stderr, wraps=False)


def _aligned(columns: Sequence[Column], rows: Sequence[Sequence[Part]]) -> list[str]:
    cells = [
        [column.name for column in columns],
        *([cell if isinstance(cell, str) else cell[0] for cell in row] for row in rows),
    ]
    widths = [max(map(_width, of_column)) for of_column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        line = ""
        for column, width, cell in zip(columns, widths, row, strict=True):
            room = " " * (width - _width(cell))
            line += (room + cell if column.right else cell + room) + "  "
        lines.append(line.rstrip())
    return lines


def _width(text: str) -> int:
    """How many columns *text* takes on a screen."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
