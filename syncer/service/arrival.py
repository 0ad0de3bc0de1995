"""A run arrives at its pair: it looks whether both servers are those that were left, takes them over, and says where the streams begin."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

import structlog

from syncer.config import Config
from syncer.core.mark import Reason
from syncer.core.side import SIDES, Side
from syncer.errors import PositionLost
from syncer.ledger import Ledger
from syncer.mysql.connection import Session
from syncer.service.beginning import Beginning
from syncer.service.history import Standing, examine
from syncer.service.positions import leap, start_position
from syncer.service.probes import Moment, Probe
from syncer.service.restart import ledger_is_behind, raise_epochs, settle
from syncer.service.scope import enter_scope, keep_images


class Arrival:
    """One start. Used by the main thread alone; the methods in the order in which they stand here."""

    def __init__(
        self,
        config: Config,
        sessions: Mapping[Side, Session],
        ledger: Ledger,
        begin: Beginning,
        log: structlog.stdlib.BoundLogger,
        *,
        accept_loss: Collection[Side],
        disowned: set[Side],
    ) -> None:
        """
        Ask nothing yet.

        Args:
            accept_loss: sides whose server may lack what was read from it or written to it: every table is compared instead.
            disowned: those of them whose loss only the stream could see; what is examined is taken out.
        """
        self._config = config
        self._sessions = sessions
        self._ledger = ledger
        self._begin = begin
        self._log = log
        self._accept_loss = tuple(accept_loss)
        self._disowned = disowned
        self._lost: set[Side] = set()
        self._standing: dict[Side, Standing] = {}

    def examine(self) -> None:
        """Look at both servers before anything is written to one that may be the wrong one (INV-19). Raises PositionLost."""
        for side in SIDES:
            saved = self._ledger.position(side)
            if saved is None:
                continue
            if side in self._disowned:
                self._disowned.discard(side)
                self._log.error("stream.loss_accepted", side=str(side))
                self._lost.add(side)
                continue
            try:
                self._standing[side] = examine(self._sessions[side], saved)
            except PositionLost as error:
                if side not in self._accept_loss:
                    raise
                self._log.error("stream.loss_accepted", side=str(side), reason=str(error))
                self._lost.add(side)

    def take_over(self, stop: threading.Event, probe: Probe) -> int:
        """Raise the epoch on both sides and settle what was left open (INV-13, INV-17, INV-19); return the epoch."""
        epoch, before = raise_epochs(
            self._sessions,
            self._ledger,
            self._config.pair_id,
            stop=stop,
            log=self._log,
            probe=probe,
        )
        probe(Moment.SETTLE_BEFORE, None)
        behind = ledger_is_behind(self._ledger, before)
        self._lost.update(settle(self._ledger, before, self._log, self._accept_loss))
        probe(Moment.SETTLE_AFTER, None)
        if behind:
            self._log.error("ledger.behind", side=",".join(behind))
            self._give_history_up()
        self._ledger.reserve_batch_ids(max(rows.newest for rows in before.values()))
        return epoch

    def _give_history_up(self) -> None:
        """
        An older copy of the ledger would tail changes anew that were settled long ago, and call them conflicts (INV-19).

        Both streams go on from now, and all tables are compared, inexactly. Until the batch ids are reserved after this, a
        crash leaves everything to be done again.
        """
        for table_id in self._begin.in_scope:
            self._ledger.forget_table(table_id)
        for side in SIDES:
            position = self._ledger.position(side)
            if position is not None:
                self._begin.leaps(side, self._ledger)
                leap(
                    self._sessions[side],
                    self._ledger,
                    position,
                    self._begin.in_scope,
                    Reason.RESTORED,
                )
        self._standing.clear()

    def prepare_positions(self) -> None:
        """
        A fresh start records both positions before the first row is read; a resumed one is checked (INV-19).

        Positions come before the definitions: a change of a definition in between is met in the stream.
        """
        ledger, begin = self._ledger, self._begin
        saved = {side: ledger.position(side) for side in SIDES}
        if saved[Side.A] is None or saved[Side.B] is None:
            ledger.start(begin.fresh_positions(), [], Reason.BASELINE)
            saved = {}
        for side, position in saved.items():
            if position is None:
                continue
            session, standing = self._sessions[side], self._standing.get(side)
            if side in self._lost:
                ledger.reserve_batch_ids(ledger.last_confirmed(side))
                fresh = start_position(session, position.seq + 1)
                begin.leaps(side, ledger)
                ledger.disown(side, fresh, begin.in_scope)
            elif standing is not None and standing.doubt is not None:
                self._log.error("stream.position_lost", side=str(side), reason=standing.doubt.what)
                begin.leaps(side, ledger)
                leap(session, ledger, position, begin.in_scope, standing.doubt.reason)
            elif standing is not None and standing.position != position:
                ledger.record(side, [], standing.position)
                self._log.warning(
                    "stream.followed",
                    side=str(side),
                    server=standing.position.server,
                    was=position.server,
                )
        begin.lay_out(ledger)
        with ledger.together():
            enter_scope(ledger, begin.flowing, begin.waiting, self._log)
        keep_images(self._config, ledger, begin.flowing, begin.waiting)
