"""
A chunk that differs, divided: the digests of its buckets say which few rows to read. Pure text.

A bucket is a part of the range where the keys are dense integers, else a remainder of a checksum of the key's text. Both sides use
the same division. It only has to put one key into one bucket: two spellings of a key may land in two, and both then differ.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from syncer.core.key import Key
from syncer.core.schema import Column, TableSchema
from syncer.mysql.columns import plain_number
from syncer.mysql.digests import canonical, chunk_digest
from syncer.mysql.flavor import Flavor
from syncer.mysql.ranges import range_condition, scope_condition
from syncer.mysql.statements import table_by_key

COUNT = 128
SPARSEST = 8
"""Where fewer than one integer in so many is a key, parts of the range would hold too different numbers of rows."""


def unequal(a: Mapping[int, tuple[int, int]], b: Mapping[int, tuple[int, int]]) -> list[int]:
    """Return the numbers of the buckets whose row count or digest differs, or that one side has no rows of."""
    return [number for number in a.keys() | b.keys() if a.get(number) != b.get(number)]


class Division(msgspec.Struct, frozen=True):
    """
    How the keys from *low* (inclusive) to *high* (exclusive) are divided.

    Attributes:
        width: integers per bucket; 0: by checksum.
    """

    low: Key | None
    high: Key | None
    width: int

    @classmethod
    def of(cls, low: Key | None, high: Key | None, rows: int, *, integer: bool) -> Division:
        """Divide a range that holds about *rows* rows; *integer*: its keys are single integers."""
        if integer and low is not None and high is not None:
            width = int(high[0]) - int(low[0])
            if width <= SPARSEST * rows:
                return cls(low, high, -(-width // COUNT))
        return cls(low, high, 0)

    def select(self, schema: TableSchema, flavor: Flavor, columns: Sequence[Column]) -> str:
        """Select number, row count and digest of every bucket that has rows."""
        return (
            f"SELECT {self._bucket(schema, flavor)} AS bucket,{chunk_digest(columns, flavor)} "
            f"FROM {table_by_key(schema)} WHERE "
            f"{scope_condition(schema, range_condition(schema, self.low, self.high))} GROUP BY bucket"
        )

    def condition(self, schema: TableSchema, flavor: Flavor, buckets: Collection[int]) -> str:
        """Return the condition for the rows of *buckets*, at least one."""
        chosen = sorted(buckets)
        if not self.width or self.low is None or self.high is None:
            numbers = ",".join(map(str, chosen))
            whole = range_condition(schema, self.low, self.high)
            return scope_condition(
                schema, f"{whole} AND {self._bucket(schema, flavor)} IN ({numbers})"
            )
        start, end = int(self.low[0]), int(self.high[0])
        parts = [
            range_condition(
                schema,
                (start + number * self.width,),
                (min(end, start + (number + 1) * self.width),),
            )
            for number in chosen
        ]
        return scope_condition(schema, "(" + " OR ".join(f"({part})" for part in parts) + ")")

    def _bucket(self, schema: TableSchema, flavor: Flavor) -> str:
        if self.width and self.low is not None:
            # Keys of the range alone are looked at, and it is no wider than some times its rows: nothing overflows.
            number = plain_number(schema.key_columns[0])
            return f"({number}-({int(self.low[0])})) DIV {self.width}"
        key = ",',',".join(canonical(column, flavor) for column in schema.key_columns)
        return f"CRC32(CONCAT({key}))%{COUNT}"
