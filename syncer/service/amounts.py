"""
How much is about to be written, for the mass guards: counted exactly where it matters, bounded cheaply where it does not.

A guard that is on by default is asked in every cycle. Most cycles have a few writes of a table of thousands of rows: for these neither
the marks nor the rows are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec

from syncer.clock import Clock
from syncer.core.guard import Window, excess
from syncer.core.mark import Op
from syncer.core.pairing import PairedTable
from syncer.core.side import Side
from syncer.ledger import Ledger
from syncer.mysql.counting import count_rows
from syncer.service.sides import SideWorker, Workers

LOOK_EVERY_S = 1.0
ROUGH_S = 60.0
"""For so long a number of rows is good enough to say that an amount is far from a share of them."""

At = tuple[int, Side, Op]
"""Table, target, and what the writes do there."""


class _Marked(msgspec.Struct, frozen=True):
    """What was counted: marks of the kind then, and all that were made until then."""

    count: int
    made: int


class Amounts:
    """Counts. Used by the reconciler's thread alone, between deliveries."""

    def __init__(
        self, ledger: Ledger, workers: Workers | Mapping[Side, SideWorker], clock: Clock
    ) -> None:
        """Compose; nothing is asked yet."""
        self._ledger = ledger
        self._workers = workers
        self._clock = clock
        self._windows: dict[At, Window] = {}
        self._marked: dict[At, _Marked] = {}
        self._rows: dict[tuple[int, Side], tuple[float, int]] = {}

    def wrote(self, at: At, count: int) -> None:
        """Take note of *count* rows written that may be part of a mass change."""
        if at in self._windows:
            self._windows[at].add(self._clock.monotonic(), count)

    def went(self, table_id: int, target: Side, count: int) -> None:
        """Take *count* rows that were deleted off what is known of the table, whoever agreed to that."""
        known = self._rows.get((table_id, target))
        if known is not None:
            self._rows[table_id, target] = known[0], max(0, known[1] - count)

    def written(self, at: At, window_s: float) -> int:
        """Return what was written within the window."""
        return self._windows.setdefault(at, Window()).total(self._clock.monotonic(), window_s)

    def marked(self, at: At) -> int:
        """Count the keys that are marked with such a change on the other side; asks the ledger."""
        table_id, target, op = at
        made = self._ledger.marked_so_far()
        count = self._ledger.count_changed(table_id, target.other, op)
        self._marked[at] = _Marked(count, made)
        return count

    def is_far(self, at: At, table: PairedTable, planned: int, written: int) -> bool:
        """
        Say whether *planned* more writes are certainly within every limit: by what was counted before and has come since.

        Every mark that was made since may be one of the kind; what was written since is not taken off, since not all of it was counted.
        """
        known = self._marked.get(at)
        if known is None:
            self.marked(at)
            known = self._marked[at]
        since = self._ledger.marked_so_far() - known.made
        amount = written + max(planned, known.count + since)
        guard, op = table.guard, at[2]
        limit = guard.limit(op)
        if limit.rows and amount > limit.rows:
            return False
        if not limit.percent or 100.0 * amount <= limit.percent * guard.percent_from_rows:
            return True
        counted, rows = self._rows.get((table.table_id, at[1]), (-ROUGH_S, 0))
        fresh = self._clock.monotonic() < counted + ROUGH_S
        return fresh and excess(guard, op, 2 * amount, rows) is None

    def rows(self, table: PairedTable, target: Side) -> int:
        """Return how many rows a table has at *target*, a second ago at most."""
        now = self._clock.monotonic()
        counted, rows = self._rows.get((table.table_id, target), (now - 2 * LOOK_EVERY_S, 0))
        if now >= counted + LOOK_EVERY_S:
            worker = self._workers[target]
            rows = worker.submit(partial(_count_rows, worker, table, target)).result()
            self._rows[table.table_id, target] = now, rows
        return rows


def _count_rows(worker: SideWorker, table: PairedTable, target: Side) -> int:
    return count_rows(worker.reader().session, table.schema(target))
