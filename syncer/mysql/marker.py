"""
The marker row: one per pair in ``syncer.marker`` on each primary.

It carries the epoch (INV-17), the last batch and the items it wrote (INV-10), and makes our own transactions known in the
stream (INV-12). ``items`` begins with the batch id, eight bytes big-endian, so that it changes with every batch whatever the
row image; then comes a bitmap, bit i of byte i // 8 (least significant first) for item i. Batch 0 is no apply.

Where several transactions are under way at a time, each has a row of its own, ``PAIR#1``, ``PAIR#2``..., since a row is locked
while its transaction is under way. Such a row is made under the lock of the pair's own, by the owner of its epoch; whoever raises
the epoch raises that of the pair's own row first, and then of all that are there. Batches of one row are applied in the order of
their ids; those of several are not.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from syncer.core.record import ANY_ROW, LANE_SIGN, OWN_ROW
from syncer.errors import EpochLost, TransientDatabaseError
from syncer.mysql.connection import Session

CREATE_DATABASE = "CREATE DATABASE IF NOT EXISTS `syncer`"
CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS `syncer`.`marker` (
  `pair` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  `epoch` bigint unsigned NOT NULL,
  `batch` bigint unsigned NOT NULL,
  `kind` char(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `items` mediumblob NOT NULL,
  `kept` mediumblob NOT NULL
) ENGINE=InnoDB
"""
READ_MARKER = (
    "SELECT `epoch`, `batch`, HEX(`items`), HEX(`kept`) FROM `syncer`.`marker` WHERE `pair` = %s"
)
LOCK_MARKER = READ_MARKER + " FOR UPDATE"
INSERT_MARKER = (
    "INSERT INTO `syncer`.`marker` (`pair`, `epoch`, `batch`, `kind`, `items`, `kept`)"
    " VALUES (%s, %s, 0, 'epoch', UNHEX(%s), '')"
)
RAISE_EPOCH = (
    "UPDATE `syncer`.`marker` SET `epoch` = %s, `kind` = 'epoch', `items` = UNHEX(%s), `kept` = UNHEX(%s)"
    " WHERE `pair` = %s"
)
WRITE_BATCH = (
    "UPDATE `syncer`.`marker` SET `batch` = %s, `kind` = 'copy', `items` = UNHEX(%s), `kept` = ''"
    " WHERE `pair` = %s"
)
CLAIM_BATCH = WRITE_BATCH + " AND `epoch` = %s"
TABLE_EXISTS = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'syncer' AND table_name = 'marker'"
LIST_LANES = (
    f"SELECT `pair` FROM `syncer`.`marker` WHERE SUBSTRING_INDEX(`pair`, '{LANE_SIGN}', 1) = %s AND `pair` <> %s"
    " ORDER BY `pair`"
)
NAME_CHARACTERS = 64
_ID_BYTES = 8


class Marker(msgspec.Struct, frozen=True):
    """
    The marker row as found.

    Attributes:
        batch: id of the last batch applied; 0 before the first.
        written: the items that it wrote.
        packed: the same as stored.
    """

    epoch: int
    batch: int
    written: frozenset[int]
    packed: bytes


class Markers(msgspec.Struct, frozen=True):
    """The rows of a pair at one server: its own, and those of further lanes by ``lane_of``."""

    own: Marker
    lanes: dict[str, Marker] = {}

    @property
    def newest(self) -> int:
        """Id of the newest batch applied by any; 0 before the first."""
        return max(row.batch for row in (self.own, *self.lanes.values()))

    def last(self, lane: str) -> int:
        """Id of the last batch applied by the row of *lane*, by any for ANY_ROW; 0 where there is none."""
        if lane == ANY_ROW:
            return self.newest
        row = self.own if lane == OWN_ROW else self.lanes.get(lane)
        return 0 if row is None else row.batch

    def written(self, batch_id: int) -> frozenset[int]:
        """The items that a batch wrote; none where it is not the last one of any row."""
        found = [row.written for row in (self.own, *self.lanes.values()) if row.batch == batch_id]
        return frozenset().union(*found)


def lane_name(pair_id: str, number: int) -> str | None:
    """Name the row of lane *number*, from 1; None where the pair's name leaves no room for it."""
    name = f"{pair_id}{LANE_SIGN}{number}"
    return name if len(name) <= NAME_CHARACTERS else None


def lane_of(name: str) -> str:
    """Return which lane the row *name* is of: what stands behind the pair's name; OWN_ROW for the pair's own."""
    return name.partition(LANE_SIGN)[2]


def lanes_of(session: Session, pair_id: str) -> list[str]:
    """List the rows of the pair's lanes."""
    return [str(row[0]) for row in session.query(LIST_LANES, (pair_id, pair_id))]


def open_lane(session: Session, pair_id: str, name: str, epoch: int) -> None:
    """
    See that the row *name* is there for *epoch*, in a transaction of its own.

    Raises EpochLost where another syncer has the pair: without its row's lock a lane could be made behind the back of one that
    has just raised the epochs.
    """
    session.begin()
    try:
        lock_for(session, pair_id, epoch)
        found = lock(session, name)
        if found is None:
            session.execute(INSERT_MARKER, (name, epoch, pack_items(0, ()).hex()))
        elif found.epoch != epoch:
            raise EpochLost(f"side {session.side}: another syncer has the row {name}")
        session.commit()
    except BaseException:
        session.rollback_quietly()
        raise


