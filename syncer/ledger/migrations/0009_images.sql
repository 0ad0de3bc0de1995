-- Version 9: what rows were before changes that are not settled, for the tables whose conflicts ask for it.
-- image is one of core/keptimage.py; NULL: it was not to be had. Without a mark that begins at or before seq a row means nothing.
CREATE TABLE image (
  table_id  INTEGER NOT NULL,
  key       NOT NULL,
  side      TEXT NOT NULL,
  seq       INTEGER NOT NULL,
  image     BLOB,
  PRIMARY KEY (table_id, key, side, seq)
) WITHOUT ROWID;

-- The tables whose images are kept. Of transactions from gap_first to gap_last (inclusive) some may be missing.
CREATE TABLE image_table (
  table_id   INTEGER NOT NULL,
  side       TEXT NOT NULL,
  gap_first  INTEGER NOT NULL,
  gap_last   INTEGER NOT NULL,
  PRIMARY KEY (table_id, side)
) WITHOUT ROWID;

CREATE INDEX image_side ON image (table_id, side);
