"""
What the demonstration writes besides the ordinary writers: true conflicts, and canaries that measure the lag.

Both use rows of their own, from `RESERVED` on; the ordinary writers leave those alone.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pymysql

from testbed.dataset import now

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

    from testbed.provision import Pair
    from testbed.workload import SideName

__all__ = ["RESERVED", "ROWS", "Canary", "Collider", "Collision", "is_reserved"]

ROWS = 5_000
"""Customers of the data set."""
RESERVED = ROWS - 99
"""First of the keys that the ordinary writers leave alone, up to ROWS."""

_CANARIES: dict[SideName, int] = {"a": RESERVED, "b": RESERVED + 10}
"""Counters, by the side that writes them."""
_POLL_S = 0.004
_APART_S = 0.003
_ATTEMPTS = 10
# Lock wait, deadlock, record changed since last read (MariaDB).
_RETRY = {1205, 1213, 1020}
_LOST_S = 60.0
_NAMES = {"u": "update", "d": "delete", "i": "insert"}
SIDES: tuple[SideName, SideName] = ("a", "b")


def is_reserved(key: int) -> bool:
    """Say whether a row is left alone by the ordinary writers."""
    return RESERVED <= key <= ROWS


@dataclass(frozen=True, slots=True)
class Collision:
    """
    One order that both sides wrote at the same time, and whose write the rule must choose.

    Attributes:
        kind: the name that the journal must give it.
        totals: what each side wrote; None where it deleted.
    """

    kind: str
    key: int
    winner: SideName
    totals: dict[SideName, Decimal | None]


class _Troubled(threading.Thread):
    """A thread that keeps the error that ended it."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.trouble: str | None = None
        self._stop_event = threading.Event()

    def stop(self) -> None:
        """Ask it to end; returns at once."""
        self._stop_event.set()

    def run(self) -> None:
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - the demonstration must hear of it
            self.trouble = f"{self.name} ended: {type(error).__name__}: {error}"

    def _run(self) -> None:
        raise NotImplementedError


class Collider(_Troubled):
    """
    Writes one row on both sides at the same time, every *pause_s* seconds.

    Both transactions hold their row before either commits: neither can be built on the other, so it is a
    conflict whatever the product's speed.
    """

    def __init__(self, pair: Pair, db: str, pause_s: float) -> None:
        super().__init__("the collider")
        self.done: list[Collision] = []
        self.writes: dict[str, int] = {}
        self._pair = pair
        self._db = db
        self._pause_s = pause_s
        self._rng = random.Random(7)

    def _run(self) -> None:
        # Every fifth order is missing from the data set: those keys are free for inserts.
        absent = iter([key for key in range(RESERVED, ROWS + 1) if key % 5 == 0])
        present = iter([key for key in range(RESERVED, ROWS + 1) if key % 5])
        rounds: tuple[Callable[[], tuple[str, int, str, SideName]], ...] = (
            lambda: ("update_update", next(present), "uu", "b"),
            lambda: ("update_delete", next(present), "du", "b"),
            lambda: ("update_update", next(present), "uu", "a"),
            lambda: ("insert_insert", next(absent), "ii", "a"),
            lambda: ("update_delete", next(present), "ud", "a"),
            lambda: ("insert_insert", next(absent), "ii", "b"),
        )
        with contextlib.ExitStack() as stack:
            sides = {
                side: stack.enter_context(server.connect(database=self._db, autocommit=False))
                for side, server in zip(SIDES, self._pair.sides, strict=True)
            }
            for connection in sides.values():
                with connection.cursor() as cursor:
                    cursor.execute("SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 5")
            number = 0
            while not self._stop_event.wait(self._pause_s):
                try:
                    kind, key, ops, winner = rounds[number % len(rounds)]()
                except StopIteration:
                    return  # a long run: there are conflicts enough
                number += 1
                self._collide(sides, kind, key, ops, winner)

    def _collide(
        self,
        sides: dict[SideName, Connection[Cursor]],
        kind: str,
        key: int,
        ops: str,
        winner: SideName,
    ) -> None:
        totals = {side: Decimal(self._rng.randrange(100, 100_000)).scaleb(-2) for side in SIDES}
        op = dict(zip(SIDES, ops, strict=True))
        for attempt in range(_ATTEMPTS):
            try:
                self._write_both(sides, key, op, totals, winner)
                break
            except pymysql.err.OperationalError as error:
                for connection in sides.values():
                    connection.rollback()
                if error.args[0] not in _RETRY or attempt == _ATTEMPTS - 1:
                    raise
        for side in SIDES:
            sides[side].commit()
        for side in SIDES:
            name = f"{side}.{_NAMES[op[side]]}"
            self.writes[name] = self.writes.get(name, 0) + 1
        left = {side: None if op[side] == "d" else totals[side] for side in SIDES}
        self.done.append(Collision(kind, key, winner, left))

    @staticmethod
    def _write_both(
        sides: dict[SideName, Connection[Cursor]],
        key: int,
        op: dict[SideName, str],
        totals: dict[SideName, Decimal],
        winner: SideName,
    ) -> None:
        # The side that writes last has the newest updated_at, by some milliseconds.
        for side in sorted(SIDES, key=lambda side: side == winner):
            time.sleep(_APART_S)
            with sides[side].cursor() as cursor:
                found = _write(cursor, op[side], key, totals[side], now(), side)
            if found != 1:
                raise RuntimeError(f"order {key} on side {side}: {found} rows, not 1")


