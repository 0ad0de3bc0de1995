"""
What a driver error becomes: our classes, our words.

Server messages carry row values ("Duplicate entry 'x'", "Incorrect ... value"), so none is ever passed on: the number
chooses our own text, and only names (key, constraint, column, table) are taken over. The original stays as ``__cause__``.
"""

from __future__ import annotations

import re
import ssl

import pymysql
from pymysql.constants import CR, ER

from syncer.errors import OutcomeUnknown, StatementRefused, SyncerError, TransientDatabaseError

LOST = frozenset(
    {2006, 2013, 2055, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 4031}
)
"""The connection is gone or about to go."""

TRANSIENT = LOST | {
    1020,  # MariaDB, snapshot isolation: the row was changed since it was read
    1021,  # disk full: waits for a person, loses nothing
    1040,  # too many connections
    1041,  # out of memory
    1114,  # table full
    1135,  # no new thread
    1203,  # max_user_connections
    1205,  # lock wait timeout
    1206,  # lock table full
    1213,  # deadlock
    1226,  # resource limit of the user
    1317,  # interrupted by KILL QUERY
    1412,  # the table's definition has changed: the snapshot is useless
    1615,  # prepared statement to be prepared again
    1637,  # too many concurrent transactions
    1969,  # MariaDB: max_statement_time
    2002,
    2003,
    2005,  # the host name is not known, for now
    3024,  # MySQL: max_execution_time
    3100,  # a replication hook refused the commit
    3101,  # group replication rolled back
    3168,
    3169,  # session killed
    3572,  # NOWAIT
}

LOCK_TIMEOUT = 1205
"""A row, or a table, was not to be had: somebody else's transaction holds it."""

ROLLED_BACK = frozenset({1020, 1205, 1213, 1613, 3101})
"""Answers to COMMIT which say for certain that nothing was committed."""

DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1410, 1419, 1698, 3879})

_TEXTS: dict[int, str] = {
    1020: "a row was changed since it was read",
    1021: "the disk is full",
    1040: "too many connections",
    1044: "access denied to a database",
    1045: "access denied: check the user name and the password",
    1049: "the database does not exist",
    1054: "a column does not exist",
    1062: "duplicate value for a unique key",
    1114: "a table is full: is the disk full?",
    1142: "a privilege on a table is missing",
    1143: "a privilege on a column is missing",
    1146: "a table does not exist",
    1129: "this host is blocked: run FLUSH HOSTS there",
    1130: "this host may not connect: create the user for it",
    1153: "a statement is larger than max_allowed_packet: raise it there",
    1203: "the user's connection limit is reached",
    1205: "a lock was not granted in time",
    1213: "deadlock",
    1226: "a resource limit of the user is reached",
    1227: "a privilege is missing",
    1264: "a value is out of range for its column",
    1290: "the server runs with an option that forbids this (read_only? the marker row is written on both sides)",
    1317: "the statement was interrupted",
    1364: "a column without a default was given no value",
    1366: "a value does not fit its column",
    1406: "a value is too long for its column",
    1412: "the table's definition has changed",
    1451: "a child row still refers to the row",
    1452: "the parent row is missing",
    1644: "a trigger refused the row",
    1698: "access denied: the user logs in by another method than a password",
    1792: "the transaction is read-only",
    1820: "the password must be changed first",
    1836: "the server is in read-only mode",
    1862: "the password has expired",
    3118: "the account is locked",
    3140: "a value is no valid JSON",
    3159: "the server insists on TLS: use ssl-mode=required",
    3572: "a lock was not granted at once",
    3819: "a check constraint is violated",
    4025: "a check constraint is violated",
    2000: "the server asked for a file, and got none",
    2002: "cannot connect",
    2003: "cannot connect",
    2005: "cannot connect: the host name is not known",
    2006: "the connection is gone",
    2013: "the connection was lost",
    2026: "TLS could not be set up",
    2059: "the user's authentication method is not supported",
    2061: "the user's authentication method is not supported",
}

_TLS_ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)

