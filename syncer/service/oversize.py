"""
Rows that do not fit into one packet (``max_allowed_packet``): held with the reason, while everything else flows.

A server makes no value and takes no statement that is longer. A statement above it ends the connection, often without a word,
and would be tried again for ever: so it is measured before it is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from syncer.core.decision import Decision
from syncer.core.outcome import ConflictKind, Verdict
from syncer.core.pairing import PairedTable
from syncer.core.policy import Policy
from syncer.core.side import Side
from syncer.mysql.reader import RowRead

SIZE = "size"
"""The path of a decision that a row's size has put off."""
SLACK_BYTES = 1024
"""For the words of a statement beside names, values and key."""
_MOST_BYTES_A_CHARACTER = 4


def large_rows(rows: Mapping[Side, RowRead | None]) -> list[Side]:
    """Return the sides whose row is above its own server's limit: it has no image."""
    return [side for side, row in rows.items() if row is not None and not row.whole]


def plain_policy(policy: Policy) -> Policy:
    """Return a policy that asks for no row: what it would decide by one is held anyway."""
    return Policy(direction=policy.direction, presence=policy.presence)


def put_off(decision: Decision, large: Collection[Side], *, known: bool = True) -> Decision:
    """
    Return the decision that is left where the rows of *large* cannot be carried over, nor kept in the journal.

    Not *known*: one of them cannot even be compared, so nothing could guard a write over it (INV-9).
    """
    blind = not known and decision.verdict is Verdict.ALARM
    if not (decision.verdict is Verdict.COPY or decision.verdict.waits or blind):
        return decision
    if known and decision.conflict is None and decision.winner not in large:
        return decision
    sides = " and ".join(f"side {side}" for side in sorted(large))
    return Decision(
        verdict=Verdict.HOLD,
        conflict=ConflictKind.APPLY_ERROR,
        rule=f"larger than max_allowed_packet of {sides}: hold",
        path=SIZE,
        possible=decision.possible,
    )


def size_note(table: PairedTable, sides: Collection[Side]) -> str:
    """Say what is too large for what, and the way on. No values, not even the key's."""
    where = " and ".join(f"side {side}" for side in sorted(sides))
    return (
        f"a row of {table.name}, key ({', '.join(table.a.key)}), is larger than max_allowed_packet of {where}: raise it there, "
        "restart syncer, and resolve this either way: the row is decided anew"
    )


def packet_note(sides: Collection[Side]) -> str | None:
    """Say why rows of *sides* count as different; None for no side."""
    if not sides:
        return None
    where = " and ".join(f"side {side}" for side in sorted(sides))
    return f"rows with documents above max_allowed_packet of {where} count as different: raise it there"


def may_be_above_packet(table: PairedTable, characters: int, most_bytes: int) -> bool:
    """Say whether a statement that writes an image of so many *characters* may be longer than *most_bytes*."""
    return _MOST_BYTES_A_CHARACTER * (characters + table.name_chars) + SLACK_BYTES > most_bytes


def above_packet(table: PairedTable, image: str | None, most_bytes: int) -> bool:
    """Say whether a statement that writes *image* would be longer than *most_bytes*."""
    if image is None:
        return False
    if not may_be_above_packet(table, len(image), most_bytes):
        return False
    words = SLACK_BYTES + _MOST_BYTES_A_CHARACTER * table.name_chars
    return len(image.encode("utf-8", "surrogateescape")) + words > most_bytes
