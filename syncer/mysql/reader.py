"""Reads of one side: rows, digests of chunks, boundaries. All within a snapshot, where one was begun."""

from __future__ import annotations

import decimal
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from syncer.core.key import Key, Scalar
from syncer.core.pairing import PairedTable
from syncer.core.rules import RuleValue
from syncer.core.schema import Column
from syncer.mysql import chunktext, rowtext, statements
from syncer.mysql import columns as cols
from syncer.mysql.connection import Session
from syncer.mysql.documents import read_digest
from syncer.mysql.keydigests import KeyDigests
from syncer.mysql.loading import LINE_END
from syncer.mysql.snapshot import Snapshot

_INTEGER = {"tinyint", "smallint", "mediumint", "int", "bigint", "year"}
_TEMPORAL = {"date", "datetime", "timestamp"}
_UNKNOWN = "unknown "
UNION_BYTES = 100_000
"""A statement about many tables is at most about so long; one table's may be longer."""
_TEXTS = cols.CHARACTERS | cols.MEMBERS


class RowRead(msgspec.Struct, frozen=True, gc=False):
    """One row as read: its key as spelt there, its digest, the values that rules read, its image, whether the filter takes it."""

    key: Key
    digest: str
    values: tuple[RuleValue | None, ...]
    image: str
    inside: bool = True

    @property
    def whole(self) -> bool:
        """The row has an image; one above its server's ``max_allowed_packet`` has none."""
        return bool(self.image)

    @property
    def known(self) -> bool:
        """The row has a digest; one with a document above ``max_allowed_packet`` is equal to nothing, not even itself."""
        return not is_unknown(self.digest)


_PLAIN_WIDTH = 4
"""Of a result with one key column, one digest and no column for rules: key, digest, image, whether the filter takes it."""


def _plain_rows(column: Column, rows: Sequence[Sequence[Any]]) -> dict[Key, RowRead]:
    """Read the commonest result, whose rows come by the thousand; what is special in a row is left to the long way."""
    found: dict[Key, RowRead] = {}
    for value, digest, image, inside in rows:
        key = (value if type(value) is int else cols.key_scalar(column, value),)
        known = digest if type(digest) is str else digest_of((digest,))
        whole = image if type(image) is str else "" if image is None else cols.as_text(image)
        found[key] = RowRead(
            key, known, (), "" if is_unknown(known) else whole, inside == "1" or bool(int(inside))
        )
    return found


def digest_of(cells: Sequence[object]) -> str:
    """Make the digest of what ``documents.digest_select`` gave; where there is none, a text that is never met again."""
    return read_digest(cells) or f"{_UNKNOWN}{uuid.uuid4().hex}"


def is_unknown(digest: str) -> bool:
    """Say whether *digest* stands for a row that its server could make no digest of."""
    return digest.startswith(_UNKNOWN)


class ChunkValues(msgspec.Struct, frozen=True):
    """
    All rows of a key range, *low* inclusive and *high* exclusive.

    Attributes:
        rows: their number.
        digest: theirs (design.md §4).
        values: their images as one text for VALUES (design.md §5), or as lines (``loading.py``), which are bytes.
    """

    low: Key | None
    high: Key | None
    rows: int
    digest: int
    values: str | bytes


class ReadAgain(Exception):
    """
    The last read of a snapshot was not whole: the snapshot is over, and where it is begun anew, the read is made in another way.

    Raised only where the number of reads was told beforehand.
    """


