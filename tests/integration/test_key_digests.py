"""A chunk that differs in few rows: all of them are found, whatever the key is, and few others are read."""

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
    "old words": (
        "id VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci PRIMARY KEY",
        lambda i: f"'Wört {i:05d}, ~'",
    ),
    "bytes": ("id VARBINARY(8) PRIMARY KEY", lambda i: f"X'FEFF{i:04x}00'"),
    "fixed bytes": ("id BINARY(6) PRIMARY KEY", lambda i: f"X'{i:04x}00'"),
    "amounts": ("id DECIMAL(9,3) PRIMARY KEY", lambda i: f"{i - 1500}.250"),
    "times": (
        "id DATETIME(6) PRIMARY KEY",
        lambda i: f"'2024-01-01 00:00:00.5' + INTERVAL {i} SECOND",
    ),
    "pairs": ("t INT, id INT, PRIMARY KEY (t, id)", lambda i: f"{i % 7},{i}"),
    "mixtures": (
        "e ENUM('b','ä') CHARACTER SET latin1, y YEAR, b BIT(20), PRIMARY KEY (e, y, b)",
        lambda i: f"{1 + i % 2},{2000 + i % 5},{i}",
    ),
}


ONLY_A, ONLY_B, CHANGED = 6, 6, 10


def fill(pair, database, key):
    """Make 3,000 rows on both sides, of which some differ."""
    declared, key_of = KEYS[key]
    columns, _, primary = declared.partition(", PRIMARY")
    rest = f"n INT NOT NULL{', PRIMARY' + primary if primary else ''}"
    pair.script(f"CREATE TABLE `{key}` ({columns}, {rest})", db=database)
    for side, server in zip("ab", pair.sides, strict=True):
        rows = []
        for i in range(ROWS):
            if i % 500 == (101 if side == "b" else 102):
                continue
            rows.append(f"({key_of(i)},{-i if side == 'b' and i % 300 == 7 else i})")
        server.script(f"INSERT INTO `{key}` VALUES {','.join(rows)}", db=database)


def test_every_row_that_differs_is_found_and_few_others_are_read(pair, database, product):
    for key in KEYS:
        fill(pair, database, key)
    before = {key: oracle.read_table(pair.a, database, key) for key in KEYS}
    # The first chunk has no lower bound, the last no upper one, the second both.
    syncer = product("--direction", "a-to-b", "--chunk-size", "1200:1200")
    for told in syncer("verify", "--json").must(1).document()["tables"]:
        found = told["only_a"], told["only_b"], told["differing"]
        assert found == (ONLY_A, ONLY_B, CHANGED), told["table"]
    report = syncer.until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database), before) == []
    assert report["rows_read"] < 3 * len(KEYS) * (ONLY_A + ONLY_B + CHANGED)


def test_rows_of_one_chunk_after_another_are_written_together(pair, database, product):
    fill(pair, database, "numbers")
    syncer = product("--direction", "a-to-b", "--chunk-size", "100:100", "--threads", "1")
    report = syncer.until_in_sync()
    assert oracle.differences(oracle.read_pair(pair, database)) == []
    last = report["last"]["b"]
    assert last["applied_updates"] + last["applied_inserts"] + last["applied_deletes"] == 22
    assert last["transactions"] < 12, "18 chunks differ"  # a few of them begin the run


@pytest.mark.parametrize("pair", ["mixed"], indirect=True)
@pytest.mark.parametrize("every", [1, 10])
def test_documents_that_differ_as_texts_alone_are_no_difference(pair, database, product, every):
    """MySQL keeps a document in a form of its own, MariaDB as it was written: many keys come up, few of them differ."""
    pair.script("CREATE TABLE t (id INT PRIMARY KEY, d JSON, n INT NOT NULL)", db=database)
    for side, server in zip("ab", pair.sides, strict=True):
        rows = []
        for i in range(ROWS):
            text = f'{{"b":{i},"a":[1,2.50]}}' if i % every == 0 else f'{{"a": {i}}}'
            rows.append(f"({i},'{text}',{-1 if side == 'b' and i % 500 == 7 else 0})")
        server.script(f"INSERT INTO t VALUES {','.join(rows)}", db=database)
    syncer = product("--direction", "a-to-b", "--chunk-size", "1500:1500")
    [told] = syncer("verify", "--json").must(1).document()["tables"]
    assert (told["only_a"], told["only_b"], told["differing"]) == (0, 0, 6)
    report = syncer.until_in_sync()
    assert report["last"]["b"]["applied_updates"] == 6
    syncer("verify").must(0)


@pytest.mark.parametrize("pair", ["mariadb", "mysql"], indirect=True)
def test_keys_that_are_too_long_together_for_one_text_are_read_all_the_same(
    pair, database, product
):
    """A server cuts the text off at its max_allowed_packet, with no more than a warning."""
    limit = "max_allowed_packet"
    before = [server.query(f"SELECT @@GLOBAL.{limit}")[0][0] for server in pair.sides]
    pair.script("CREATE TABLE t (id VARBINARY(700) PRIMARY KEY, n INT NOT NULL)", db=database)
    for side, server in zip("ab", pair.sides, strict=True):
        rows = (
            f"(RPAD('{i:04d}',700,'x'),{int(side == 'b' and i % 500 == 499)})" for i in range(ROWS)
        )
        server.script(f"INSERT INTO t VALUES {','.join(rows)}", db=database)
    syncer = product("--direction", "a-to-b", "--chunk-size", f"{ROWS}:{ROWS}")
    try:
        pair.script(f"SET GLOBAL {limit} = 1048576")
        [told] = syncer("verify", "--json").must(1).document()["tables"]
        assert (told["chunks"], told["differing"]) == (1, 6)
        assert syncer.until_in_sync()["last"]["b"]["applied_updates"] == 6
        assert oracle.differences(oracle.read_pair(pair, database)) == []
    finally:
        for server, size in zip(pair.sides, before, strict=True):
            server.query(f"SET GLOBAL {limit} = {size}")
