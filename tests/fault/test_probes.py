"""Killed at every step of the protocol under writes on both sides: what was acknowledged is there, nothing else is."""

from __future__ import annotations

import itertools

import pytest

from syncer.core.side import SIDES
from syncer.service.probes import Moment
from testbed.workload import Workload
from tests.fault.runner import FULL, check_nothing_lost, present, start_doomed
from tests.figures import totals
from tests.integration.harness import syncer as command
from tests.integration.harness import wait_until

_SIDED = (
    Moment.EPOCH_RAISED,
    Moment.RECORD_BEFORE,
    Moment.RECORD_AFTER,
    Moment.SNAPSHOT,
    Moment.UPPER,
    Moment.APPLY_BEFORE,
    Moment.APPLY_LOCKED,
    Moment.APPLY_WRITTEN,
    Moment.APPLY_COMMITTED,
    Moment.APPLY_FINISHED,
)
_ONCE = (Moment.EPOCH_RAISED, Moment.SETTLE_BEFORE, Moment.SETTLE_AFTER)
"""A run passes them once; the others are met later too, in the middle of the work."""


def _probes() -> list[str]:
    """Name every moment, on both sides in the full form, on one in the short one."""
    found = []
    for number, moment in enumerate(one for one in Moment if one is not Moment.REDEFINED):
        sides = SIDES if FULL else (SIDES[number // 2 % 2],)
        found += [f"{moment}.{side}" for side in sides] if moment in _SIDED else [str(moment)]
    return [*found, "between.a_b", "between.b_a"]


FLAVORS = ("mariadb", "mysql")
SHORT = ("mariadb", "mysql", "mixed")
"""One after the other in the short form; the full form has every probe on both flavours, and every third on the mixed pair."""
SPANS = {Moment.SPAN_BEFORE, Moment.SPAN_AFTER}


def _count(probe: str, turn: int) -> int:
    """Die at the first passing and, where there are more, at a later one."""
    if probe.startswith(_ONCE) or probe.startswith("between"):
        return 1
    if probe in SPANS:
        return 12  # in the middle of the baseline
    return (1, 4, 9)[turn % 3]


def _cases() -> list[object]:
    shorts = itertools.cycle(SHORT)
    found = []
    for turn, probe in enumerate(_probes()):
        short = next(shorts)
        for pair in {*FLAVORS, short} if FULL else (short,):
            count = _count(probe, turn)
            found.append(pytest.param(pair, f"{probe}:{count}", id=f"{pair}-{probe}-{count}"))
    return sorted(found, key=lambda case: str(case.id))


@pytest.mark.parametrize(("pair", "probe"), _cases(), indirect=["pair"])
def test_killed_at_a_moment_everything_acknowledged_is_there(pair, database, shop, product, probe):
    baseline = probe.partition(":")[0] in SPANS
    shop(1500 if baseline else 200, foreign_keys=True)
    syncer = product("--chunk-size", "10:10")
    if not baseline:
        syncer.until_in_sync()
    first = present(pair, database)
    # Single keys go before the baseline: it must get its turn on a machine that is busy with all else.
    workload = Workload.disjoint(pair, database, rate=5 if baseline else 25, seed=len(probe))
    doomed = start_doomed(syncer, probe)
    if baseline:
        # What was written before the first comparison began has no history.
        doomed.wait_event("baseline", lambda event: event.get("event") == "baseline.started")
    with workload:
        doomed.dies()
        wait_until("writes", lambda: (len(workload.log.acknowledged) > 10, workload.log.counts()))
    syncer.until_in_sync()
    assert check_nothing_lost(pair, database, first, workload) > 0
    # A row met by its event before its table's first comparison counts as a possible conflict; its change wins.
    assert [c for c in syncer.conflicts() if not (baseline and c.possible)] == []
    totals[f"probes killed on {pair.name}"] += 1


COPY_PROBES = (
    "intent.after:2",
    "apply.committed.b:1",
    "apply.finished.b:1",
    "apply.before.b:3",
    "apply.committed.b:2",
)
"""The last two kill it with several ranges under way."""


@pytest.mark.parametrize(
    ("pair", "probe"),
    [
        pytest.param(pair, probe, id=f"{pair}-{probe}")
        for turn, probe in enumerate(COPY_PROBES)
        for pair in (FLAVORS if FULL else (FLAVORS[turn % 2],))
    ],
    indirect=["pair"],
)
def test_killed_while_ranges_are_copied(pair, database, product, probe):
    """The copy goes on behind what the target has (INV-13): a range sent twice would be refused as a whole."""
    rows = 90_000
    pair.script(
        "CREATE TABLE copied (id INT PRIMARY KEY, text VARCHAR(80) NOT NULL)",
        "CREATE TABLE digits (n INT PRIMARY KEY)",
        "INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
        db=database,
    )
    pair.a.script(
        "INSERT INTO copied SELECT n, REPEAT('t', 60) FROM (SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS n"
        " FROM digits a, digits b, digits c, digits d, digits e) numbers "
        f"WHERE n < {rows}",
        db=database,
    )
    syncer = product("--threads", "3")
    start_doomed(syncer, probe).dies()
    syncer.until_in_sync()
    inserted = syncer.status()["summary"]["counters"]["applied.b.insert"]
    before = rows - inserted
    assert 0 <= before <= rows
    assert len(present(pair, database)["copied"]) == rows
    totals["probes killed on " + pair.a.flavor] += 1


CATCH_UP_PROBES = (
    "intent.after:2",
    "apply.written.b:2",
    "apply.committed.b:1",
    "apply.committed.b:4",
)
"""All kill it with two transactions at side B under way, one of which may be through."""


@pytest.mark.parametrize(
    ("pair", "probe"),
    [
        pytest.param(pair, probe, id=f"{pair}-{probe}")
        for turn, probe in enumerate(CATCH_UP_PROBES)
        for pair in (FLAVORS if FULL else (FLAVORS[turn % 2],))
    ],
    indirect=["pair"],
)
def test_killed_while_several_transactions_are_under_way(pair, database, product, probe):
    """What either of them wrote is known as ours by its own marker row (INV-13): else side A's next change would be a conflict."""
    rows = 6_000
    digits = " UNION ALL ".join(f"SELECT {n} AS n" for n in range(10))
    numbers = f"SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n AS n FROM ({digits}) a, ({digits}) b, ({digits}) c, ({digits}) d"
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)",
        f"INSERT INTO t SELECT n, 0 FROM ({numbers}) numbers WHERE n < {rows}",
        db=database,
    )
    syncer = product("--threads", "2")
    syncer.until_in_sync()
    pair.a.script("UPDATE t SET n = n + 1 ORDER BY id DESC", db=database)
    start_doomed(syncer, probe).dies()
    pair.a.script("UPDATE t SET n = n + 1", db=database)
    syncer.until_in_sync()
    assert set(present(pair, database)["t"].values()) == {(key, 2) for key in range(rows)}
    assert syncer.conflicts() == []
    totals[f"probes killed on {pair.name}"] += 1