def pack_items(batch_id: int, written: Collection[int]) -> bytes:
    """Return the ``items`` column for a batch that writes the items numbered *written*."""
    bitmap = bytearray(max(written, default=-1) // 8 + 1)
    for item in written:
        bitmap[item // 8] |= 1 << item % 8
    return batch_id.to_bytes(_ID_BYTES, "big") + bytes(bitmap)


def unpack_items(items: bytes) -> tuple[int, frozenset[int]]:
    """Undo ``pack_items``: (batch id, items written)."""
    batch_id = int.from_bytes(items[:_ID_BYTES], "big")
    bitmap = items[_ID_BYTES:]
    written = frozenset(
        at * 8 + bit for at, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1
    )
    return batch_id, written if batch_id else frozenset()


def ensure(session: Session) -> None:
    """Create the marker table where it is missing. Needs CREATE on ``syncer.*`` then, and nothing otherwise."""
    found = session.query(TABLE_EXISTS)
    if not int(found[0][0]):
        session.execute(CREATE_DATABASE)
        session.execute(CREATE_TABLE)


def read(session: Session, pair_id: str) -> Marker | None:
    """Read the row without a lock: for reports only, it proves nothing about an apply in flight."""
    return _marker(session.query(READ_MARKER, (pair_id,)))


def lock(session: Session, pair_id: str) -> Marker | None:
    """
    Read the row under its lock, inside the caller's transaction.

    Waits for an apply in flight (INV-13), at most ``innodb_lock_wait_timeout``: then TransientDatabaseError.
    """
    with _row_of_all():
        return _marker(session.query(LOCK_MARKER, (pair_id,)))


@contextlib.contextmanager
def _row_of_all() -> Iterator[None]:
    """Where this row cannot be had no row can be written, which is not the row's fault: the error has no number then."""
    try:
        yield
    except TransientDatabaseError as error:
        raise TransientDatabaseError(str(error)) from error


def lock_for(session: Session, pair_id: str, epoch: int) -> None:
    """Lock the row before anything is written: its epoch must be ours (INV-9, INV-17). Raises EpochLost."""
    found = lock(session, pair_id)
    if found is None or found.epoch != epoch:
        raise _taken_over(session)


def _taken_over(session: Session) -> EpochLost:
    return EpochLost(
        f"side {session.side}: another syncer has taken the pair over; stop one of the two"
    )


def _marker(rows: list[tuple[Any, ...]]) -> Marker | None:
    if not rows:
        return None
    epoch, batch, items, kept = rows[0]
    in_items = bytes.fromhex(items)
    batch_id, written = unpack_items(in_items)
    if not batch_id:
        in_items = bytes.fromhex(kept)
        batch_id, written = unpack_items(in_items) if in_items else (0, frozenset())
    return Marker(
        int(epoch), int(batch), written if batch_id == int(batch) else frozenset(), in_items
    )


def raise_epoch(session: Session, pair_id: str, epoch: int) -> Marker:
    """
    Set the epoch under the row's lock and return the row as it was before (INV-13).

    Any later arrival of an apply of an older epoch fails at its first statement. ``items`` gets batch id 0, or the stream
    would show the last batch once more and its keys' newer marks would be erased (INV-12); what the last batch wrote moves
    to ``kept``, for whoever has to look it up after another crash. One transaction of its own.

    Raises:
        EpochLost: the row has that epoch or a later one.
    """
    session.begin()
    try:
        before = lock(session, pair_id)
        signal = (pack_items(0, ()) + secrets.token_bytes(_ID_BYTES)).hex()
        if before is None:
            session.execute(INSERT_MARKER, (pair_id, epoch, signal))
            before = Marker(0, 0, frozenset(), b"")
        elif before.epoch >= epoch:
            raise _taken_over(session)
        else:
            session.execute(RAISE_EPOCH, (epoch, signal, before.packed.hex(), pair_id))
        session.commit()
    except BaseException:
        session.rollback_quietly()
        raise
    return before


def write_batch(session: Session, pair_id: str, batch_id: int, written: Collection[int]) -> None:
    """Make the caller's transaction known as batch *batch_id*; it must be the transaction's first write."""
    session.execute(WRITE_BATCH, (batch_id, pack_items(batch_id, written).hex(), pair_id))


def begin_batch(
    session: Session, row: str, epoch: int, batch_id: int, written: Collection[int]
) -> None:
    """
    Do at once what ``lock_for`` and ``write_batch`` do, where it is known beforehand what will be written. Raises EpochLost.

    It must be the transaction's first statement. It waits for the row's lock as ``lock`` does, and looks at the epoch under it.
    """
    items = pack_items(batch_id, written).hex()
    with _row_of_all():
        claimed = session.execute(CLAIM_BATCH, (batch_id, items, row, epoch))
    if not claimed:
        raise _taken_over(session)
