"""What the journal keeps only for a time: looked at now and then by the main thread, a little at once."""

from __future__ import annotations

from syncer.clock import Clock
from syncer.ledger import Ledger

DAY_S = 86_400.0
LOOK_EVERY_S = 600.0
AT_ONCE = 500


class Retention:
    """Forgets images that are old enough, and opens what was skipped for long enough. Used by one thread."""

    def __init__(self, ledger: Ledger, clock: Clock, image_days: int) -> None:
        """Nothing is looked at yet."""
        self._ledger = ledger
        self._clock = clock
        self._image_days = image_days
        self._look_at = 0.0

    def look(self) -> int:
        """Forget what is due, at most some hundreds at once; return how many. Most calls do nothing."""
        now = self._clock.monotonic()
        if now < self._look_at:
            return 0
        before = self._clock.now() - self._image_days * DAY_S
        pruned = self._ledger.prune_images(before, AT_ONCE)
        self._ledger.prune_overwritten(before)
        self._ledger.open_skipped()
        self._look_at = now + (LOOK_EVERY_S if pruned < AT_ONCE else 0.0)
        return pruned