@pytest.mark.parametrize("pair", FLAVORS if FULL else FLAVORS[:1], indirect=True)
def test_killed_before_an_altered_table_is_marked_whole(pair, database, product):
    """No binlog tells of the change, so no other mark tells of what was written with it (INV-21)."""
    pair.script(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
        db=database,
    )
    syncer = product("--rule", "prefer:a")
    syncer.until_in_sync()
    doomed = start_doomed(syncer, "definitions.taken")
    doomed.connected()
    syncer.settled()
    for server, value in zip(pair.sides, (5, 6), strict=True):
        server.script(
            "SET SESSION sql_log_bin = 0",
            f"ALTER TABLE t ADD COLUMN x INT NOT NULL DEFAULT {value}",
            db=database,
        )
    # The first row that does not fit what is known of the table gives the change away.
    pair.a.script("UPDATE t SET n = 10 WHERE id = 1", db=database)
    doomed.dies()
    syncer.until_in_sync()
    assert present(pair, database)["t"] == {(1,): (1, 10, 5), (2,): (2, 2, 5), (3,): (3, 3, 5)}
    totals[f"probes killed on {pair.name}"] += 1


MERGE_PROBES = (
    "apply.committed.a:1",  # A has the merged row, the ledger does not know
    "apply.finished.a:1",  # the ledger knows, and nothing has gone to B yet
    "apply.written.a:1",  # A is about to have it
    "apply.committed.b:1",  # it has gone on to B, the ledger does not know
)
MERGING = """
[policy]
rule = "delta:n then column_merge then hold"
on_delete = "hold"
"""


