"""The dry run's applier: takes the same decisions, writes them down, sends nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from syncer.clock import Clock
from syncer.core.mark import Op
from syncer.core.side import Side
from syncer.ledger import Ledger
from syncer.ledger.records import Batch
from syncer.service.delivery import Deliverer
from syncer.service.planned import Planned, operation
from syncer.service.tables import printable_key

LINES_KEPT = 100_000


class Rehearsal:
    """Collects what would be written. The ledger is a throw-away copy: its marks are cleared as if it had been."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        """Begin with nothing planned."""
        self._ledger = ledger
        self._clock = clock
        self.lines: list[str] = []

    def delivery(self, side: Side) -> Deliverer:
        """Return the deliverer of one side."""
        return _RehearsedDelivery(side, self._ledger, self._clock, self.lines)


class _RehearsedDelivery:
    def __init__(self, side: Side, ledger: Ledger, clock: Clock, lines: list[str]) -> None:
        self._side = side
        self._ledger = ledger
        self._clock = clock
        self._lines = lines
        self.applied: Counter[str] = Counter()
        self.written: Counter[tuple[int, Op]] = Counter()
        self.latencies_s: list[float] = []

    def prepare(self, planned: Sequence[Planned], lower: dict[Side, int]) -> Batch:
        now = self._clock.now()
        return Batch(
            batch_id=self._ledger.next_batch_id(),
            target=self._side,
            lower=lower,
            items=tuple(p.item(now) for p in planned),
        )

    def deliver(self, planned: Sequence[Planned], batch: Batch) -> None:
        for item in planned:
            self.written[item.table.table_id, item.write().op] += 1
            why = item.decision.rule or item.decision.path
            if len(self._lines) < LINES_KEPT:
                self._lines.append(
                    f"{operation(item.write())} on side {self._side}: {item.table.name} "
                    f"key {printable_key(item.table, item.group.keys[0])} ({why})"
                )
        self._ledger.finish(batch.batch_id, frozenset(range(len(planned))))
