"""The tables of a run: which flow, which wait, and how each side's stream reads their rows."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec
import structlog

from syncer.binlog.layout import TableLayout
from syncer.core.cascade import Edges, descendants, edges_between
from syncer.core.naming import AS_THEY_ARE, SideNames
from syncer.core.pairing import PairedTable
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.errors import StatementRefused, TransientDatabaseError
from syncer.ledger import Ledger
from syncer.ledger.records import Definition
from syncer.mysql.writing import Dependents
from syncer.service.relations import dependents

NOT_THERE = frozenset({1049, 1054, 1146})
LOOKING = "its definition is being read"


class Layouts:
    """
    What a tailer knows of tables: how their rows are read, by their name on its server. Thread-safe; replaced entry by entry.

    Attributes:
        edges: the foreign keys between these tables whose effects on children the side does not log.
    """

    def __init__(
        self,
        layouts: Mapping[TableName, TableLayout],
        *,
        hides_cascades: bool,
        names: SideNames = AS_THEY_ARE,
        keeps: Callable[[TableName], bool] = lambda _name: False,
    ) -> None:
        """
        Begin with the tables in scope at the start, by the pair's names.

        Args:
            hides_cascades: see ``relations.py``.
            keeps: says of which tables it is kept what rows were before they changed.
        """
        self._lock = threading.Lock()
        self._hides = hides_cascades
        self._names = names
        self._keeps = keeps
        self._by_name = {self._place(n): self._told(n, one) for n, one in layouts.items()}
        self.edges: Edges = {}
        self._relate()

    def __call__(self, database: str, table: str) -> TableLayout | None:
        """Return the layout of a table; None where it is out of scope."""
        with self._lock:
            return self._by_name.get((database, table))

    def of(self, name: TableName) -> TableLayout | None:
        """Return the same by the pair's *name*."""
        return self(*self._place(name))

    def _place(self, name: TableName) -> tuple[str, str]:
        place = self._names.there(name)
        return place.database, place.name

    def _told(self, name: TableName, layout: TableLayout) -> TableLayout:
        keeps = self._keeps(name)
        return layout if layout.keeps is keeps else msgspec.structs.replace(layout, keeps=keeps)

    def tables(self) -> list[tuple[int, TableName]]:
        """Every table in scope: (id, name on its server)."""
        with self._lock:
            return [(layout.table_id, TableName(*name)) for name, layout in self._by_name.items()]

    def put(self, name: TableName, layout: TableLayout | None) -> None:
        """Read the rows of the pair's table *name* that come next by *layout*; None takes it out of scope."""
        place = self._place(name)
        with self._lock:
            if layout is None:
                self._by_name.pop(place, None)
            else:
                self._by_name[place] = self._told(name, layout)
            self._relate()

    def _relate(self) -> None:
        """
        Tell every table which others its changes reach.

        A foreign key that came or went unnoticed for a while does no harm: that altered its child, which is marked whole then.
        """
        if not self._hides:
            return
        schemas = {one.table_id: one.schema for one in self._by_name.values() if one.schema}
        self.edges = edges_between(schemas)
        for name, one in self._by_name.items():
            found = self.edges.get(one.table_id, ())
            reaches = descendants(self.edges, one.table_id)
            if (one.edges, one.reaches) != (found, reaches):
                self._by_name[name] = msgspec.structs.replace(one, edges=found, reaches=reaches)


