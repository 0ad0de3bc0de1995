"""The thread that asks the replicas of both primaries how far behind they are."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import msgspec
import structlog

from syncer.clock import Clock
from syncer.config import Config
from syncer.core.replica import Replica, parse_replica
from syncer.core.side import SIDES, Side
from syncer.errors import SyncerError
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import Endpoint
from syncer.mysql.replicas import behind_s, replicas_of

LOOK_EVERY_S = 1.0
FIND_EVERY_S = 60.0
FRESH_S = 5.0
"""What was found longer ago counts for nothing."""
ANSWER_WITHIN_S = 10.0
ASKING = "the replicas are being asked how far behind they are"


class ReplicaWatch:
    """
    Says whether replicas hold whole-table work up.

    Owns its thread and its sessions, so that a replica that does not answer holds nothing else up. They are asked only while
    somebody wants to know (``reason``). A replica that stands still or cannot be asked counts as behind.
    """

    def __init__(self, config: Config, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        """Open nothing yet."""
        limits = config.throttle
        self._config = config
        self._most_s = limits.replica_lag_max_s
        self._named = tuple(map(parse_replica, limits.replicas))
        self._finds = limits.find_replicas
        self._clock = clock
        self._log = log
        self._sessions: dict[Replica, Session] = {}
        self._found: tuple[Replica, ...] = ()
        self._found_at = float("-inf")
        self._answer: tuple[float, str | None] = (float("-inf"), None)
        self._wanted = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replicas", daemon=True)

    @property
    def asked_for(self) -> bool:
        """There is something to watch."""
        return bool(self._named) or self._finds

    def start(self) -> None:
        """Begin, where there is something to watch."""
        if self.asked_for:
            self._thread.start()

    def close(self) -> None:
        """End; blocks for as long as a replica may take to answer."""
        self._stop.set()
        self._wanted.set()
        if self._thread.ident is not None:
            self._thread.join(ANSWER_WITHIN_S)

    def reason(self) -> str | None:
        """Say what holds whole-table work up now; None for nothing. Any thread; never blocks."""
        if not self.asked_for:
            return None
        self._wanted.set()
        at, reason = self._answer
        return reason if self._clock.monotonic() - at <= FRESH_S else ASKING

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._wanted.wait()
                self._wanted.clear()
                if not self._stop.is_set():
                    reason = self._try_look()
                    self._answer = self._clock.monotonic(), reason
                    self._stop.wait(LOOK_EVERY_S)
        finally:
            self._forget(list(self._sessions))

    def _try_look(self) -> str | None:
        """A look that fails, whatever it failed of, holds the work up, says so, and is made again."""
        try:
            return self._look()
        except Exception as error:  # noqa: BLE001 - else nobody would ever say why nothing goes on
            self._forget(list(self._sessions))
            return f"the replicas cannot be asked: {type(error).__name__}"

    def _look(self) -> str | None:
        said: list[str] = []
        try:
            everyone = dict.fromkeys((*self._named, *self._find()))
        except SyncerError as error:
            return f"the replicas cannot be found: {error}"
        self._forget(self._sessions.keys() - everyone.keys())
        for replica in everyone:
            if self._stop.is_set():
                return ASKING
            try:
                behind = behind_s(self._open(replica))
            except SyncerError as error:
                self._forget([replica])
                said.append(f"{replica} cannot be asked: {error}")
                continue
            if behind is None:
                said.append(f"{replica} does not replicate: look at its replication threads")
            elif behind > self._most_s:
                said.append(f"{replica} is {behind} s behind, more than {self._most_s:g}")
        return "; ".join(said) or None

    def _find(self) -> tuple[Replica, ...]:
        now = self._clock.monotonic()
        if self._finds and now - self._found_at >= FIND_EVERY_S:
            self._found = tuple(one for side in SIDES for one in self._find_on(side))
            self._found_at = now
            self._log.info("throttle.replicas_found", replicas=[str(one) for one in self._found])
        return self._found

    def _find_on(self, side: Side) -> list[Replica]:
        with self._session(self._config.endpoint(side), side) as session:
            return [Replica(side, host, port) for host, port in replicas_of(session)]

    def _open(self, replica: Replica) -> Session:
        session = self._sessions.get(replica)
        if session is None:
            there = msgspec.structs.replace(
                self._config.endpoint(replica.side),
                host=replica.host,
                port=replica.port,
                socket=None,
            )
            session = self._sessions[replica] = self._session(there, replica.side)
        return session

    def _session(self, endpoint: Endpoint, side: Side) -> Session:
        within_s = min(ANSWER_WITHIN_S, self._config.engine.connect_timeout_s)
        return Session.open(
            endpoint,
            side,
            purpose="replica",
            read_timeout_s=ANSWER_WITHIN_S,
            connect_timeout_s=within_s,
        )

    def _forget(self, replicas: Iterable[Replica]) -> None:
        for replica in list(replicas):
            session = self._sessions.pop(replica, None)
            if session is not None:
                session.close()
