-- Version 10: the transaction of the target's stream that wrote a decision; NULL until the stream has shown it, and where it has no GTID.
ALTER TABLE conflict ADD COLUMN applied_gtid TEXT;
CREATE INDEX conflict_applied ON conflict (batch_id) WHERE batch_id IS NOT NULL AND applied_gtid IS NULL;