class Catalog:
    """
    Which tables flow. Thread-safe.

    A table is *suspended* the moment its stream tells of a change of its definition, before that change is recorded. So
    a decision is sound if its table still flows after the fence (INV-4, INV-21): no definition has changed up to both U.
    Whoever lets it flow again names the generation that it looked at; a suspension in between makes that fail.
    """

    def __init__(
        self,
        ledger: Ledger,
        flowing: Mapping[int, PairedTable],
        layouts: Mapping[Side, Layouts],
        servers: Mapping[Side, str],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """Begin; *servers* are the identities of both servers, for the definitions remembered."""
        self._ledger = ledger
        self._log = log
        self._servers = servers
        self._lock = threading.RLock()
        self._flowing: dict[int, PairedTable] = dict(flowing)
        self._generations: dict[TableName, int] = {}
        self._unsettled: set[TableName] = set()
        self._halted: dict[int, str] = {}
        self._related: object = None
        self._dependents: dict[Side, Dependents] = {}
        self.layouts = layouts
        self.news = threading.Event()
        """Set where definitions are to be looked at."""

    @property
    def flowing(self) -> Mapping[int, PairedTable]:
        """The tables that flow now, by id; the mapping never changes."""
        return self._flowing

    def flows(self, table: PairedTable) -> bool:
        """Say whether *table* still flows, and by this very definition."""
        return self._flowing.get(table.table_id) is table

    @property
    def settled(self) -> bool:
        """No definition waits to be looked at."""
        with self._lock:
            return not self._unsettled

    def settled_and(self, holds: Callable[[], bool]) -> bool:
        """Say whether no definition waits to be looked at and *holds* says so too, both of one moment: no table starts to flow in between."""
        with self._lock:
            return not self._unsettled and holds()

    def unsettled(self) -> dict[TableName, int]:
        """Return the tables to be looked at, and their generations."""
        with self._lock:
            return {name: self.generation(name) for name in sorted(self._unsettled)}

    def generation(self, name: TableName) -> int:
        """Return how often the table was suspended."""
        return self._generations.get(name, 0)

    def in_scope(self, name: TableName) -> bool:
        """Say whether rows of the table are marked."""
        return any(self.layouts[side].of(name) for side in SIDES)

    def suspend(self, name: TableName) -> None:
        """Let the table wait until its definition has been looked at; ``news`` is left to the caller."""
        with self._lock:
            self._generations[name] = self.generation(name) + 1
            self._unsettled.add(name)
            if not self.in_scope(name):
                return
            table_id = self._ledger.table_id(name)
            self._flowing = {k: v for k, v in self._flowing.items() if k != table_id}
            self._ledger.pause(table_id, LOOKING)

    def halt(self, table_id: int, reason: str) -> None:
        """Let a table wait until ``release``, whatever is found of its definition."""
        with self._lock:
            self._halted[table_id] = reason
            self._flowing = {k: v for k, v in self._flowing.items() if k != table_id}
            self._ledger.pause(table_id, reason)

    def release(self, table_id: int) -> None:
        """Let a halted table flow as soon as its definition has been looked at again."""
        with self._lock:
            self._halted.pop(table_id, None)
            paused = self._ledger.paused().get(table_id)
            if paused is not None:
                self.suspend(paused.table)
        self.news.set()

    def is_halted(self, table_id: int) -> bool:
        """Say whether the table waits for ``release``."""
        return table_id in self._halted

    def dependents(self, side: Side) -> Dependents:
        """Return, by parent, the flowing tables whose rows *side* deletes together with their parent."""
        flowing = self._flowing
        if self._related is not flowing:
            self._dependents = {one: dependents(flowing, one) for one in SIDES}
            self._related = flowing
        return self._dependents[side]

    def waits(self, table_id: int) -> bool:
        """Say whether a table that does not flow is only waiting."""
        with self._lock:
            return table_id in self._ledger.paused() or table_id in self._ledger.scope()

    @contextlib.contextmanager
    def doubting(self, tables: Collection[PairedTable]) -> Iterator[None]:
        """Where a statement on *tables* names what is not there, suspend them: not every change is in a binlog."""
        try:
            yield
        except StatementRefused as error:
            if error.errno not in NOT_THERE:
                raise
            for table in tables:
                self.suspend(table.name)
            self.news.set()
            raise TransientDatabaseError(str(error), errno=error.errno) from error

    def settle(self, name: TableName, generation: int, act: Callable[[], None]) -> None:
        """Run *act* and call the table settled, unless it was suspended since *generation*."""
        with self.held(name, generation) as valid:
            if valid:
                act()
                self._unsettled.discard(name)

    @contextlib.contextmanager
    def held(self, name: TableName, generation: int) -> Iterator[bool]:
        """Keep the table from being suspended meanwhile; say whether it was since *generation*."""
        with self._lock:
            yield self.generation(name) == generation

    def flow(self, table: PairedTable) -> None:
        """Let a table flow, unless it is halted; inside of ``settle``."""
        halted = self._halted.get(table.table_id)
        if halted is not None:
            self._ledger.resume(table.table_id)
            self._ledger.pause(table.table_id, halted)
            return
        self._ledger.resume(table.table_id)
        self._flowing = {**self._flowing, table.table_id: table}

    def drop(self, name: TableName, table_id: int) -> None:
        """Take a table out of scope on both sides; inside of ``settle``."""
        for side in SIDES:
            self.layouts[side].put(name, None)
        self._flowing = {k: v for k, v in self._flowing.items() if k != table_id}
        self._ledger.set_scope(self._ledger.scope() - {table_id})

    def read_by(
        self, side: Side, name: TableName, layout: TableLayout, *, owed: bool = False
    ) -> None:
        """
        Read the rows that come next by *layout*, and remember it before anything read by it is recorded.

        *owed*: remember with it that the table is to be marked whole.
        """
        self._ledger.define(side, {layout.table_id: self.definition(side, layout)}, owed=owed)
        self.layouts[side].put(name, layout)

    def definition(self, side: Side, layout: TableLayout) -> Definition:
        """Return *layout* as the ledger keeps it."""
        return Definition(
            schema=layout.schema, certain_from=layout.certain_from, server=self._servers[side]
        )
