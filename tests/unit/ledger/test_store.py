import os
import resource
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from syncer.core.mark import Op, Touch
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.errors import LedgerCorrupt, LedgerError, LedgerIncompatible, LedgerLocked
from syncer.ledger import queries, store
from syncer.ledger.duplicate import duplicate
from syncer.ledger.ledger import Ledger
from tests.unit.ledger.bench import Bench


def test_file_is_for_its_owner_alone(bench):
    bench.mark(Side.A, 1)
    for name in ("syncer.db", "syncer.db-wal", "syncer.db.lock"):
        mode = stat.S_IMODE((bench.path.parent / name).stat().st_mode)
        assert mode == 0o600, name


def test_no_umask_opens_it_to_others(tmp_path):
    """Neither does the mode of a file that is there already, as after a restore."""
    before = os.umask(0)
    try:
        bench = Bench(tmp_path / "syncer.db")
        bench.mark(Side.A, 1)
        names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        bench.ledger.close()
        bench.path.chmod(0o666)
        bench.ledger = bench.open()
        bench.mark(Side.A, 2)
        again = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        bench.ledger.close()
    finally:
        os.umask(before)
    assert {"syncer.db", "syncer.db-wal", "syncer.db-shm", "syncer.db.lock"} <= names.keys()
    assert {*names.values(), *again.values()} == {0o600}


def test_every_statement_of_the_migrations_is_applied_once(bench):
    bench.reopen()
    with bench.ledger._reading() as db:
        newest = store.migrations()[-1][0]
        assert db.execute(queries.GET_VERSION).fetchone()[0] == newest
    assert [number for number, _ in store.migrations()] == list(range(1, newest + 1))


def test_second_syncer_is_refused_and_told_the_process(bench):
    with pytest.raises(LedgerLocked, match=rf"process {os.getpid()}\)"):
        bench.open()
    code = (
        "import sys; from syncer.ledger.ledger import Ledger; from syncer.clock import SystemClock\n"
        "Ledger.open(sys.argv[1], pair_id='pair', identity={}, clock=SystemClock())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bench.path)], capture_output=True, text=True, check=False
    )
    assert "LedgerLocked" in done.stderr


def test_lock_ends_with_close_and_with_a_failed_open(bench):
    bench.ledger.close()
    bench.ledger.close()
    for _ in range(2):
        with pytest.raises(LedgerIncompatible):
            bench.open(pair_id="other")
    bench.ledger = bench.open()


def test_closed_ledger_says_so(bench):
    bench.ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        bench.ledger.epoch()
    with pytest.raises(LedgerError, match="closed"):
        bench.ledger.table_id(TableName("shop", "orders"))


def test_other_pair_is_refused_by_name(bench):
    bench.ledger.close()
    with pytest.raises(LedgerIncompatible, match="'pair', not to 'other'"):
        bench.open(pair_id="other")


def test_changed_identity_is_no_other_pair(bench):
    """A failover changes what a server calls itself."""
    bench.ledger.close()
    bench.ledger = bench.open(identity={"a": "z", "b": "y"})
    assert bench.ledger.identity() == {"a": "z", "b": "y"}
    assert bench.ledger.pair_id() == "pair"


def test_newer_format_is_refused(bench):
    bench.ledger.close()
    db = sqlite3.connect(bench.path)
    db.execute(queries.set_version(99))
    db.close()
    with pytest.raises(LedgerIncompatible, match="format 99"):
        bench.open()


def test_what_is_no_database_is_corrupt(tmp_path, bench):
    other = tmp_path / "text.db"
    other.write_bytes(b"this is no database, but it is long enough for a header" * 100)
    with pytest.raises(LedgerCorrupt, match="move it away"):
        Ledger.open(other, pair_id="pair", identity={}, clock=bench.clock)


def test_database_that_is_no_ledger_is_refused_untouched(tmp_path, bench):
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE mine (x)")
    db.commit()
    db.close()
    with pytest.raises(LedgerCorrupt, match="no ledger"):
        Ledger.open(other, pair_id="pair", identity={}, clock=bench.clock)


def test_damaged_pages_are_found_when_it_is_opened(bench):
    for key in range(2000):
        bench.mark(Side.A, key)
    bench.ledger.close()
    data = bytearray(bench.path.read_bytes())
    data[8192:-4096] = os.urandom(len(data) - 8192 - 4096)
    bench.path.write_bytes(data)
    with pytest.raises(LedgerCorrupt, match="move it away"):
        bench.open()


def test_directory_that_is_not_there_is_named(tmp_path, bench):
    with pytest.raises(LedgerError, match="nowhere"):
        Ledger.open(tmp_path / "nowhere" / "x.db", pair_id="p", identity={}, clock=bench.clock)


