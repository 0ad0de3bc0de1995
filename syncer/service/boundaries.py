"""Where chunks of a table end: for comparisons with proof and without alike."""

from __future__ import annotations

from syncer.core.chunking import ChunkSizer, IntegerSteps
from syncer.core.key import Key
from syncer.core.pairing import PairedTable
from syncer.core.side import Side
from syncer.service.sides import Workers

CHUNK_BYTES = 16 << 20


def next_boundary(
    workers: Workers,
    table: PairedTable,
    low: Key | None,
    high: Key | None,
    rows: int,
    steps: IntegerSteps,
) -> Key | None:
    """
    Find where a chunk of about *rows* rows ends: at *rows* rows of the side that reaches them first.

    Where the keys are dense integers, *steps* knows without asking.
    No order of keys is known here but the servers': where both sides reach *rows*, side A's boundary is taken unless side B
    holds more than twice as many rows before it. Returns None where neither side has that many rows left.
    """
    if table.integer_key and low is not None:
        guess = steps.end(int(low[0]), rows)
        top = most_integer(table) if high is None else int(high[0])
        if guess is not None:
            return (guess,) if guess < top else None
    ends = workers.both(lambda worker: worker.reader().boundary(table, low, high, rows))
    a, b = ends[Side.A], ends[Side.B]
    if a is None or b is None:
        return a if b is None else b
    if table.integer_key:
        return min(a, b)  # single integers
    crowded = workers[Side.B].submit(
        lambda: workers[Side.B].reader().holds_more_than(table, low, a, 2 * rows)
    )
    return b if crowded.result() else a


def most_integer(table: PairedTable) -> int:
    """The greatest integer that a key of *table* can be."""
    return (1 << (64 if table.unsigned_key else 63)) - 1


def learn(
    steps: IntegerSteps, table: PairedTable, low: Key | None, end: Key | None, rows: int
) -> None:
    """Tell *steps* how many rows the chunk from *low* (inclusive) to *end* (exclusive) held."""
    if table.integer_key:
        steps.found(
            None if low is None else int(low[0]), None if end is None else int(end[0]), rows
        )


def rows_per_chunk(table: PairedTable, sizer: ChunkSizer) -> int:
    """Bound the chunk by bytes, so that memory stays bounded whatever the rows weigh."""
    return max(1, min(sizer.rows, CHUNK_BYTES // table.row_bytes))
