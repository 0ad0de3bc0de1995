"""Both sides give a row another key, or two rows one key: named, and decided as one."""

from __future__ import annotations

import contextlib
import random
import threading
from typing import TYPE_CHECKING

import pymysql
import pytest

from testbed import oracle
from tests.integration.harness import syncer as command
from tests.integration.harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.provision import Pair
    from tests.integration.harness import Product

ON_TWO = pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
DIVERGENT, COLLISION = "key_change_divergent", "key_change_collision"


@pytest.fixture
def begin(pair: Pair, database: str, product: Callable[..., Product]) -> Callable[..., Product]:
    """Give ``begin(*options) -> Product``: rows 1 to 5 in sync, with integers and with texts as their keys."""

    def start(*options: str) -> Product:
        pair.script(
            "CREATE TABLE n (id INT PRIMARY KEY, v INT NOT NULL, note VARCHAR(20))",
            "CREATE TABLE w (id VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT NOT NULL, note VARCHAR(20))",
            "INSERT INTO n VALUES (1,0,'o'),(2,0,'o'),(3,0,'o'),(4,0,'o'),(5,0,'o')",
            "INSERT INTO w VALUES ('k1',0,'o'),('k2',0,'o'),('k3',0,'o'),('k4',0,'o'),('k5',0,'o')",
            db=database,
        )
        syncer = product(*options)
        syncer.until_in_sync()
        return syncer

    return start


def rekey(server, database: str, old: int, new: int, v: int) -> None:
    server.script(
        f"UPDATE n SET id = {new}, v = {v} WHERE id = {old}",
        f"UPDATE w SET id = 'k{new}', v = {v} WHERE id = 'k{old}'",
        db=database,
    )


def keys(pair: Pair, database: str) -> list[list[int]]:
    """Give the keys of both sides, the same in both tables."""
    found = oracle.read_pair(pair, database)
    both = [[sorted(key for (key,) in side) for side in found[name]] for name in "nw"]
    assert [sorted(f"k{key}" for key in side) for side in both[0]] == both[1]
    return both[0]


def entries(syncer: Product, status: str) -> dict[tuple[str, str], dict]:
    listed = command(
        *("conflicts", "list", "--ledger", syncer.ledger, "--status", status, "--json"),
        cwd=syncer.folder,
    )
    found = [one["entry"] for one in listed.must(0, 1).document()["conflicts"]]
    return {(one["table"].split(".")[1], *one["key"]): one for one in found}


@ON_TWO
def test_two_new_keys_of_one_row_are_held_as_one(pair, database, begin):
    """Both entries name both keys; the rows stay where they were written, and one answer decides about both."""
    syncer = begin()
    rekey(pair.a, database, 1, 10, 1)
    rekey(pair.b, database, 1, 20, 2)
    syncer.until_in_sync(codes=(1,))
    assert keys(pair, database) == [[2, 3, 4, 5, 10], [2, 3, 4, 5, 20]]
    held = entries(syncer, "held")
    assert {at: one["kind"] for at, one in held.items()} == dict.fromkeys(
        [("n", "10"), ("n", "20"), ("w", "k10"), ("w", "k20")], DIVERGENT
    )
    for (table, _), one in held.items():
        k = "k" if table == "w" else ""
        named = [one[f"{side}_{when}_key"] for side in "ab" for when in ("old", "new")]
        assert named == [[f"{k}1"], [f"{k}10"], [f"{k}1"], [f"{k}20"]]
    command(
        *("conflicts", "resolve", "--kind", DIVERGENT, "--take", "b", "--ledger", syncer.ledger),
        cwd=syncer.folder,
    ).must(0)
    syncer.until_in_sync()
    assert keys(pair, database) == [[2, 3, 4, 5, 20]] * 2
    assert entries(syncer, "held") == {}


@pytest.mark.parametrize(
    ("rule", "stays"),
    [
        ("prefer:a", [10]),
        ("prefer:b", [20]),
        ("highest_version:v", [20]),
        ("lowest_version:v", [10]),
        ("column_merge then prefer:a", [10]),
    ],
)
@ON_TWO
def test_a_rule_compares_the_two_rows_and_the_loser_s_key_goes(
    pair, database, begin, rule, stays, tmp_path
):
    config = tmp_path / "rule.toml"
    config.write_text(f'[policy]\nrule = "{rule}"\non_delete = "hold"\non_tie = "hold"\n', "utf-8")
    syncer = begin("--config", str(config))
    rekey(pair.a, database, 1, 10, 1)
    rekey(pair.b, database, 1, 20, 2)
    syncer.until_in_sync()
    assert keys(pair, database) == [[2, 3, 4, 5, *stays]] * 2
    applied = entries(syncer, "applied")
    winner = "a" if stays == [10] else "b"
    assert {(one["kind"], one["winner"]) for one in applied.values()} == {(DIVERGENT, winner)}
    lost = applied["n", "20" if winner == "a" else "10"]
    assert lost["b_image" if winner == "a" else "a_image"] is not None
    assert {at[1] for at in applied} == {"10", "20", "k10", "k20"}


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
def test_both_rows_stay_where_the_rule_keeps_both(pair, database, product):
    pair.script(
        "CREATE TABLE m (id INT AUTO_INCREMENT PRIMARY KEY, v INT NOT NULL)",
        "INSERT INTO m VALUES (1,0),(2,0),(3,0)",
        db=database,
    )
    syncer = product("--rule", "keep_both:a then hold")
    syncer.until_in_sync()
    pair.a.script(
        "UPDATE m SET id = 10 WHERE id = 1", "UPDATE m SET id = 90 WHERE id = 2", db=database
    )
    pair.b.script(
        "UPDATE m SET id = 20 WHERE id = 1", "UPDATE m SET id = 90, v = 9 WHERE id = 3", db=database
    )
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)["m"]
    assert found[0] == found[1]
    new = [row for (key,), row in found[0].items() if key not in {10, 20, 90}]
    assert (found[0][90,], [row[1] for row in new]) == ((90, 0), [9])
    assert {(c.kind, c.key) for c in syncer.conflicts()} == {(COLLISION, ("90",))}


