"""Key columns whose collations differ: what is one key on side B alone, and what is one on side A alone."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.parametrize("pair", ["mixed"], indirect=True)
FINE, COARSE = "utf8mb4_0900_ai_ci", "utf8mb4_general_ci"
"""MySQL's default, and MariaDB's: there all characters beyond the basic plane are one, and trailing spaces are nothing."""


@pytest.fixture
def tagged(pair, database):
    """A table of that kind, and one that has nothing to do with it."""
    for server, collation in zip(pair.sides, (FINE, COARSE), strict=True):
        server.script(
            f"CREATE TABLE {database}.tag (name VARCHAR(30) COLLATE {collation} PRIMARY KEY, v INT)",
            f"CREATE TABLE {database}.other (id INT PRIMARY KEY, v INT)",
            f"INSERT INTO {database}.other VALUES (1, 1)",
        )
    return database


def rows(server, database, table="tag"):
    return {tuple(row) for row in server.query(f"SELECT * FROM {database}.{table}")}


@pytest.mark.parametrize("at_start", [True, False])
def test_two_keys_that_are_one_at_the_target_are_held_and_nothing_waits_for_them(
    pair, tagged, product, at_start
):
    synced = product("--rule", "prefer:a")
    if not at_start:
        synced.until_in_sync()
    pair.a.script(
        f"INSERT INTO {tagged}.tag VALUES ('😀', 1), ('😁', 2), ('plain', 3)",
        f"UPDATE {tagged}.other SET v = v + 1",
    )
    synced.until_in_sync(codes=(1,))
    assert rows(pair.b, tagged) == {("plain", 3)}
    assert rows(pair.b, tagged, "other") == {(1, 2)}
    assert {c.kind for c in synced.conflicts("held")} == {"unique_violation"}
    pair.a.script(f"DELETE FROM {tagged}.tag WHERE name = '😁'")
    synced.until_in_sync()
    assert rows(pair.a, tagged) == rows(pair.b, tagged) == {("plain", 3), ("😀", 1)}


@pytest.mark.parametrize("newer", ["a ", "A\u0301 "])
def test_a_key_that_is_another_row_s_at_the_target_is_held_and_that_row_stays(
    pair, tagged, product, newer
):
    """By its own collation side A finds one of them alone; what side B finds for it is looked for on side A as well."""
    synced = product("--rule", "prefer:a")
    pair.a.script(f"INSERT INTO {tagged}.tag VALUES ('{newer.strip()}', 1)")
    synced.until_in_sync()
    pair.a.script(f"INSERT INTO {tagged}.tag VALUES ('{newer}', 2)")
    synced.until_in_sync(codes=(1,))
    assert rows(pair.b, tagged) == {(newer.strip(), 1)}
    assert {c.kind for c in synced.conflicts("held")} == {"unique_violation"}
    pair.a.script(f"DELETE FROM {tagged}.tag WHERE v = 1")
    synced.until_in_sync()
    assert rows(pair.a, tagged) == rows(pair.b, tagged) == {(newer, 2)}


def test_two_keys_that_are_one_at_side_a_are_held(pair, tagged, product):
    for server, collation in zip(pair.sides, (COARSE, "utf8mb4_bin"), strict=True):
        server.script(
            f"CREATE TABLE {tagged}.word (name VARCHAR(30) COLLATE {collation} PRIMARY KEY, v INT)"
        )
    synced = product()
    synced.until_in_sync()
    pair.b.script(f"INSERT INTO {tagged}.word VALUES ('e', 1), ('é', 2), ('plain', 3)")
    synced.until_in_sync(codes=(1,))
    assert rows(pair.a, tagged, "word") == {("plain", 3)}
    assert {c.kind for c in synced.conflicts("held")} == {"unique_violation"}
    pair.b.script(f"DELETE FROM {tagged}.word WHERE v = 1")
    synced.until_in_sync()
    assert rows(pair.a, tagged, "word") == rows(pair.b, tagged, "word") == {("plain", 3), ("é", 2)}


def test_keys_whose_weights_tell_them_apart_and_that_are_one_all_the_same_end_held(
    pair, tagged, product, tmp_path
):
    """A space and what weighs nothing behind it: no weights say that the target pads it away."""
    pair.script(
        f"CREATE TABLE {tagged}.odd (name VARCHAR(30) COLLATE utf8mb4_unicode_ci PRIMARY KEY, v INT)"
    )
    pair.a.script(f"ALTER TABLE {tagged}.odd MODIFY name VARCHAR(30) COLLATE {FINE}")
    config = tmp_path / "few_tries.toml"
    config.write_text("[engine]\nretry_limit = 2\n")
    synced = product("-c", str(config))
    synced.until_in_sync()
    pair.a.script(
        f"INSERT INTO {tagged}.odd VALUES ('a', 1), ('a \u200b', 2), ('plain', 3)",
        f"UPDATE {tagged}.other SET v = v + 1",
    )
    synced.until_in_sync(codes=(1,))
    assert rows(pair.b, tagged, "other") == {(1, 2)}
    assert len(rows(pair.b, tagged, "odd")) == 2
    assert {c.kind for c in synced.conflicts("held")} == {"unique_violation"}
