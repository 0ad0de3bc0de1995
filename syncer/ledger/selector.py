"""
Which entries of the journal are meant: a small language whose words compose.

``kind:update_delete table:shop.* & !column:note & since:2h | a.total > 100``. Words side by side mean "and", as ``&`` does; ``|``
means "or", ``!`` "not", and there are parentheses. A word is

- ``name:pattern`` (``NAMES``), where a pattern may hold ``*`` and ``?``; ``since:`` and ``until:`` take ``30m``, ``2h``, ``7d`` (ago) or a
  date and time in UTC;
- a comparison of a column: ``city = 'Rome'``, ``a.total >= 10``, ``b.note ~ 'x*'``, ``o.city != NULL``. Without ``a.``, ``b.`` or ``o.`` (the
  base row) it is true where it is true of either side.

Pure: a text in, a function of an entry out.
"""

from __future__ import annotations

import decimal
import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from syncer.core.literals import literal_value
from syncer.core.side import Side
from syncer.ledger.records import ConflictEntry, ConflictRecord

Match = Callable[[ConflictRecord], bool]

WHOLE_SECOND_US = 1_000_000

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<sign>[()&|!](?!=))
    | (?P<name>[A-Za-z_]\w*):(?P<value>'(?:[^']|'')*'|"[^"]*"|[^\s()&|]+)
    | (?P<column>(?:[abo]\.)?(?:`[^`]+`|[A-Za-z_$][\w$]*))\s*(?P<op>!=|<=|>=|=|<|>|~)\s*
      (?P<literal>'(?:[^']|'')*'|"[^"]*"|[^\s()&|]+)
    | (?P<word>[A-Za-z]+)
    )""",
    re.VERBOSE,
)
_WORDS = {"and": "&", "or": "|", "not": "!"}
_OPS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _glob(read: Callable[[ConflictRecord], str]) -> Callable[[str], Match]:
    return lambda pattern: lambda record: fnmatchcase(read(record), pattern)


def _table(pattern: str) -> Match:
    whole = pattern if "." in pattern else f"*.{pattern}"
    return lambda record: fnmatchcase(record.entry.table, whole)


def _column(pattern: str) -> Match:
    return lambda record: any(fnmatchcase(name, pattern) for name in differing(record.entry))


def _kind(pattern: str) -> Match:
    return lambda record: any(
        fnmatchcase(kind, pattern) for kind in (record.entry.kind, *record.entry.sub_kinds)
    )


def _winner(side: str) -> Match:
    if side not in {"a", "b", "none"}:
        raise ValueError(f"won:{side}: name a, b or none")
    return lambda record: (str(record.entry.winner) if record.entry.winner else "none") == side


def _id(number: str) -> Match:
    if not number.isdecimal():
        raise ValueError(f"id:{number}: give a number from the list")
    return lambda record: record.conflict_id == int(number)


NAMES: dict[str, tuple[Callable[[str], Match], str]] = {
    "kind": (_kind, "the kind of conflict, or one of its sub-kinds"),
    "table": (_table, "the table; without a dot in any database"),
    "column": (_column, "a column in which the two rows differ; any where one row is absent"),
    "key": (_glob(lambda r: ",".join(r.entry.key)), "the key, its parts joined by commas"),
    "status": (_glob(lambda r: r.status.value), "the status"),
    "rule": (_glob(lambda r: r.entry.rule), "the rule or modifier that decided"),
    "path": (_glob(lambda r: r.entry.path), "how the rule came to its result"),
    "won": (_winner, "the side that won: a, b or none"),
    "id": (_id, "the number"),
}
"""What may stand before a colon, beside ``since`` and ``until``."""


def differing(entry: ConflictEntry) -> tuple[str, ...]:
    """Return the columns in which the two rows differ; all where one is absent."""
    a, b = entry.a_image, entry.b_image
    if a is None or b is None:
        return entry.columns
    return tuple(n for n, x, y in zip(entry.columns, a, b, strict=True) if x != y)


def image_of(entry: ConflictEntry, which: str) -> tuple[str | None, ...] | None:
    """Return the row of *which*: ``a``, ``b``, or ``o`` for the base; None where it is absent or not known."""
    if which == "o":
        return entry.base_image
    return entry.a_image if which == "a" else entry.b_image


def newest(entry: ConflictEntry) -> Side | None:
    """
    Return the side that changed the row last by its commit time; None where a time is not known, or where they tie.

    Times of MariaDB are whole seconds: closer than one is a tie.
    """
    a, b = entry.a_commit_us, entry.b_commit_us
    if not a or not b:
        return None
    whole = a % WHOLE_SECOND_US == 0 or b % WHOLE_SECOND_US == 0
    if abs(a - b) <= (WHOLE_SECOND_US if whole else 0):
        return None
    return Side.A if a > b else Side.B


def moment(text: str, now: float) -> float:
    """
    Read ``30m``, ``2h``, ``7d`` (before *now*), or a date and time (UTC where it names no zone), as seconds since the epoch.

    Raises ValueError in one line.
    """
    ago = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if ago:
        return now - float(ago[1]) * _UNITS[ago[2]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: write 30m, 2h, 7d or 2026-11-21T08:00 (UTC)"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def parse(text: str, now: float) -> Match:
    """Read an expression. An empty one matches everything. Raises ValueError in one line that shows the place."""
    return _Parser(text, now).whole()


class _Parser:
    def __init__(self, text: str, now: float) -> None:
        self._text = text
        self._now = now
        self._at = 0
        self._token: re.Match[str] | None = None
        self._next()

    def whole(self) -> Match:
        if self._ended():
            return lambda _record: True
        found = self._either()
        if not self._ended():
            raise self._wrong("not expected here")
        return found

    def _ended(self) -> bool:
        return self._token is None

    def _next(self) -> None:
        start = self._at
        rest = self._text[start:]
        if not rest.strip():
            self._token = None
            return
        found = _TOKEN.match(self._text, start)
        if found is None:
            raise ValueError(f"--where: cannot read {rest.strip()[:40]!r}")
        self._token = found
        self._at = found.end()

    def _sign(self) -> str | None:
        if self._token is None:
            return None
        word = self._token["word"]
        return self._token["sign"] or (_WORDS.get(word.lower()) if word else None)

    def _wrong(self, what: str) -> ValueError:
        shown = self._token[0].strip() if self._token is not None else "the end"
        return ValueError(f"--where: {shown!r} {what}")

    def _either(self) -> Match:
        parts = [self._both()]
        while self._sign() == "|":
            self._next()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda record: any(p(record) for p in parts)

    def _both(self) -> Match:
        parts = [self._one()]
        while self._token is not None and self._sign() not in {"|", ")"}:
            if self._sign() == "&":
                self._next()
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda record: all(p(record) for p in parts)

    def _one(self) -> Match:
        sign = self._sign()
        if sign == "!":
            self._next()
            inner = self._one()
            return lambda record: not inner(record)
        if sign == "(":
            self._next()
            inner = self._either()
            if self._sign() != ")":
                raise ValueError("--where: a parenthesis is not closed")
            self._next()
            return inner
        token = self._token
        if token is None or sign or token["word"]:
            raise self._wrong(
                "not expected here: write kind:update_delete, table:shop.*, city = 'Rome'..."
            )
        made = self._named(token) if token["name"] else _compared(token)
        self._next()
        return made

    def _named(self, token: re.Match[str]) -> Match:
        name, value = token["name"].lower(), _bare(token["value"])
        if name in {"since", "until"}:
            at = moment(value, self._now)
            if name == "since":
                return lambda record: record.entry.detected_at >= at
            return lambda record: record.entry.detected_at < at
        if name not in NAMES:
            known = ", ".join([*NAMES, "since", "until"])
            raise ValueError(f"--where: {name}: is not known; use {known}")
        return NAMES[name][0](value)


def _bare(text: str) -> str:
    if text[:1] == "'":
        return text[1:-1].replace("''", "'")
    return text[1:-1] if text[:1] == '"' else text


def _compared(token: re.Match[str]) -> Match:
    column, op, literal = token["column"], token["op"], token["literal"]
    sides: tuple[str, ...] = ("a", "b")
    if column[1:2] == "." and column[0] in "abo":
        sides, column = (column[0],), column[2:]
    name = column.strip("`").lower()
    wanted = None if literal.upper() == "NULL" else _bare(literal)
    if wanted is None and op not in {"=", "!="}:
        raise ValueError(f"--where: {column} {op} NULL: NULL is only equal to NULL, or not")

    def test(record: ConflictRecord) -> bool:
        columns = [one.lower() for one in record.entry.columns]
        if name not in columns:
            return False
        at = columns.index(name)
        rows = [image_of(record.entry, side) for side in sides]
        return any(_holds(row[at], op, wanted) for row in rows if row is not None)

    return test


def _holds(text: str | None, op: str, wanted: str | None) -> bool:
    if text is None:  # not kept
        return False
    value = literal_value(text)
    if value is None or wanted is None:
        same = value is None and wanted is None
        return same if op == "=" else not same if op == "!=" else False
    if op == "~":
        return fnmatchcase(str(value), wanted)
    try:
        # Numbers by their value, wherever both are some; anything else as text.
        return _OPS[op](decimal.Decimal(str(value)), decimal.Decimal(wanted))
    except decimal.InvalidOperation:
        return _OPS[op](str(value), wanted)