def test_reader_works_beside_the_writer_and_sees_what_it_commits(bench):
    with bench.open(read_only=True) as reader:
        assert reader.is_empty()
        bench.mark(Side.A, 1, 9)
        assert not reader.is_empty()
        assert reader.marks_of(bench.t, [5])[5].a.exact is not None
        assert reader.summary().keys == 9
        with pytest.raises(LedgerError, match="reading only"):
            reader.set_epoch(3)


def test_reader_works_without_a_writer(bench):
    bench.mark(Side.A, 1)
    bench.ledger.close()
    with bench.open(read_only=True, pair_id=None) as reader:
        assert reader.summary().keys == 1


def test_reader_of_nothing_is_told_so(tmp_path, bench):
    with pytest.raises(LedgerError, match="no ledger at"):
        Ledger.open(
            tmp_path / "none.db", pair_id="p", identity={}, clock=bench.clock, read_only=True
        )
    assert not (tmp_path / "none.db").exists()


def _clear_and_fail(bench):
    with bench.ledger._writing():
        bench.ledger._clear_marks(bench.t, range(1, 6), {Side.A: 99}, None)
        assert bench.t not in bench.ledger._runs_in
        raise ZeroDivisionError


def test_transaction_that_fails_leaves_nothing_in_file_or_memory(bench):
    bench.mark(Side.A, 1, 5)
    before = bench.of(3)
    with pytest.raises(ZeroDivisionError):
        _clear_and_fail(bench)
    assert bench.of(3) == before
    assert set(bench.ledger._runs_in) == {bench.t}


def test_full_disk_is_named_and_loses_nothing(bench):
    bench.mark(Side.A, 1)
    with bench.ledger._reading() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    bench.ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="no space left"):
        bench.ledger.set_meta("x", "y" * 1_000_000)
    assert bench.claimed() == [1]
    bench.ledger._db.execute("PRAGMA max_page_count = 1000000")
    bench.ledger.set_meta("x", "y")


def test_killed_process_keeps_what_was_committed_and_nothing_else(bench):
    """kill -9 between two statements of a transaction: the commit before it counts, the transaction does not."""
    bench.ledger.close()
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from tests.unit.ledger.bench import Bench; from syncer.core.side import Side\n"
        "bench = Bench(Path(sys.argv[1])); bench.mark(Side.A, 1)\n"
        "with bench.ledger._writing() as db:\n"
        "    db.execute('DELETE FROM point'); db.execute('DELETE FROM stream')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    here = str(Path(__file__).parents[3])
    subprocess.run([sys.executable, "-c", code, str(bench.path), here], check=False)
    bench.ledger = bench.open()
    assert bench.claimed() == [1]
    assert bench.ledger.position(Side.A).seq == 1


@pytest.mark.parametrize("durable", [True, False])
def test_only_durable_transactions_wait_for_the_disk(bench, durable):
    level = "PRAGMA synchronous"
    with bench.ledger._writing(durable=durable) as db:
        assert db.execute(level).fetchone()[0] == (2 if durable else 1)
    assert bench.ledger._db.execute(level).fetchone()[0] == 1