class SnapshotReader(Snapshot):
    """Reads of one side within a snapshot, or between two. Not thread-safe: one worker uses it."""

    def __init__(self, session: Session) -> None:
        """Take a session over; it is REPEATABLE READ, so that a locking read locks absent keys too."""
        super().__init__(session)
        self.rows_read = 0
        self._not_as_text: set[int] = set()

    @property
    def _keys_bytes(self) -> int:
        """So long the keys of one statement may be."""
        return self._session.most_bytes // 2

    def rows_by_key(self, table: PairedTable, keys: list[Key]) -> dict[Key, RowRead]:
        """Read the rows of *keys*; absent ones are missing from the result."""
        if not keys:
            return {}
        schema = table.schema(self._session.side)
        parts = statements.split_keys(schema, keys, self._keys_bytes)
        if len(parts) == 1:
            condition = statements.keys_condition(schema, keys)
            known = self._rows_of_text(table, condition)
            return self._rows(table, condition) if known is None else known
        self._expect(len(parts) - 1)
        found: dict[Key, RowRead] = {}
        for part in parts:
            found |= self._rows(table, statements.keys_condition(schema, part))
        return found

    def _rows_of_text(self, table: PairedTable, condition: str) -> dict[Key, RowRead] | None:
        """Read rows in the way that costs us least; None: they are to be read in the usual way."""
        side = self._session.side
        schema, columns = table.schema(side), table.compared(side)
        usual = self._locking or table.policy.columns or table.table_id in self._not_as_text
        if usual or not rowtext.fits(schema, columns):
            return None
        sql = statements.select_rows_as_text(
            schema, self._session.flavor, columns, table.writable(side), condition
        )
        count, text = self._query(sql)[0]
        try:
            rows = rowtext.take_apart(int(count), cols.as_text(text or ""))
            found: dict[Key, RowRead] = {
                (key,): RowRead((key,), digest, (), whole) for key, digest, whole in rows
            }
        except ValueError:
            self._not_as_text.add(table.table_id)
            if self._closed:
                raise ReadAgain from None
            self._expect(1)
            return None
        self.rows_read += len(found)
        return found

    def rows_in_range(
        self, table: PairedTable, low: Key | None, high: Key | None
    ) -> dict[Key, RowRead]:
        """Read the rows from *low* (inclusive) to *high* (exclusive)."""
        schema = table.schema(self._session.side)
        condition = statements.range_condition(schema, low, high)
        return self._rows(table, statements.scope_condition(schema, condition))

    def _rows(self, table: PairedTable, condition: str) -> dict[Key, RowRead]:
        side = self._session.side
        schema = table.schema(side)
        read = [schema.column(name) for name in table.policy.columns]
        sql = statements.select_digests(
            schema,
            self._session.flavor,
            table.compared(side),
            condition,
            lock=self._locking,
            images=table.writable(side),
            extra=[
                statements.select_in_scope(schema) if schema.where else "1",
                *map(_rule_select, read),
            ],
            ordered=self._locking,
        )
        rows = self._query(sql)
        width = len(schema.key)
        if width == 1 and not read and rows and len(rows[0]) == _PLAIN_WIDTH:
            found = _plain_rows(schema.key_columns[0], rows)
            self.rows_read += len(found)
            return found
        found = {}
        for row in rows:
            key = cols.read_key(schema.key_columns, row)
            tail = len(row) - len(read)
            *cells, whole, inside = row[width:tail]
            values = tuple(map(rule_value, read, row[tail:]))
            digest = digest_of(cells)
            found[key] = RowRead(
                key,
                digest,
                values,
                "" if whole is None or is_unknown(digest) else cols.as_text(whole),
                bool(int(inside)),
            )
        self.rows_read += len(found)
        return found

    def children(
        self,
        table: PairedTable,
        columns: Sequence[str],
        values: Sequence[Key],
        also: Sequence[str],
        limit: int,
    ) -> list[tuple[Key, tuple[Scalar | None, ...]]]:
        """
        Find the rows whose foreign key *columns* is one of *values*.

        Returns:
            Key, and the values of the columns *also* (None for NULL), of at most *limit* rows in no order.
        """
        schema = table.schema(self._session.side)
        read = (*schema.key_columns, *(schema.column(name) for name in also))
        width = len(schema.key)
        by_value = msgspec.structs.replace(schema, key=tuple(columns))
        rows: list[tuple[Any, ...]] = []
        for part in statements.split_keys(by_value, values, self._keys_bytes):
            if len(rows) < limit:
                left = limit - len(rows)
                rows += self._query(statements.select_children(schema, columns, part, read, left))
        found = []
        for row in rows:
            key = cols.read_key(read[:width], row)
            rest = zip(read[width:], row[width:], strict=True)
            more = tuple(None if v is None else cols.key_scalar(c, v) for c, v in rest)
            found.append((key, more))
        return found

    def key_digests(self, table: PairedTable, low: Key | None, high: Key | None) -> KeyDigests:
        """Read the keys and digests of the rows from *low* (inclusive) to *high* (exclusive) as one text."""
        side = self._session.side
        sql = statements.select_entries(
            table.schema(side), self._session.flavor, table.compared(side), low, high, side
        )
        count, text = self._query(sql)[0]
        return KeyDigests(int(count), text or b"")

    def digests_by_key(self, table: PairedTable, keys: Sequence[Key]) -> dict[Key, str]:
        """Read key and row digest of every row of *keys*."""
        schema = table.schema(self._session.side)
        parts = statements.split_keys(schema, keys, self._keys_bytes)
        self._expect(len(parts) - 1)
        found: dict[Key, str] = {}
        for part in parts:
            condition = statements.keys_condition(schema, part)
            found |= self._digests(table, statements.scope_condition(schema, condition))
        return found

    def digests_in_range(
        self, table: PairedTable, low: Key | None, high: Key | None
    ) -> dict[Key, str]:
        """Read key and row digest of every row of the range."""
        schema = table.schema(self._session.side)
        condition = statements.range_condition(schema, low, high)
        return self._digests(table, statements.scope_condition(schema, condition))

    def _digests(self, table: PairedTable, condition: str) -> dict[Key, str]:
        side = self._session.side
        schema = table.schema(side)
        sql = statements.select_digests(
            schema, self._session.flavor, table.compared(side), condition
        )
        width = len(schema.key)
        found = {
            cols.read_key(schema.key_columns, row): digest_of(row[width:])
            for row in self._query(sql)
        }
        self.rows_read += len(found)
        return found

    def chunk_digest(
        self, table: PairedTable, low: Key | None, high: Key | None, rows: int
    ) -> tuple[int, int]:
        """
        Return (row count, digest) of the range of about *rows* rows; the digest of no rows is 0.

        To be compared with what the other side returns for the same arguments, and with nothing else.
        """
        side = self._session.side
        sql = statements.select_chunk_digest(
            table.schema(side),
            self._session.flavor,
            table.compared(side),
            low,
            high,
            as_text=chunktext.fits(table, self._session.flavor, rows),
        )
        count, digest = self._query(sql)[0]
        return int(count), int(digest or 0)

    def table_digests(
        self, tables: Sequence[PairedTable], most_rows: int
    ) -> dict[int, tuple[int, int]]:
        """
        Return (row count, digest) of whole *tables* by their ids, in few statements.

        A table of more than *most_rows* rows is missing in the result: no more are read of any.
        """
        side, flavor = self._session.side, self._session.flavor
        found: dict[int, tuple[int, int]] = {}
        texts = [
            statements.select_small_digest(
                table.schema(side), flavor, table.compared(side), table.table_id, most_rows
            )
            for table in tables
        ]
        for part in statements.split_by_bytes(texts, UNION_BYTES):
            for number, count, digest in self._query(" UNION ALL ".join(part)):
                if int(count) <= most_rows:
                    found[int(number)] = int(count), int(digest or 0)
        return found

    def chunk_values(
        self,
        table: PairedTable,
        low: Key | None,
        high: Key | None,
        *,
        lines: bool = False,
    ) -> ChunkValues:
        """
        Read the range from *low* (inclusive) to *high* (exclusive) whole, its images as *lines* or for VALUES.

        A row that is too large for ``max_allowed_packet`` is missing in the text, though not in number and digest.
        """
        side = self._session.side
        sql = statements.select_chunk_values(
            table.schema(side),
            self._session.flavor,
            table.compared(side),
            table.writable(side),
            low,
            high,
            line_end=LINE_END if lines else None,
        )
        count, found, values = self._query(sql)[0]
        self.rows_read += int(count)
        text = "" if values is None or lines else cols.as_text(values)
        return ChunkValues(
            low,
            high,
            int(count),
            int(found or 0),
            (values or b"") if lines else text,
        )

    def most_bytes(self) -> int:
        """The longest statement that the server takes."""
        return self._session.most_bytes

    def takes_lines(self) -> bool:
        """Say whether the server lets its clients load lines."""
        return self._session.takes_lines

    def multiset_digest(self, table: PairedTable) -> tuple[int, int, int]:
        """Return (row count, XOR, sum) over the digests of all rows; the table needs no key."""
        side = self._session.side
        sql = statements.select_multiset_digest(
            table.schema(side), self._session.flavor, table.compared(side)
        )
        count, xored, added = self._query(sql)[0]
        return int(count), int(xored or 0), int(added or 0)

    def digest_counts(self, table: PairedTable, prefix: str) -> dict[str, int]:
        """Count the rows of every digest that begins with *prefix* (hex digits); the table needs no key."""
        side = self._session.side
        sql = statements.select_row_digests(
            table.schema(side), self._session.flavor, table.compared(side), prefix
        )
        found: dict[str, int] = {}
        for row in self._query(sql):
            digest = digest_of(row[:-1])
            found[digest] = found.get(digest, 0) + int(row[-1])
        return found

    def boundary(
        self, table: PairedTable, low: Key | None, high: Key | None, rows: int
    ) -> Key | None:
        """Return the key *rows* rows after *low* within the range, None where it holds no more than *rows*."""
        schema = table.schema(self._session.side)
        found = self._query(statements.select_boundary(schema, low, high, rows))
        if not found:
            return None
        return cols.read_key(schema.key_columns, found[0])

    def holds_more_than(
        self, table: PairedTable, low: Key | None, high: Key | None, rows: int
    ) -> bool:
        """Say whether the range holds more than *rows* rows, without counting further."""
        return self.boundary(table, low, high, rows) is not None


def _rule_select(column: Column) -> str:
    name = statements.quote_name(column.name)
    if column.data_type in _TEMPORAL:
        return f"DATE_FORMAT({name}, '%Y-%m-%d %H:%i:%s.%f')"
    return f"CAST({name} AS CHAR)"


def rule_value(column: Column, value: object) -> RuleValue | None:
    """Return what rules compare: *value* as a server gives it; NULL and zero dates count as missing (conflicts.md §5)."""
    if value is None:
        return None
    text = cols.as_text(value)
    if column.data_type in _INTEGER:
        return int(text)
    if column.data_type in _TEMPORAL:
        return None if text.startswith("0000-00-00") else text
    return text if column.data_type in _TEXTS else decimal.Decimal(text)
