"""Start, restart: raise the epoch on both sides, then settle what an earlier run left open (INV-13)."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

import structlog

from syncer.core.side import SIDES, Side
from syncer.errors import OutcomeUnknown, TransientDatabaseError
from syncer.ledger import Ledger
from syncer.mysql import marker
from syncer.mysql.connection import Session
from syncer.service.history import lost
from syncer.service.probes import Moment, Probe, no_probe

LOCK_WAIT_S = 0.2


def raise_epochs(
    sessions: Mapping[Side, Session],
    ledger: Ledger,
    pair_id: str,
    *,
    stop: threading.Event,
    log: structlog.stdlib.BoundLogger,
    probe: Probe = no_probe,
) -> tuple[int, dict[Side, marker.Markers]]:
    """
    Take the pair over; return the new epoch and both sides' marker rows as they were.

    Waits for an apply of an earlier run that still holds a marker row.
    """
    for side in SIDES:
        marker.ensure(sessions[side])
    known = [ledger.epoch()]
    for side in SIDES:
        row = marker.read(sessions[side], pair_id)
        known.append(row.epoch if row else 0)
    epoch = max(known) + 1
    before: dict[Side, marker.Markers] = {}
    for side in SIDES:
        session = sessions[side]
        # The pair's own first: no lane is made from then on but by us.
        own = _raise(session, pair_id, epoch, stop, log)
        lanes = {
            marker.lane_of(name): _raise(session, name, epoch, stop, log)
            for name in marker.lanes_of(session, pair_id)
        }
        before[side] = marker.Markers(own, lanes)
        probe(Moment.EPOCH_RAISED, side)
    ledger.set_epoch(epoch)
    log.info("epoch.raised", generation=epoch)
    return epoch, before


def _raise(
    session: Session,
    name: str,
    epoch: int,
    stop: threading.Event,
    log: structlog.stdlib.BoundLogger,
) -> marker.Marker:
    while True:
        try:
            return marker.raise_epoch(session, name, epoch)
        except TransientDatabaseError:
            if not session.is_open or stop.wait(LOCK_WAIT_S):
                raise
            log.info("epoch.waiting", side=str(session.side))
        except OutcomeUnknown as error:
            # Raised or not: the next start raises it above whatever it finds, and nothing else was in that transaction.
            raise TransientDatabaseError(
                f"{session.where}: the answer to raising the epoch is missing; start again"
            ) from error


def settle(
    ledger: Ledger,
    before: Mapping[Side, marker.Markers],
    log: structlog.stdlib.BoundLogger,
    accept_loss: Collection[Side] = (),
) -> list[Side]:
    """
    Finish the intents whose batch is at its target, drop the others (INV-13).

    Returns the sides of *accept_loss* whose server went back: it lost a batch that the ledger saw confirmed (INV-19).

    Raises PositionLost where another side's server did.
    """
    back = [side for side in SIDES if _went_back(ledger.confirmed(side), before[side])]
    for side in back:
        if side not in accept_loss:
            raise lost(
                side,
                "a marker row is older than the last batch that it confirmed: the server was restored from a backup, or a "
                "failover lost what was written there",
            )
    for batch in ledger.open_batches():
        written = before[batch.target].written(batch.batch_id)
        if written:
            ledger.finish(batch.batch_id, written)
        else:
            ledger.drop(batch.batch_id)
        log.info("batch.looked_up", side=str(batch.target), generation=batch.batch_id)
    return back


def _went_back(confirmed: Mapping[str, int], rows: marker.Markers) -> bool:
    """Compare each row by itself: of batches by several rows a server may have the newest one and lack another."""
    return any(batch > rows.last(lane) for lane, batch in confirmed.items())


def ledger_is_behind(ledger: Ledger, before: Mapping[Side, marker.Markers]) -> list[Side]:
    """Name the sides whose marker row is newer than anything this ledger sent: the ledger went back (INV-19)."""
    return [side for side in SIDES if before[side].newest > ledger.last_batch_id()]
