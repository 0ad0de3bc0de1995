"""
Traces: what tailers hand to the ledger, second by second, made up or recorded, and kept in a file.

A file holds one msgpack ``Moment`` behind the other, each with its length (4 bytes, big-endian) in front.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from syncer.core.mark import KeyMark, Op, Touch
from syncer.core.record import TransactionRecord
from syncer.core.side import SIDES, Side

GROUPS_A_SECOND = 20
"""A tailer persists what has come in 50 ms together."""
_RUN_KEYS = 100
_HOT_KEYS = 100
_SHARES = {"uniform": 0.8, "hot": 0.15, "run": 0.05}
_LENGTH_BYTES = 4


class Moment(msgspec.Struct, frozen=True):
    """
    What one tailer persists at once.

    Attributes:
        at_s: when, seconds since the trace began.
    """

    at_s: float
    side: Side
    records: tuple[TransactionRecord, ...]


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """
    A made-up load: dirty ranges spread over tables and both sides.

    Of its ranges 80 % are keys anywhere in a table, 15 % are among the hundred hottest keys of one, 5 % are runs of a hundred.

    Attributes:
        rows: per table; the keys are 1 to *rows*.
        ranges_per_s: on both sides together.
    """

    tables: int = 1_000
    rows: int = 1_000_000_000
    ranges_per_s: int = 10_000
    seconds: int = 10
    seed: int = 1

    def moments(self) -> Iterator[Moment]:
        """Make the trace; the same one for the same load."""
        chance = random.Random(self.seed)
        seqs = dict.fromkeys(SIDES, 0)
        per_group = max(1, self.ranges_per_s // GROUPS_A_SECOND // len(SIDES))
        for group in range(self.seconds * GROUPS_A_SECOND):
            at_s = group / GROUPS_A_SECOND
            for side in SIDES:
                records = []
                for _ in range(per_group):
                    seqs[side] += 1
                    records.append(self._record(chance, seqs[side], int(at_s * 1e6)))
                yield Moment(at_s, side, tuple(records))

    def _record(self, chance: random.Random, seq: int, commit_us: int) -> TransactionRecord:
        [kind] = chance.choices(list(_SHARES), list(_SHARES.values()))
        table = chance.randrange(self.tables) + 1
        touch = Touch(seq, seq, Op.UPDATE, Op.UPDATE, recreated=False, commit_us=commit_us)
        low = high = chance.randrange(self.rows) + 1
        if kind == "hot":
            low = high = chance.randrange(min(_HOT_KEYS, self.rows)) + 1
        elif kind == "run":
            high = min(low + _RUN_KEYS - 1, self.rows)
        return TransactionRecord(seq=seq, marks=(KeyMark(table, low, high, touch),))


def save(path: Path, moments: Iterable[Moment]) -> int:
    """Write a trace; give the number of its moments."""
    encode, count = msgspec.msgpack.Encoder().encode, 0
    with path.open("wb") as file:
        for moment in moments:
            body = encode(moment)
            file.write(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
            count += 1
    return count


def load(path: Path) -> Iterator[Moment]:
    """Read a trace, one moment in memory at a time. Raises msgspec.DecodeError or ValueError where it is none."""
    decode = msgspec.msgpack.Decoder(Moment).decode
    with path.open("rb") as file:
        while head := file.read(_LENGTH_BYTES):
            body = file.read(int.from_bytes(head, "big"))
            if len(head) < _LENGTH_BYTES or len(body) < int.from_bytes(head, "big"):
                raise ValueError(f"{path}: the trace is cut off")
            yield decode(body)
