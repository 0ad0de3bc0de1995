"""Laps of writes and faults, each ended by a quiet point at which an oracle looks at everything."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from testbed import dataset, oracle
from testbed.proxy import Proxy
from testbed.workload import Log, Workload
from tests.fault.runner import purge, settle_maybe
from tests.integration.harness import Product, wait_until
from tests.soak import faults
from tests.soak.verdict import SHARED_TABLE, judge
from tests.soak.watch import FILES_MOST, RSS_MOST, Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed.provision import Pair
    from tests.integration.harness import Running

ROWS = 400
SETTLE_S = 300.0
SHARED = list(range(2, 42))
LAP_S = (6.0, 12.0)
MANY_ORDERS = 4_000
KILLED_S = 900.0
RULE = ("--rule", "newest:updated_at", "--on-delete", "update_wins", "--on-tie", "a")
CONNECTED = "stream.connected"
BATCHES = (10, 100, 1_000)
CONFIG = "[engine]\nbatch_rows = {}\nbackoff_max_s = 1.0\n"


class SoakFailed(AssertionError):
    """A quiet point was not as it must be; the message says how to look at it."""


class Soak:
    """
    A soak on one pair of servers of its own.

    The first half of the time, and at most `KILLED_S`, ends the syncer again and again; then one process has to live through all
    else.

    Args:
        pair: Two running servers that nobody else uses.
        folder: For the ledger and the logs.
        seed: For all choices; interleavings differ all the same.
        tell: Where lines go.
        verbose: Tell of every fault too.
    """

    def __init__(
        self,
        pair: Pair,
        folder: Path,
        seed: int,
        tell: Callable[[str], None] = print,
        *,
        verbose: bool = False,
    ) -> None:
        self.pair, self.folder, self.seed = pair, folder, seed
        self.db = "shop"
        self.shared = SHARED
        self.proxies = (Proxy(pair.a), Proxy(pair.b))
        self.resting = threading.Event()
        self.watch = Watch()
        self.counts: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.checked = self.beaten = self.quiet_points = self.lost = self.resurrected = 0
        self.syncer = Product(pair, folder, *RULE, tables="shop.*")
        self.syncer.urls = (self.proxies[0].url(), self.proxies[1].url())
        self.running: Running
        self._rng = random.Random(seed)
        self._tell, self._verbose = tell, verbose
        self._journal = 0
        self._lap = 0
        self._begun = time.monotonic()
        self._configs = []
        for rows in BATCHES:
            path = folder / f"batch-{rows}.toml"
            path.write_text(CONFIG.format(rows))
            self._configs.append(path)

    # What faults use.

    @property
    def more(self) -> tuple[object, ...]:
        """Further arguments of the next run."""
        return "-c", self._rng.choice(self._configs)

    def clock(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait, but not into a quiet point."""
        self.resting.wait(seconds)

    def wait_for(self, event: threading.Event, seconds: float) -> bool:
        """Wait for an event, but not into a quiet point."""
        end = self.clock() + seconds
        while not event.is_set() and self.clock() < end and not self.resting.is_set():
            event.wait(0.05)
        return event.is_set()

    def say(self, line: str) -> None:
        if self._verbose:
            self._tell(f"{time.strftime('%H:%M:%S')} {line}")

    def start(self) -> None:
        """Start the syncer."""
        if hasattr(self, "running") and self.running.code not in {None, -9}:
            self.ended(self.running)
        self.took_over(self.syncer.start(*self.more))

    def took_over(self, running: Running) -> None:
        """Look at this process from now on."""
        self.running = running
        self.watch.look_at(running._process.pid)

    def ended(self, running: Running) -> None:
        """Judge an end that nobody asked for: only one that could not begin, for want of a server, may be started again."""
        met = {e.get("side") for e in running.events() if e.get("event") == CONNECTED}
        if running.code != 4 or len(met) == 2:
            raise SoakFailed(f"syncer ended by itself\n{running}")
        self.notes["started while a server was away, and again"] += 1

    # The soak itself.

    def run(self, seconds: float, *, laps: int | None = None) -> None:
        """
        Soak for about so long, or for so many laps that write as long together.

        Raises:
            SoakFailed: Something was lost, came back, grew, or ended.
        """
        try:
            self._fill()
            self.watch.start()
            self._begun = time.monotonic()
            self.start()
            self.running.connected()
            self.syncer.settled()
            while (done := self._share_done(seconds, laps)) < 1:
                length = self._rng.uniform(*LAP_S) if laps is None else seconds / laps
                killed = done < min(0.5, KILLED_S / seconds)
                self._one_lap(length, faults.PROCESS if killed else faults.CALM)
            self.running.stop().must(0)
            self.watch.stop()
            if complaints := self.watch.complaints():
                raise SoakFailed("\n".join(complaints))
        except AssertionError as error:
            raise SoakFailed(
                f"{error}\nseed {self.seed}, lap {self._lap}; ledger and logs: {self.folder}"
            ) from error

    def _share_done(self, seconds: float, laps: int | None) -> float:
        if laps is not None:
            return self._lap / laps
        return (time.monotonic() - self._begun) / seconds

    def close(self) -> None:
        """End everything that was started, but for the servers."""
        self.resting.set()
        self.syncer.close()
        for proxy in self.proxies:
            proxy.close()

    def _fill(self) -> None:
        self.pair.script(f"CREATE DATABASE `{self.db}` CHARACTER SET utf8mb4")
        for server in self.pair.sides:
            dataset.create(server, self.db, foreign_keys=True, unique_names=True)
            dataset.load(server, self.db, ROWS)
        self._first = {name: both[0] for name, both in oracle.read_pair(self.pair, self.db).items()}

    def _one_lap(self, seconds: float, process_faults: tuple) -> None:
        self._lap += 1
        rng = self._rng
        own, shared = Log(), Log()
        stamps = self._lap * 100_000
        numbers = {"seed": rng.randrange(1 << 30), "first_stamp": stamps}
        groups = (
            Workload.disjoint(
                *(self.pair, self.db),
                **numbers,
                keys=(-(10**17), 10**17),
                rate=20,
                log=own,
                leave_out={1, *SHARED},
                unique_names=True,
            ),
            Workload.overlapping(
                *(self.pair, self.db, SHARED_TABLE, SHARED),
                **numbers,
                rate=20,
                log=shared,
                deletes=0.15,
                recreate=0.5,
            ),
        )
        self.resting.clear()
        before = sum(self.counts.values())
        hands = [
            faults.Hand(self, kinds, random.Random(rng.random()), pause_s)
            for kinds, pause_s in (
                (process_faults, 2.0),
                (faults.NETWORK, 1.5),
                (faults.SERVERS, 3.0),
            )
        ]
        with groups[0], groups[1]:
            for hand in hands:
                hand.start()
            end = time.monotonic() + seconds
            while time.monotonic() < end and not any(hand.trouble for hand in hands):
                self.resting.wait(0.1)
            self._rest(hands)
        self._quiet_point(own, shared, sum(self.counts.values()) - before)

    def _rest(self, hands: list[faults.Hand]) -> None:
        """End all faults; everything runs and can be reached."""
        self.resting.set()
        for hand in hands:
            hand.join(150)
        for hand in hands:
            if hand.is_alive():
                raise SoakFailed(f"a fault does not end: {hand}")
            for trouble in hand.trouble:
                raise SoakFailed(f"{type(trouble).__name__}: {trouble}") from trouble
        for proxy in self.proxies:
            proxy.forget()
        self.pair.start()

        def connected() -> tuple[bool, object]:
            if self.running.code is not None:
                self.start()  # this one began while a server was away
            sides = {e.get("side") for e in self.running.events() if e.get("event") == CONNECTED}
            return len(sides) == 2, self.running

        wait_until("syncer connected to both sides", connected)

    def _quiet_point(self, own: Log, shared: Log, survived: int) -> None:
        begun = time.monotonic()
        self.syncer.settled(SETTLE_S)
        settled_s = time.monotonic() - begun
        settle_maybe(self.pair, self.db, self._first, own)
        found = oracle.read_pair(self.pair, self.db)
        journal = self.syncer.conflicts()
        verdict = judge(found, self._first, own, shared, SHARED, journal[self._journal :])
        self._journal = len(journal)
        self.quiet_points += 1
        self.checked += verdict.checked
        self.beaten += verdict.beaten
        self.lost += len(verdict.lost)
        self.resurrected += len(verdict.resurrected)
        resident, files = self.watch.now()
        self._tell(
            f"{time.strftime('%H:%M:%S')} quiet point {self.quiet_points}: "
            f"{verdict.checked} acknowledged writes, {verdict.beaten} beaten, {survived} faults, "
            f"settled in {settled_s:.1f} s, lost {len(verdict.lost)}, resurrected {len(verdict.resurrected)}, "
            f"{resident / 2**20:.0f} MiB, {files} files"
        )
        if not verdict.good:
            raise SoakFailed(str(verdict))
        self._first = {name: both[0] for name, both in found.items()}
        self._between_laps()

    def _between_laps(self) -> None:
        """Purge what was read, and take rows away in one large transaction where there are many."""
        rng = self._rng
        if rng.random() < 0.3:
            purge(rng.choice(self.pair.sides))
            self.syncer.settled()
            self.counts["binlog purged"] += 1
        if len(self._first["orders"]) > MANY_ORDERS:
            server = rng.choice(self.pair.sides)
            server.script(
                "DELETE FROM orders WHERE id NOT BETWEEN 1 AND 41 AND id % 5 < 2", db=self.db
            )
            self.syncer.settled()
            found = oracle.read_pair(self.pair, self.db)
            if wrong := oracle.differences(found):
                raise SoakFailed("\n".join(wrong))
            self._first = {name: both[0] for name, both in found.items()}

    def table(self) -> str:
        """Give the figures of the whole soak."""
        resident, files = self.watch.most()
        told = [line for life in self.watch.lives if (line := life.told())]
        growth = "; ".join(told) or "no process lived long enough to say"
        rows = [
            ("pair", f"{self.pair.name}, seed {self.seed}"),
            ("time", f"{(time.monotonic() - self._begun) / 60:.1f} minutes"),
            ("acknowledged writes checked", f"{self.checked}"),
            ("beaten and journaled", f"{self.beaten}"),
            ("faults survived", f"{sum(self.counts.values())}"),
            *((f"  {name}", f"{count}") for name, count in sorted(self.counts.items())),
            *((name, f"{count}") for name, count in sorted(self.notes.items())),
            ("quiet points", f"{self.quiet_points}"),
            ("lost", f"{self.lost}"),
            ("resurrected", f"{self.resurrected}"),
            ("most memory", f"{resident / 2**20:.0f} MiB (bound {RSS_MOST >> 20})"),
            ("most open files", f"{files} (bound {FILES_MOST})"),
            ("growth, last third against first", growth),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
