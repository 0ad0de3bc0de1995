"""Tables that leave the scope and come back, and held rows under a new policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed import oracle

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.provision import Pair
    from tests.integration.harness import Product

ON_MARIADB = pytest.mark.parametrize("pair", ["mariadb"], indirect=True)


def _create(pair: Pair, database: str, *tables: str) -> None:
    for server in pair.sides:
        for table in tables:
            server.query(f"CREATE TABLE `{database}`.`{table}` (id INT PRIMARY KEY, v VARCHAR(20))")


@ON_MARIADB
def test_a_table_that_was_left_out_for_a_while_is_compared_whole_when_it_comes_back(
    pair: Pair, database: str, make_product: Callable[..., Product]
) -> None:
    """Its changes of the meantime were not tailed: without the comparison they would be lost in silence."""
    _create(pair, database, "kept", "left")
    both = make_product(pair, tables=f"{database}.*")
    both.until_in_sync()
    without = make_product(pair, tables=f"{database}.kept")
    without.ledger = both.ledger
    pair.a.query(f"INSERT INTO `{database}`.`left` VALUES (1, 'unseen')")
    pair.a.query(f"INSERT INTO `{database}`.`kept` VALUES (1, 'seen')")
    without.until_in_sync()
    assert pair.b.query(f"SELECT * FROM `{database}`.`left`") == []
    both.until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    assert pair.b.query(f"SELECT v FROM `{database}`.`left`") == [("unseen",)]


@ON_MARIADB
def test_held_rows_are_decided_anew_under_another_policy(
    pair: Pair, database: str, make_product: Callable[..., Product]
) -> None:
    _create(pair, database, "t")
    pair.a.query(f"INSERT INTO `{database}`.t VALUES (1, 'a')")
    pair.b.query(f"INSERT INTO `{database}`.t VALUES (1, 'b')")
    held = make_product(pair, tables=f"{database}.*")
    report = held.until_in_sync(codes=(1,))
    assert report["last"]["held"] == 1
    decided = make_product(pair, "--rule", "prefer:b", tables=f"{database}.*")
    decided.ledger = held.ledger
    report = decided.until_in_sync()
    assert report["last"]["held"] == 0
    assert pair.a.query(f"SELECT v FROM `{database}`.t") == [("b",)]
