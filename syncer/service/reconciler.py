"""
The reconciler: takes dirty ranges from the ledger, proves, decides, writes, clears.

It alone clears marks and writes intents. One cycle: claim, read both sides, fence, decide, deliver. Keys before spans, and
one chunk of a span after each batch of keys, so that a baseline neither starves nor holds up live changes.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import structlog

from syncer.clock import Clock
from syncer.core.agreement import DIFFER
from syncer.core.chunking import ChunkSizer
from syncer.core.decision import OUTSIDE, Verdict
from syncer.core.key import Key, StoredKey
from syncer.core.outcome import ALONE, Around
from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.errors import TransientDatabaseError
from syncer.ledger import Ledger
from syncer.ledger.records import ClaimedKey, ClaimedSpan
from syncer.ledger.requests import AskedConflict
from syncer.service.ambiguity import Ambiguity
from syncer.service.bulkdelivery import BulkDelivery
from syncer.service.catalog import Catalog
from syncer.service.children import ChildFinder
from syncer.service.chunks import ChunkComparer
from syncer.service.claiming import Claiming
from syncer.service.copying import RangeCopier
from syncer.service.customs import CustomRules
from syncer.service.delivery import Deliverer
from syncer.service.families import Families
from syncer.service.guarding import Guards
from syncer.service.halts import Halts
from syncer.service.lanes import ApplyLanes, Lanes
from syncer.service.onesided import OneSided, Sorted, fits, sort_out
from syncer.service.planned import Planned
from syncer.service.planning import plan
from syncer.service.probes import Moment, Probe, no_probe
from syncer.service.readahead import ReadAhead
from syncer.service.reading import PairReader
from syncer.service.restoring import Restorer
from syncer.service.sending import ById, Cycle, Sender
from syncer.service.small import SmallTables
from syncer.service.spellings import Spellings
from syncer.service.throttle import Throttle
from syncer.service.units import Units
from syncer.service.withholding import Withholder

LOCKED_BACK_OFF_S = 0.3
LOCKED_KEYS_AT_ONCE = 100
BATCHES_AHEAD = 3
"""After so many batches of keys that left more of them due, the next one is followed by a chunk: one batch is read while another is being written."""
CYCLE_BYTES = 16 << 20
"""Rows of one cycle by the servers' estimate of their length: memory stays bounded whatever they weigh."""


