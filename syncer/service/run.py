"""A run: composes sessions, ledger, tailers and reconciler, watches them, and ends them in order."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
import structlog

from syncer.binlog.progress import StreamProgress
from syncer.clock import BEHIND_S, Clock, SystemClock, until_next_s
from syncer.config import Config
from syncer.core.chunking import ChunkSizer
from syncer.core.side import SIDES, Side
from syncer.errors import (
    PositionLost,
    ServerChanged,
)
from syncer.ledger import Ledger
from syncer.ledger.store import is_there
from syncer.mysql.connection import Session
from syncer.mysql.heartbeat import measure_clock
from syncer.service.arrival import Arrival
from syncer.service.beginning import Beginning
from syncer.service.bulkdelivery import BulkDelivery
from syncer.service.catalog import Catalog
from syncer.service.checking import beating_sides
from syncer.service.closing import conclude
from syncer.service.copying import RangeCopier
from syncer.service.customs import CustomRules
from syncer.service.delivery import Deliverer
from syncer.service.endings import Goal
from syncer.service.families import Families
from syncer.service.heart import Heart, hearts_of
from syncer.service.keeper import Keeper
from syncer.service.lanes import ApplyLanes, Lanes
from syncer.service.loop import Loop
from syncer.service.opening import open_ledger, open_sessions
from syncer.service.probes import Probe, no_probe
from syncer.service.pulse import Pulse, clocks
from syncer.service.reading import PairReader
from syncer.service.reconciler import Reconciler
from syncer.service.rehearsal import Rehearsal
from syncer.service.replicas import ReplicaWatch
from syncer.service.reports import Observer, RunReport
from syncer.service.restoring import Restorer
from syncer.service.retention import DAY_S, Retention
from syncer.service.sides import Workers
from syncer.service.snapshot import SnapshotSource
from syncer.service.streams import SchemaWatch, build_tailer
from syncer.service.throttle import Throttle
from syncer.service.waking import WakingStore

OBSERVE_EVERY_S = 0.25
IDLE_LOOK_S = 1.0
"""The same while nothing is to be done."""
LOOK_SHARE = 10
"""A look at a large ledger takes time: so many times that time is left to the work."""
STOP_TIMEOUT_S = 30.0
SERVER_CHANGED_WAIT_S = 1.0


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a run ends, and whether it writes.

    Attributes:
        until_in_sync: end when both tailers stand at positions read after the last write and the ledger is empty.
        once: one pass: end when what was written before the start has been reconciled.
        dry_run: decide everything, write nothing to the primaries; works on a copy of the ledger.
        duration_s: end after so many seconds; None: when stopped.
        accept_loss: sides whose server may lack what was read from it or written to it: compare every table instead.
    """

    until_in_sync: bool = False
    once: bool = False
    dry_run: bool = False
    duration_s: float | None = None
    accept_loss: tuple[Side, ...] = ()


