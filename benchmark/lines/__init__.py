"""The lines of the table: for each its work, its sizes and how it is measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from benchmark.arena import Arena
from benchmark.lines import bulk, catchup, live, load, many, memory, streams
from benchmark.result import Result

__all__ = ["LINES", "Line", "Size"]


class Size(NamedTuple):
    """How much is measured, how often."""

    rows: int
    runs: int


class Line(NamedTuple):
    """One or several results of one subject."""

    number: int
    what: str
    full: Size
    quick: Size
    measure: Callable[[Arena, int, int], list[Result]]
    """``measure(arena, rows, runs)``."""
    mixed: bool = False
    """It says something of a pair of both flavours, too."""


LINES: tuple[Line, ...] = (
    Line(1, "tail of bulk inserts", Size(1_000_000, 5), Size(20_000, 1), streams.bulk),
    Line(2, "tail of single-row updates", Size(100_000, 5), Size(1_000, 1), streams.single),
    Line(3, "compare equal tables", Size(1_000_000, 5), Size(20_000, 1), bulk.compare),
    Line(4, "find and fix drift", Size(1_000_000, 5), Size(10_000, 1), bulk.drift),
    Line(5, "copy into an empty table", Size(1_000_000, 5), Size(10_000, 1), bulk.copy),
    Line(6, "catch up updates", Size(100_000, 5), Size(500, 1), catchup.spread),
    Line(7, "catch up updates of hot rows", Size(100_000, 5), Size(500, 1), catchup.hot),
    Line(8, "commit to visible", Size(6_000, 5), Size(200, 1), live.latency),
    Line(9, "cost by change", Size(10_000_000, 5), Size(10_000, 1), catchup.sizes),
    Line(10, "repair rows far away", Size(20_000, 5), Size(100, 1), bulk.far),
    Line(11, "memory", Size(5_000_000, 5), Size(5_000, 1), memory.peaks),
    Line(12, "idle, in seconds", Size(60, 5), Size(1, 1), live.idle),
    Line(13, "cost to the primaries, in seconds", Size(20, 5), Size(1, 1), load.cost),
    Line(14, "start with many tables", Size(2_000, 5), Size(50, 1), many.start, mixed=True),
    Line(15, "latency while comparing", Size(1_000_000, 5), Size(20_000, 1), load.protected),
)
