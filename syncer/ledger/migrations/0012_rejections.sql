-- Version 12: mass changes that a person has turned back: keys of one side whose last change was op, up to its transaction upto (inclusive).
CREATE TABLE rejection (
  table_id  INTEGER NOT NULL,
  target    TEXT NOT NULL,
  op        TEXT NOT NULL,
  upto      INTEGER NOT NULL,
  actor     TEXT NOT NULL,
  since     REAL NOT NULL,
  PRIMARY KEY (table_id, target, op)
) WITHOUT ROWID;
