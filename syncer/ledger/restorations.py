"""Rows that a person wants back: asked for beside a running syncer, carried out by it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from syncer.core.side import Side
from syncer.ledger import journal_queries as jq
from syncer.ledger.journal import Journal
from syncer.ledger.records import ConflictEntry, ConflictRecord, ConflictStatus
from syncer.ledger.requests import requesting
from syncer.ledger.undo import Restoration, RestorationRecord, RestorationStatus

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Restoration).decode


class Restorations(Journal):
    """The part of the ledger that knows which rows are to be what they were."""

    def asked_restorations(self, after: int, limit: int) -> list[RestorationRecord]:
        """Return those not carried out yet, oldest first, with a number greater than *after*, at most *limit*."""
        with self._reading() as db:
            return [_record(row) for row in db.execute(jq.ASKED_RESTORATIONS, (after, limit))]

    def last_restorations(self, limit: int) -> list[RestorationRecord]:
        """Return restorations, newest first, whatever became of them."""
        with self._reading() as db:
            return [_record(row) for row in db.execute(jq.LAST_RESTORATIONS, (limit,))]

    def restoration_of(self, conflict_id: int) -> RestorationRecord | None:
        """Return what was asked last about a decision; None where nothing was."""
        with self._reading() as db:
            row = db.execute(jq.RESTORATION_OF, (conflict_id,)).fetchone()
            return None if row is None else _record(row)

    def end_restoration(
        self,
        record: RestorationRecord,
        status: RestorationStatus,
        note: str,
        entry: ConflictEntry | None = None,
    ) -> None:
        """Note what became of it; done, the decision that it takes back is reverted, and *entry* is the new one."""
        now = self._clock.now()
        with self._writing(durable=True) as db:
            db.execute(jq.END_RESTORATION, (status.value, note, now, record.restoration_id))
            if status is RestorationStatus.DONE and record.restoration.conflict_id is not None:
                db.execute(jq.REVERT_CONFLICT, (now, record.restoration.conflict_id))
                if entry is not None:
                    self._add_conflict(entry, ConflictStatus.APPLIED, None, now)


def _record(row: tuple[Any, ...]) -> RestorationRecord:
    number, status, asked_at, changed_at, note, body = row
    return RestorationRecord(
        restoration_id=number,
        status=RestorationStatus(status),
        asked_at=asked_at,
        changed_at=changed_at,
        note=note,
        restoration=_decode(body),
    )


def revert(record: ConflictRecord, actor: str, take: Side | None = None) -> Restoration:
    """
    Return what takes an applied decision back: the row, or the absence, that lost. Raises ValueError in one line.

    The row is written where it was lost, as a change of that side, and travels from there (INV-16). A merge was written to side
    A and has no loser: *take* says whose row is to be there again. To take that back is to write the merged row again.
    """
    entry = record.entry
    if record.status is not ConflictStatus.APPLIED:
        raise ValueError(f"it is {record.status.value}: only what was applied can be reverted")
    merged = entry.winner is None
    if merged and take is None:
        raise ValueError("it made one row of both: --take a or b says whose row is to stand again")
    if take is not None and not merged:
        raise ValueError(f"side {entry.winner} won: it goes back to the other row, without --take")
    if record.pruned:
        raise ValueError("its images were kept for as long as they are to be, and are gone")
    if entry.redacted:
        raise ValueError(f"column {entry.redacted[0]} is redacted: the losing row was never kept")
    wanted = Restoration(
        table=entry.table,
        key=entry.key,
        key_stored=entry.key_stored,
        side=Side.A,
        columns=entry.columns,
        expected=None,
        meant=None,
        image=None,
        actor=actor,
        conflict_id=record.conflict_id,
    )
    if not entry.key_stored:
        raise ValueError(_LACKING)
    if entry.winner is None:
        made = _text(entry.result_image)
        if made is None or take is None:
            raise ValueError(_LACKING)
        image, digest = _row(entry, take)
        return msgspec.structs.replace(
            wanted, expected_image=made, image=image, meant=digest, winner=take
        )
    _, expected = _row(entry, entry.winner)
    if entry.reverts is not None and entry.result_image is not None:
        return msgspec.structs.replace(wanted, expected=expected, image=_text(entry.result_image))
    loser = entry.winner.other
    image, digest = _row(entry, loser)
    return msgspec.structs.replace(wanted, side=loser, expected=expected, image=image, meant=digest)


_LACKING = "it was journaled without all that is needed"


def _row(entry: ConflictEntry, side: Side) -> tuple[str | None, str | None]:
    """Return image and digest of a row; raises ValueError where not both are known."""
    image, digest = entry.a_image, entry.a_digest
    if side is Side.B:
        image, digest = entry.b_image, entry.b_digest
    if (image is None) != (digest is None) or (image is not None and None in image):
        raise ValueError(_LACKING)
    return _text(image), digest


def _text(image: tuple[str | None, ...] | None) -> str | None:
    return None if image is None else ",".join(cell for cell in image if cell is not None)


def ask_back(path: Path, asked: Iterable[Restoration], now: float) -> None:
    """
    Ask for rows to be restored, beside a running syncer or without one, in one transaction.

    Raises LedgerIncompatible or LedgerError: the ledger is of another version, or the file fails.
    """
    with requesting(path) as db:
        for one in asked:
            db.execute(jq.ADD_RESTORATION, (one.conflict_id, now, now, _encode(one).decode()))
