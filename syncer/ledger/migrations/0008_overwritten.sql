-- Version 8: rows that we overwrote or deleted, the newest ones. body is the JSON of Restoration.
CREATE TABLE overwritten (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  batch_id  INTEGER NOT NULL,
  run       INTEGER NOT NULL,
  at        REAL NOT NULL,
  body      BLOB NOT NULL
);
