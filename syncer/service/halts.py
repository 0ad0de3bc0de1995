"""
Tables that a rule has halted: they wait until the conflict is answered, or is none any more.

The ledger remembers which conflict halted which table, so a start does not let it flow either.
"""

from __future__ import annotations

from collections.abc import Collection

import structlog

from syncer.ledger import Ledger
from syncer.service.catalog import Catalog


class Halts:
    """Which tables are halted. Used by the reconciler's thread alone."""

    def __init__(self, ledger: Ledger, catalog: Catalog, log: structlog.stdlib.BoundLogger) -> None:
        """Halt what an earlier run has halted."""
        self._ledger = ledger
        self._catalog = catalog
        self._log = log
        self._by: dict[int, int] = {}
        for table_id in ledger.scope():
            number = ledger.get_meta(_name(table_id))
            if number:
                self._by[table_id] = int(number)
                catalog.halt(table_id, _reason(int(number)))

    def halt(self, table_id: int, conflict_id: int) -> None:
        """Let a table wait for *conflict_id*; the first conflict counts."""
        if table_id in self._by:
            return
        self._by[table_id] = conflict_id
        self._ledger.set_meta(_name(table_id), str(conflict_id))
        self._catalog.halt(table_id, _reason(conflict_id))
        table = self._ledger.tables().get(table_id)
        self._log.error(
            "table.halted", table=str(table), conflict_id=conflict_id, reason=_reason(conflict_id)
        )

    def review(self, answered: Collection[int]) -> None:
        """Let tables flow whose conflict is answered or not held any more."""
        if not self._by:
            return
        waiting = {key.conflict_id for key in self._ledger.held()} - set(answered)
        for table_id, number in list(self._by.items()):
            if number not in waiting:
                del self._by[table_id]
                self._ledger.set_meta(_name(table_id), "")
                self._catalog.release(table_id)


def _name(table_id: int) -> str:
    return f"halt.{table_id}"


def _reason(conflict_id: int) -> str:
    return f"halted by conflict {conflict_id}: syncer conflicts resolve {conflict_id}"
