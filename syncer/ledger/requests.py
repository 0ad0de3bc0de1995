"""
What a person asks for beside a running syncer: which side's row a held conflict takes.

A request lies in ``meta`` until its conflict is no longer held; who writes it takes no lock and changes nothing else, so the
process that has the ledger keeps all that it has in memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from syncer.core.key import StoredKey
from syncer.core.side import Side
from syncer.errors import LedgerError, LedgerIncompatible
from syncer.ledger import journal_queries as jq
from syncer.ledger import queries as q
from syncer.ledger.journal import Journal
from syncer.ledger.records import ConflictEntry, ConflictStatus
from syncer.ledger.store import connect, migrations, translate

PREFIX = "resolve."
ANSWERABLE = frozenset({ConflictStatus.HELD.value, ConflictStatus.SKIPPED.value})


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """
    The answer to a held conflict.

    Attributes:
        take, merge, skip, until: as in ``Wanted``.
        actor: who asked.
        asked_at: seconds since the epoch.
    """

    take: Side | None
    actor: str
    asked_at: float
    merge: bool = False
    skip: bool = False
    until: float | None = None

    @property
    def holds(self) -> bool:
        """It is to be held, whatever was said before."""
        return self.take is None and not self.merge and not self.skip


class AskedConflict(msgspec.Struct, frozen=True, kw_only=True):
    """A held conflict with its answer: the keys it holds, and what the person saw when the answer was given."""

    conflict_id: int
    resolution: Resolution
    table_id: int
    keys: tuple[StoredKey, ...]
    entry: ConflictEntry


class Requests(Journal):
    """The part of the ledger that listens to people."""

    def asked(self) -> list[AskedConflict]:
        """Return the held and skipped conflicts that were answered, and forget answers to those that are neither any more."""
        with self._reading() as db:
            rows = db.execute(jq.REQUESTS, (PREFIX, PREFIX + "~")).fetchall()
            found, stale = [], []
            for name, text in rows:
                number = int(name.removeprefix(PREFIX))
                record = db.execute(jq.CONFLICT, (number,)).fetchone()
                keys = db.execute(jq.KEYS_HELD_BY, (number,)).fetchall()
                if record is None or record[1] not in ANSWERABLE or not keys:
                    stale.append(name)
                    continue
                entry = self._entry(number)
                if entry is None:  # pragma: no cover - the record is there
                    continue
                found.append(
                    AskedConflict(
                        conflict_id=number,
                        resolution=msgspec.json.decode(text, type=Resolution),
                        table_id=keys[0][0],
                        keys=tuple(key for _, key in keys),
                        entry=entry,
                    )
                )
        if stale:
            with self._writing() as db:
                db.executemany(jq.DROP_META, [(name,) for name in stale])
        return found

    def forget_request(self, conflict_id: int) -> None:
        """Drop an answer that cannot be carried out."""
        with self._writing() as db:
            db.execute(jq.DROP_META, (f"{PREFIX}{conflict_id}",))


def ask(path: Path, answers: Mapping[int, Resolution], *, strict: bool = True) -> list[int]:
    """
    Answer held and skipped conflicts, beside a running syncer or without one, in one transaction.

    Args:
        strict: all of them or none; else those that are not held any more are left.

    Returns:
        The numbers that were left, in the order given; none where *strict*.

    Raises:
        LedgerIncompatible: another version of syncer made the ledger.
        LedgerError: the file fails, or, where *strict*, one of them is not held.
    """
    left = []
    with requesting(path) as db:
        for number, answer in answers.items():
            row = db.execute(jq.CONFLICT, (number,)).fetchone()
            if row is None or row[1] not in ANSWERABLE:
                if strict:
                    raise LedgerError(f"conflict {number} is not held: syncer conflicts list")
                left.append(number)
                continue
            text = msgspec.json.encode(answer).decode()
            db.execute(q.PUT_META, (f"{PREFIX}{number}", text))
    return left


@contextmanager
def requesting(path: Path) -> Iterator[sqlite3.Connection]:
    """
    Make the block one transaction of the ledger, beside the process that has it: all of it, or nothing where it raises.

    Raises:
        LedgerIncompatible: another version of syncer made the ledger.
        LedgerError: there is none, or the file fails.
    """
    db = _writable(path)
    try:
        db.execute(q.BEGIN)
        yield db
        db.execute(q.COMMIT)
    except sqlite3.Error as error:
        translate(error, path)
    finally:
        db.close()  # what is not committed is rolled back


def _writable(path: Path) -> sqlite3.Connection:
    """Open the ledger for a request; raises as ``requesting``."""
    if not path.exists():
        raise LedgerError(f"no ledger at {path}: name the one that syncer runs with")
    db = connect(path, read_only=False)
    try:
        if db.execute(q.GET_VERSION).fetchone()[0] != migrations()[-1][0]:
            raise LedgerIncompatible(
                f"the ledger {path} is of another version of syncer: start `syncer run` of this one once"
            )
    except sqlite3.Error as error:
        db.close()
        translate(error, path)
    except BaseException:
        db.close()
        raise
    return db
