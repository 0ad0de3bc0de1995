"""SQL statements of what is written and of what people read: intents, the journal, restorations; tables are explained in ``migrations``."""

from __future__ import annotations

# --- batches ---------------------------------------------------------------------------------------------------------

ADD_BATCH = (
    "INSERT INTO batch (id, target, lane, lower_a, lower_b, items) VALUES (?, ?, ?, ?, ?, ?)"
)
GET_BATCH = "SELECT target, lower_a, lower_b, finished, lane FROM batch WHERE id = ?"
BATCH_ITEMS = "SELECT items FROM batch WHERE id = ?"
OPEN_BATCHES = (
    "SELECT id, target, lane, lower_a, lower_b, items FROM batch WHERE finished = 0 ORDER BY id"
)
FINISH_BATCH = "UPDATE batch SET finished = 1 WHERE id = ?"
SEE_BATCH = "UPDATE batch SET seen = 1 WHERE id = ? AND target = ?"
DROP_BATCH = "DELETE FROM batch WHERE id = ?"
DROP_DONE = "DELETE FROM batch WHERE id = ? AND finished = 1 AND seen = 1"
"""A batch that nobody will ask for again."""
DROP_UNSEEN = "DELETE FROM batch WHERE finished = 1 AND target = ?"
"""The stream starts anew behind them: they will never be met."""
COUNT_OPEN = "SELECT count(*) FROM batch WHERE finished = 0"

# --- journal ---------------------------------------------------------------------------------------------------------

ADD_CONFLICT = """
INSERT INTO conflict (status, table_name, key, kind, detected_at, changed_at, batch_id, entry)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
HELD_ENTRIES = """
SELECT id, entry FROM conflict WHERE table_name = ? AND key = ? AND status = 'held' ORDER BY id DESC
"""
SKIPS_ENDED = """
SELECT id, entry FROM conflict WHERE status = 'skipped' AND json_extract(entry, '$.expires_at') <= ? LIMIT ?
"""
NEXT_SKIP_END = (
    "SELECT min(json_extract(entry, '$.expires_at')) FROM conflict WHERE status = 'skipped'"
)
SET_ENTRY = "UPDATE conflict SET entry = ? WHERE id = ?"
SET_STATUS = "UPDATE conflict SET status = ?, changed_at = ? WHERE id = ?"
SUPERSEDE = "UPDATE conflict SET status = 'superseded', changed_at = ? WHERE id = ? AND status IN ('held', 'skipped')"
NAME_APPLIED = """
UPDATE conflict SET applied_gtid = ? WHERE batch_id = ? AND applied_gtid IS NULL
  AND EXISTS (SELECT 1 FROM batch WHERE id = ? AND target = ?)
