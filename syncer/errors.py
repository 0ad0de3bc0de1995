"""
Every error that leaves the package.

::

    SyncerError                     code (stable slug), retryable, exit_code
    |- ConfigError                  usage or configuration
    |- PreflightError               the pair is refused, with findings
    |- Interrupted                  asked to end before the work was complete
    |- StreamError
    |  |- StreamInterrupted (R)     the connection to a stream ended
    |  |  `- EventDamaged (R)       an event arrived damaged
    |  |- PositionLost              the saved position is no longer in the binlog
    |  |- ServerChanged             another server answers: the run begins again and looks at it
    |  `- UnsupportedEvent          an event that we cannot read and may not skip
    |- LedgerError
    |  |- LedgerLocked              another syncer uses it
    |  |- LedgerIncompatible        other pair, or a newer version
    |  `- LedgerCorrupt
    |- DatabaseError
    |  |- TransientDatabaseError (R)
    |  `- StatementRefused
    `- ReconcileError
       |- GuardFailed (R)           rows moved since they were read
       |- EpochLost                 another syncer has taken the pair over
       `- OutcomeUnknown            commit sent, answer lost: look it up, never resend

(R) = retryable. A message names the side, the table and the next step; it never holds a row value or a credential.
Divergence and conflict are values, not errors.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says when it ends; documented in README.md."""

    OK = 0
    DIFFERENT = 1
    USAGE = 2
    PREFLIGHT = 3
    RETRY = 4
    OPERATOR = 5
    INTERRUPTED = 130


class SyncerError(Exception):
    """Base of all errors of this package."""

    code = "error"
    retryable = False
    exit_code = ExitCode.RETRY


class ConfigError(SyncerError):
    """The command line or the configuration is wrong: correct it."""

    code = "config"
    exit_code = ExitCode.USAGE


class PreflightError(SyncerError):
    """The pair cannot be kept in sync as it is: see the findings (``mysql.findings.Finding``), each has its fix."""

    code = "preflight"
    exit_code = ExitCode.PREFLIGHT
    findings: tuple[object, ...] = ()


class Interrupted(SyncerError):
    """The process was asked to end before its work was complete: start it again."""

    code = "interrupted"
    exit_code = ExitCode.INTERRUPTED


class StreamError(SyncerError):
    """The replication stream of a side cannot be read."""

    code = "stream"


class StreamInterrupted(StreamError):
    """The stream's connection ended: it is opened again with a back-off."""

    code = "stream_interrupted"
    retryable = True


class EventDamaged(StreamInterrupted):
    """An event arrived damaged: it is asked for again, some times; damaged each time, it is an UnsupportedEvent."""

    code = "event_damaged"


class PositionLost(StreamError):
    """The saved position is no longer in the server's binlog: the tables must be compared again."""

    code = "position_lost"
    exit_code = ExitCode.OPERATOR
    side: str | None = None
    """Where a running stream found it."""


class ServerChanged(StreamError):
    """Another server answers at a side's address: the run begins again and looks whether it can be followed."""

    code = "server_changed"


class UnsupportedEvent(StreamError):
    """The stream holds an event that we cannot read and may not skip: see the message for the setting to change."""

    code = "unsupported_event"
    exit_code = ExitCode.OPERATOR


class LedgerError(SyncerError):
    """The ledger file cannot be used."""

    code = "ledger"
    exit_code = ExitCode.OPERATOR


class LedgerLocked(LedgerError):
    """Another syncer uses the ledger: stop it first."""

    code = "ledger_locked"
    exit_code = ExitCode.RETRY


class LedgerIncompatible(LedgerError):
    """The ledger belongs to another pair or to a newer version: name another file."""

    code = "ledger_incompatible"


class LedgerCorrupt(LedgerError):
    """The ledger cannot be read: move it away; a new one costs a baseline and deletes nothing two-way."""

    code = "ledger_corrupt"


class DatabaseError(SyncerError):
    """A server refused or failed a statement."""

    code = "database"


class TransientDatabaseError(DatabaseError):
    """A deadlock, a lock wait, a lost connection, a server that is down: the work is tried again."""

    code = "database_transient"
    retryable = True

    def __init__(self, message: str, *, errno: int = 0) -> None:
        """Keep the server's error number; 0 where there is none."""
        super().__init__(message)
        self.errno = errno


class StatementRefused(DatabaseError):
    """The server will never accept this statement as it is."""

    code = "statement_refused"
    on_primary_key: bool = False
    """A duplicate value was refused by the primary key, not by another unique key."""

    def __init__(self, message: str, *, errno: int = 0) -> None:
        """Keep the server's error number."""
        super().__init__(message)
        self.errno = errno


class ReconcileError(SyncerError):
    """A cycle could not be finished."""

    code = "reconcile"


class GuardFailed(ReconcileError):
    """Rows moved between the read and the write: nothing was written, they are read again."""

    code = "guard_failed"
    retryable = True


class EpochLost(ReconcileError):
    """Another syncer has taken this pair over: stop one of the two."""

    code = "epoch_lost"
    exit_code = ExitCode.OPERATOR


class OutcomeUnknown(ReconcileError):
    """A commit was sent and its answer was lost: the batch is looked up at the target, never sent again."""

    code = "outcome_unknown"
    exit_code = ExitCode.OPERATOR
