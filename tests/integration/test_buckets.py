"""A large chunk that differs in few rows: all of them are found, and few others are read."""

from __future__ import annotations

import pytest

from testbed import oracle

ROWS = 3000
KEYS = {
    "numbers": ("id BIGINT PRIMARY KEY", lambda i: str(i * 3 - 4000)),
    "huge": (
        "id BIGINT UNSIGNED PRIMARY KEY",
        lambda i: str(i if i < ROWS // 2 else 2**64 - 1 - 5 * i),
    ),
    "wide": ("id BIGINT PRIMARY KEY", lambda i: str((-1) ** i * (2**63 - 1 - i))),
    "words": (
        "id VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY",
        lambda i: f"'Wört {i:05d} '",
    ),
    "pairs": ("t INT, id INT, PRIMARY KEY (t, id)", lambda i: f"{i % 7},{i}"),
}


@pytest.mark.parametrize("table", KEYS)
def test_every_row_that_differs_is_found(pair, database, product, table):
    declared, key = KEYS[table]
    columns, _, primary = declared.partition(", PRIMARY")
    pair.script(
        f"CREATE TABLE t ({columns}, n INT NOT NULL{', PRIMARY' + primary if primary else ''})",
        db=database,
    )
    for side, server in zip("ab", pair.sides, strict=True):
        rows = []
        for i in range(ROWS):
            if i % 500 == (101 if side == "a" else 102):
                continue
            rows.append(f"({key(i)},{-i if side == 'b' and i % 300 == 7 else i})")
        server.script(f"INSERT INTO t VALUES {','.join(rows)}", db=database)
    before = oracle.read_table(pair.a, database, "t")
    # The first chunk has no lower bound, the last no upper one, the second both.
    syncer = product("--direction", "a-to-b", "--chunk-size", "1200:1200")
    report = syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found, {"t": before}) == []
    assert report["rows_read"] < ROWS, "more than the buckets that differ was read"
