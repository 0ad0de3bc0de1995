"""
Deliveries of many rows as one: changes of one side, and ranges that the target has no row of.

Each is one guarded transaction with its intent, as any delivery; what is in the way of one is found out one by one, elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

from syncer.core.pairing import PairedTable
from syncer.core.record import OWN_ROW
from syncer.core.side import Side
from syncer.errors import OutcomeUnknown, StatementRefused, TransientDatabaseError
from syncer.ledger.records import Batch
from syncer.mysql.applier import apply_ranges
from syncer.mysql.carrying import carry_rows
from syncer.mysql.failures import LOCK_TIMEOUT
from syncer.mysql.marker import lane_of
from syncer.mysql.reader import ChunkValues
from syncer.mysql.writing import GuardMissed, ReadBackFailed
from syncer.service.delivery import LATENCIES_KEPT, Delivery
from syncer.service.lanes import ApplyLane
from syncer.service.onesided import OneSided
from syncer.service.oversize import may_be_above_packet
from syncer.service.planned import WORDS
from syncer.service.probes import Moment


class BulkDelivery(Delivery):
    """Delivers the decisions of one target, in bulk where it can; threads as in ``Delivery``."""

    def send_ranges(
        self,
        table: PairedTable,
        found: Sequence[ChunkValues],
        batch: Batch,
        lane: ApplyLane | None,
    ) -> bool:
        """
        Send a persisted intent of ranges that follow each other, on the apply thread of *lane*; say whether they were written.

        Where they were, ``ranges_are_there`` is to be called; else nothing has changed, and they are to be compared key by key.
        Raises as ``deliver``.
        """
        worker, row = (self._worker, self._pair_id) if lane is None else lane
        self._probe(Moment.APPLY_BEFORE, self.target)
        try:
            apply_ranges(
                worker.apply_session(),
                row=row,
                epoch=self._epoch,
                batch_id=batch.batch_id,
                table=table,
                found=found,
            )
        except (StatementRefused, ReadBackFailed) as error:
            self._ledger.drop(batch.batch_id)
            self._log.debug("range.refused", table=str(table.name), reason=error.code)
            return False
        except TransientDatabaseError as error:
            # The commit was not sent: the server rolls the transaction back (INV-13 needs no look-up here).
            self._ledger.drop(batch.batch_id)
            if error.errno == LOCK_TIMEOUT:
                return False  # other rows of the range may be had
            raise
        except OutcomeUnknown:
            if not self._look_up(batch, lane):
                self._ledger.drop(batch.batch_id)
                return False
        self._probe(Moment.APPLY_COMMITTED, self.target)
        return True

    def ranges_are_there(self, batch: Batch, rows: int) -> None:
        """Clear what was copied (INV-11); on the reconciler's thread, in the order of the ranges."""
        with self._ledger.together():
            self._ledger.finish(batch.batch_id, (0,))
            self._count({"insert": rows})
        self._probe(Moment.APPLY_FINISHED, self.target)
        self._log.debug("batch.applied", rows=rows, generation=batch.batch_id)

    def deletes_alone(self, table: PairedTable) -> bool:
        """Say whether the target deletes nothing together with a row of *table*."""
        return not self._dependents().get(table.table_id)

    def prepare_rows(
        self, moving: Sequence[OneSided], lower: dict[Side, int], lane: ApplyLane | None = None
    ) -> Batch:
        """Make the intent of *moving*, as ``prepare`` does, to be sent by *lane*."""
        return Batch(
            batch_id=self._ledger.next_batch_id(),
            target=self.target,
            lower=lower,
            items=tuple(chain.from_iterable(one.items for one in moving)),
            lane=OWN_ROW if lane is None else lane_of(lane.row),
        )

    def deliver_rows(
        self, moving: Sequence[OneSided], batch: Batch, lane: ApplyLane | None = None
    ) -> bool:
        """
        Deliver a persisted intent of changes of one side; say whether nothing more is to be done about them for now.

        Runs on the apply thread of *lane*, the side's own where that is None. Where nothing was written nothing has changed, and
        they are to be decided and delivered one by one. Raises as ``deliver``.
        """
        worker, row = (self._worker, self._pair_id) if lane is None else lane
        self._probe(Moment.APPLY_BEFORE, self.target)
        try:
            session = worker.apply_session()
            if any(
                may_be_above_packet(one.table, one.rows.longest(), session.most_bytes)
                for one in moving
            ):
                self._ledger.drop(batch.batch_id)
                return False
            carry_rows(
                session,
                row=row,
                epoch=self._epoch,
                batch_id=batch.batch_id,
                items=len(batch.items),
                tables=[one.rows for one in moving],
            )
        except (GuardMissed, ReadBackFailed, StatementRefused) as error:
            self._ledger.drop(batch.batch_id)
            self._log.debug("batch.divided", rows=batch.rows, reason=error.code)
            return False
        except TransientDatabaseError as error:
            # The commit was not sent: the server rolls the transaction back (INV-13 needs no look-up here).
            self._ledger.drop(batch.batch_id)
            if error.errno == LOCK_TIMEOUT:
                self._log.debug("batch.divided", rows=batch.rows, reason=error.code)
                return False
            raise
        except OutcomeUnknown:
            if not self._look_up(batch, lane):
                self._ledger.drop(batch.batch_id)
                return True  # the marks are there: it is read again
        self._probe(Moment.APPLY_COMMITTED, self.target)
        counts: Counter[str] = Counter()
        for one in moving:
            for op, rows in one.rows.ways():
                counts[WORDS[op]] += len(rows.keys)
        with self._counting:
            with self._ledger.together():
                self._ledger.finish(batch.batch_id, range(len(batch.items)))
                self._count(counts)
            self._probe(Moment.APPLY_FINISHED, self.target)
            self._misses = 0
            for one in moving:
                for op, rows in one.rows.ways():
                    self.written[one.table.table_id, op] += len(rows.keys)
                self._time(one.marked_at[-LATENCIES_KEPT:])
        self._log.debug("batch.applied", rows=batch.rows, generation=batch.batch_id)
        return True
