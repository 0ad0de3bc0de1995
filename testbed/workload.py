"""
Writers that change the data set on both sides at once, and the log of what they were told was done.

Every acknowledged transaction is logged after its COMMIT returned, with the
full rows that it left behind. Where writers have keys of their own
(`own_rows`), the log and the first state give the exact tables that must be
found in the end; where both sides change the same keys (`shared_rows`), each
row's `stamp` names the write it comes from, and the log knows on which content
each write was built, so that "beaten" and "lost" can be told apart.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

import pymysql
from pymysql.constants import CLIENT

from testbed.dataset import COLUMNS, TABLES, Row, create, load, new_row, now, some_changes

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

    from testbed.endpoint import Endpoint
    from testbed.provision import Pair

__all__ = [
    "Log",
    "RowWrite",
    "SideName",
    "Transaction",
    "Workload",
    "Writer",
    "create",
    "load",
    "own_rows",
    "shared_rows",
]

SideName = Literal["a", "b"]
Op = Literal["insert", "update", "delete"]
Values = tuple[Any, ...]

# Deadlock, lock wait, record changed since last read (MariaDB), NOWAIT.
_RETRY = {1213, 1205, 1020, 3572}
_DUPLICATE = 1062
_MAX_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class RowWrite:
    """
    One row that a transaction wrote.

    A key change is a `delete` of the old key and an `insert` of the new one, both with `moved`.

    Attributes:
        row: The whole row left behind, in column order; None after a delete.
        before: The row it replaced; None before an insert.
    """

    table: str
    key: int
    op: Op
    row: Values | None
    before: Values | None
    stamp: str
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction in a writer's order; wall times at which COMMIT was going to be sent and at which it had returned."""

    side: SideName
    writer: str
    number: int
    at: float
    writes: tuple[RowWrite, ...]
    sent: float = 0.0


@dataclass(slots=True)
class Log:
    """
    What the writers know. Safe to append from many threads.

    Attributes:
        acknowledged: COMMIT returned; per writer in commit order.
        maybe: COMMIT was sent, its answer was lost; the writer leaves those keys alone from then on.
        trouble: What no writer should ever see, such as an own row that is gone.
    """

    acknowledged: list[Transaction] = field(default_factory=list)
    maybe: list[Transaction] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def writes(self, table: str | None = None) -> Iterable[tuple[Transaction, RowWrite]]:
        """Give every acknowledged row write, of one table or of all."""
        for transaction in list(self.acknowledged):
            for write in transaction.writes:
                if table in {None, write.table}:
                    yield transaction, write

    def counts(self) -> dict[str, int]:
        """Give the number of acknowledged row writes by `a.insert`, `b.delete`..."""
        found: dict[str, int] = {}
        for transaction, write in self.writes():
            name = f"{transaction.side}.{'move' if write.moved else write.op}"
            found[name] = found.get(name, 0) + 1
        return found


class _SkipError(Exception):
    """The transaction makes no sense now: roll back and think of another."""


class _Vanished(Exception):
    """A row that only this writer changes is not there."""


