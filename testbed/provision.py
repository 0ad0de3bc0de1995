"""
Choose where servers run, and start them one by one or as a pair.

Local programs are preferred (they start in a second and can be any version
that is installed); a Docker engine is used for a flavour without them.
`SYNCER_TESTBED=local` or `=docker` decides for all.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, cast

from testbed import binaries, containers
from testbed.binaries import Flavor, ServerMissingError
from testbed.servers import Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from testbed.endpoint import Endpoint

__all__ = [
    "PAIRS",
    "Backend",
    "Pair",
    "PairName",
    "backend",
    "describe",
    "new_server",
    "start_pair",
]

Backend = Literal["local", "docker"]
PairName = Literal["mariadb", "mysql", "mixed"]

PAIRS: dict[PairName, tuple[Flavor, Flavor]] = {
    "mariadb": ("mariadb", "mariadb"),
    "mysql": ("mysql", "mysql"),
    "mixed": ("mysql", "mariadb"),
}
"""The flavours of side A and side B."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two running servers; as a context manager it closes both at the end."""

    name: str
    a: Endpoint
    b: Endpoint

    @property
    def sides(self) -> tuple[Endpoint, Endpoint]:
        """Both servers, A first."""
        return self.a, self.b

    def start(self) -> None:
        """Start what does not run, both at the same time, and wait until both answer."""
        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(lambda server: server.start(), self.sides):
                pass

    def close(self) -> None:
        """Stop both and remove their data."""
        for server in self.sides:
            server.close()

    def script(self, *statements: str, db: str | None = None) -> None:
        """Run the same statements on both sides, A first."""
        for server in self.sides:
            server.script(*statements, db=db)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@functools.cache
def backend(flavor: Flavor) -> Backend:
    """
    Decide where servers of *flavor* run; kept for the life of the process.

    Raises:
        ServerMissingError: Nowhere: neither its programs nor an engine is here.
        ValueError: `SYNCER_TESTBED` has an unknown value.
    """
    wanted = os.environ.get("SYNCER_TESTBED", "")
    if wanted not in {"", "local", "docker"}:
        raise ValueError(f"SYNCER_TESTBED must be local or docker, not {wanted!r}")
    if wanted == "docker":
        if not containers.engine_answers():
            raise ServerMissingError("SYNCER_TESTBED=docker, but no Docker engine answers")
        return "docker"
    try:
        binaries.find(flavor)
    except ServerMissingError:
        if wanted == "local" or not containers.engine_answers():
            raise
        return "docker"
    return "local"


def describe(flavor: Flavor) -> str:
    """Say in a few words what `new_server` would use; raises like `backend`."""
    if backend(flavor) == "docker":
        return f"{containers.image(flavor)} (container)"
    installation = binaries.find(flavor)
    place = "private folder" if installation.root else "system"
    return f"{installation.version} ({place})"


def new_server(
    flavor: Flavor,
    name: str,
    server_id: int,
    *,
    options: Mapping[str, str | None] | None = None,
) -> Endpoint:
    """
    Make a server that is not started yet, wherever this machine can run it.

    Raises:
        ServerMissingError: It cannot.
    """
    if backend(flavor) == "docker":
        return containers.ContainerServer(flavor, name, server_id, options=options)
    return Server(flavor, name, server_id, options=options)


def start_pair(
    flavor_a: Flavor,
    flavor_b: Flavor,
    *,
    options_a: Mapping[str, str | None] | None = None,
    options_b: Mapping[str, str | None] | None = None,
    server_ids: tuple[int, int] = (1, 2),
) -> Pair:
    """
    Start two servers that know nothing of each other.

    Args:
        flavor_a: Flavour of side A.
        flavor_b: Flavour of side B.
        options_a: Server options of side A over the usual ones.
        options_b: The same for side B.
        server_ids: Theirs; one odd and one even, so that generated keys differ.

    Raises:
        ServerMissingError: A flavour cannot be run here.
        ServerStartError: One did not come up; the other one is closed.
    """
    name = cast("str", flavor_a) if flavor_a == flavor_b else "mixed"
    pair = Pair(
        name,
        new_server(flavor_a, f"{flavor_a}-a", server_ids[0], options=options_a),
        new_server(flavor_b, f"{flavor_b}-b", server_ids[1], options=options_b),
    )
    try:
        pair.start()
    except BaseException:
        pair.close()
        raise
    return pair