@pytest.mark.parametrize(
    ("pair", "probe"),
    [
        pytest.param(pair, probe, id=f"{pair}-{probe}")
        for turn, probe in enumerate(MERGE_PROBES if FULL else MERGE_PROBES[:2])
        for pair in (FLAVORS if FULL else (FLAVORS[turn % 2],))
    ],
    indirect=["pair"],
)
def test_killed_while_rows_are_merged(pair, database, product, tmp_path, probe):
    """What both sides counted is counted once, and what each changed is there (INV-16)."""
    rows = 20
    pair.script(
        "CREATE TABLE counted (id INT PRIMARY KEY, n INT NOT NULL, a INT NOT NULL, b INT NOT NULL)",
        "INSERT INTO counted VALUES " + ",".join(f"({key},100,0,0)" for key in range(rows)),
        db=database,
    )
    (tmp_path / "merging.toml").write_text(MERGING, "utf-8")
    syncer = product("--config", tmp_path / "merging.toml")
    syncer.until_in_sync()
    for server, name, more in ((pair.a, "a", 1), (pair.b, "b", 20)):
        server.script(f"UPDATE counted SET n=n+{more}, {name}=1", db=database)
    start_doomed(syncer, probe).dies()
    for server, name, more in ((pair.a, "a", 300), (pair.b, "b", 4000)):
        server.script(f"UPDATE counted SET n=n+{more}, {name}=2 WHERE id % 2 = 0", db=database)
    syncer.until_in_sync()
    expected = {
        (key,): (key, 121 if key % 2 else 4421, *((1, 1) if key % 2 else (2, 2)))
        for key in range(rows)
    }
    assert present(pair, database)["counted"] == expected
    totals[f"probes killed on {pair.name}"] += 1


FAMILY = """
[engine]
retry_limit = 2
[policy]
on_fk = "cascade"
"""
FAMILY_PROBES = (
    "apply.written.a:1",  # children are about to go
    "apply.committed.a:1",  # they are gone, the ledger does not know
    "apply.finished.a:1",  # the ledger knows, and their parent is still there
    "intent.after:1",  # whatever is refused first
)


