"""
The guards of the writes: what a side never gets is held, and a table that is about to get too many at once is stopped.

Both come before the intent (INV-8): nothing is sent, no mark is cleared, and what was withheld stays marked or is held
(INV-9, INV-12). A stopped table takes new marks as ever; ``syncer guard confirm`` lets what was counted through, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec
import structlog

from syncer.clock import Clock
from syncer.core.decision import ConflictKind, Decision, Verdict
from syncer.core.guard import Stop, Window, WriteKind, excess
from syncer.core.mark import Op
from syncer.core.pairing import PairedTable
from syncer.core.side import Side
from syncer.ledger import Ledger
from syncer.mysql.counting import count_rows
from syncer.service.onesided import OneSided
from syncer.service.planned import Planned
from syncer.service.sides import SideWorker, Workers

LOOK_EVERY_S = 1.0
GUARD = "guard"
"""The path of a decision that a guard withholds."""

Written = Counter[tuple[int, Op]]
"""Rows written to a side since the start of the run, by table and operation."""

_At = tuple[int, Side, Op]


class Writer(Protocol):
    """What is asked of a target's deliverer."""

    written: Written


class Guards:
    """Looks at what is about to be written. Used by the reconciler's thread alone, between deliveries."""

    def __init__(
        self,
        ledger: Ledger,
        workers: Workers,
        writers: Mapping[Side, Writer],
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """Compose; nothing is asked yet."""
        self._ledger = ledger
        self._workers = workers
        self._writers = writers
        self._clock = clock
        self._log = log
        self._windows: dict[_At, Window] = {}
        self._known: dict[Side, Written] = {side: Counter() for side in writers}
        self._rows: dict[tuple[int, Side], tuple[float, int]] = {}
        self._agreed: set[int] = set()
        self._looked_at = 0.0

    def sift(
        self, copies: Sequence[Planned], moving: Sequence[OneSided] = ()
    ) -> tuple[list[Planned], list[Planned], list[OneSided]]:
        """
        Return what may be written, what is to be held since its target never gets such a write, and what of *moving* may be.

        What is in none belongs to a table that is stopped by now: it stays marked.
        """
        self._count_written()
        self._end_agreements()
        free, held = [], []
        for item in copies:
            if _forbidden(item):
                held.append(_withheld(item))
            else:
                free.append(item)
        guarded: Counter[_At] = Counter()
        tables: dict[int, PairedTable] = {}
        for item in free:
            op = item.write().op
            if item.table.guard.limit(op):
                tables[item.table.table_id] = item.table
                guarded[item.table.table_id, item.target, op] += 1
        for one in moving:
            for op, count in one.rows.counts().items():
                if count and one.table.guard.limit(op):
                    tables[one.table.table_id] = one.table
                    guarded[one.table.table_id, one.target, op] += count
        stopped = {
            at[0] for at, count in guarded.items() if not self._pass(at, tables[at[0]], count)
        }
        return (
            [item for item in free if item.table.table_id not in stopped],
            held,
            [one for one in moving if one.table.table_id not in stopped],
        )

    def _count_written(self) -> None:
        """Count what was committed since the last look; what a person let through counts against that alone."""
        now = self._clock.monotonic()
        stops = self._ledger.stops() if any(w.written for w in self._writers.values()) else {}
        for side, writer in self._writers.items():
            for (table_id, op), total in list(writer.written.items()):
                new = total - self._known[side][table_id, op]
                if not new:
                    continue
                self._known[side][table_id, op] = total
                stop = stops.get(table_id)
                if stop is not None and stop.left is not None and _is_of(stop, side, op):
                    stops[table_id] = self._agree(stop, max(0, stop.left - new))
                elif (table_id, side, op) in self._windows:
                    self._windows[table_id, side, op].add(now, new)

    def _agree(self, stop: Stop, left: int) -> Stop:
        renewed = msgspec.structs.replace(stop, left=left)
        self._ledger.stop_table(renewed)
        return renewed

    def _end_agreements(self) -> None:
        """An agreement ends where nothing is left of what it was about."""
        now = self._clock.monotonic()
        if now < self._looked_at + LOOK_EVERY_S:
            return
        self._looked_at = now
        for stop in self._ledger.stops().values():
            if stop.left is None:
                self._agreed.discard(stop.table_id)
            elif stop.left == 0 or not self._waiting(stop.table_id, stop.target, stop.op):
                self._agreed.discard(stop.table_id)
                self._ledger.end_stop(stop.table_id)
                self._log.info("guard.ended", table_id=stop.table_id)

    def _waiting(self, table_id: int, target: Side, op: Op) -> int:
        truncated = op is Op.DELETE and self._ledger.is_truncated(table_id, target.other)
        return self._ledger.count_changed(table_id, target.other, op) + int(truncated)

    def _pass(self, at: _At, table: PairedTable, planned: int) -> bool:
        """Say whether *planned* more writes may go to the target; where not, the table is stopped."""
        table_id, target, op = at
        now = self._clock.monotonic()
        guard = table.guard
        written = self._windows.setdefault(at, Window()).total(now, guard.window_s)
        waiting = max(planned, self._ledger.count_changed(table_id, target.other, op))
        rows = None
        truncated = op is Op.DELETE and self._ledger.is_truncated(table_id, target.other)
        if truncated or guard.limit(op).percent:
            rows = self._count(table, target)
        if truncated and rows is not None:
            waiting = max(waiting, rows)
        amount = written + waiting
        before = None if rows is None else rows + (written if op is Op.DELETE else 0)
        reason = excess(guard, op, amount, before)
        if reason is None:
            return True
        stop = self._ledger.stops().get(table_id)
        if stop is not None and stop.left is not None and _is_of(stop, target, op):
            if table_id not in self._agreed:
                # What came between the stop and the answer was waiting when the person agreed.
                self._agreed.add(table_id)
                stop = self._agree(stop, max(stop.left, waiting))
            if (stop.left or 0) >= planned:
                return True
        self._agreed.discard(table_id)
        self._ledger.stop_table(
            Stop(
                table_id=table_id,
                target=target,
                op=op,
                amount=amount,
                reason=reason,
                since=self._clock.now(),
            )
        )
        self._log.error(
            "guard.stopped",
            table=str(table.name),
            side=str(target),
            rows=amount,
            reason=reason,
            message=f"nothing was written; syncer guard confirm {table.name} lets it through, once",
        )
        return False

    def _count(self, table: PairedTable, target: Side) -> int:
        now = self._clock.monotonic()
        at, rows = self._rows.get((table.table_id, target), (now - 2 * LOOK_EVERY_S, 0))
        if now >= at + LOOK_EVERY_S:
            worker = self._workers[target]
            rows = worker.submit(partial(_count_rows, worker, table, target)).result()
            self._rows[table.table_id, target] = now, rows
        return rows


def _count_rows(worker: SideWorker, table: PairedTable, target: Side) -> int:
    return count_rows(worker.reader().session, table.schema(target))


def _is_of(stop: Stop, target: Side, op: Op) -> bool:
    return stop.target is target and stop.op is op


def _forbidden(item: Planned) -> bool:
    guard = item.table.guard
    kept = item.decision.keeps and guard.forbids(item.target, Op.INSERT)
    return kept or guard.forbids(item.target, item.write().op)


def _withheld(item: Planned) -> Planned:
    """A write that its target never gets: it waits for a person, whatever was decided."""
    was = item.decision
    decided = f" (decided: {was.rule})" if was.rule else ""
    return msgspec.structs.replace(
        item,
        decision=Decision(
            verdict=Verdict.HOLD,
            conflict=ConflictKind.GUARD,
            rule=f"forbid_{item.target}: {WriteKind.of(item.write().op)}{decided}",
            path=GUARD,
            possible=was.possible,
        ),
    )
