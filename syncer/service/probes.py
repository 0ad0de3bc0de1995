"""
The named moments of the protocol, at which a test may stop or kill the process. Production does nothing there.

Two moments lie inside the applier's transaction, below this layer: the fault tests call the probe there themselves.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from syncer.core.side import Side


class Moment(enum.StrEnum):
    """What has just been done, or is about to be. Those marked (side) happen on each side."""

    EPOCH_RAISED = "epoch.raised"
    """(side) The marker row has the new epoch, the ledger does not know it yet (INV-13)."""
    SETTLE_BEFORE = "settle.before"
    """Both epochs are raised; no intent of an earlier run is settled."""
    SETTLE_AFTER = "settle.after"
    """Every intent of an earlier run is finished or dropped."""
    RECORD_BEFORE = "record.before"
    """(side) A tailer is about to persist marks and position (INV-1)."""
    RECORD_AFTER = "record.after"
    """(side) It has; nobody was told."""
    CLAIMED = "claimed"
    """The reconciler knows which keys it is going to read."""
    SNAPSHOT = "read.snapshot"
    """(side) The snapshot is open, its lower bound read (INV-3)."""
    UPPER = "read.upper"
    """(side) The rows and the upper bound are read (INV-3)."""
    FENCED = "fenced"
    """Both tailers have persisted up to both upper bounds (INV-4)."""
    INTENT_BEFORE = "intent.before"
    """Everything is decided; the intents are not in the ledger (INV-8)."""
    INTENT_AFTER = "intent.after"
    """The intents are in the ledger, nothing was sent."""
    INTENT_BOTH = "intent.both"
    """The same, where both sides are going to be written."""
    APPLY_BEFORE = "apply.before"
    """(side) The first statement is about to be sent."""
    APPLY_LOCKED = "apply.locked"
    """(side) Inside the transaction: the marker row is locked, nothing is written (INV-9)."""
    APPLY_WRITTEN = "apply.written"
    """(side) Inside the transaction: all is written and read back, the commit is not sent (INV-15)."""
    APPLY_COMMITTED = "apply.committed"
    """(side) The target has the batch, the ledger does not know (INV-10)."""
    APPLY_FINISHED = "apply.finished"
    """(side) The ledger has cleared the batch (INV-11)."""
    REDEFINED = "definitions.taken"
    """Rows of an altered table are read anew on both sides; the table is not marked whole (INV-21)."""
    SPAN_BEFORE = "span.before"
    """A chunk is compared; its span is not narrowed."""
    SPAN_AFTER = "span.after"
    """The span is narrowed."""


Probe = Callable[[Moment, Side | None], None]
"""Called at a moment, with the side where it has one; any thread."""


def no_probe(_moment: Moment, _side: Side | None = None) -> None:
    """Do nothing: production."""
