"""What a measurement is, and whether it reaches its target. Pure."""

from __future__ import annotations

import enum
import statistics
from collections.abc import Sequence

import msgspec


class Sense(enum.StrEnum):
    """How the ratio is formed, and on which side of the target it has to be."""

    FASTER = "faster"
    """Ours is so many times as fast as the peer: at least the target."""
    COST = "cost"
    """Ours takes so many times as much as the peer: at most the target."""
    LIMIT = "limit"
    """No peer: ours itself is at most the target."""


class Target(msgspec.Struct, frozen=True):
    """What is to be reached."""

    sense: Sense
    value: float

    def __str__(self) -> str:
        return f"{'>=' if self.sense is Sense.FASTER else '<='} {self.value:g}"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """
    One line of the table.

    Attributes:
        id: number of the line.
        what: the work, and the peer after "against".
        flavour: of the servers.
        unit: of *ours* and *peer*: something per second (more is better), or what is spent (less is better).
        ours, peer: medians; None where it was not measured, and *note* says why.
        ratio: as the target's sense has it; None where a part is missing.
        spread: (greatest - least) / median of ours over the runs; 0 for one run.
        met: None where nothing can be said.
        size: how much work it was.
    """

    id: int
    what: str
    flavour: str
    unit: str
    ours: float | None
    peer: float | None
    ratio: float | None
    target: str
    met: bool | None
    spread: float
    runs: int
    size: str = ""
    note: str = ""


def judge(
    number: int,
    what: str,
    flavour: str,
    unit: str,
    ours: Sequence[float],
    target: Target,
    *,
    peer: Sequence[float] = (),
    size: str = "",
    note: str = "",
) -> Result:
    """
    Reduce the runs to medians and compare.

    A unit that ends in "/s" counts work per time; any other one is a cost.
    """
    mine = statistics.median(ours) if ours else None
    other = statistics.median(peer) if peer else None
    found = _ratio(mine, other, target.sense, rate=unit.endswith("/s"))
    met = None
    if found is not None:
        met = found >= target.value if target.sense is Sense.FASTER else found <= target.value
    return Result(
        id=number,
        what=what,
        flavour=flavour,
        unit=unit,
        ours=mine,
        peer=other,
        ratio=None if target.sense is Sense.LIMIT else found,
        target=str(target),
        met=met,
        spread=(max(ours) - min(ours)) / mine if mine else 0.0,
        runs=len(ours),
        size=size,
        note=note,
    )


def _ratio(mine: float | None, other: float | None, sense: Sense, *, rate: bool) -> float | None:
    if sense is Sense.LIMIT:
        return mine
    if not mine or not other:
        return None
    return mine / other if rate is (sense is Sense.FASTER) else other / mine


def join(before: Sequence[Result], now: Sequence[Result]) -> list[Result]:
    """Replace the results of the (line, flavour) pairs measured now, keep the others; in the order of lines."""
    fresh = {(result.id, result.flavour) for result in now}
    kept = [result for result in before if (result.id, result.flavour) not in fresh]
    return sorted([*kept, *now], key=lambda result: (result.id, result.flavour))
