"""
Arithmetic progressions of integers: the algebra behind RUN marks.

Servers that share a table generate every n-th key each (``auto_increment_increment``), so a bulk insert is such a
progression and no interval. Pure; a million keys are three numbers here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd
from typing import NamedTuple

from syncer.core import rangeset

Lattice = tuple[int, int]
"""(step, residue): the integers that leave *residue* when divided by *step*."""


class Progression(NamedTuple):
    """low, low + step, ..., high: *high* belongs to it; *step* >= 1, and 1 where it has one member."""

    low: int
    high: int
    step: int = 1

    @property
    def size(self) -> int:
        """How many members it has."""
        return (self.high - self.low) // self.step + 1

    @property
    def lattice(self) -> Lattice:
        """What its members have in common with those of its like."""
        return self.step, self.low % self.step

    def members(self) -> range:
        """Its members, ascending."""
        return range(self.low, self.high + 1, self.step)

    def inside(self, ordered: Sequence[int]) -> Sequence[int]:
        """Return the members of the ascending sequence *ordered* that belong to it."""
        near = rangeset.within(ordered, (self.low, self.high))
        if self.step == 1:
            return near
        return [value for value in near if not (value - self.low) % self.step]

    def parts(self, members: Iterable[int]) -> list[Progression]:
        """Return its own *members* as the fewest progressions of its step, ascending."""
        places = rangeset.coalesce((member - self.low) // self.step for member in members)
        return [self._part(first, last) for first, last in places]

    def without(self, members: Iterable[int]) -> list[Progression]:
        """Return what is left of it without its own *members*, ascending."""
        holes = rangeset.coalesce((member - self.low) // self.step for member in members)
        return [self._part(*place) for place in rangeset.subtract((0, self.size - 1), holes)]

    def _part(self, first: int, last: int) -> Progression:
        return made(self.low + first * self.step, self.low + last * self.step, self.step)


def made(low: int, high: int, step: int) -> Progression:
    """Return the progression from *low* to *high*, which belongs to it; one member has step 1."""
    return Progression(low, high, 1 if low == high else step)


def intersect(one: Progression, other: Progression) -> Progression | None:
    """Return what both hold, or None where that is nothing."""
    low, high = max(one.low, other.low), min(one.high, other.high)
    common = gcd(one.step, other.step)
    if low > high or (other.low - one.low) % common:
        return None
    step = one.step // common * other.step
    modulus = other.step // common
    turns = (other.low - one.low) // common * pow(one.step // common, -1, modulus) % modulus
    member = one.low + turns * one.step
    first = member + -((member - low) // step) * step
    if first > high:
        return None
    return made(first, first + (high - first) // step * step, step)


def subtract(whole: Progression, hole: Progression) -> list[Progression]:
    """
    Remove *hole*, which holds members of *whole* only.

    Returns:
        What is left, disjoint, in no order; [] where nothing is.
    """
    step = whole.step
    left = []
    if hole.low > whole.low:
        left.append(made(whole.low, hole.low - step, step))
    if hole.high < whole.high:
        left.append(made(hole.high + step, whole.high, step))
    left += [
        made(hole.low + more, hole.high - hole.step + more, hole.step)
        for more in range(step, hole.step, step)
        if hole.size > 1
    ]
    return left
