"""A span whose target is empty is copied in bulk: exactly, under writes, and where it cannot be, key by key."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from syncer.mysql.writing import ReadBackFailed
from syncer.service import bulkdelivery
from syncer.service.reading import PairReader
from testbed import oracle
from tests.integration.harness import wait_until
from tests.integration.inside import Inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.endpoint import Endpoint
    from testbed.provision import Pair
    from tests.integration.harness import Product

ROWS = 4000
BATCH_ROWS = 1000
"""No batch of single keys is larger."""
VALUES = ("plain", "it''s", "a),(b", "\\\\ \\n \\r \\0", "emoji 🐬", "", "x''41''", "NULL")


def create(server: Endpoint, database: str, *more: str) -> None:
    server.script(
        "CREATE TABLE numbers (id BIGINT PRIMARY KEY, text VARCHAR(60) CHARACTER SET utf8mb4, raw VARBINARY(20),"
        " amount DECIMAL(20,6), real_one DOUBLE, at DATETIME(6), version INT NOT NULL)",
        "CREATE TABLE words (word VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, n INT)",
        "CREATE TABLE parts (tenant INT, place INT, note VARCHAR(20), PRIMARY KEY (tenant, place))",
        *more,
        db=database,
    )


def fill(server: Endpoint, database: str, table: str, rows: int = ROWS) -> None:
    values = {
        "numbers": lambda i: (
            f"({i * 7 - 500},'{VALUES[i % len(VALUES)]}',"
            + ("NULL" if i % 5 == 0 else f"X'00FF{i % 256:02X}27'")
            + f",{i}.000{i % 10},{i}e{i % 20 - 10},'2024-02-29 10:00:00.{i % 1000000:06d}',1)"
        ),
        "words": lambda i: f"('{'Wörd' if i % 2 else 'WORT'} {i:06d}',{i})",
        "parts": lambda i: f"({i % 50},{i},'n{i}')",
    }[table]
    for start in range(0, rows, 500):
        server.script(
            f"INSERT INTO {table} VALUES "
            + ",".join(values(i) for i in range(start, min(rows, start + 500))),
            db=database,
        )


def bulk_rows(product: Product) -> int:
    """Run until in sync and give the rows of batches that are larger than any of single keys."""
    running = product.start("--until-in-sync", "--log-level", "debug")
    done = running.wait()
    done.must(0)
    return sum(
        event["rows"]
        for event in running.events()
        if event.get("event") == "batch.applied" and event["rows"] > BATCH_ROWS
    )


def equal(pair: Pair, database: str) -> dict[str, oracle.Table]:
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    return {name: both[0] for name, both in found.items()}


def test_rows_travel_in_bulk_in_both_directions(pair, database, product):
    for server in pair.sides:
        create(server, database)
    fill(pair.a, database, "numbers")
    fill(pair.b, database, "words")
    fill(pair.b, database, "parts")
    before = {
        "numbers": oracle.read_table(pair.a, database, "numbers"),
        "words": oracle.read_table(pair.b, database, "words"),
        "parts": oracle.read_table(pair.b, database, "parts"),
    }
    assert bulk_rows(product()) > 2 * ROWS
    assert equal(pair, database) == before


def test_what_the_target_has_in_between_stays(pair, database, product):
    for server in pair.sides:
        create(server, database)
    fill(pair.a, database, "numbers")
    own = 9000 * 7
    pair.b.script(
        f"INSERT INTO numbers (id, version) VALUES ({own},5),(3,6),({7 * 3000 - 499},7)",
        db=database,
    )
    assert bulk_rows(product("--chunk-size", "500:500")) > 0
    found = equal(pair, database)["numbers"]
    assert len(found) == ROWS + 3
    assert found[own,][-1] == 5


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_what_is_between_the_rows_of_a_transaction_is_read_back_too(
    pair, database, product, monkeypatch
):
    """INV-15: several parts are read back as one range, and a row of anybody else's in it is not passed over."""
    for server in pair.sides:
        create(server, database)
    fill(pair.a, database, "numbers")
    refused: list[int] = []
    copy = bulkdelivery.apply_ranges

    def copied(session, **given):
        if not refused:
            # In the last part, where the source has none.
            key = given["found"][-1].low[0] + 1
            pair.b.script(f"INSERT INTO numbers (id, version) VALUES ({key},5)", db=database)
            refused.append(key)
            with pytest.raises(ReadBackFailed) as failed:
                copy(session, **given)
            raise failed.value
        copy(session, **given)

    monkeypatch.setattr(bulkdelivery, "apply_ranges", copied)
    inside = Inside(product())
    try:
        wait_until(
            "both have all rows",
            lambda: (
                refused
                and all(
                    s.query("SELECT COUNT(*) FROM numbers", db=database) == [(ROWS + 1,)]
                    for s in pair.sides
                ),
                refused,
            ),
        )
    finally:
        inside.end()
    assert equal(pair, database)["numbers"][refused[0],][-1] == 5


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_a_trigger_at_the_target_keeps_copies_key_by_key(pair, database, product):
    """Its own writes could not be told from ours in the target's stream (INV-12)."""
    for server in pair.sides:
        create(server, database, "CREATE TABLE seen (id BIGINT PRIMARY KEY)")
    pair.b.script(
        "CREATE TRIGGER note_it AFTER INSERT ON numbers FOR EACH ROW INSERT INTO seen VALUES (NEW.id)",
        db=database,
    )
    fill(pair.a, database, "numbers", 1500)
    assert bulk_rows(product()) == 0
    assert len(equal(pair, database)["seen"]) == 1500


