"""
What is done to the syncer, its connections and the servers while writers write.

A *hand* carries out one fault after the other; three of them work at the same time, so that faults meet. Each fault puts right
what it did before it returns (within a few seconds), or leaves a process or a server that runs again.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import pymysql

from syncer.service.probes import Moment
from tests.fault.runner import start_doomed

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from testbed.endpoint import Endpoint
    from tests.soak.run import Soak

Fault = "Callable[[Soak, random.Random], None]"

PROBES = [*map(str, Moment), "between.a_b", "between.b_a"]
MARKER = b"`syncer`.`marker` SET `batch`"
COMMIT = b"\x03COMMIT"


def kill(soak: Soak, rng: random.Random) -> None:
    """End the syncer as kill -9 does, and start it again, at once or later."""
    soak.wait(rng.uniform(0.0, 2.0))
    soak.running.kill()
    soak.wait(rng.choice((0.0, 0.0, rng.uniform(0.2, 2.0))))
    soak.start()


def kill_at_probe(soak: Soak, rng: random.Random) -> None:
    """Let it kill itself at a moment of the protocol; twice in a row every now and then."""
    soak.running.kill()
    for _ in range(rng.choice((1, 1, 2))):
        probe = f"{rng.choice(PROBES)}:{rng.choice((1, 1, 2, 5, 20))}"
        doomed = start_doomed(soak.syncer, probe, *soak.more)
        soak.took_over(doomed)
        end = soak.clock() + 6.0
        while doomed.code is None and soak.clock() < end:
            soak.wait(0.05)
        if doomed.code is None:
            doomed.kill()  # it does not come by there now
        elif doomed.code != -9:
            soak.ended(doomed)
        else:
            soak.notes["killed at a probe"] += 1
    soak.start()


def freeze(soak: Soak, rng: random.Random) -> None:
    """Stop the syncer for a moment: both sides go their own ways."""
    soak.running.pause()
    soak.wait(rng.uniform(0.3, 2.0))
    soak.running.resume()


def drop(soak: Soak, rng: random.Random) -> None:
    """End all connections of one side, in order or by RST."""
    rng.choice(soak.proxies).drop(reset=rng.random() < 0.5)


def cut_somewhere(soak: Soak, rng: random.Random) -> None:
    """Cut one connection within a message."""
    proxy = rng.choice(soak.proxies)
    proxy.resets = rng.random() < 0.5
    way = rng.choice(("up", "down"))
    done = proxy.cut_after(rng.randrange(1, 20_000), way)
    soak.wait_for(done, 3.0)
    proxy.forget()


def cut_commit(soak: Soak, rng: random.Random) -> None:
    """Lose a COMMIT of ours, or only its answer; the server may be out of reach afterwards."""
    proxy = rng.choice(soak.proxies)
    away = rng.random() < 0.3
    done = proxy.cut_at(MARKER, COMMIT, delivered=rng.random() < 0.6, then_refuse=away)
    if soak.wait_for(done, 4.0) and away:
        soak.wait(rng.uniform(0.2, 2.0))
    proxy.forget()


def stall(soak: Soak, rng: random.Random) -> None:
    """Hold everything back on one way or both."""
    proxy = rng.choice(soak.proxies)
    proxy.stall(*rng.choice((("up",), ("down",), ("up", "down"))))
    soak.wait(rng.uniform(0.3, 3.0))
    proxy.forget()


def refuse(soak: Soak, rng: random.Random) -> None:
    """Put one side out of reach."""
    proxy = rng.choice(soak.proxies)
    proxy.refuse()
    soak.wait(rng.uniform(0.2, 3.0))
    proxy.forget()


def delay(soak: Soak, rng: random.Random) -> None:
    """Make the network slow."""
    proxy = rng.choice(soak.proxies)
    proxy.delay_s = rng.uniform(0.005, 0.05)
    soak.wait(rng.uniform(0.5, 2.0))
    proxy.forget()


def kill_session(soak: Soak, rng: random.Random) -> None:
    """Let the server end one of our sessions, a stream among them."""
    server = rng.choice(soak.pair.sides)
    ours = [
        session
        for session, db in server.query("SELECT id, db FROM information_schema.processlist")
        if db != soak.db
    ]
    for session in rng.sample(ours, min(2, len(ours))):
        with contextlib.suppress(pymysql.err.MySQLError):  # it may be ours, or over
            server.query(f"KILL {session}")


def server_goes_down(soak: Soak, rng: random.Random) -> None:
    """Kill a primary or restart it; its writers lose their connections too."""
    server = rng.choice(soak.pair.sides)
    if rng.random() < 0.5:
        server.kill()
        soak.wait(rng.choice((0.0, 1.0)))
        server.start()
    else:
        server.restart()


def server_freezes(soak: Soak, rng: random.Random) -> None:
    """Stop a primary for a moment; connections stay open."""
    server = rng.choice(soak.pair.sides)
    server.pause()
    try:
        soak.wait(rng.uniform(0.3, 2.0))
    finally:
        server.resume()


def hostile_locks(soak: Soak, rng: random.Random) -> None:
    """Hold row and gap locks, taken against the order of every apply."""
    server = rng.choice(soak.pair.sides)
    low = rng.choice((0, 100, 200))
    with _session(server, soak.db) as cursor:
        for table in rng.sample(("orders", "counters", "customers"), 2):
            cursor.execute(f"SELECT id FROM {table} WHERE id > {low} ORDER BY id DESC FOR UPDATE")
        soak.wait(rng.uniform(0.2, 2.0))


def long_transaction(soak: Soak, rng: random.Random) -> None:
    """Keep a transaction with a shared row open; it changes nothing in the end."""
    server = rng.choice(soak.pair.sides)
    with _session(server, soak.db) as cursor:
        cursor.execute(
            "UPDATE orders SET comment = 'never committed' WHERE id = %s", [rng.choice(soak.shared)]
        )
        soak.wait(rng.uniform(0.5, 3.0))


def rotate(soak: Soak, rng: random.Random) -> None:
    """Begin a new binlog."""
    rng.choice(soak.pair.sides).script("FLUSH BINARY LOGS")


@contextlib.contextmanager
def _session(server: Endpoint, db: str):
    """Give a cursor in a transaction that is rolled back."""
    with server.connect(database=db, autocommit=False) as connection:
        cursor = connection.cursor()
        cursor.execute("SET SESSION innodb_lock_wait_timeout = 2")
        try:
            yield cursor
        finally:
            connection.rollback()


PROCESS = (kill, kill_at_probe, freeze)
CALM = (freeze,)
NETWORK = (drop, cut_somewhere, cut_commit, stall, refuse, delay, kill_session)
SERVERS = (
    *(server_goes_down, server_freezes, rotate, rotate),
    *(hostile_locks, hostile_locks, long_transaction),
)


class Hand(threading.Thread):
    """Carries out faults of one kind, one after the other, until it is stopped."""

    def __init__(
        self,
        soak: Soak,
        faults: tuple[Callable[[Soak, random.Random], None], ...],
        rng: random.Random,
        pause_s: float,
    ) -> None:
        super().__init__(name="hand", daemon=True)
        self.trouble: list[BaseException] = []
        self._soak, self._faults, self._rng, self._pause_s = soak, faults, rng, pause_s

    def run(self) -> None:
        soak, rng = self._soak, self._rng
        try:
            while not soak.resting.wait(rng.uniform(0.2, self._pause_s)):
                fault = rng.choice(self._faults)
                soak.say(f"  {fault.__name__}")
                try:
                    fault(soak, rng)
                except (pymysql.err.MySQLError, OSError):
                    continue  # the server went down under it: no fault of its own, then
                soak.counts[fault.__name__.replace("_", " ")] += 1
        except BaseException as error:  # noqa: BLE001 - the soak must hear of it
            self.trouble.append(error)
