"""
The file under the ledger: opening, locking, migrating, transactions, errors. What the tables mean is not known here.

Durability. There is one connection, and ``PRAGMA synchronous`` is switched per transaction: NORMAL for marks, positions,
clears and what became of an intent, FULL for intents. In WAL mode a commit is an append to one log, and recovery keeps a
prefix of it; so a FULL commit makes every earlier NORMAL commit durable with it, and a power failure can only take away a
tail of NORMAL commits. Losing such a tail is harmless: marks and position go back together (INV-1) and the stream is read
again; a lost clear means that a key is compared once more; of an intent whose outcome is lost the target still tells, since
nothing is sent to it before the next intent is durable, and with that the outcome (INV-13). A crash of the process alone
loses nothing. Two connections would buy nothing but lock conflicts between them.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

import msgspec

from syncer.clock import Clock
from syncer.core.progression import Lattice
from syncer.core.side import SIDES
from syncer.errors import LedgerCorrupt, LedgerError, LedgerIncompatible, LedgerLocked
from syncer.ledger import queries as q

CHECK_LIMIT_BYTES = 256 << 20
"""Files up to this size are checked page by page when they are opened; larger ones would delay every start."""

MANY_MARKS = 20_000
"""More marks than this were made since none waited: their pages get a large cache."""

_MIGRATIONS = Path(__file__).with_name("migrations")

_NEXT_STEP = (
    "move it away and start again: a new ledger costs a baseline and deletes nothing two-way"
)


def migrations() -> list[tuple[int, str]]:
    """Return (version, SQL) of every migration, in the order they are applied."""
    return sorted((int(f.name[:4]), f.read_text()) for f in _MIGRATIONS.glob("*.sql"))


class Store:
    """
    One SQLite connection behind one lock.

    Thread-safe. Every public method of a subclass is one transaction; private ones expect to be inside it.
    What is kept in memory (names of tables, which tables have runs or held keys) is loaded again after a rollback.
    """

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        clock: Clock,
        lock_fd: int | None,
        *,
        read_only: bool,
    ) -> None:
        """Take over an open connection and, unless *read_only*, the lock file's descriptor."""
        self.path = path
        self.read_only = read_only
        self._db = db
        self._clock = clock
        self._lock_fd = lock_fd
        self._mutex = threading.RLock()
        self._closed = False
        self._roomy = False
        self._next_id = self._quiet_id = 1
        self._joined = False
        self._load()
        # Numbers go on behind the highest mark that is left: few marks may have high ones.
        self._quiet_id = self._next_id - int(db.execute(q.COUNT_POINTS).fetchone()[0])

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        pair_id: str | None,
        identity: dict[str, str],
        clock: Clock,
        read_only: bool = False,
    ) -> Self:
        """
        Open the ledger of a pair, and create it unless *read_only*.

        Args:
            pair_id: the pair that it must belong to; None accepts any (read-only).
            identity: what is known of both servers, stored for a person to read; never compared, since a failover may
                change it (INV-19 looks at the servers instead).
            read_only: for ``status`` and ``conflicts``: takes no lock and works beside a running syncer.

        Raises:
            LedgerLocked: another process has it open for writing.
            LedgerIncompatible: other pair, or made by a newer version.
            LedgerCorrupt: no ledger, or a damaged one.
            LedgerError: anything else, such as a directory that cannot be written.
        """
        path = Path(path)
        if read_only and not is_there(path):
            raise LedgerError(
                f"no ledger at {path}: start syncer with it first, or name another file"
            )
        lock_fd = None if read_only else lock(path)
        try:
            db = connect(path, read_only=read_only)
            try:
                _prepare(db, path, read_only=read_only)
                _note_pair(db, path, pair_id, identity, read_only=read_only)
                return cls(path, db, clock, lock_fd, read_only=read_only)
            except sqlite3.Error as error:
                db.close()
                translate(error, path)
            except BaseException:
                db.close()
                raise
        except BaseException:
            if lock_fd is not None:
                os.close(lock_fd)
            raise

    def close(self) -> None:
        """Close the file and release the lock; a second call does nothing."""
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            try:
                self._db.close()
            finally:
                if self._lock_fd is not None:
                    os.close(self._lock_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """
        Make the block's calls one transaction that ends all or nothing: thousands of small ones cost seconds.

        Every other thread waits until it ends. Calls that wait for the disk have no place in it (ValueError).
        """
        with self._writing():
            self._joined = True
            try:
                yield
            finally:
                self._joined = False

    @contextmanager
    def _writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Run the block as one transaction that ends all or nothing; *durable*: it survives a power failure."""
        with self._mutex:
            self._refuse_closed()
            if self._joined:
                if durable:
                    raise ValueError(
                        "what waits for the disk cannot be part of another transaction"
                    )
                yield self._db
                return
            if self.read_only:
                raise LedgerError(f"the ledger {self.path} is open for reading only")
            try:
                if durable:
                    self._db.execute(q.SYNC_FULL)
                try:
                    self._db.execute(q.BEGIN)
                    try:
                        yield self._db
                        self._db.execute(q.COMMIT)
                    except BaseException:
                        self._undo()
                        raise
                finally:
                    if durable:
                        self._db.execute(q.SYNC_NORMAL)
                self._make_room()
            except sqlite3.Error as error:
                translate(error, self.path)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Run the block on one state of the file."""
        with self._mutex:
            self._refuse_closed()
            if self._joined:
                yield self._db
                return
            try:
                self._db.execute(q.BEGIN_READ)
                try:
                    if self.read_only:
                        # Another process writes: what is in memory may be old.
                        self._load()
                    yield self._db
                finally:
                    if self._db.in_transaction:
                        self._db.execute(q.ROLLBACK)
            except sqlite3.Error as error:
                translate(error, self.path)

    def _make_room(self) -> None:
        """Enlarge the cache where many marks have come since none waited; the next id counts them."""
        if not self._roomy and self._next_id - self._quiet_id > MANY_MARKS:
            self._db.execute(q.CACHE_OF_MANY)
            self._roomy = True

    def _nothing_waits(self) -> None:
        """Make the cache small again, and count marks anew. To be called between transactions, with the lock held."""
        self._quiet_id = self._next_id
        try:
            self._find_unmarked()
            if not self._roomy:
                return
            self._db.execute(q.CACHE)
            self._db.execute(q.SHRINK_CACHE)
        except sqlite3.Error as error:
            translate(error, self.path)
        self._roomy = False

    def _undo(self) -> None:
        # A full disk or an I/O error may have rolled back already.
        if self._db.in_transaction:
            self._db.execute(q.ROLLBACK)
        self._load()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise LedgerError(f"the ledger {self.path} is closed")

    def _load(self) -> None:
        """Read from the file what is kept in memory. The sets may name too many tables, never too few."""
        one = self._db.execute
        # Never lower than before: what is remembered of numbers elsewhere would seem to be of later marks.
        self._next_id = max(self._next_id, one(q.TOP_ID).fetchone()[0] + 1)
        self._quiet_id = min(self._quiet_id, self._next_id)
        self._find_unmarked()
        self._runs_in: dict[int, set[Lattice]] = {}
        for number, step, residue in one(q.RUN_LATTICES):
            self._runs_in.setdefault(number, set()).add((step, residue))
        self._held_tables: set[int] = {row[0] for row in one(q.HELD_TABLES)}
        self._hold_tables: set[int] = {row[0] for row in one(q.HOLD_TABLES)}
        self._table_ids: dict[tuple[str, str], int] = {
            (database, name): number for number, database, name in one(q.TABLES)
        }

    def _find_unmarked(self) -> None:
        """Note which sides have no mark of any key for certain; whoever adds one takes its side out."""
        marked = self._db.execute(q.HAS_KEYS_MARKED).fetchone()[0]
        self._unmarked: set[str] = set() if marked else {side.value for side in SIDES}

    def _new_id(self) -> int:
        """Return the next number in the order of claiming."""
        number = self._next_id
        self._next_id = number + 1
        return number

    def _get_meta(self, name: str) -> str | None:
        row = self._db.execute(q.GET_META, (name,)).fetchone()
        return None if row is None else str(row[0])

    def _put_meta(self, name: str, value: str) -> None:
        self._db.execute(q.PUT_META, (name, value))


def is_there(path: Path) -> bool:
    """Say whether there is a file. Raises LedgerError where that cannot be told."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise LedgerError(
            f"cannot look for the ledger {path}: {error.strerror}; run as the user that syncer runs as, or name another file"
        ) from error
    return True


def lock(path: Path) -> int:
    """Take the lock beside *path* for this process and return its descriptor. Raises LedgerLocked, LedgerError."""
    beside = path.with_name(path.name + ".lock")
    try:
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerError(
            f"cannot create {beside}: {error.strerror}; name a directory that can be written"
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise LedgerLocked(
            f"the ledger {path} is used by another syncer (process {holder}): stop it first, or name another file"
        ) from error
    # The pid is for the message above only; the lock itself is the kernel's and ends with the process.
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    return fd


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open the file; created where it is missing unless *read_only*. Raises LedgerError."""
    try:
        if not read_only:
            # SQLite gives the log and the shared memory the mode of the file itself.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            path.chmod(0o600)
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=10.0,
            cached_statements=256,
        )
    except OSError as error:
        raise LedgerError(f"cannot open the ledger {path}: {error.strerror}") from error
    except sqlite3.Error as error:
        translate(error, path)


