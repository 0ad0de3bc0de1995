"""How many rows a chunk holds: a controller towards a target time."""

from __future__ import annotations


class ChunkSizer:
    """
    Chunk size in rows, adjusted on the time that chunks really took.

    Not thread-safe. Size stays within [low, high], both inclusive.
    """

    def __init__(
        self, *, target_s: float = 0.5, start: int = 1000, low: int = 50, high: int = 20_000
    ) -> None:
        """
        Begin small and grow.

        Args:
            target_s: seconds that one chunk should take.
        """
        self._target_s = target_s
        self._low = low
        self._high = high
        self._rate: float | None = None
        self.rows = max(low, min(high, start))

    def took(self, rows: int, seconds: float) -> None:
        """
        Learn from a chunk of *rows* that took *seconds*; growth is limited to a factor of 4 a step.

        A chunk that was not even half full (the end of a table) says more about round trips than about rows: ignored.
        """
        if rows < self.rows / 2 or seconds <= 0:
            return
        rate = rows / seconds
        self._rate = rate if self._rate is None else 0.7 * rate + 0.3 * self._rate
        wanted = int(self._rate * self._target_s)
        self.rows = max(self._low, min(self._high, wanted, self.rows * 4))

    def shrink(self) -> None:
        """Halve the size: the servers had to wait for locks."""
        self.rows = max(self._low, self.rows // 2)


class IntegerSteps:
    """
    Where chunks of integer keys end, from how dense the one before was: no server has to count rows for it.

    Not thread-safe. A chunk never holds more than ``SPARSEST`` times the rows wanted, since no integer is a key twice.
    """

    SPARSEST = 4
    """Where fewer than one integer in so many is a key, the servers are asked."""

    def __init__(self) -> None:
        """Know nothing."""
        self._density = 0.0

    def end(self, low: int, rows: int) -> int | None:
        """Return the end (exclusive) of a chunk of about *rows* rows from *low* on; None: ask."""
        if self._density * self.SPARSEST < 1:
            return None
        return low + max(1, int(rows / self._density))

    def found(self, low: int | None, end: int | None, rows: int) -> None:
        """Learn from a chunk from *low* (inclusive) to *end* (exclusive); None is unbounded, and teaches nothing."""
        self._density = rows / (end - low) if low is not None and end is not None else 0.0
