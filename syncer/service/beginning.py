"""The tables at the start of a run: which flow at once, which wait, and how the streams read their rows from where they stand."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from syncer.binlog.layout import TableLayout
from syncer.config import Config
from syncer.core.mark import Reason
from syncer.core.pairing import PairedTable
from syncer.core.position import Coordinate, StreamPosition
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.errors import StatementRefused
from syncer.ledger import Ledger
from syncer.ledger.records import Definition
from syncer.mysql.connection import Session
from syncer.mysql.snapshot import binlog_end
from syncer.service.catalog import LOOKING, Catalog, Layouts
from syncer.service.checking import problems, refuse_errors
from syncer.service.positions import start_position
from syncer.service.relations import hides_cascades
from syncer.service.tables import Selection, pair_table, select


class Beginning:
    """
    What a run begins with. Used by the main thread alone; the methods in the order in which they stand here.

    A table that is met for the first time and cannot be kept equal refuses the run. One that was kept equal before waits.

    Attributes:
        flowing: the tables that can be kept equal as both servers define them now, by id.
        waiting: those in scope that cannot, or not yet.
    """

    def __init__(
        self,
        config: Config,
        sessions: Mapping[Side, Session],
        ledger: Ledger | None,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """
        Ask both servers. *ledger*: None at the very first start.

        Raises:
            PreflightError: the pair is refused.
            ConfigError: see ``select``.
        """
        self._config = config
        self._log = log
        self._sessions = sessions
        self._fresh: dict[Side, StreamPosition] | None = None
        trouble: StatementRefused | None = None
        try:
            if ledger is None or not all(ledger.position(side) for side in SIDES):
                self._fresh = {side: start_position(sessions[side]) for side in SIDES}
        except StatementRefused as error:
            trouble = error  # the preflight has better words for it
        self._selection: Selection = select(config, sessions)
        known = self._known(ledger) if ledger is not None else {}
        for finding in refuse_errors(config, sessions, self._selection, known):
            log.warning(
                "preflight.found",
                subject=finding.subject,
                side=finding.side,
                message=finding.message,
            )
        if trouble is not None:
            raise trouble
        self._ends: dict[Side, Coordinate] = {side: binlog_end(sessions[side]) for side in SIDES}
        self.flowing: dict[int, PairedTable] = {}
        self.waiting: dict[int, TableName] = {}
        self._apart: list[TableName] = []
        self._scope: set[int] = set()
        self._layouts: dict[Side, dict[TableName, TableLayout]] = {}
        self._leapt = False
        self._servers = {side: sessions[side].server_identity() for side in SIDES}

    def _known(self, ledger: Ledger) -> dict[TableName, int]:
        """The tables selected that were kept equal before."""
        ids = {*ledger.scope(), *ledger.paused()}
        return {
            name: number
            for number, name in ledger.tables().items()
            if number in ids and self._config.selects(name)
        }

    def number(self, ledger: Ledger) -> None:
        """Tell flowing tables from waiting ones; nothing is written but the numbers of tables."""
        self._scope = ledger.scope()
        known = self._known(ledger)
        for name in sorted({*self._selection.names, *known}):
            found = {side: self._selection.schemas[side].get(name) for side in SIDES}
            a, b = found[Side.A], found[Side.B]
            table_id = ledger.table_id(name)
            if a is None or b is None:
                self._apart.append(name)
                if table_id in self._scope:
                    self.waiting[table_id] = name
            elif name in known and problems(self._config, a, b):
                self.waiting[table_id] = name
            else:
                self.flowing[table_id] = pair_table(
                    self._config, table_id, a, b, mixed=self._selection.mixed
                )

    @property
    def in_scope(self) -> list[int]:
        """Ids of the tables whose rows are marked."""
        return [*self.flowing, *self.waiting]

    def fresh_positions(self) -> dict[Side, StreamPosition]:
        """Return positions read before the definitions were, for a ledger that has none."""
        if (
            self._fresh is None
        ):  # pragma: no cover - asked for only where the ledger has no positions
            raise AssertionError("the ledger has positions")
        return self._fresh

    def leaps(self, side: Side, ledger: Ledger) -> None:
        """The stream of *side* goes on elsewhere: what its rows looked like there is not known from before."""
        ledger.forget_definitions(side)
        self._leapt = True

    def lay_out(self, ledger: Ledger) -> None:
        """
        Choose how rows are read from where the streams stand; the positions are in the ledger by now.

        A stream that stands where rows were read by a definition other than today's goes on with that one: a change lies
        ahead of it, and its table waits until then.
        """
        names = {number: table.name for number, table in self.flowing.items()} | self.waiting
        for side in SIDES:
            known = ledger.definitions(side)
            self._layouts[side] = {
                name: self._layout(
                    side, number, name, known.get(number) if number in self._scope else None
                )
                for number, name in names.items()
            }
        for number, table in list(self.flowing.items()):
            if not all(_reads(self._layouts[side][table.name], table, side) for side in SIDES):
                self.waiting[number] = table.name
                del self.flowing[number]

    def catalog(self, ledger: Ledger) -> Catalog:
        """Make the catalog, once the scope is in the ledger."""
        for table in self.flowing.values():
            ledger.set_table(table.table_id, integer=table.integer_key, unsigned=table.unsigned_key)
        catalog = Catalog(
            ledger,
            self.flowing,
            {
                side: Layouts(
                    self._layouts[side],
                    hides_cascades=hides_cascades(self._sessions[side]),
                    names=self._config.names.on(side),
                    keeps=lambda name: self._config.policy_for(name).needs_base,
                )
                for side in SIDES
            },
            self._servers,
            self._log,
        )
        for side in SIDES:
            layouts = self._layouts[side].values()
            ledger.define(side, {one.table_id: catalog.definition(side, one) for one in layouts})
        waiting = {*self._apart, *self.waiting.values()}
        for number, one in ledger.paused().items():
            if one.table not in waiting:
                ledger.resume(number)
        for name in waiting:
            ledger.pause(ledger.table_id(name), LOOKING)
            catalog.suspend(name)
        if self._leapt:  # a change may lie between the definitions read and the place leapt to
            for table in self.flowing.values():
                catalog.suspend(table.name)
        return catalog

    def _layout(
        self, side: Side, number: int, name: TableName, known: Definition | None
    ) -> TableLayout:
        """
        How rows are read from where the stream stands.

        Without a definition of that place: by today's, for certain behind the binlog's end read after it. Before the first
        comparison what is in doubt counts as part of it.
        """
        place = self._config.names.on(side).there(name)
        if (
            known is not None
            and known.server == self._servers[side]
            and (known.schema is None or known.schema.on_server == place)  # else mapped anew
        ):
            return TableLayout(number, known.schema, certain_from=known.certain_from)
        schema = self._selection.schemas[side].get(name)
        doubt = Reason.DDL if number in self._scope else Reason.BASELINE
        still = self._fresh is not None and self._fresh[side].coordinate == self._ends[side]
        certain_from = None if still else self._ends[side]
        return TableLayout(number, schema, certain_from=certain_from, doubt=doubt)


def _reads(layout: TableLayout, table: PairedTable, side: Side) -> bool:
    return layout.schema is not None and layout.schema.same_shape(table.schema(side))
