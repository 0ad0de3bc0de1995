"""Replicas of the two primaries, as people name them. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from syncer.core.side import Side

PORT = 3306
_NAMED = re.compile(
    r"(?P<side>[ab])=(?P<host>\[[0-9a-fA-F:.%]+\]|[^\[\]:=/@\s]+)(:(?P<port>\d{1,5}))?"
)


class Replica(NamedTuple):
    """A server that replicates from the primary of *side*."""

    side: Side
    host: str
    port: int

    def __str__(self) -> str:
        """Name it as messages do."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"replica {host}:{self.port} of side {self.side}"


def parse_replica(text: str) -> Replica:
    """Read ``a=host``, ``a=host:port`` or ``b=[address]:port``. Raises ValueError where it is none of these."""
    found = _NAMED.fullmatch(text.strip())
    port = int(found["port"] or PORT) if found else 0
    if found is None or not 0 < port < 1 << 16:
        raise ValueError(f"replicas: {text!r} is not SIDE=HOST[:PORT], as in a=db3:3306")
    return Replica(Side(found["side"]), found["host"].strip("[]"), port)
