"""
What a logged statement does to tables, judged conservatively from its text.

Where the affected tables cannot be told for certain the answer is wider, never narrower.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from syncer.binlog.events import QueryEvent, xid_text
from syncer.core.mark import Reason


class Kind(enum.Enum):
    """What becomes of the transaction or of tables."""

    NOISE = enum.auto()
    BEGIN = enum.auto()
    COMMIT = enum.auto()
    ROLLBACK = enum.auto()
    XA_START = enum.auto()
    XA_COMMIT = enum.auto()
    XA_ROLLBACK = enum.auto()
    CHANGE = enum.auto()


class Statement(NamedTuple):
    """
    A classified statement.

    Attributes:
        reason: why tables become dirty, for CHANGE.
        tables: (database, table) concerned, as written.
        databases: all of whose tables are concerned, and with rows changed by a statement whatever its triggers and functions reach;
            None in it stands for every table in scope.
        schema: the definition of the tables may have changed.
        rows: their rows may have changed.
        xid: of the XA kinds.
    """

    kind: Kind
    reason: Reason = Reason.STATEMENT
    tables: frozenset[tuple[str, str]] = frozenset()
    databases: frozenset[str | None] = frozenset()
    schema: bool = False
    rows: bool = True
    xid: str | None = None


NOISE = Statement(Kind.NOISE)
_EVERYTHING = Statement(Kind.CHANGE, databases=frozenset({None}))

_TOKEN = re.compile(
    r"""(?P<space>\s+|--(?=\s|$)[^\n]*|\#[^\n]*|/\*(?!M?!)(?:.*?\*/|.*$))
      | (?P<open>/\*M?!\d*)
      | (?P<close>\*/)
      | (?P<tick>`(?:[^`]|``)*`)
      | (?P<text>[xXbBnN]?'(?:[^'\\]|\\.|'')*')
      | (?P<double>"(?:[^"\\]|\\.|"")*")
      | (?P<word>[\w$@]+)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
_XID = re.compile(
    r"XA\s+\w+\s+X'([0-9A-F]*)'(?:\s*,\s*X'([0-9A-F]*)'(?:\s*,\s*(\d+))?)?", re.IGNORECASE
)
_SHORT = {
    "BEGIN": Statement(Kind.BEGIN),
    "COMMIT": Statement(Kind.COMMIT),
    "ROLLBACK": Statement(Kind.ROLLBACK),
}
_XA = {
    "START": Kind.XA_START,
    "BEGIN": Kind.XA_START,
    "COMMIT": Kind.XA_COMMIT,
    "ROLLBACK": Kind.XA_ROLLBACK,
}

# Verbs that change no row of any table; CREATE, ALTER and DROP are looked at more closely.
_QUIET = {
    "GRANT", "REVOKE", "FLUSH", "ANALYZE", "OPTIMIZE", "REPAIR", "CHECK", "CHECKSUM", "SAVEPOINT", "RELEASE", "SET",
    "INSTALL", "UNINSTALL", "LOCK", "UNLOCK", "USE", "SHOW", "PURGE", "RESET", "KILL", "START", "STOP", "CHANGE",
    "RESTART", "SHUTDOWN", "IMPORT", "CLONE", "CACHE", "BACKUP",
}  # fmt: skip
_QUIET_OBJECTS = {
    "USER", "ROLE", "SERVER", "TABLESPACE", "UNDO", "LOGFILE", "RESOURCE", "SPATIAL", "PROCEDURE", "FUNCTION",
    "EVENT", "VIEW", "PACKAGE", "SEQUENCE", "INSTANCE", "LIBRARY", "CATALOG", "MATERIALIZED", "JSON", "MASKING",
}  # fmt: skip
# Words between CREATE, ALTER or DROP and the kind of object.
_MODIFIERS = {
    "OR", "REPLACE", "ONLINE", "OFFLINE", "IGNORE", "UNIQUE", "FULLTEXT", "VECTOR", "AGGREGATE", "ALGORITHM",
    "UNDEFINED", "MERGE", "TEMPTABLE", "SQL", "SECURITY", "DEFINER", "INVOKER", "IF", "NOT", "EXISTS", "EXTERNAL",
}  # fmt: skip
_DEFINING = {"CREATE", "ALTER", "DROP", "RENAME"}
_TARGET_VERBS = {"INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD"}


# Words that a bracket may follow and that call no function of a user.
_NO_CALLS = {
    "VALUES", "VALUE", "ROW", "IN", "EXISTS", "ANY", "ALL", "SOME", "AND", "OR", "NOT", "XOR", "SELECT", "FROM", "AS", "ON", "WHERE",
    "HAVING", "BY", "SET", "THEN", "ELSE", "WHEN", "UNION", "PARTITION", "KEY", "INDEX", "LIMIT", "INTERVAL", "BETWEEN", "LIKE", "IS",
    "NOW", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "SYSDATE", "UTC_TIMESTAMP", "UNIX_TIMESTAMP", "FROM_UNIXTIME",
    "CURDATE", "CURTIME", "DATE", "DATE_ADD", "DATE_SUB", "CONCAT", "CONCAT_WS", "COALESCE", "IF", "IFNULL", "NULLIF", "GREATEST",
    "LEAST", "CAST", "CONVERT", "LOWER", "UPPER", "LENGTH", "HEX", "UNHEX", "MD5", "SHA1", "SHA2", "ROUND", "FLOOR", "ABS", "COUNT",
    "SUM", "MAX", "MIN", "AVG", "LAST_INSERT_ID", "CONNECTION_ID", "USER", "CURRENT_USER",
}  # fmt: skip


class _Token(NamedTuple):
    kind: str
    value: str

    @property
    def upper(self) -> str:
        return self.value.upper() if self.kind == "word" else ""


_COMMA, _BRACKET = _Token("mark", ","), _Token("mark", "(")


def _tokens(text: str, *, ansi_quotes: bool) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or "mark"
        value = found.group()
        if kind in {"space", "open", "close"}:
            continue
        if kind == "tick":
            yield _Token("name", value[1:-1].replace("``", "`"))
        elif kind == "double" and ansi_quotes:
            yield _Token("name", value[1:-1].replace('""', '"'))
        elif kind == "double":
            yield _Token("text", value)
        else:
            yield _Token(kind, value)


