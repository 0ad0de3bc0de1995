"""The rows of the next keys are read while those before them are decided, and what changes meanwhile is found (INV-3 to INV-5, INV-9)."""

from __future__ import annotations

import pytest

from syncer.service.readahead import ReadAhead
from testbed import oracle
from tests.integration.inside import Inside

ROWS = 1200
BATCH = 50


@pytest.fixture
def taken(monkeypatch):
    """Give the number of keys of every read that was made ahead and used."""
    found = []
    take = ReadAhead.take

    def counted(self, table, keys):
        known = take(self, table, keys)
        if known is not None:
            found.append(len(keys))
        return known

    monkeypatch.setattr(ReadAhead, "take", counted)
    return found


@pytest.fixture
def running(pair, database, make_product, quiet):
    """Give ``running(policy) -> product`` for a table that is equal on both sides."""
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL, note VARCHAR(40))",
        f"INSERT INTO t VALUES {','.join(f'({i},{i},NULL)' for i in range(ROWS))}",
        db=database,
    )
    product = make_product(pair, tables=f"{database}.*")
    runs = []

    def start(policy):
        runs.append(Inside(product, policy, engine={"threads": 4, "batch_rows": BATCH}))
        product.settled()
        return product

    yield start
    for inside in runs:
        inside.end()


def test_what_changes_after_it_was_read_ahead_is_found(pair, database, running, taken, monkeypatch):
    begin = ReadAhead.begin
    changed = []

    def read_then_changed(self, table, keys):
        begin(self, table, keys)
        self.wait()
        if not changed:
            changed.extend(keys[:3])
            both, again, gone = changed
            pair.b.script(
                f"UPDATE t SET note = 'theirs' WHERE id = {both}",
                f"DELETE FROM t WHERE id = {gone}",
                db=database,
            )
            pair.a.script(f"UPDATE t SET n = -5 WHERE id = {again}", db=database)

    monkeypatch.setattr(ReadAhead, "begin", read_then_changed)
    product = running({"rule": "prefer:b"})
    pair.a.script("UPDATE t SET n = n + 10000", db=database)
    product.settled()
    both, again, gone = changed
    assert sum(taken) >= 2 * BATCH, "nothing was read ahead"
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    rows = found["t"][0]
    assert rows[both,] == (both, both, "theirs")
    assert rows[again,] == (again, -5, None)
    assert (gone,) not in rows
    assert len(rows) == ROWS - 1
    entries = {entry.key: (entry.kind, entry.winner) for entry in product.conflicts()}
    assert entries == {
        (str(both),): ("update_update", "b"),
        (str(gone),): ("update_delete", "b"),
    }
