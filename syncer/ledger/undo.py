"""What brings rows back that we overwrote or deleted, one by one or many as one record."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from syncer.core.key import StoredKey
from syncer.core.side import Side


class RestorationStatus(enum.StrEnum):
    """What has become of a row that a person wants back."""

    ASKED = "asked"
    DONE = "done"
    LEFT = "left"
    """The row changed since, or cannot be written: nothing was done."""


class Restoration(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """
    A row that is to be again what it was, where it still is what we made of it.

    Attributes:
        table: ``database.name``.
        key: in printable form.
        side: where we overwrote or deleted it.
        columns: the names of the columns of *image*.
        expected: digest of the row as we left it; None: absent, or see *expected_image*.
        meant: digest of *image*; None: absent, or not known, where *image* is a row that was made of both.
        image: the row to write, as comma-separated SQL literals; None: it is to be absent.
        conflict_id: the decision that is taken back, or that made one row of both; None where there is none.
        actor: who asked.
        expected_image: the row as we left it, where we made it of both and nobody knows its digest; else None.
        winner: whose row *image* is; None: that of *side*.
    """

    table: str
    key: tuple[str, ...]
    key_stored: tuple[StoredKey, ...]
    side: Side
    columns: tuple[str, ...]
    expected: str | None
    meant: str | None
    image: str | None
    actor: str
    conflict_id: int | None = None
    expected_image: str | None = None
    winner: Side | None = None

    @property
    def makes(self) -> bool:
        """The row to write is one that was made of both."""
        return self.image is not None and self.meant is None


class Overwritten(msgspec.Struct, frozen=True, kw_only=True):
    """
    A row that we overwrote or deleted, and what brings it back.

    Attributes:
        at: when it was written, seconds since the epoch.
        run: the epoch of the run that wrote it.
    """

    number: int
    batch_id: int
    run: int
    at: float
    restoration: Restoration


class RestorationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A restoration as stored; *note* says why it was left."""

    restoration_id: int
    status: RestorationStatus
    asked_at: float
    changed_at: float
    note: str
    restoration: Restoration


class OverwrittenRows(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    Rows of one table that one transaction takes the place of, at least one; a list for each of their attributes, all of one length.

    Attributes:
        table, side, columns: as in ``Restoration``, of all of them.
        keys, stored, expected, meant, images: of each, what ``Restoration`` calls *key*, *key_stored*, *expected*, *meant* and *image*.
    """

    table: str
    side: Side
    columns: tuple[str, ...]
    keys: list[tuple[str, ...]]
    stored: list[StoredKey]
    expected: list[str | None]
    meant: list[str]
    images: list[str]

    def restorations(self) -> Iterator[Restoration]:
        """Yield what brings each back, in their order."""
        for key, stored, expected, meant, image in zip(
            self.keys, self.stored, self.expected, self.meant, self.images, strict=True
        ):
            yield Restoration(
                table=self.table,
                key=key,
                key_stored=(stored,),
                side=self.side,
                columns=self.columns,
                expected=expected,
                meant=meant,
                image=image,
                actor="",
            )


pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(OverwrittenRows).decode
