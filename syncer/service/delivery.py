"""
Delivery: intents, applies, and what follows from their outcomes.

Per target: intent first (INV-8), one guarded transaction (INV-9, INV-10, INV-15), then clear (INV-11). An unknown outcome
is looked up, never sent again (INV-14). What a server refuses is tried with another plan, then in halves, until the row
that cannot be written stands alone; it waits with a back-off where time can help, and is held where it cannot.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec
import structlog

from syncer.clock import Ages, Clock
from syncer.core.decision import ConflictKind
from syncer.core.key import StoredKey
from syncer.core.links import circular
from syncer.core.mark import Op
from syncer.core.side import Side
from syncer.errors import OutcomeUnknown, StatementRefused, TransientDatabaseError
from syncer.ledger import Ledger
from syncer.ledger.records import Batch, ConflictEntry
from syncer.mysql.applier import Applied, apply_batch, apply_change
from syncer.mysql.failures import LOCK_TIMEOUT
from syncer.mysql.relatives import rivals
from syncer.mysql.writing import (
    DUPLICATE_KEY,
    Dependents,
    GuardMissed,
    Plan,
    ReadBackFailed,
    Write,
)
from syncer.service.answering import PERSON
from syncer.service.families import Families
from syncer.service.lanes import ApplyLane
from syncer.service.outcomes import look_up
from syncer.service.oversize import SIZE, above_packet, size_note
from syncer.service.planned import Planned, halves, operation, with_rivals
from syncer.service.probes import Moment, Probe, no_probe
from syncer.service.refusals import LINKS, NOT_ABOUT_ROWS, REFUSED_FOR
from syncer.service.sides import SideWorker

MISSES_BEFORE_LEAVING_OUT = 3
MISSES_BEFORE_REFUSED = 8
"""A row that was absent so often when it was read, and is there when it is inserted, has a key that the target takes for another's."""
BACK_OFF_S = 0.125
BACK_OFF_MOST_S = 16.0
"""Powers of two, so that every back-off is exactly a part of the longer ones (``due_again``)."""
LOCKED_S = 5.0
"""For so long the rows of a delivery that are locked are told from the others."""
WAIT_FOR_CHILDREN = 16
"""So many times as many tries while children are still being decided."""
WAIT_FOR_CHILDREN_MOST_S = 1.0
REFUSALS_KNOWN = 10_000
RIVALS_MOST = 5
UNDECIDED_LOOK_S = 0.5
"""The oldest mark is looked up at most so often: among rows that are all refused it is found last."""
LATENCIES_KEPT = 2_000
"""Of so many rows written last the latencies are known; each is an object in memory."""


