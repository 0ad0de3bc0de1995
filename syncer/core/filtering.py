"""
Row filters (``where``): which rows of a table belong to the pair.

A filter is text for both servers, so it may say only what depends on the row alone: columns, literals, operators and functions
that give the same answer whenever and wherever they are asked. Anything else is refused by name. What becomes of rows that
leave a filter is decided in ``core/decision.py``; docs/protocol.md, "Filters".
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection

import msgspec

from syncer.core.schema import TableSchema

_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<text>[xXbB]?'[^'\\]*(?:''[^'\\]*)*')"
    r"|(?P<number>(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)(?![\w$]))"
    r"|(?P<quoted>`(?:[^`]|``)+`)"
    r"|(?P<word>[^\W\d][\w$]*)"
    r"|(?P<sign><=>|<=|>=|<>|!=|=|<|>|\+|-(?!-)|/(?!\*)|\*|%|\(|\)|,|\|\||&&|!)"
)
_WORDS = frozenset(
    [
        "and",
        "or",
        "not",
        "xor",
        "in",
        "between",
        "like",
        "is",
        "null",
        "true",
        "false",
        "unknown",
        "div",
        "mod",
        "case",
        "when",
        "then",
        "else",
        "end",
        "date",
        "timestamp",
    ]
)
_FUNCTIONS = frozenset(
    [
        "abs",
        "ceil",
        "ceiling",
        "char_length",
        "coalesce",
        "crc32",
        "date",
        "day",
        "dayofweek",
        "floor",
        "greatest",
        "hex",
        "if",
        "ifnull",
        "isnull",
        "least",
        "left",
        "length",
        "lower",
        "mod",
        "month",
        "nullif",
        "quarter",
        "right",
        "round",
        "sign",
        "substring",
        "substr",
        "trim",
        "upper",
        "year",
    ]
)


class RowFilter(msgspec.Struct, frozen=True):
    """
    A filter that may be asked for.

    Attributes:
        text: as the servers get it.
        columns: the names it mentions, as written; of a word it is not known here whether it is a column.
    """

    text: str
    columns: tuple[str, ...]

    def problems(
        self, schema: TableSchema, side: str, ignored: Collection[str] = frozenset()
    ) -> list[str]:
        """Name what keeps the filter from being asked of the table of *side*; *ignored*: columns in lower case."""
        known = {column.name.lower() for column in schema.columns}
        return [
            f"where: {schema.name} has no column {name!r} on side {side}"
            for name in self.columns
            if name.lower() not in known
        ] + [
            f"where: column {name} of {schema.name} is in ignore_columns: both sides may differ in it"
            for name in self.columns
            if name.lower() in ignored
        ]


@functools.lru_cache(maxsize=256)
def parse_filter(text: str) -> RowFilter:
    """
    Read a filter; an empty one takes every row and has no columns.

    Raises:
        ValueError: it says what cannot be held to, or cannot be read.
    """
    columns: dict[str, None] = {}
    depth = at = 0
    text = text.strip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"where: {_around(text, at)} cannot stand in a filter")
        at = found.end()
        kind, token = found.lastgroup, found.group()
        if kind == "quoted":
            columns[token[1:-1].replace("``", "`")] = None
        elif kind == "word":
            called = text[at:].lstrip().startswith("(")
            lowered = token.lower()
            if called and lowered not in _FUNCTIONS | _WORDS:
                raise ValueError(
                    f"where: {token}() is no function that a filter may use; it may use {', '.join(sorted(_FUNCTIONS))}"
                )
            if not called and lowered not in _WORDS:
                columns[token] = None
        elif kind == "sign":
            depth += {"(": 1, ")": -1}.get(token, 0)
        if depth < 0:
            break
    if depth:
        raise ValueError("where: its parentheses do not match")
    if text and not columns:
        raise ValueError("where: it mentions no column: every row would be in it, or none")
    return RowFilter(text, tuple(columns))


def _around(text: str, at: int) -> str:
    """The place, without what may be a value."""
    return "a string with a backslash or without an end" if text[at] == "'" else repr(text[at])
