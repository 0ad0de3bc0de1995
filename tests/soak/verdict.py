"""What must be found at a quiet point, from plain SELECTs, the writers' logs and the journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from testbed import dataset, oracle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed.workload import Log
    from tests.integration.harness import Conflict

SHARED_TABLE = "orders"
COLUMNS = dataset.COLUMNS[SHARED_TABLE]
STAMP = COLUMNS.index("stamp")


@dataclass
class Verdict:
    """
    What one quiet point has shown.

    Attributes:
        checked: Acknowledged row writes that were accounted for, or not.
        beaten: Losers in the journal.
        lost: Acknowledged writes that are neither there nor beaten.
        resurrected: Deleted rows that are back.
        wrong: Everything else that must not be.
    """

    checked: int = 0
    beaten: int = 0
    lost: list[str] = field(default_factory=list)
    resurrected: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not (self.lost or self.resurrected or self.wrong)

    def __str__(self) -> str:
        parts = (("LOST", self.lost), ("RESURRECTED", self.resurrected), ("WRONG", self.wrong))
        return "\n".join(f"{name}: {line}" for name, lines in parts for line in lines[:10])


def judge(
    found: Mapping[str, tuple[oracle.Table, oracle.Table]],
    first: Mapping[str, oracle.Table],
    own: Log,
    shared: Log,
    shared_keys: Sequence[int],
    journal: Iterable[Conflict],
) -> Verdict:
    """
    Judge a quiet point.

    Args:
        found: The tables of both sides.
        first: The tables at the quiet point before, or at the start; equal on both sides then.
        own: Log of the writers that had rows of their own; exact, `maybe` is empty.
        shared: Log of the writers that all changed `shared_keys` of `SHARED_TABLE`.
        shared_keys: Nobody else wrote these.
        journal: The entries made since the quiet point before.
    """
    verdict = Verdict()
    verdict.wrong += own.trouble + shared.trouble
    verdict.wrong += oracle.differences(found)
    entries = list(journal)
    _judge_own(verdict, found, first, own, set(shared_keys))
    _judge_shared(verdict, found[SHARED_TABLE], first[SHARED_TABLE], shared, shared_keys, entries)
    keys = {str(key) for key in shared_keys}
    for entry in entries:
        if not (entry.table.endswith(f".{SHARED_TABLE}") and entry.key[0] in keys):
            verdict.wrong.append(f"a conflict where only one side wrote: {entry}")
        elif entry.status != "applied":
            verdict.wrong.append(f"the rule decides everything, but: {entry}")
    return verdict


def _judge_own(verdict, found, first, log, shared_keys) -> None:
    wanted = oracle.expected(first, log)
    verdict.checked += sum(len(t.writes) for t in log.acknowledged)
    for name, sides in found.items():
        for side, table in zip("ab", sides, strict=True):
            for key in wanted[name].keys() | table.keys():
                if name == SHARED_TABLE and key[0] in shared_keys:
                    continue
                have, want = table.get(key), wanted[name].get(key)
                if have == want:
                    continue
                line = f"{name} {key} on side {side}: {have}, but the last write was {want}"
                (verdict.resurrected if want is None else verdict.lost).append(line)


def _judge_shared(verdict, sides, first, log, keys, entries) -> None:
    history = oracle.History.of(log, SHARED_TABLE, COLUMNS)
    beaten: dict[int, list[str | None]] = {}
    for entry in entries:
        if not entry.table.endswith(f".{SHARED_TABLE}") or int(entry.key[0]) not in keys:
            continue
        key = int(entry.key[0])
        winner, loser = (entry.value(side, "stamp") for side in (entry.winner, entry.loser))
        beaten.setdefault(key, []).append(loser)
        verdict.beaten += 1
        if entry.possible:
            verdict.wrong.append(f"a possible conflict, and no history was lost: {entry}")
        if history.sides(key) != {"a", "b"}:
            verdict.wrong.append(f"a false conflict, one side wrote it: {entry}")
        elif winner is not None and loser is not None:
            if loser in history.line(key, winner):
                verdict.wrong.append(f"a false conflict, the winner was built on it: {entry}")
            if winner in history.line(key, loser):
                verdict.wrong.append(f"a newer write was beaten: {entry}")
    for key in keys:
        writes = history.writes.get(key, [])
        verdict.checked += len(writes)
        row = sides[0].get((key,))
        stamp = row[STAMP] if row else None
        told = {write.stamp: write for _, write in writes}
        told |= {write.stamp: write for (at, _), (_, write) in history.maybe.items() if at == key}
        old = first.get((key,))
        if row is not None and stamp in told:
            if row != oracle._normal(told[stamp].row):
                verdict.wrong.append(f"{key}: {row} is not what was written: {told[stamp].row}")
        elif row != old and not (row is None and told):
            verdict.wrong.append(f"{key}: nobody of this time wrote {row}; it was {old}")
        for lost in history.lost(key, stamp, beaten.get(key, [])):
            line = f"{key}: {told[lost]}; final {row}; beaten {beaten.get(key)}"
            if told[lost].op == "delete" and row is not None:
                verdict.resurrected.append(line)
            else:
                verdict.lost.append(line)
