"""What the tailer has to be told of tables, and of the server it reads from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

import msgspec

from syncer.core.cascade import Edge
from syncer.core.mark import Reason
from syncer.core.position import Coordinate
from syncer.core.schema import TableName, TableSchema

Flavor = Literal["mysql", "mariadb"]


class TableLayout(msgspec.Struct, frozen=True):
    """
    A table in scope. Rows that cannot be read for certain make it dirty whole; a layout is never guessed.

    Attributes:
        table_id: its id in the ledger.
        schema: its definition on the tailer's side; None where it is not known.
        edges: foreign keys that refer to it and whose effect on the children this server does not log.
        reaches: ids of all tables that such an effect may reach, directly or not.
        certain_from: rows that end at or before it in the binlog may have another layout; None: all have this one.
        doubt: the reason of the mark where a layout is not certain.
        keeps: what its rows were before a change is kept: a rule asks for the row that both sides agreed on.
    """

    table_id: int
    schema: TableSchema | None
    edges: tuple[Edge, ...] = ()
    reaches: tuple[int, ...] = ()
    certain_from: Coordinate | None = None
    doubt: Reason = Reason.DDL
    keeps: bool = False


class LayoutSource(Protocol):
    """
    The tables in scope. Called in the tailer's thread, for every TABLE_MAP event: it must be quick.

    The same object is expected until the layout changes; a new object makes the tailer compile its reader anew.
    """

    def __call__(self, database: str, table: str) -> TableLayout | None:
        """Return the layout of a table, names as the server stores them; None where it is out of scope."""
        ...

    def tables(self) -> Iterable[tuple[int, TableName]]:
        """Return id and name of every table in scope."""
        ...


class StreamEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """
    How to reach a server.

    Attributes:
        socket: path of a Unix socket, used instead of host and port.
        ssl: the driver's ``ssl`` argument; None takes TLS where the server offers it.
        ssl_disabled: never TLS.
    """

    host: str
    port: int
    user: str
    password: str
    socket: str | None = None
    ssl: dict[str, Any] | None = None
    ssl_disabled: bool = False

    def __repr__(self) -> str:
        return f"StreamEndpoint({self.user}@{self.socket or f'{self.host}:{self.port}'})"

    __str__ = __repr__