@pytest.mark.parametrize(
    ("pair", "probe"),
    [
        pytest.param(pair, probe, id=f"{pair}-{probe}")
        for turn, probe in enumerate(FAMILY_PROBES if FULL else FAMILY_PROBES[1:3])
        for pair in (FLAVORS if FULL else (FLAVORS[turn % 2],))
    ],
    indirect=["pair"],
)
def test_killed_while_a_family_is_settled(pair, database, product, tmp_path, probe):
    """What was decided is done or decided again; each row that goes is journaled once (INV-8, INV-13)."""
    pair.script(
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id))",
        "CREATE TABLE g (id INT PRIMARY KEY, c INT, FOREIGN KEY (c) REFERENCES c (id))",
        "INSERT INTO p VALUES (1), (2)",
        "INSERT INTO c VALUES (2, 2)",
        db=database,
    )
    (tmp_path / "family.toml").write_text(FAMILY, "utf-8")
    syncer = product("--config", tmp_path / "family.toml")
    syncer.until_in_sync()
    pair.a.script(
        "INSERT INTO c VALUES (10, 1), (11, 1)", "INSERT INTO g VALUES (100, 10)", db=database
    )
    pair.b.script("DELETE FROM p WHERE id = 1", db=database)
    start_doomed(syncer, probe).dies()
    syncer.until_in_sync()
    found = present(pair, database)
    assert {name: list(rows) for name, rows in found.items()} == {"p": [(2,)], "c": [(2,)], "g": []}
    journal = [(c.table.split(".")[1], *c.key, c.status) for c in syncer.conflicts()]
    assert sorted(one for one in journal if one[-1] == "applied") == [
        *(("c", "10", "applied"), ("c", "11", "applied"), ("g", "100", "applied")),
    ]
    assert {status for *_, status in journal} <= {"applied", "superseded"}
    totals[f"probes killed on {pair.name}"] += 1


@pytest.mark.parametrize("pair", FLAVORS if FULL else FLAVORS[1:], indirect=True)
def test_undone_between_a_merge_and_its_way_to_the_other_side(pair, database, product, tmp_path):
    """Both writes are one decision: who undoes the second alone is asked whose row is to stand, as for the first (INV-16)."""
    pair.script(
        "CREATE TABLE counted (id INT PRIMARY KEY, n INT NOT NULL, a INT NOT NULL, b INT NOT NULL)",
        "INSERT INTO counted VALUES (1,100,0,0), (2,100,0,0), (3,100,0,0)",
        db=database,
    )
    (tmp_path / "merging.toml").write_text(MERGING, "utf-8")
    syncer = product("--config", tmp_path / "merging.toml")
    syncer.until_in_sync()

    def both_count(key: int) -> None:
        for server, name, more in ((pair.a, "a", 1), (pair.b, "b", 20)):
            server.script(f"UPDATE counted SET n=n+{more}, {name}=1 WHERE id={key}", db=database)

    def undo(*words: str):
        return command("undo", *words, "--json", "--ledger", syncer.ledger, cwd=syncer.folder)

    def merged_at_a() -> int:
        """Die where side A has the merged row and side B has not; give the epoch of the run that comes next."""
        start_doomed(syncer, "apply.finished.a:1").dies()
        return int(syncer.status()["summary"]["epoch"]) + 1

    # Asked while it is on its way: side A's row is guarded by the merge, and side B's is overwritten by what stands again.
    both_count(1)
    merged_at_a()
    assert len(undo("--since", "1h").must(1).document()["left"]) == 1
    undo("--since", "1h", "--merged", "a").must(0)
    syncer.until_in_sync()
    assert present(pair, database)["counted"][1,] == (1, 101, 1, 0)

    # The next run carries it, and that run alone is undone.
    both_count(2)
    epoch = merged_at_a()
    syncer.until_in_sync()
    assert present(pair, database)["counted"][2,] == (2, 121, 1, 1)
    asked = undo("--run", str(epoch)).must(1).document()
    assert (asked["rows"], [one["key"] for one in asked["left"]]) == ([], [["2"]])
    assert "made one row of both" in asked["left"][0]["reason"]
    undo("--run", str(epoch), "--merged", "b").must(0)
    syncer.until_in_sync()
    assert present(pair, database)["counted"][2,] == (2, 120, 0, 1)

    # What was written to side B by itself is undone by itself.
    pair.a.script("UPDATE counted SET n=7 WHERE id=3", db=database)
    syncer.until_in_sync()
    epoch = int(syncer.status()["summary"]["epoch"])
    undo("--run", str(epoch)).must(0)
    syncer.until_in_sync()
    assert present(pair, database)["counted"][3,] == (3, 100, 0, 0)
