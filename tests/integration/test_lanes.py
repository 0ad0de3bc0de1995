"""Chunks of whole tables that are read side by side, while both sides are written to."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from syncer.core.side import Side
from syncer.errors import EpochLost
from syncer.ledger import Ledger
from syncer.mysql import marker
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text
from syncer.service.chunks import ChunkComparer
from syncer.service.small import SmallTables
from testbed import oracle
from tests.integration.harness import wait_until
from tests.integration.inside import Inside

ROWS = 6_000
DOUBTFUL = 3
KEYS = {
    "numbers": ("id INT", "x"),
    "words": ("id VARCHAR(20) COLLATE utf8mb4_general_ci", "CONCAT('Wort ', x)"),
}
DIGITS = "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5"
DIGITS += " UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
X = f"(SELECT a.d+10*b.d+100*c.d+1000*e.d AS x FROM {DIGITS} a,{DIGITS} b,{DIGITS} c,{DIGITS} e) n"


def fill(pair, database):
    for name, (declared, key) in KEYS.items():
        pair.script(
            f"CREATE TABLE {name} ({declared} PRIMARY KEY, x INT NOT NULL, n INT NOT NULL DEFAULT 0, KEY (x))",
            f"INSERT INTO {name} (id, x) SELECT {key}, x FROM {X} WHERE x < {ROWS}",
            db=database,
        )


def connections(server):
    [(count,)] = server.query("SELECT COUNT(*) FROM information_schema.processlist")
    return int(count)


def test_nothing_is_missed_by_chunks_that_are_read_side_by_side(pair, database, product):
    """Each row's changes are counted in it: one that is overwritten by an older row would show."""
    fill(pair, database)
    syncer = product("--threads", "4", "--chunk-size", "50:200")
    running = syncer.start()
    running.connected()  # what is written before is drift
    stop = threading.Event()
    wrote = {"a": 0, "b": 0}
    most = 0

    def change(side, server, first):
        with server.connect(database=database, autocommit=True) as connection:
            cursor = connection.cursor()
            for i in range(1_000_000):
                if stop.is_set():
                    return
                for name in KEYS:
                    cursor.execute(
                        f"UPDATE {name} SET n = n + 1 WHERE x = {(i * 74 + first) % ROWS}"
                    )
                    wrote[side] += 1

    def baseline():
        nonlocal most
        most = max(most, connections(pair.b))
        return compared(syncer)

    threads = [
        threading.Thread(target=change, args=("a", pair.a, 0)),
        threading.Thread(target=change, args=("b", pair.b, 1)),
    ]
    try:
        for thread in threads:
            thread.start()
        wait_until("the first comparison is over", baseline)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    syncer.settled()
    assert running.code is None, str(running)
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert sum(row[2] for a, _ in found.values() for row in a.values()) == sum(wrote.values())
    # A lane is one more connection, and closed when there is nothing to compare; the writer's own has gone, too.
    assert most > connections(pair.b) + 1
    # A change of what is not compared yet is told from a conflict, and kept (INV-7).
    assert all(entry.possible for entry in syncer.conflicts())


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
@pytest.mark.parametrize("tables", [1, 3], ids=["a chunk", "small tables together"])
def test_what_may_have_changed_while_it_was_read_is_read_again(
    pair, database, product, monkeypatch, tables
):
    """INV-5: its mark would stay, and tell of a change that both sides have."""
    for number in range(tables):
        pair.script(f"CREATE TABLE t{number} (id INT PRIMARY KEY)", db=database)
        pair.script(f"INSERT INTO t{number} VALUES (1), (2), (3)", db=database)
    asked: list[bool] = []

    def doubtful(*_arguments):
        asked.append(len(asked) < DOUBTFUL)
        return asked[-1]

    monkeypatch.setattr(Ledger, "may_have_changed", doubtful)
    inside = Inside(product())
    try:
        wait_until(
            "all is compared",
            lambda: (inside.last.baseline.tables_done == tables, inside.last.baseline),
        )
    finally:
        inside.end()
    assert len(asked) > DOUBTFUL, "it was not read again each time"


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
@pytest.mark.parametrize("key", ["INT", "VARCHAR(9)"])
@pytest.mark.parametrize("tables", [1, 3], ids=["chunks", "small tables together"])
def test_what_both_sides_have_when_a_chunk_is_compared_is_no_part_of_a_later_conflict(
    pair, database, product, monkeypatch, tables, key
):
    """INV-6: both make a row the same and a chunk shows it; what one side changes then is its alone."""
    rows = 700 if tables == 1 else 7
    for number in range(tables):
        values = ",".join(f"({100 + at},'old')" for at in range(rows))
        pair.script(
            f"CREATE TABLE t{number} (id {key} PRIMARY KEY, v VARCHAR(9))",
            f"INSERT INTO t{number} VALUES {values}",
            db=database,
        )
    compared_chunks: list[bool] = []

    def around(compare, *arguments):
        first = not compared_chunks
        if first:
            pair.script("UPDATE t0 SET v = 'same' WHERE id = '102'", db=database)
        moved = compare(*arguments)
        # Where it is not known whether the key is in the chunk, the chunk waits until the key is decided.
        assert moved or not first or (tables == 1 and key != "INT")
        if moved and not any(compared_chunks):
            pair.a.script("UPDATE t0 SET v = 'later' WHERE id = '102'", db=database)
        compared_chunks.append(moved)
        return moved

    whole, small = ChunkComparer.compare, SmallTables.compare
    if tables == 1:
        monkeypatch.setattr(ChunkComparer, "compare", lambda *given: around(whole, *given))
    else:
        monkeypatch.setattr(SmallTables, "compare", lambda *given: around(small, *given))
    syncer = product()
    sizes: dict[str, object] = {"chunk_rows_min": 50, "chunk_rows_max": 200}
    inside = Inside(syncer, {"rule": "prefer:b"}, engine=sizes)

    def travelled():
        found = [s.query("SELECT v FROM t0 WHERE v <> 'old'", db=database) for s in pair.sides]
        return found == [[("later",)], [("later",)]], found

    try:
        wait_until("the change has travelled", travelled, 60)
    finally:
        inside.end()
    # What is left of the baseline may be about any key that is no integer (INV-7).
    assert [entry for entry in syncer.conflicts() if not entry.possible] == []


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
@pytest.mark.parametrize("key", ["INT", "VARCHAR(9)"])
def test_a_key_that_differs_in_a_compared_chunk_is_still_decided(
    pair, database, product, monkeypatch, key
):
    """INV-6: its marks are not what both sides have, though they are as old as those of the keys beside it."""
    pair.script(
        f"CREATE TABLE t (id {key} PRIMARY KEY, v VARCHAR(9))",
        "INSERT INTO t VALUES (1,'old'),(2,'old'),(3,'old')",
        db=database,
    )
    whole = ChunkComparer.compare
    calls: list[bool] = []

    def compare(*given):
        if not calls:
            pair.script("UPDATE t SET v = 'both' WHERE id = '1'", db=database)
            pair.a.script("UPDATE t SET v = 'mine' WHERE id = '2'", db=database)
        calls.append(whole(*given))
        return calls[-1]

    monkeypatch.setattr(ChunkComparer, "compare", compare)
    inside = Inside(product())
    wanted = [("both",), ("mine",), ("old",)]

    def travelled():
        found = [s.query("SELECT v FROM t ORDER BY id", db=database) for s in pair.sides]
        return found == [wanted, wanted], found

    try:
        wait_until("the change has travelled", travelled, 30)
    finally:
        inside.end()


