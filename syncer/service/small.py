"""
Small tables, compared many at once: a pair of thousands of tables would else spend its first minutes on round trips.

Only what is equal is settled here. A table that differs, that has more rows than was thought, or that cannot be read with the
others is left to ``chunks.py``, which looks at it alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.errors import StatementRefused
from syncer.ledger import Ledger
from syncer.ledger.records import ClaimedSpan
from syncer.mysql.reader import SnapshotReader
from syncer.service.boundaries import CHUNK_BYTES
from syncer.service.catalog import Catalog
from syncer.service.chunks import Settled
from syncer.service.probes import Moment, Probe, no_probe
from syncer.service.reading import PairReader
from syncer.service.throttle import Throttle

TABLES_AT_ONCE = 100
MOST_ROWS = 200
"""A table is small up to so many rows: so many are read of one that is larger than the server thinks."""


class SmallTables:
    """Compares small tables that are marked whole. Used by the reconciler's thread alone."""

    def __init__(
        self,
        ledger: Ledger,
        catalog: Catalog,
        reader: PairReader,
        throttle: Throttle,
        log: structlog.stdlib.BoundLogger,
        probe: Probe = no_probe,
        *,
        settled: Settled,
    ) -> None:
        """Compose; nothing is read yet. *settled* is told what was found equal."""
        self._settled = settled
        self._ledger = ledger
        self._catalog = catalog
        self._reader = reader
        self._throttle = throttle
        self._log = log
        self._probe = probe
        self._alone: dict[int, Mapping[Side, int]] = {}
        self.rows_compared = 0

    def compare(self, oldest: ClaimedSpan) -> bool:
        """
        Compare the table of *oldest* and others that are marked whole; say whether any was settled.

        Where it was not, *oldest* is to be compared alone. Raises TransientDatabaseError; every span is kept, and compared
        alone from then on.
        """
        most_rows = self._throttle.most_rows
        at_once = TABLES_AT_ONCE if most_rows is None else most_rows // MOST_ROWS
        if at_once < 2 or not self._fits(oldest):
            return False
        claimed = [
            span
            for span in self._ledger.claim_tables(min(at_once, TABLES_AT_ONCE))
            if self._fits(span)
        ]
        if len(claimed) < 2:
            return False
        flowing = self._catalog.flowing  # once: a tailer may suspend one of them at any moment
        if any(span.table_id not in flowing for span in claimed):
            return False
        tables = {span.table_id: flowing[span.table_id] for span in claimed}
        # Whatever comes of it, one look together is enough.
        self._alone.update({span.table_id: span.ids for span in claimed})

        def look(reader: SnapshotReader, _side: Side) -> dict[int, tuple[int, int]]:
            return reader.table_digests(list(tables.values()), MOST_ROWS)

        try:
            found, horizons = self._reader.within_snapshots(look)
        except StatementRefused:
            return False  # one of them is not what it was; which one, is found out alone
        lower = {side: horizons[side].lower for side in SIDES}
        equal = {
            number: found[Side.A][number][0]
            for number, table in tables.items()
            if found[Side.A].get(number) == found[Side.B].get(number, ())
            and self._catalog.flows(table)  # INV-21
        }
        self._probe(Moment.SPAN_BEFORE, None)
        settled = {}
        with self._ledger.together():
            for number in list(equal):
                if self._ledger.may_have_changed(number, None, None, horizons):
                    del equal[number]  # INV-5
            done = self._ledger.drop_spans(equal, claimed, lower)
            for span in done:
                number = span.table_id
                settled[number] = self._ledger.settled_keys(number, None, None, lower) or set()
                self._ledger.clear(number, list(settled[number]), lower)  # INV-6
        self._probe(Moment.SPAN_AFTER, None)
        for number, keys in settled.items():
            if keys:
                self._settled(tables[number], dict.fromkeys(keys, True))
        self._count(done, tables, equal)
        return bool(done)

    def _fits(self, span: ClaimedSpan) -> bool:
        if span.low is not None or span.high is not None:
            return False
        table = self._catalog.flowing.get(span.table_id)
        if table is None or self._alone.get(span.table_id) == span.ids:
            return False
        rows = max(table.a.rows, table.b.rows)
        return rows <= MOST_ROWS and table.row_bytes * MOST_ROWS <= CHUNK_BYTES

    def _count(
        self,
        settled: Sequence[ClaimedSpan],
        tables: Mapping[int, PairedTable],
        equal: Mapping[int, int],
    ) -> None:
        for span in settled:
            rows = equal[span.table_id]
            self._alone.pop(span.table_id, None)
            self.rows_compared += rows
            self._throttle.used(rows)
            self._log.debug(
                "range.compared", table=str(tables[span.table_id].name), rows=rows, differing=0
            )
