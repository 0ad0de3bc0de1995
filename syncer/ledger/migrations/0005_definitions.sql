-- Version 5: tables that are paused, and what their definitions are where the streams stand.

-- Tables whose marks wait: nothing of them is claimed, and none of their marks keeps the ledger from being empty.
CREATE TABLE pause (
  table_id  INTEGER PRIMARY KEY,
  reason    TEXT NOT NULL,
  since     REAL NOT NULL
);

-- The definition by which a side's rows are read, as of that side's saved position: MessagePack of Definition.
CREATE TABLE definition (
  table_id  INTEGER NOT NULL,
  side      TEXT NOT NULL,
  body      BLOB NOT NULL,
  PRIMARY KEY (table_id, side)
) WITHOUT ROWID;
