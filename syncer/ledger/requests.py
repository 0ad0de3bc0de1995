"""
What a person asks for beside a running syncer: which side's row a held conflict takes.

A request lies in ``meta`` until its conflict is no longer held; who writes it takes no lock and changes nothing else, so the
process that has the ledger keeps all that it has in memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from syncer.core.key import StoredKey
from syncer.core.side import Side
from syncer.errors import LedgerError, LedgerIncompatible
from syncer.ledger import journal_queries as jq
from syncer.ledger import queries as q
from syncer.ledger.journal import Journal
from syncer.ledger.records import ConflictEntry, ConflictStatus, Wanted
from syncer.ledger.store import connect, is_there, migrations, translate

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

    @property
    def wanted(self) -> Wanted:
        """What is to become of the conflict."""
        return Wanted(self.take, merge=self.merge, skip=self.skip, until=self.until)


class Asked(msgspec.Struct, frozen=True):
    """
    What has become of answers that were given.

    Attributes:
        left: those that were left since their conflict is not held any more, in the order given.
        replaced: answers that waited, and do no longer: another one took their place, or they were withdrawn.
    """

    left: tuple[int, ...] = ()
    replaced: Mapping[int, Resolution] = {}


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
                        resolution=_decode(text),
                        table_id=keys[0][0],
                        keys=tuple(key for _, key in keys),
                        entry=entry,
                    )
                )
        if stale:
            with self._writing() as db:
                db.executemany(jq.DROP_META, [(name,) for name in stale])
        return found

    def answers(self) -> dict[int, Resolution]:
        """Return the answers that wait to be carried out, by conflict."""
        with self._reading() as db:
            rows = db.execute(jq.REQUESTS, (PREFIX, PREFIX + "~"))
            found = {int(name.removeprefix(PREFIX)): _decode(text) for name, text in rows}
            return {number: said for number, said in found.items() if _answerable(db, number)}

    def forget_request(self, conflict_id: int) -> None:
        """Drop an answer that cannot be carried out."""
        with self._writing() as db:
            db.execute(jq.DROP_META, (f"{PREFIX}{conflict_id}",))


def ask(
    path: Path,
    answers: Mapping[int, Resolution],
    *,
    withdrawn: Collection[int] = (),
    strict: bool = True,
    dry_run: bool = False,
) -> Asked:
    """
    Answer held and skipped conflicts, beside a running syncer or without one, in one transaction.

    Args:
        withdrawn: conflicts whose answer no longer counts, where one waits; who said that it is to be held is left alone.
        strict: all of them or none; else those that are not held any more are left.
        dry_run: say what would become of them, and write nothing.

    Raises:
        LedgerIncompatible: another version of syncer made the ledger.
        LedgerError: the file fails, or, where *strict*, one of them is not held.
    """
    left, replaced = [], {}
    with requesting(path) as db:
        for number, answer in answers.items():
            if not _answerable(db, number):
                if strict:
                    raise LedgerError(f"conflict {number} is not held: syncer conflicts list")
                left.append(number)
                continue
            waits = _waiting(db, number)
            if waits is not None and waits.wanted != answer.wanted:
                replaced[number] = waits
            if not dry_run:
                text = msgspec.json.encode(answer).decode()
                db.execute(q.PUT_META, (f"{PREFIX}{number}", text))
        for number in withdrawn:
            waits = _waiting(db, number)
            if waits is None or waits.holds or not _answerable(db, number):
                continue
            replaced[number] = waits
            if not dry_run:
                db.execute(jq.DROP_META, (f"{PREFIX}{number}",))
    return Asked(tuple(left), replaced)


_decode = msgspec.json.Decoder(Resolution).decode


def _answerable(db: sqlite3.Connection, number: int) -> bool:
    row = db.execute(jq.CONFLICT, (number,)).fetchone()
    return row is not None and row[1] in ANSWERABLE


def _waiting(db: sqlite3.Connection, number: int) -> Resolution | None:
    row = db.execute(q.GET_META, (f"{PREFIX}{number}",)).fetchone()
    return None if row is None else _decode(row[0])


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
    if not is_there(path):
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
