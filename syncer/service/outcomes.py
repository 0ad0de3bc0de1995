"""What became of a batch whose answer was lost (INV-14)."""

from __future__ import annotations

import threading
import time

import structlog

from syncer.clock import Clock
from syncer.errors import OutcomeUnknown, StatementRefused, TransientDatabaseError
from syncer.ledger.records import Batch
from syncer.mysql import marker
from syncer.service.sides import SideWorker

BACK_OFF_S = 0.125
LOOK_UP_AFTER_STOP_S = 5.0
LOOK_UP_MOST_S = 2.0


def look_up(
    worker: SideWorker,
    row: str,
    batch: Batch,
    ending: threading.Event,
    clock: Clock,
    log: structlog.stdlib.BoundLogger,
) -> frozenset[int]:
    """
    Ask the marker row *row* which items of *batch* were written; on the worker's thread for applies.

    The row's lock waits for the transaction whose answer was lost. Asks for as long as the run goes on, whatever the server answers:
    the batch is neither sent again nor given up. Raises TransientDatabaseError where the run is to end and the server cannot be
    asked within some seconds; the intent stays and the next start looks it up (INV-13).
    """
    wait_s = BACK_OFF_S
    deadline: float | None = None
    while True:
        try:
            session = worker.fresh_apply_session()
            session.begin()
            found = marker.lock(session, row)
            session.rollback()
        except (TransientDatabaseError, OutcomeUnknown, StatementRefused) as error:
            # A server that has come back read-only, or lets nobody in yet, says nothing of what became of the batch.
            if ending.is_set():
                now = clock.monotonic()
                deadline = deadline or now + LOOK_UP_AFTER_STOP_S
                if now > deadline:
                    raise TransientDatabaseError(
                        f"side {batch.target}: the outcome of batch {batch.batch_id} is not known and the server does "
                        "not answer; the next start looks it up"
                    ) from error
                time.sleep(BACK_OFF_S)
                continue
            log.warning("cycle.retried", error_code=error.code, wait_s=wait_s, reason=str(error))
            ending.wait(wait_s)
            wait_s = min(LOOK_UP_MOST_S, wait_s * 2)
            continue
        log.warning("batch.looked_up", generation=batch.batch_id)
        if found is not None and found.batch == batch.batch_id:
            return found.written
        return frozenset()