def examine(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of the file's format, 0 for a new file. Raises LedgerIncompatible for a later one, LedgerCorrupt."""
    version: int = db.execute(q.GET_VERSION).fetchone()[0]
    newest = migrations()[-1][0]
    if version > newest:
        raise LedgerIncompatible(
            f"the ledger {path} was made by a newer syncer (format {version}, known up to {newest}): "
            "use that version, or name another file"
        )
    if version and path.stat().st_size <= CHECK_LIMIT_BYTES:
        found = db.execute(q.QUICK_CHECK).fetchone()[0]
        if found != "ok":
            raise LedgerCorrupt(f"the ledger {path} is damaged: {_NEXT_STEP}")
    if version == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise LedgerCorrupt(f"{path} is an SQLite file, but no ledger: name another file")
    return version


def _prepare(db: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    """Check the file, set the connection up and bring the schema to this version."""
    version = examine(db, path)
    known = migrations()
    newest = known[-1][0]
    if read_only:
        if version < newest:
            raise LedgerIncompatible(
                f"the ledger {path} has format {version}, this syncer reads {newest}: start `syncer run` once"
            )
        return
    db.execute(q.JOURNAL_WAL)
    db.execute(q.SYNC_NORMAL)
    db.execute(q.CHECKPOINT_PAGES)
    db.execute(q.CACHE)
    for number, sql in known:
        if number > version:
            # executescript() commits by itself: the script carries its own transaction and version.
            db.executescript(f"{q.BEGIN};\n{sql}\n{q.set_version(number)};\n{q.COMMIT};")


def check_pair(db: sqlite3.Connection, path: Path, pair_id: str | None) -> bool:
    """Say whether the file belongs to a pair yet. Raises LedgerIncompatible where to another than *pair_id*; None: any will do."""
    row = db.execute(q.GET_META, ("pair_id",)).fetchone()
    if row is not None and pair_id is not None and row[0] != pair_id:
        raise LedgerIncompatible(
            f"the ledger {path} belongs to pair {row[0]!r}, not to {pair_id!r}: name another file, or where a server has "
            f"moved to another address, go on with --pair {row[0]}"
        )
    return row is not None


def _note_pair(
    db: sqlite3.Connection,
    path: Path,
    pair_id: str | None,
    identity: dict[str, str],
    *,
    read_only: bool,
) -> None:
    known = check_pair(db, path, pair_id)
    if read_only:
        return
    db.execute(q.BEGIN)
    if not known:
        if pair_id is None:
            db.execute(q.ROLLBACK)
            raise LedgerError(f"a new ledger needs a pair id: {path}")
        db.execute(q.PUT_META, ("pair_id", pair_id))
    db.execute(q.PUT_META, ("identity", msgspec.json.encode(identity).decode()))
    db.execute(q.COMMIT)


def translate(error: sqlite3.Error, path: Path) -> NoReturn:
    """Raise the LedgerError that *error* means. SQLite's text never holds a value of ours."""
    code: Any = getattr(error, "sqlite_errorcode", None)
    base = code & 0xFF if isinstance(code, int) else None
    if base in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        raise LedgerCorrupt(
            f"the ledger {path} is damaged or no ledger ({error}): {_NEXT_STEP}"
        ) from error
    if base == sqlite3.SQLITE_FULL:
        raise LedgerError(
            f"no space left for the ledger {path}: free space on that disk; nothing is lost, start again"
        ) from error
    if base == sqlite3.SQLITE_IOERR:
        # A quota or a limit on the size of files is told in this way too.
        raise LedgerError(
            f"the ledger {path} cannot be read or written ({error}): look at that disk, its quota and the limit on "
            "the size of files; what was saved is kept, start again"
        ) from error
    if base in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}:
        raise LedgerError(
            f"the ledger {path} cannot be opened or written ({error}): check its mode and its directory's"
        ) from error
    if base == sqlite3.SQLITE_BUSY:
        raise LedgerError(
            f"the ledger {path} is locked by another program ({error}): end that program"
        ) from error
    raise LedgerError(f"the ledger {path} cannot be used: {error}") from error
