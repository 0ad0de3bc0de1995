"""Which of the keys that are due are read next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES
from syncer.ledger import Ledger
from syncer.ledger.records import ClaimedKey
from syncer.service.families import Families
from syncer.service.onesided import lone
from syncer.service.sending import Sender

SPELLINGS_AHEAD = 100
"""Keys due after those of a batch, looked at for other spellings of them: a rename marks two spellings one after the other."""


class Claiming:
    """Used by the reconciler's thread alone."""

    def __init__(
        self,
        ledger: Ledger,
        sender: Sender,
        families: Families | None,
        may_move: Callable[[PairedTable], bool],
        batch_rows: int,
    ) -> None:
        """Compose; *may_move* says whether nothing but the rows and their marks has a say in what becomes of a table's rows."""
        self._ledger = ledger
        self._sender = sender
        self._families = families
        self._may_move = may_move
        self._batch_rows = batch_rows

    def due(self, now: float) -> list[ClaimedKey]:
        """Return the keys that are due, but those that are being written: enough for this cycle and the read ahead of the next."""
        at_a_time = self._sender.at_a_time
        most = self._batch_rows * at_a_time * (2 if at_a_time > 1 else 1)
        return self._ledger.claim_keys(most + SPELLINGS_AHEAD, now, self._sender.keys)

    def count(self, due: Sequence[ClaimedKey], tables: Mapping[int, PairedTable]) -> int:
        """
        Say how many of *due* are read together: what one transaction takes, or as much as may be under way at a time.

        As much only of one table, so that its keys are divided as they would be between cycles, and a user's transaction no further;
        and of one whose rows nothing but their keys ties together, so that the transactions stay out of each other's way.
        """
        most = self._batch_rows * self._sender.at_a_time
        if len(due) <= self._batch_rows or most == self._batch_rows:
            return self._batch_rows
        table = tables.get(due[0].table_id)
        alone = (
            table is not None
            and {one.table_id for one in due[:most]} == {table.table_id}
            and self._may_move(table)
            and lone(table)
            and not any(self._sender.takes_along(table, side) for side in SIDES)
            and not any(self._families and self._families.concerns(table, side) for side in SIDES)
            and not self._ledger.open_lookups()
        )
        return most if alone else self._batch_rows