class Draft:
    """
    A transaction in the making: runs statements and keeps what they did.

    What it says of rows is what the transaction sees; the writer takes it over once it is acknowledged.
    """

    def __init__(self, writer: Writer, cursor: Cursor) -> None:
        self.writer = writer
        self.rng = writer.rng
        self.cursor = cursor
        self.writes: list[RowWrite] = []
        self.seen: dict[tuple[str, int], Row | None] = {}

    def row(self, table: str, key: int) -> Row | None:
        """Give an own row as this transaction sees it."""
        if (table, key) in self.seen:
            return self.seen[table, key]
        return self.writer.rows[table].get(key)

    def stamp(self) -> str:
        """Name the next write; no two writes of a run have the same name."""
        self.writer.stamps += 1
        return f"{self.writer.name}-{self.writer.stamps}"

    def insert(self, table: str, row: Row) -> int:
        """Insert a row; a key of None is made by the server."""
        names = ", ".join(row)
        marks = ", ".join(["%s"] * len(row))
        self.cursor.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))
        key = row["id"] if row["id"] is not None else self.cursor.lastrowid
        self._note(table, key, "insert", None, row | {"id": key})
        return int(key)

    def update(self, table: str, rows: Sequence[Row], changes: Row) -> None:
        """
        Change rows in one statement; `version` is counted up by the server.

        A row that changed behind the writer's back keeps its difference, so that it is found in the end.
        """
        stamped = changes | {"updated_at": now(), "stamp": self.stamp()}
        sets = ", ".join(f"{name} = %s" for name in stamped)
        keys = [row["id"] for row in rows]
        marks = ", ".join(["%s"] * len(keys))
        found = self.cursor.execute(
            f"UPDATE {table} SET version = version + 1, {sets} WHERE id IN ({marks})",
            [*stamped.values(), *keys],
        )
        if found != len(keys):
            raise _Vanished(f"UPDATE {table} {keys} found {found} rows")
        for row in rows:
            after = row | stamped | {"version": row["version"] + 1}
            self._note(table, row["id"], "update", row, after)

    def delete(self, table: str, row: Row) -> None:
        """Delete a row."""
        if self.cursor.execute(f"DELETE FROM {table} WHERE id = %s", [row["id"]]) != 1:
            raise _Vanished(f"DELETE {table} {row['id']} found no row")
        self._note(table, row["id"], "delete", row, None)

    def move(self, table: str, row: Row, key: int) -> None:
        """Change a row's key."""
        stamp = self.stamp()
        after = row | {"id": key, "updated_at": now(), "stamp": stamp}
        after["version"] += 1
        found = self.cursor.execute(
            f"UPDATE {table} SET id = %s, version = version + 1, updated_at = %s, stamp = %s "
            "WHERE id = %s",
            [key, after["updated_at"], stamp, row["id"]],
        )
        if found != 1:
            raise _Vanished(f"UPDATE {table} {row['id']} to {key} found no row")
        self._note(table, row["id"], "delete", row, None, moved=True)
        self._note(table, key, "insert", None, after, moved=True)

    def lock(self, table: str, keys: Iterable[int]) -> list[Row]:
        """Read rows with locks, in key order; absent ones are left out."""
        wanted = sorted(keys)
        marks = ", ".join(["%s"] * len(wanted))
        names = COLUMNS[table]
        self.cursor.execute(
            f"SELECT {', '.join(names)} FROM {table} WHERE id IN ({marks}) ORDER BY id FOR UPDATE",
            wanted,
        )
        return [dict(zip(names, values, strict=True)) for values in self.cursor.fetchall()]

    def _note(
        self,
        table: str,
        key: int,
        op: Op,
        before: Row | None,
        after: Row | None,
        *,
        moved: bool = False,
    ) -> None:
        self.seen[table, key] = after
        stamp = after["stamp"] if after else self.stamp()
        self.writes.append(
            RowWrite(
                table,
                key,
                op,
                _values(table, after),
                _values(table, before),
                stamp,
                moved,
            )
        )


Plan = Callable[[Draft], None]
"""Runs the statements of one transaction; raises to have it rolled back."""


