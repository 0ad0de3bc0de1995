"""
Random transactions on both sides of two real servers, random batch sizes, random kills: an oracle decides.

A few keys only, so that everything collides. ``SYNCER_RANDOM=200`` tries so many examples on every pair (and makes a failure
smaller); otherwise there are a few, on one pair, another one each day. A failure prints its example and how to repeat it.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import pymysql
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from syncer.service.probes import Moment
from testbed import dataset, oracle
from testbed.provision import Pair, PairName
from testbed.workload import Log, RowWrite, Transaction
from tests.fault.runner import start_doomed
from tests.figures import totals
from tests.soak.verdict import COLUMNS, judge

if TYPE_CHECKING:
    from tests.integration.harness import Product

WANTED = int(os.environ.get("SYNCER_RANDOM", "0"))
ALL = list(get_args(PairName))
PAIRS = ALL if WANTED else [ALL[dt.datetime.now(dt.UTC).toordinal() % len(ALL)]]
PHASES = tuple(phase for phase in Phase if WANTED or phase is not Phase.shrink)

KEYS = range(1, 6)
RULES = (
    ("--rule", "newest:updated_at", "--on-delete", "update_wins", "--on-tie", "a"),
    ("--rule", "newest:updated_at", "--on-delete", "delete_wins", "--on-tie", "b"),
    ("--rule", "highest_version:version", "--on-delete", "update_wins", "--on-tie", "b"),
    ("--rule", "prefer:b"),
)
RETRY = {1213, 1205, 1020, 1062}

changes = st.tuples(
    st.sampled_from(("touch", "touch", "delete", "move")),
    st.sampled_from(KEYS),
    st.sampled_from(KEYS),
)
transactions = st.tuples(st.sampled_from("ab"), st.lists(changes, min_size=1, max_size=3))
probes = st.tuples(
    st.sampled_from([*map(str, Moment), "between.a_b", "between.b_a"]), st.sampled_from((1, 1, 2))
).map(lambda drawn: f"{drawn[0]}:{drawn[1]}")


@dataclass(frozen=True)
class Turn:
    """What is written before a run, what during it, and where the run is killed, if it comes by there."""

    before: list
    during: list
    probe: str | None


turns = st.builds(
    Turn,
    st.lists(transactions, min_size=1, max_size=8),
    st.lists(transactions, max_size=4),
    st.one_of(st.none(), probes, probes),
)


class Session:
    """Runs transactions on one side and keeps what was acknowledged."""

    def __init__(self, side, connection, log: Log, numbers) -> None:
        self.side, self.connection, self.log, self.numbers = side, connection, log, numbers
        self.rng = random.Random(1)

    def run(self, wanted) -> None:
        for _ in range(100):
            cursor = self.connection.cursor()
            try:
                self.connection.begin()
                writes, used = [], set()
                for kind, key, target in wanted:
                    if key not in used and (kind != "move" or target not in {key, *used}):
                        writes += self._change(cursor, kind, key, target)
                        used |= {key, target} if kind == "move" else {key}
                sent = dataset.now().timestamp()
                self.connection.commit()
            except pymysql.err.MySQLError as error:
                self.connection.rollback()
                if error.args[0] not in RETRY:
                    raise
                continue
            at = dataset.now().timestamp()
            if writes:
                self.log.acknowledged.append(
                    Transaction(self.side, self.side, next(self.numbers), at, tuple(writes), sent)
                )
            return
        raise AssertionError("no transaction went through")

    def _change(self, cursor, kind, key, target) -> list[RowWrite]:
        row = self._locked(cursor, key)
        stamp = f"{self.side}-{next(self.numbers)}"
        if kind == "touch" and row is None:
            new = dataset.new_row("orders", self.rng, stamp, customer_id=1) | {"id": key}
            return [self._insert(cursor, new)]
        if row is None or (kind == "move" and self._locked(cursor, target) is not None):
            return []
        if kind == "touch":
            new = row | dataset.some_changes("orders", self.rng)
            new |= {"version": row["version"] + 1, "updated_at": dataset.now(), "stamp": stamp}
            sets = ", ".join(f"{name} = %s" for name in COLUMNS)
            values = [new[name] for name in COLUMNS]
            cursor.execute(f"UPDATE orders SET {sets} WHERE id = %s", [*values, key])
            return [self._write("update", key, row, new, stamp)]
        if kind == "delete":
            cursor.execute("DELETE FROM orders WHERE id = %s", [key])
            return [self._write("delete", key, row, None, stamp)]
        now = dataset.now()
        cursor.execute(
            "UPDATE orders SET id = %s, version = version + 1, updated_at = %s, stamp = %s WHERE id = %s",
            [target, now, stamp, key],
        )
        moved = row | {"id": target, "version": row["version"] + 1}
        moved |= {"updated_at": now, "stamp": stamp}
        return [
            self._write("delete", key, row, None, f"{stamp}-gone"),
            self._write("insert", target, None, moved, stamp),
        ]

    def _locked(self, cursor, key) -> dict | None:
        cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM orders WHERE id = %s FOR UPDATE", [key])
        found = cursor.fetchone()
        return found and dict(zip(COLUMNS, found, strict=True))

    def _insert(self, cursor, row) -> RowWrite:
        marks = ", ".join(["%s"] * len(row))
        cursor.execute(
            f"INSERT INTO orders ({', '.join(row)}) VALUES ({marks})", list(row.values())
        )
        return self._write("insert", row["id"], None, row, row["stamp"])

    def _write(self, op, key, before, after, stamp) -> RowWrite:
        images = [row and tuple(row[name] for name in COLUMNS) for row in (after, before)]
        return RowWrite("orders", key, op, *images, stamp)


@pytest.mark.parametrize("pair", PAIRS, indirect=True)
def test_whatever_is_written_and_killed_nothing_is_lost(pair: Pair, database, make_product):
    """One ledger sees all examples; each begins with rows that are equal on both sides."""
    for server in pair.sides:
        dataset.create(server, database)
    syncer: Product = make_product(pair, tables=f"{database}.*")
    syncer.until_in_sync()
    numbers = itertools.count(1)
    seen = [0]

    @settings(
        max_examples=WANTED or 10,
        phases=PHASES,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(
        present=st.sets(st.sampled_from(KEYS)),
        turns=st.lists(turns, min_size=1, max_size=2),
        batch_rows=st.sampled_from((1, 2, 3, 1000)),
        rule=st.sampled_from(RULES),
    )
    def example(present, turns, batch_rows, rule):
        config = syncer.folder / f"batch-{batch_rows}.toml"
        config.write_text(f"[engine]\nbatch_rows = {batch_rows}\n")
        syncer.options = [*rule, "-c", str(config)]
        _begin(pair, database, syncer, present)
        first = {name: both[0] for name, both in oracle.read_pair(pair, database).items()}
        log = Log()
        with ExitStack() as stack:
            sessions = {}
            for side, server in zip("ab", pair.sides, strict=True):
                connection = stack.enter_context(
                    server.connect(database=database, autocommit=False)
                )
                connection.cursor().execute("SET SESSION time_zone = '+00:00'")
                sessions[side] = Session(side, connection, log, numbers)
            for turn in turns:
                for side, wanted in turn.before:
                    sessions[side].run(wanted)
                if turn.probe is None:
                    running = syncer.start("--until-in-sync")
                else:
                    running = start_doomed(syncer, turn.probe, "--until-in-sync")
                for side, wanted in turn.during:
                    sessions[side].run(wanted)
                code = running.wait().code
                assert code in ({0} if turn.probe is None else {0, -9}), str(running)
                totals["random kills"] += code == -9
        syncer.until_in_sync()
        found = oracle.read_pair(pair, database)
        entries = syncer.conflicts()
        journal, seen[0] = entries[seen[0] :], len(entries)
        verdict = judge(found, first, Log(), log, KEYS, journal)
        totals["acknowledged writes checked"] += verdict.checked
        totals["random histories"] += 1
        assert verdict.good, f"{verdict}\n{log.acknowledged}\n{journal}"

    example()


def _begin(pair: Pair, database, syncer: Product, present) -> None:
    """Put the same rows of nobody on both sides."""
    pair.a.script("DELETE FROM orders", db=database)
    for key in sorted(present):
        pair.a.script(
            "INSERT INTO orders (id, customer_id, status, updated_at, stamp) "
            f"VALUES ({key}, 1, 'first', '2024-01-01', 'load')",
            db=database,
        )
    syncer.until_in_sync()
