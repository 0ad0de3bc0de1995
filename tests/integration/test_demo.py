"""The demonstration ends as it says; its proof finds what is wrong, and not only what it hopes for."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from testbed import demo, oracle
from testbed.binaries import ServerMissingError
from testbed.dataset import create, load
from testbed.demo_product import GRANTS, MARIADB_GRANTS
from testbed.demo_show import Tally, percentile
from testbed.demo_writers import RESERVED, Collision
from testbed.provision import describe
from testbed.workload import Log, RowWrite, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.provision import Pair

REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "testbed.demo"]


@pytest.fixture
def mariadb() -> None:
    try:
        describe("mariadb")
    except ServerMissingError as error:
        pytest.skip(f"NO MARIADB SERVER: {error}")


@pytest.mark.integration
@pytest.mark.usefixtures("mariadb")
def test_it_ends_in_sync_and_says_what_happened() -> None:
    done = subprocess.run(
        [*COMMAND, "--flavor", "mariadb", "--seconds", "3"],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    said = f"{done.stdout}\n--- stderr\n{done.stderr}"
    assert done.returncode == 0, said
    lines = done.stdout.splitlines()
    assert lines[-1] == "IN SYNC", said
    assert "14 rows differ or are missing on one side" in done.stdout
    for kind in ("update_update", "update_delete", "insert_insert"):
        assert kind in done.stdout, said
    assert "A to B" in done.stdout
    assert "written +" in done.stderr, said  # the product's progress


@pytest.mark.integration
@pytest.mark.usefixtures("mariadb")
def test_an_interrupted_one_leaves_nothing_behind() -> None:
    process = subprocess.Popen(
        [*COMMAND, "--flavor", "mariadb", "--seconds", "60"],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "  live  " in line:
                    break
            time.sleep(1)
            children = _descendants(process.pid)
            process.send_signal(signal.SIGINT)
            said = process.stdout.read()
            assert process.wait(60) == 130
        finally:
            process.kill()
    assert said.splitlines()[-1] == "demo: interrupted; everything is stopped"
    assert children  # the product, and the servers where they are processes of this machine
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def _descendants(pid: int) -> list[int]:
    children = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children += [int(word) for word in (task / "children").read_text().split()]
    return children


@pytest.fixture
def shop(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, make_database: Callable[[Pair], str]
) -> Iterator[Pair]:
    """Give a pair with the demonstration's data on both sides."""
    name = make_database(pair)
    monkeypatch.setattr(demo, "DB", name)
    for server in pair.sides:
        create(server, name)
        load(server, name, 200)
    return pair


@pytest.mark.parametrize("pair", ["mariadb"], indirect=True)
class TestTheProof:
    def test_equal_sides_that_hold_what_was_acknowledged_pass(self, shop: Pair) -> None:
        first = _first(shop)
        log = Log()
        for server in shop.sides:
            _write(server, "UPDATE counters SET value = 7 WHERE id = 11")
        before = first["counters"][11,]
        after = (*before[:2], 7, *before[3:])
        log.acknowledged.append(_transaction("counters", 11, before, after))
        lines, rows = demo.proof(shop, first, log)
        assert lines == []
        assert rows == sum(len(table) for table in first.values())

    def test_a_row_changed_behind_its_back_is_found(self, shop: Pair) -> None:
        first = _first(shop)
        _write(shop.b, "UPDATE orders SET total = total + 0.01 WHERE id = 11 OR id = 12")
        assert demo.unequal(shop) == 1  # the total of order 11 is NULL
        lines, _ = demo.proof(shop, first, Log())
        assert lines
        assert all(line.startswith("orders: ") and "(12,)" in line for line in lines)

    def test_a_row_gone_from_one_side_is_found(self, shop: Pair) -> None:
        first = _first(shop)
        _write(shop.a, "DELETE FROM customers WHERE id = 5")
        lines, _ = demo.proof(shop, first, Log())
        assert any(line.startswith("customers: A against B: (5,)") for line in lines)

    def test_a_write_lost_on_both_sides_alike_is_found(self, shop: Pair) -> None:
        first = _first(shop)
        before = first["counters"][11,]
        log = Log()
        log.acknowledged.append(_transaction("counters", 11, before, (*before[:2], 7, *before[3:])))
        assert demo.unequal(shop) == 0
        lines, _ = demo.proof(shop, first, log)
        assert [line.partition(": (")[0] for line in lines] == [
            "counters: A against the log",
            "counters: B against the log",
        ]

    def test_the_wrong_winner_is_found(self, shop: Pair) -> None:
        first = _first(shop)
        totals = {"a": Decimal("0.01"), "b": None}
        collision = Collision("update_delete", 12, "a", totals)  # type: ignore[arg-type]
        lines, _ = demo.proof(shop, first, Log(), [collision])
        assert lines == ["orders: 12: update_delete: the write of side A should have won"]

    def test_a_writer_in_trouble_is_reported(self, shop: Pair) -> None:
        lines, _ = demo.proof(shop, _first(shop), Log(trouble=["an own row is gone"]))
        assert lines == ["a writer met trouble: an own row is gone"]