def test_a_file_that_may_not_grow_is_named_with_the_next_step(bench):
    """A quota or a limit on the size of files: an I/O error to SQLite, whose text says nothing of it."""
    bench.mark(Side.A, 1)
    size = bench.path.with_name(bench.path.name + "-wal").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.raises(LedgerError, match="its quota and the limit on the size of files"):
            bench.ledger.set_meta("x", "y" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert bench.claimed() == [1]
    bench.ledger.set_meta("x", "y")


def test_an_agreement_that_an_older_version_counted_is_asked_for_again(tmp_path):
    """It may be larger than what is left of it; what waits for an answer still waits."""
    path = tmp_path / "old.db"
    db = sqlite3.connect(path)
    for _, script in store.migrations()[:12]:
        db.executescript(script)
    db.executescript("""
        INSERT INTO meta VALUES ('pair_id', 'pair');
        INSERT INTO stop VALUES (1, 'b', 'd', 70, 'why', 5.0, NULL), (2, 'b', 'd', 70, 'why', 5.0, 30);
        PRAGMA user_version = 12;
    """)
    db.close()
    new = Bench(path)
    (kept,) = new.ledger.stops().values()
    assert (kept.table_id, kept.waiting, kept.left) == (1, 70, None)
    new.ledger.close()


def test_a_ledger_of_the_first_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "old.db"
    db = sqlite3.connect(path)
    db.executescript(store.migrations()[0][1])
    db.executescript("""
        INSERT INTO meta VALUES ('pair_id', 'pair');
        INSERT INTO tables (id, database, name) VALUES (1, 'shop', 'orders');
        INSERT INTO run VALUES (7, 1, 'a', 1, 5, 9, 1, 1, 'u', 'u', 0, 10, NULL, 1000.0);
        PRAGMA user_version = 1;
    """)
    touch = {"first_seq": 1, "last_seq": 1, "first_op": "d", "last_op": "d", "recreated": False}
    mark = {"table_id": 1, "low": 50, "high": 50, "touch": touch | {"commit_us": 3}, "exact": True}
    payload = msgspec.msgpack.encode({"marks": [mark], "spans": []})
    db.execute("INSERT INTO xa_mark VALUES ('a', 'x', ?)", (payload,))
    db.commit()
    db.close()
    new = Bench(path)
    assert new.claimed() == [5, 6, 7, 8, 9]
    assert new.of(9).a.exact == Touch(1, 1, Op.UPDATE, Op.UPDATE, False, 10)
    new.mark(Side.A, 5, 9, step=2)
    assert [new.of(key).a.exact.commit_us for key in (5, 6, 7, 8, 9)] == [10, 10, 10, 10, 10]
    assert new.ledger.summary().keys == 5
    new.record(Side.A, committed_xid="x")
    assert new.of(50).a.exact == Touch(2, 2, Op.DELETE, Op.DELETE, False, 3)
    new.ledger.close()


def test_the_cache_is_large_only_while_many_marks_wait(bench, monkeypatch):
    """Every page that is written stays in it: a journal that grows would fill a large one in the course of hours."""
    monkeypatch.setattr(store, "MANY_MARKS", 5)

    def pages():
        with bench.ledger._reading() as db:
            return db.execute("PRAGMA cache_size").fetchone()[0]

    small = pages()
    assert -(8 << 10) <= small < 0  # in KiB
    for key in range(5):
        bench.mark(Side.A, key * 1_000)
    assert pages() == small
    for key in range(5, 10):
        bench.mark(Side.A, key * 1_000)
    large = pages()
    assert large <= 8 * small
    assert bench.ledger.next_due(1e9) is not None
    assert pages() == large
    bench.reopen()
    bench.mark(Side.B, 1)
    assert pages() == large, "marks of an earlier run count too"
    keys = [key * 1_000 for key in range(10)]
    bench.ledger.clear(bench.t, [*keys, 1], {Side.A: 100, Side.B: 100})
    assert bench.ledger.next_due(1e9) is None
    assert pages() == small
    for key in range(100, 120):
        bench.mark(Side.A, key * 1_000)
        bench.ledger.clear(bench.t, [(key - 1) * 1_000], {Side.A: 1_000})
    assert pages() == large, "they never all went"
    bench.reopen()
    assert pages() == small, "one is left, whatever its number"
    bench.mark(Side.A, 3)
    assert pages() == small


def test_calls_made_together_are_one_transaction(bench):
    """All or nothing, what is kept in memory included; what must reach the disk by itself is refused."""
    name = TableName("shop", "late")
    before = bench.ledger.tables()

    def broken():
        with bench.ledger.together():
            number = bench.ledger.table_id(name)
            bench.ledger.set_meta("x", "1")
            assert bench.ledger.get_meta("x") == "1"
            assert bench.ledger.tables()[number] == name
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert bench.ledger.get_meta("x") is None
    assert bench.ledger.tables() == before
    with bench.ledger.together():
        number = bench.ledger.table_id(name)
        bench.ledger.set_meta("x", "2")
    bench.reopen()
    assert bench.ledger.get_meta("x") == "2"
    assert bench.ledger.tables()[number] == name
    with pytest.raises(ValueError, match="disk"), bench.ledger.together():
        bench.ledger.set_epoch(7)
    assert bench.ledger.epoch() == 0


def test_a_copy_leaves_the_file_as_it_is(tmp_path, bench):
    """Whatever its format: who has only looked goes back to the version before. No other run begins with it meanwhile."""
    bench.mark(Side.A, 1)
    bench.ledger.close()
    with closing(sqlite3.connect(bench.path)) as db:
        db.execute("PRAGMA user_version = 1")
    before = bench.path.read_bytes()
    copy = tmp_path / "copy.db"
    with duplicate(bench.path, copy, pair_id="pair"):
        with closing(sqlite3.connect(copy)) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (1,)
            assert db.execute("SELECT count(*) FROM meta").fetchone() > (0,)
        with pytest.raises(LedgerLocked), bench.open():
            pass
    assert bench.path.read_bytes() == before
    other = pytest.raises(LedgerIncompatible, match="belongs to pair 'pair'")
    with other, duplicate(bench.path, copy, pair_id="other"):
        pass
    bench.path.write_bytes(b"no ledger" * 1000)
    with (
        pytest.raises(LedgerCorrupt, match=r"syncer\.db"),
        duplicate(bench.path, copy, pair_id="pair"),
    ):
        pass


def test_a_file_that_cannot_be_looked_for_is_named(tmp_path, bench, monkeypatch):
    """As one in another user's directory."""

    def refused(_path, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refused)
    with pytest.raises(
        LedgerError, match=r"cannot look for the ledger .*away\.db: Permission denied"
    ):
        Ledger.open(
            tmp_path / "away.db", pair_id=None, identity={}, clock=bench.clock, read_only=True
        )
