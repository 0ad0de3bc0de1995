"""
Say whether both sides hold what they must, from plain SELECTs and the writers' log alone.

Shares no code with the product: no digests, no keys cut into chunks, no marks.
Rows are fetched whole, ordered by key, and compared as Python tuples.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.endpoint import Endpoint
    from testbed.provision import Pair
    from testbed.workload import Log, RowWrite, Transaction

__all__ = ["History", "differences", "expected", "read_pair", "read_table", "table_names"]

Values = tuple[Any, ...]
Table = dict[Values, Values]
"""Rows by key."""

_SHOWN = 12


def normalise(value: Any) -> Any:
    """Give one Python value for what both flavours mean by one SQL value; types stay apart."""
    if isinstance(value, Decimal):
        return ("decimal", str(value.normalize()))
    if isinstance(value, dt.timedelta):
        return ("time", value.total_seconds())
    if isinstance(value, float):
        return ("float", repr(value))
    return value


def table_names(endpoint: Endpoint, db: str) -> list[str]:
    """List the base tables of a database."""
    return [
        name
        for (name,) in endpoint.query(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s "
            "AND table_type = 'BASE TABLE' ORDER BY table_name",
            [db],
        )
    ]


def read_table(endpoint: Endpoint, db: str, table: str) -> Table:
    """Fetch a table whole; a table without primary key has all columns as its key."""
    keys = [
        name
        for (name,) in endpoint.query(
            "SELECT column_name FROM information_schema.statistics WHERE table_schema = %s "
            "AND table_name = %s AND index_name = 'PRIMARY' ORDER BY seq_in_index",
            [db, table],
        )
    ]
    with endpoint.connect(database=db) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION time_zone = '+00:00'")
        order = f" ORDER BY {', '.join(f'`{key}`' for key in keys)}" if keys else ""
        cursor.execute(f"SELECT * FROM `{table}`{order}")
        names = [column[0] for column in cursor.description or ()]
        places = [names.index(key) for key in keys] or list(range(len(names)))
        found: Table = {}
        for raw in cursor.fetchall():
            row = tuple(normalise(value) for value in raw)
            key = tuple(row[place] for place in places)
            if key in found:
                raise AssertionError(f"{endpoint.name}: {table} has {key} twice")
            found[key] = row
        return found


def read_pair(
    pair: Pair, db: str, tables: Iterable[str] | None = None
) -> dict[str, tuple[Table, Table]]:
    """Fetch tables of both sides; None takes all tables of side A and of side B."""
    names = sorted(
        set(table_names(pair.a, db)) | set(table_names(pair.b, db)) if tables is None else tables
    )
    return {name: (read_table(pair.a, db, name), read_table(pair.b, db, name)) for name in names}


def differences(
    found: Mapping[str, tuple[Table, Table]], wanted: Mapping[str, Table] | None = None
) -> list[str]:
    """
    Compare the sides with each other and, if given, each with what is wanted.

    Returns:
        One line per difference, cut after a dozen per table and comparison; empty if all is well.
    """
    lines: list[str] = []
    for name, (a, b) in found.items():
        lines += _compare(f"{name}: A against B", a, b)
        if wanted is not None and name in wanted:
            lines += _compare(f"{name}: A against the log", a, wanted[name])
            lines += _compare(f"{name}: B against the log", b, wanted[name])
    if wanted is not None:
        lines += [f"{name}: not compared" for name in wanted.keys() - found.keys()]
    return lines


def _compare(what: str, left: Table, right: Table) -> list[str]:
    bad = sorted(
        (key for key in left.keys() | right.keys() if left.get(key) != right.get(key)), key=repr
    )
    lines = [f"{what}: {key}: {left.get(key)} != {right.get(key)}" for key in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"{what}: {len(bad)} rows differ")
    return lines


def expected(first: Mapping[str, Table], log: Log) -> dict[str, Table]:
    """
    Apply every acknowledged write to the first state; exact where no key was written by two writers.

    Raises:
        AssertionError: Two writers wrote one key, or a writer's log does not fit the first state: the
            oracle would be wrong.
    """
    state = {name: dict(table) for name, table in first.items()}
    owner: dict[tuple[str, int], str] = {}
    for transaction in log.acknowledged:
        for write in transaction.writes:
            previous = owner.setdefault((write.table, write.key), transaction.writer)
            assert previous == transaction.writer, (
                f"{write.table} {write.key}: written by {previous} and {transaction.writer}"
            )
            table = state[write.table]
            key = (write.key,)
            before = _normal(write.before)
            assert table.get(key) == before, (
                f"{write.table} {write.key}: {transaction.writer} built on {before}, "
                f"the log holds {table.get(key)}"
            )
            after = _normal(write.row)
            if after is None:
                table.pop(key, None)
            else:
                table[key] = after
    return state


def _normal(row: Values | None) -> Values | None:
    return None if row is None else tuple(normalise(value) for value in row)


@dataclass
class History:
    """
    Which write of a key was built on which, where both sides wrote the same keys.

    A write is named by its stamp; `load` names the first state. Rows carry the stamp of the write they
    come from, so any row that is found anywhere can be placed in this history.

    Attributes:
        writes: Every acknowledged write of one table by key, in the order of the log.
        parents: For each (key, stamp) the stamp of the row it replaced; None for an insert.
        room: For each (key, stamp) of an insert the stamps of the deletes that may have made room for it.
        maybe: Writes whose commit had no answer, by (key, stamp): nothing is promised of them, others may be built on them.
    """

    writes: dict[int, list[tuple[Transaction, RowWrite]]] = field(default_factory=dict)
    parents: dict[tuple[int, str], str | None] = field(default_factory=dict)
    room: dict[tuple[int, str], set[str]] = field(default_factory=dict)
    maybe: dict[tuple[int, str], tuple[Transaction, RowWrite]] = field(default_factory=dict)

    @classmethod
    def of(cls, log: Log, table: str, columns: Sequence[str]) -> History:
        """Read a log."""
        place = columns.index("stamp")
        history = cls()
        for transaction, write in log.writes(table):
            history.writes.setdefault(write.key, []).append((transaction, write))
        for transaction in log.maybe:
            for write in transaction.writes:
                if write.table == table:
                    history.maybe[write.key, write.stamp] = transaction, write
        every = [item for items in history.writes.values() for item in items]
        every += history.maybe.values()
        deletes: dict[int, list[tuple[Transaction, RowWrite]]] = {}
        for transaction, write in every:
            before = write.before[place] if write.before is not None else None
            history.parents[write.key, write.stamp] = before
            if write.op == "delete":
                deletes.setdefault(write.key, []).append((transaction, write))
        for transaction, write in sorted(every, key=lambda item: item[0].at):
            if write.op == "insert":
                # It found no row: a delete of whichever side may be why, unless it came later or deleted this very row.
                history.room[write.key, write.stamp] = {
                    gone.stamp
                    for other, gone in deletes.get(write.key, ())
                    if other.sent <= transaction.at
                    and write.stamp not in history.past(write.key, gone.stamp)
                }
        return history

    def line(self, key: int, stamp: str) -> set[str]:
        """Give *stamp* and every row that it was built on for certain."""
        found: set[str] = set()
        at: str | None = stamp
        while at is not None and at not in found:
            found.add(at)
            at = self.parents.get((key, at))
        return found

    def past(self, key: int, stamp: str) -> set[str]:
        """Give *stamp* and everything it may have been built on, deletes before an insert included."""
        found: set[str] = set()
        waiting = {stamp}
        while waiting:
            at = waiting.pop()
            found |= (line := self.line(key, at))
            waiting |= set().union(*(self.room.get((key, one), ()) for one in line)) - found
        return found

    def sides(self, key: int) -> set[str]:
        """Say which sides ever wrote *key*, for certain or maybe."""
        unsure = {item[0].side for (other, _), item in self.maybe.items() if other == key}
        return {transaction.side for transaction, _ in self.writes.get(key, ())} | unsure

    def lost(self, key: int, final: str | None, beaten: Iterable[str | None]) -> list[str]:
        """
        Name the acknowledged writes of *key* that are neither in the final row's past nor beaten.

        Args:
            key: The key.
            final: Stamp of the final row; None where there is none.
            beaten: Stamps of the losing rows in the journal; None for a losing absence.

        A delete may stand as the final state, or be beaten as an absence.
        """
        losers = list(beaten)
        accounted: set[str] = set()
        for stamp in losers:
            if stamp is not None:
                accounted |= self.past(key, stamp)
        told = [write for _, write in self.writes.get(key, ())]
        told += [write for (at, _), (_, write) in self.maybe.items() if at == key]
        deletes = [write.stamp for write in told if write.op == "delete"]
        if final is not None:
            accounted |= self.past(key, final)
        if final is None or None in losers:
            for stamp in deletes:
                accounted |= self.past(key, stamp)
        return [
            write.stamp for _, write in self.writes.get(key, ()) if write.stamp not in accounted
        ]
