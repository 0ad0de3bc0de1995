"""The persistent ledger: one SQLite file with marks, stream positions, intents and the conflict journal."""

from syncer.ledger.ledger import Ledger
from syncer.ledger.records import Batch, ConflictEntry, ConflictRecord, ConflictStatus, IntentItem

__all__ = ["Batch", "ConflictEntry", "ConflictRecord", "ConflictStatus", "IntentItem", "Ledger"]
