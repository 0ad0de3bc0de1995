"""What the target refuses: unique values that swap, parents that went, and columns no rule can compare."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from syncer.core.schema import TableName
from syncer.ledger import Ledger
from syncer.service import delivery
from testbed import oracle
from tests.integration.harness import syncer as command
from tests.integration.harness import wait_until
from tests.integration.inside import Inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from syncer.ledger.records import ClaimedKey
    from testbed.provision import Pair
    from tests.integration.harness import Product


@pytest.fixture
def few_tries(tmp_path: Path) -> Path:
    """Give a configuration with which rows that are refused are soon held."""
    config = tmp_path / "few-tries.toml"
    config.write_text("[engine]\nretry_limit = 3\n")
    return config


ON_TWO = pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)


@pytest.mark.parametrize("pair", ["mariadb", "mysql", "mixed"], indirect=True)
def test_rows_that_swap_a_unique_value_arrive(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    """A circle of three: in place, any update alone is a duplicate; children of the rows stay where they are."""
    for server in pair.sides:
        server.query(f"CREATE TABLE `{database}`.p (id INT PRIMARY KEY, code INT NOT NULL UNIQUE)")
        server.query(
            f"CREATE TABLE `{database}`.c (id INT PRIMARY KEY, pid INT NOT NULL,"
            f" FOREIGN KEY (pid) REFERENCES `{database}`.p (id) ON DELETE CASCADE)"
        )
        server.query(f"INSERT INTO `{database}`.p VALUES (1, 10), (2, 20), (3, 30)")
        server.query(f"INSERT INTO `{database}`.c VALUES (1, 1), (2, 2), (3, 3)")
    running = product()
    running.until_in_sync()
    pair.a.query(f"UPDATE `{database}`.p SET code = -code")
    pair.a.query(
        f"UPDATE `{database}`.p SET code = CASE id WHEN 1 THEN 20 WHEN 2 THEN 30 ELSE 10 END"
    )
    running.until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert pair.b.query(f"SELECT code FROM `{database}`.p ORDER BY id") == [(20,), (30,), (10,)]
    assert pair.b.query(f"SELECT COUNT(*) FROM `{database}`.c") == [(3,)]


@ON_TWO
def test_a_row_that_others_are_in_the_way_of_is_held_with_their_names(
    pair: Pair, database: str, product: Callable[..., Product], few_tries: Path
) -> None:
    """One of them or several; nobody loses a row for it (no rule deletes what stands in the way)."""
    pair.script(
        "CREATE TABLE u (id INT PRIMARY KEY, code INT UNIQUE, email VARCHAR(20) COLLATE utf8mb4_general_ci UNIQUE)",
        db=database,
    )
    syncer = product("--config", few_tries)
    syncer.until_in_sync()
    pair.a.script("INSERT INTO u VALUES (1, 5, 'it''s a'), (2, 6, NULL), (3, 7, 'ok')", db=database)
    pair.b.script(
        "INSERT INTO u VALUES (11, 5, NULL), (12, 6, 'IT''S A'), (13, 8, 'oK ')", db=database
    )
    syncer.until_in_sync(codes=(1,))
    listed = command("conflicts", "list", "--json", "--ledger", syncer.ledger).must(1).document()
    found = {
        one["entry"]["key"][0]: (one["entry"]["in_the_way"], one["entry"]["sub_kinds"])
        for one in listed["conflicts"]
    }
    several = [["11"], ["12"]]
    assert found == {
        "1": (several, ["unique_many"]),
        "2": ([["12"]], ["unique_one"]),
        "3": ([["13"]], ["unique_one"]),
        "11": ([["1"]], ["unique_one"]),
        "12": ([["2"], ["1"]], ["unique_many"]),
        "13": ([["3"]], ["unique_one"]),
    }
    both = oracle.read_pair(pair, database)["u"]
    assert [sorted(key for (key,) in side) for side in both] == [[1, 2, 3], [11, 12, 13]]
    many = ("conflicts", "list", "--kind", "unique_many", "--ledger", syncer.ledger)
    # Both sides are written at the same time: either may refuse first.
    (number,) = (
        one["conflict_id"]
        for one in command(*many, "--json").must(1).document()["conflicts"]
        if one["entry"]["key"] == ["1"]
    )
    shown = command("conflicts", "show", number, "--ledger", syncer.ledger).must(0).stdout
    assert "in the way" in shown
    assert f"{database}.u key 11; key 12" in shown


@ON_TWO
def test_a_child_without_its_parent_is_held_never_written(
    pair: Pair, database: str, product: Callable[..., Product], few_tries: Path
) -> None:
    """A adds a child while B deletes its parent: no order of writes makes that right, and none may leave an orphan."""
    for server in pair.sides:
        server.query(f"CREATE TABLE `{database}`.p (id INT PRIMARY KEY, code INT UNIQUE)")
        server.query(
            f"CREATE TABLE `{database}`.c (id INT PRIMARY KEY, pid INT NOT NULL, u INT UNIQUE,"
            f" FOREIGN KEY (pid) REFERENCES `{database}`.p (id))"
        )
        server.query(f"INSERT INTO `{database}`.p VALUES (1, 1)")
    running = product("--config", few_tries)
    running.until_in_sync()
    pair.a.query(f"INSERT INTO `{database}`.c VALUES (10, 1, 1)")
    pair.b.query(f"DELETE FROM `{database}`.p WHERE id = 1")
    running.until_in_sync(codes=(1,))
    for server in pair.sides:
        orphans = server.query(
            f"SELECT COUNT(*) FROM `{database}`.c WHERE pid NOT IN (SELECT id FROM `{database}`.p)"
        )
        assert orphans == [(0,)], server.name
    kinds = {conflict.kind for conflict in running.conflicts("held")}
    assert kinds == {"fk_parent_missing", "fk_child_exists"}


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
def test_a_rule_on_a_column_without_an_order_is_refused(
    pair: Pair, database: str, product: Callable[..., Product]
) -> None:
    for server in pair.sides:
        server.query(f"CREATE TABLE `{database}`.t (id INT PRIMARY KEY, v VARCHAR(9) NOT NULL)")
    done = product("--rule", "highest_version:v", "--on-delete", "hold", "--on-tie", "a")("run")
    assert done.code == 2, str(done)
    assert "name a column of numbers or of dates" in done.stderr


CIRCLE = (
    "CREATE TABLE m (id INT PRIMARY KEY, t INT, u INT UNIQUE)",
    "CREATE TABLE t (id INT PRIMARY KEY, m INT, FOREIGN KEY (m) REFERENCES m (id))",
    "ALTER TABLE m ADD FOREIGN KEY (t) REFERENCES t (id)",
    "CREATE TABLE s (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES s (id))",
)


@ON_TWO
def test_rows_that_refer_to_each_other_come_and_go_together(
    pair: Pair, database: str, product: Callable[..., Product], few_tries: Path
) -> None:
    """No order of whole rows makes that right; a row of the same batch that cannot be written does not stop them."""
    pair.script(
        *CIRCLE,
        "INSERT INTO m VALUES (1, NULL, 1), (2, NULL, 2)",
        "INSERT INTO t VALUES (1, 1), (2, 2)",
        "UPDATE m SET t = id",
        "INSERT INTO s VALUES (1, NULL), (2, 1), (3, 2)",
        "UPDATE s SET up = 3 WHERE id = 1",
        db=database,
    )
    syncer = product("--config", few_tries)
    syncer.until_in_sync()
    pair.b.script("INSERT INTO m VALUES (4, NULL, 7)", db=database)
    pair.a.script(
        "START TRANSACTION",
        "INSERT INTO m VALUES (8, NULL, 7), (9, NULL, 9)",
        "INSERT INTO t VALUES (9, 9)",
        "UPDATE m SET t = 9 WHERE id = 9",
        "INSERT INTO s VALUES (7, NULL), (6, 7), (5, 6)",
        "UPDATE s SET up = 5 WHERE id = 7",
        # One circle goes.
        "UPDATE m SET t = NULL WHERE id = 1",
        "DELETE FROM t WHERE id = 1",
        "DELETE FROM m WHERE id = 1",
        "UPDATE s SET up = NULL WHERE id = 1",
        "DELETE FROM s WHERE id = 3",
        "DELETE FROM s WHERE id = 2",
        "DELETE FROM s WHERE id = 1",
        "COMMIT",
        db=database,
    )
    syncer.until_in_sync(codes=(1,))
    assert {(c.table.split(".")[1], *c.key): c.kind for c in syncer.conflicts()} == {
        ("m", "4"): "unique_violation",
        ("m", "8"): "unique_violation",
    }
    found = oracle.read_pair(pair, database)
    circle = {(2,): (2, 2, 2), (9,): (9, 9, 9)}
    assert found["m"] == ({**circle, (8,): (8, None, 7)}, {**circle, (4,): (4, None, 7)})
    assert found["t"] == ({(2,): (2, 2), (9,): (9, 9)},) * 2
    assert found["s"] == ({(5,): (5, 6), (6,): (6, 7), (7,): (7, 5)},) * 2


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_what_no_order_of_writes_makes_right_is_held_and_takes_nothing_away(
    pair: Pair, database: str, product: Callable[..., Product], few_tries: Path
) -> None:
    """Rows that refer to each other and cannot do without, or under triggers, and two keys with one unique value: a person decides."""
    pair.script(
        "CREATE TABLE m (id INT PRIMARY KEY, t INT NOT NULL)",
        "INSERT INTO m VALUES (1, 1), (2, 2), (3, 3)",
        "CREATE TABLE t (id INT PRIMARY KEY, m INT NOT NULL, FOREIGN KEY (m) REFERENCES m (id))",
        "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
        "ALTER TABLE m ADD FOREIGN KEY (t) REFERENCES t (id)",
        # A trigger would see the reference that is missing for a moment, so it is not taken out.
        "CREATE TABLE g (id INT PRIMARY KEY, h INT)",
        "CREATE TABLE h (id INT PRIMARY KEY, g INT, FOREIGN KEY (g) REFERENCES g (id))",
        "ALTER TABLE g ADD FOREIGN KEY (h) REFERENCES h (id)",
        "CREATE TRIGGER g_in BEFORE INSERT ON g FOR EACH ROW SET @rows = @rows + 1",
        "CREATE TRIGGER h_in BEFORE INSERT ON h FOR EACH ROW SET @rows = @rows + 1",
        "CREATE TABLE u (id INT PRIMARY KEY, code INT NOT NULL UNIQUE)",
        db=database,
    )
    running = product("--config", few_tries)
    running.until_in_sync()
    pair.a.script(
        "INSERT INTO g VALUES (7, NULL)",
        "INSERT INTO h VALUES (7, 7)",
        "UPDATE g SET h = 7",
        "UPDATE m SET t = 3 - id WHERE id < 3",
        "UPDATE t SET m = 3 - id WHERE id < 3",
        "SET SESSION foreign_key_checks = 0",
        "DELETE FROM m WHERE id = 3",
        "DELETE FROM t WHERE id = 3",
        "INSERT INTO m VALUES (9, 9)",
        "INSERT INTO t VALUES (9, 9)",
        "INSERT INTO u VALUES (1, 5)",
        db=database,
    )
    pair.b.script("INSERT INTO u VALUES (2, 5)", db=database)
    running.until_in_sync(codes=(1,))
    new = {(9,): (9, 9)}
    swapped = {(1,): (1, 2), (2,): (2, 1)}
    both = (swapped | new, swapped | {(3,): (3, 3)})
    circle = ({(7,): (7, 7)}, {})
    assert oracle.read_pair(pair, database) == {
        "g": circle,
        "h": circle,
        "m": both,
        "t": both,
        "u": ({(1,): (1, 5)}, {(2,): (2, 5)}),
    }
    held = {(c.table.split(".")[1], *c.key): c.kind for c in running.conflicts("held")}
    assert held == {
        ("g", "7"): "fk_parent_missing",
        ("h", "7"): "fk_parent_missing",
        ("m", "3"): "fk_child_exists",
        ("t", "3"): "fk_child_exists",
        ("m", "9"): "fk_parent_missing",
        ("t", "9"): "fk_parent_missing",
        ("u", "1"): "unique_violation",
        ("u", "2"): "unique_violation",
    }


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_a_child_waits_for_a_parent_that_is_behind_many_others(
    pair: Pair, database: str, product: Callable[..., Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it was refused meanwhile: all that it needs has a mark of its own, which nobody has decided yet."""
    monkeypatch.setattr(delivery, "BACK_OFF_S", 2**-8)
    monkeypatch.setattr(delivery, "BACK_OFF_MOST_S", 2**-5)
    pair.script(
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE c (id INT PRIMARY KEY, pid INT NOT NULL, FOREIGN KEY (pid) REFERENCES p (id))",
        "INSERT INTO p VALUES (1)",
        "INSERT INTO c VALUES (1, 1), (2, 1)",
        db=database,
    )
    claim_keys = Ledger.claim_keys
    turn = threading.Event()

    def parents_last(self: Ledger, limit: int, now: float, but: object) -> list[ClaimedKey]:
        found = claim_keys(self, limit, now, but)
        parents = self.table_id(TableName(database, "p"))
        return found if turn.is_set() else [one for one in found if one.table_id != parents]

    monkeypatch.setattr(Ledger, "claim_keys", parents_last)
    syncer = product()
    inside = Inside(syncer, engine={"retry_limit": 2})
    syncer.settled()
    pair.a.script("INSERT INTO p VALUES (7)", "UPDATE c SET pid = 7 WHERE id = 1", db=database)

    def refused() -> tuple[bool, object]:
        with contextlib.closing(sqlite3.connect(syncer.ledger)) as ledger:
            found = ledger.execute("SELECT max(tries), min(id) FROM point").fetchone()
            held = ledger.execute("SELECT count(*) FROM conflict").fetchone()
        return held != (0,) or (found[0] is not None and found[0] > 6), (found, held)

    wait_until("refused more often than the limit", refused)
    turn.set()
    syncer.settled()
    inside.end()
    assert syncer.conflicts() == []
    assert pair.b.query("SELECT id, pid FROM c ORDER BY id", db=database) == [(1, 7), (2, 1)]