class _Reader:
    """A statement's tokens, read from the left."""

    def __init__(self, tokens: list[_Token], database: str) -> None:
        self.tokens = tokens
        self.database = database
        self.at = 0

    def peek(self, ahead: int = 0) -> _Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else _Token("end", "")

    def accept(self, *words: str) -> bool:
        """Step over *words* if all of them come next."""
        if all(self.peek(ahead).upper == word for ahead, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def name(self) -> tuple[str, str] | None:
        """Read ``table`` or ``database.table``; None if something else comes next."""
        first = self.peek()
        if first.kind not in {"word", "name"}:
            return None
        self.at += 1
        if (
            self.peek().value == "."
            and self.peek().kind == "mark"
            and self.peek(1).kind in {"word", "name"}
        ):
            self.at += 2
            return first.value, self.tokens[self.at - 1].value
        return self.database, first.value

    def qualifiers(self) -> set[str]:
        """Every name in front of a dot: databases, and aliases that do no harm."""
        return {
            token.value
            for token, dot in pairwise(self.tokens)
            if dot.value == "." and dot.kind == "mark" and token.kind in {"word", "name"}
        }


def classify(event: QueryEvent) -> Statement:
    """Judge one QUERY event."""
    text = event.text.strip()
    short = _SHORT.get(text.upper())
    if short:
        return short
    reader = _Reader(list(_tokens(text, ansi_quotes=event.ansi_quotes)), event.database)
    verb = reader.peek().upper
    if verb == "XA":
        return _xa(text, reader.peek(1).upper)
    if verb == "SET" and reader.peek(1).upper == "STATEMENT":
        while reader.peek().kind != "end" and not reader.accept("FOR"):
            reader.at += 1
        verb = reader.peek().upper
    if verb == "ANALYZE":
        verb = _analyzed(reader)
    reader.at += 1
    if verb == "ROLLBACK":  # TO SAVEPOINT; the others were told above
        return NOISE if reader.peek().upper in {"TO", "WORK"} else _SHORT["ROLLBACK"]
    if verb in {"BEGIN", "COMMIT"}:
        return _SHORT[verb]
    if verb in _QUIET:
        return NOISE
    statement = _tables(verb, reader)
    schema = verb in _DEFINING
    if not event.backslashes and "\\" in text and statement != NOISE:
        return _EVERYTHING._replace(schema=schema)  # literals may end elsewhere than the tokens say
    if statement is None or (not event.certain and statement.kind is Kind.CHANGE):
        return _wide(reader)._replace(schema=schema)
    return statement


def _analyzed(reader: _Reader) -> str:
    """Step to the statement that MariaDB's ANALYZE carries out; return its verb, or ANALYZE where it looks at tables only."""
    begin = reader.at
    reader.at += 1
    if reader.accept("FORMAT"):
        reader.at += 2
    if reader.peek().upper in _TARGET_VERBS | {"WITH"}:
        return reader.peek().upper
    reader.at = begin
    return "ANALYZE"


def _tables(verb: str, reader: _Reader) -> Statement | None:
    """Judge statements whose tables can be told; None for all others."""
    if verb == "TRUNCATE":
        reader.accept("TABLE")
        return _change(Reason.TRUNCATE, [reader.name()], schema=False)
    if verb == "RENAME":
        return _rename(reader)
    if verb in {"CREATE", "ALTER", "DROP"}:
        return _definition(verb, reader)
    if verb in _TARGET_VERBS:
        return _target(verb, reader)
    return None


def _change(
    reason: Reason, names: list[tuple[str, str] | None], *, schema: bool = True
) -> Statement | None:
    found = frozenset(name for name in names if name is not None)
    if not found or None in names:
        return None
    return Statement(Kind.CHANGE, reason, found, schema=schema)


def _xa(text: str, word: str) -> Statement:
    kind = _XA.get(word)
    if kind is None:
        return NOISE
    found = _XID.match(text)
    if not found:
        return _EVERYTHING
    first, second, form = found.group(1), found.group(2) or "", found.group(3) or "1"
    return Statement(kind, xid=xid_text(bytes.fromhex(first), bytes.fromhex(second), int(form)))


def _rename(reader: _Reader) -> Statement | None:
    if reader.peek().upper == "USER":
        return NOISE
    if not (reader.accept("TABLE") or reader.accept("TABLES")):
        return None
    reader.accept("IF", "EXISTS")
    names: list[tuple[str, str] | None] = []
    while reader.peek().kind != "end":
        names.append(reader.name())
        _skip_wait(reader)
        if not reader.accept("TO"):
            return None
        names.append(reader.name())
        if reader.peek().value != ",":
            break
        reader.at += 1
    return _change(Reason.DDL, names)


def _skip_wait(reader: _Reader) -> None:
    if reader.accept("WAIT"):
        reader.at += 1
    else:
        reader.accept("NOWAIT")


def _definition(verb: str, reader: _Reader) -> Statement | None:
    temporary = False
    while True:
        word = reader.peek()
        if word.upper == "TEMPORARY":
            temporary = True
        elif word.upper == "DEFINER" or word.value == "=":
            _skip_definer(reader)
            continue
        elif word.upper not in _MODIFIERS:
            break
        reader.at += 1
    what = word.upper
    reader.at += 1
    if what in _QUIET_OBJECTS:
        return NOISE
    if what in {"DATABASE", "SCHEMA"}:
        if verb != "DROP":
            return NOISE
        reader.accept("IF", "EXISTS")
        return Statement(
            Kind.CHANGE, Reason.DDL, databases=frozenset({reader.peek().value}), schema=True
        )
    if what == "INDEX":
        return _after_on(reader)
    if what == "TRIGGER":
        # Rows stay; what is known of the table's triggers does not. DROP TRIGGER does not name its table.
        if verb == "DROP":
            return NOISE
        found = _after_on(reader)
        return found and found._replace(rows=False)
    if what not in {"TABLE", "TABLES"}:
        return None
    return NOISE if temporary else _table_definition(verb, reader)


def _skip_definer(reader: _Reader) -> None:
    """Step over ``DEFINER = user@host``, in every way to quote it."""
    if reader.peek().upper == "DEFINER":
        reader.at += 1
    if reader.peek().value == "=":
        reader.at += 1
        user = reader.peek()
        reader.at += 1
        if reader.peek().value in {"(", "@"}:
            reader.at += 2
        elif user.kind != "word" and reader.peek().value.startswith("@"):
            reader.at += 2 if reader.peek().value == "@" else 1


def _after_on(reader: _Reader) -> Statement | None:
    while reader.peek().kind != "end":
        if reader.accept("ON"):
            return _change(Reason.DDL, [reader.name()])
        reader.at += 1
    return None


def _table_definition(verb: str, reader: _Reader) -> Statement | None:
    if not reader.accept("IF", "EXISTS"):
        reader.accept("IF", "NOT", "EXISTS")
    names = [reader.name()]
    if verb == "DROP":
        while reader.peek().value == ",":
            reader.at += 1
            names.append(reader.name())
    elif verb == "ALTER":
        while reader.peek().kind != "end":
            if reader.accept("RENAME"):
                if reader.peek().upper in {"COLUMN", "INDEX", "KEY"}:
                    continue
                if (
                    not reader.accept("TO")
                    and not reader.accept("AS")
                    and reader.peek().value == "="
                ):
                    reader.at += 1
                names.append(reader.name())
            elif (
                reader.accept("WITH", "TABLE")
                or reader.accept("TO", "TABLE")
                or reader.accept("CONVERT", "TABLE")
            ):
                names.append(reader.name())
            else:
                reader.at += 1
    return _change(Reason.DDL, names)


def _target(verb: str, reader: _Reader) -> Statement | None:
    """Judge DML: the default database is concerned only where a target may be in it, or a function of its."""
    if verb == "LOAD":
        while reader.peek().kind != "end" and not reader.accept("INTO", "TABLE"):
            if reader.peek().upper == "INDEX":
                return NOISE
            reader.at += 1
    elif verb == "DELETE":
        while reader.peek().upper in {"LOW_PRIORITY", "QUICK", "IGNORE"}:
            reader.at += 1
        if not reader.accept("FROM"):
            return None
    else:
        while reader.peek().upper in {"LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"}:
            reader.at += 1
    name = reader.name()
    if name is None or (verb in {"UPDATE", "DELETE"} and _has_several_targets(reader)):
        return None
    databases: set[str | None] = {name[0], *reader.qualifiers()}
    if _calls(reader):
        databases.add(reader.database)
    return Statement(Kind.CHANGE, databases=frozenset(databases))


def _has_several_targets(reader: _Reader) -> bool:
    """Say whether a comma or a join comes before what is done to them."""
    for token in reader.tokens[reader.at :]:
        if token.upper in {"JOIN", "USING"} or token == _COMMA:
            return True
        if token.upper in {"SET", "WHERE"}:
            break
    return any(token.upper in {"JOIN", "USING"} for token in reader.tokens)


def _calls(reader: _Reader) -> bool:
    """Say whether a function may be called behind the target's name that is not one of the server's own."""
    called = reader.tokens[reader.at :]
    return any(
        bracket == _BRACKET
        and (one.kind == "name" or (one.kind == "word" and one.upper not in _NO_CALLS))
        for one, bracket in pairwise(called)
    )


def _wide(reader: _Reader) -> Statement:
    """Answer for statements whose tables cannot be told: the default database and every one that is named."""
    databases: set[str | None] = {reader.database, *reader.qualifiers()}
    return Statement(Kind.CHANGE, databases=frozenset(databases), schema=False)
