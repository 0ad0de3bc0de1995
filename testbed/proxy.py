"""
A TCP proxy on loopback that misbehaves on request: drops, stalls, resets, delays, cuts after so many bytes.

It stands before one server; `url` is the server's address with the proxy's port. TLS would hide what passes, so that
`when` can look for bytes only where the connection is in the clear (`?ssl-mode=disabled`).
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.endpoint import Endpoint

__all__ = ["Connection", "Proxy", "Way"]

Way = Literal["up", "down"]
"""`up` goes to the server, `down` comes from it."""

_PIECE = 1 << 16
_LOOK_S = 0.05
_CONNECT_S = 10.0


class Connection:
    """One client with its own connection to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.passed: dict[Way, int] = {"up": 0, "down": 0}
        self.alive = threading.Event()
        self.alive.set()
        self._proxy = proxy
        self._ends = (client, server)
        self._lock = threading.Lock()
        ways: tuple[tuple[Way, socket.socket, socket.socket], ...] = (
            ("up", client, server),
            ("down", server, client),
        )
        for way, source, target in ways:
            threading.Thread(target=self._pump, args=(way, source, target), daemon=True).start()

    def close(self, *, reset: bool = False) -> None:
        """
        End both halves; a second call does nothing.

        Args:
            reset: The peers see RST ("connection reset by peer") instead of an orderly end.
        """
        with self._lock:
            if not self.alive.is_set():
                return
            self.alive.clear()
        for end in self._ends:
            with contextlib.suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    end.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                end.close()
        self._proxy._gone(self)  # noqa: SLF001 - its own connection

    def _pump(self, way: Way, source: socket.socket, target: socket.socket) -> None:
        """Carry pieces one way, each no earlier than its delay allows."""
        waiting: deque[tuple[float, bytes]] = deque()
        try:
            while self.alive.is_set():
                if self._proxy.stalled(way):
                    time.sleep(_LOOK_S)
                    continue
                left_s = _LOOK_S
                if waiting:
                    due, piece = waiting[0]
                    left_s = due - time.monotonic()
                    if left_s <= 0:
                        waiting.popleft()
                        self._send(way, target, piece)
                        continue
                if not select.select([source], [], [], min(left_s, _LOOK_S))[0]:
                    continue
                if self._proxy.stalled(way):
                    continue  # since the wait began
                piece = source.recv(_PIECE)
                if not piece:
                    break
                delay_s = self._proxy.delay_s
                if delay_s or waiting:
                    waiting.append((time.monotonic() + delay_s, piece))
                else:
                    self._send(way, target, piece)
        except (OSError, ValueError):
            pass  # an end was closed
        finally:
            self.close()

    def _send(self, way: Way, target: socket.socket, piece: bytes) -> None:
        """Hand a piece on, or only a part of it, as the proxy's orders say."""
        allowed = self._proxy._judge(self, way, piece)  # noqa: SLF001 - its own connection
        target.sendall(piece[:allowed])
        self.passed[way] += min(allowed, len(piece))
        if allowed < len(piece):
            self.close(reset=self._proxy.resets)