class Reconciler:
    """Empties the ledger. Every method is called from the reconciler's thread."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        catalog: Catalog,
        reader: PairReader,
        deliveries: Mapping[Side, Deliverer],
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        stop: threading.Event,
        sizer: ChunkSizer,
        batch_rows: int,
        throttle: Throttle,
        probe: Probe = no_probe,
        copier: RangeCopier | None = None,
        restorer: Restorer | None = None,
        lanes: Lanes,
        customs: CustomRules | None = None,
        outside: Callable[[], Around] | None = None,
        rows_to: Mapping[Side, BulkDelivery] | None = None,
        applying: ApplyLanes | None = None,
        families: Families | None = None,
    ) -> None:
        """Compose; nothing is read yet. *batch_rows* bounds the rows of one transaction; without *rows_to* all go one by one."""
        self._ledger = ledger
        self._catalog = catalog
        self._tables: Mapping[int, PairedTable] = catalog.flowing
        self._reader = reader
        self._deliveries = deliveries
        self._sender = Sender(
            ledger, reader.workers, deliveries, rows_to, applying, batch_rows, probe
        )
        self._clock = clock
        self._log = log
        self._stop = stop
        self._batch_rows = batch_rows
        self._probe = probe
        self._ambiguity = Ambiguity()
        self._reads = ReadAhead(reader)
        self._claiming = Claiming(ledger, self._sender, families, self._may_move, batch_rows)
        self._due: Sequence[ClaimedKey] = ()
        self.throttle = throttle
        self.chunks = ChunkComparer(
            *(ledger, catalog, reader, lanes, sizer, throttle, clock, log, probe, copier),
            settled=self._settled,
        )
        self._small = SmallTables(
            ledger, catalog, reader, throttle, log, probe, settled=self._settled
        )
        self._customs = customs
        self._outside = outside or (lambda: ALONE)
        self._halts = Halts(ledger, catalog, log)
        self._withholder = Withholder(ledger, self._halts, clock, log)
        self._children = ChildFinder(ledger, catalog, reader, log)
        self._answers: dict[int, dict[StoredKey, AskedConflict]] = {}
        self._restorer = restorer
        self._families = families
        self._units = Units(ledger, customs)
        self._spellings = Spellings(ledger)
        self._guards = Guards(ledger, reader.workers, deliveries, clock, log)
        self._ahead = 0
        self.cycles = 0

    @property
    def rows_compared(self) -> int:
        """Rows of whole tables that were compared so far."""
        return self.chunks.rows_compared + self._small.rows_compared

    def step(self) -> bool:
        """
        Do one batch of keys and one chunk, or the batch alone where more keys are due; say whether anything moved.

        Raises:
            TransientDatabaseError: marks are kept; call again after a while.
            StoppedWaiting: the run is ending.
        """
        self._listen()
        self._guards.listen()
        self._tables = self._catalog.flowing
        moved = self._restorer.work(self._tables) if self._restorer is not None else False
        if self._ledger.open_lookups():
            # A child on its way to the other side is found on neither.
            moved = self._land() or moved
            moved = self._children.find() or moved
        if self._families is not None:
            self._families.following.follow()
        now = self._clock.monotonic()
        self._due = self._claiming.due(now)
        claimed: Sequence[ClaimedKey] = ()
        if not self._gathers(now):
            self.chunks.narrowed.clear()
            count = self._claiming.count(self._due, self._tables)
            claimed = self._reads.chosen(self._due) or self._due[:count]
        if claimed:
            self._probe(Moment.CLAIMED, None)
            moved = self._reconcile(claimed) or moved
        if len(self._due) > max(self._batch_rows, len(claimed)) and self._ahead < BATCHES_AHEAD:
            self._ahead += 1
            return moved
        self._ahead = 0
        span = self._ledger.claim_span(now)
        if not claimed or span is not None:
            moved = self._land() or moved
        if span is not None and self.throttle.free():
            moved = self._compare(span) or moved
        if span is None:
            self.chunks.rest()
            self.throttle.rest()
        if not self._due:
            self._reads.drop()
            self._sender.rest()
            self._guards.rest()
            if span is None:
                self._reader.prove_if_many()
        return moved

    def _gathers(self, now: float) -> bool:
        """Say whether the keys that are due wait for those of the next chunks: they are few, all of chunks just compared."""
        return (
            0 < len(self._due) < self._batch_rows
            and self.chunks.may_wait(self._due)
            and self._ledger.claim_span(now) is not None
            and self.throttle.free()
        )

    def _read_ahead(self, claims: ById) -> None:
        """Begin to read the keys behind *claims*, where as many are due as may travel at a time and their rows are not too much."""
        due = [one for one in self._due if one.key not in claims.get(one.table_id, ())]
        count = self._claiming.count(due, self._tables)
        if len(due) > self._batch_rows < count:
            table = self._tables[due[0].table_id]
            if count * table.row_bytes <= CYCLE_BYTES // 2:
                self._reads.begin(table, [one.key for one in due[:count]])

    def _land(self) -> bool:
        """
        Wait for what is being written; say whether anything was.

        What could not be written together is decided and written one by one. Raises as ``step``.
        """
        landed = self._sender.land()
        if landed is None:
            return False
        again = [
            item
            for one in landed.left
            for item in self._plan(one.table, one.rows.keys, landed.cycle)
        ]
        if again:
            self._carry_out(again, [], landed.cycle)
        return True

    def end(self) -> None:
        """Wait for what is being written, whatever comes of it: the next start looks it up (INV-13)."""
        self._reads.drop()
        self._sender.end()

    def _listen(self) -> None:
        """
        Take the answers of people: their keys are claimed again, once, and decided as they say.

        An answer is over when its conflict is: written, equal by now, or held anew with other rows.
        """
        asked = self._ledger.asked()
        self._halts.review([answer.conflict_id for answer in asked])
        if not asked and not self._answers:
            return
        known = {a.conflict_id for answers in self._answers.values() for a in answers.values()}
        self._answers = defaultdict(dict)
        for answer in asked:
            for key in answer.keys:
                self._answers[answer.table_id][key] = answer
            if answer.conflict_id not in known:
                self._ledger.release(answer.table_id, answer.keys)

    def _compare(self, span: ClaimedSpan) -> bool:
        # What is found marks keys by the span's old numbers: rows read before would clear that unseen (INV-6).
        self._reads.drop()
        table = self._tables.get(span.table_id)
        if table is None:
            return self._pass_over(span.table_id)
        if self._small.compare(span):
            return True
        with self._catalog.doubting([table]):
            return self.chunks.compare(span, table)

    def _pass_over(self, table_id: int) -> bool:
        """
        Leave a table alone that does not flow; say whether that changed anything.

        Out of scope, as an XA transaction prepared before may mark, it is forgotten: it is compared whole if it comes back.
        """
        if self._catalog.waits(table_id):
            return False
        self._ledger.forget_table(table_id)
        return True

    def _reconcile(self, claimed: Sequence[ClaimedKey]) -> bool:
        plain: ById = defaultdict(dict)
        hot: ById = defaultdict(dict)
        hot_count = 0
        weight = 0
        for claim in claimed:
            table_id, key = claim.table_id, claim.key
            table = self._tables.get(table_id)
            if table is None:
                self._pass_over(table_id)
                continue
            weight += table.row_bytes
            if weight > CYCLE_BYTES and plain:
                break
            if not self._ambiguity.is_hot(table_id, key):
                plain[table_id][key] = claim
            elif hot_count < LOCKED_KEYS_AT_ONCE:
                hot[table_id][key] = claim
                hot_count += 1
        moved = self._cycle(plain, locking=False) if plain else False
        if hot:
            self._land()  # locks of ours would wait for each other
            try:
                moved = self._cycle(hot, locking=True) or moved
            except TransientDatabaseError:
                # A lock held by a user's transaction: the others go on meanwhile.
                not_before = self._clock.monotonic() + LOCKED_BACK_OFF_S
                for table_id, claims in hot.items():
                    self._ledger.defer(table_id, list(claims), not_before)
                raise
        return moved

    def _cycle(self, claims: ById, *, locking: bool) -> bool:
        """Read, fence, decide and deliver one set of keys."""
        self.cycles += 1
        others = {
            table_id: self._units.others(self._tables[table_id], of_table)
            for table_id, of_table in claims.items()
        }
        being_written = self._sender.keys
        if any(not being_written.get(t, set()).isdisjoint(keys) for t, keys in others.items()):
            self._land()  # as the claimed keys, none of these is being written
        wanted: Mapping[int, Sequence[Key]] = {
            table_id: self._tables[table_id].load_all((*of_table, *others[table_id]))
            for table_id, of_table in claims.items()
        }
        with self._catalog.doubting([self._tables[table_id] for table_id in wanted]):
            apart = self._spellings.to_read((self._tables[t] for t in wanted), self._due)
            known = None
            if len(wanted) == 1 and not locking and not any(others.values()):
                [table_id] = wanted
                known = self._reads.take(self._tables[table_id], claims[table_id])
            if known is None:
                wanted, rows, horizons = self._reader.read_spellings(
                    wanted, self._tables, apart, locking=locking
                )
            else:
                rows, horizons = known
            if not locking:
                self._reads.drop()
                self._read_ahead(claims)
        cycle = Cycle(rows, horizons, claims, self._outside())
        planned: list[Planned] = []
        moving: list[OneSided] = []
        for table_id, asked in wanted.items():
            table, keys = self._tables[table_id], asked
            if not self._catalog.flows(table):
                continue  # INV-21: a tailer has met a change of its definition since
            if not others[table_id] and self._may_move(table):
                keys = []
                stored = list(cycle.claims[table_id])
                for at in range(0, len(asked), self._batch_rows):
                    part = slice(at, at + self._batch_rows)
                    found = self._sort_out(
                        table, dict(zip(stored[part], asked[part], strict=True)), cycle
                    )
                    moving += found.moving
                    keys += found.rest
            if keys:
                planned += self._plan(table, keys, cycle)
        return self._carry_out(planned, moving, cycle)

    def _may_move(self, table: PairedTable) -> bool:
        """Say whether nothing but the rows themselves and their marks has a say in what becomes of them."""
        table_id = table.table_id
        return (
            self._sender.takes_rows
            and table_id not in self._answers
            and table_id not in self._ledger.tables_with_key_changes()
            and not self._guards.turns_back(table_id)
            and fits(table)
        )

    def _sort_out(self, table: PairedTable, asked: Mapping[StoredKey, Key], cycle: Cycle) -> Sorted:
        """Take those keys out that one side alone changed; whose rows are equal is settled."""
        claims = cycle.claims[table.table_id]
        marks = self._ledger.one_sided(table.table_id, list(asked), cycle.lower)
        rows = {side: cycle.rows[side][table.table_id] for side in SIDES}
        found = sort_out(table, asked, rows, marks, claims)
        self._ambiguity.over(
            table.table_id, chain(found.equal, *(one.stored for one in found.moving))
        )
        if found.equal:
            # INV-6: rows equal, marks <= lower go on both sides.
            self._ledger.clear(table.table_id, list(found.equal), cycle.lower, found.equal)
            self._settled(table, found.equal)
            cycle.settled += len(found.equal)
        return found

    def _plan(self, table: PairedTable, keys: Sequence[Key], cycle: Cycle) -> list[Planned]:
        """Decide *keys* one by one."""
        table_id = table.table_id
        rows = {side: cycle.rows[side][table_id] for side in SIDES}
        groups = self._reader.group(table, keys, rows, self._spellings.to_group(table, self._due))
        stored = [table.store(key) for group in groups for key in group.keys]
        marks = self._ledger.marks_of(table_id, stored)
        images = self._ledger.images_of(table_id, marks) if table.policy.needs_base else None
        claims = cycle.claims[table_id]
        decided = plan(
            table,
            groups,
            marks,
            cycle.horizons,
            claims,
            self._answers.get(table_id),
            customs=self._customs,
            outside=cycle.outside,
            images=images,
            origin=self._reader.origin,
        )
        decided = self._units.decide(table, decided, claims, cycle.outside)
        if self._families is not None:
            decided = self._families.turn(decided)
        return self._guards.turn_back(decided)

    def _carry_out(self, planned: list[Planned], moving: list[OneSided], cycle: Cycle) -> bool:
        """
        Do what was decided.

        What travels together is written while the next keys are read: those are others, and to their reads it is what
        anybody writes meanwhile. Before anything else is done, and before the next intent, it has landed.
        """
        horizons, lower = cycle.horizons, cycle.lower
        for one in moving:
            _ = one.items  # made while the rows before them are being written
        self._land()
        apart = [one for one in moving if self._has_family(one)]
        moving = [one for one in moving if one not in apart]
        while True:
            for one in apart:
                planned += self._plan(one.table, one.rows.keys, cycle)
            moving, apart = self._sender.may_move(moving, planned)
            if not apart:
                break
        by_verdict: dict[Verdict, list[Planned]] = defaultdict(list)
        for item in planned:
            by_verdict[item.decision.verdict].append(item)
            if item.base.why == DIFFER:
                self._log.error("range.alarm", table=str(item.table.name), verdict=DIFFER)
            ambiguous = item.decision.verdict is Verdict.AMBIGUOUS
            count = self._ambiguity.met if ambiguous else self._ambiguity.over
            count(item.table.table_id, item.stored)
        waiting = self._await_children(by_verdict, horizons)
        copies = by_verdict[Verdict.COPY]
        by_verdict[Verdict.COPY], withheld, moving = self._guards.sift(copies, moving)
        by_verdict[Verdict.HOLD] += withheld
        waiting += len(copies) - len(by_verdict[Verdict.COPY]) - len(withheld)
        self._clear_equal(by_verdict[Verdict.EQUAL], lower)
        for verdict in (Verdict.HOLD, Verdict.HALT, Verdict.SKIP):
            self._withholder.hold(by_verdict[verdict], self._answers)
        self._withholder.alarm(by_verdict[Verdict.ALARM], horizons)
        copies = by_verdict[Verdict.COPY]
        if copies:
            self._reads.wait()  # a delivery row by row may ask more of the sessions for reads
        self._sender.send(copies, moving, cycle)
        if copies:
            self._land()
        undecided = len(by_verdict[Verdict.AMBIGUOUS]) + len(by_verdict[Verdict.LATER]) + waiting
        return len(planned) > undecided or bool(moving) or cycle.settled > 0

    def _has_family(self, one: OneSided) -> bool:
        return self._families is not None and self._families.concerns(one.table, one.target)

    def _settled(self, table: PairedTable, agreed: Mapping[StoredKey, bool]) -> None:
        if self._families is not None:
            self._families.settled(table.table_id, agreed)
            self._families.following.note_equal(table, agreed)

    def _await_children(
        self, by_verdict: dict[Verdict, list[Planned]], horizons: Mapping[Side, Horizon]
    ) -> int:
        """
        Take out what may not be decided yet: the row to be overwritten may have changed by a cascade nobody has looked up.

        Returns how many were taken out; they are read again.
        """
        unseen = {
            at
            for at, first_seq in self._ledger.open_lookups().items()
            if first_seq <= horizons[at[1]].upper
        }
        if not unseen:
            return 0
        tables = {table_id for table_id, _ in unseen}
        copies, alarms = by_verdict[Verdict.COPY], by_verdict[Verdict.ALARM]
        by_verdict[Verdict.COPY] = [
            item for item in copies if (item.table.table_id, item.target) not in unseen
        ]
        by_verdict[Verdict.ALARM] = [item for item in alarms if item.table.table_id not in tables]
        kept = len(by_verdict[Verdict.COPY]) + len(by_verdict[Verdict.ALARM])
        return len(copies) + len(alarms) - kept

    def _clear_equal(self, equal: Sequence[Planned], lower: dict[Side, int]) -> None:
        """INV-6: rows equal, marks <= lower go on both sides."""
        by_table: dict[int, dict[StoredKey, bool]] = defaultdict(dict)
        tables = {item.table.table_id: item.table for item in equal}
        agreed_by_both = Counter[str]()
        for item in equal:
            if item.marks.a.exact is not None and item.marks.b.exact is not None:
                gone = item.group.rows[Side.A] is None
                agreed_by_both["agreed.deleted" if gone else "agreed.written"] += 1
            # What is out of scope on both sides is agreed on as absent: a row that enters later was inserted then.
            present = item.decision.path != OUTSIDE and item.group.rows[Side.A] is not None
            by_table[item.table.table_id].update(dict.fromkeys(item.stored, present))
        for table_id, agreed in by_table.items():
            self._ledger.clear(table_id, list(agreed), lower, agreed)
            self._settled(tables[table_id], agreed)
        if agreed_by_both:
            self._ledger.add_counters(agreed_by_both)