def _first(pair: Pair) -> dict[str, oracle.Table]:
    return {name: a for name, (a, _) in oracle.read_pair(pair, demo.DB).items()}


def _write(server: Any, statement: str) -> None:
    server.script(statement, db=demo.DB)


def _transaction(table: str, key: int, before: Any, after: Any) -> Transaction:
    plain = [tuple(_plain(value) for value in row) for row in (before, after)]
    write = RowWrite(table, key, "update", plain[1], plain[0], "a1-1")
    return Transaction("a", "a1", 1, time.time(), (write,))


def _plain(value: Any) -> Any:
    return Decimal(value[1]) if isinstance(value, tuple) else value


class TestTheJournal:
    def test_what_was_done_and_nothing_else_passes(self) -> None:
        assert demo.unexplained([_collision()], [_entry()]) == []

    @pytest.mark.parametrize(
        "change",
        [
            {"winner": "b"},
            {"kind": "update_delete"},
            {"a_image": ["1", "9.99"]},
            {"b_image": None},
            {"table": "shop.customers"},
            {"key": ["7"]},
        ],
    )
    def test_an_entry_that_says_something_else_is_found(self, change: dict[str, Any]) -> None:
        assert demo.unexplained([_collision()], [_entry(**change)])

    def test_a_missing_entry_is_found(self) -> None:
        assert demo.unexplained([_collision()], [])

    def test_a_second_entry_is_found(self) -> None:
        assert demo.unexplained([_collision()], [_entry(), _entry()])
        assert demo.unexplained([], [_entry()])


def _collision() -> Collision:
    totals = {"a": Decimal("1.50"), "b": Decimal("2.00")}
    return Collision("update_update", RESERVED, "a", totals)  # type: ignore[arg-type]


def _entry(**change: Any) -> dict[str, Any]:
    entry = {
        "table": "shop.orders",
        "key": [str(RESERVED)],
        "kind": "update_update",
        "winner": "a",
        "columns": ["id", "total"],
        "a_image": ["1", "1.50"],
        "b_image": ["1", "2.00"],
    }
    return {"status": "applied", "entry": entry | change}


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([3.0], 0.5) == percentile([3.0], 0.99) == 3.0


def test_a_moved_row_counts_as_a_delete_and_an_insert() -> None:
    tally = Tally.of({"a.insert": 3, "a.move": 4, "b.update": 1}, {"a.insert": 1})
    assert tally.users == {"a.insert": 6, "a.delete": 2, "b.update": 1}


def test_the_readme_has_the_grants_that_the_demonstration_runs_with() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    for statement in (*GRANTS, *MARIADB_GRANTS):
        assert f"\n{statement};" in readme
    assert len(readme.splitlines()) <= 150
