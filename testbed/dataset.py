"""
An orders and customers data set: its tables, its rows, the values they take.

`load` fills both sides with the same rows from the row number alone, on the
server, so that a million rows take seconds.
"""

from __future__ import annotations

import datetime as dt
import random
import threading
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.endpoint import Endpoint

__all__ = ["COLUMNS", "TABLES", "Row", "create", "load", "new_row", "now", "some_changes"]

Row = dict[str, Any]
"""A row by column name, in the table's column order."""

TABLES = ("customers", "orders", "counters")
"""Parents first."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "customers": ("id", "name", "email", "note", "credit", "version", "updated_at", "stamp"),
    "orders": (
        "id",
        "customer_id",
        "status",
        "total",
        "placed_at",
        "comment",
        "version",
        "updated_at",
        "stamp",
    ),
    "counters": ("id", "name", "value", "version", "updated_at", "stamp"),
}
"""The first one is the key. `stamp` names the write that a row's content comes from."""

_TAIL = """
    version INT NOT NULL DEFAULT 1,
    updated_at DATETIME(6) NOT NULL,
    stamp VARCHAR(40) NOT NULL DEFAULT '',
    PRIMARY KEY (id)"""

_CREATE = {
    "customers": f"""CREATE TABLE customers (
    id BIGINT NOT NULL AUTO_INCREMENT,
    name VARCHAR(80) NOT NULL,
    email VARCHAR(120) NULL,
    note TEXT NULL,
    credit DECIMAL(12,2) NOT NULL DEFAULT 0,{_TAIL}""",
    "orders": f"""CREATE TABLE orders (
    id BIGINT NOT NULL AUTO_INCREMENT,
    customer_id BIGINT NOT NULL,
    status VARCHAR(16) NOT NULL,
    total DECIMAL(12,2) NULL,
    placed_at TIMESTAMP(6) NULL,
    comment TEXT NULL,{_TAIL},
    KEY customer (customer_id)""",
    "counters": f"""CREATE TABLE counters (
    id BIGINT NOT NULL AUTO_INCREMENT,
    name VARCHAR(40) NOT NULL,
    value BIGINT NULL,{_TAIL}""",
}

# Row n of each table; customer n and order n belong together, every fifth customer has no order.
_ROW = {
    "customers": """n, CONCAT('Customer ', n), IF(n % 7 = 0, NULL, CONCAT('c', n, '@example.org')),
        IF(n % 3 = 0, NULL, CONCAT('première note ', n)), n % 10000 / 4, 1,
        '2024-01-01' + INTERVAL n SECOND, 'load'""",
    "orders": """n, n, ELT(1 + n % 3, 'open', 'paid', 'sent'), IF(n % 11 = 0, NULL, n % 5000 / 8),
        '2024-02-01' + INTERVAL n SECOND, IF(n % 2 = 0, NULL, CONCAT('comment ', n)), 1,
        '2024-01-01' + INTERVAL n SECOND, 'load'""",
    "counters": """n, CONCAT('counter-', n), n, 1, '2024-01-01' + INTERVAL n SECOND, 'load'""",
}
_WHERE = {"customers": "", "orders": " WHERE n % 5 <> 0", "counters": " WHERE n % 10 = 1"}
_BATCH = 100_000
_DIGITS = (
    "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 "
    "UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
)

_TEXTS = (
    "",
    "plain",
    "Zoë — 数据 🚚",
    'it\'s "quoted"\\',
    "a\tb\nc\0d",
    " leading and trailing ",
    "x" * 700,
)
_STATES = ("open", "paid", "sent", "returned")


def create(
    endpoint: Endpoint, db: str, *, foreign_keys: bool = False, unique_names: bool = False
) -> None:
    """
    Create the three empty tables.

    Args:
        endpoint: The server.
        db: An existing database.
        foreign_keys: `orders.customer_id` refers to `customers` (no cascade).
        unique_names: No two counters have one name.
    """
    for table in TABLES:
        more = ""
        if foreign_keys and table == "orders":
            more = ",\n    FOREIGN KEY (customer_id) REFERENCES customers (id)"
        if unique_names and table == "counters":
            more = ",\n    UNIQUE KEY name (name)"
        endpoint.script(f"{_CREATE[table]}{more}) ENGINE=InnoDB CHARSET=utf8mb4", db=db)


def load(endpoint: Endpoint, db: str, rows: int, *, tables: tuple[str, ...] = TABLES) -> None:
    """
    Fill the tables with *rows* customers, four fifths as many orders and a tenth as many counters.

    Keys are 1..rows (with gaps in orders and counters); the same call gives the same rows on every server.
    """
    with endpoint.connect(database=db) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION time_zone = '+00:00'")
        digits = len(str(min(rows, _BATCH) - 1))
        froms = " CROSS JOIN ".join(f"{_DIGITS} d{i}" for i in range(digits))
        number = " + ".join(f"d{i}.d * {10**i}" for i in range(digits))
        for table in tables:
            for start in range(1, rows + 1, _BATCH):
                below = min(start + _BATCH, rows + 1)
                condition = f"{_WHERE[table] or ' WHERE 1'} AND n < {below}"
                cursor.execute(
                    f"INSERT INTO {table} ({', '.join(COLUMNS[table])}) SELECT {_ROW[table]} "
                    f"FROM (SELECT {start} + {number} AS n FROM {froms}) AS numbers{condition} ORDER BY n"
                )


_clock_lock = threading.Lock()
_clock_last = dt.datetime(1, 1, 1)  # noqa: DTZ001 - UTC, as the columns hold it


def now() -> dt.datetime:
    """Give the time in UTC, without zone, later than every time given before in this process."""
    global _clock_last  # noqa: PLW0603 - one clock per process is its purpose
    with _clock_lock:
        wall = dt.datetime.fromtimestamp(time.time(), dt.UTC).replace(tzinfo=None)
        _clock_last = max(wall, _clock_last + dt.timedelta(microseconds=1))
        return _clock_last


def new_row(table: str, rng: random.Random, stamp: str, *, customer_id: int = 0) -> Row:
    """Give a new row with `id` None."""
    row: Row = {"id": None}
    if table == "customers":
        row |= {"name": f"New {stamp}", "email": None, "note": None, "credit": Decimal("0.00")}
    elif table == "orders":
        row |= {"customer_id": customer_id, "status": "open", "total": None}
        row |= {"placed_at": now(), "comment": None}
    else:
        row |= {"name": f"counter {stamp}", "value": None}
    row |= some_changes(table, rng) | {"version": 1, "updated_at": now(), "stamp": stamp}
    return row


def some_changes(table: str, rng: random.Random) -> Row:
    """Give new values for one or some columns that carry no meaning for the data set's rules."""
    text = rng.choice((None, *_TEXTS))
    amount = Decimal(rng.randrange(-10_000_000, 10_000_000)).scaleb(-2)
    choices: list[Row]
    if table == "customers":
        choices = [{"note": text}, {"credit": amount}, {"email": text and text[:100], "note": None}]
    elif table == "orders":
        choices = [
            {"status": rng.choice(_STATES)},
            {"total": rng.choice((None, amount)), "comment": text},
            {"placed_at": rng.choice((None, now()))},
        ]
    else:
        choices = [{"value": rng.choice((None, rng.randrange(-(2**63), 2**63)))}]
    return rng.choice(choices)
