"""
Both sides change the same rows: the rule's winner stands on both sides, and no beaten write is lost without a word.

The writers take the time and count the version up while they hold the row's lock. Both therefore grow along every line of
writes that were built on each other, and a row that the product carries over is never older than what it replaces there. So
the rule names one winner among ALL acknowledged writes of a key: the greatest value (of A, where both sides have it).
"""

from __future__ import annotations

import pytest

from testbed import dataset, oracle
from testbed.workload import Workload
from tests.integration.harness import wait_until

COLUMNS = dataset.COLUMNS["orders"]
STAMP = COLUMNS.index("stamp")
SHARED = list(range(1, 160, 4))
NEW_KEYS = list(range(-20, 0))  # AUTO_INCREMENT never comes near them


def _rank(rule: str, transaction, write):
    """Order writes as the rule does; A before B where the values are equal, as ``--on-tie a`` says."""
    return (write.row[COLUMNS.index(rule.partition(":")[2])], transaction.side == "a")


def _inserted(log) -> int:
    return sum(write.key in NEW_KEYS and write.op == "insert" for _, write in log.writes("orders"))


@pytest.mark.parametrize("rule", ["newest:updated_at", "highest_version:version"])
def test_the_rules_winner_stands_and_every_beaten_write_is_journaled(
    pair, database, shop, product, write_for, rule
):
    first = shop(400)
    syncer = product("--rule", rule, "--on-delete", "update_wins", "--on-tie", "a")
    running = syncer.start()
    running.connected()
    syncer.settled()  # conflicts before the end of the baseline are possible ones
    shared = Workload.overlapping(pair, database, "orders", SHARED, rate=40)
    alone = Workload.disjoint(pair, database, keys=(200, 400), per_side=1, rate=25, log=shared.log)
    log = shared.log
    with shared, alone:
        for window in range(4):
            write_for(shared, 1.2, running)
            running.pause()  # both sides go their own ways: true conflicts for certain
            write_for(shared, 0.6)
            if window == 2:
                with Workload.overlapping(
                    *(pair, database, "orders", []),
                    insert_keys=NEW_KEYS,
                    rate=None,
                    log=log,
                    number=200,
                ):
                    wait_until(
                        "the same keys inserted on both sides",
                        lambda: (_inserted(log) == len(NEW_KEYS) * 2, _inserted(log)),
                    )
            running.resume()
    assert log.trouble == []
    syncer.settled()
    running.stop().must(0)

    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == [], str(running)
    history = oracle.History.of(log, "orders", COLUMNS)
    journal = [c for c in syncer.conflicts() if c.table == f"{database}.orders"]
    both = {key for key in history.writes if history.sides(key) == {"a", "b"}}
    assert len(both) > 30
    assert len(journal) > 30, "no real conflicts: the test shows nothing"

    # The rule's winner stands.
    for key in both:
        _, winner = max(history.writes[key], key=lambda item: _rank(rule, *item))
        final = found["orders"][0].get((key,))
        assert final is not None, f"{key} is gone\n{running}"
        assert final[STAMP] == winner.stamp, (
            key,
            final,
            [c for c in journal if c.key == (str(key),)],
        )
    # What only one side wrote is as that side left it.
    rows = {**first["orders"]}
    for _, write in log.writes("orders"):
        if write.key not in both:
            rows[write.key,] = write.row
    for (key,), row in rows.items():
        if key not in both:
            final = found["orders"][0].get((key,))
            assert (final and final[STAMP]) == (row and row[STAMP]), key
    _check_journal(history, journal, found["orders"][0])
    # The journal names this rule, and its winner is the rule's.
    column = rule.partition(":")[2]
    for conflict in journal:
        a, b = (conflict.value(side, column) for side in "ab")
        assert conflict.status == "applied", conflict
        if a == b:
            assert (conflict.rule, conflict.winner) == ("on_tie=a", "a"), conflict
        else:
            assert conflict.rule == rule, conflict
            order = int if column == "version" else str
            assert (conflict.winner == "a") == (order(a) > order(b)), conflict
    assert {c.kind for c in journal} == {"insert_insert", "update_update"}


def _check_journal(history, journal, final) -> None:
    """Every acknowledged write is in the final row's past or beaten; nothing else is called a conflict."""
    beaten: dict[int, list[str | None]] = {}
    for conflict in journal:
        (text,) = conflict.key
        key = int(text)
        assert history.sides(key) == {"a", "b"}, f"one side wrote it: {conflict}"
        winner, loser = (
            conflict.value(side, "stamp") for side in (conflict.winner, conflict.loser)
        )
        beaten.setdefault(key, []).append(loser)
        if winner is not None and loser is not None:
            assert loser not in history.line(key, winner), f"the winner was built on it: {conflict}"
            assert winner not in history.line(key, loser), f"a newer write was beaten: {conflict}"
    for key, writes in history.writes.items():
        if history.sides(key) != {"a", "b"}:
            continue
        row = final.get((key,))
        lost = history.lost(key, row[STAMP] if row else None, beaten.get(key, []))
        told = [w for _, w in writes if w.stamp in lost]
        assert not lost, (
            f"{key}: lost without a word: {told}; final {row}; beaten {beaten.get(key)}"
        )


