-- Version 14: the newest batch known to be at a server, by each marker row: batches of one row alone come one after the other.
-- lane is what stands behind the pair's name in the name of the row: '' for the pair's own; '?' where an older version did not note it.
CREATE TABLE confirmed (
  side   TEXT NOT NULL,
  lane   TEXT NOT NULL,
  batch  INTEGER NOT NULL,
  PRIMARY KEY (side, lane)
) WITHOUT ROWID;
INSERT INTO confirmed (side, lane, batch) SELECT side, '?', confirmed_batch FROM stream WHERE confirmed_batch > 0;

-- How far each stream has been read (JSON of StreamPosition).
ALTER TABLE stream RENAME TO old_stream;
CREATE TABLE stream (
  side      TEXT PRIMARY KEY,
  position  TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO stream (side, position) SELECT side, position FROM old_stream WHERE position IS NOT NULL;
DROP TABLE old_stream;

ALTER TABLE batch ADD COLUMN lane TEXT NOT NULL DEFAULT '?';