def due_again(now: float, tries: int) -> float:
    """
    Say when a row that was refused is tried again.

    At the next whole multiple of a back-off that doubles with every try: rows that are refused one shortly after the other
    are due together before long, and rows that can only be written together meet in one batch.
    """
    step = min(BACK_OFF_MOST_S, 2 * BACK_OFF_S * 2.0 ** min(tries, 30))
    return (now // step + 1) * step


class Deliverer(Protocol):
    """What the reconciler asks of a target: the real one, or a rehearsal."""

    applied: Counter[str]
    written: Counter[tuple[int, Op]]
    latencies_s: list[float]

    def prepare(self, planned: Sequence[Planned], lower: dict[Side, int]) -> Batch:
        """Make an intent."""
        ...

    def deliver(self, planned: Sequence[Planned], batch: Batch) -> None:
        """Carry a persisted intent out."""
        ...


class Delivery:
    """
    Delivers the decisions of one target.

    ``deliver`` runs on the side's worker thread; the other methods on the reconciler's thread between deliveries.
    """

    def __init__(
        self,
        worker: SideWorker,
        ledger: Ledger,
        pair_id: str,
        epoch: int,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        *,
        ending: threading.Event,
        retry_limit: int,
        dependents: Callable[[], Dependents],
        families: Families,
        probe: Probe = no_probe,
    ) -> None:
        """
        Take the side's worker.

        Args:
            epoch: the one raised at the start of the run.
            ending: set when the run is to end; what is under way is still finished where that takes no more than seconds.
            retry_limit: tries of a row that the target refuses for the sake of other rows, before it is held.
            dependents: returns the tables whose rows the target deletes with their parents, as they are now.
            families: is asked before a row is held for the sake of another one.
        """
        self._worker = worker
        self._ledger = ledger
        self._pair_id = pair_id
        self._epoch = epoch
        self._clock = clock
        self._log = log.bind(side=str(worker.side))
        self._ending = ending
        self._probe = probe
        self._retry_limit = retry_limit
        self._dependents = dependents
        self._families = families
        self._misses = 0
        self._patient_until = -math.inf
        self._counting = threading.Lock()
        self._refused: dict[tuple[int, StoredKey], int] = {}
        self._undecided: tuple[float, int | None] = (-math.inf, None)
        self._ages = Ages(clock)
        self.applied: Counter[str] = Counter()
        self.written: Counter[tuple[int, Op]] = Counter()
        self.latencies_s: list[float] = []

    @property
    def target(self) -> Side:
        """The side that is written."""
        return self._worker.side

    def prepare(self, planned: Sequence[Planned], lower: dict[Side, int]) -> Batch:
        """Make the intent of *planned*; the caller persists it before anything is sent (INV-8)."""
        now = self._clock.now()
        return Batch(
            batch_id=self._ledger.next_batch_id(),
            target=self.target,
            lower=lower,
            items=tuple(p.item(now) for p in planned),
        )

    def deliver(self, planned: Sequence[Planned], batch: Batch) -> None:
        """
        Deliver a persisted intent; on return its keys are cleared, held, deferred, or still marked.

        Raises:
            TransientDatabaseError: the server failed; marks are kept.
            EpochLost: another syncer has the pair.
        """
        self._patient_until = self._clock.monotonic() + LOCKED_S
        self._deliver(planned, batch)

    def _deliver(self, planned: Sequence[Planned], batch: Batch) -> None:
        large = self._above_packet(planned, batch)
        if large:
            self._ledger.drop(batch.batch_id)
            for item in large:
                self._hold_large(item)
            planned = [item for item in planned if item not in large]
            if not planned:
                return
            batch = self._again(planned, batch)
        refused: StatementRefused | None = None
        met: set[ConflictKind] = set()
        for number, attempt in enumerate(Plan):
            if not self._is_worth(attempt, met, planned):
                continue
            current = batch if number == 0 else self._again(planned, batch)
            try:
                self._attempt(planned, current, attempt)
            except TransientDatabaseError as error:
                if error.errno != LOCK_TIMEOUT:
                    raise
                self._locked(planned, batch)
                return
            except StatementRefused as error:
                self._ledger.drop(current.batch_id)
                kind = REFUSED_FOR.get(error.errno)
                if refused is None or attempt is not Plan.LINKS_APART:
                    refused = error  # what the row meets as it is, not without its references
                if kind is None:
                    break
                met.add(kind)
                continue
            return
        if refused is None:
            return
        if len(planned) == 1:
            self._cannot_write(planned[0], refused)
            return
        for half in halves(planned):
            self._deliver(half, self._again(half, batch))

    def _locked(self, planned: Sequence[Planned], batch: Batch) -> None:
        """
        Let the rows that can be had go on without those that somebody else holds: table by table, then in halves.

        Each look costs a lock wait: after some seconds what is left of a table is put off as a whole.
        """
        by_table: dict[int, list[Planned]] = {}
        for item in planned:
            by_table.setdefault(item.table.table_id, []).append(item)
        parts: Sequence[Sequence[Planned]] = list(by_table.values())
        if len(parts) == 1:
            now = self._clock.monotonic()
            if len(planned) == 1 or now > self._patient_until:
                self._put_off(planned, now)
                return
            parts = halves(planned)
        for part in parts:
            self._deliver(part, self._again(part, batch))

    def _put_off(self, planned: Sequence[Planned], now: float) -> None:
        wait_s = 0.0
        for item in planned:
            not_before = due_again(now, item.tries)
            wait_s = max(wait_s, not_before - now)
            self._ledger.defer(item.table.table_id, item.stored, not_before)
        self._log.warning(
            "rows.locked",
            table=str(planned[0].table.name),
            rows=len(planned),
            wait_s=round(wait_s, 3),
        )

    def _above_packet(self, planned: Sequence[Planned], batch: Batch) -> list[Planned]:
        """Return what the target would take for too long a statement; it would end the connection over it."""
        try:
            most = self._worker.apply_session().most_bytes
        except TransientDatabaseError:
            self._ledger.drop(batch.batch_id)
            raise
        return [p for p in planned if above_packet(p.table, p.write().image, most)]

    def _is_worth(
        self, plan: Plan, met: Collection[ConflictKind], planned: Sequence[Planned]
    ) -> bool:
        """Say whether *plan* can help where the plans before it were refused for *met*."""
        if plan is Plan.DISPLACE:
            return ConflictKind.UNIQUE_VIOLATION in met
        if plan is Plan.LINKS_APART:
            return bool(LINKS.intersection(met)) and bool(
                circular(p.table.schema(self.target) for p in planned)
            )
        return True

    def _time(self, marked_at: Iterable[float]) -> None:
        """Note how long rows took from their marks to the commit that has just been."""
        self.latencies_s += self._ages.ages_s(marked_at)
        del self.latencies_s[:-LATENCIES_KEPT]

    def restore(self, write: Write) -> bool:
        """Write one row as a change of this side, on its worker's thread; see ``apply_change``."""
        work = partial(
            apply_change,
            pair_id=self._pair_id,
            epoch=self._epoch,
            write=write,
            dependents=self._dependents(),
        )
        return self._worker.submit_apply(lambda: work(self._worker.apply_session())).result()

    def _count(self, counts: Mapping[str, int]) -> None:
        self.applied.update(counts)
        self._ledger.add_counters(
            {f"applied.{self.target}.{name}": n for name, n in counts.items()}
        )

    def _again(self, planned: Sequence[Planned], batch: Batch) -> Batch:
        renewed = self.prepare(planned, batch.lower)
        self._ledger.begin_batches([renewed])
        return renewed

    def _attempt(self, planned: Sequence[Planned], batch: Batch, plan: Plan) -> None:
        writes = [p.write() for p in planned]
        self._probe(Moment.APPLY_BEFORE, self.target)
        try:
            done = apply_batch(
                self._worker.apply_session(),
                pair_id=self._pair_id,
                epoch=self._epoch,
                batch_id=batch.batch_id,
                writes=writes,
                plan=plan,
                leave_out=self._misses >= MISSES_BEFORE_LEAVING_OUT,
                dependents=self._dependents(),
            )
        except GuardMissed as missed:
            self._misses += 1
            alone = len(writes) == 1 and writes[0].op is Op.INSERT
            if self._misses > MISSES_BEFORE_REFUSED and (alone or not missed.items):
                raise StatementRefused(
                    f"side {self.target}: a new key is another row's there", errno=DUPLICATE_KEY
                ) from missed
            self._ledger.drop(batch.batch_id)
            self._log.debug("guard.failed", rows=len(missed.items), attempt=self._misses)
            return
        except ReadBackFailed as failed:
            self._ledger.drop(batch.batch_id)
            for at in sorted(failed.items):
                self._hold(
                    planned[at],
                    ConflictKind.READ_BACK,
                    "the row became something else when written: trigger, truncation or character set at the target",
                )
            return
        except TransientDatabaseError:
            # The commit was not sent: the server rolls the transaction back (INV-13 needs no look-up here).
            self._ledger.drop(batch.batch_id)
            raise
        except StatementRefused as error:
            if error.errno not in NOT_ABOUT_ROWS:
                raise
            self._ledger.drop(batch.batch_id)
            raise TransientDatabaseError(str(error), errno=error.errno) from error
        except OutcomeUnknown:
            done = Applied(self._look_up(batch))
        self._probe(Moment.APPLY_COMMITTED, self.target)
        self._finish(planned, batch, done.written, done.kept)
        for at in sorted(done.blocked):
            self._wait_for_children(planned[at])

    def _wait_for_children(self, planned: Planned) -> None:
        """Put a delete off that would take undecided children along; it is held where nothing is left to be decided."""
        kind = ConflictKind.FK_CHILD_EXISTS
        if planned.tries >= self._retry_limit and self._for_its_family(planned, kind, waits=False):
            return
        tables = {one.child.table_id for one in self._dependents().get(planned.table.table_id, ())}
        limit = self._retry_limit
        most_s = BACK_OFF_MOST_S
        if self._ledger.has_open_marks(tables):
            limit, most_s = limit * WAIT_FOR_CHILDREN, WAIT_FOR_CHILDREN_MOST_S
        if planned.tries < limit:
            not_before = self._clock.monotonic() + min(
                most_s, BACK_OFF_S * 2 ** min(planned.tries, 12)
            )
            self._ledger.defer(planned.table.table_id, planned.stored, not_before)
            return
        self._hold(
            planned,
            kind,
            "deleting it would delete children that changed on this side, or are held themselves",
        )

    def _finish(
        self,
        planned: Sequence[Planned],
        batch: Batch,
        written: frozenset[int],
        kept: Mapping[int, int],
    ) -> None:
        if not written:
            self._ledger.drop(batch.batch_id)
            return
        self._ledger.finish(batch.batch_id, written, kept)
        self._probe(Moment.APPLY_FINISHED, self.target)
        self._families.written([planned[at] for at in sorted(written)])
        if len(written) == len(planned):
            self._misses = 0
        counts: Counter[str] = Counter()
        for at in written:
            write = planned[at].write()
            counts[operation(write)] += 1
            self.written[write.table.table_id, write.op] += 1
        times = (planned[at].marked_at for at in written)
        self._time([marked_at for marked_at in times if marked_at is not None])
        self._count(counts)
        self._log.debug("batch.applied", rows=len(written), generation=batch.batch_id)

    def _look_up(self, batch: Batch, lane: ApplyLane | None = None) -> frozenset[int]:
        """See ``look_up``; *lane*: the one that the batch was sent by."""
        worker, row = (self._worker, self._pair_id) if lane is None else lane
        return look_up(worker, row, batch, self._ending, self._clock, self._log)

    def _cannot_write(self, planned: Planned, error: StatementRefused) -> None:
        kind = REFUSED_FOR.get(error.errno, ConflictKind.APPLY_ERROR)
        table_id = planned.table.table_id
        self._families.refused(planned, kind)
        if kind is not ConflictKind.APPLY_ERROR and self._may_pass(planned):
            not_before = due_again(self._clock.monotonic(), planned.tries)
            self._ledger.defer(table_id, planned.stored, not_before)
            return
        if self._for_its_family(planned, kind):
            return
        self._hold(planned, kind, str(error))

    def _for_its_family(self, planned: Planned, kind: ConflictKind, *, waits: bool = True) -> bool:
        """Say whether a row that would be held was put off instead: ``on_fk`` decides, or may still (``service/families.py``)."""
        session = self._worker.reader().session
        if not self._families.put_off(planned, kind, session, waits=waits):
            return False
        now = self._clock.monotonic()
        turned = self._families.is_turned(planned)
        not_before = now if turned else due_again(now, planned.tries)
        self._ledger.defer(planned.table.table_id, planned.stored, not_before)
        return True

    def _may_pass(self, planned: Planned) -> bool:
        """
        Say whether a row is to be tried again that is refused for the sake of other rows.

        A parent, or the row that holds the unique value, may be on its way: in a backlog behind many others. All that the
        row needs was tailed before it was read (INV-4), so it has a mark, and one of a lower number than the first refusal
        saw; when these are decided, or were refused as often themselves, nothing is left to wait for.
        """
        at = (planned.table.table_id, planned.stored[0])
        if planned.tries == 0 or at not in self._refused:
            if len(self._refused) >= REFUSALS_KNOWN:
                self._refused.clear()
            self._refused[at] = self._ledger.next_claim()
        if planned.tries < self._retry_limit:
            return True
        now = self._clock.monotonic()
        if now - self._undecided[0] > UNDECIDED_LOOK_S:
            self._undecided = now, self._ledger.oldest_undecided(self._retry_limit)
        oldest = self._undecided[1]
        if oldest == 0:
            self._refused[at] = self._ledger.next_claim()
        if oldest is not None and oldest < self._refused[at]:
            return True
        del self._refused[at]
        return False

    def _hold_large(self, planned: Planned) -> None:
        """
        Hold a row that the target cannot take. Its entry has no image of it, as where its own server cannot make one.

        So no answer takes the other side's row or absence for it: whatever is answered, the row is decided anew.
        """
        entry = planned.entry(
            self._clock.now(),
            winner=None,
            kind=ConflictKind.APPLY_ERROR,
            rule="hold",
            note=size_note(planned.table, [self.target]),
        )
        image = f"{self.target.other}_image"
        self._journal(planned, msgspec.structs.replace(entry, path=SIZE, **{image: None}))

    def _hold(self, planned: Planned, kind: ConflictKind, note: str) -> None:
        now = self._clock.now()
        entry = planned.entry(now, winner=None, kind=kind, rule="hold", note=note)
        if kind is ConflictKind.UNIQUE_VIOLATION:
            # Named, not touched: nobody has proven what they are (INV-3).
            session, write = self._worker.reader().session, planned.write()
            found = rivals(session, write.table, write.key, write.image or "", RIVALS_MOST)
            entry = with_rivals(entry, write.table, found)
        self._journal(planned, entry)

    def _journal(self, planned: Planned, entry: ConflictEntry) -> None:
        self._families.forget(planned)
        with self._ledger.together():  # an entry without its hold would never end
            ids = self._ledger.journal_held([entry])
            if planned.decision.path == PERSON:
                self._ledger.forget_request(ids[0])
            self._ledger.hold(planned.table.table_id, planned.stored, ids[0], planned.lower)
        self._log.error("conflict.held", table=str(planned.table.name), conflict=str(entry.kind))
