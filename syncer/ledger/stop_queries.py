"""SQL statements of tables that a mass guard has stopped, and of what a person said; tables are explained in ``migrations``."""

from __future__ import annotations

# --- stopped tables --------------------------------------------------------------------------------------------------

STOPS = "SELECT table_id, target, op, amount, reason, since, waiting, left FROM stop ORDER BY since"
PUT_STOP = """
REPLACE INTO stop (table_id, target, op, amount, reason, since, waiting) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
DROP_STOP = "DELETE FROM stop WHERE table_id = ?"
ASKED = """
SELECT s.table_id, s.target, s.op, s.waiting, s.left FROM stop s JOIN tables t ON t.id = s.table_id WHERE t.database = ? AND t.name = ?
"""
CONFIRM_STOP = "UPDATE stop SET left = ?, upto_a = ?, upto_b = ? WHERE table_id = ?"
AGREEMENTS = "SELECT table_id, op FROM stop WHERE target = ? AND left IS NOT NULL"
TAKE_OFF = "UPDATE stop SET left = left - ? WHERE table_id = ?"
_AGREED_ON = (
    "table_id = s.table_id AND first_seq <= CASE side WHEN 'a' THEN s.upto_a ELSE s.upto_b END"
)
AGREED = f"""
SELECT CASE
  WHEN EXISTS (SELECT 1 FROM span WHERE {_AGREED_ON}) THEN left
  ELSE min(left, (SELECT count(*) FROM point WHERE id > 0 AND {_AGREED_ON})
    + (SELECT coalesce(sum((high - low) / step + 1), 0) FROM run WHERE {_AGREED_ON})) END
FROM stop s WHERE table_id = ? AND left > 0
"""
"""No more than what was marked before the agreement and still is; nobody knows how many keys a range has."""
COUNT_CHANGED = """
SELECT
  (SELECT count(*) FROM point WHERE table_id = :table_id AND side = :side AND id > 0
     AND (exact = 1 AND last_op = :op AND (:op = 'd' OR first_op <> 'i') OR exact = 0 AND reason = :reason))
  + (SELECT coalesce(sum((high - low) / step + 1), 0) FROM run WHERE table_id = :table_id AND side = :side
     AND (exact = 1 AND last_op = :op AND (:op = 'd' OR first_op <> 'i') OR exact = 0 AND reason = :reason))
"""
DELETED_TWICE = """
SELECT count(*) FROM point a JOIN point b ON b.table_id = a.table_id AND b.key = a.key AND b.side = 'b' AND b.exact = 1 AND b.last_op = 'd'
WHERE a.table_id = ? AND a.side = 'a' AND a.exact = 1 AND a.last_op = 'd' AND a.id > 0
"""
DELETED_RUNS = """
SELECT side, low, high, step FROM run WHERE table_id = ? AND exact = 1 AND last_op = 'd' LIMIT ?
"""
HAS_TRUNCATED = "SELECT 1 FROM span WHERE table_id = ? AND side = ? AND reason = 'truncate' AND last_seq > ? LIMIT 1"

# --- turned back -----------------------------------------------------------------------------------------------------

STOPPED = """
SELECT s.table_id, s.target, s.op, s.since FROM stop s JOIN tables t ON t.id = s.table_id
WHERE t.database = ? AND t.name = ? AND s.left IS NULL
"""
REJECTIONS = "SELECT table_id, target, op, upto, actor, since FROM rejection ORDER BY since"
PUT_REJECTION = (
    "REPLACE INTO rejection (table_id, target, op, upto, actor, since) VALUES (?, ?, ?, ?, ?, ?)"
)
DROP_REJECTION = "DELETE FROM rejection WHERE table_id = ? AND target = ? AND op = ?"

_REJECTED = """
  table_id = :table_id AND side = :side AND last_seq <= :upto
    AND (exact = 1 AND last_op = :op OR exact = 0 AND :op = 'd' AND reason IN ('truncate', 'statement', 'cascade'))
"""
COUNT_REJECTED = f"""
SELECT (SELECT count(*) FROM point p WHERE {_REJECTED} AND (id > 0 OR :held AND EXISTS (
    SELECT 1 FROM hold h JOIN conflict c ON c.id = h.conflict_id
    WHERE h.table_id = p.table_id AND h.key = p.key AND c.detected_at >= :since)))
  + (SELECT coalesce(sum((high - low) / step + 1), 0) FROM run WHERE {_REJECTED})
"""
"""Marks that a rejection is about, and that are not settled; of held ones those that were held since."""
OPEN_REJECTED = f"""
UPDATE point SET id = -id WHERE table_id = :table_id AND id < 0 AND key IN (
  SELECT p.key FROM point p JOIN hold h ON h.table_id = p.table_id AND h.key = p.key JOIN conflict c ON c.id = h.conflict_id
  WHERE p.id < 0 AND c.detected_at >= :since AND {_REJECTED.replace("table_id =", "p.table_id =")})
"""
"""What both sides changed was held in the cycle in which its table was stopped."""
HELD_BEFORE = """
SELECT 1 FROM hold h JOIN conflict c ON c.id = h.conflict_id WHERE h.table_id = ? AND h.key = ? AND c.detected_at < ? LIMIT 1
"""
HAS_REJECTED_SPAN = """
SELECT 1 FROM span WHERE table_id = :table_id AND side = :side AND last_seq <= :upto AND :op = 'd' AND reason = 'truncate' LIMIT 1
"""
