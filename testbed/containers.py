"""
Run database servers in containers, where a Docker engine answers.

The same interface as `servers.Server`, for machines without local server
programs and for runs against other server versions:

    SYNCER_MARIADB_IMAGE, SYNCER_MYSQL_IMAGE   which images, pinned by default

Each start makes a new container over the server's volume, on the same port:
so options can change between starts and the address cannot. Containers and
volumes carry the labels by which testcontainers' reaper removes them after a
crash of this process.
"""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Any

from testbed.endpoint import Endpoint, default_options
from testbed.servers import STOP_DEADLINE_S, ServerStartError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.binaries import Flavor

__all__ = ["ContainerServer", "engine_answers", "image"]

_DEFAULT_IMAGES: dict[Flavor, str] = {"mariadb": "mariadb:11.4", "mysql": "mysql:8.4"}
_PORT = 3306


def image(flavor: Flavor) -> str:
    """Give the image that runs *flavor*."""
    return os.environ.get(f"SYNCER_{flavor.upper()}_IMAGE", _DEFAULT_IMAGES[flavor])


def engine_answers() -> bool:
    """Tell whether a Docker engine answers a ping within three seconds."""
    if not _engine_listens():
        return False
    # Not `import docker`: for a type checker that is this tree's folder of that name.
    from docker.client import from_env
    from docker.errors import DockerException

    try:
        client = from_env(timeout=3)
    except DockerException:
        return False
    try:
        return bool(client.ping())
    except (DockerException, OSError):
        return False
    finally:
        client.close()


def _engine_listens() -> bool:
    """Tell whether a local engine's socket can be connected; True for other kinds of address."""
    # The library leaks its socket when nobody listens, and warnings are errors in tests.
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address.removeprefix("unix://")) == 0


class ContainerServer(Endpoint):
    """
    One database server in a container; see `Endpoint` for its life.

    Args:
        flavor: Which image (`image`).
        name: For humans, and part of the container's name.
        server_id: As for `servers.Server`.
        options: Server options over the usual ones.
    """

    def __init__(
        self,
        flavor: Flavor,
        name: str,
        server_id: int,
        *,
        options: Mapping[str, str | None] | None = None,
    ) -> None:
        super().__init__(flavor, name, server_id, options=options)
        self._unique = f"syncer-testbed-{name}-{secrets.token_hex(4)}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._container: Any = None  # testcontainers' DockerContainer
        self._volume: Any = None  # docker's Volume
        self._last_log = "(no error log)"

    @property
    def running(self) -> bool:
        if self._container is None:
            return False
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return str(wrapped.status) in {"running", "paused"}

    def start(self) -> None:
        if self.running:
            return
        self._remove_container()  # one that ended by itself
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(image(self.flavor))
        if self._volume is None:
            self._volume = self._make_volume(container)
        container.with_env("MYSQL_ROOT_PASSWORD", self.password)
        container.with_env("MARIADB_ROOT_PASSWORD", self.password)
        container.with_volume_mapping(self._unique, "/var/lib/mysql", "rw")
        container.with_bind_ports(_PORT, self.port)
        container.with_command(self._flags())
        container.start()
        self._container = container
        self.host = container.get_container_host_ip()
        # The images set accounts up with the network off, so an answer means ready.
        if self._wait_ready():
            return
        tail = self.log_tail()
        self._remove_container()
        raise ServerStartError(f"{self.name} ({image(self.flavor)}) did not start:\n{tail}")

    def stop(self) -> None:
        if self._container is not None:
            self._container.get_wrapped_container().stop(timeout=int(STOP_DEADLINE_S))
            self._remove_container()

    def kill(self) -> None:
        if self._container is not None:
            if self.running:
                self._container.get_wrapped_container().kill()
            self._remove_container()

    def pause(self) -> None:
        if self._container is not None:
            self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        if self._container is not None:
            self._container.get_wrapped_container().unpause()

    def close(self) -> None:
        self.kill()
        if self._volume is not None:
            self._volume.remove(force=True)
            self._volume = None

    def log_tail(self, lines: int = 40) -> str:
        if self._container is not None:
            raw: bytes = self._container.get_wrapped_container().logs(tail=lines)
            self._last_log = raw.decode(errors="replace")
        return self._last_log

    def command(self, program: str, *arguments: str) -> list[str]:
        name = program.replace("mysql", "mariadb-", 1) if self.flavor == "mariadb" else program
        address = ["--host=127.0.0.1", f"--port={_PORT}", "--user=root"]
        return [
            *["docker", "exec", "--interactive", "--env", f"MYSQL_PWD={self.password}"],
            self._container.get_container_id(),
            name.removesuffix("-"),
            *address,
            *arguments,
        ]

    def _flags(self) -> list[str]:
        options = default_options(self.flavor, self.server_id) | self.options
        return [
            f"--{name}" if value is None else f"--{name}={value}" for name, value in options.items()
        ]

    def _make_volume(self, container: Any) -> Any:
        from testcontainers.core.labels import create_labels

        client = container.get_docker_client().client
        return client.volumes.create(self._unique, labels=create_labels(image(self.flavor), None))

    def _remove_container(self) -> None:
        if self._container is not None:
            self.log_tail()
            self._container.stop(delete_volume=False)
            self._container = None
