-- Version 7: images of the journal go after a time, and rows that a person wants back.
ALTER TABLE conflict ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0;
CREATE INDEX conflict_pruned ON conflict (changed_at) WHERE pruned = 0;

-- body is the JSON of Restoration.
CREATE TABLE restoration (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  status       TEXT NOT NULL,
  conflict_id  INTEGER,
  asked_at     REAL NOT NULL,
  changed_at   REAL NOT NULL,
  note         TEXT NOT NULL DEFAULT '',
  body         TEXT NOT NULL
);
CREATE INDEX restoration_asked ON restoration (id) WHERE status = 'asked';
