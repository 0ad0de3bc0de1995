"""What a server's refusal of a write says of the rows, by its number."""

from __future__ import annotations

from syncer.core.decision import ConflictKind

REFUSED_FOR = {
    1062: ConflictKind.UNIQUE_VIOLATION,
    1169: ConflictKind.UNIQUE_VIOLATION,
    1216: ConflictKind.FK_PARENT_MISSING,
    1452: ConflictKind.FK_PARENT_MISSING,
    1217: ConflictKind.FK_CHILD_EXISTS,
    1451: ConflictKind.FK_CHILD_EXISTS,
}
"""By the server's error number; any other one is an ``apply_error``."""

LINKS = frozenset({ConflictKind.FK_PARENT_MISSING, ConflictKind.FK_CHILD_EXISTS})

NOT_ABOUT_ROWS = frozenset(
    {
        *(1044, 1045, 1142, 1143, 1227, 1698, 1820, 1862, 3118, 3159),  # the account
        *(1049, 1054, 1146),  # a table that is being changed: the stream will tell
        *(1290, 1792, 1836),  # a server that is read-only for now
    }
)
"""Refusals that say nothing of the rows: no row is held for them, everything waits."""
