"""What the tests of this process counted, for the summary of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

totals: Counter[str] = Counter()
"""Workers of one run hand theirs over, and they are added up."""

STATES = "model: states explored"
MUTANTS = "model: mutants caught"
WRITES = "acknowledged writes checked"
FAULTS = "faults survived"
KILLED_ON = "probes killed on "


def lines(found: Mapping[str, int], *, failed: bool) -> list[str]:
    """Return the figures as lines; [] where nothing was counted. What was lost or came back has failed its test."""
    if not found:
        return []
    killed = {
        name.removeprefix(KILLED_ON): count
        for name, count in found.items()
        if name.startswith(KILLED_ON)
    }
    told = [f"{name}: {found[name]}" for name in (STATES, MUTANTS) if name in found]
    if killed:
        each = ", ".join(f"{count} on {flavor}" for flavor, count in sorted(killed.items()))
        told.append(f"probes killed: {sum(killed.values())} ({each})")
    told += [f"{name}: {found[name]}" for name in (FAULTS, WRITES) if name in found]
    if not failed and (killed or FAULTS in found or WRITES in found):
        told.append("lost 0, resurrected 0")
    return told
