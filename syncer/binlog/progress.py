"""What others may know of a tailer: how far it has persisted, and how it fares."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from syncer.core.origins import Named, Origin, Origins
from syncer.core.position import Coordinate, GtidSet, StreamPosition
from syncer.core.visibility import NO_BRANCHES, NO_IDS, Branches, TransactionLog

State = Literal["starting", "connected", "interrupted", "stopped", "failed"]
_STOP_LOOK_S = 0.1


class ProgressSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """
    A tailer's state at one moment.

    Attributes:
        position: persisted.
        error: text of the last error; None while connected.
        transactions, events, keys: counted since the tailer was made; our heartbeats are no transactions here.
        last_commit_us: commit time of the last transaction persisted, by the server's clock; 0 before the first.
        last_event_at: when the last packet came, heartbeats included; seconds since the epoch, 0.0 before the first.
    """

    state: State
    position: StreamPosition
    error: str | None
    transactions: int
    events: int
    keys: int
    last_commit_us: int
    last_event_at: float


class StreamProgress:
    """
    Thread-safe. The tailer writes it, everybody reads it.

    Transactions are in the log before the coordinate that they lie below is announced, so that whoever has waited for a
    coordinate finds all of them.
    """

    def __init__(self, position: StreamPosition, *, gtids: bool) -> None:
        """
        Begin at the saved position.

        Args:
            gtids: the position's GTIDs are a MySQL set, which a read must contain before it proves anything.
        """
        self._changed = threading.Condition()
        self._log = TransactionLog(
            position.seq, GtidSet(position.gtids) if gtids else None, position.coordinate
        )
        self._origins = Origins()
        self._position = position
        self._coordinate = position.coordinate
        self._state: State = "starting"
        self._error: Exception | None = None
        self._transactions = self._events = self._keys = self._last_commit_us = 0
        self._last_event_at = 0.0

    # The tailer's side

    def recorded(
        self,
        transactions: Sequence[Named],
        position: StreamPosition,
        *,
        last_commit_us: int,
        beats: int = 0,
        branches: Mapping[int, str] = NO_IDS,
    ) -> None:
        """
        Announce what was persisted: (number, GTID, end, server_id) of each transaction, and the position.

        Args:
            beats: how many of them are our heartbeats.
            branches: see ``TransactionLog.extend``.
        """
        with self._changed:
            self._log.extend(transactions, branches)
            self._origins.add(transactions)
            self._transactions += len(transactions) - beats
            self._position, self._coordinate = position, position.coordinate
            self._last_commit_us = last_commit_us or self._last_commit_us
            self._changed.notify_all()

    def received(self, *, events: int, keys: int, at: float) -> None:
        """Count what came."""
        with self._changed:
            self._events += events
            self._keys += keys
            self._last_event_at = at

    def become(self, state: State, error: Exception | None = None) -> None:
        """Enter a state; *error* is why."""
        with self._changed:
            self._state, self._error = state, error
            self._changed.notify_all()

    # Everybody's side

    @property
    def position(self) -> StreamPosition:
        """The position persisted last."""
        with self._changed:
            return self._position

    @property
    def coordinate(self) -> Coordinate:
        """The file and offset of ``position``."""
        with self._changed:
            return self._coordinate

    @property
    def state(self) -> State:
        """The tailer's state."""
        with self._changed:
            return self._state

    @property
    def error(self) -> Exception | None:
        """The last error; None while connected."""
        with self._changed:
            return self._error

    def wait_until(self, coordinate: Coordinate, timeout_s: float, stop: threading.Event) -> bool:
        """
        Wait until everything up to *coordinate* is persisted (the fence, INV-4).

        Returns:
            True only then; False after *timeout_s* seconds, or soon after *stop* was set.

        Raises:
            Exception: the error that ended the tailer, if one did before it got there.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._coordinate < coordinate:
                if self._state == "failed" and self._error is not None:
                    raise self._error
                left = deadline - time.monotonic()
                if left <= 0 or stop.is_set():
                    return False
                self._changed.wait(min(left, _STOP_LOOK_S))
            return True

    @property
    def unproven(self) -> int:
        """How many transactions are remembered because no read has shown them to be visible yet."""
        with self._changed:
            return len(self._log)

    def origin(self, seq: int) -> Origin | None:
        """See ``Origins.of``."""
        with self._changed:
            return self._origins.of(seq)

    def lower_by_gtids(self, executed: GtidSet) -> int:
        """See ``TransactionLog.lower_by_gtids``."""
        with self._changed:
            return self._log.lower_by_gtids(executed)

    @property
    def branches(self) -> tuple[Mapping[int, str], Branches]:
        """See ``TransactionLog.branches``; ask before a read begins."""
        with self._changed:
            return self._log.branches

    def lower_by_coordinate(self, at: Coordinate, branches: Branches = NO_BRANCHES) -> int:
        """See ``TransactionLog.lower_by_coordinate``."""
        with self._changed:
            return self._log.lower_by_coordinate(at, branches)

    def upper_by_coordinate(self, at: Coordinate) -> int:
        """See ``TransactionLog.upper_by_coordinate``; call it after ``wait_until`` only."""
        with self._changed:
            return self._log.upper_by_coordinate(at)

    def snapshot(self) -> ProgressSnapshot:
        """Return the state at this moment, in one piece."""
        with self._changed:
            return ProgressSnapshot(
                state=self._state,
                position=self._position,
                error=None if self._error is None else str(self._error),
                transactions=self._transactions,
                events=self._events,
                keys=self._keys,
                last_commit_us=self._last_commit_us,
                last_event_at=self._last_event_at,
            )
