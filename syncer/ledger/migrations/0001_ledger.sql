-- The ledger, version 1. Applied in one transaction; the version is kept in PRAGMA user_version.

-- Facts of the ledger as a whole: pair id, identity, epoch, next batch id.
CREATE TABLE meta (
  name   TEXT PRIMARY KEY,
  value  TEXT NOT NULL
) WITHOUT ROWID;

-- Numbers that only grow, for status.
CREATE TABLE counter (
  name   TEXT PRIMARY KEY,
  value  INTEGER NOT NULL
) WITHOUT ROWID;

-- Tables by a short number. is_integer and is_unsigned say how keys are stored; NULL until known.
CREATE TABLE tables (
  id           INTEGER PRIMARY KEY,
  database     TEXT NOT NULL,
  name         TEXT NOT NULL,
  is_integer   INTEGER,
  is_unsigned  INTEGER,
  UNIQUE (database, name)
);

-- How far each stream has been read (JSON of StreamPosition), and the newest batch known to be at that server.
CREATE TABLE stream (
  side             TEXT PRIMARY KEY,
  position         TEXT,
  confirmed_batch  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Marks of one key each. "key" has no type on purpose: an INTEGER or a BLOB, stored as it comes.
-- id gives the order of claiming and is shared with run and span; a HELD mark has its id negated, so that
-- claiming, which walks the positive ids, never meets it.
-- Where a point and a run of the same side and exactness cover a key, the point alone is right: it includes the run.
CREATE TABLE point (
  id          INTEGER PRIMARY KEY,
  table_id    INTEGER NOT NULL,
  key         NOT NULL,
  side        TEXT NOT NULL,
  exact       INTEGER NOT NULL,
  first_seq   INTEGER NOT NULL,
  last_seq    INTEGER NOT NULL,
  first_op    TEXT NOT NULL,
  last_op     TEXT NOT NULL,
  recreated   INTEGER NOT NULL,
  commit_us   INTEGER NOT NULL,
  reason      TEXT,
  created_at  REAL NOT NULL,
  tries       INTEGER NOT NULL DEFAULT 0,
  not_before  REAL NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX point_key ON point (table_id, key, side, exact);
CREATE INDEX point_held ON point (table_id, key) WHERE id < 0;
CREATE INDEX point_deferred ON point (not_before) WHERE not_before > 0;

-- Marks of consecutive integer keys, low and high inclusive. Runs of one (table_id, side, exact) are disjoint.
CREATE TABLE run (
  id          INTEGER PRIMARY KEY,
  table_id    INTEGER NOT NULL,
  side        TEXT NOT NULL,
  exact       INTEGER NOT NULL,
  low         INTEGER NOT NULL,
  high        INTEGER NOT NULL,
  first_seq   INTEGER NOT NULL,
  last_seq    INTEGER NOT NULL,
  first_op    TEXT NOT NULL,
  last_op     TEXT NOT NULL,
  recreated   INTEGER NOT NULL,
  commit_us   INTEGER NOT NULL,
  reason      TEXT,
  created_at  REAL NOT NULL
);

CREATE UNIQUE INDEX run_low ON run (table_id, side, exact, low);

-- Key ranges to compare, low inclusive, high exclusive, NULL unbounded; never exact.
-- The spans of one (table_id, side), by id, form a chain: each begins where the one before it ends.
CREATE TABLE span (
  id          INTEGER PRIMARY KEY,
  table_id    INTEGER NOT NULL,
  side        TEXT NOT NULL,
  low,
  high,
  first_seq   INTEGER NOT NULL,
  last_seq    INTEGER NOT NULL,
  reason      TEXT NOT NULL,
  created_at  REAL NOT NULL
);

CREATE INDEX span_table ON span (table_id, side);

-- How far the comparison of a table's spans has come; begun anew when a table without open spans gets one.
CREATE TABLE progress (
  table_id     INTEGER PRIMARY KEY,
  reason       TEXT NOT NULL,
  started_at   REAL NOT NULL,
  finished_at  REAL,
  rows         INTEGER NOT NULL DEFAULT 0,
  chunks       INTEGER NOT NULL DEFAULT 0,
  differing    INTEGER NOT NULL DEFAULT 0
);

-- Marks of transactions that are prepared (XA) and not yet committed: MessagePack of their marks and spans.
CREATE TABLE xa_mark (
  side     TEXT NOT NULL,
  xid      TEXT NOT NULL,
  payload  BLOB NOT NULL,
  PRIMARY KEY (side, xid)
) WITHOUT ROWID;

-- Intents (INV-8). A row goes when the batch is finished AND its target's tailer has met it.
CREATE TABLE batch (
  id        INTEGER PRIMARY KEY,
  target    TEXT NOT NULL,
  lower_a   INTEGER,
  lower_b   INTEGER,
  items     BLOB NOT NULL,
  finished  INTEGER NOT NULL DEFAULT 0,
  seen      INTEGER NOT NULL DEFAULT 0
);

-- The journal: one row per decision about a conflict. entry is the JSON of ConflictEntry.
CREATE TABLE conflict (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  status       TEXT NOT NULL,
  table_name   TEXT NOT NULL,
  key          TEXT NOT NULL,
  kind         TEXT NOT NULL,
  detected_at  REAL NOT NULL,
  changed_at   REAL NOT NULL,
  batch_id     INTEGER,
  entry        TEXT NOT NULL
);

CREATE INDEX conflict_status ON conflict (status);
CREATE INDEX conflict_held ON conflict (table_name, key) WHERE status = 'held';
CREATE INDEX conflict_batch ON conflict (batch_id) WHERE status = 'pending';

-- Which entry holds which key; the row stays when a new mark re-opens the key, and goes when the key is decided.
CREATE TABLE hold (
  table_id     INTEGER NOT NULL,
  key          NOT NULL,
  conflict_id  INTEGER NOT NULL,
  PRIMARY KEY (table_id, key)
) WITHOUT ROWID;