@ON_TWO
def test_two_rows_that_got_one_key_are_decided_as_two_rows_under_it(pair, database, begin):
    syncer = begin("--rule", "prefer:b")
    rekey(pair.a, database, 1, 30, 1)
    rekey(pair.b, database, 2, 30, 2)
    # The same change of a key on both sides, and rows that swap theirs on one: no conflict of keys.
    rekey(pair.a, database, 3, 40, 7)
    rekey(pair.b, database, 3, 40, 7)
    pair.a.script(
        "START TRANSACTION",
        *(f"UPDATE n SET id = {new} WHERE id = {old}" for old, new in ((4, 6), (5, 4), (6, 5))),
        "COMMIT",
        db=database,
    )
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert found["n"][0][30,] == (30, 2, "o")
    assert sorted(key for (key,) in found["n"][0]) == [4, 5, 30, 40]
    applied = entries(syncer, "applied")
    assert {at: one["kind"] for at, one in applied.items()} == {
        ("n", "30"): COLLISION,
        ("w", "k30"): COLLISION,
    }
    one = applied["n", "30"]
    assert (one["a_old_key"], one["b_old_key"]) == (["1"], ["2"])
    assert (one["a_new_key"], one["b_new_key"]) == (["30"], ["30"])


@ON_TWO
def test_what_is_no_version_of_the_row_is_decided_by_itself(pair, database, begin):
    """A new spelling is no new key; a row that one side inserted anew is another one; a key that was changed and deleted is gone."""
    syncer = begin("--rule", "prefer:a")
    pair.a.script(
        "UPDATE w SET id = 'K1' WHERE id = 'k1'",
        "DELETE FROM n WHERE id = 1",
        "INSERT INTO n VALUES (1, 5, 'new')",
        "UPDATE n SET id = 11 WHERE id = 1",
        "UPDATE n SET id = 12 WHERE id = 2",
        "DELETE FROM n WHERE id = 12",
        db=database,
    )
    pair.b.script(
        "UPDATE w SET id = 'k21' WHERE id = 'k1'",
        "UPDATE n SET id = 21 WHERE id = 1",
        "UPDATE n SET id = 22 WHERE id = 2",
        db=database,
    )
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    assert sorted(key for (key,) in found["n"][0]) == [3, 4, 5, 11, 21, 22]
    assert [c for c in syncer.conflicts() if c.kind in {DIVERGENT, COLLISION}] == []


@ON_TWO
def test_rows_that_both_sides_give_new_keys_all_the_time_are_never_lost(pair, database, product):
    """Whatever meets in which cycle: every row stands under some key, equal on both sides; what lost has an entry."""
    rows = 60
    pair.script(
        "CREATE TABLE s (id BIGINT PRIMARY KEY, tag INT NOT NULL, INDEX (tag))",
        "INSERT INTO s VALUES " + ",".join(f"({n}, {n})" for n in range(rows)),
        db=database,
    )
    syncer = product("--rule", "prefer:a")
    syncer.until_in_sync()
    running = syncer.start()
    running.connected()
    stop = threading.Event()

    def shuffle(server, parity: int) -> None:
        chosen = random.Random(parity)
        new = 1000 + parity
        with contextlib.closing(server.connect(database=database, autocommit=True)) as connection:
            while not stop.is_set():
                new += 2
                with (
                    contextlib.suppress(pymysql.err.OperationalError),
                    connection.cursor() as cursor,
                ):
                    # A lock of the syncer's, or a deadlock with it: another row is changed next.
                    cursor.execute(
                        f"UPDATE s SET id = {new} WHERE tag = {chosen.randrange(rows)} ORDER BY id LIMIT 1"
                    )

    writers = [
        threading.Thread(target=shuffle, args=(server, parity))
        for parity, server in enumerate(pair.sides)
    ]
    for writer in writers:
        writer.start()
    wait_until(
        "units are decided",
        lambda: (len(entries(syncer, "applied")) > 20, len(entries(syncer, "applied"))),
    )
    stop.set()
    for writer in writers:
        writer.join()
    syncer.settled()
    running.stop().must(0)
    found = oracle.read_pair(pair, database)["s"]
    assert found[0] == found[1]
    assert {tag for _, tag in found[0].values()} == set(range(rows))
    kinds = {one["kind"] for one in entries(syncer, "applied").values()}
    assert DIVERGENT in kinds
