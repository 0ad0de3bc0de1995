-- Children of a table that changed without an event, by the value of their foreign key (core/cascade.py).
-- columns is a JSON list of names; value a key in MessagePack.
CREATE TABLE lookup (
  id          INTEGER PRIMARY KEY,
  table_id    INTEGER NOT NULL,
  side        TEXT NOT NULL,
  columns     TEXT NOT NULL,
  value       BLOB NOT NULL,
  removes     INTEGER NOT NULL,
  first_seq   INTEGER NOT NULL,
  last_seq    INTEGER NOT NULL,
  created_at  REAL NOT NULL,
  UNIQUE (table_id, side, columns, value, removes)
);
