-- The ledger, version 4: an XA branch is held in parts, so that one of millions of rows needs no memory before its PREPARE.

-- Marks of transactions that are prepared (XA) and not yet committed: MessagePack of their marks, spans and lookups, in the
-- order of id. The xid is empty while the branch is being read: it is named by its PREPARE.
CREATE TABLE xa_part (
  id       INTEGER PRIMARY KEY,
  side     TEXT NOT NULL,
  xid      TEXT NOT NULL,
  payload  BLOB NOT NULL
);

CREATE INDEX xa_part_xid ON xa_part (side, xid);

INSERT INTO xa_part (side, xid, payload) SELECT side, xid, payload FROM xa_mark;
DROP TABLE xa_mark;
