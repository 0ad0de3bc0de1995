"""
What the protocol's proofs are there for: each scenario is run with the proof, and with the proof switched off to show the loss.
"""

from __future__ import annotations

import threading

import pytest

from syncer.binlog import transaction
from syncer.core.side import Side
from syncer.core.visibility import Horizon
from syncer.service import reading, waking
from testbed import dataset, oracle
from testbed.provision import PAIRS, Pair
from tests.integration.harness import Product, binlog_end, wait_until
from tests.integration.inside import Inside

HOLD_S = 3.0
SEMI_SYNC = {
    "mysql": {
        "plugin_load_add": "semisync_source.so",
        "loose_rpl_semi_sync_source_timeout": "3000",
        "loose_rpl_semi_sync_source_wait_point": "AFTER_SYNC",
        "loose_rpl_semi_sync_source_wait_no_replica": "ON",
    },
    "mariadb": {
        "rpl_semi_sync_master_timeout": "3000",
        "rpl_semi_sync_master_wait_point": "AFTER_SYNC",
        "rpl_semi_sync_master_wait_no_slave": "ON",
    },
}
SWITCH = {"mysql": "rpl_semi_sync_source_enabled", "mariadb": "rpl_semi_sync_master_enabled"}
CHANGES = (
    "UPDATE counters SET version = 77, value = NULL WHERE id = 1",
    "DELETE FROM counters WHERE id = 11",
    "INSERT INTO counters (id, name, updated_at) VALUES (500, 'new', '2024-01-01')",
)


@pytest.mark.parametrize("proof", [True, False], ids=["with proof", "proof off"])
@pytest.mark.parametrize("name", PAIRS)
def test_an_event_before_its_row_is_visible_is_lost_only_without_the_proof(
    fresh_server, make_product, monkeypatch, quiet, name, proof
):
    """
    Semi-synchronous replication with AFTER_SYNC and no replica makes INV-2 last three seconds.

    The transaction is flushed to the binary log and sent to every reader of it, and only then waits, in vain, for a replica;
    not before that is it visible.
    """
    flavor, other = PAIRS[name]
    pair = Pair("held", fresh_server(flavor, options=SEMI_SYNC[flavor]), fresh_server(other))
    for server in pair.sides:
        server.script("CREATE DATABASE held CHARACTER SET utf8mb4")
        dataset.create(server, "held")
        dataset.load(server, "held", 50, tables=("counters",))
    if not proof:
        monkeypatch.setattr(reading.PairReader, "_horizon", _everything_is_visible)
    product = make_product(pair, tables="held.counters")
    inside = Inside(product)
    product.settled()

    _switch(pair.a, "ON")
    before = binlog_end(pair.a)
    commit = _Commit(pair.a)
    # The event has been read and saved, and its rows still cannot be seen.
    state = wait_until(
        "the event is in the ledger", lambda: _saved(product, pair.a, before), HOLD_S
    )
    assert commit.running, f"the commit returned too soon: {state}"
    assert _rows(pair.a) == _rows(pair.b), "the rows can be seen already: nothing is shown"
    assert commit.running
    commit.wait()
    _switch(pair.a, "OFF")
    product.settled()
    found = oracle.read_pair(pair, "held", ["counters"])
    row = found["counters"][0].get((1,))
    assert row is not None
    assert row[3] == 77
    different = oracle.differences(found)
    inside.end()
    if proof:
        assert different == []
    else:
        assert different, "nothing is lost without the proof: this test shows nothing"


def _everything_is_visible(self, side, bounds) -> Horizon:
    """Take every event that was read for one whose rows were seen: what a reader without a proof does."""
    seq = self._progress[side].position.seq
    return Horizon(seq, seq)


