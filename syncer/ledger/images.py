"""
What rows were before changes that are not settled (``core/agreement.py``): kept with their marks, gone with them.

For tables that ask for it alone. An image that is missing must never make a later one look like the first: whatever is not kept
leaves a *gap* in the numbers of its side's transactions, and where a gap may hide the first change of a key its base is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from syncer.core.key import StoredKey
from syncer.core.mark import KeyMark, KeyMarks, Op
from syncer.core.record import TransactionRecord
from syncer.core.side import SIDES, Side
from syncer.ledger import kept_queries as kq
from syncer.ledger.store import Store

IMAGES_MOST = 100_000
IMAGE_BYTES_MOST = 64 << 20
"""Of one table and side; what comes above it is not kept."""
NO_GAP = (1, 0)


class KeptImage(msgspec.Struct, frozen=True):
    """
    The first image kept of a key on one side, among those that its marks cover.

    Attributes:
        seq: the transaction whose change it precedes.
        image: None where it was not to be had.
        gap: an earlier one may be missing.
    """

    seq: int
    image: bytes | None
    gap: bool


class Images(Store):
    """The part of the ledger that keeps images."""

    images_most = IMAGES_MOST
    image_bytes_most = IMAGE_BYTES_MOST

    def _load(self) -> None:
        super()._load()
        self._gaps: dict[tuple[int, str], tuple[int, int]] = {
            (table_id, side): (first, last)
            for table_id, side, first, last in self._db.execute(kq.IMAGE_TABLES)
        }
        self._imaged: set[int] = {table_id for table_id, _ in self._gaps}
        self._amounts: dict[tuple[int, str], tuple[int, int]] = {}

    def keep_images(self, table_ids: Collection[int], seqs: Mapping[Side, int]) -> None:
        """
        Keep images of exactly these tables from now on; *seqs*: where each stream stands.

        Of what was marked before a table was among them nothing is kept. To be called before the streams go on.
        """
        wanted = {(table_id, side.value) for table_id in table_ids for side in SIDES}
        if wanted == self._gaps.keys():
            return
        with self._writing() as db:
            for at in self._gaps.keys() - wanted:
                db.execute(kq.DROP_IMAGE_TABLE, at)
                db.execute(kq.DROP_IMAGES, at)
            for table_id, side in wanted - self._gaps.keys():
                db.execute(kq.PUT_IMAGE_TABLE, (table_id, side, 0, seqs[Side(side)]))
            self._load()

    def images_of(
        self, table_id: int, marks: Mapping[StoredKey, KeyMarks]
    ) -> dict[StoredKey, dict[Side, KeptImage]]:
        """Return the first image of each key that both sides changed exactly; sides without one are left out."""
        found: dict[StoredKey, dict[Side, KeptImage]] = {}
        with self._reading() as db:
            for key, of_key in marks.items():
                if of_key.a.exact is None or of_key.b.exact is None:
                    continue
                kept = found[key] = {}
                for side in SIDES:
                    touch = of_key.of(side).exact
                    first = 0 if touch is None else touch.first_seq
                    row = db.execute(kq.FIRST_IMAGE, (table_id, key, side.value, first)).fetchone()
                    if row is None:
                        continue
                    low, high = self._gaps.get((table_id, side.value), (0, row[0]))
                    kept[side] = KeptImage(row[0], row[1], low <= row[0] and high >= first)
        return found

    def _keep_images(self, side: Side, record: TransactionRecord) -> None:
        """Keep what a transaction's rows were, in the transaction that keeps its marks (INV-1)."""
        if not self._imaged and not record.images:
            return
        images = Counter(one.table_id for one in record.images)
        for table_id in images:
            if (table_id, side.value) not in self._gaps:
                # A table that has come meanwhile: nothing is known of what was marked before.
                self._set_gap(table_id, side, (0, record.seq - 1))
                self._imaged.add(table_id)
        rows = Counter[int]()
        for mark in record.marks:
            if mark.table_id in self._imaged:
                touched = mark.exact and mark.touch.first_op is not Op.INSERT
                rows[mark.table_id] += _size(mark) if touched else 0
        for table_id in images.keys() | rows.keys():
            self._bound_images(table_id, side, record)
            if images[table_id] != rows[table_id]:
                self._leave_gap(table_id, side, record.seq)
        side_text, seq = side.value, record.seq
        kept = [
            (one.table_id, one.key, side_text, seq, one.image)
            for one in record.images
            if not self._is_gap(one.table_id, side, seq)
        ]
        self._db.executemany(kq.ADD_IMAGE, kept)

    def _bound_images(self, table_id: int, side: Side, record: TransactionRecord) -> None:
        """Forget all images of a table where those of *record* would be too many: their bases are not known from now on."""
        at = (table_id, side.value)
        mine = [len(one.image or b"") for one in record.images if one.table_id == table_id]
        count, size = self._amounts.get(at, (self.images_most, 0))
        if count + len(mine) > self.images_most or size + sum(mine) > self.image_bytes_most:
            count, size = self._db.execute(kq.SUM_IMAGES, at).fetchone()
        if count + len(mine) > self.images_most or size + sum(mine) > self.image_bytes_most:
            self._db.execute(kq.DROP_IMAGES, at)
            self._know_nothing(table_id, side, record.seq)
            self._amounts[at] = (0, 0)
            return
        self._amounts[at] = count + len(mine), size + sum(mine)

    def _leave_gaps(self, side: Side, marks: Iterable[KeyMark], seq: int | None = None) -> None:
        """Note that marks come without images."""
        if not self._imaged:
            return
        for table_id, first in {(m.table_id, m.touch.first_seq) for m in marks}:
            if table_id in self._imaged:
                self._leave_gap(table_id, side, first if seq is None else seq)

    def _leave_gap(self, table_id: int, side: Side, seq: int) -> None:
        low, high = self._gaps.get((table_id, side.value), NO_GAP)
        joined = (seq, seq) if low > high else (min(low, seq), max(high, seq))
        self._set_gap(table_id, side, joined)

    def _know_nothing(self, table_id: int, side: Side, seq: int) -> None:
        """Note that no image up to *seq* is a base; a gap that reaches further stays as long as it is."""
        _, high = self._gaps.get((table_id, side.value), NO_GAP)
        self._set_gap(table_id, side, (0, max(seq, high)))

    def _set_gap(self, table_id: int, side: Side, gap: tuple[int, int]) -> None:
        self._db.execute(kq.PUT_IMAGE_TABLE, (table_id, side.value, *gap))
        self._gaps[table_id, side.value] = gap

    def _is_gap(self, table_id: int, side: Side, seq: int) -> bool:
        low, high = self._gaps.get((table_id, side.value), NO_GAP)
        return low <= seq <= high

    def _drop_images(
        self, table_id: int, keys: Sequence[StoredKey], lower: Mapping[Side, int]
    ) -> None:
        """Forget the images of changes that are settled, with their marks."""
        if table_id in self._imaged:
            self._db.executemany(
                kq.CLEAR_IMAGES,
                [(table_id, key, side.value, seq) for key in keys for side, seq in lower.items()],
            )


def _size(mark: KeyMark) -> int:
    if mark.low == mark.high or not isinstance(mark.low, int) or not isinstance(mark.high, int):
        return 1
    return (mark.high - mark.low) // mark.step + 1