def _write(
    cursor: Cursor, op: str, key: int, total: Decimal, at: dt.datetime, side: SideName
) -> int:
    comment = f"changed on {side.upper()}"
    statements: dict[str, tuple[str, list[Any]]] = {
        "u": (
            """UPDATE orders SET total = %s, comment = %s, version = version + 1, updated_at = %s
            WHERE id = %s""",
            [total, comment, at, key],
        ),
        "d": ("DELETE FROM orders WHERE id = %s", [key]),
        "i": (
            """INSERT INTO orders (total, comment, updated_at, id, customer_id, status)
            VALUES (%s, %s, %s, %s, %s, 'open')""",
            [total, comment, at, key, RESERVED],
        ),
    }
    return cursor.execute(*statements[op])


class Canary(_Troubled):
    """
    Changes one counter on *side* and looks at the other side until it is there.

    Attributes:
        lags_s: from the return of COMMIT on one side to the first SELECT on the other side that sees it, polled
            every few milliseconds; what was changed before `start_counting` is left out.
        arrived: set once a change has arrived at all.
    """

    def __init__(self, pair: Pair, db: str, side: SideName, pause_s: float = 0.1) -> None:
        super().__init__(f"the canary of side {side.upper()}")
        self.side: SideName = side
        self.lags_s: list[float] = []
        self.sent = 0
        self.arrived = threading.Event()
        self._source, self._target = pair.sides if side == "a" else pair.sides[::-1]
        self._db = db
        self._pause_s = pause_s
        self._counting = threading.Event()

    def start_counting(self) -> None:
        """Keep the lags of the changes made from now on."""
        self._counting.set()

    def _run(self) -> None:
        key = _CANARIES[self.side]
        with (
            self._source.connect(database=self._db) as source,
            self._target.connect(database=self._db) as target,
            source.cursor() as write,
            target.cursor() as read,
        ):
            write.execute("SET SESSION time_zone = '+00:00'")
            while not self._stop_event.wait(self._pause_s):
                counting = self._counting.is_set()
                try:
                    write.execute(
                        "UPDATE counters SET value = %s, version = version + 1, updated_at = %s "
                        "WHERE id = %s",
                        [1_000_000_000 + self.sent, now(), key],
                    )
                except pymysql.err.OperationalError:
                    continue  # a lock wait: this row is being written by nobody else, try again
                committed = time.perf_counter()
                sent, self.sent = 1_000_000_000 + self.sent, self.sent + 1
                while True:
                    read.execute("SELECT value FROM counters WHERE id = %s", [key])
                    (value,) = read.fetchone() or (None,)
                    lag_s = time.perf_counter() - committed
                    if value == sent:
                        break
                    if self._stop_event.wait(_POLL_S):
                        return
                    if lag_s > _LOST_S:
                        raise RuntimeError(f"a change did not arrive within {_LOST_S:.0f} s")
                self.arrived.set()
                if counting:
                    self.lags_s.append(lag_s)
