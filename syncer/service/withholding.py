"""What is not written: it waits for a person, or for a look at both sides once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from syncer.clock import Clock
from syncer.core.key import StoredKey
from syncer.core.mark import KeyMark, Op, Touch
from syncer.core.outcome import Verdict
from syncer.core.side import SIDES, Side
from syncer.core.visibility import Horizon
from syncer.ledger import Ledger
from syncer.ledger.requests import AskedConflict
from syncer.service.halts import Halts
from syncer.service.planned import Planned


class Withholder:
    """Used by the reconciler's thread alone."""

    def __init__(
        self, ledger: Ledger, halts: Halts, clock: Clock, log: structlog.stdlib.BoundLogger
    ) -> None:
        """Compose."""
        self._ledger = ledger
        self._halts = halts
        self._clock = clock
        self._log = log

    def hold(
        self,
        held: Sequence[Planned],
        answers: Mapping[int, Mapping[StoredKey, AskedConflict]],
    ) -> None:
        """Journal what is held, halted or skipped; *answers*: those of people, by table id and key."""
        now = self._clock.now()
        for item in held:
            verdict = item.decision.verdict
            with self._ledger.together():  # an entry without its hold would never end
                ids = self._ledger.journal_held(
                    [item.entry(now, winner=None)], skipped=verdict is Verdict.SKIP
                )
                of_table = answers.get(item.table.table_id, {})
                if any(key in of_table for key in item.stored):
                    # What the answer was about is there no more, or it asks for what may not be written.
                    self._ledger.forget_request(ids[0])
                self._ledger.hold(item.table.table_id, item.stored, ids[0], item.lower)
            if verdict is Verdict.HALT:
                self._halts.halt(item.table.table_id, ids[0])
            log = self._log.info if verdict is Verdict.SKIP else self._log.warning
            log(
                "conflict.skipped" if verdict is Verdict.SKIP else "conflict.held",
                table=str(item.table.name),
                conflict=str(item.decision.conflict),
                rule=item.decision.rule,
            )

    def alarm(self, alarmed: Sequence[Planned], horizons: Mapping[Side, Horizon]) -> None:
        """INV-6: rows differ and no side is marked. Inexact marks on both sides, loudly."""
        for item in alarmed:
            self._log.error(
                "range.alarm", table=str(item.table.name), verdict="differs without a mark"
            )
            for side in SIDES:
                seq = horizons[side].upper
                touch = Touch(seq, seq, Op.UPDATE, Op.UPDATE, recreated=False, commit_us=0)
                marks = [
                    KeyMark(item.table.table_id, key, key, touch, exact=False)
                    for key in item.stored
                ]
                self._ledger.spill(side, marks)
