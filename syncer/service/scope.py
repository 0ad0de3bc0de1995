"""
Which tables were tailed without a gap: at each start the ledger is told, and what came in anew is compared whole.

Every step may be the last before a crash, so a table leaves the stored scope before anything of it is forgotten, and enters
it after it was marked: a start that finds it outside marks it again, which is harmless.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog

from syncer.config import Config
from syncer.core.mark import Reason
from syncer.core.pairing import PairedTable, key_signature, write_order
from syncer.core.schema import TableName, TableSchema
from syncer.core.side import SIDES, Side
from syncer.ledger import Ledger


def enter_scope(
    ledger: Ledger,
    tables: Mapping[int, PairedTable],
    waiting: Collection[int],
    log: structlog.stdlib.BoundLogger,
) -> None:
    """
    Compare tables whole that were not tailed until now, or whose key is no longer what stored keys were made from.

    Marks of tables that are left out from now on are forgotten: nobody would look at them. Held rows are decided anew where
    the table's policy is not the one that held them. *waiting* are tables that stay in scope and do not flow yet. A table
    that an earlier run was about to mark whole is marked now: the streams stand behind what changed it (INV-21).
    """
    other_keys = {
        table_id
        for table_id, table in tables.items()
        if any(other_key(ledger, table_id, table.schema(side), side) for side in SIDES)
    }
    before = ledger.scope()
    staying = (before & {*tables, *waiting}) - other_keys
    ledger.set_scope(staying)
    for table_id in (before - staying) | other_keys:
        ledger.forget_table(table_id)
    for table_id in staying:
        if ledger.owes(table_id):
            ledger.restart_table(table_id, Reason.DDL, _seqs(ledger))
            log.warning("table.mark_owed", table=str(ledger.tables()[table_id]))
    for table in write_order(tables.values()):  # parents before children, so that a copy finds them
        table_id = table.table_id
        note_keys(ledger, table)
        if table_id not in staying:
            ledger.mark_table(table_id, SIDES, Reason.BASELINE, _seqs(ledger))
            log.info("baseline.started", table=str(table.name), rows=table.a.rows)
        compare_under_filter(ledger, table, log)
    ledger.set_scope({*tables, *(before & set(waiting))})
    release_by_policy(ledger, tables, log)


def keep_images(
    config: Config,
    ledger: Ledger,
    flowing: Mapping[int, PairedTable],
    waiting: Mapping[int, TableName],
) -> None:
    """Keep what rows were, from where the streams stand, of the tables whose policy asks for it, and of no others."""
    names = {number: table.name for number, table in flowing.items()} | dict(waiting)
    asking = [number for number, name in names.items() if config.policy_for(name).needs_base]
    ledger.keep_images(asking, _seqs(ledger))


def compare_under_filter(
    ledger: Ledger, table: PairedTable, log: structlog.stdlib.BoundLogger
) -> None:
    """Compare a table whole where its filter is not the one that it was compared under: rows may be in scope that were not."""
    name = f"where.{table.table_id}"
    if (ledger.get_meta(name) or "") != table.where:
        ledger.mark_table(table.table_id, SIDES, Reason.BASELINE, _seqs(ledger))
        ledger.set_meta(name, table.where)
        log.info("baseline.started", table=str(table.name), rows=table.a.rows)


def release_by_policy(
    ledger: Ledger, tables: Mapping[int, PairedTable], log: structlog.stdlib.BoundLogger
) -> None:
    """Decide held rows of *tables* anew where the policy is not the one that held them."""
    held = ledger.held()
    for table_id, table in tables.items():
        name, now = f"policy.{table_id}", f"{table.policy} {table.guard.words()}".rstrip()
        keys = [key.key for key in held if key.table_id == table_id]
        if keys and ledger.get_meta(name) not in {None, now}:
            ledger.release(table_id, keys)
            log.info("conflict.released", table=str(table.name), rows=len(keys))
        ledger.set_meta(name, now)


def other_key(ledger: Ledger, table_id: int, schema: TableSchema, side: Side) -> bool:
    """Say whether the keys that *side* has marked until now were made from another key than that of *schema*."""
    return ledger.get_meta(_key_name(table_id, side)) not in {None, key_signature(schema)}


def note_key(ledger: Ledger, table_id: int, schema: TableSchema, side: Side) -> None:
    """Remember what the keys are made from that *side* marks from now on."""
    ledger.set_meta(_key_name(table_id, side), key_signature(schema))


def note_keys(ledger: Ledger, table: PairedTable) -> None:
    """Remember it for both sides."""
    for side in SIDES:
        note_key(ledger, table.table_id, table.schema(side), side)


def _key_name(table_id: int, side: Side) -> str:
    return f"key.{table_id}.{side}"


def _seqs(ledger: Ledger) -> dict[Side, int]:
    positions = {side: ledger.position(side) for side in SIDES}
    return {side: position.seq if position else 0 for side, position in positions.items()}