"""
"""The stream of the target has shown the transaction that wrote these decisions."""
DROP_CONFLICT = "DELETE FROM conflict WHERE id = ?"
CONFLICT_COLUMNS = "id, status, changed_at, batch_id, entry, pruned, applied_gtid"
CONFLICT = f"SELECT {CONFLICT_COLUMNS} FROM conflict WHERE id = ?"
APPLIED_TO = "SELECT max(id) FROM conflict WHERE table_name = ? AND key = ? AND status = 'applied' HAVING max(id) IS NOT NULL"
COUNT_CONFLICTS = "SELECT status, count(*) FROM conflict GROUP BY status"


def conflicts(filters: tuple[str, ...]) -> str:
    """List journal entries, newest first; *filters* are column names to compare with a parameter each, then an id."""
    where = "".join(f" AND {name} = ?" for name in filters)
    return f"SELECT {CONFLICT_COLUMNS} FROM conflict WHERE TRUE{where} AND id < ? ORDER BY id DESC LIMIT ?"


KEYS_HELD_BY = "SELECT table_id, key FROM hold WHERE conflict_id = ?"
REQUESTS = "SELECT name, value FROM meta WHERE name >= ? AND name < ? ORDER BY name"
DROP_META = "DELETE FROM meta WHERE name = ?"
GET_HOLD = "SELECT conflict_id FROM hold WHERE table_id = ? AND key = ?"
PUT_HOLD = "REPLACE INTO hold (table_id, key, conflict_id) VALUES (?, ?, ?)"
DROP_HOLD = "DELETE FROM hold WHERE table_id = ? AND key = ?"
HOLD_USES = "SELECT 1 FROM hold WHERE conflict_id = ? LIMIT 1"
MAKE_DUE = "UPDATE point SET id = abs(id), not_before = 0 WHERE table_id = ? AND key = ?"
"""Let a key be claimed at once, held or put off, on both sides."""


def held_as(count: int) -> str:
    """Read why *count* keys of one table are held."""
    return (
        "SELECT h.key, c.kind FROM hold h JOIN conflict c ON c.id = h.conflict_id "
        f"WHERE h.table_id = ? AND h.key IN ({', '.join('?' * count)}) AND EXISTS ("
        "SELECT 1 FROM point p WHERE p.table_id = h.table_id AND p.key = h.key AND p.id < 0)"
    )


HELD_FOR = """
SELECT h.key FROM hold h JOIN conflict c ON c.id = h.conflict_id WHERE h.table_id = ? AND c.kind = ? AND EXISTS (
  SELECT 1 FROM point p WHERE p.table_id = h.table_id AND p.key = h.key AND p.id < 0
) LIMIT ?
"""
"""Keys of one table that are held for a kind of conflict."""

HELD = """
SELECT p.table_id, p.key, coalesce(h.conflict_id, 0), min(p.created_at)
FROM point p LEFT JOIN hold h ON h.table_id = p.table_id AND h.key = p.key
WHERE p.id < 0 GROUP BY p.table_id, p.key ORDER BY max(p.id) DESC
"""
"""Held keys, oldest first."""

# --- what is kept for a time, and rows to be restored ----------------------------------------------------------------

OLD_ENTRIES = """
SELECT id, entry FROM conflict WHERE pruned = 0 AND changed_at < ? AND status NOT IN ('held', 'pending', 'skipped') ORDER BY changed_at LIMIT ?
"""
PRUNE_ENTRY = "UPDATE conflict SET pruned = 1, entry = ? WHERE id = ?"
ADD_RESTORATION = """
INSERT INTO restoration (status, conflict_id, asked_at, changed_at, body) VALUES ('asked', ?, ?, ?, ?)
"""
RESTORATION_COLUMNS = "id, status, asked_at, changed_at, note, body"
ASKED_RESTORATIONS = f"SELECT {RESTORATION_COLUMNS} FROM restoration WHERE status = 'asked' AND id > ? ORDER BY id LIMIT ?"
LAST_RESTORATIONS = f"SELECT {RESTORATION_COLUMNS} FROM restoration ORDER BY id DESC LIMIT ?"
RESTORATION_OF = (
    f"SELECT {RESTORATION_COLUMNS} FROM restoration WHERE conflict_id = ? ORDER BY id DESC LIMIT 1"
)
END_RESTORATION = "UPDATE restoration SET status = ?, note = ?, changed_at = ? WHERE id = ?"
PRUNE_RESTORATIONS = "DELETE FROM restoration WHERE status <> 'asked' AND changed_at < ?"
REVERT_CONFLICT = (
    "UPDATE conflict SET status = 'reverted', changed_at = ? WHERE id = ? AND status = 'applied'"
)

ADD_OVERWRITTEN = """
INSERT INTO overwritten (id, batch_id, run, at, body, rows)
VALUES (coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'overwritten'), 0) + ?, ?, ?, ?, ?, ?)
"""
"""Add a record of some rows, whose number comes first: the last of them gives the record its number."""
BOUND_OVERWRITTEN = "DELETE FROM overwritten WHERE id <= (SELECT max(id) FROM overwritten) - ?"
PRUNE_OVERWRITTEN = "DELETE FROM overwritten WHERE id <= (SELECT coalesce(max(id), 0) FROM overwritten WHERE at < ?)"
OVERWRITTEN = """
SELECT id, batch_id, run, at, body, rows FROM overwritten
WHERE id < :before + max(rows, 1) - 1 AND at >= :since AND at < :until AND (:run IS NULL OR run = :run) ORDER BY id DESC
"""
