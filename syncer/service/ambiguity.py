"""Keys that could not be decided, since a mark of theirs may or may not be in what was read (INV-5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from syncer.core.key import StoredKey

BEFORE_LOCKING = 3
KNOWN_MOST = 100_000


class Ambiguity:
    """Counts for how many cycles each was ambiguous: after three of them it is read with locks. Not thread-safe."""

    def __init__(self) -> None:
        """Know none."""
        self._cycles: Counter[tuple[int, StoredKey]] = Counter()

    def is_hot(self, table_id: int, key: StoredKey) -> bool:
        """Say whether the key is to be read with locks."""
        return bool(self._cycles) and self._cycles[table_id, key] >= BEFORE_LOCKING

    def met(self, table_id: int, keys: Iterable[StoredKey]) -> None:
        """Count one more cycle for each of *keys*."""
        for key in keys:
            if len(self._cycles) >= KNOWN_MOST:
                self._cycles.clear()  # of keys whose marks went otherwise; the others are counted anew
            self._cycles[table_id, key] += 1

    def over(self, table_id: int, keys: Iterable[StoredKey]) -> None:
        """Forget *keys*, which were decided."""
        if self._cycles:
            for key in keys:
                self._cycles.pop((table_id, key), None)
