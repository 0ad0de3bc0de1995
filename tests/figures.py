"""What the tests of this process counted, for the summary of the run."""

from __future__ import annotations

from collections import Counter

totals: Counter[str] = Counter()
