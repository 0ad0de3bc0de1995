"""
Tables without a usable key, compared as multisets: how often every row is there, wherever it stands.

Equal rows of one side cancel out under XOR, so the sum of their digests is compared too (design §4). Where the totals differ,
rows are counted by their digest, one part of all digests at a time. Rows may be on their way: what differs is looked at again,
and only what stays different at every look counts.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from syncer.core.pairing import PairedTable
from syncer.core.side import SIDES, Side
from syncer.errors import Interrupted
from syncer.mysql.reader import is_unknown
from syncer.service.sides import Workers
from syncer.service.walk import UNFINISHED

ROWS_PER_PART = 500_000


class Surplus(msgspec.Struct, frozen=True):
    """Rows of both sides, and how many rows each side has that the other has not."""

    rows: dict[Side, int]
    only_a: int
    only_b: int
    unknown: tuple[Side, ...] = ()
    """The sides that have rows which nobody can compare."""


def compare_multisets(
    workers: Workers, table: PairedTable, stop: threading.Event, look_again_s: Sequence[float]
) -> Surplus:
    """
    Compare *table*; blocks for a scan of it per look, on both sides at the same time.

    A row that its server can make no digest of is equal to none. Raises TransientDatabaseError, Interrupted where *stop* is set.
    """
    totals = workers.both(lambda worker: worker.reader().multiset_digest(table))
    rows = {side: totals[side][0] for side in SIDES}
    if totals[Side.A] == totals[Side.B]:
        return Surplus(rows, 0, 0)
    surplus = _surplus(workers, table, max(rows.values()))
    for pause_s in look_again_s:
        if not surplus:
            break
        if stop.wait(pause_s):
            raise Interrupted(UNFINISHED)
        now = _surplus(workers, table, max(rows.values()))
        surplus = {
            digest: min(count, now[digest], key=abs)
            for digest, count in surplus.items()
            if count * now.get(digest, 0) > 0
        }
    return Surplus(
        rows,
        sum(count for count in surplus.values() if count > 0),
        -sum(count for count in surplus.values() if count < 0),
        tuple(side for side in SIDES if _unknown(side) in surplus),
    )


def _unknown(side: Side) -> str:
    """What stands for the digest of rows of *side* that have none: the same at every look."""
    return f"unknown on {side}"


def _surplus(workers: Workers, table: PairedTable, rows: int) -> dict[str, int]:
    """Count per digest: rows of side A without those of side B; equal ones are left out."""
    digits = 0 if rows <= ROWS_PER_PART else 1 if rows <= 16 * ROWS_PER_PART else 2
    found: dict[str, int] = {}
    for part in range(16**digits):
        prefix = f"{part:0{digits}x}" if digits else ""
        counts = workers.both(lambda worker, of=prefix: worker.reader().digest_counts(table, of))  # type: ignore[misc]
        known = {side: _of_known(side, counts[side]) for side in SIDES}
        left = Counter(known[Side.A])
        left.subtract(known[Side.B])
        found.update({digest: count for digest, count in left.items() if count})
    return found


def _of_known(side: Side, counts: Mapping[str, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for digest, count in counts.items():
        found[_unknown(side) if is_unknown(digest) else digest] += count
    return found