@pytest.mark.parametrize("on_delete", ["update_wins", "delete_wins", "hold"])
def test_a_delete_against_an_update_follows_on_delete(pair, database, shop, product, on_delete):
    """Both are done while no syncer runs, so that every key is a conflict for certain."""
    shop(60)
    syncer = product("--rule", "newest:updated_at", "--on-delete", on_delete, "--on-tie", "a")
    syncer.until_in_sync()
    # 1: A deletes, B updates; 2: the reverse; 3: both delete; 6: A deletes alone; 7: B updates alone
    pair.a.script(
        "DELETE FROM orders WHERE id IN (1, 3, 6)",
        "UPDATE orders SET status = 'live-a', updated_at = NOW(6) WHERE id = 2",
        db=database,
    )
    pair.b.script(
        "DELETE FROM orders WHERE id IN (2, 3)",
        "UPDATE orders SET status = 'live-b', updated_at = NOW(6) WHERE id IN (1, 7)",
        db=database,
    )
    held = on_delete == "hold"
    report = syncer.until_in_sync(codes=(1,) if held else (0,))
    a, b = (
        dict(server.query("SELECT id, status FROM orders", db=database)) for server in pair.sides
    )
    journal = sorted((c.key[0], c.kind, c.winner, c.status, c.rule) for c in syncer.conflicts())
    rule = f"on_delete={on_delete}"
    winners = {"update_wins": ("b", "a"), "delete_wins": ("a", "b"), "hold": (None, None)}[
        on_delete
    ]
    status = "held" if held else "applied"
    assert journal == [
        ("1", "update_delete", winners[0], status, rule),
        ("2", "update_delete", winners[1], status, rule),
    ]
    for side in (a, b):
        assert 3 not in side
        assert 6 not in side
        assert side[7] == "live-b"
    if held:
        assert (a.get(1), b.get(1)) == (None, "live-b")
        assert (a.get(2), b.get(2)) == ("live-a", None)
        assert report["last"]["held"] == 2
    else:
        live = {1: "live-b", 2: "live-a"} if on_delete == "update_wins" else {1: None, 2: None}
        assert {key: a.get(key) for key in live} == live
        assert oracle.differences(oracle.read_pair(pair, database)) == []
    # Both images are kept: the row that lives or lived, and the absence.
    for conflict in syncer.conflicts():
        live_side = "b" if conflict.key == ("1",) else "a"
        assert conflict.value(live_side, "status") == f"live-{live_side}"
        assert conflict.images["a" if live_side == "b" else "b"] is None


def test_deletes_and_updates_of_the_same_rows_under_load_lose_nothing(
    pair, database, shop, product, write_for
):
    shop(400)
    syncer = product("--rule", "newest:updated_at", "--on-delete", "update_wins", "--on-tie", "a")
    running = syncer.start()
    running.connected()
    syncer.settled()  # conflicts before the end of the baseline are possible ones
    with Workload.overlapping(
        pair, database, "orders", list(range(1, 400)), rate=60, deletes=0.2
    ) as workload:
        write_for(workload, 4, running)
    assert workload.log.trouble == []
    syncer.settled()
    running.stop().must(0)
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == [], str(running)
    history = oracle.History.of(workload.log, "orders", COLUMNS)
    _check_journal(history, syncer.conflicts(), found["orders"][0])


def test_one_way_overwrites_and_journals_what_the_target_changed(pair, database, shop, product):
    first = shop(60)
    syncer = product("--direction", "a-to-b")
    syncer.until_in_sync()
    pair.b.script(
        "UPDATE orders SET status = 'mine' WHERE id = 1",
        "DELETE FROM orders WHERE id = 2",
        "INSERT INTO orders (id, customer_id, status, updated_at) VALUES (900, 1, 'new', NOW(6))",
        db=database,
    )
    pair.a.script("UPDATE orders SET status = 'theirs' WHERE id IN (3, 4)", db=database)
    pair.b.script("UPDATE orders SET status = 'mine' WHERE id = 4", db=database)
    syncer.until_in_sync()
    found = oracle.read_pair(pair, database)
    assert oracle.differences(found) == []
    wanted = dict(first["orders"])
    for key in (3, 4):
        row = list(wanted[key,])
        row[COLUMNS.index("status")] = "theirs"
        wanted[key,] = tuple(row)
    assert oracle.differences({"orders": found["orders"]}, {"orders": wanted}) == []
    journal = {c.key[0]: c for c in syncer.conflicts()}
    assert journal.keys() == {"1", "2", "4", "900"}
    for key, status in (("1", "mine"), ("4", "mine"), ("900", "new")):
        assert journal[key].winner == "a"
        assert journal[key].status == "applied"
        assert journal[key].value("b", "status") == status, journal[key]
    assert journal["2"].images["b"] is None
