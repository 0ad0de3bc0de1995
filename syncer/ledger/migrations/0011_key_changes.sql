-- Version 11: updates that changed a key, until the mark of the new key is settled. old and new are keys as in point; seq as last_seq there.
CREATE TABLE key_change (
  table_id  INTEGER NOT NULL,
  new       NOT NULL,
  side      TEXT NOT NULL,
  old       NOT NULL,
  seq       INTEGER NOT NULL,
  PRIMARY KEY (table_id, new, side)
) WITHOUT ROWID;
CREATE INDEX key_change_old ON key_change (table_id, old);