class Writer(threading.Thread):
    """
    One connection that runs transaction after transaction until it is stopped.

    Args:
        endpoint: The server it writes to.
        db: The database.
        side: Which side that server is.
        number: Unique per side.
        log: Where acknowledged transactions go.
        plan: What one transaction does; `own_rows()` or `shared_rows(...)`.
        rows: Rows that nobody else changes, by table and key; the writer takes the dict over.
        seed: The same seed gives the same choices (not the same interleaving).
        rate: Transactions per second at most; None for as many as go.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        db: str,
        side: SideName,
        number: int,
        log: Log,
        plan: Plan,
        *,
        rows: dict[str, dict[int, Row]] | None = None,
        seed: int = 0,
        rate: float | None = 50.0,
    ) -> None:
        super().__init__(name=f"{side}{number}", daemon=True)
        self.side: SideName = side
        self.number = number
        self.rng = random.Random(f"{seed}-{self.name}")
        self.rows: dict[str, dict[int, Row]] = {table: {} for table in TABLES} | (rows or {})
        self.free: dict[str, list[int]] = {table: [] for table in TABLES}
        self.stamps = 0
        self._endpoint = endpoint
        self._db = db
        self._log = log
        self._plan = plan
        self._rate = rate
        self._stop_event = threading.Event()
        self._count = 0
        self._sent = 0.0
        self._connection: Connection[Cursor] | None = None

    def stop(self) -> None:
        """Ask it to end after the transaction in hand; returns at once."""
        self._stop_event.set()

    def run(self) -> None:
        try:
            due = time.monotonic()
            while not self._stop_event.is_set():
                self._one_transaction()
                if self._rate is not None:
                    due = max(due + 1 / self._rate, time.monotonic() - 1.0)
                    self._stop_event.wait(max(0.0, due - time.monotonic()))
        except Exception as error:  # noqa: BLE001 - the test must hear of it
            self._log.trouble.append(f"writer {self.name} ended: {type(error).__name__}: {error}")
        finally:
            self._disconnect()

    def _one_transaction(self) -> None:
        for attempt in range(_MAX_ATTEMPTS):
            try:
                connection = self._connect()
                connection.begin()
                with connection.cursor() as cursor:
                    draft = Draft(self, cursor)
                    self._plan(draft)
            except (_SkipError, pymysql.err.MySQLError) as error:
                if not self._give_back(error):
                    return
                if self._stop_event.wait(min(0.001 * 2 ** min(attempt, 8), 0.2)):
                    return
                continue
            if not draft.writes:
                connection.rollback()
                return
            self._count += 1
            self._sent = time.time()
            try:
                connection.commit()
            except pymysql.err.MySQLError as error:
                self._disconnect()
                if error.args and error.args[0] in _RETRY:
                    continue
                self._set_aside(self._as_transaction(draft))
                return
            self._adopt(draft)
            return
        raise RuntimeError(f"no transaction went through in {_MAX_ATTEMPTS} attempts")

    def _give_back(self, error: Exception) -> bool:
        """Roll back; say whether it is worth another attempt. Nothing was committed."""
        number = error.args[0] if error.args else None
        if isinstance(error, pymysql.err.InterfaceError) or number in {
            2003,
            2006,
            2013,
            1053,
            1927,
        }:
            self._disconnect()
            return True
        if self._connection is not None:
            try:
                self._connection.rollback()
            except pymysql.err.MySQLError:  # the server has gone meanwhile
                self._disconnect()
        if isinstance(error, _SkipError) or number == _DUPLICATE:
            return False
        if number in _RETRY:
            return True
        raise error

    def _as_transaction(self, draft: Draft) -> Transaction:
        writes = tuple(draft.writes)
        return Transaction(self.side, self.name, self._count, time.time(), writes, self._sent)

    def _adopt(self, draft: Draft) -> None:
        self._log.acknowledged.append(self._as_transaction(draft))
        for (table, key), row in draft.seen.items():
            mine = self.rows[table]
            if row is not None:
                mine[key] = row
            elif mine.pop(key, None) is not None:
                self.free[table].append(key)

    def _set_aside(self, transaction: Transaction) -> None:
        self._log.maybe.append(transaction)
        for write in transaction.writes:
            self.rows[write.table].pop(write.key, None)
            for row in (write.row, write.before):
                if write.table == "orders" and row is not None:
                    # It may have a child that this writer does not know of.
                    parent = COLUMNS["orders"].index("customer_id")
                    self.rows["customers"].pop(row[parent], None)

    def _connect(self) -> Connection[Cursor]:
        if self._connection is None:
            connection = self._endpoint.connect(
                database=self._db, autocommit=False, client_flag=CLIENT.FOUND_ROWS
            )
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = 5")
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(pymysql.err.MySQLError, OSError):
                self._connection.close()
            self._connection = None


def own_rows(*, unique_names: bool = False) -> Plan:
    """
    Change only rows that nobody else changes: inserts, updates, deletes, key changes, several rows at once.

    New keys come from AUTO_INCREMENT (the sides must generate different ones), moved rows get negative keys.

    Args:
        unique_names: Counters have a unique key over `name` (`dataset.create`): names also swap rows, and pass
            from a row that is deleted to a new one.
    """

    def transaction(draft: Draft) -> None:
        actions = (
            (5, _place_orders),
            (6, _update_some),
            (2, _update_twice),
            (3, _count_up),
            (4, _delete_one),
            (2, _move_one),
            (2, _recreate),
            (1, _come_and_go),
            (3 * unique_names, _swap_names),
            (2 * unique_names, _pass_name_on),
        )
        weights, choices = zip(*actions, strict=True)
        draft.rng.choices(choices, weights)[0](draft)

    return transaction


def shared_rows(
    table: str,
    keys: Sequence[int],
    *,
    deletes: float = 0.0,
    insert_keys: Iterable[int] = (),
    most_rows: int = 3,
    recreate: float = 0.0,
) -> Plan:
    """
    Change rows that writers of both sides change.

    Args:
        table: Their table.
        keys: Their keys; a row that is gone is left alone. None at all: only inserts are made.
        deletes: Share of deletes among the changes.
        insert_keys: Keys that each writer inserts one after the other, unless it finds them there already.
        most_rows: Rows per transaction.
        recreate: Chance that a chosen key without a row gets a new one.

    Each call makes a plan for one writer.
    """
    waiting = list(insert_keys)

    def transaction(draft: Draft) -> None:
        rng = draft.rng
        if waiting and (not keys or rng.random() < 0.2):
            row = new_row(table, rng, draft.stamp(), customer_id=1)
            draft.insert(table, row | {"id": waiting.pop(0)})
            return
        if not keys:
            raise _SkipError
        chosen = rng.sample(list(keys), min(len(keys), rng.randint(1, most_rows)))
        there = draft.lock(table, chosen)
        for row in there:
            if rng.random() < deletes:
                draft.delete(table, row)
            else:
                draft.update(table, [row], some_changes(table, rng))
        for key in sorted(set(chosen) - {row["id"] for row in there}):
            if rng.random() < recreate:
                new = new_row(table, rng, draft.stamp(), customer_id=1)
                draft.insert(table, new | {"id": key})

    return transaction


class Workload:
    """
    The writers of both sides with their log.

    As a context manager it starts them and, at the end, stops them and waits.
    """

    def __init__(self, writers: Iterable[Writer], log: Log) -> None:
        self.writers = list(writers)
        self.log = log

    @classmethod
    def disjoint(
        cls,
        pair: Pair,
        db: str,
        *,
        per_side: int = 2,
        keys: tuple[int, int] = (1, 1_000_000_000),
        seed: int = 0,
        rate: float | None = 50.0,
        log: Log | None = None,
        sides: Sequence[SideName] = ("a", "b"),
        leave_out: Container[int] = (),
        first_stamp: int = 0,
        unique_names: bool = False,
    ) -> Workload:
        """
        Make writers that share the rows of *keys* (half open) among themselves by key; both sides must be equal.

        Args:
            pair: Both servers.
            db: A database filled by `load`.
            per_side: Writers per side.
            keys: First key and the key after the last.
            seed: For all choices.
            rate: Transactions per second and writer.
            log: To go on with; None for a new one.
            sides: Which sides have writers.
            leave_out: Keys of any table that no writer shall have.
            first_stamp: Where another workload wrote to the same rows before: more than its stamps.
            unique_names: See `own_rows`.
        """
        log = Log() if log is None else log
        total = per_side * len(sides)
        owned: list[dict[str, dict[int, Row]]] = [
            {table: {} for table in TABLES} for _ in range(total)
        ]
        with pair.a.connect(database=db) as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION time_zone = '+00:00'")
            for table, names in COLUMNS.items():
                cursor.execute(
                    f"SELECT {', '.join(names)} FROM {table} WHERE id >= %s AND id < %s", keys
                )
                for values in cursor.fetchall():
                    row = dict(zip(names, values, strict=True))
                    if row["id"] in leave_out:
                        continue
                    # An order has the owner of its customer.
                    owner = (row["customer_id"] if table == "orders" else row["id"]) % total
                    owned[owner][table][row["id"]] = row
        writers = []
        for index in range(total):
            side = sides[index % len(sides)]
            endpoint = pair.a if side == "a" else pair.b
            writer = Writer(
                endpoint,
                db,
                side,
                index // len(sides) + 1,
                log,
                own_rows(unique_names=unique_names),
                rows=owned[index],
                seed=seed,
                rate=rate,
            )
            writer.stamps = first_stamp
            writers.append(writer)
        return cls(writers, log)

    @classmethod
    def overlapping(
        cls,
        pair: Pair,
        db: str,
        table: str,
        keys: Sequence[int],
        *,
        per_side: int = 1,
        deletes: float = 0.0,
        insert_keys: Sequence[int] = (),
        seed: int = 0,
        rate: float | None = 50.0,
        log: Log | None = None,
        number: int = 100,
        recreate: float = 0.0,
        first_stamp: int = 0,
    ) -> Workload:
        """
        Make writers on both sides that all change the same *keys* of *table*; see `shared_rows`.

        Writers that share a log need different numbers; *number* is that of the first.
        """
        log = Log() if log is None else log
        sides: tuple[tuple[SideName, Endpoint], ...] = (("a", pair.a), ("b", pair.b))
        writers = [
            Writer(
                endpoint,
                db,
                side,
                number + index,
                log,
                shared_rows(
                    table, keys, deletes=deletes, insert_keys=insert_keys, recreate=recreate
                ),
                seed=seed,
                rate=rate,
            )
            for side, endpoint in sides
            for index in range(per_side)
        ]
        for writer in writers:
            writer.stamps = first_stamp
        return cls(writers, log)

    def start(self) -> None:
        """Start all writers."""
        for writer in self.writers:
            writer.start()

    def stop(self) -> None:
        """Stop all writers and wait for their last transaction; a second call does nothing."""
        for writer in self.writers:
            writer.stop()
        for writer in self.writers:
            if writer.ident is not None:
                writer.join(60)
                if writer.is_alive():
                    self.log.trouble.append(f"writer {writer.name} does not end")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _values(table: str, row: Row | None) -> Values | None:
    return None if row is None else tuple(row[name] for name in COLUMNS[table])


def _pick(draft: Draft, table: str, at_most: int = 1) -> list[Row]:
    mine = draft.writer.rows[table]
    if not mine:
        raise _SkipError
    keys = draft.rng.sample(list(mine), min(at_most, len(mine)))
    return [mine[key] for key in keys]


def _busy_customers(draft: Draft) -> set[int]:
    return {row["customer_id"] for row in draft.writer.rows["orders"].values()}


def _place_orders(draft: Draft) -> None:
    """Insert orders, often for a new customer."""
    if draft.rng.random() < 0.4 or not draft.writer.rows["customers"]:
        customer = draft.insert("customers", new_row("customers", draft.rng, draft.stamp()))
    else:
        customer = _pick(draft, "customers")[0]["id"]
    for _ in range(draft.rng.randint(1, 3)):
        draft.insert("orders", new_row("orders", draft.rng, draft.stamp(), customer_id=customer))


def _update_some(draft: Draft) -> None:
    table = draft.rng.choice(TABLES)
    for row in _pick(draft, table, draft.rng.choice((1, 1, 1, 2, 5))):
        draft.update(table, [row], some_changes(table, draft.rng))


def _update_twice(draft: Draft) -> None:
    row = _pick(draft, "orders")[0]
    draft.update("orders", [row], some_changes("orders", draft.rng))
    again = draft.row("orders", row["id"])
    assert again is not None
    draft.update("orders", [again], some_changes("orders", draft.rng))


def _count_up(draft: Draft) -> None:
    """Change several rows by one statement."""
    table = draft.rng.choice(("orders", "counters"))
    draft.update(table, _pick(draft, table, 20), some_changes(table, draft.rng))


def _delete_one(draft: Draft) -> None:
    """Delete orders, a counter, or a customer without orders."""
    table = draft.rng.choice(("orders", "orders", "orders", "customers", "counters"))
    if table == "customers":
        busy = _busy_customers(draft)
        for row in _pick(draft, table, 5):
            if row["id"] not in busy:
                draft.delete(table, row)
        return
    for row in _pick(draft, table, draft.rng.choice((1, 1, 3))):
        draft.delete(table, row)


def _move_one(draft: Draft) -> None:
    """Change the key of an order, a counter, or a customer without orders."""
    table = draft.rng.choice(TABLES)
    row = _pick(draft, table)[0]
    if table == "customers" and row["id"] in _busy_customers(draft):
        raise _SkipError
    writer = draft.writer
    # A key of the writer's own: 100 writers a side, one key per stamp.
    slot = writer.number * 2 + (writer.side == "b")
    writer.stamps += 1
    draft.move(table, row, -(writer.stamps * 1000 + slot))


def _recreate(draft: Draft) -> None:
    """Delete a row and insert it again, at once; or insert at a key that was deleted long ago."""
    table = draft.rng.choice(("orders", "counters"))
    free = draft.writer.free[table]
    if free and draft.rng.random() < 0.5:
        key = draft.rng.choice(free)
        if draft.row(table, key) is not None:
            raise _SkipError
    else:
        row = _pick(draft, table)[0]
        draft.delete(table, row)
        key = row["id"]
    customers = draft.writer.rows["customers"]
    customer = draft.rng.choice(list(customers)) if customers else 0
    if table == "orders" and not customer:
        raise _SkipError
    new = new_row(table, draft.rng, draft.stamp(), customer_id=customer)
    draft.insert(table, new | {"id": key})


def _swap_names(draft: Draft) -> None:
    """Let two counters swap their names, by way of a third one."""
    mine = _pick(draft, "counters", 2)
    if len(mine) < 2:
        raise _SkipError
    one, other = mine
    draft.update("counters", [one], {"name": f"swap {draft.stamp()}"})
    draft.update("counters", [other], {"name": one["name"]})
    between = draft.row("counters", one["id"])
    assert between is not None
    draft.update("counters", [between], {"name": other["name"]})


def _pass_name_on(draft: Draft) -> None:
    """Delete a counter and give its name to a new one."""
    row = _pick(draft, "counters")[0]
    draft.delete("counters", row)
    draft.insert("counters", new_row("counters", draft.rng, draft.stamp()) | {"name": row["name"]})


def _come_and_go(draft: Draft) -> None:
    """Insert, change and delete a row within one transaction."""
    key = draft.insert("counters", new_row("counters", draft.rng, draft.stamp()))
    row = draft.row("counters", key)
    assert row is not None
    draft.update("counters", [row], some_changes("counters", draft.rng))
    row = draft.row("counters", key)
    assert row is not None
    draft.delete("counters", row)
