"""The thread that writes a side's heartbeats and looks at its clock."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

import structlog

from syncer.clock import Clock, until_next_s
from syncer.config import Config
from syncer.core.side import Side
from syncer.errors import EpochLost, OutcomeUnknown, PositionLost, SyncerError
from syncer.mysql import heartbeat
from syncer.mysql.connection import Session
from syncer.service.pulse import Pulse

LOOK_EVERY_S = 5.0
ANSWER_WITHIN_S = 10.0
REFUSED_WAIT_S = 30.0
JUMP_WARNING_S = 0.5


class Heart:
    """
    Beats until it is stopped. Owns its thread and its session.

    A beat that fails is never sent again, and no failure of it ends the run but one: the pair belongs to another syncer
    (``error``), which an idle run would not notice otherwise.
    """

    def __init__(
        self,
        pulse: Pulse,
        config: Config,
        identity: str,
        epoch: int,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        *,
        writes: bool,
    ) -> None:
        """
        Open nothing yet.

        Args:
            identity: the server that the run began with; another one at its address gets no beats (INV-19).
            writes: beat; else only the clock is looked at.
        """
        self._pulse = pulse
        self._config = config
        self._identity = identity
        self._epoch = epoch
        self._clock = clock
        self._log = log.bind(side=str(pulse.side))
        self._writes = writes
        self._stop = threading.Event()
        self._session: Session | None = None
        self._number = 0
        self._looked = float("-inf")
        self._troubled = False
        self._thread = threading.Thread(target=self._run, name=f"heart-{pulse.side}", daemon=True)
        self.error: BaseException | None = None

    @property
    def side(self) -> Side:
        """The side that it writes to."""
        return self._pulse.side

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end; does not block."""
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the end."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        every_s = self._config.heartbeat.interval_s
        if not self._writes:
            every_s = max(every_s, LOOK_EVERY_S)
        try:
            while not self._stop.is_set():
                wait_s = self._once(every_s)
                self._stop.wait(until_next_s(self._clock.monotonic(), wait_s))
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self.error = error
        finally:
            self._close()

    def _once(self, every_s: float) -> float:
        """Beat and look once where due; return the seconds from now to the next time."""
        try:
            session = self._open()
            if self._writes:
                self._beat(session)
            if self._clock.monotonic() - self._looked >= LOOK_EVERY_S:
                self._look(session)
        except EpochLost:
            raise
        except SyncerError as error:
            self._close()
            if self._stop.is_set():
                return 0.0
            retryable = error.retryable or isinstance(error, OutcomeUnknown)
            if not self._troubled:
                self._troubled = True
                event = "heartbeat.interrupted" if retryable else "heartbeat.refused"
                self._log.warning(event, error_code=error.code, reason=str(error))
            return max(every_s, 1.0) if retryable else REFUSED_WAIT_S
        if self._troubled:
            self._troubled = False
            self._log.info("heartbeat.resumed")
        return every_s

    def _open(self) -> Session:
        if self._session is None:
            engine = self._config.engine
            session = self._session = Session.open(
                self._config.endpoint(self.side),
                self.side,
                purpose="heartbeat",
                read_timeout_s=ANSWER_WITHIN_S,
                connect_timeout_s=min(ANSWER_WITHIN_S, engine.connect_timeout_s),
                lock_wait_s=engine.lock_wait_s,
            )
            if session.server_identity() != self._identity:
                raise PositionLost(f"{session.where}: another server answers; it gets no heartbeat")
            if self._writes:
                heartbeat.ensure(session, self._config.pair_id, self._epoch)
        return self._session

    def _beat(self, session: Session) -> None:
        self._number += 1
        self._pulse.sending(self._number)
        try:
            heartbeat.beat(session, self._config.pair_id, self._epoch, self._number)
        except BaseException:
            self._pulse.failed(self._number)
            raise
        self._pulse.answered(self._number)

    def _look(self, session: Session) -> None:
        sent_s = self._clock.monotonic()
        server_s = heartbeat.server_time(session)
        self._looked = self._clock.monotonic()
        jump_s = self._pulse.looked(sent_s, self._looked, server_s)
        if abs(jump_s) >= JUMP_WARNING_S:
            self._log.warning("clock.jumped", seconds=round(jump_s, 3))

    def _close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def hearts_of(
    config: Config,
    identities: Mapping[Side, str],
    pulses: Mapping[Side, Pulse],
    epoch: int,
    clock: Clock,
    log: structlog.stdlib.BoundLogger,
    *,
    beating: Collection[Side],
    writes: bool,
) -> list[Heart]:
    """Make one per side, or none; a side that is not *beating*, as all where nothing *writes*, has its clock looked at only."""
    if not config.heartbeat.interval_s:
        return []
    return [
        Heart(
            pulses[side],
            config,
            identity,
            epoch,
            clock,
            log,
            writes=writes and side in beating,
        )
        for side, identity in identities.items()
    ]
