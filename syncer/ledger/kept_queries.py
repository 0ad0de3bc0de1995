"""SQL statements of what is kept beside marks, and gone with them: images of rows, changes of keys; tables are explained in ``migrations``."""

from __future__ import annotations

# --- images ----------------------------------------------------------------------------------------------------------

IMAGE_TABLES = "SELECT table_id, side, gap_first, gap_last FROM image_table"
PUT_IMAGE_TABLE = (
    "REPLACE INTO image_table (table_id, side, gap_first, gap_last) VALUES (?, ?, ?, ?)"
)
DROP_IMAGE_TABLE = "DELETE FROM image_table WHERE table_id = ? AND side = ?"
DROP_IMAGES = "DELETE FROM image WHERE table_id = ? AND side = ?"
ADD_IMAGE = "INSERT OR IGNORE INTO image (table_id, key, side, seq, image) VALUES (?, ?, ?, ?, ?)"
FIRST_IMAGE = """
SELECT seq, image FROM image WHERE table_id = ? AND key = ? AND side = ? AND seq >= ? ORDER BY seq LIMIT 1
"""
CLEAR_IMAGES = "DELETE FROM image WHERE table_id = ? AND key = ? AND side = ? AND seq <= ?"
SUM_IMAGES = (
    "SELECT count(*), coalesce(sum(length(image)), 0) FROM image WHERE table_id = ? AND side = ?"
)
"""Reads the whole of it: asked only where the bound seems to be reached."""

# --- changes of keys -------------------------------------------------------------------------------------------------

CHANGED_TABLES = "SELECT DISTINCT table_id FROM key_change"
COUNT_CHANGES = "SELECT count(*) FROM key_change"
PUT_CHANGE = "INSERT INTO key_change (table_id, side, new, old, seq) VALUES (?, ?, ?, ?, ?)"
SOURCE_OF = "SELECT old FROM key_change WHERE table_id = ? AND side = ? AND new = ?"
DROP_CHANGE = "DELETE FROM key_change WHERE table_id = ? AND side = ? AND new = ?"
CHANGED_BETWEEN = (
    "SELECT new FROM key_change WHERE table_id = ? AND side = ? AND new BETWEEN ? AND ?"
)
CLEAR_CHANGES = "DELETE FROM key_change WHERE table_id = ? AND new = ? AND side = ? AND seq <= ?"
TOUCH_OF = "SELECT first_op, recreated FROM point WHERE table_id = ? AND key = ? AND side = ? AND exact = 1"
HAS_CHANGES = "SELECT 1 FROM key_change WHERE table_id = ? LIMIT 1"


def changes_of(count: int) -> str:
    """Read the changes from and to *count* keys of one table; give the keys twice."""
    keys = ", ".join("?" * count)
    return (
        f"SELECT side, old, new, seq FROM key_change WHERE table_id = ? AND new IN ({keys}) "
        f"UNION SELECT side, old, new, seq FROM key_change WHERE table_id = ? AND old IN ({keys})"
    )