class Proxy:
    """
    Listens on a loopback port for one server. As a context manager it closes at the end.

    Attributes:
        delay_s: Every piece travels so long, each way.
        resets: Cuts are seen as RST.
        cuts: Connections that an order has ended so far.
    """

    def __init__(self, server: Endpoint) -> None:
        self.server = server
        self.delay_s = 0.0
        self.resets = False
        self.cuts = 0
        self._refusing = False
        self._stalled: set[Way] = set()
        self._judges: list[Callable[[Connection, Way, bytes], int | None]] = []
        self._connections: set[Connection] = set()
        self._lock = threading.RLock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def url(self) -> str:
        """Give the server's address through the proxy, in the clear."""
        return self.server.url().replace(f":{self.server.port}", f":{self.port}") + (
            "?ssl-mode=disabled"
        )

    def stall(self, *ways: Way) -> None:
        """Hold back everything on these ways (both, if none is named); connections stay open."""
        self._stalled = set(ways or ("up", "down"))

    def resume(self) -> None:
        """Let everything pass again."""
        self._stalled = set()
        self._refusing = False

    def stalled(self, way: Way) -> bool:
        """Say whether *way* is held back."""
        return way in self._stalled

    def refuse(self) -> None:
        """End every connection, and every new one at once, until `resume`: the server is out of reach."""
        self._refusing = True
        self.drop()

    def drop(self, *, reset: bool = False) -> int:
        """End every present connection; give their number."""
        with self._lock:
            present = list(self._connections)
        for connection in present:
            connection.close(reset=reset)
        return len(present)

    def cut_after(self, count: int, way: Way, *, having: bytes = b"") -> threading.Event:
        """
        Cut one connection once *count* further bytes have passed on it.

        Args:
            count: Bytes, counted per connection from now, or from the piece that holds *having*.
            way: Which direction is counted.
            having: Only a connection on which these bytes go up first.

        Returns:
            Set when it has been cut.
        """
        done = threading.Event()
        left: dict[Connection, int] = {}

        def judge(connection: Connection, to: Way, piece: bytes) -> int | None:
            if done.is_set():
                return None
            if not having or (to == "up" and having in piece):
                left.setdefault(connection, count)
            if to != way or connection not in left:
                return None
            left[connection] -= len(piece)
            if left[connection] >= 0:
                return None
            done.set()
            return len(piece) + left[connection]

        self._judges.append(judge)
        return done

    def cut_at(
        self, *patterns: bytes, delivered: bool, then_refuse: bool = False
    ) -> threading.Event:
        """
        Cut one connection at a request: the first on which *patterns* go up, one after the other.

        Args:
            patterns: What requests hold; the last one is cut off.
            delivered: The server still gets that request, and its answer is lost; otherwise the request is lost.
            then_refuse: From the cut on the server is out of reach, as after `refuse`.

        Returns:
            Set when it has been cut.
        """
        done = threading.Event()
        seen: dict[Connection, int] = {}

        def judge(connection: Connection, to: Way, piece: bytes) -> int | None:
            if done.is_set():
                return None
            at = seen.get(connection, 0)
            if to == "up" and at < len(patterns) and patterns[at] in piece:
                seen[connection] = at = at + 1
                if at < len(patterns) or delivered:
                    return None
            if at < len(patterns):
                return None
            if then_refuse:
                self._refusing = True
                threading.Thread(target=self.drop, daemon=True).start()
            done.set()
            return 0

        self._judges.append(judge)
        return done

    def forget(self) -> None:
        """Take back every order to cut, carried out or not, and let everything pass at full speed."""
        with self._lock:
            self._judges.clear()
        self.resets = False
        self.delay_s = 0.0
        self.resume()

    def stall_at(self, *patterns: bytes) -> threading.Event:
        """
        Hold back every answer, on all connections, from the moment when *patterns* have gone up on one of them.

        Returns:
            Set at that moment; `resume` ends it.
        """
        done = threading.Event()
        seen: dict[Connection, int] = {}

        def judge(connection: Connection, to: Way, piece: bytes) -> None:
            at = seen.get(connection, 0)
            if done.is_set() or to != "up" or patterns[at] not in piece:
                return
            seen[connection] = at + 1
            if at + 1 == len(patterns):
                self.stall("down")
                done.set()

        self._judges.append(judge)
        return done

    def connections(self) -> int:
        """Count the present connections."""
        return len(self._connections)

    def close(self) -> None:
        """End everything. Idempotent."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if self._refusing:
                    raise OSError("refused")
                server = socket.create_connection((self.server.host, self.server.port), _CONNECT_S)
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.add(Connection(self, client, server))

    def _judge(self, connection: Connection, way: Way, piece: bytes) -> int:
        """Say how much of *piece* may pass; less than all of it ends the connection."""
        with self._lock:
            for judge in self._judges:
                allowed = judge(connection, way, piece)
                if allowed is not None and allowed < len(piece):
                    self.cuts += 1
                    return allowed
        return len(piece)

    def _gone(self, connection: Connection) -> None:
        with self._lock:
            self._connections.discard(connection)
