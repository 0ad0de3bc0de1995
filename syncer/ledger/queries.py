"""The SQL statements of the ledger, named, but those that stand in the other ``*_queries.py``; the tables are explained in ``migrations/0001_ledger.sql``."""

from __future__ import annotations

# --- connection and schema -------------------------------------------------------------------------------------------

JOURNAL_WAL = "PRAGMA journal_mode = WAL"
"""Readers (status) never wait for the writer, and a commit is one append."""

CHECKPOINT_PAGES = "PRAGMA wal_autocheckpoint = 4000"
"""16 MiB of log between checkpoints: bulk marking rewrites the same index pages many times."""

CACHE = "PRAGMA cache_size = -4096"
"""4 MiB of pages, for as long as few marks wait; every page that is written stays in memory until there are so many."""

CACHE_OF_MANY = "PRAGMA cache_size = -65536"
"""64 MiB of pages: the indexes of a million marks stay in memory."""

SHRINK_CACHE = "PRAGMA shrink_memory"
"""Give back what the cache holds beyond what is in use."""

SYNC_NORMAL = "PRAGMA synchronous = NORMAL"
"""No fsync at commit."""

SYNC_FULL = "PRAGMA synchronous = FULL"
"""fsync at commit."""

QUICK_CHECK = "PRAGMA quick_check(1)"
"""Reads every page once and checks its structure, not the agreement of tables and indexes."""

BEGIN = "BEGIN IMMEDIATE"
"""Begin a writing transaction."""

BEGIN_READ = "BEGIN DEFERRED"
"""Begin a reading transaction: all its statements see one state."""

COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"

GET_VERSION = "PRAGMA user_version"


def set_version(version: int) -> str:
    """Store the schema version; PRAGMA takes no parameters."""
    return f"PRAGMA user_version = {version}"


# --- meta, counters, tables, streams ---------------------------------------------------------------------------------

