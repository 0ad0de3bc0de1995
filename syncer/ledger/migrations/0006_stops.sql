-- Version 6: tables that a mass guard has stopped. Their marks wait; what a person lets through is counted down.
CREATE TABLE stop (
  table_id  INTEGER PRIMARY KEY,
  target    TEXT NOT NULL,
  op        TEXT NOT NULL,
  amount    INTEGER NOT NULL,
  reason    TEXT NOT NULL,
  since     REAL NOT NULL,
  left      INTEGER
);
