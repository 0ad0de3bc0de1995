"""Further spellings of keys that are claimed: they may have marks, and even rows, of their own (INV-6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from syncer.core.key import Key
from syncer.core.pairing import PairedTable
from syncer.ledger import Ledger
from syncer.ledger.records import ClaimedKey

WAITING_SPELLINGS = 2000
"""Put off keys come first: a held key is opened by any new mark of the spelling it is held under."""


class Spellings:
    """
    Finds spellings whose marks are put off, held or due next. Used by the reconciler's thread alone.

    A rename to another spelling is a mark of a key that is due at once, and its row's earlier marks are not; or they are due as
    well, and the batch ends between the two.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Ask *ledger*."""
        self._ledger = ledger

    def to_group(self, table: PairedTable, due: Sequence[ClaimedKey]) -> list[Key]:
        """Return those of *table* whose marks count where a key that was read is theirs."""
        if not table.equal_keys_alike or (table.a.exact_spelling and table.b.exact_spelling):
            return []  # ``to_read`` gave all that count
        return self._of(table, due)

    def to_read(
        self, tables: Iterable[PairedTable], due: Sequence[ClaimedKey]
    ) -> dict[int, list[Key]]:
        """Return, for tables whose sides take different spellings for one key, those that may be rows of their own, by table id."""
        return {
            table.table_id: self._of(table, due) for table in tables if not table.equal_keys_alike
        }

    def _of(self, table: PairedTable, due: Sequence[ClaimedKey]) -> list[Key]:
        waiting = self._ledger.waiting_keys(table.table_id, WAITING_SPELLINGS)
        mine = [one.key for one in due if one.table_id == table.table_id]
        return [table.load(key) for key in (*waiting, *mine)]
