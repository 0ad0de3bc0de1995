"""
The keeper of definitions: looks at tables whose definition may have changed, and lets them flow, wait, join or leave.

A look reads the definitions on both sides and then the ends of both binlogs, and waits until both tailers have persisted up
to them. Every change that the look can have seen has been met by then; where one was met since the look began, the table was
suspended anew and the look counts for nothing. So a table flows only by definitions that hold where its streams stand.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Mapping
from functools import partial

import msgspec
import structlog

from syncer.binlog.layout import TableLayout
from syncer.binlog.progress import StreamProgress
from syncer.clock import Clock
from syncer.config import Config
from syncer.core.mark import Reason
from syncer.core.pairing import PairedTable
from syncer.core.position import Coordinate
from syncer.core.schema import SchemaDifference, TableName, TableSchema
from syncer.core.side import SIDES, Side
from syncer.errors import PreflightError, StatementRefused, TransientDatabaseError
from syncer.ledger import Ledger
from syncer.mysql.columns import quote_name
from syncer.mysql.connection import Session
from syncer.mysql.flavor import Flavor
from syncer.mysql.introspect import being_changed, load_schemas
from syncer.service.catalog import Catalog
from syncer.service.checking import absent, problems
from syncer.service.positions import end_behind
from syncer.service.probes import Moment, Probe, no_probe
from syncer.service.scope import compare_under_filter, note_keys, other_key, release_by_policy
from syncer.service.tables import pair_table

FENCE_TIMEOUT_S = 30.0
FIRST_WAIT_S = 0.1
LOOK_AGAIN_S = 5.0
LOOK_AGAIN_MOST_S = 60.0
LOCK_WAIT_S = 5

Schemas = Mapping[Side, Mapping[TableName, TableSchema]]


class Look(msgspec.Struct, frozen=True):
    """
    What one look saw: the definitions, and the ends of both binlogs read after them.

    *hidden* are tables that are there and do not show, since they are being altered: nothing can be said of them yet.
    """

    schemas: Schemas
    mixed: bool
    ends: Mapping[Side, Coordinate]
    hidden: Collection[TableName]


class Keeper:
    """Owns the thread of the definitions. ``error`` says why it ended, if it did before it was asked to."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        catalog: Catalog,
        progress: Mapping[Side, StreamProgress],
        servers: Mapping[Side, str],
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        *,
        stop: threading.Event,
        wake: threading.Event,
        probe: Probe = no_probe,
    ) -> None:
        """Compose; ``start`` begins. *wake* is set where a table flows again; *servers* are the identities expected."""
        self._config = config
        self._ledger = ledger
        self._catalog = catalog
        self._progress = progress
        self._servers = servers
        self._clock = clock
        self._log = log
        self._stop = stop
        self._wake = wake
        self._probe = probe
        self._thread = threading.Thread(target=self._run, name="definitions", daemon=True)
        self._look_again_at = 0.0
        self._look_again_s = LOOK_AGAIN_S
        self._owed: dict[TableName, bool] = {}
        """Tables read by a layout of ours and not marked whole since; whether they join."""
        self.error: BaseException | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the end; ``stop`` and the catalog's ``news`` are to be set before."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                self._catalog.news.clear()
                self._once()
                failures = 0
            except TransientDatabaseError as error:
                failures += 1
                self._log.debug(
                    "cycle.retried", error_code=error.code, attempt=failures, reason=str(error)
                )
            except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
                self.error = error
                return
            self._catalog.news.wait(self._pause_s(failures))

    def _pause_s(self, failures: int) -> float | None:
        if failures or not self._catalog.settled:
            return min(LOOK_AGAIN_S, FIRST_WAIT_S * float(2 ** min(failures, 8)))
        if self._ledger.paused():
            due_s = self._look_again_at - self._clock.monotonic()
            return max(0.0, due_s)
        return None

    def _once(self) -> None:
        """Look at what is unsettled; now and then at what waits too, since not every change is in a binlog."""
        wanted = self._catalog.unsettled()
        if wanted:
            self._look_again_s = LOOK_AGAIN_S
        now = self._clock.monotonic()
        if wanted or now >= self._look_again_at:
            for number, paused in self._ledger.paused().items():
                if self._catalog.is_halted(number):
                    continue
                wanted.setdefault(paused.table, self._catalog.generation(paused.table))
            self._look_again_at = now + self._look_again_s
            self._look_again_s = min(LOOK_AGAIN_MOST_S, 2 * self._look_again_s)
        if not wanted:
            return
        look = self._look(wanted)
        self._fence(look.ends)
        entering: dict[TableName, PairedTable] = {}
        for name, generation in wanted.items():
            if name not in look.hidden:
                self._judge(name, generation, look, entering)
        if entering:
            self._enter(entering, wanted)

    def _look(self, names: Collection[TableName]) -> Look:
        schemas: dict[Side, dict[TableName, TableSchema]] = {}
        ends: dict[Side, Coordinate] = {}
        flavors: set[Flavor] = set()
        hidden: set[TableName] = set()
        with contextlib.ExitStack() as stack:
            for side in SIDES:
                session = stack.enter_context(self._open(side))
                session.execute(f"SET SESSION lock_wait_timeout = {LOCK_WAIT_S}")
                there = self._config.names.on(side)
                hidden |= being_changed(session, names, there)
                schemas[side] = load_schemas(
                    session, names, asked_key=self._config.key_for, names=there
                )
                hidden |= {
                    n
                    for n in names
                    if n not in schemas[side]
                    and n not in hidden
                    and _is_there(session, there.there(n))
                }
                flavors.add(session.flavor)
                ends[side] = end_behind(session, self._progress[side])
        return Look(schemas, len(flavors) > 1, ends, hidden)

    def _open(self, side: Side) -> Session:
        session = Session.open(self._config.endpoint(side), side, purpose="schema")
        if session.server_identity() != self._servers[side]:
            session.close()
            raise TransientDatabaseError(f"side {side}: another server answers")
        return session

    def _fence(self, ends: Mapping[Side, Coordinate]) -> None:
        for side in SIDES:
            if not self._progress[side].wait_until(ends[side], FENCE_TIMEOUT_S, self._stop):
                raise TransientDatabaseError(
                    f"side {side}: the stream did not reach the binlog's end"
                )

    def _judge(
        self, name: TableName, generation: int, look: Look, entering: dict[TableName, PairedTable]
    ) -> None:
        """Let one table flow, wait or leave; one that is to be read otherwise from now on is put into *entering*."""
        settle = partial(self._catalog.settle, name, generation)
        found = {side: look.schemas[side].get(name) for side in SIDES}
        a, b = found[Side.A], found[Side.B]
        if a is None and b is None:
            settle(partial(self._leave, name))
            return
        if a is None or b is None:
            side = Side.A if a is None else Side.B
            settle(partial(self._part, name, absent(self._config, name, side)))
            return
        words = problems(self._config, a, b)
        if words:
            settle(partial(self._pause, name, "; ".join(words)))
            return
        table = pair_table(self._config, self._ledger.table_id(name), a, b, mixed=look.mixed)
        if name not in self._owed and all(self._is_read_by(side, table) for side in SIDES):
            settle(partial(self._flow, table, look.ends))
        else:
            entering[name] = table

    def _is_read_by(self, side: Side, table: PairedTable) -> bool:
        layout = self._catalog.layouts[side].of(table.name)
        if layout is None or layout.schema is None:
            return False
        return layout.schema.same_shape(table.schema(side))

    def _leave(self, name: TableName) -> None:
        self._owed.pop(name, None)
        table_id = self._known_id(name)
        if table_id is not None:
            self._catalog.drop(name, table_id)
            self._ledger.leave(table_id)
            self._log.warning("table.left", table=str(name))

    def _part(self, name: TableName, reason: str) -> None:
        """One side lacks the table: what is known of its rows has no meaning, and it is compared whole if it comes back."""
        self._owed.pop(name, None)
        if self._catalog.in_scope(name):
            if self._config.sync.schema_difference is SchemaDifference.STOP:
                raise PreflightError(f"table {name}: {reason}; create it there, or leave it out")
            table_id = self._ledger.table_id(name)
            self._catalog.drop(name, table_id)
            self._ledger.forget_table(table_id)
        self._pause(name, reason)

    def _pause(self, name: TableName, reason: str) -> None:
        if self._config.sync.schema_difference is SchemaDifference.STOP and self._catalog.in_scope(
            name
        ):
            raise PreflightError(f"table {name}: {reason}; make both sides alike")
        table_id = self._ledger.table_id(name)
        before = self._ledger.paused().get(table_id)
        self._ledger.pause(table_id, reason)
        if before is None or before.reason != reason:
            self._log.warning("table.paused", table=str(name), reason=reason)

    def _known_id(self, name: TableName) -> int | None:
        """The id of a table that the run has to do with; None for a name that came and went unnoticed."""
        if self._catalog.in_scope(name):
            return self._ledger.table_id(name)
        return next((n for n, one in self._ledger.paused().items() if one.table == name), None)

    def _flow(self, table: PairedTable, ends: Mapping[Side, Coordinate]) -> None:
        """Its streams stand behind the last change, and are read by what both sides say now."""
        upper = self._upper(ends)
        stale = {
            side: upper[side]
            for side in SIDES
            if other_key(self._ledger, table.table_id, table.schema(side), side)
        }
        if stale:
            self._log.warning("table.key_changed", table=str(table.name))
            self._ledger.restart_table(table.table_id, Reason.DDL, stale)
        for side in SIDES:
            layout = self._catalog.layouts[side].of(table.name)
            if layout is not None and layout.certain_from is not None:
                certain = msgspec.structs.replace(layout, certain_from=None)
                self._catalog.read_by(side, table.name, certain)
        self._let(table)
        self._log.info("table.resumed", table=str(table.name))

    def _let(self, table: PairedTable) -> None:
        number = table.table_id
        self._ledger.set_table(number, integer=table.integer_key, unsigned=table.unsigned_key)
        note_keys(self._ledger, table)
        self._ledger.set_scope(self._ledger.scope() | {number})
        compare_under_filter(self._ledger, table, self._log)
        release_by_policy(self._ledger, {number: table}, self._log)
        self._catalog.flow(table)
        self._wake.set()

    def _enter(
        self, tables: Mapping[TableName, PairedTable], generations: Mapping[TableName, int]
    ) -> None:
        """
        Read rows by a layout that no event told of: a new table, or one altered without a trace in the binlog.

        First the tailers take the layouts over, then both reach the ends read after that: whatever they read otherwise,
        or not at all, lies at or below those ends, and the marks of the whole table reach as far. Until then the ledger
        has them as a debt, saved with the layouts: after a crash the next start marks the table (``enter_scope``). A table
        that joins needs none, since it is not in the stored scope yet.
        """
        for name, table in tables.items():
            # A suspension on the way leaves the mark owed: the layout alone does not let the table flow.
            self._owed.setdefault(name, not self._catalog.in_scope(name))
            with self._catalog.held(name, generations[name]) as valid:
                if valid:
                    self._read_anew(table, owed=not self._owed[name])
        self._probe(Moment.REDEFINED, None)
        with contextlib.ExitStack() as stack:
            ends = {
                side: end_behind(stack.enter_context(self._open(side)), self._progress[side])
                for side in SIDES
            }
        self._fence(ends)
        upper = self._upper(ends)
        for name, table in tables.items():
            self._catalog.settle(
                name,
                generations[name],
                partial(self._begin, table, upper, joins=self._owed[name]),
            )

    def _read_anew(self, table: PairedTable, *, owed: bool) -> None:
        for side in SIDES:
            layout = TableLayout(table.table_id, table.schema(side))
            self._catalog.read_by(side, table.name, layout, owed=owed)

    def _begin(self, table: PairedTable, upper: Mapping[Side, int], *, joins: bool) -> None:
        reason = Reason.BASELINE if joins else Reason.DDL
        self._ledger.restart_table(table.table_id, reason, upper)
        self._owed.pop(table.name, None)
        self._let(table)
        self._log.info(
            "table.joined" if joins else "table.resumed", table=str(table.name), rows=table.a.rows
        )

    def _upper(self, ends: Mapping[Side, Coordinate]) -> dict[Side, int]:
        return {side: self._progress[side].upper_by_coordinate(ends[side]) for side in SIDES}


def _is_there(session: Session, name: TableName) -> bool:
    """
    Say whether a table that information_schema does not show is there after all.

    MariaDB leaves a table out while it is being altered; a statement on it waits for that. Views are no tables.
    """
    kinds = session.query(
        "SELECT table_type FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
        (name.database, name.name),
    )
    if kinds and "VIEW" in str(kinds[0][0]):
        return False
    try:
        table = f"{quote_name(name.database)}.{quote_name(name.name)}"
        session.query(f"SELECT 1 FROM {table} LIMIT 0")  # noqa: S608 - names are quoted
    except StatementRefused:
        return False
    except TransientDatabaseError:
        if not session.is_open:
            raise
    return True
