"""
The heartbeat: a row per pair in ``syncer.heartbeat`` on each primary, written anew every so often.

Its only meaning is when it comes by in the stream. It is a table of its own, since the marker row is locked while an apply
is under way. ``beat`` is ``epoch.number``: the beats of an earlier run are not taken for those of this one.
"""

from __future__ import annotations

from collections.abc import Callable

from syncer.clock import Clock
from syncer.errors import EpochLost
from syncer.mysql import marker
from syncer.mysql.connection import Session

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS `syncer`.`heartbeat` (
  `pair` varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  `epoch` bigint unsigned NOT NULL,
  `beat` varchar(41) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  `at` datetime(6) NOT NULL
) ENGINE=InnoDB
"""
TABLE_EXISTS = (
    "SELECT COUNT(*) FROM information_schema.tables"
    " WHERE table_schema = 'syncer' AND table_name = 'heartbeat'"
)
TAKE_OVER = (
    "INSERT INTO `syncer`.`heartbeat` (`pair`, `epoch`, `beat`, `at`) VALUES (%s, %s, '', NOW(6))"
    " ON DUPLICATE KEY UPDATE `epoch` = %s"
)
BEAT = (
    "UPDATE `syncer`.`heartbeat` SET `beat` = %s, `at` = NOW(6) WHERE `pair` = %s AND `epoch` = %s"
)
LOOKS = 5
TIME = "SELECT UNIX_TIMESTAMP(NOW(6))"


def text(epoch: int, number: int) -> str:
    """Return a beat as the row spells it."""
    return f"{epoch}.{number}"


def number_of(beat: str, epoch: int) -> int | None:
    """Undo ``text``; None for a beat of another epoch."""
    found, _, digits = beat.partition(".")
    return int(digits) if found == str(epoch) and digits.isdigit() else None


def ensure(session: Session, pair_id: str, epoch: int) -> None:
    """
    Create the table where it is missing, and take the pair's row over.

    Raises:
        EpochLost: another syncer has the pair by now (INV-17); its row stays as it is.
    """
    if not int(session.query(TABLE_EXISTS)[0][0]):
        session.execute(CREATE_TABLE)
    _take_over(session, pair_id, epoch)


def beat(session: Session, pair_id: str, epoch: int, number: int) -> None:
    """
    Write beat *number*: one statement that commits by itself.

    Raises:
        EpochLost: another syncer has the pair by now (INV-17).
    """
    if session.execute(BEAT, (text(epoch, number), pair_id, epoch)) == 0:
        # The row is gone, or another's: the marker row says whose the pair is.
        _take_over(session, pair_id, epoch)
        session.execute(BEAT, (text(epoch, number), pair_id, epoch))


def _take_over(session: Session, pair_id: str, epoch: int) -> None:
    owner = marker.read(session, pair_id)
    if owner is not None and owner.epoch > epoch:
        raise EpochLost(
            f"side {session.side}: another syncer has taken the pair over; stop one of the two"
        )
    session.execute(TAKE_OVER, (pair_id, epoch, epoch))


def server_time(session: Session) -> float:
    """Ask for the server's clock, seconds since the epoch, to the microsecond."""
    return float(session.query(TIME)[0][0])


def measure_clock(
    session: Session, clock: Clock, learn: Callable[[float, float, float], object]
) -> None:
    """Look at the server's clock some times in a row; for *learn* see ``core.pulse.ServerClock.learn``."""
    for _ in range(LOOKS):
        sent_s = clock.monotonic()
        server_s = server_time(session)
        learn(sent_s, clock.monotonic(), server_s)
