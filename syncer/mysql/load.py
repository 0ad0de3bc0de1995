"""How busy a server is: its status variables that are whole numbers."""

from __future__ import annotations

from collections.abc import Iterable

from syncer.mysql.connection import Session


def load_of(session: Session, names: Iterable[str]) -> dict[str, int]:
    """Return those of the status variables *names* that the server has as whole numbers, by their names in small letters."""
    asked = tuple(names)
    places = ",".join(["%s"] * len(asked))
    rows = session.query(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({places})", asked)
    return {str(name).lower(): int(value) for name, value in rows if str(value).isdecimal()}
