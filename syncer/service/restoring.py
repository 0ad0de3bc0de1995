"""
Rows that a person wants back: written where we took them, as a change of that side, and carried to the other by the ordinary way.

A row is written only where it still is what we made of it (INV-9); one that changed since is left, and the note says so. The write
bears no batch id, so its stream brings it as anybody's change does (INV-12, INV-16): a crash in between leaves either the old row
and the request, or the new row, which is found to be there when the request is looked at again.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from syncer.clock import Clock
from syncer.core.mark import Op
from syncer.core.pairing import PairedTable
from syncer.core.side import Side
from syncer.errors import GuardFailed, OutcomeUnknown, StatementRefused, TransientDatabaseError
from syncer.ledger import Ledger
from syncer.ledger.records import ConflictEntry
from syncer.ledger.undo import Restoration, RestorationRecord, RestorationStatus
from syncer.mysql.failures import LOCK_TIMEOUT
from syncer.mysql.writing import ReadBackFailed, Write
from syncer.service.answering import PERSON
from syncer.service.delivery import Delivery

AT_ONCE = 100
LOOK_EVERY_S = 0.5
LOCKED_AGAIN_S = 5.0
"""A row that somebody else holds is tried again after so long: each try takes a lock wait, and everything else waits for that."""


class Restorer:
    """Carries restorations out. Used by the reconciler's thread alone, between cycles."""

    def __init__(
        self,
        ledger: Ledger,
        deliveries: Mapping[Side, Delivery],
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """Compose; nothing is looked at yet."""
        self._ledger = ledger
        self._deliveries = deliveries
        self._clock = clock
        self._log = log
        self._look_at = 0.0
        self._after = 0

    def work(self, tables: Mapping[int, PairedTable]) -> bool:
        """
        Carry some of what was asked for out; say whether there was anything. What belongs to a table that does not flow waits.

        Raises TransientDatabaseError: the request stays.
        """
        now = self._clock.monotonic()
        if now < self._look_at:
            return False
        by_name = {str(table.name): table for table in tables.values()}
        asked = self._ledger.asked_restorations(self._after, AT_ONCE)
        for record in asked:
            table = by_name.get(record.restoration.table)
            if table is not None:
                self._restore(record, table)
            self._after = record.restoration_id
            if self._look_at > now:
                return True  # the others have their turn then
        if len(asked) < AT_ONCE:
            # Those of tables that do not flow are looked at again.
            self._after = 0
            self._look_at = now + LOOK_EVERY_S
            return any(one.restoration.table in by_name for one in asked)
        return True

    def _restore(self, record: RestorationRecord, table: PairedTable) -> None:
        wanted = record.restoration
        side = table.policy.direction.source or wanted.side
        write = _write(wanted, table)
        refusal = _refusal(wanted, table, side, write)
        if refusal is None:
            try:
                self._deliveries[side].restore(write)
            except GuardFailed:
                refusal = "the row has changed since"
            except ReadBackFailed:
                refusal = "the row became something else when it was written"
            except StatementRefused as error:
                refusal = str(error)
            except TransientDatabaseError as error:
                if error.errno != LOCK_TIMEOUT:
                    raise
                self._log.warning("rows.locked", table=wanted.table, rows=1, wait_s=LOCKED_AGAIN_S)
                self._look_at = self._clock.monotonic() + LOCKED_AGAIN_S
                return  # it stays asked for
            except OutcomeUnknown as error:
                # Asked again, the row is found as it was meant, or as it was before.
                raise TransientDatabaseError(str(error)) from error
        if refusal is not None:
            self._ledger.end_restoration(record, RestorationStatus.LEFT, refusal)
            self._log.warning("restoration.left", table=wanted.table, side=str(side))
            return
        self._ledger.end_restoration(record, RestorationStatus.DONE, "", self._entry(wanted, side))
        self._log.info("restoration.done", table=wanted.table, side=str(side))

    def _entry(self, wanted: Restoration, side: Side) -> ConflictEntry | None:
        """The new decision that takes an old one back."""
        if wanted.conflict_id is None:
            return None
        old = self._ledger.conflict(wanted.conflict_id)
        if old is None:
            return None
        also = "" if wanted.winner is None else f", take {wanted.winner}"
        return msgspec.structs.replace(
            old.entry,
            detected_at=self._clock.now(),
            winner=None if wanted.makes else wanted.winner or wanted.side,
            rule=f"reverted by {wanted.actor}: decision {wanted.conflict_id}{also}",
            path=PERSON,
            actor=wanted.actor,
            reverts=wanted.conflict_id,
            note=f"written to side {side}, and carried to side {side.other} from there",
        )


def _write(wanted: Restoration, table: PairedTable) -> Write:
    key = table.load(wanted.key_stored[0])
    return Write(
        table=table,
        key=key,
        target_key=None if wanted.expected is None and wanted.expected_image is None else key,
        expected=wanted.expected,
        meant=wanted.meant,
        image=wanted.image,
        made=wanted.makes,
        expected_image=wanted.expected_image,
    )


def _refusal(wanted: Restoration, table: PairedTable, side: Side, write: Write) -> str | None:
    if wanted.columns != table.written:
        return "the table has other columns now"
    if wanted.expected is None and wanted.expected_image is None and wanted.image is None:
        return "there is nothing to restore"
    if table.guard.forbids(side, write.op):
        word = {Op.INSERT: "insert", Op.UPDATE: "update", Op.DELETE: "delete"}[write.op]
        return f"forbid_{side} has {word}"
    return None
