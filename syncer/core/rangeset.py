"""
Intervals of integers, both ends inclusive: the algebra behind RUN marks.

Pure; works on plain tuples, since a run of a million keys is two numbers here. Nothing in this module knows what a key is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

Interval = tuple[int, int]
"""(low, high), both inclusive; low <= high."""


def coalesce(values: Iterable[int], *, gap: int = 0) -> list[Interval]:
    """
    Turn integers into the fewest intervals that hold them.

    Args:
        gap: how many integers between two values may be taken in to join them; 0: exactly the values are held.

    Returns:
        Disjoint intervals in ascending order, never adjacent; [] for no values. Repeated values count once.
    """
    intervals: list[Interval] = []
    low: int | None = None
    high = 0
    for value in sorted(values):
        if low is None:
            low = high = value
        elif value <= high + 1 + gap:
            high = value
        else:
            intervals.append((low, high))
            low = high = value
    if low is not None:
        intervals.append((low, high))
    return intervals


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """
    Join intervals that overlap into their union.

    Returns:
        Disjoint intervals in ascending order; adjacent ones ([1, 2] and [3, 4]) stay apart.
    """
    merged: list[Interval] = []
    for low, high in sorted(intervals):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def subtract(interval: Interval, holes: Iterable[Interval]) -> list[Interval]:
    """
    Remove *holes* from *interval*; holes may overlap each other and stick out.

    Returns:
        What is left, disjoint and ascending; [] where nothing is.
    """
    low, high = interval
    left: list[Interval] = []
    for hole_low, hole_high in sorted(holes):
        if hole_high < low:
            continue
        if hole_low > high:
            break
        if hole_low > low:
            left.append((low, hole_low - 1))
        low = max(low, hole_high + 1)
    if low <= high:
        left.append((low, high))
    return left


def intersect(one: Interval, other: Interval) -> Interval | None:
    """Return what both hold, or None where that is nothing."""
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low <= high else None


def within(ordered: Sequence[int], interval: Interval) -> Sequence[int]:
    """Return the members of the ascending sequence *ordered* that lie in *interval*."""
    return ordered[bisect_left(ordered, interval[0]) : bisect_right(ordered, interval[1])]
