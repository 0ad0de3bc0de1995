"""Several pairs of connections beside each other: chunks of whole tables are read on all of them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from syncer.service.sides import Workers

T = TypeVar("T")


class Lanes:
    """
    So many reads at a time, each on a pair of connections that is its own meanwhile. ``submit`` may be called from any thread.

    A lane opens its connections when it is first needed: a pair of small tables has one.
    """

    def __init__(self, make: Callable[[], Workers], count: int) -> None:
        """Open nothing yet. *make* gives the connections of a further lane; *count* is at least 1."""
        self._make = make
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="lane")
        self._lock = threading.Lock()
        self._idle: list[Workers] = []
        self._rows_read = 0
        self.count = count

    def submit(self, work: Callable[[Workers], T]) -> Future[T]:
        """Run *work* on the next lane that is free."""
        return self._pool.submit(self._run, work)

    def _run(self, work: Callable[[Workers], T]) -> T:
        with self._lock:
            if not self._idle:
                self._idle.append(self._make())
            workers = self._idle.pop()
        try:
            return work(workers)
        finally:
            with self._lock:
                self._idle.append(workers)

    @property
    def rows_read(self) -> int:
        """Rows that reads returned so far, but for those under way."""
        with self._lock:
            return self._rows_read + sum(workers.rows_read for workers in self._idle)

    def rest(self) -> None:
        """Close the connections of all lanes that nothing is read on."""
        with self._lock:
            closing, self._idle = self._idle, []
            self._rows_read += sum(workers.rows_read for workers in closing)
        for workers in closing:
            workers.close()

    def close(self) -> None:
        """Wait for what is being read, then close all connections; what has not begun never does."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.rest()