GET_META = "SELECT value FROM meta WHERE name = ?"
PUT_META = """
INSERT INTO meta (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""

ADD_COUNTER = """
INSERT INTO counter (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = value + excluded.value
"""
COUNTERS = "SELECT name, value FROM counter ORDER BY name"

TABLES = "SELECT id, database, name FROM tables ORDER BY id"
ADD_TABLE = "INSERT INTO tables (database, name) VALUES (?, ?)"
SET_TABLE = "UPDATE tables SET is_integer = ?, is_unsigned = ? WHERE id = ?"
TABLE_KEYS = "SELECT is_integer, is_unsigned FROM tables WHERE id = ? AND is_integer IS NOT NULL"

POSITION = "SELECT position FROM stream WHERE side = ?"
PUT_POSITION = """
INSERT INTO stream (side, position) VALUES (?, ?)
ON CONFLICT (side) DO UPDATE SET position = excluded.position
"""
CONFIRMED = "SELECT lane, batch FROM confirmed WHERE side = ?"
TOP_CONFIRMED = "SELECT coalesce(max(batch), 0) FROM confirmed"
CONFIRM = """
INSERT INTO confirmed (side, lane, batch) VALUES (?, ?, ?)
ON CONFLICT (side, lane) DO UPDATE SET batch = max(batch, excluded.batch)
"""
"""Remember the newest batch known to be committed at a server by one marker row; it never goes back."""
UNCONFIRM = "DELETE FROM confirmed WHERE side = ?"

# --- what is kept in memory ------------------------------------------------------------------------------------------

TOP_ID = """
SELECT max(
  coalesce((SELECT max(id) FROM point), 0), coalesce((SELECT -min(id) FROM point), 0),
  coalesce((SELECT max(id) FROM run), 0), coalesce((SELECT max(id) FROM span), 0))
"""
"""The highest claim number in use; held points carry theirs negated."""

HAS_KEYS_MARKED = "SELECT EXISTS (SELECT 1 FROM point) OR EXISTS (SELECT 1 FROM run)"
COUNT_POINTS = "SELECT count(*) FROM point"
RUN_LATTICES = "SELECT DISTINCT table_id, step, residue FROM run"
HELD_TABLES = "SELECT DISTINCT table_id FROM point WHERE id < 0"
HOLD_TABLES = "SELECT DISTINCT table_id FROM hold"
HAS_RUN = "SELECT 1 FROM run WHERE table_id = ? LIMIT 1"
HAS_HELD = "SELECT 1 FROM point WHERE table_id = ? AND id < 0 LIMIT 1"
HAS_HOLD = "SELECT 1 FROM hold WHERE table_id = ? LIMIT 1"

# --- marks: points ---------------------------------------------------------------------------------------------------

_FOLD = """
  recreated = recreated OR excluded.recreated OR (last_op = 'd' AND excluded.first_op = 'i'),
  first_seq = min(first_seq, excluded.first_seq),
  last_seq = max(last_seq, excluded.last_seq),
  last_op = excluded.last_op,
  commit_us = excluded.commit_us,
  reason = CASE WHEN excluded.reason IS NULL THEN reason
                WHEN reason IS NULL OR reason = 'baseline' OR (reason = 'cascade' AND excluded.reason <> 'baseline')
                THEN excluded.reason ELSE reason END
"""

POINT_COLUMNS = "id, table_id, key, side, exact, first_seq, last_seq, first_op, last_op, recreated, commit_us, reason, created_at"

ADD_POINT = f"""
INSERT INTO point ({POINT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (table_id, key, side, exact) DO UPDATE SET {_FOLD}
"""
"""Add a mark of one key, or fold it into the one that is there (Touch.fold); the row keeps its id and back-off."""

EXACT_COLUMNS = POINT_COLUMNS.replace("reason, ", "")

_FOLD_EXACT = """
ON CONFLICT (table_id, key, side, exact) DO UPDATE SET
  recreated = recreated OR excluded.recreated OR (last_op = 'd' AND excluded.first_op = 'i'),
  first_seq = min(first_seq, excluded.first_seq),
  last_seq = max(last_seq, excluded.last_seq),
  last_op = excluded.last_op,
  commit_us = excluded.commit_us
"""

ADD_EXACT = f"""
INSERT INTO point ({EXACT_COLUMNS}) VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)
{_FOLD_EXACT}
"""
"""ADD_POINT for an exact mark, the bulk of all: it has no reason, and binding NULL costs Python a look-up."""


def _add_rows(key: str, commit_us: str) -> str:
    return f"""
INSERT INTO point ({EXACT_COLUMNS})
SELECT :id + rows.key, :table_id, {key}, :side, 1, :seq + rows.key, :seq + rows.key, :op, :op, 0, {commit_us}, :now
FROM json_each(:rows) AS rows WHERE true
{_FOLD_EXACT}
"""


ADD_ROWS = _add_rows("rows.value", ":commit_us")
"""ADD_EXACT for the transactions of one row each that follow :seq: *rows* is a JSON array of their integer keys."""
ADD_TIMED_ROWS = _add_rows("json_extract(rows.value, '$[0]')", "json_extract(rows.value, '$[1]')")
"""The same where they were committed at different times: an array of [key, time]."""

KEEP_POINT = (
    f"INSERT OR IGNORE INTO point ({POINT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
"""Add a mark of one key that was part of a run; a point that is there includes the run already."""

POINT_FROM_RUN = f"""
INSERT OR IGNORE INTO point ({POINT_COLUMNS})
SELECT :id, table_id, :key, side, exact, first_seq, last_seq, first_op, last_op, recreated, commit_us, reason, created_at
FROM (SELECT * FROM run
      WHERE table_id = :table_id AND side = :side AND exact = :exact AND step = :step AND residue = :residue AND low <= :key
      ORDER BY low DESC LIMIT 1)
WHERE high >= :key
"""
"""Before a point is added under a run: begin it as a copy of the run's touch, so that it includes the run."""

FOLD_POINTS = """
UPDATE point SET
  recreated = recreated OR :recreated OR (last_op = 'd' AND :first_op = 'i'),
  first_seq = min(first_seq, :first_seq),
  last_seq = max(last_seq, :last_seq),
  last_op = :last_op,
  commit_us = :commit_us,
  reason = CASE WHEN :reason IS NULL THEN reason
                WHEN reason IS NULL OR reason = 'baseline' OR (reason = 'cascade' AND :reason <> 'baseline')
                THEN :reason ELSE reason END
WHERE table_id = :table_id AND key BETWEEN :low AND :high AND (key - :low) % :step = 0 AND side = :side AND exact = :exact
"""
"""A run arrives over points: fold it into them."""

REOPEN_KEY = "UPDATE point SET id = -id WHERE table_id = ? AND key = ? AND id < 0"
"""A new mark of a held key makes it claimable again on both sides."""

REOPEN_KEYS = """
UPDATE point SET id = -id
WHERE table_id = :table_id AND key BETWEEN :low AND :high AND (key - :low) % :step = 0 AND id < 0
"""
"""The same for a run of keys."""

REOPEN_TABLE = "UPDATE point SET id = -id WHERE table_id = ? AND id < 0"
"""The same for a whole table: what marks it may have settled any of its held keys."""

HOLD_KEY = "UPDATE point SET id = -id, not_before = 0 WHERE table_id = ? AND key = ? AND id > 0"
"""Take the marks of a key out of the claimable ones, on both sides."""

DEFER_KEY = (
    "UPDATE point SET tries = tries + 1, not_before = ? WHERE table_id = ? AND key = ? AND id > 0"
)
"""Put the marks of a key off, on both sides."""

END_BACK_OFFS = "UPDATE point SET not_before = 0 WHERE not_before > 0"
"""Nothing is put off any more."""


def clear_points(count: int) -> str:
    """INV-6, INV-11: of *count* keys, the marks that a decision has seen whole. Parameters: both bounds, the table, the keys."""
    return (
        "DELETE FROM point WHERE last_seq <= CASE side WHEN 'a' THEN ? ELSE ? END "
        f"AND table_id = ? AND key IN ({', '.join('?' * count)})"
    )


def cut_points(count: int, *, absent: bool) -> str:
    """
    Of *count* keys, the marks that a decision has seen in part: what is left begins after it (run ``clear_points`` first).

    Parameters: both bounds twice, the table, the keys; *absent*: there is no agreed row.
    """
    first_op = "'i'" if absent else "CASE first_op WHEN 'i' THEN 'u' ELSE first_op END"
    bound = "CASE side WHEN 'a' THEN ? ELSE ? END"
    return (
        f"UPDATE point SET first_seq = 1 + {bound}, first_op = {first_op} "
        f"WHERE first_seq <= {bound} AND table_id = ? AND key IN ({', '.join('?' * count)})"
    )


def points_of(count: int) -> str:
    """Read all points of *count* keys of one table."""
    return (
        "SELECT key, side, exact, first_seq, last_seq, first_op, last_op, recreated, commit_us, reason "
        f"FROM point WHERE table_id = ? AND key IN ({', '.join('?' * count)})"
    )


FIRST_MARKS = """
SELECT json_group_array(json_array(key, side, exact, last_seq, first_op)) FROM point
WHERE table_id = ? AND key IN (SELECT value FROM json_each(?))
"""
"""What ``one_sided`` looks at of the points of integer keys, which come as a JSON array too: one value, whatever their number."""

# --- marks: runs -----------------------------------------------------------------------------------------------------

RUN_COLUMNS = (
    "id, table_id, side, exact, low, high, step, residue, "
    "first_seq, last_seq, first_op, last_op, recreated, commit_us, reason, created_at"
)

_RUN_VALUES = ", ".join("?" * len(RUN_COLUMNS.split(",")))
ADD_RUN = f"INSERT INTO run ({RUN_COLUMNS}) VALUES ({_RUN_VALUES})"
PUT_RUN = f"REPLACE INTO run ({RUN_COLUMNS}) VALUES ({_RUN_VALUES})"
DROP_RUN = "DELETE FROM run WHERE id = ?"

RUNS_BETWEEN = f"""
SELECT {RUN_COLUMNS} FROM run
WHERE table_id = :table_id AND side = :side AND exact = :exact AND step = :step AND residue = :residue AND low <= :high
  AND low >= coalesce((SELECT max(low) FROM run
                       WHERE table_id = :table_id AND side = :side AND exact = :exact
                         AND step = :step AND residue = :residue AND low <= :low), :low)
  AND high >= :low
ORDER BY low
"""
"""Runs of one lattice that reach into [low, high]; they are disjoint, so at most one begins before it."""
SOME_RUNS_BETWEEN = f"{RUNS_BETWEEN} LIMIT :most"

# --- claiming --------------------------------------------------------------------------------------------------------

_FLOWS = (
    "table_id NOT IN (SELECT table_id FROM pause) "
    "AND table_id NOT IN (SELECT table_id FROM stop WHERE left IS NULL)"
)

HAS_CLAIMABLE = f"""
SELECT EXISTS (SELECT 1 FROM span WHERE {_FLOWS}) OR EXISTS (SELECT 1 FROM run WHERE {_FLOWS})
    OR EXISTS (SELECT 1 FROM lookup WHERE {_FLOWS})
    OR EXISTS (SELECT 1 FROM point WHERE id > 0 AND not_before <= ? AND {_FLOWS})
"""
CLAIM_POINTS = f"""
SELECT id, table_id, key, tries, created_at FROM point WHERE id > 0 AND not_before <= ? AND {_FLOWS} ORDER BY id
"""
CLAIM_INTEGERS = f"""
SELECT json_group_array(json_array(table_id, key, tries, created_at)) FROM (
  SELECT table_id, CASE typeof(key) WHEN 'integer' THEN key END AS key, tries, created_at FROM point
  WHERE id > 0 AND not_before <= ? AND {_FLOWS} ORDER BY id LIMIT ?
)
"""
"""The first of the same as a JSON array, which needs our interpreter no more than once; a key that is no integer is null."""
CLAIM_RUNS = f"SELECT id, table_id, low, high, step, created_at FROM run WHERE {_FLOWS} ORDER BY id"
NEXT_DUE = f"SELECT min(not_before) FROM point WHERE not_before > ? AND id > 0 AND {_FLOWS}"

HAS_MARKS = f"""
SELECT EXISTS (SELECT 1 FROM span WHERE {_FLOWS}) OR EXISTS (SELECT 1 FROM run WHERE {_FLOWS})
    OR EXISTS (SELECT 1 FROM point WHERE id > 0 AND {_FLOWS})
    OR EXISTS (SELECT 1 FROM lookup WHERE {_FLOWS}) OR EXISTS (SELECT 1 FROM batch WHERE finished = 0)
"""
"""Anything but held marks, marks of paused tables and finished batches."""

HAS_MARKS_OF = """
SELECT EXISTS (SELECT 1 FROM span WHERE table_id = :id) OR EXISTS (SELECT 1 FROM run WHERE table_id = :id)
    OR EXISTS (SELECT 1 FROM lookup WHERE table_id = :id)
    OR EXISTS (SELECT 1 FROM point WHERE table_id = :id AND id > 0)
"""

OLDEST_UNDECIDED = """
WITH waiting AS (SELECT table_id FROM pause UNION SELECT table_id FROM stop)
SELECT CASE WHEN EXISTS (SELECT 1 FROM span WHERE table_id NOT IN waiting) THEN 0 ELSE min(id) END FROM (
  SELECT min(id) AS id FROM run WHERE table_id NOT IN waiting
  UNION ALL SELECT * FROM (SELECT id FROM point WHERE id > 0 AND tries < :tries AND table_id NOT IN waiting ORDER BY id LIMIT 1)
)
"""

HAS_MARKS_UP_TO = f"""
SELECT EXISTS (SELECT 1 FROM span WHERE side = :side AND first_seq <= :seq AND {_FLOWS})
    OR EXISTS (SELECT 1 FROM run WHERE side = :side AND first_seq <= :seq AND {_FLOWS})
    OR EXISTS (SELECT 1 FROM lookup WHERE side = :side AND first_seq <= :seq AND {_FLOWS})
    OR EXISTS (SELECT 1 FROM point WHERE id > 0 AND side = :side AND first_seq <= :seq AND {_FLOWS})
"""
"""Marks of one side that begin at or before a transaction; held ones and those of paused tables are left out."""

# --- spans -----------------------------------------------------------------------------------------------------------

ADD_SPAN = """
INSERT INTO span (id, table_id, side, low, high, first_seq, last_seq, reason, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SPANS_OF = """
SELECT id, side, low, high, first_seq, last_seq, reason FROM span WHERE table_id = ? ORDER BY id
"""
SPANS_OF_SIDE = """
SELECT id, low, high, reason FROM span WHERE table_id = ? AND side = ? ORDER BY id
"""
FOLD_SPANS = """
UPDATE span SET first_seq = min(first_seq, :seq), last_seq = max(last_seq, :seq),
  reason = CASE WHEN reason = 'baseline' OR (reason = 'cascade' AND :reason <> 'baseline') THEN :reason ELSE reason END
WHERE table_id = :table_id AND side = :side
"""
"""A table is marked again: its open spans cover the new mark too."""

WIDEN_SPAN = "UPDATE span SET high = ? WHERE id = ?"
OLDEST_SPAN = f"SELECT table_id, low, high FROM span WHERE {_FLOWS} ORDER BY id LIMIT 1"
WHOLE_TABLES = f"""
SELECT table_id FROM span WHERE low IS NULL AND high IS NULL AND {_FLOWS} GROUP BY table_id ORDER BY min(id) LIMIT ?
"""
SPANS_LIKE = """
SELECT id, side, last_seq, reason, created_at FROM span
WHERE table_id = ? AND low IS ? AND high IS ?
  AND id = (SELECT min(first.id) FROM span first WHERE first.table_id = span.table_id AND first.side = span.side)
ORDER BY id
"""
"""Spans of both sides that begin and end alike. Only the first of a side's chain may be narrowed."""
SPAN = "SELECT low, high, first_seq, last_seq, reason FROM span WHERE id = ? AND table_id = ? AND side = ?"
NARROW_SPAN = "UPDATE span SET low = ? WHERE id = ?"
DROP_SPAN = "DELETE FROM span WHERE id = ?"
HAS_SPAN = "SELECT 1 FROM span WHERE table_id = ? LIMIT 1"

NEXT_POINT = "SELECT key FROM point WHERE table_id = ? AND key >= ? ORDER BY key LIMIT 1"
"""The lowest marked key from a bound on; every integer is lower than any blob."""

POINTS_WITHIN = """
SELECT key FROM point WHERE table_id = ? AND (key BETWEEN ? AND ? OR typeof(key) = 'blob') AND side = ? AND exact = 1
    AND last_seq > ? AND first_seq <= ?
"""

_SETTLED = "id > 0 AND last_seq <= CASE side WHEN 'a' THEN ? ELSE ? END"
SETTLED_POINTS = f"SELECT DISTINCT key FROM point WHERE table_id = ? AND {_SETTLED} LIMIT ?"
SETTLED_WITHIN = f"""
SELECT DISTINCT key FROM point WHERE table_id = ? AND key BETWEEN ? AND ? AND {_SETTLED} LIMIT ?
"""
HAS_UNDECIDED = """
SELECT 1 FROM point WHERE table_id = ? AND id > 0 AND first_seq <= CASE side WHEN 'a' THEN ? ELSE ? END LIMIT 1
"""

START_PROGRESS = """
REPLACE INTO progress (table_id, reason, started_at) VALUES (?, ?, ?)
"""
ADD_PROGRESS = """
UPDATE progress SET rows = rows + ?, chunks = chunks + 1, differing = differing + ? WHERE table_id = ?
"""
END_PROGRESS = "UPDATE progress SET finished_at = ? WHERE table_id = ?"
GET_PROGRESS = "SELECT rows, chunks, differing, started_at FROM progress WHERE table_id = ?"
PROGRESS = """
SELECT p.table_id, t.database, t.name, p.reason, p.started_at, p.finished_at, p.rows, p.chunks, p.differing,
  (SELECT count(*) FROM span s WHERE s.table_id = p.table_id),
  (SELECT s.low FROM span s WHERE s.table_id = p.table_id ORDER BY s.id LIMIT 1)
FROM progress p JOIN tables t ON t.id = p.table_id ORDER BY p.table_id
"""

# --- lookups ---------------------------------------------------------------------------------------------------------

ADD_LOOKUP = """
INSERT INTO lookup (table_id, side, columns, value, removes, first_seq, last_seq, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (table_id, side, columns, value, removes) DO UPDATE SET
  first_seq = min(first_seq, excluded.first_seq), last_seq = max(last_seq, excluded.last_seq)
"""
CLAIM_LOOKUPS = f"""
SELECT id, table_id, side, columns, value, removes, first_seq, last_seq FROM lookup
WHERE last_seq <= CASE side WHEN 'a' THEN ? ELSE ? END AND {_FLOWS} ORDER BY id LIMIT ?
"""
DROP_LOOKUP = "DELETE FROM lookup WHERE id = ? AND last_seq = ?"
"""Unless it was folded with a later one."""
OPEN_LOOKUPS = (
    f"SELECT table_id, side, min(first_seq) FROM lookup WHERE {_FLOWS} GROUP BY table_id, side"
)
HAS_LOOKUP = "SELECT 1 FROM lookup WHERE table_id = ? LIMIT 1"
KNOWN_INEXACT = """
SELECT last_seq FROM point WHERE table_id = ? AND key = ? AND side = ? AND exact = 0
  AND reason IS NOT NULL AND reason <> 'baseline'
"""
"""What a cascade's mark does not turn into one of its own reason: see Lookups.settle_lookups."""

WAITING_KEYS = """
SELECT key FROM point WHERE table_id = :table_id AND not_before > 0
UNION ALL SELECT key FROM point WHERE table_id = :table_id AND id < 0 LIMIT :limit
"""
CHANGED_POINTS = """
SELECT key FROM point WHERE table_id = :table_id AND side = :side AND exact = 1 AND first_op <> 'i'
  AND (:after IS NULL OR key > :after) ORDER BY key LIMIT :limit
"""
CHANGED_RUNS = "SELECT low, high, step FROM run WHERE table_id = ? AND side = ? AND exact = 1 AND first_op <> 'i'"

# --- XA --------------------------------------------------------------------------------------------------------------

ADD_XA = "INSERT INTO xa_part (side, xid, payload) VALUES (?, ?, ?)"
NAME_XA = "UPDATE xa_part SET xid = ? WHERE side = ? AND xid = ?"
XA_PARTS = "SELECT id FROM xa_part WHERE side = ? AND xid = ? ORDER BY id"
GET_XA = "SELECT payload FROM xa_part WHERE id = ?"
DROP_XA = "DELETE FROM xa_part WHERE side = ? AND xid = ?"

# --- scope -----------------------------------------------------------------------------------------------------------

SUPERSEDE_TABLE = """
UPDATE conflict SET status = 'superseded', changed_at = ?
WHERE status IN ('held', 'skipped') AND id IN (SELECT conflict_id FROM hold WHERE table_id = ?)
"""

FORGET_TABLE = (
    "DELETE FROM point WHERE table_id = ?",
    "DELETE FROM run WHERE table_id = ?",
    "DELETE FROM span WHERE table_id = ?",
    "DELETE FROM lookup WHERE table_id = ?",
    "DELETE FROM progress WHERE table_id = ?",
    "DELETE FROM hold WHERE table_id = ?",
    "DELETE FROM stop WHERE table_id = ?",
    "DELETE FROM rejection WHERE table_id = ?",
    "DELETE FROM image WHERE table_id = ?",
    "DELETE FROM key_change WHERE table_id = ?",
)
"""All that says something about the rows of one table, now."""

DISOWN_SIDE = (
    "DELETE FROM point WHERE side = ? AND exact = 1",
    "DELETE FROM run WHERE side = ? AND exact = 1",
    "DELETE FROM xa_part WHERE side = ?",
    "DELETE FROM lookup WHERE side = ?",
    "DELETE FROM image WHERE side = ?",
    "DELETE FROM key_change WHERE side = ?",
)
"""Changes of one side that its server may not have any more."""

# --- paused tables and definitions -----------------------------------------------------------------------------------

PUT_PAUSE = """
INSERT INTO pause (table_id, reason, since) VALUES (?, ?, ?)
ON CONFLICT (table_id) DO UPDATE SET reason = excluded.reason
"""
DROP_PAUSE = "DELETE FROM pause WHERE table_id = ?"
PAUSES = """
SELECT p.table_id, t.database, t.name, p.reason, p.since FROM pause p JOIN tables t ON t.id = p.table_id ORDER BY p.since
"""
PUT_DEFINITION = "REPLACE INTO definition (table_id, side, body) VALUES (?, ?, ?)"
DEFINITIONS = "SELECT table_id, body FROM definition WHERE side = ?"
DROP_DEFINITIONS = "DELETE FROM definition WHERE side = ?"
DROP_DEFINITION = "DELETE FROM definition WHERE table_id = ?"


def debt(table_id: int) -> str:
    """Name the meta entry that says that a table is to be marked whole on both sides, and was not yet."""
    return f"owed.{table_id}"


TOP_SEQS = """
SELECT max(last_seq) FROM point WHERE table_id = ? AND side = ? UNION ALL
SELECT max(last_seq) FROM run WHERE table_id = ? AND side = ? UNION ALL
SELECT max(last_seq) FROM span WHERE table_id = ? AND side = ?
"""
FORGET_SIDE = (
    "DELETE FROM point WHERE table_id = ? AND side = ?",
    "DELETE FROM run WHERE table_id = ? AND side = ?",
    "DELETE FROM span WHERE table_id = ? AND side = ?",
    "DELETE FROM image WHERE table_id = ? AND side = ?",
    "DELETE FROM key_change WHERE table_id = ? AND side = ?",
)
DROP_HOLDS = "DELETE FROM hold WHERE table_id = ?"
