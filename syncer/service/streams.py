"""Builds the two tailers of a run, and answers them when a table changes its shape."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import structlog

from syncer.binlog import StreamEndpoint, TableLayout, Tailer
from syncer.clock import Clock
from syncer.config import Config
from syncer.core.mark import Reason
from syncer.core.position import StreamPosition
from syncer.core.record import MarkStore
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.ledger import Ledger
from syncer.mysql.connection import Session, driver_tls
from syncer.mysql.endpoint import Endpoint
from syncer.mysql.introspect import being_changed, load_schemas
from syncer.mysql.snapshot import binlog_end
from syncer.service.catalog import Catalog
from syncer.service.history import goes_on_at_coordinate
from syncer.service.scope import note_key, other_key

_REPLICA_IDS = 0x7000_0000


def stream_endpoint(endpoint: Endpoint, side: Side) -> StreamEndpoint:
    """Translate an endpoint into what the stream's connection takes."""
    tls = driver_tls(endpoint, f"side {side} ({endpoint.address})")
    return StreamEndpoint(
        host=endpoint.host,
        port=endpoint.port,
        user=endpoint.user,
        password=endpoint.password.reveal(),
        socket=endpoint.socket,
        ssl=tls.get("ssl"),
        ssl_disabled=bool(tls.get("ssl_disabled")),
    )


def replica_id(pair_id: str, side: Side) -> int:
    """Return the server id a stream registers with: stable per pair and side, away from the ids people give."""
    return _REPLICA_IDS | (zlib.crc32(f"{pair_id}/{side}".encode()) & 0x0FFF_FFFF)


class SchemaWatch:
    """
    Answers a tailer that meets a change of a definition, in its thread, before the change is recorded.

    The table waits from here on, and its rows are read by what the server says it is now: for certain only behind the
    binlog's end of this moment, since other changes may lie ahead.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        catalog: Catalog,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """Take the catalog."""
        self._config = config
        self._ledger = ledger
        self._catalog = catalog
        self._log = log

    def __call__(self, side: Side, name: TableName) -> None:
        """Take the change in. Raises TransientDatabaseError where nobody answers."""
        # A server may store names in small letters whatever the statement says.
        lower = TableName(name.database.lower(), name.name.lower())
        for spelt in {name, lower}:
            ours = self._config.names.on(side).here(spelt)
            if ours is not None and self._config.selects(ours):
                self._take(side, ours)

    def _take(self, side: Side, name: TableName) -> None:
        catalog = self._catalog
        catalog.suspend(name)
        try:
            layout = catalog.layouts[side].of(name)
            if layout is not None:
                self._log.info("table.schema_changed", side=str(side), table=str(name))
                asked = self._ask(side, name, layout.table_id)
                self._start_keys_anew(side, asked)
                catalog.read_by(side, name, asked)
        finally:
            catalog.news.set()

    def _start_keys_anew(self, side: Side, layout: TableLayout) -> None:
        """Keys marked so far mean nothing under another key; all that was marked before is in the ledger by now."""
        ledger, number = self._ledger, layout.table_id
        if layout.schema is None or not other_key(ledger, number, layout.schema, side):
            return
        position = ledger.position(side)
        self._log.warning("table.key_changed", side=str(side), table=str(layout.schema.name))
        ledger.restart_table(number, Reason.DDL, {side: position.seq if position else 0})
        note_key(ledger, number, layout.schema, side)

    def _ask(self, side: Side, name: TableName, table_id: int) -> TableLayout:
        """Ask for a definition; where it is still being changed after a minute the table's rows are not read, and it is looked at later."""
        with Session.open(self._config.endpoint(side), side, purpose="schema") as session:
            names = self._config.names.on(side)
            found = {}
            if not being_changed(session, [name], names):
                found = load_schemas(session, [name], asked_key=self._config.key_for, names=names)
            return TableLayout(table_id, found.get(name), certain_from=binlog_end(session))


def build_tailer(
    config: Config,
    session: Session,
    position: StreamPosition,
    store: MarkStore,
    catalog: Catalog,
    watch: SchemaWatch,
    clock: Clock,
    log: structlog.stdlib.BoundLogger,
    on_beat: Callable[[str, int], None] | None = None,
) -> Tailer:
    """Build the tailer of *session*'s side; nothing is opened before it is started."""
    side = session.side
    return Tailer(
        side=side,
        endpoint=stream_endpoint(config.endpoint(side), side),
        flavor="mysql" if session.flavor == "mysql" else "mariadb",
        position=position,
        store=store,
        layouts=catalog.layouts[side],
        pair_id=config.pair_id,
        server_id=replica_id(config.pair_id, side),
        clock=clock,
        logger=log,
        on_schema_change=watch,
        on_beat=on_beat,
        by_file=goes_on_at_coordinate(session, position),
        exact_from=None if position.file_at else binlog_end(session),
    )
