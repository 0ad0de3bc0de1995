"""SQL statements that count what waits, for whoever looks at the ledger."""

from __future__ import annotations

SUM_POINTS = """
SELECT table_id, sum(side = 'a'), sum(side = 'a' AND id < 0), count(*), sum(id < 0) FROM point GROUP BY table_id
"""
"""
All and held ones of side A, and of both. The index has all of it, in its order: millions of rows are neither looked up nor
sorted for a display (SQLite sorts in as much memory again as its page cache may take).
"""

OLDEST_POINT = """
SELECT min(created_at) FROM (SELECT created_at FROM point WHERE id > 0 ORDER BY id LIMIT 1000)
"""
"""Of those that are claimed first; ids are given in the order of time, but for keys cut out of a run."""

SUM_RUNS = "SELECT table_id, side, sum((high - low) / step + 1), min(created_at) FROM run GROUP BY table_id, side"
SUM_SPANS = "SELECT table_id, side, count(*), min(created_at) FROM span GROUP BY table_id, side"
COUNT_HELD = """
SELECT count(*) FROM (SELECT DISTINCT table_id, key FROM point WHERE id < 0) AS p
WHERE NOT EXISTS (
  SELECT 1 FROM hold h JOIN conflict c ON c.id = h.conflict_id
  WHERE h.table_id = p.table_id AND h.key = p.key AND c.status = 'skipped')
"""
"""Keys that wait for a person: those that are skipped by a rule do not."""
SUM_LOOKUPS = "SELECT table_id, side, count(*), min(created_at) FROM lookup GROUP BY table_id, side"
