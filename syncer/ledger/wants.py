"""From the words of a person, ``--take`` and ``--else``, to what is asked of a held conflict. Pure; what cannot be had says why."""

from __future__ import annotations

import re

from syncer.core.side import Side
from syncer.core.threeway import NO_GROUPS, Changed, Groups, changes
from syncer.ledger.records import ConflictEntry, Wanted
from syncer.ledger.selector import moment, newest

NO_TIMES = "no commit times, or equal ones"


def wanted(
    entry: ConflictEntry,
    take: str,
    otherwise: str | None = None,
    groups: Groups = NO_GROUPS,
    until: float | None = None,
) -> Wanted:
    """
    Return what is to be asked for. Raises ValueError in one line: it cannot be had.

    Args:
        take: ``a``, ``b``, ``newest``, ``merge``, ``skip`` or ``hold``.
        otherwise: of a merge: what a column takes that both sides changed: ``a``, ``b`` or ``newest``.
        groups: what the table's policy says of a merge.
        until: of a skip.
    """
    if take in {"skip", "hold"}:
        return Wanted(None, skip=take == "skip", until=until)
    if take != "merge":
        return Wanted(_side(entry, take))
    why = no_merge(entry)
    if why:
        raise ValueError(why)
    both = both_changed(entry, groups)
    if both and otherwise is None:
        raise ValueError(
            f"both sides changed {', '.join(both)}: say what that takes (else: a, b or newest)"
        )
    if otherwise is None or not (both or otherwise != "newest" or newest(entry)):
        return Wanted(None, merge=True)
    return Wanted(_side(entry, otherwise), merge=True)


def end_of_skip(text: str, now: float) -> float:
    """Read ``12h``, ``7d`` (from *now* on), or a date and time, as seconds since the epoch. Raises ValueError in one line."""
    found = moment(text, now)
    if re.fullmatch(r"[\d.]+[smhdw]", text):
        found = now + (now - found)
    if found <= now:
        raise ValueError(f"{text!r} is over: write 12h, 7d, or a time to come")
    return found


def no_merge(entry: ConflictEntry) -> str:
    """Say why the rows of *entry* cannot be merged; "" where they can, as far as the journal tells."""
    if entry.a_image is None or entry.b_image is None:
        return "a row is absent: there are no two to merge"
    if entry.base_image is None:
        return 'no base row is known: a policy with column_merge, or base = "keep", keeps one'
    return ""


def who_changed(entry: ConflictEntry, groups: Groups = NO_GROUPS) -> tuple[Changed, ...]:
    """Return who changed each column; empty where that is not known."""
    if entry.a_image is None or entry.b_image is None or entry.base_image is None:
        return ()
    rows = entry.a_image, entry.base_image, entry.b_image
    return changes(entry.columns, *rows, groups, entry.redacted)


def both_changed(entry: ConflictEntry, groups: Groups = NO_GROUPS) -> list[str]:
    """Name the columns for which somebody has to say whose value they take."""
    who = who_changed(entry, groups)
    return [n for n, one in zip(entry.columns, who, strict=False) if one is Changed.BOTH]


def _side(entry: ConflictEntry, take: str) -> Side:
    if take != "newest":
        return Side(take)
    side = newest(entry)
    if side is None:
        raise ValueError(NO_TIMES)
    return side
