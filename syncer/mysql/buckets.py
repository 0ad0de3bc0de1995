"""
A chunk that differs, divided: the digests of its buckets say which few rows to read. Pure text.

A bucket is a part of the range where the keys are dense integers, else a remainder of a checksum of the key's text. Both sides use
the same division. It only has to put one key into one bucket: two spellings of a key may land in two, and both then differ.
"""

from __future__ import annotations

import math
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
"""Buckets of a chunk of which nothing is known but that it differs."""
MOST = 2048
"""No more buckets than so many: their numbers and digests come over the wire."""
DENSE = 16
"""Where one row in so many differs, nearly every bucket would."""
RANGES = 64
"""More ranges than so many cost a server's optimiser more than it costs to look at every key of the chunk."""
SPARSEST = 8
"""Where fewer than one integer in so many is a key, parts of the range would hold too different numbers of rows."""


def unequal(a: Mapping[int, tuple[int, int]], b: Mapping[int, tuple[int, int]]) -> list[int]:
    """Return the numbers of the buckets whose row count or digest differs, or that one side has no rows of."""
    return [number for number in a.keys() | b.keys() if a.get(number) != b.get(number)]


def count_for(rows: int, differing: float) -> int:
    """
    Return into how many buckets *rows* rows are best divided, of which about *differing* differ, as 0 for: not at all.

    A bucket costs about as much to be read as a row, and of every bucket that differs all rows are: so few are read as can be
    with the square root of twice the product. Where every sixteenth row differs, most rows would be read after all.
    """
    if DENSE * differing >= rows:
        return 0
    return max(COUNT, min(MOST, round(math.sqrt(2 * rows * differing))))


class Division(msgspec.Struct, frozen=True):
    """
    How the keys from *low* (inclusive) to *high* (exclusive) are divided.

    Attributes:
        width: integers per bucket; 0: by checksum.
        count: buckets, at most.
    """

    low: Key | None
    high: Key | None
    width: int
    count: int = COUNT

    @classmethod
    def of(
        cls, low: Key | None, high: Key | None, rows: int, *, integer: bool, count: int = COUNT
    ) -> Division:
        """Divide a range that holds about *rows* rows; *integer*: its keys are single integers."""
        if integer and low is not None and high is not None:
            width = int(high[0]) - int(low[0])
            if width <= SPARSEST * rows:
                return cls(low, high, -(-width // count), count)
        return cls(low, high, 0, count)

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
        runs = _runs(chosen)
        if not self.width or self.low is None or self.high is None or len(runs) > RANGES:
            numbers = ",".join(map(str, chosen))
            whole = range_condition(schema, self.low, self.high)
            return scope_condition(
                schema, f"{whole} AND {self._bucket(schema, flavor)} IN ({numbers})"
            )
        start, end = int(self.low[0]), int(self.high[0])
        parts = [
            range_condition(
                schema,
                (start + first * self.width,),
                (min(end, start + after * self.width),),
            )
            for first, after in runs
        ]
        return scope_condition(schema, "(" + " OR ".join(f"({part})" for part in parts) + ")")

    def _bucket(self, schema: TableSchema, flavor: Flavor) -> str:
        if self.width and self.low is not None:
            # Keys of the range alone are looked at, and it is no wider than some times its rows: nothing overflows.
            number = plain_number(schema.key_columns[0])
            return f"({number}-({int(self.low[0])})) DIV {self.width}"
        key = ",',',".join(canonical(column, flavor) for column in schema.key_columns)
        return f"CRC32(CONCAT({key}))%{self.count}"


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Put neighbours of *numbers*, which are in order, together: the first of each run, and the number after its last."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number:
            runs[-1] = runs[-1][0], number + 1
        else:
            runs.append((number, number + 1))
    return runs