_KEY = re.compile(r"for key '([^']*)'$")
_CONSTRAINT = re.compile(r"CONSTRAINT [`']([^`']+)[`']")
_CHECK = re.compile(r"^(?:Check constraint|CONSTRAINT) [`']([^`']+)[`']")
_COLUMN = re.compile(r"(?:for column [`']([^`']+)[`'] at row|^Unknown column '([^']+)')")
_FIELD = re.compile(r"^(?:Field|Data too long for column|Out of range value for column) '([^']+)'")
_TABLE = re.compile(r"^Table '([^']+)'")
_GRANT = re.compile(
    r"at least one of\)? the ([A-Z_, ]+?) privilege|^([A-Z_, ]+?(?: with locking clause)?) command denied"
)
_ON_TABLE = re.compile(r"for table [`']([^']+?)[`']$")
_NAMES = {number: name for name, number in vars(ER).items() if isinstance(number, int)}


def translate(error: BaseException, where: str, *, committing: bool = False) -> SyncerError:
    """
    Return what *error* of the driver means; raise it ``from`` the original.

    Args:
        where: the side and its address, for the front of the message.
        committing: the statement was a COMMIT: unless the answer proves a rollback, the outcome is unknown (INV-14).
    """
    number, message = _number(error), _message(error)
    text = _describe(number, message)
    cause = getattr(error, "original_exception", None)
    tls = cause or error
    # A connection that ends in the middle of the handshake is a server that goes down, not one that is refused.
    if isinstance(tls, ssl.SSLError) and not isinstance(tls, _TLS_ENDED):
        return StatementRefused(f"{where}: {_TEXTS[2026]}: {_tls_reason(tls)}", errno=2026)
    if committing and number not in ROLLED_BACK:
        return OutcomeUnknown(f"{where}: the answer to a commit is missing ({text})")
    if number in TRANSIENT:
        if isinstance(cause, OSError):
            text = f"{text}: {cause.strerror or cause}"
        return TransientDatabaseError(f"{where}: {text}", errno=number)
    refused = StatementRefused(f"{where}: {text}", errno=number)
    refused.on_primary_key = number == ER.DUP_ENTRY and _key_name(message) == "PRIMARY"
    return refused


def _number(error: BaseException) -> int:
    if isinstance(error, pymysql.err.InterfaceError):
        return CR.CR_SERVER_GONE_ERROR
    if error.args and isinstance(error.args[0], int):
        return error.args[0]
    return CR.CR_SERVER_LOST if isinstance(error, OSError) else 0


def _message(error: BaseException) -> str:
    return error.args[1] if len(error.args) > 1 and isinstance(error.args[1], str) else ""


def _key_name(message: str) -> str:
    """The name at the message's end; a value in front of it may look like one."""
    found = _KEY.search(message)
    return found.group(1).rpartition(".")[2] if found else ""


def _describe(number: int, message: str) -> str:
    known = _TEXTS.get(number)
    if known is None:
        name = _NAMES.get(number)
        return f"the server refused a statement (error {number}{', ' + name if name else ''})"
    name = _name_in(number, message)
    return f"{known}{': ' + name if name else ''} (error {number})"


def _name_in(number: int, message: str) -> str:
    """Take over a name, where the message has one and where no value can stand in its place."""
    if number == ER.DUP_ENTRY:
        return _key_name(message)
    if number in DENIED:
        grant = _GRANT.search(message)
        table = _ON_TABLE.search(message)
        privilege = next((g for g in grant.groups() if g), "") if grant else ""
        return f"{privilege}{' on ' + table.group(1) if table else ''}"
    pattern = {
        1054: _COLUMN,
        1146: _TABLE,
        1264: _FIELD,
        1364: _FIELD,
        1366: _COLUMN,
        1406: _FIELD,
        1451: _CONSTRAINT,
        1452: _CONSTRAINT,
        3819: _CHECK,
        4025: _CHECK,
    }.get(number)
    found = pattern.search(message) if pattern else None
    return next((g for g in found.groups() if g), "") if found else ""


def _tls_reason(error: BaseException) -> str:
    return str(
        getattr(error, "verify_message", "") or getattr(error, "reason", "") or "no reason given"
    )
