"""From the events of one connection to finished transactions. No sockets, no threads."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence

from syncer.binlog import events, payload, short, statements
from syncer.binlog.layout import Flavor, LayoutSource, TableLayout
from syncer.binlog.maps import MappedTable, TableMaps
from syncer.binlog.own_tables import HEARTBEAT
from syncer.binlog.parents import UnknownValueError
from syncer.binlog.place import Place
from syncer.binlog.statements import Kind, Statement
from syncer.binlog.tablemap import LayoutUnknownError
from syncer.binlog.transaction import Finished, OpenTransaction
from syncer.core.mark import Reason
from syncer.core.position import Coordinate, GtidSet, MariaDbGtids, StreamPosition
from syncer.core.record import LANE_SIGN, MarkStore, TransactionRecord
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.errors import EventDamaged, UnsupportedEvent

_DUMMY_TABLE = 0xFFFFFF
_BODY = 1 + events.HEADER_BYTES
_LANE = LANE_SIGN.encode()


class Assembler:
    """
    Takes packets in stream order; whole transactions gather in *finished*, for the owner to take.

    Attributes:
        finished: what was whole since ``take``.
        marks: how many marks they hold.
        rows, events: counters.
        last_commit_us: commit time of the last transaction, 0 before the first.
    """

    def __init__(
        self,
        side: Side,
        flavor: Flavor,
        position: StreamPosition,
        store: MarkStore,
        layouts: LayoutSource,
        pair_id: str,
        on_schema_change: Callable[[Side, TableName], None],
        *,
        checksums: bool,
        exact_from: Coordinate | None = None,
    ) -> None:
        """
        Begin behind *position*.

        Args:
            exact_from: see ``Tailer``.
            checksums: events carry a CRC32 before the first format description says so.
        """
        self._side, self._flavor, self._store, self._layouts = side, flavor, store, layouts
        self._pair = pair_id.encode()
        self._on_schema_change = on_schema_change
        self._checksums = checksums
        self._unproven = False
        self._server = position.server
        self._gtids: GtidSet | MariaDbGtids = (
            GtidSet(position.gtids) if flavor == "mysql" else MariaDbGtids(position.gtids)
        )
        self._place, self._seq = Place(side, position, exact_from), position.seq
        self._origin = 0
        self._open: OpenTransaction | None = None
        self._maps = TableMaps(side, layouts, on_schema_change)
        self.finished = Finished()
        self.marks = self.rows = self.events = self.last_commit_us = 0

    def take(self) -> Finished:
        """Hand the finished transactions over."""
        taken, self.finished, self.marks = self.finished, Finished(), 0
        return taken

    @property
    def between(self) -> bool:
        """No transaction is open."""
        return self._open is None

    @property
    def position(self) -> StreamPosition:
        """The place behind the last whole transaction."""
        return StreamPosition(
            server=self._server,
            gtids=str(self._gtids),
            file=self._place.file,
            offset=self._place.offset,
            seq=self._seq,
            file_at=self._place.file_at,
        )

    @property
    def coordinate(self) -> Coordinate:
        """The file and offset of ``position``."""
        return self._place.coordinate

    def feed_all(self, packets: Sequence[bytes]) -> None:
        """Take *packets*, the next ones of the stream; raises as ``feed``."""
        at, end = 0, len(packets)
        while at < end:
            if self._open is None and self._checksums:
                run = short.read(packets, at, self._flavor, self._maps, self._seq, self.coordinate)
                if run.records:
                    self.events += run.after - at
                    self._take_run(run)
                    at = run.after
                    continue
            self.feed(packets[at])
            at += 1

    def _take_run(self, run: short.Run) -> None:
        """Put whole transactions of one row each among the finished ones, and the position behind them (INV-1)."""
        self._place.refuse_elsewhere()
        self.finished.records += run.records
        self.finished.named += run.named
        self.rows += run.images
        self.marks += len(run.records)
        self._seq, _, end, self._origin = run.named[-1]
        self._place.offset, self.last_commit_us = end.offset, run.records[-1].commit_us
        for prefix, low, high in run.gtids:
            self._gtids.extend(prefix, low, high)

    def feed(self, packet: bytes) -> None:
        """
        Take one packet of the dump, its leading OK byte included.

        Raises:
            UnsupportedEvent: it cannot be read and may not be skipped.
            EventDamaged: it was damaged on its way.
        """
        if len(packet) < _BODY:
            raise EventDamaged("an event arrived damaged (it has no header)")
        timestamp, kind, server_id, size, log_pos, flags = events.HEADER.unpack_from(packet, 1)
        if size != len(packet) - 1:
            raise EventDamaged("an event arrived damaged (its length is wrong)")
        self.events += 1
        self._origin = server_id
        if self._open is not None:
            self._place.reach(log_pos)
        if kind == events.FORMAT_DESCRIPTION:
            self._format(packet)
            self._place.begun(timestamp)
            self._advance(log_pos)
            return
        if self._checksums:
            if not short.intact(packet):
                raise EventDamaged("an event arrived damaged (its checksum is wrong)")
            body = packet[_BODY:-4]
        else:
            if self._unproven:
                if short.intact(packet):
                    raise EventDamaged(
                        "a format description arrived damaged (events have checksums)"
                    )
                self._unproven = False
            body = packet[1 + events.HEADER_BYTES :]
        try:
            self._event(kind, body, log_pos, timestamp, server_id, flags)
        except (
            LayoutUnknownError, LookupError, ValueError, OverflowError, struct.error, zlib.error,
        ) as error:  # fmt: skip
            raise UnsupportedEvent(
                f"binlog event type {kind} in {self._place.file} before {log_pos} cannot be read"
                f" ({type(error).__name__})"
            ) from error

    def _format(self, packet: bytes) -> None:
        """Learn whether events carry a checksum. Where it says no, its own one may be stale: the next event tells."""
        body = packet[1 + events.HEADER_BYTES :]
        if len(body) < events.FORMAT_BYTES:
            raise EventDamaged("a format description arrived damaged (it is too short)")
        fits = short.intact(packet)
        try:
            checksums = events.has_checksums(body)
            events.check_format(body)
        except UnsupportedEvent as error:
            if fits:
                raise
            raise EventDamaged(f"a format description arrived damaged ({error})") from error
        if checksums and not fits:
            raise EventDamaged("a format description arrived damaged (its checksum is wrong)")
        self._checksums, self._unproven = checksums, not checksums

    def _event(
        self, kind: int, body: bytes, log_pos: int, timestamp: int, server_id: int, flags: int
    ) -> None:
        # In the order of how often they come.
        if kind in events.ROWS:
            self._rows(events.ROWS[kind], body, timestamp, log_pos)
        elif kind == events.TABLE_MAP:
            self._maps.take(body)
        elif kind == events.XID:
            self._finish(log_pos, timestamp)
        elif kind == events.GTID:
            self._begin(events.mysql_gtid(body), begun=False)
        elif kind in events.QUERIES:
            self._query(kind, body, log_pos, timestamp)
        elif kind == events.MARIADB_GTID:
            gtid = events.mariadb_gtid(body, server_id)
            self._begin(gtid, begun=not gtid.standalone)
        elif kind in {events.HEARTBEAT, events.HEARTBEAT_V2}:
            self._heartbeat(*events.heartbeat(kind, body, log_pos))
        elif kind == events.ROTATE:
            self._rotate(*events.rotate(body))
        elif kind in events.NO_EFFECT:
            self._advance(log_pos)
        else:
            self._rare(kind, body, log_pos, timestamp, flags)

    def _rare(self, kind: int, body: bytes, log_pos: int, timestamp: int, flags: int) -> None:
        if kind == events.TAGGED_GTID:
            self._begin(events.tagged_gtid(body), begun=False)
        elif kind == events.XA_PREPARE:
            xid, one_phase = events.xa_prepare(body)
            self._finish(log_pos, timestamp, prepared_xid=None if one_phase else xid)
        elif kind == events.TRANSACTION_PAYLOAD:
            for inner in payload.events_of(body):
                stamp, inner_kind, server_id, _, _, inner_flags = events.HEADER.unpack_from(inner)
                self._event(
                    inner_kind, inner[events.HEADER_BYTES :], log_pos, stamp, server_id, inner_flags
                )
        elif kind == events.INCIDENT:
            transaction = self._transaction()
            for table_id, _ in self._layouts.tables():
                transaction.span(table_id, Reason.UNREADABLE)
            if not transaction.begun:
                self._finish(log_pos, timestamp)
        elif kind == events.ANONYMOUS_GTID:
            raise UnsupportedEvent(
                "a transaction without a GTID is in the binlog: set gtid_mode=ON at the server"
            )
        elif not flags & events.IGNORABLE_FLAG:
            raise UnsupportedEvent(
                f"binlog event type {kind} in {self._place.file} before {log_pos} is not known and may not be skipped"
            )
        else:
            self._advance(log_pos)

    # Positions

    def _advance(self, log_pos: int) -> None:
        if self._open is None:
            self._place.advance(log_pos)

    def _heartbeat(self, file: str, position: int) -> None:
        if self._open is None:
            self._place.heartbeat(file, position)

    def _rotate(self, file: str, position: int) -> None:
        self._maps.clear()
        self._place.rotate(file, position)

    # Transactions

    def _transaction(self) -> OpenTransaction:
        if self._open is None:
            self._open = OpenTransaction("", 0, begun=False)
        return self._open

    def _begin(self, gtid: events.GtidEvent, *, begun: bool) -> None:
        if self._open is not None:
            raise UnsupportedEvent(
                f"transaction {self._open.gtid} in {self._place.file} has no end"
            )
        self._open = OpenTransaction(gtid.gtid, gtid.commit_us, begun=begun)
        self._open.xa = gtid.prepared

    def _finish(self, log_pos: int, timestamp: int, **xids: str | None) -> None:
        transaction = self._transaction()
        if not transaction.commit_us:
            transaction.commit_us = timestamp * 1_000_000
        record = transaction.record(self._seq + 1, **xids)
        self._open = None
        self._close(record, transaction.gtid, log_pos, transaction.commit_us, transaction.beat)

    def _close(
        self,
        record: TransactionRecord,
        gtid: str,
        log_pos: int,
        commit_us: int,
        beat: str | None = None,
    ) -> None:
        """Put a whole transaction among the finished ones, and the position behind it (INV-1)."""
        self._seq = record.seq
        self._place.end(log_pos)
        if gtid:
            self._gtids.add(gtid)
        self.last_commit_us = commit_us
        self.marks += len(record.marks)
        self.finished.records.append(record)
        self.finished.named.append((record.seq, gtid, self.coordinate, self._origin))
        if beat is not None:
            self.finished.beats.append((beat, record.seq))

    def _query(self, kind: int, body: bytes, log_pos: int, timestamp: int) -> None:
        if kind == events.QUERY:
            text = events.query_text(body)
            if text == b"BEGIN":
                self._transaction().begun = True
                return
            if text == b"COMMIT":
                self._finish(log_pos, timestamp)
                return
        event = events.query(kind, body)
        statement = statements.classify(event)
        transaction = self._transaction()
        if statement.kind in {Kind.BEGIN, Kind.XA_START}:
            transaction.begun = True
            transaction.xa = transaction.xa or statement.kind is Kind.XA_START
            return
        if statement.kind in {Kind.COMMIT, Kind.ROLLBACK}:
            self._finish(log_pos, timestamp)
            return
        if statement.kind in {Kind.XA_COMMIT, Kind.XA_ROLLBACK}:
            self._xa_end(statement, log_pos, timestamp)
            return
        if statement.kind is Kind.CHANGE:
            self._change(statement, transaction)
        if not transaction.begun:
            self._finish(log_pos, timestamp)

    def _xa_end(self, statement: Statement, log_pos: int, timestamp: int) -> None:
        xid = statement.xid or ""
        if statement.kind is Kind.XA_ROLLBACK:
            self._finish(log_pos, timestamp, rolled_back_xid=xid)
            return
        if self._flavor == "mariadb":
            self.finished.branches[self._seq + 1] = xid
        self._finish(log_pos, timestamp, committed_xid=xid)

    def _change(self, statement: Statement, transaction: OpenTransaction) -> None:
        """Make the tables that a statement concerns dirty; names are compared without letter case, to be safe."""
        scope = list(self._layouts.tables())
        known = {name.database.lower() for _, name in scope}
        named = {(database.lower(), table.lower()) for database, table in statement.tables}
        databases = {name.lower() for name in statement.databases if name is not None} & known
        # A trigger, a function or a cascade may reach into any other database.
        most = 0 if statement.reason is Reason.STATEMENT else 1
        every = None in statement.databases or len(databases) > most
        changed: set[TableName] = set()
        for table_id, name in scope:
            database = name.database.lower()
            if every or database in databases or (database, name.name.lower()) in named:
                changed.add(name)
                if statement.rows:
                    transaction.span(table_id, statement.reason)
                    layout = self._layouts(name.database, name.name)
                    if layout is not None and statement.reason is Reason.STATEMENT:
                        self._children_unknown(layout, transaction)
        if statement.schema:
            changed |= {TableName(*name) for name in statement.tables}
            for name in sorted(changed):
                self._on_schema_change(self._side, name)

    # Rows

    def _rows(self, kind: events.RowsKind, body: bytes, timestamp: int, log_pos: int) -> None:
        number = int.from_bytes(body[:6], "little")
        table = self._maps.get(number)
        transaction = self._transaction()
        if table is None:
            if number == _DUMMY_TABLE:
                return
            raise UnsupportedEvent(f"rows without a table map in {self._place.file}")
        if self._flavor == "mariadb":
            transaction.commit_us = timestamp * 1_000_000
        if table.layout is None and table.reader is None:
            return
        at = 8 + (body[8] | body[9] << 8) if kind.extra else 8
        if table.layout is None:
            self._own_table(table, kind, body, at, transaction)
            return
        table_id = table.layout.table_id
        if table.reader is None:
            doubted = table.layout.schema is None
            reason = table.layout.doubt if doubted else Reason.UNREADABLE
            self._unreadable(table.layout, transaction, reason)
            return
        if table.certain_from is not None and self._place.at(log_pos) <= table.certain_from:
            self._unreadable(table.layout, transaction, table.layout.doubt)
            return
        if kind.operation == "insert" and transaction.copied(
            table_id, table.reader, body, at, compressed=kind.compressed
        ):
            return
        try:
            keys = table.reader.read(
                body,
                at,
                update=kind.operation == "update",
                partial=kind.partial,
                compressed=kind.compressed,
            )
        except LayoutUnknownError:
            self._unreadable(table.layout, transaction)
            return
        self.rows += len(keys)
        transaction.rows(table_id, kind.operation, keys)
        if table.images is not None:
            transaction.keep(table_id, kind, keys, table.images, body, at)
        if table.parents is not None and kind.operation != "insert":
            try:
                found = table.parents.read(
                    kind.operation,
                    keys,
                    body,
                    at,
                    partial=kind.partial,
                    compressed=kind.compressed,
                )
                transaction.parents(table_id, found)
            except (UnknownValueError, LayoutUnknownError):
                self._children_unknown(table.layout, transaction)
        transaction.spill(self._side, self._seq + 1, self._store)

    def _unreadable(
        self,
        layout: TableLayout,
        transaction: OpenTransaction,
        reason: Reason = Reason.UNREADABLE,
    ) -> None:
        transaction.span(layout.table_id, reason)
        self._children_unknown(layout, transaction)

    @staticmethod
    def _children_unknown(layout: TableLayout, transaction: OpenTransaction) -> None:
        """Some children changed without an event, and nobody can say which."""
        for child in layout.reaches:
            transaction.span(child, Reason.UNREADABLE)

    def _own_table(
        self,
        table: MappedTable,
        kind: events.RowsKind,
        body: bytes,
        at: int,
        transaction: OpenTransaction,
    ) -> None:
        """Look for our own pair's row in a change of the marker or the heartbeat table."""
        heartbeat = (table.database, table.name) == HEARTBEAT
        update = kind.operation == "update"
        if kind.operation == "delete" or table.reader is None:
            return
        try:
            images = table.reader.read(body, at, update=update, compressed=kind.compressed)
        except LayoutUnknownError as error:
            if heartbeat:
                return  # a beat that is not met proves nothing
            raise UnsupportedEvent("a change of the table syncer.marker cannot be read") from error
        for old, new in (
            zip(images[::2], images[1::2], strict=True)
            if update
            else zip(images, images, strict=True)
        ):
            pair, _, lane = (old[0] if new[0] is None else new[0]).partition(_LANE)
            if pair != self._pair or new[1] is None:
                continue
            if heartbeat:
                transaction.beat = new[1].decode("ascii", "replace")
            else:
                transaction.own_batch(
                    new[1], self._side, self._store, lane.decode("ascii", "replace")
                )
