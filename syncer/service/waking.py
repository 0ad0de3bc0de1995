"""Wakes the reconciler when a tailer has persisted something."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from syncer.core.mark import KeyMark, Lookup
from syncer.core.position import StreamPosition
from syncer.core.record import BatchItem, MarkStore, Record, RowRecord
from syncer.core.side import Side
from syncer.service.probes import Moment, Probe, no_probe


class WakingStore:
    """A MarkStore that sets an event after each record with marks in it. Thread-safe."""

    def __init__(self, store: MarkStore, wake: threading.Event, probe: Probe = no_probe) -> None:
        """Wrap *store*."""
        self._store = store
        self._probe = probe
        self._wake = wake

    def record(self, side: Side, records: Sequence[Record], position: StreamPosition) -> None:
        """Persist, then wake."""
        self._probe(Moment.RECORD_BEFORE, side)
        self._store.record(side, records, position)
        self._probe(Moment.RECORD_AFTER, side)
        if any(map(_has_marks, records)):
            self._wake.set()

    def spill(self, side: Side, marks: Sequence[KeyMark], lookups: Sequence[Lookup] = ()) -> None:
        """Persist; nothing can be decided from it yet."""
        self._store.spill(side, marks, lookups)

    def spill_branch(
        self, side: Side, marks: Sequence[KeyMark], lookups: Sequence[Lookup], *, first: bool
    ) -> None:
        """Persist; nothing can be decided from it before the branch is committed."""
        self._store.spill_branch(side, marks, lookups, first=first)

    def batch_items(self, side: Side, batch_id: int) -> tuple[BatchItem, ...] | None:
        """Look up."""
        return self._store.batch_items(side, batch_id)


def _has_marks(record: Record) -> bool:
    return isinstance(record, RowRecord) or bool(
        record.marks or record.spans or record.lookups or record.committed_xid
    )
