"""A copy of a ledger, to do with as one likes: the file that is copied is read, and nothing of it is written or brought to a new format."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from syncer.ledger.store import check_pair, connect, examine, lock, translate


@contextmanager
def duplicate(path: Path, copy: Path, *, pair_id: str) -> Iterator[None]:
    """
    Copy the ledger at *path* of pair *pair_id* to *copy*; no other run may begin with it during the block (INV-17).

    Raises LedgerLocked, LedgerIncompatible, LedgerCorrupt, LedgerError; all of them name the file that is copied.
    """
    lock_fd = lock(path)
    try:
        try:
            with closing(connect(path, read_only=True)) as db:
                if examine(db, path):
                    check_pair(db, path, pair_id)
                with closing(connect(copy, read_only=False)) as target:
                    db.backup(target)
        except sqlite3.Error as error:
            translate(error, path)
        yield
    finally:
        os.close(lock_fd)