@pytest.mark.parametrize("pair", ["mysql"], indirect=True)
def test_a_unique_clash_holds_one_row_and_copies_the_others(pair, database, product, tmp_path):
    config = tmp_path / "impatient.toml"
    config.write_text("[engine]\nretry_limit = 2\n")
    for server in pair.sides:
        create(server, database, "ALTER TABLE parts ADD UNIQUE KEY one_note (note)")
    fill(pair.a, database, "parts", 1500)
    pair.b.script("INSERT INTO parts VALUES (999,999999,'n700')", db=database)
    syncer = product("--config", config)
    syncer.until_in_sync(codes=(1,))
    [held] = [c for c in syncer.conflicts("held") if c.key == ("0", "700")]
    assert held.kind == "unique_violation"
    assert len(oracle.read_table(pair.b, database, "parts")) == 1500


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_writes_within_the_range_while_it_is_copied(pair, database, product):
    """An INSERT at the target stops a chunk; an UPDATE or DELETE at the source comes after it."""
    rows = 20_000
    for server in pair.sides:
        create(server, database)
    fill(pair.a, database, "numbers", rows)
    syncer = product()
    running = syncer.start()
    stop = threading.Event()
    wrote = {"a": 0, "b": 0}

    def change(side: str, server: Endpoint, statement: Callable[[int], str]) -> None:
        connection = server.connect(database=database, autocommit=True)
        with connection, connection.cursor() as cursor:
            for i in range(100_000):
                if stop.is_set():
                    return
                wrote[side] += cursor.execute(statement(i * 37 % rows))

    writers = [
        threading.Thread(
            target=change,
            args=(
                "a",
                pair.a,
                lambda i: (
                    f"DELETE FROM numbers WHERE id = {i * 7 - 500}"
                    if i % 3 == 0
                    else f"UPDATE numbers SET version = version + 1 WHERE id = {i * 7 - 500}"
                ),
            ),
        ),
        threading.Thread(
            target=change,
            args=(
                "b",
                pair.b,
                lambda i: (
                    f"INSERT IGNORE INTO numbers (id, text, version) VALUES ({i * 7 - 499},'own',1)"
                ),
            ),
        ),
    ]
    for writer in writers:
        writer.start()
    running.connected()

    def compared() -> tuple[bool, object]:
        summary = syncer.status()["summary"]
        return summary["spans"] == 0, summary

    wait_until("the table is compared whole", compared)
    stop.set()
    for writer in writers:
        writer.join()
    syncer.settled()
    running.stop().must(0)
    assert min(wrote.values()) > 20
    found = equal(pair, database)["numbers"]
    own = {key for key, row in found.items() if (key[0] + 499) % 7 == 0}
    assert len(own) == wrote["b"]
    assert syncer.conflicts() == []


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
@pytest.mark.usefixtures("quiet")
def test_a_run_that_is_to_end_leaves_the_rest_of_a_table_for_the_next_one(
    pair, database, product, monkeypatch
):
    rows = 20_000
    for server in pair.sides:
        create(server, database)
    fill(pair.a, database, "numbers", rows)
    begun = []
    asked, ending = threading.Event(), threading.Event()
    begin_one = PairReader.begin_one

    def begin(reader, side, work):
        begun.append(side)
        if len(begun) == 3:
            asked.set()
            wait_until("the run knows", lambda: (reader.stopping, None))
            ending.set()
        return begin_one(reader, side, work)

    monkeypatch.setattr(PairReader, "begin_one", begin)
    monkeypatch.setattr("syncer.service.copying.MOST_ROWS", 200)
    syncer = product()
    inside = Inside(syncer, engine={"threads": 2})
    assert asked.wait(60)
    inside.end()
    assert ending.is_set()
    assert len(begun) == 3
    assert 0 < len(oracle.read_table(pair.b, database, "numbers")) < rows
    syncer.until_in_sync()
    assert len(equal(pair, database)["numbers"]) == rows
