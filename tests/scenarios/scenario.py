"""A schema as real applications have it, its data, and a writer that lives in it on one side."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymysql

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymysql.cursors import Cursor

    from testbed.endpoint import Endpoint

_AGAIN = {1213, 1205, 1020}
"""Deadlock, lock wait, record changed since last read."""


@dataclass(frozen=True)
class Scenario:
    """
    One application.

    Attributes:
        schema: statements that make tables, views and triggers, the same on both sides.
        fill: writes the data (side A alone has it at first).
        steps: what a writer does, one transaction each; called with the writer's ``Hand``.
        left_out: tables that are not kept equal by syncer.
        options: for the product.
    """

    name: str
    schema: Sequence[str]
    fill: Callable[[Cursor, random.Random], None]
    steps: Sequence[Callable[[Hand], None]]
    left_out: Sequence[str] = ()
    options: Sequence[str] = ()


@dataclass
class Hand:
    """
    What a step works with.

    Attributes:
        parity: this side's rows have ids with this remainder by 2, so that no row is changed on both sides.
        promised: what must be found in the end: (table, key columns, key) to column values, None for no row.
    """

    cursor: Cursor
    rng: random.Random
    parity: int
    number: int = 0
    promised: dict[tuple[str, tuple[Any, ...]], dict[str, Any] | None] = field(default_factory=dict)
    cascaded: set[tuple[str, Any]] = field(default_factory=set)
    """Column and value: every row that was promised with it is gone."""

    def word(self) -> str:
        """Give a text that nobody else writes."""
        self.number += 1
        return f"word {self.parity}-{self.number}"

    def insert(self, table: str, /, key: Sequence[str] = (), **values: Any) -> int:
        """Insert a row and promise it; *key* names its key columns, else it is the generated id."""
        marks = ", ".join(["%s"] * len(values))
        self.cursor.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values())
        )
        if key:
            self.promised[table, tuple((name, values[name]) for name in key)] = values
        return int(self.cursor.lastrowid or 0)

    def update(self, table: str, key: dict[str, Any], /, **values: Any) -> bool:
        """Update one row and promise what it holds now; say whether it was there."""
        found = self.cursor.execute(
            f"UPDATE {table} SET {', '.join(f'{name} = %s' for name in values)} "
            f"WHERE {' AND '.join(f'{name} = %s' for name in key)}",
            [*values.values(), *key.values()],
        )
        if found:
            self.promised[table, tuple(key.items())] = values
        return bool(found)

    def delete(self, table: str, key: dict[str, Any]) -> bool:
        """Delete one row and promise its absence; say whether it was there."""
        found = self.cursor.execute(
            f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = %s' for name in key)}",
            list(key.values()),
        )
        if found:
            self.promised[table, tuple(key.items())] = None
        return bool(found)

    def pick(self, table: str, column: str) -> Any:
        """Give some value of an id column of this side's rows; None where there is none."""
        self.cursor.execute(
            f"SELECT {column} FROM {table} WHERE {column} %% 2 = %s ORDER BY RAND(%s) LIMIT 1",
            [self.parity, self.rng.randrange(1 << 30)],
        )
        row = self.cursor.fetchone()
        return row[0] if row else None


class Life(threading.Thread):
    """Runs steps on one side until it is stopped; only what was acknowledged is promised."""

    def __init__(self, server: Endpoint, database: str, scenario: Scenario, parity: int) -> None:
        super().__init__(name=f"{scenario.name}-{parity}", daemon=True)
        self._server, self._database, self._scenario = server, database, scenario
        self._stopping = threading.Event()
        self._parity = parity
        self.promised: dict[tuple[str, tuple[Any, ...]], dict[str, Any] | None] = {}
        self.done = 0
        self.trouble: list[str] = []

    def stop(self) -> None:
        """End after the transaction in hand."""
        self._stopping.set()
        self.join(60)

    def run(self) -> None:
        try:
            connection = self._server.connect(database=self._database, autocommit=False)
            with connection, connection.cursor() as cursor:
                cursor.execute("SET SESSION innodb_lock_wait_timeout = 5")
                hand = Hand(cursor, random.Random(self._parity), self._parity)
                while not self._stopping.wait(0.005):
                    hand.promised, hand.cascaded = {}, set()
                    try:
                        hand.rng.choice(self._scenario.steps)(hand)
                        connection.commit()
                    except pymysql.err.OperationalError as error:
                        connection.rollback()
                        if error.args[0] not in _AGAIN:
                            raise
                        continue
                    self.promised |= hand.promised
                    for place in self.promised if hand.cascaded else ():
                        if hand.cascaded.intersection(place[1]):
                            self.promised[place] = None
                    self.done += 1
        except Exception as error:  # noqa: BLE001  # the test must hear of it
            self.trouble.append(f"{type(error).__name__}: {error}")


def broken(
    promised: dict[tuple[str, tuple[Any, ...]], Any], server: Endpoint, db: str
) -> list[str]:
    """Name the promises that *server* does not keep."""
    found = []
    with server.connect(database=db) as connection, connection.cursor() as cursor:
        for (table, key), values in promised.items():
            where = " AND ".join(f"{name} = %s" for name, _ in key)
            columns = ", ".join(values) if values else "1"
            cursor.execute(f"SELECT {columns} FROM {table} WHERE {where}", [v for _, v in key])
            row = cursor.fetchone()
            wanted = None if values is None else tuple(map(str, values.values()))
            if (None if row is None else tuple(map(str, row))) != wanted:
                found.append(f"{table} {key}: {row} is not {values}")
    return found
