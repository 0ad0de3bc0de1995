"""
The guards of the writes: what a side never gets is held, and a table that is about to get too many at once is stopped.

Both come before the intent (INV-8): nothing is sent, no mark is cleared, and what was withheld stays marked or is held
(INV-9, INV-12). A stopped table takes new marks as ever; ``syncer guard confirm`` lets what was counted through, once, and ``syncer
guard reject`` has the other side's rows written back: decisions as any other, with a proof and a guard of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import structlog

from syncer.clock import Clock
from syncer.core.decision import ConflictKind, Decision, Verdict
from syncer.core.guard import Rejection, Stop, WriteKind, excess
from syncer.core.mark import Op
from syncer.core.pairing import PairedTable
from syncer.core.side import Side
from syncer.ledger import Ledger
from syncer.service.amounts import LOOK_EVERY_S, Amounts, At
from syncer.service.answering import PERSON
from syncer.service.onesided import OneSided
from syncer.service.oversize import SIZE
from syncer.service.planned import Planned
from syncer.service.sides import Workers

GUARD = "guard"
"""The path of a decision that a guard withholds."""
REJECT = "reject"
"""The path of a decision that a person turned back with all of its kind."""

Written = Counter[tuple[int, Op]]
"""Rows written to a side since the start of the run, by table and operation."""


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
        self._writers = writers
        self._clock = clock
        self._log = log
        self._amounts = Amounts(ledger, workers, clock)
        self._known: dict[Side, Written] = {side: Counter() for side in writers}
        self._rejections: tuple[Rejection, ...] = ()
        self._looked_at = 0.0

    def listen(self) -> None:
        """Take what people have turned back: all that is decided until the next call is decided and counted by that."""
        self._rejections = self._ledger.rejections()

    def turns_back(self, table_id: int) -> bool:
        """Say whether rows of that table may have to be turned back."""
        return any(one.table_id == table_id for one in self._rejections)

    def turn_back(self, planned: list[Planned]) -> list[Planned]:
        """Let the other side's row stand, whatever the policy says, where a person has turned back what a side did."""
        if not self._rejections:
            return planned
        return [self._turned_back(item) for item in planned]

    def _turned_back(self, item: Planned) -> Planned:
        for one in self._rejections:
            if one.table_id != item.table.table_id or not _is_part(item, one):
                continue
            if self._ledger.held_before(one.table_id, item.stored, one.since):
                return item  # a person was asked about it before: it was not counted
            decision = Decision(
                verdict=Verdict.COPY,
                winner=one.target,
                conflict=ConflictKind.GUARD,
                rule=f"guard reject by {one.actor}",
                path=REJECT,
                possible=item.decision.possible,
            )
            return msgspec.structs.replace(item, decision=decision, actor=one.actor)
        return item

    def sift(
        self, copies: Sequence[Planned], moving: Sequence[OneSided] = ()
    ) -> tuple[list[Planned], list[Planned], list[OneSided]]:
        """
        Return what may be written, what is to be held since its target never gets such a write, and what of *moving* may be.

        What is in none belongs to a table that is stopped by now: it stays marked. *copies* are what ``turn_back`` has left;
        *moving* has nothing of tables that it ``turns_back``.
        """
        self._count_written()
        now = self._clock.monotonic()
        if now >= self._looked_at + LOOK_EVERY_S:
            self._looked_at = now
            self._end_agreements()
            self._end_rejections()
        free, held = [], []
        turned_back: list[Planned] = []
        for item in copies:
            if _forbidden(item):
                held.append(_withheld(item))
            elif item.decision.path == REJECT:
                turned_back.append(item)
            else:
                free.append(item)
        guarded: Counter[At] = Counter()
        tables: dict[int, PairedTable] = {}
        for item in free:
            op = item.write().op
            if item.table.guard.limit(op):
                tables[item.table.table_id] = item.table
                guarded[item.table.table_id, item.target, op] += 1
        for one in moving:
            for op, rows in one.rows.ways():
                if one.table.guard.limit(op):
                    tables[one.table.table_id] = one.table
                    guarded[one.table.table_id, one.target, op] += len(rows.keys)
        stopped = {
            at[0] for at, count in guarded.items() if not self._pass(at, tables[at[0]], count)
        }
        passed = [item for item in free if item.table.table_id not in stopped]
        return (
            [*passed, *turned_back],
            held,
            [one for one in moving if one.table.table_id not in stopped],
        )

    def _count_written(self) -> None:
        """Count what was committed since the last look; what a person let through was taken off that, and counts nowhere else."""
        wrote = any(w.written for w in self._writers.values())
        stops = self._ledger.stops() if wrote else {}
        for side, writer in self._writers.items():
            for (table_id, op), total in list(writer.written.items()):
                new = total - self._known[side][table_id, op]
                if not new:
                    continue
                self._known[side][table_id, op] = total
                if op is Op.DELETE:
                    self._amounts.went(table_id, side, new)
                # Rows that are written back are nobody's mass change.
                counts = all(r.table_id != table_id or r.target is side for r in self._rejections)
                stop = stops.get(table_id)
                if stop is not None and stop.left is not None and _is_of(stop, side, op):
                    if stop.left <= 0:
                        self._end(table_id)
                    new = max(0, -stop.left)
                if counts:
                    self._amounts.wrote((table_id, side, op), new)

    def rest(self) -> None:
        """Nothing is due and nothing is being written: agreements end with what they were about."""
        self._count_written()
        self._end_agreements()

    def _end_agreements(self) -> None:
        for stop in self._ledger.stops().values():
            if stop.confirmed and not self._ledger.agreed(stop.table_id):
                self._end(stop.table_id)

    def _end(self, table_id: int) -> None:
        self._ledger.end_stop(table_id)
        self._log.info("guard.ended", table_id=table_id)

    def _end_rejections(self) -> None:
        for one in self._ledger.rejections():
            if not self._ledger.count_rejected(one, held=True):
                self._ledger.end_rejection(one)
                self._log.info("guard.turned_back", table_id=one.table_id, side=str(one.source))

    def _agreed(self, at: At) -> int:
        """Say how many such writes a person has agreed to that are still to come."""
        table_id, target, op = at
        stop = self._ledger.stops().get(table_id)
        return self._ledger.agreed(table_id) if stop and _is_of(stop, target, op) else 0

    def _pass(self, at: At, table: PairedTable, planned: int) -> bool:
        """Say whether *planned* more writes may go to the target; where not, the table is stopped."""
        table_id, target, op = at
        rejected = next((r for r in self._rejections if (r.table_id, r.target, r.op) == at), None)
        guard = table.guard
        written = self._amounts.written(at, guard.window_s)
        after = -1 if rejected is None else rejected.upto
        truncated = op is Op.DELETE and self._ledger.is_truncated(table_id, target.other, after)
        one_way = table.policy.direction.source is target.other
        compared = op is Op.DELETE and one_way and self._ledger.is_compared(table_id)
        if not (truncated or compared) and self._amounts.is_far(at, table, planned, written):
            return True
        agreed = self._agreed(at)
        if agreed >= planned:
            return True
        marked = self._amounts.marked(at)
        if rejected is not None:
            marked -= self._ledger.count_rejected(rejected, held=False)
        if op is Op.DELETE:
            marked -= self._ledger.count_deleted_twice(table_id)
        waiting = max(planned, marked)
        rows = None
        if truncated or compared or guard.limit(op).percent:
            rows = self._amounts.rows(table, target)
        if truncated and rows is not None:
            waiting = max(waiting, rows)
        if compared and rows is not None:
            # What nobody has looked at yet is the target's alone, or will be found to be.
            waiting = max(waiting, rows - self._amounts.rows(table, target.other))
        # A person knows of what was agreed to, and it is as good as gone: what comes beside it is compared with what stays.
        known = min(agreed, waiting)
        before = None if rows is None else rows + (written - known if op is Op.DELETE else 0)
        reason = excess(guard, op, written + waiting - known, before)
        if reason is None:
            return True
        if self._ledger.rejections() != self._rejections:
            return False  # answered meanwhile
        amount = written + waiting
        self._ledger.stop_table(
            Stop(
                table_id=table_id,
                target=target,
                op=op,
                amount=amount,
                reason=reason,
                since=self._clock.now(),
                waiting=waiting,
            )
        )
        self._log.error(
            "guard.stopped",
            table=str(table.name),
            side=str(target),
            rows=amount,
            reason=reason,
            message=f"nothing was written; syncer guard confirm {table.name} lets it through, once, reject turns it back",
        )
        return False


def _is_of(stop: Stop, target: Side, op: Op) -> bool:
    return stop.target is target and stop.op is op


def _is_part(item: Planned, one: Rejection) -> bool:
    """Say whether what is decided about a row is part of what was turned back; an answer of a person about the row itself stands."""
    was, rows = item.decision, item.group.rows
    if was.path in {PERSON, SIZE} or was.merged is not None or was.keeps or item.unit is not None:
        return False
    if item.group.crowded or item.table.policy.direction.source is not None:
        return False
    if was.verdict is Verdict.COPY and was.winner is one.target:
        return False
    if was.verdict is not Verdict.COPY and not was.verdict.waits:
        return False
    here, there = rows[one.source], rows[one.target]
    if there is None or (one.op is Op.DELETE) is not (here is None):
        return False
    return one.concerns(item.marks.of(one.source))


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