def compared(syncer):
    if not syncer.ledger.exists():
        return False, "no ledger"
    status = syncer.status()
    return bool(status["spans"]) and not status["summary"]["spans"], status["spans"]


def test_what_differs_is_found_by_chunks_that_are_read_side_by_side(pair, database, product):
    fill(pair, database)
    pair.b.script(
        f"UPDATE numbers SET n = x WHERE x IN (1, 3000, 3001, {ROWS - 1})",
        "DELETE FROM words WHERE x BETWEEN 4000 AND 4300",
        db=database,
    )
    verified = product("--threads", "3", "--chunk-size", "500:500")("verify", "--json")
    verdicts = {t["table"].rpartition(".")[2]: t for t in verified.must(1).document()["tables"]}
    assert verdicts["numbers"]["differing"] == 4
    assert verdicts["words"]["only_a"] == 301
    assert (verdicts["words"]["rows_a"], verdicts["words"]["rows_b"]) == (ROWS, ROWS - 301)
    product("--threads", "3", "--chunk-size", "500:500", "--direction", "a-to-b").until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database)) == []


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_a_lane_belongs_to_the_owner_of_the_pair(pair):
    """INV-17: one that lost the pair neither opens a lane nor writes by one that it has."""
    with contextlib.closing(
        Session.open(from_text(pair.a.url()), Side.A, purpose="test")
    ) as session:
        marker.ensure(session)
        session.execute("DELETE FROM syncer.marker WHERE pair LIKE 'laned%'")
        marker.raise_epoch(session, "laned", 1)
        marker.raise_epoch(session, "laned_too", 1)
        names = [marker.lane_name("laned", number) for number in (1, 2)]
        marker.open_lane(session, "laned", names[0], 1)
        marker.open_lane(session, "laned", names[0], 1)
        assert marker.lanes_of(session, "laned") == names[:1]
        assert marker.lanes_of(session, "laned_too") == []
        session.begin()
        marker.lock_for(session, names[0], 1)
        marker.write_batch(session, names[0], 7, (0, 2))
        session.commit()
        before = marker.Markers(
            marker.raise_epoch(session, "laned", 2),
            {marker.lane_of(names[0]): marker.raise_epoch(session, names[0], 2)},
        )
        assert before.newest == 7
        assert [before.last(lane) for lane in ("", "1", "2", "?")] == [0, 7, 0, 7]
        assert before.written(7) == {0, 2}
        assert before.written(6) == frozenset()
        for name in names:
            with pytest.raises(EpochLost):
                marker.open_lane(session, "laned", name, 1)
        for first in (
            lambda: marker.lock_for(session, names[0], 1),
            lambda: marker.begin_batch(session, names[0], 1, 8, (0,)),
        ):
            session.begin()
            with pytest.raises(EpochLost):
                first()
            session.commit()
        [row] = session.query(marker.READ_MARKER, (names[0],))
        assert [int(value) for value in row[:2]] == [2, 7], "no statement of theirs wrote anything"
        session.begin()
        marker.begin_batch(session, names[0], 2, 9, (0, 3))
        session.commit()
        assert marker.read(session, names[0]).written == {0, 3}
        marker.open_lane(session, "laned", names[1], 2)
        assert marker.lanes_of(session, "laned") == names


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_a_batch_that_waited_for_the_epoch_to_be_raised_is_lost(pair):
    """INV-13: the epoch is looked at under the row's lock, not before it was waited for."""
    with contextlib.ExitStack() as stack:
        raising, late = (
            stack.enter_context(
                contextlib.closing(
                    Session.open(from_text(pair.a.url()), Side.A, purpose="test", lock_wait_s=30)
                )
            )
            for _ in range(2)
        )
        late.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        marker.ensure(raising)
        raising.execute("DELETE FROM syncer.marker WHERE pair = 'late'")
        marker.raise_epoch(raising, "late", 1)
        raising.begin()
        raising.execute("UPDATE syncer.marker SET epoch = 2 WHERE pair = 'late'")
        pool = stack.enter_context(ThreadPoolExecutor(1))
        late.begin()
        waiting = pool.submit(marker.begin_batch, late, "late", 1, 5, (0,))
        waits = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        wait_until("it waits", lambda: (int(pair.a.query(waits)[0][0]) > 0, None))
        raising.commit()
        with pytest.raises(EpochLost):
            waiting.result()
        late.rollback()


def test_a_long_name_leaves_no_room_for_lanes():
    assert marker.lane_name("x" * 62, 1) == "x" * 62 + "#1"
    assert marker.lane_name("x" * 63, 1) is None
