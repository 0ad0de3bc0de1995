-- Version 13: how far a person's agreement goes. waiting: the writes of amount that were still to come when the table was stopped.
-- upto_a, upto_b: the last transaction of each side that the agreement is about; NULL while there is none.
-- left may be less than none: so many more were written before the agreement ended.
ALTER TABLE stop ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stop ADD COLUMN upto_a INTEGER;
ALTER TABLE stop ADD COLUMN upto_b INTEGER;
UPDATE stop SET waiting = amount;
-- What an older version calls left may have been written long ago: what is still too much stops the table anew.
DELETE FROM stop WHERE left IS NOT NULL;