class _Commit:
    """A transaction on its way in a thread."""

    def __init__(self, server) -> None:
        self._connection = server.connect(database="held", autocommit=False)
        with self._connection.cursor() as cursor:
            for statement in CHANGES:
                cursor.execute(statement)
        self._thread = threading.Thread(target=self._connection.commit, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def wait(self) -> None:
        self._thread.join(HOLD_S * 5)
        assert not self.running
        self._connection.close()


def _switch(server, state: str) -> None:
    server.script(f"SET GLOBAL {SWITCH[server.flavor]} = {state}")


def _rows(server) -> list:
    return server.query("SELECT id, version FROM counters ORDER BY id", db="held")


def _saved(product: Product, server, before: tuple[int, int]) -> tuple[bool, object]:
    """Say whether the tailer of side A has saved a position after *before*."""
    position = product.position("a")
    return position > before, (before, position, binlog_end(server))


@pytest.fixture
def counters(pair, database, make_product):
    """Give a product for the table of counters, which is equal on both sides."""
    for server in pair.sides:
        dataset.create(server, database)
        dataset.load(server, database, 50, tables=("counters",))
    return make_product(pair, tables=f"{database}.counters")


@pytest.fixture
def late(monkeypatch):
    """Give the gate of side B's tailer: while it is closed, nothing of B's stream is saved."""
    gate = threading.Event()
    gate.set()
    record = waking.WakingStore.record

    def slow_record(self, side, records, position) -> None:
        if side is Side.B:
            assert gate.wait(60)
        record(self, side, records, position)

    monkeypatch.setattr(waking.WakingStore, "record", slow_record)
    yield gate
    gate.set()


@pytest.mark.parametrize("fence", [True, False], ids=["with fence", "fence off"])
def test_a_stream_that_lags_hides_no_conflict(
    pair, database, counters, monkeypatch, quiet, late, fence
):
    """
    Both sides change a row while B's stream is late (INV-4).

    The rows read contain B's change, of which no mark tells yet: who does not wait for B's stream takes A's change for the
    only one and writes over B's without a word.
    """
    if not fence:
        monkeypatch.setattr(reading.PairReader, "_fence", lambda *_: None)
    policy = {"rule": "highest_version:version", "on_delete": "update_wins", "on_tie": "a"}
    inside = Inside(counters, policy)
    counters.settled()
    late.clear()
    pair.b.script("UPDATE counters SET version = 9 WHERE id = 1", db=database)
    end = binlog_end(pair.a)
    pair.a.script("UPDATE counters SET version = 5 WHERE id = 1", db=database)
    wait_until("A's stream is read", lambda: (counters.position("a") > end, end))
    if not fence:
        wait_until("B's row is written over", lambda: (_version(pair.b, database) == 5, None))
    late.set()
    counters.settled()
    inside.end()
    journal = [(c.kind, c.winner, c.value("a", "version")) for c in counters.conflicts()]
    versions = [_version(server, database) for server in pair.sides]
    if fence:
        assert versions == [9, 9]
        assert journal == [("update_update", "b", "5")]
    else:
        assert versions == [5, 5]
        assert journal == [], "B's change was lost without a word"


@pytest.mark.parametrize("known", [True, False], ids=["own writes known", "own writes unknown"])
def test_our_own_write_in_the_stream_is_no_change(
    pair, database, counters, monkeypatch, quiet, late, known
):
    """
    A changes a row twice; between the two our copy of the first is written to B, and B's stream tells of it late (INV-12).

    Who takes it for a change of B sees a conflict that nobody made.
    """
    if not known:
        monkeypatch.setattr(transaction.OpenTransaction, "_drop_own", lambda *_: ())
    inside = Inside(counters)
    counters.settled()
    late.clear()
    pair.a.script("UPDATE counters SET version = 5 WHERE id = 1", db=database)
    wait_until("the copy at B", lambda: (_version(pair.b, database) == 5, None))
    end = binlog_end(pair.a)
    pair.a.script("UPDATE counters SET version = 6 WHERE id = 1", db=database)
    wait_until("A's stream is read", lambda: (counters.position("a") > end, end))
    late.set()
    counters.settled()
    inside.end()
    versions = [_version(server, database) for server in pair.sides]
    if known:
        assert counters.conflicts() == []
        assert versions == [6, 6]
    else:
        assert [(c.kind, c.status) for c in counters.conflicts()] == [("update_update", "held")]
        assert versions == [6, 5]


def _version(server, db: str) -> int:
    return server.query("SELECT version FROM counters WHERE id = 1", db=db)[0][0]
