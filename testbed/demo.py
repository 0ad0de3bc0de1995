"""
Show the product at work: two private primaries, writers on both, conflicts, and the proof at the end.

    python -m testbed.demo --flavor mixed --seconds 20

The last line is `IN SYNC` and the exit code 0 where everything that was promised was found; else the
last line says what was not. Everything that was started is stopped, after Ctrl-C too.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql

from testbed import oracle
from testbed.binaries import ServerMissingError
from testbed.dataset import COLUMNS, TABLES, create, load
from testbed.demo_product import DemoError, Syncer, make_account
from testbed.demo_show import Show, Tally
from testbed.demo_writers import RESERVED, ROWS, Canary, Collider, Collision, is_reserved
from testbed.provision import PAIRS, Pair, describe, start_pair
from testbed.servers import ServerStartError
from testbed.workload import Log, Workload

if TYPE_CHECKING:
    from testbed.workload import SideName

__all__ = ["main", "proof"]

DB = "shop"
CONFLICTS = 12
"""How many true conflicts a run of any length has at most."""
_UP_DEADLINE_S = 60.0

_APART: tuple[tuple[str, ...], tuple[str, ...]] = (
    (
        "DELETE FROM orders WHERE id IN (101, 102, 103, 104)",
        "UPDATE orders SET status = 'returned', version = 2, updated_at = '2024-05-01' WHERE id IN (201, 202)",
        "DELETE FROM counters WHERE id = 301",
    ),
    (
        "DELETE FROM orders WHERE id IN (401, 402, 403)",
        "UPDATE customers SET credit = credit + 10, version = 2, updated_at = '2024-06-01' WHERE id IN (501, 502, 503)",
        "DELETE FROM customers WHERE id = 605",
    ),
)
"""What sets the sides apart before syncer has ever seen them."""


def proof(
    pair: Pair,
    first: Mapping[str, oracle.Table],
    log: Log,
    collisions: Sequence[Collision] = (),
) -> tuple[list[str], int]:
    """
    Compare both sides in full, by plain SELECTs, with each other and with what the writers were told.

    Args:
        pair: Both servers; nobody writes any more.
        first: The tables when the writers began.
        log: What was acknowledged to the ordinary writers.
        collisions: Rows written on both sides at once; the rule's winner must be there.

    Returns:
        One line per difference, empty if all is well; and the number of rows compared.
    """
    found = oracle.read_pair(pair, DB)
    lines = oracle.differences(found)
    wanted = oracle.expected(first, log)
    lines += oracle.differences(
        {name: (_ordinary(a), _ordinary(b)) for name, (a, b) in found.items()},
        {name: _ordinary(table) for name, table in wanted.items()},
    )
    total = COLUMNS["orders"].index("total")
    orders = found["orders"][0]
    for collision in collisions:
        row = orders.get((collision.key,))
        wants = oracle.normalise(collision.totals[collision.winner])
        if row is None or row[total] != wants:
            lines.append(
                f"orders: {collision.key}: {collision.kind}: the write of side {collision.winner.upper()} "
                "should have won"
            )
    lines += [f"a writer met trouble: {trouble}" for trouble in log.trouble]
    lines += [f"an outcome is unknown: {transaction}" for transaction in log.maybe]
    # The second comparison repeats what the first has found.
    return list(dict.fromkeys(lines)), sum(len(a) for a, _ in found.values())


def _ordinary(table: oracle.Table) -> oracle.Table:
    return {key: row for key, row in table.items() if not is_reserved(key[0])}


def unequal(pair: Pair) -> int:
    """Count the rows that are not the same on both sides."""
    return sum(
        a.get(key) != b.get(key)
        for a, b in oracle.read_pair(pair, DB).values()
        for key in a.keys() | b.keys()
    )


class Demo:
    """One demonstration, step by step, on the main thread."""

    def __init__(self, options: argparse.Namespace, show: Show) -> None:
        self._options = options
        self._show = show

    def run(self) -> None:
        """Run all of it. Raises DemoError where something is not as it was promised."""
        show, seconds = self._show, self._options.seconds
        flavors = next(flavors for name, flavors in PAIRS.items() if name == self._options.flavor)
        show.title(self._options.flavor, seconds)
        with contextlib.ExitStack() as stack:
            show.step("servers", "two private primaries that know nothing of each other")
            pair = stack.enter_context(start_pair(*flavors))
            for side, server in zip("AB", pair.sides, strict=True):
                where = "container" if "container" in describe(server.flavor) else "local process"
                show.fact(
                    f"{side}  {server.host}:{server.port}  {server.flavor} {server.version}  ({where})"
                )
            show.step("data", "customers and orders, the same on both sides, then set apart")
            self._load(pair)
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="syncer-demo-")))
            syncer = Syncer(pair, folder, make_account(pair))
            show.step("preflight", "syncer check")
            self._check(syncer)
            show.step("baseline", "syncer run --until-in-sync")
            applied, journal = self._baseline(pair, syncer)
            first = {name: a for name, (a, _) in oracle.read_pair(pair, DB).items()}
            show.step("live", f"syncer run, while both sides are written to for {seconds:g} s")
            log, collider, canaries = self._write(pair, syncer)
            tally = Tally.of(log.counts(), collider.writes)
            show.writers_stopped(tally, len(collider.done), sum(c.sent for c in canaries))
            show.step("catch up", "syncer run --until-in-sync: goes on from its ledger")
            begun = time.monotonic()
            syncer.until_in_sync()
            show.fact(f"in sync by both binlog positions, {time.monotonic() - begun:.1f} s later")
            show.step("proof", "SELECT * on both sides, no code of syncer's")
            lines, rows = proof(pair, first, log, collider.done)
            conflicts = syncer.conflicts()[journal:]
            lines += unexplained(collider.done, conflicts)
            if lines:
                show.differences(lines)
                raise DemoError(f"NOT IN SYNC: {len(lines)} differences")
            show.proven(rows, sum(tally.users.values()), len(collider.done))
            tally.applied = {
                name: number - applied.get(name, 0) for name, number in syncer.applied().items()
            }
            show.summary(tally, conflicts, {canary.side: canary.lags_s for canary in canaries})

    def _load(self, pair: Pair) -> None:
        for server, apart in zip(pair.sides, _APART, strict=True):
            server.script(f"CREATE DATABASE {DB} CHARACTER SET utf8mb4")
            create(server, DB, foreign_keys=True)
            load(server, DB, ROWS)
            server.script(*apart, db=DB)
        counted = {
            name: [
                server.query(f"SELECT COUNT(*) FROM {name}", db=DB)[0][0] for server in pair.sides
            ]
            for name in TABLES
        }
        for side in (0, 1):
            each = "  ".join(f"{name} {counts[side]:,}" for name, counts in counted.items())
            self._show.fact(f"{'AB'[side]}  {each}")
        self._show.fact(f"{unequal(pair)} rows differ or are missing on one side")

    def _check(self, syncer: Syncer) -> None:
        ok, findings = syncer.check()
        serious = [finding for finding in findings if finding["level"] != "info"]
        self._show.findings(serious, len(findings))
        if not ok:
            raise DemoError("NOT IN SYNC: preflight refuses the pair")

    def _baseline(self, pair: Pair, syncer: Syncer) -> tuple[dict[str, int], int]:
        begun = time.monotonic()
        syncer.until_in_sync()
        took_s = time.monotonic() - begun
        left = unequal(pair)
        spans = syncer.status()["spans"]
        compared, differing = (sum(span[name] for span in spans) for name in ("rows", "differing"))
        journal = syncer.conflicts()
        applied = syncer.applied()
        self._show.fact(
            f"{compared:,} rows compared, {differing} differed; in sync after {took_s:.1f} s"
        )
        for side in "ab":
            self._show.applied(side, applied)
        self._show.unknown_history(journal)
        if left:
            raise DemoError(f"NOT IN SYNC: {left} rows differ after the baseline")
        return applied, len(journal)

    def _write(self, pair: Pair, syncer: Syncer) -> tuple[Log, Collider, list[Canary]]:
        seconds = self._options.seconds
        log = Log()
        workload = Workload.disjoint(
            pair, DB, keys=(1, RESERVED), log=log, rate=self._options.rate, seed=1
        )
        sides: tuple[SideName, SideName] = ("a", "b")
        canaries = [Canary(pair, DB, side) for side in sides]
        collider = Collider(pair, DB, max(seconds / (CONFLICTS + 1), 0.3))
        with contextlib.ExitStack() as stack:
            process = stack.enter_context(syncer.running())
            for canary in canaries:
                canary.start()
                stack.callback(canary.stop)
            # It is up when a change has arrived each way; what went before measures its start, not its lag.
            end = time.monotonic() + _UP_DEADLINE_S
            while not all(canary.arrived.wait(0.05) for canary in canaries):
                if process.poll() is not None:
                    raise DemoError(f"syncer run ended with exit code {process.returncode}")
                for canary in canaries:
                    if canary.trouble:
                        raise DemoError(canary.trouble)
                if time.monotonic() > end:
                    raise DemoError("nothing was carried over within a minute of the start")
            for canary in canaries:
                canary.start_counting()
            stack.callback(collider.stop)
            collider.start()
            with workload:
                end = time.monotonic() + seconds
                while time.monotonic() < end and process.poll() is None:
                    time.sleep(0.05)
                collider.stop()
            for thread in (collider, *canaries):
                thread.stop()
                thread.join(30)
            if process.poll() is not None:
                raise DemoError(f"syncer run ended with exit code {process.returncode}")
        log.trouble += [t.trouble for t in (collider, *canaries) if t.trouble]
        return log, collider, canaries


def unexplained(
    collisions: Sequence[Collision], conflicts: Sequence[Mapping[str, Any]]
) -> list[str]:
    """
    Hold the journal against what was done: every collision once, with its winner and both rows, and nothing else.

    Returns one line per entry that is missing, too many, or not as it should be.
    """
    found: dict[int, list[tuple[object, ...]]] = {}
    lines: list[str] = []
    for conflict in conflicts:
        entry = conflict["entry"]
        key = int(entry["key"][0])
        if entry["table"] != f"{DB}.orders" or not is_reserved(key):
            lines.append(f"the journal has a conflict where one side wrote: {entry['table']} {key}")
            continue
        totals = (_total(entry, "a_image"), _total(entry, "b_image"))
        found.setdefault(key, []).append(
            (entry["kind"], entry["winner"], conflict["status"], *totals)
        )
    for collision in collisions:
        wanted = (collision.kind, collision.winner, "applied", *collision.totals.values())
        entries = found.pop(collision.key, [])
        if entries != [wanted]:
            lines.append(f"the journal of order {collision.key} says {entries}, not {wanted}")
    lines += [f"the journal of order {key} says {entries}" for key, entries in found.items()]
    return lines


def _total(entry: Mapping[str, Any], image: str) -> Decimal | None:
    row = entry[image]
    return None if row is None else Decimal(row[entry["columns"].index("total")])


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Two private primaries, both written to, kept equal by syncer; ends with the proof.",
    )
    parser.add_argument(
        "--flavor", choices=sorted(PAIRS), default="mariadb", help="default: mariadb"
    )
    parser.add_argument(
        "--seconds",
        type=_positive,
        default=20.0,
        help="how long both sides are written to; default: 20",
    )
    parser.add_argument(
        "--rate",
        type=_positive,
        default=25.0,
        help="transactions per second of each of the two writers of a side; default: 25",
    )
    return parser.parse_args(words)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end it as Ctrl-C does, and SIGINT even where whoever started it ignores that."""
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(words: Sequence[str] | None = None) -> int:
    """Run the demonstration; give the process's exit code."""
    options = _arguments(words)
    show = Show()
    try:
        with _interruptible():
            Demo(options, show).run()
    except (DemoError, ServerMissingError, ServerStartError) as error:
        show.failed(str(error))
        return 1
    except (pymysql.err.MySQLError, OSError, AssertionError) as error:
        # A server that has gone, or a log that fits nothing: as bad, and nothing that a traceback would explain.
        show.failed(f"{type(error).__name__}: {error}")
        return 1
    except KeyboardInterrupt:
        show.failed("interrupted; everything is stopped")
        return 130
    show.in_sync()
    return 0


if __name__ == "__main__":
    sys.exit(main())
