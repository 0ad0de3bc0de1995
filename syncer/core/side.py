"""The two sides of a pair."""

from __future__ import annotations

import enum


class Side(enum.StrEnum):
    """One of the two primaries."""

    A = "a"
    B = "b"

    @property
    def other(self) -> Side:
        """The opposite side."""
        return _B if self is _A else _A


SIDES = (_A, _B) = (Side.A, Side.B)


class Direction(enum.StrEnum):
    """Which way differences of a table travel."""

    BOTH = "both"
    A_TO_B = "a-to-b"
    B_TO_A = "b-to-a"

    @property
    def source(self) -> Side | None:
        """The deciding side of a one-way table; None where both sides decide."""
        if self is Direction.BOTH:
            return None
        return Side.A if self is Direction.A_TO_B else Side.B

    @property
    def targets(self) -> tuple[Side, ...]:
        """The sides that may be written."""
        return SIDES if self.source is None else (self.source.other,)
