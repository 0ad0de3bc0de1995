-- Version 15: one record may hold many rows. rows is 0 where body is the JSON of one Restoration; else body is the MessagePack of
-- OverwrittenRows, of so many rows: the last of them has the number id, and those before it the numbers before.
ALTER TABLE overwritten ADD COLUMN rows INTEGER NOT NULL DEFAULT 0;
