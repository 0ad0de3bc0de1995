"""Work follows the number of changes, not the size of the tables; what a stop leaves behind is caught up with."""

from __future__ import annotations

from collections.abc import Iterable

import pymysql.cursors
import pytest

from testbed import dataset, oracle
from testbed.workload import Log, Workload
from tests.integration.harness import wait_until

RULE = ("--rule", "highest_version:version", "--on-delete", "update_wins", "--on-tie", "a")


def test_sigterm_under_writes_drains_and_the_next_start_reads_only_what_changed(
    pair, database, shop, product
):
    first = shop(20_000)
    total = 2 * sum(len(table) for table in first.values())
    syncer = product()
    running = syncer.start()
    running.connected()
    syncer.settled()  # the baseline is done
    with Workload.disjoint(pair, database, keys=(1, 400), per_side=1, rate=40) as workload:
        log = workload.log
        wait_until("writes", lambda: (len(log.acknowledged) > 60, log.counts()))
        running.stop().must(0)
        before = len(log.acknowledged)
        wait_until("300 changes", lambda: (_keys(log, before) >= 300, log.counts()))
    assert log.trouble == []
    changed = _keys(log, before) + 50  # and what was left of the first run
    report = syncer.until_in_sync()
    wanted = oracle.expected(first, log)
    assert oracle.differences(oracle.read_pair(pair, database), wanted) == []
    assert report["rows_compared"] == 0, report
    # A row of each side, some of them twice: a key may have been met before its row was visible.
    assert 0 < report["rows_read"] < changed * 2 * 3, (report["rows_read"], changed)
    assert report["rows_read"] < total / 20
    assert syncer.conflicts() == []
    # Nothing changed: nothing is read.
    assert syncer.until_in_sync()["rows_read"] == 0


def _keys(log: Log, start: int) -> int:
    return len({(w.table, w.key) for t in log.acknowledged[start:] for w in t.writes})


def test_a_hundred_equal_changes_in_one_chunk_are_all_found(pair, database, shop, product):
    """A XOR of CRC32 values, the classic digest, cannot see them: it is equal on both sides."""
    shop(1000)
    pair.b.script("UPDATE counters SET version = version + 1 ORDER BY id LIMIT 100", db=database)
    columns = ", ".join(dataset.COLUMNS["counters"])
    classic = f"SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS('#', {columns}))) FROM counters"
    assert pair.a.query(classic, db=database) == pair.b.query(classic, db=database)

    syncer = product(*RULE)
    found = syncer("verify", "--json").must(1).document()
    tables = {table["table"].rpartition(".")[2]: table for table in found["tables"]}
    assert tables["counters"]["chunks"] == 1
    assert tables["counters"]["differing"] == 100
    assert tables["orders"]["differing"] == 0

    report = syncer.until_in_sync()
    assert report["last"]["a"]["applied_updates"] == 100
    assert report["last"]["b"]["applied_updates"] == 0
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert pair.a.query("SELECT SUM(version) FROM counters", db=database)[0][0] == 200
    syncer("verify", "--json").must(0)


@pytest.mark.slow
def test_a_baseline_mends_drift_while_both_sides_are_written_to(pair, database, product, write_for):
    """A million rows on the mixed pair, a hundred thousand on the others; one row in a thousand differs."""
    rows = 1_000_000 if pair.name == "mixed" else 100_000
    for server in pair.sides:
        dataset.create(server, database)
        dataset.load(server, database, rows, tables=("customers",))
        dataset.load(server, database, 100, tables=("orders", "counters"))
    each = rows // 4000
    step = rows // each
    drift = [range(at + step // 3, rows, step)[:each] for at in (0, 7, 14, 21)]
    newer_on_a, newer_on_b, only_on_a, only_on_b = (list(keys) for keys in drift)
    for server, newer, gone in (
        (pair.a, newer_on_a, only_on_b),
        (pair.b, newer_on_b, only_on_a),
    ):
        server.script(
            f"UPDATE customers SET version = 2, note = 'drift' WHERE id IN {tuple(newer)}",
            f"DELETE FROM customers WHERE id IN {tuple(gone)}",
            db=database,
        )
    before_a, before_b = (_fingerprints(server, database) for server in pair.sides)
    assert sum(before_a.get(k) != before_b.get(k) for k in {*before_a, *before_b}) == 4 * each
    wanted = before_a | {key: before_b[key] for key in newer_on_b + only_on_b}

    syncer = product(*RULE)
    running = syncer.start()
    running.connected()
    middle = rows // 2
    taken = {*newer_on_a, *newer_on_b, *only_on_a, *only_on_b}
    free = [key for key in range(middle, middle + 600) if key not in taken]
    log = Log()
    writers = Workload.disjoint(
        pair, database, keys=(free[0], free[-1] + 1), per_side=1, rate=20, log=log, leave_out=taken
    )
    with writers:

        def baseline_done() -> tuple[bool, object]:
            assert running.code is None, str(running)
            assert log.trouble == []
            status = syncer.status()
            done = status["spans"] and all(span["open_spans"] == 0 for span in status["spans"])
            return bool(done) and len(log.acknowledged) > 40, (status, log.counts())

        wait_until("the baseline is done", baseline_done, 300)
    assert log.trouble == []
    syncer.settled(200)
    running.stop().must(0)

    written = {write.key: write.row for _, write in log.writes("customers")}
    present = {key: row for key, row in written.items() if row is not None}
    for server in pair.sides:
        found = _fingerprints(server, database)
        assert _rows(server, database, written) == present
        bad = [
            key for key in {*found, *wanted} - written.keys() if found.get(key) != wanted.get(key)
        ]
        kinds = {
            name: len(taken & set(bad))
            for name, taken in (
                ("newer_on_a", set(newer_on_a)),
                ("newer_on_b", set(newer_on_b)),
                ("only_on_a", set(only_on_a)),
                ("only_on_b", set(only_on_b)),
            )
        }
        assert not bad, f"{server.name}: {len(bad)} rows, {kinds}: {bad[:10]}\n{running}"
    rest = oracle.read_pair(pair, database, ["orders", "counters"])
    assert oracle.differences(rest) == []


def _fingerprints(server, db: str) -> dict[int, int]:
    """Give a digest of every whole row by key, made by the server; all rows at once would need gigabytes, and minutes."""
    row = ", ".join(f"QUOTE({column})" for column in dataset.COLUMNS["customers"])
    digest = f"CAST(CONV(LEFT(SHA2(CONCAT_WS(',', {row}), 256), 16), 16, 10) AS UNSIGNED)"
    with (
        server.connect(database=db, cursorclass=pymysql.cursors.SSCursor) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET SESSION time_zone = '+00:00'")
        cursor.execute(f"SELECT id, {digest} FROM customers")
        return dict(cursor)


def _rows(server, db: str, keys: Iterable[int]) -> dict[int, tuple]:
    """Give whole rows by key."""
    with server.connect(database=db) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION time_zone = '+00:00'")
        columns = ", ".join(dataset.COLUMNS["customers"])
        wanted = ", ".join(map(str, keys))
        cursor.execute(f"SELECT {columns} FROM customers WHERE id IN ({wanted})")
        return {row[0]: row for row in cursor}
