"""One side as the reconciler uses it: a worker thread with a session for reads and one for applies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from syncer.config import Config
from syncer.core.side import SIDES, Side
from syncer.errors import OutcomeUnknown, ServerChanged, TransientDatabaseError
from syncer.mysql.connection import IDLE_S, STATEMENT_TIMEOUT_S, Session
from syncer.mysql.endpoint import Endpoint
from syncer.mysql.reader import SnapshotReader

T = TypeVar("T")


class SideWorker:
    """
    Runs reads of one side on one thread, applies on another: one of each at a time.

    ``submit`` and ``submit_apply`` may be called from any thread; ``reader`` only inside what is submitted to the first,
    ``apply_session`` inside what is submitted to the second. A session that failed with a lost connection is opened anew at
    its next use.
    """

    def __init__(
        self,
        side: Side,
        endpoint: Endpoint,
        identity: str,
        *,
        connect_timeout_s: float = 10.0,
        lock_wait_s: int = 1,
        statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    ) -> None:
        """
        Open nothing yet; for the times see ``Session.open``.

        Args:
            identity: the server that the run began with. Where another one answers at the same address, the run begins
                again: its coordinates mean nothing beside those of the stream (INV-19).
        """
        self.side = side
        self._endpoint = endpoint
        self._identity = identity
        self._connect_timeout_s = connect_timeout_s
        self._lock_wait_s = lock_wait_s
        self._statement_timeout_s = statement_timeout_s
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"side-{side}")
        self._applying = ThreadPoolExecutor(1, thread_name_prefix=f"apply-{side}")
        self._reader: SnapshotReader | None = None
        self._apply: Session | None = None
        self._applied_at = self._read_at = 0.0
        self.rows_read = 0

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run *work* on the side's thread for reads."""
        return self._pool.submit(self._read, work)

    def submit_apply(self, work: Callable[[], T]) -> Future[T]:
        """Run *work* on the side's thread for applies."""
        return self._applying.submit(self._write, work)

    def _read(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (TransientDatabaseError, OutcomeUnknown):
            if self._reader is not None and not self._reader.session.is_open:
                self._reader.session.close()
                self._reader = None
            raise
        finally:
            if self._reader is not None:
                self.rows_read += self._reader.rows_read
                self._reader.rows_read = 0

    def _write(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (TransientDatabaseError, OutcomeUnknown):
            if self._apply is not None and not self._apply.is_open:
                self._apply.close()
                self._apply = None
            raise

    def reader(self) -> SnapshotReader:
        """The session for reads, opened at first use, and anew where the server may be about to end it as idle."""
        now = time.monotonic()
        if self._reader is not None and now - self._read_at > IDLE_S["read"] / 2:
            self._reader.session.close()
            self._reader = None
        self._read_at = now
        if self._reader is None:
            self._reader = SnapshotReader(self._open("read"))
        return self._reader

    @property
    def applies(self) -> bool:
        """The session for applies is there; may be asked wherever nothing is being applied."""
        return self._apply is not None

    def apply_session(self) -> Session:
        """The session for applies, opened at first use, and anew where the server may be about to end it as idle."""
        now = time.monotonic()
        if self._apply is not None and now - self._applied_at > IDLE_S["apply"] / 2:
            self._apply.close()
            self._apply = None
        self._applied_at = now
        if self._apply is None:
            session = self._open("apply")
            session.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            self._apply = session
        return self._apply

    def _open(self, purpose: str) -> Session:
        session = Session.open(
            self._endpoint,
            self.side,
            purpose=purpose,
            autocommit=purpose != "apply",
            connect_timeout_s=self._connect_timeout_s,
            lock_wait_s=self._lock_wait_s,
            statement_timeout_s=self._statement_timeout_s,
        )
        found = session.server_identity()
        if found != self._identity:
            session.close()
            raise ServerChanged(
                f"{session.where}: another server answers ({found}, was {self._identity}); start again"
            )
        return session

    def fresh_apply_session(self) -> Session:
        """Close the session for applies, whatever its state, and open another."""
        if self._apply is not None:
            self._apply.close()
            self._apply = None
        return self.apply_session()

    def close(self) -> None:
        """Close both sessions and end the threads; waits for what is running."""
        self._pool.shutdown(wait=True)
        self._applying.shutdown(wait=True)
        if self._reader is not None:
            self._reader.session.close()
        if self._apply is not None:
            self._apply.close()


class Workers:
    """Both sides' workers."""

    @classmethod
    def of(cls, config: Config, sessions: Mapping[Side, Session]) -> Workers:
        """Build them as the configuration says, for the servers that *sessions* reached; nothing is opened yet."""
        engine = config.engine
        a, b = (
            SideWorker(
                side,
                config.endpoint(side),
                sessions[side].server_identity(),
                connect_timeout_s=engine.connect_timeout_s,
                lock_wait_s=engine.lock_wait_s,
                statement_timeout_s=engine.statement_timeout_s,
            )
            for side in SIDES
        )
        return cls(a, b)

    def __init__(self, a: SideWorker, b: SideWorker) -> None:
        """Take one worker per side."""
        self._of = {Side.A: a, Side.B: b}

    def __getitem__(self, side: Side) -> SideWorker:
        return self._of[side]

    def both(self, work: Callable[[SideWorker], T]) -> dict[Side, T]:
        """
        Run *work* for both sides at the same time and return both results.

        Waits for both even where one fails; for what is raised then see ``results``.
        """
        futures = {side: self._of[side].submit(_bound(work, self._of[side])) for side in SIDES}
        return results(futures)

    @property
    def rows_read(self) -> int:
        """Rows that reads returned so far, both sides together."""
        return sum(worker.rows_read for worker in self._of.values())

    def close(self) -> None:
        """Close both."""
        for worker in self._of.values():
            worker.close()


def results(futures: Mapping[Side, Future[T]]) -> dict[Side, T]:
    """
    Wait for all *futures* and return what they give; where some failed, raise the gravest error.

    One that can be tried again never hides one that cannot: an unknown outcome must end the cycle, or its intent would be
    forgotten at the next batch (INV-14).
    """
    return dict(zip(futures, gathered(futures.values()), strict=True))


def gathered(futures: Iterable[Future[T]]) -> list[T]:
    """Do what ``results`` does, for any number of futures in their order."""
    waited = list(futures)
    errors = [error for future in waited if (error := future.exception()) is not None]
    if errors:
        raise min(errors, key=lambda error: isinstance(error, TransientDatabaseError))
    return [future.result() for future in waited]


def _bound(work: Callable[[SideWorker], T], worker: SideWorker) -> Callable[[], T]:
    return lambda: work(worker)
