"""How a pair stands, out of the ledger alone: no server is asked, and no run needs to be going on."""

from __future__ import annotations

import msgspec

from syncer.ledger import Ledger
from syncer.ledger.records import LedgerSummary, SpanProgress
from syncer.service.reports import ClockReport, ConflictLine, PausedLine

RECENT_CONFLICTS = 8
CLOCKS = "clocks"
"""Under this name a run writes its measures down."""


class StatusReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says. *clocks*: None where no run wrote them down."""

    summary: LedgerSummary
    spans: tuple[SpanProgress, ...]
    recent_conflicts: tuple[ConflictLine, ...]
    clocks: ClockReport | None = None
    paused: tuple[PausedLine, ...] = ()


def standing(ledger: Ledger) -> StatusReport:
    """Read all of it."""
    return StatusReport(
        summary=ledger.summary(),
        spans=tuple(ledger.span_progress()),
        recent_conflicts=tuple(recent_conflicts(ledger)),
        clocks=noted_clocks(ledger),
        paused=paused_lines(ledger),
    )


def paused_lines(ledger: Ledger) -> tuple[PausedLine, ...]:
    """Return the tables that wait, longest first, then those that a guard has stopped."""
    names = ledger.tables()
    return (
        *(
            PausedLine(table=str(one.table), reason=one.reason, since=one.since)
            for one in ledger.paused().values()
        ),
        *(
            PausedLine(
                table=str(names[stop.table_id]),
                reason=f"stopped before writing to side {stop.target}: {stop.reason}; "
                f"syncer guard confirm {names[stop.table_id]} lets it through, once, reject turns it back",
                since=stop.since,
                guard=True,
            )
            for stop in ledger.stops().values()
            if not stop.confirmed
        ),
    )


def recent_conflicts(ledger: Ledger, limit: int = RECENT_CONFLICTS) -> list[ConflictLine]:
    """Return the newest journal entries, newest first."""
    return [
        ConflictLine(
            conflict_id=record.conflict_id,
            kind=str(record.entry.kind),
            table=record.entry.table,
            key=",".join(record.entry.key),
            rule=record.entry.rule,
            winner=record.entry.winner.value if record.entry.winner else None,
            status=str(record.status),
            possible=record.entry.possible,
        )
        for record in ledger.conflicts(limit=limit)
    ]


def noted_clocks(ledger: Ledger) -> ClockReport | None:
    """Return what a run wrote down last; None where none did."""
    text = ledger.get_meta(CLOCKS)
    return None if text is None else msgspec.json.decode(text, type=ClockReport)
