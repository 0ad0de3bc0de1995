"""What a preflight says: one finding, one fact, one fix."""

from __future__ import annotations

import enum

import msgspec

from syncer.core.side import Side


class Level(enum.StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """The pair is refused."""
    WARNING = "warning"
    """Something is not promised any more; the message says what."""
    INFO = "info"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """
    One fact.

    Attributes:
        side: the side it was found on; None where it is about both.
        code: a stable slug, the same for the same fact on any server.
        subject: the table, setting or privilege it is about.
        fix: what to do, a statement where there is one; "" where nothing has to be done.
    """

    level: Level
    side: Side | None
    code: str
    subject: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        where = f"side {self.side}: " if self.side else ""
        return f"{self.level}: {where}{self.message}{'; ' + self.fix if self.fix else ''}"
