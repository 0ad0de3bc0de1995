"""
One thread per side that reads the replication stream and persists marks with positions.

What it expects of the position it is given: ``server`` is MySQL's ``server_uuid`` or MariaDB's ``server_id``; ``gtids`` is MySQL's
``gtid_executed`` (tags included) or MariaDB's ``gtid_binlog_pos`` (or ``BINLOG_GTID_POS(file, offset)``); ``gtids`` and ``file``/``offset`` were read from the server named in ``server``,
the GTIDs not after the file and offset (whatever lies between in that file is read twice, which is harmless; a gap would not be);
``seq`` is 0 for a new ledger and what was recorded last for every later start.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

from syncer.binlog.adapter import Stream
from syncer.binlog.assembler import Assembler
from syncer.binlog.layout import Flavor, LayoutSource, StreamEndpoint
from syncer.binlog.progress import StreamProgress
from syncer.clock import Clock
from syncer.core.position import Coordinate, StreamPosition
from syncer.core.record import MarkStore, RowRecord
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.errors import EventDamaged, PositionLost, StreamError, SyncerError, UnsupportedEvent

_GROUP_MARKS = 64_000
_GROUP_S, _LONGEST_GROUP_S = 0.05, 0.2
"""A group is persisted after so long, and after longer the longer there has been more to read: each rewrites the same pages of the ledger."""
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 10.0
_DAMAGED_TRIES = 5


def _damaged_for_good(error: SyncerError, position: StreamPosition) -> UnsupportedEvent:
    return UnsupportedEvent(
        f"{error}, {_DAMAGED_TRIES} times behind {position.file}:{position.offset}: check that file at the server with"
        " mysqlbinlog --verify-binlog-checksum"
    )


class Tailer:
    """
    Tails one side from a saved position until it is stopped or fails for good.

    Lost connections are made again with a back-off, from the position recorded last; a transaction of which the end was not
    seen is then read again from its beginning, under the same number. Any other error ends the thread: it is in
    ``progress.error``, and every ``progress.wait_until`` raises it.

    ``on_schema_change`` is called in this thread before the next event is looked at, after all that came before the DDL and
    before the DDL itself is recorded; when it returns, *layouts* must describe the changed table, since rows that follow are read by it. If it raises, the tailer takes
    the error as its own: a retryable one makes it connect and come to the same DDL again.
    It is called for tables in scope, for every other table that a statement names, and for a table in scope whose events do
    not fit its layout.
    """

    def __init__(
        self,
        side: Side,
        endpoint: StreamEndpoint,
        flavor: Flavor,
        position: StreamPosition,
        store: MarkStore,
        layouts: LayoutSource,
        pair_id: str,
        server_id: int,
        clock: Clock,
        logger: Any,
        on_schema_change: Callable[[Side, TableName], None],
        on_beat: Callable[[str, int], None] | None = None,
        *,
        by_file: bool = False,
        exact_from: Coordinate | None = None,
    ) -> None:
        """
        Prepare; nothing is opened before ``start``.

        Args:
            pair_id: the pair's id in the marker row.
            server_id: the replica id that this stream registers with; unique among the server's replicas.
            logger: a bound structlog logger.
            on_beat: called in this thread with the text and the number of a heartbeat of this pair, when everything up
                to it is persisted.
            by_file: of the first connection, see ``Stream.open``; one that is lost is made again by GTID.
            exact_from: all that was read lies before it. From there on file and offset are the place that the GTIDs tell; a
                stream asked for by GTID may come to places before it, with no more than that behind them. None: from the start.
        """
        self.progress = StreamProgress(position, gtids=flavor == "mysql")
        self._side, self._endpoint, self._flavor = side, endpoint, flavor
        self._store, self._layouts, self._pair_id = store, layouts, pair_id
        self._server_id, self._clock = server_id, clock
        self._log = logger.bind(side=str(side))
        self._on_schema_change = on_schema_change
        self._on_beat = on_beat
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._pending_since = 0.0
        self._by_file, self._exact_from = by_file, exact_from
        self._thread = threading.Thread(target=self._run, name=f"tailer-{side}", daemon=True)

    def start(self) -> None:
        """Start the thread. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end, and end its wait for the server. Idempotent; does not block."""
        self._stop.set()
        with self._lock:
            if self._stream is not None:
                self._stream.close()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end of the thread, *timeout* seconds at most; return whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait_s, attempt, damaged = _FIRST_WAIT_S, 0, 0
        while not self._stop.is_set():
            before = self.progress.position
            try:
                self._tail()
            except SyncerError as error:
                if self._stop.is_set():
                    break
                if not error.retryable:
                    self._fail(error)
                    return
                if self.progress.position != before:
                    wait_s, attempt, damaged = _FIRST_WAIT_S, 0, 0
                attempt += 1
                damaged += isinstance(error, EventDamaged)
                if damaged >= _DAMAGED_TRIES:
                    self._fail(_damaged_for_good(error, before))
                    return
                self.progress.become("interrupted", error)
                self._log.warning(
                    "stream.interrupted",
                    error_code=error.code,
                    attempt=attempt,
                    wait_s=wait_s,
                    reason=str(error),
                )
                self._stop.wait(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            except Exception as error:  # noqa: BLE001 - whatever ends the thread must be seen by those who wait for it
                self._fail(error)
                return
        self.progress.become("stopped")
        self._log.info("stream.stopped")

    def _fail(self, error: Exception) -> None:
        if isinstance(error, PositionLost):
            error.side = str(self._side)
        self.progress.become("failed", error)
        event = "stream.position_lost" if isinstance(error, PositionLost) else "stream.refused"
        self._log.error(
            event,
            error_code=getattr(error, "code", "internal"),
            reason=str(error) if isinstance(error, SyncerError) else type(error).__name__,
            exc_info=None if isinstance(error, SyncerError) else error,
        )

    def _tail(self) -> None:
        """Read one connection until it ends."""
        position = self.progress.position
        by_file, self._by_file = self._by_file, False
        stream = Stream(self._side, self._endpoint, self._flavor, self._server_id)
        with self._lock:
            self._stream = stream
        try:
            if self._stop.is_set():
                return
            stream.open(position, by_file=by_file)

            def on_schema_change(side: Side, name: TableName) -> None:
                self._flush(assembler)
                self._on_schema_change(side, name)

            assembler = Assembler(
                self._side,
                self._flavor,
                position,
                self._store,
                self._layouts,
                self._pair_id,
                on_schema_change,
                checksums=stream.checksums,
                exact_from=self._exact_from,
            )
            self.progress.become("connected")
            self._log.info("stream.connected", position=f"{position.file}:{position.offset}")
            self._pump(stream, assembler)
        finally:
            with self._lock:
                self._stream = None
            stream.release()

    def _pump(self, stream: Stream, assembler: Assembler) -> None:
        self._pending_since = self._clock.monotonic()
        group_s = _GROUP_S
        while True:
            try:
                packets = stream.packets()
            except StreamError:
                self._flush(
                    assembler
                )  # whole transactions are whole, whatever became of the connection
                raise
            events, keys = assembler.events, assembler.rows
            try:
                assembler.feed_all(packets)
            except StreamError as error:
                self._flush(assembler)
                raise type(error)(f"side {self._side}: {error}") from error
            self.progress.received(
                events=assembler.events - events, keys=assembler.rows - keys, at=self._clock.now()
            )
            late = self._clock.monotonic() - self._pending_since >= group_s
            more = stream.more()
            if not more or assembler.marks >= _GROUP_MARKS or (assembler.finished.records and late):
                self._flush(assembler)
                group_s = min(2 * group_s, _LONGEST_GROUP_S) if more else _GROUP_S

    def _flush(self, assembler: Assembler) -> None:
        """Persist what is whole, then announce it."""
        finished = assembler.finished
        position = assembler.position if finished.records or assembler.between else None
        if position is not None and (finished.records or position != self.progress.position):
            self._store.record(self._side, finished.records, position)
            self.progress.recorded(
                finished.named,
                position,
                last_commit_us=assembler.last_commit_us,
                beats=len(finished.beats),
                branches=finished.branches,
            )
            for record in finished.records:
                for span in () if isinstance(record, RowRecord) else record.spans:
                    self._log.warning(
                        "stream.table_marked", table_id=span.table_id, reason=str(span.reason)
                    )
            if self._on_beat is not None:
                for text, seq in finished.beats:
                    self._on_beat(text, seq)
        assembler.take()
        self._pending_since = self._clock.monotonic()
