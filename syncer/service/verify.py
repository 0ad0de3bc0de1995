"""
A full read-only comparison of both sides while writes go on. Tables without a usable key are compared as multisets.

It needs neither ledger nor streams. A difference found once may be a change on its way: it counts only if it is still there
after several looks with growing pauses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

import structlog

from syncer.clock import Clock
from syncer.config import Config
from syncer.core.key import Key
from syncer.core.pairing import PairedTable
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.errors import Interrupted
from syncer.mysql.compatibility import other_key
from syncer.mysql.connection import Session
from syncer.mysql.reader import RowRead, is_unknown
from syncer.service.checking import misfits
from syncer.service.differing import Differing
from syncer.service.lanes import Lanes
from syncer.service.multisets import Surplus, compare_multisets
from syncer.service.oversize import packet_note
from syncer.service.replicas import ReplicaWatch
from syncer.service.reports import Observer, TableVerdict, VerifyReport
from syncer.service.sides import SideWorker, Workers
from syncer.service.tables import Selection, pair_tables, printable_key, select
from syncer.service.throttle import Throttle
from syncer.service.walk import UNFINISHED, Found, Progress, Walk

LOOK_AGAIN_S = (0.1, 0.3, 1.0, 2.0)
SAMPLES = 20
RECHECK_KEYS = 1000


def verify_tables(
    config: Config,
    sessions: Mapping[Side, Session],
    observer: Observer,
    stop: threading.Event,
    clock: Clock,
) -> VerifyReport:
    """
    Compare the selected tables, giving way as a run does; what cannot be compared is reported as skipped.

    Raises Interrupted where *stop* is set before everything was compared.
    """
    log = structlog.get_logger()
    started = clock.monotonic()
    selection = select(config, sessions)
    left_out = _left_out(config, selection)
    ids = {name: number for number, name in enumerate(selection.names) if name not in left_out}
    paired = pair_tables(config, selection, ids)
    workers = Workers.of(config, sessions)
    lanes = Lanes(lambda: Workers.of(config, sessions), config.engine.lanes)
    verdicts: dict[TableName, TableVerdict] = {}
    walked: dict[TableName, Found] = {}
    progress = Progress(
        observer, len(selection.names), sum(max(t.a.rows, t.b.rows) for t in paired.values())
    )
    replicas = ReplicaWatch(config, clock, log)
    throttle = Throttle(config.throttle, workers, clock, log, lagging=replicas.reason)
    walk = Walk(workers, lanes, config, stop, clock, progress, throttle)
    try:
        replicas.start()
        for name in selection.names:
            if name in left_out:
                verdicts[name] = _skipped(str(name), left_out[name])
                progress.tables_done += 1
                continue
            table = paired[ids[name]]
            if not table.same_key:
                walk.give_way()
                surplus = compare_multisets(workers, table, stop, LOOK_AGAIN_S)
                verdicts[name] = _of_multiset(table, surplus)
                progress.tables_done += 1
                progress.rows_done += max(surplus.rows.values())
                throttle.used(max(surplus.rows.values()))
                continue
            walked[name] = walk.through(table)
        walk.finish()
        _look_again(workers, walked.values(), stop)
    finally:
        replicas.close()
        lanes.close()
        workers.close()
    verdicts |= {name: _verdict(found) for name, found in walked.items()}
    return VerifyReport(
        tables=tuple(verdicts[name] for name in selection.names),
        seconds=clock.monotonic() - started,
    )


def _left_out(config: Config, selection: Selection) -> dict[TableName, str]:
    """The tables that cannot be compared, with the reason in words."""
    found = {}
    for name in selection.names:
        a, b = (selection.schemas[side].get(name) for side in SIDES)
        if a is None or b is None:
            found[name] = f"missing on side {Side.A if a is None else Side.B}"
        elif reasons := misfits(config, a, b):
            found[name] = "; ".join(reasons)
    return found


def _of_multiset(table: PairedTable, found: Surplus) -> TableVerdict:
    keys = [
        f"{words}: rows are counted, whatever their key" for words in other_key(table.a, table.b)
    ]
    notes = [*keys, packet_note(found.unknown)]
    return TableVerdict(
        table=str(table.name),
        rows_a=found.rows[Side.A],
        rows_b=found.rows[Side.B],
        chunks=1,
        only_a=found.only_a,
        only_b=found.only_b,
        differing=0,
        note="; ".join(filter(None, notes)) or None,
    )


def _skipped(table: str, why: str) -> TableVerdict:
    return TableVerdict(
        table=table, rows_a=0, rows_b=0, chunks=0, only_a=0, only_b=0, differing=0, skipped=why
    )


def _look_again(workers: Workers, walked: Iterable[Found], stop: threading.Event) -> None:
    """Look again at what differed in all tables; keep what stays different."""
    pending = [found for found in walked if found.differing]
    for pause_s in LOOK_AGAIN_S:
        if not pending:
            return
        if stop.wait(pause_s):
            raise Interrupted(UNFINISHED)
        for found in pending:
            found.differing = _look(workers, found.table, found.differing)
        pending = [found for found in pending if found.differing]


def _verdict(found: Found) -> TableVerdict:
    table, pending = found.table, found.differing
    return TableVerdict(
        table=str(table.name),
        rows_a=found.rows[Side.A],
        rows_b=found.rows[Side.B],
        chunks=found.chunks,
        only_a=sum(1 for _, b in pending.values() if b is None),
        only_b=sum(1 for a, _ in pending.values() if a is None),
        differing=sum(1 for a, b in pending.values() if a is not None and b is not None),
        samples=tuple(printable_key(table, key) for key in list(pending)[:SAMPLES]),
        note=packet_note(
            [
                side
                for at, side in enumerate(SIDES)
                if any(is_unknown(two[at] or "") for two in pending.values())
            ]
        ),
    )


def _look(workers: Workers, table: PairedTable, pending: Differing) -> Differing:
    still: Differing = {}
    keys = list(pending)
    for start in range(0, len(keys), RECHECK_KEYS):
        part = keys[start : start + RECHECK_KEYS]
        rows = workers.both(_keys_of(table, part))
        for key in part:
            a, b = (rows[side].get(key) for side in SIDES)
            now = (a.digest if a else None, b.digest if b else None)
            scoped = any(row is not None and row.inside for row in (a, b))
            if scoped and now[0] != now[1]:
                still[key] = now
    return still


def _keys_of(table: PairedTable, keys: list[Key]) -> Callable[[SideWorker], dict[Key, RowRead]]:
    return lambda worker: worker.reader().rows_by_key(table, keys)