class Run:
    """One run. Built, run and closed on the main thread."""

    def __init__(
        self,
        config: Config,
        options: RunOptions,
        observer: Observer,
        stop: threading.Event,
        *,
        clock: Clock | None = None,
        probe: Probe = no_probe,
    ) -> None:
        """Take what it needs; nothing is opened yet."""
        self._config = config
        self._options = options
        self._observer = observer
        self._stop = stop
        self._clock = clock or SystemClock()
        self._probe = probe
        self._accepted: set[Side] = set()
        self._disowned: set[Side] = set()
        self._started = self._clock.monotonic()
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger().bind(pair=config.pair_id)

    def __call__(self) -> RunReport:
        """
        Run to the end that the options name; begin again where a side has changed its server.

        Raises SyncerError; the ledger is always left fit to go on.
        """
        while True:
            try:
                return self._once_through()
            except PositionLost as error:
                # Only the stream could see it: accepted once, it is a loss like one that is found before the start.
                found = {side for side in self._options.accept_loss if side == error.side}
                if not found or found <= self._accepted:
                    raise
                self._accepted |= found
                self._disowned |= found
            except ServerChanged as error:
                self._log.warning("stream.server_changed", reason=str(error))
                if self._stop.wait(SERVER_CHANGED_WAIT_S):
                    raise

    def _once_through(self) -> RunReport:
        with contextlib.ExitStack() as stack:
            sessions = open_sessions(self._config, stack)
            ledger = None
            if is_there(self._config.ledger):
                ledger = stack.enter_context(
                    open_ledger(self._config, self._clock, dry_run=self._options.dry_run)
                )
            begin = Beginning(self._config, sessions, ledger, self._log)
            if ledger is None:  # nothing is left behind by a pair that is refused
                ledger = stack.enter_context(
                    open_ledger(self._config, self._clock, dry_run=self._options.dry_run)
                )
            with ledger.together():
                begin.number(ledger)
            arrival = Arrival(
                self._config,
                sessions,
                ledger,
                begin,
                self._log,
                accept_loss=self._options.accept_loss,
                disowned=self._disowned,
            )
            arrival.examine()
            # INV-13, INV-17, INV-19. A dry run takes nothing over.
            epoch = 0 if self._options.dry_run else arrival.take_over(self._stop, self._probe)
            arrival.prepare_positions()
            with ledger.together():
                catalog = begin.catalog(ledger)
            return self._supervise(stack, sessions, ledger, catalog, epoch)

    def _supervise(
        self,
        stack: contextlib.ExitStack,
        sessions: dict[Side, Session],
        ledger: Ledger,
        catalog: Catalog,
        epoch: int,
    ) -> RunReport:
        config, clock = self._config, self._clock
        hard_stop = threading.Event()
        ending = threading.Event()
        wake = threading.Event()
        store = WakingStore(ledger, wake, self._probe)
        watch = SchemaWatch(config, ledger, catalog, self._log)
        pulses = {side: Pulse(side, epoch, clock, ledger.has_settled) for side in SIDES}
        for side in SIDES:
            measure_clock(sessions[side], clock, pulses[side].looked)
        tailers = {}
        for side in SIDES:
            position = ledger.position(side)
            if position is None:  # pragma: no cover - prepare_positions has set it
                raise AssertionError("no position")
            tailers[side] = build_tailer(
                config,
                sessions[side],
                position,
                store,
                catalog,
                watch,
                clock,
                self._log,
                on_beat=pulses[side].met,
            )
        names = [table.name for table in catalog.flowing.values()]
        names += [one.table for one in ledger.paused().values()]
        hearts = hearts_of(
            config,
            {side: sessions[side].server_identity() for side in SIDES},
            pulses,
            epoch,
            clock,
            self._log,
            beating=beating_sides(config, (config.policy_for(name).direction for name in names)),
            writes=not self._options.dry_run,
        )
        workers = Workers.of(config, sessions)
        stack.callback(workers.close)
        families = Families.of(ledger, catalog, workers, config.engine.retry_limit)
        progress = {side: tailers[side].progress for side in SIDES}
        rehearsal = Rehearsal(ledger, clock) if self._options.dry_run else None
        deliveries: dict[Side, Deliverer] = {
            side: (
                rehearsal.delivery(side)
                if rehearsal
                else BulkDelivery(
                    workers[side],
                    ledger,
                    config.pair_id,
                    epoch,
                    clock,
                    self._log,
                    ending=ending,
                    retry_limit=config.engine.retry_limit,
                    dependents=partial(catalog.dependents, side),
                    families=families,
                    probe=self._probe,
                )
            )
            for side in SIDES
        }
        engine = config.engine
        sizer = ChunkSizer(
            target_s=engine.chunk_time_s, low=engine.chunk_rows_min, high=engine.chunk_rows_max
        )
        make = partial(Workers.of, config, sessions)
        lanes = Lanes(make, engine.lanes)
        stack.callback(lanes.close)
        reader = PairReader(workers, progress, ending, self._probe)
        writers = {side: d for side, d in deliveries.items() if isinstance(d, BulkDelivery)}
        lanes_of = partial(ApplyLanes, make, config.pair_id, epoch, clock=clock, log=self._log)
        applying = lanes_of(engine.writes if engine.writes > 1 else 0)
        stack.callback(applying.close)
        carrying = lanes_of(engine.writes - 1)
        stack.callback(carrying.close)
        replicas = ReplicaWatch(config, clock, self._log)
        stack.callback(replicas.close)
        replicas.start()
        throttle = Throttle(config.throttle, workers, clock, self._log, lagging=replicas.reason)
        copier = (
            RangeCopier(
                ledger,
                catalog,
                reader,
                writers,
                applying,
                throttle,
                clock,
                self._log,
                self._probe,
                loads=engine.lanes,
            )
            if writers
            else None
        )
        ledger.undo_rows = config.file.journal.undo_rows
        ledger.skip_s = config.file.journal.skip_days * DAY_S
        restorer = Restorer(ledger, writers, clock, self._log) if writers else None
        customs = CustomRules()
        stack.callback(customs.close)
        customs.load(catalog.flowing.values())
        reconciler = Reconciler(
            ledger=ledger,
            catalog=catalog,
            reader=reader,
            deliveries=deliveries,
            clock=clock,
            log=self._log,
            stop=hard_stop,
            sizer=sizer,
            batch_rows=engine.batch_rows,
            probe=self._probe,
            copier=copier,
            restorer=restorer,
            throttle=throttle,
            lanes=lanes,
            rows_to=writers or None,
            applying=carrying,
            customs=customs,
            outside=partial(clocks, pulses, clock),
            families=families,
        )
        goal = Goal(
            ledger=ledger,
            workers=workers,
            progress=progress,
            catalog=catalog,
            until_in_sync=self._options.until_in_sync,
            once=self._options.once or self._options.dry_run,
        )
        loop = Loop(
            reconciler,
            ledger,
            goal,
            clock,
            self._log,
            stop=ending,
            wake=wake,
            backoff_max_s=engine.backoff_max_s,
        )
        source = SnapshotSource(
            config,
            sessions,
            ledger,
            catalog,
            progress,
            pulses,
            deliveries,
            reconciler,
            loop,
            clock,
            self._log,
        )
        keeper = Keeper(
            config,
            ledger,
            catalog,
            progress,
            {side: sessions[side].server_identity() for side in SIDES},
            clock,
            self._log,
            stop=ending,
            wake=wake,
            probe=self._probe,
        )
        try:
            for tailer in tailers.values():
                tailer.start()
            for heart in hearts:
                heart.start()
            keeper.start()
            loop.start()
            retention = Retention(ledger, clock, config.file.journal.image_days)
            self._watch(loop, source, keeper, progress, hearts, retention, ending, wake, goal)
        finally:
            for heart in hearts:
                heart.stop()
            ending.set()
            wake.set()
            catalog.news.set()
            hard_stop.set()
            loop.join(STOP_TIMEOUT_S)
            keeper.join(STOP_TIMEOUT_S)
            for tailer in tailers.values():
                tailer.stop()
            for tailer in tailers.values():
                tailer.join(STOP_TIMEOUT_S)
            for heart in hearts:
                heart.join(STOP_TIMEOUT_S)
        return conclude(
            loop.ending,
            source.snapshot(),
            asked=goal.asked,
            rows_read=workers.rows_read + lanes.rows_read,
            rows_compared=reconciler.rows_compared,
            planned=tuple(rehearsal.lines) if rehearsal else (),
        )

    def _watch(
        self,
        loop: Loop,
        source: SnapshotSource,
        keeper: Keeper,
        progress: Mapping[Side, StreamProgress],
        hearts: Sequence[Heart],
        retention: Retention,
        ending: threading.Event,
        wake: threading.Event,
        goal: Goal,
    ) -> None:
        """Show what happens until the loop ends; the first stop drains the batch in hand."""
        pause_s, idle, cycles = OBSERVE_EVERY_S, False, 0
        limit = self._options.duration_s
        while True:
            # To wake up costs an idle process more than what it does then: where only a stop can end the run, that is waited for.
            if idle:
                now = self._clock.monotonic()
                self._stop.wait(until_next_s(now, IDLE_LOOK_S, BEHIND_S))
            else:
                loop.ended.wait(pause_s)
            if loop.ended.is_set():
                break
            at = self._clock.monotonic()
            seen = source.snapshot()
            self._observer.update(seen)
            retention.look()
            still = seen.phase == "tailing" and seen.cycles == cycles and not self._stop.is_set()
            idle, cycles = still and goal.asked is None and limit is None, seen.cycles
            pause_s = max(OBSERVE_EVERY_S, LOOK_SHARE * (self._clock.monotonic() - at))
            for stream in progress.values():
                if stream.state == "failed" and stream.error is not None:
                    raise stream.error
            for heart in hearts:
                if heart.error is not None:
                    raise heart.error
            if keeper.error is not None:
                raise keeper.error
            if limit is not None and self._clock.monotonic() - self._started >= limit:
                self._stop.set()
            if self._stop.is_set() and not ending.is_set():
                self._log.info("run.draining")
                ending.set()
                wake.set()
        self._observer.update(source.snapshot())
        if loop.error is not None:
            raise loop.error
