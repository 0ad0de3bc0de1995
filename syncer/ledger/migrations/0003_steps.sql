-- The ledger, version 3: the keys of a run may be every n-th one, as servers with auto_increment_increment = n generate them.
-- residue is low modulo step: runs of one (table_id, side, exact, step, residue) are disjoint intervals of one lattice,
-- and runs of different lattices have no key in common either.

ALTER TABLE run ADD COLUMN step INTEGER NOT NULL DEFAULT 1;
ALTER TABLE run ADD COLUMN residue INTEGER NOT NULL DEFAULT 0;

DROP INDEX run_low;
CREATE UNIQUE INDEX run_low ON run (table_id, side, exact, step, residue, low);
