"""
The ledger: everything that ``syncer`` remembers between two runs.

Responsibilities by module: ``store`` the file, ``ranges`` points and runs, ``images`` and ``key_changes`` what is kept with them, ``spans`` ranges to compare, ``marks`` what
tailers write, ``claims`` what the reconciler asks and settles, ``batches`` intents, ``definitions`` paused tables and how
rows are read, ``journal`` conflicts, ``holds`` why keys wait, ``requests`` what people answer, ``stops`` tables that a guard stopped, ``restorations`` rows
that people want back, ``status`` the rest. What is decided from it must not live here.
"""

from __future__ import annotations

from syncer.ledger.batches import Batches
from syncer.ledger.claims import Claims
from syncer.ledger.definitions import Definitions
from syncer.ledger.holds import Holds
from syncer.ledger.marks import Marks
from syncer.ledger.requests import Requests
from syncer.ledger.restorations import Restorations
from syncer.ledger.status import Status
from syncer.ledger.stops import Stops


class Ledger(Marks, Claims, Holds, Batches, Definitions, Requests, Restorations, Stops, Status):
    """
    The persistent ledger of one pair.

    Thread-safe; every public method is one SQLite transaction that ends all or nothing and raises LedgerError where the
    file fails. Methods block on the disk; intents and their outcome wait for it (fsync). Open it with ``Ledger.open``.

    One process has it open for writing; any number may read beside it (``read_only=True``).
    """
