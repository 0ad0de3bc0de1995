"""
Run private database servers as child processes of this one.

A server has its own data folder in a temporary place, its own port on the
loopback address, socket and log. Data folders are copied from a template that
is made once per flavour and version, so a start takes a second or two.

No server outlives the process: an ordinary end stops them (atexit), and the
kernel ends them with any other end, `kill -9` included (see `launcher`).
Folders that such an end leaves behind are removed by the next process.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import os
import queue
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import IO, TYPE_CHECKING

from testbed import binaries, launcher
from testbed.binaries import Flavor, Installation
from testbed.endpoint import Endpoint, default_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Flavor", "Server", "ServerStartError"]

STOP_DEADLINE_S = 60.0
# Below the ports the kernel gives to outgoing connections: a server that is
# down for a moment must find its port free again.
_PORTS = range(20000, 32000)
# The kernel's limit for socket paths is 107 bytes.
_SOCKET_PATH_MAX = 100
_PREFIX = "syncer-testbed-"


class ServerStartError(RuntimeError):
    """A server did not come up; the message ends with its error log."""


class Server(Endpoint):
    """
    One private server process; see `Endpoint` for its life.

    Args:
        flavor: Which server program.
        name: For humans, and part of the folder's name.
        server_id: Unique among servers used together; odd ones generate odd
            keys, even ones even keys.
        options: Server options over the usual ones (`default_options`); None
            as value gives a bare flag. Names with underscores or hyphens.
        base_dir: Folder for everything the server writes. It is kept by
            `close`, and a server found in it is continued. None makes a
            temporary one that `close` removes.

    Raises:
        ServerMissingError: The flavour is not installed here.
    """

    def __init__(
        self,
        flavor: Flavor,
        name: str,
        server_id: int,
        *,
        options: Mapping[str, str | None] | None = None,
        base_dir: Path | None = None,
    ) -> None:
        super().__init__(flavor, name, server_id, options=options)
        self.installation: Installation = binaries.find(flavor)
        self.port = _free_port()
        self._temporary = base_dir is None
        self.base_dir = base_dir or Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_process_dir()))
        self.data_dir = self.base_dir / "data"
        self.log_file = self.base_dir / "error.log"
        self.socket = self.base_dir / "sock"
        if len(bytes(self.socket)) > _SOCKET_PATH_MAX:
            self.socket = Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/tmp")) / "sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._adopt_password()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id; 0 while it is down."""
        return self._process.pid if self.running and self._process else 0

    def start(self) -> None:
        """
        Start it and wait until it answers; nothing happens if it runs.

        Raises:
            ServerStartError: It ended, or did not answer within two minutes.
        """
        if self.running:
            return
        if self._closed:
            raise ServerStartError(f"{self.name} was closed")
        first = not self.data_dir.exists()
        if first:
            self.base_dir.mkdir(parents=True, exist_ok=True)
            _copy_template(self.installation, self.data_dir)
            (self.base_dir / "init.sql").write_text(_accounts(self.flavor, self.password))
            self._write_client_file()
        for _ in range(5):
            self._process = _spawn(self._command(first=first), self.log_file)
            _running[self._process.pid] = self
            if self._wait_ready():
                return
            # Somebody else was quicker; only a server nobody knows yet may move.
            if not first or "ddress already in use" not in self.log_tail(100):
                break
            self.log_file.unlink()
            self.port = _free_port()
            self._write_client_file()
        tail = self.log_tail()
        self.kill()
        raise ServerStartError(f"{self.name} ({self.installation.version}) did not start:\n{tail}")

    def stop(self) -> None:
        """Shut it down cleanly; one that does not end within a minute is killed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self._temporary:
            self.kill()  # nobody will look at the data again
            shutil.rmtree(self.base_dir, ignore_errors=True)
        else:
            self.stop()
        if self.socket.parent != self.base_dir:
            shutil.rmtree(self.socket.parent, ignore_errors=True)
        self._closed = True

    def log_tail(self, lines: int = 40) -> str:
        try:
            text = self.log_file.read_text(errors="replace")
        except FileNotFoundError:
            return "(no error log)"
        return "\n".join(text.splitlines()[-lines:])

    def command(self, program: str, *arguments: str) -> list[str]:
        return [
            *self.installation.command(program),
            f"--defaults-file={self.base_dir / 'client.cnf'}",
            *self.installation.client_options(),
            *arguments,
        ]

    def _command(self, *, first: bool) -> list[str]:
        options: dict[str, str | None] = dict(default_options(self.flavor, self.server_id))
        options |= self.installation.server_folders()
        options |= {
            "datadir": str(self.data_dir),
            "port": str(self.port),
            "bind_address": self.host,
            "socket": str(self.socket),
            "pid_file": str(self.base_dir / "pid"),
            "tmpdir": str(self.base_dir),
        }
        if os.geteuid() == 0:
            options["user"] = "root"
        if first:
            options["init_file"] = str(self.base_dir / "init.sql")
        for name, value in self.options.items():
            options.pop(name, None)
            options[name] = value
        flags = [
            f"--{name}" if value is None else f"--{name}={value}" for name, value in options.items()
        ]
        return [*self.installation.command("mysqld"), "--no-defaults", *flags]

    def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)  # a paused one hears nothing else
            try:
                process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        _running.pop(process.pid, None)
        self._process = None

    def _write_client_file(self) -> None:
        path = self.base_dir / "client.cnf"
        path.touch(mode=0o600)
        path.write_text(
            f"[client]\nhost={self.host}\nport={self.port}\nprotocol=tcp\n"
            f'user=root\npassword="{self.password}"\n'
        )

    def _adopt_password(self) -> None:
        """Continue with the address and password of a server that a kept folder holds."""
        path = self.base_dir / "client.cnf"
        if self.data_dir.exists() and path.exists():
            values = dict(
                line.split("=", 1) for line in path.read_text().splitlines() if "=" in line
            )
            self.port, self.password = int(values["port"]), values["password"].strip('"')


_running: dict[int, Server] = {}
"""Every live server process of ours by process id."""


_owner_pid = os.getpid()


@atexit.register
def _stop_all() -> None:
    if os.getpid() != _owner_pid:
        return  # a forked child has the object, not the server
    for server in list(_running.values()):
        server.close()


class _Spawner:
    """
    Start processes from one thread that lives as long as this process.

    The kernel's death signal is tied to the thread that started a child, not to
    its process: a server that a short-lived worker started would end with it.
    """

    def __init__(self) -> None:
        self._jobs: queue.Queue[tuple[list[str], Path, Future[subprocess.Popen[bytes]]]] = (
            queue.Queue()
        )
        threading.Thread(target=self._run, name="testbed-spawner", daemon=True).start()

    def spawn(self, command: list[str], log_file: Path) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((command, log_file, answer))
        return answer.result()

    def _run(self) -> None:
        while True:
            command, log_file, answer = self._jobs.get()
            try:
                with log_file.open("ab") as log:
                    answer.set_result(
                        subprocess.Popen(
                            [
                                sys.executable,
                                "-I",
                                "-S",
                                launcher.__file__,
                                str(os.getpid()),
                                *command,
                            ],
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=log,
                            # Ctrl-C reaches the whole foreground group; servers end in order instead.
                            start_new_session=True,
                            env=_environment(),
                        )
                    )
            except Exception as error:  # noqa: BLE001 - it is raised in the thread that asked
                answer.set_exception(error)


_spawner: _Spawner | None = None
_spawner_lock = threading.Lock()


def _spawn(command: list[str], log_file: Path) -> subprocess.Popen[bytes]:
    global _spawner  # noqa: PLW0603 - one per process, made at first use
    with _spawner_lock:
        if _spawner is None:
            _spawner = _Spawner()
    return _spawner.spawn(command, log_file)


def _environment() -> dict[str, str]:
    """Give the environment without what would configure a server behind our back."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MYSQL_", "MARIADB_", "LD_"))
    } | {"LC_ALL": "C"}


def _free_port() -> int:
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            # As the servers do: a port is not taken by connections that are closing.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerStartError(f"no free port between {_PORTS.start} and {_PORTS.stop}")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _copy_template(installation: Installation, target: Path) -> None:
    template = _template(installation)
    subprocess.run(
        ["cp", "--archive", "--reflink=auto", "--sparse=always", str(template), str(target)],
        check=True,
    )
    # It holds the server's uuid, which must be unique.
    (target / "auto.cnf").unlink(missing_ok=True)


def _template(installation: Installation) -> Path:
    """Give the initialised data folder of an installation, made at first use by one process."""
    made_by = hashlib.sha256(
        repr((installation, Path(__file__).read_bytes())).encode()
    ).hexdigest()[:12]
    folder = binaries.servers_dir() / "templates"
    template = folder / f"{installation.flavor}-{installation.version}-{made_by}"
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{installation.flavor}.lock"):
        if template.exists():
            return template
        for outdated in folder.glob(f"{installation.flavor}-*"):
            shutil.rmtree(outdated, ignore_errors=True)
        unfinished = template.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        done = subprocess.run(
            _initialise_command(installation, unfinished),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(),
            check=False,
        )
        if done.returncode != 0:
            raise ServerStartError(
                f"{installation.version} cannot make a data folder:\n{done.stdout}"
            )
        unfinished.rename(template)
    return template


def _initialise_command(installation: Installation, data_dir: Path) -> list[str]:
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    folders = [f"--{name}={value}" for name, value in installation.server_folders().items()]
    if installation.flavor == "mysql":
        return [
            *installation.command("mysqld"),
            "--no-defaults",
            "--initialize-insecure",
            "--innodb-redo-log-capacity=64M",
            "--secure-file-priv=",
            *as_root,
            *folders,
            f"--datadir={data_dir}",
        ]
    return [
        *installation.command("mysql_install_db"),
        "--no-defaults",
        "--force",  # also where the machine cannot look up its own name
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--skip-name-resolve",
        "--innodb-log-file-size=64M",
        *as_root,
        f"--datadir={data_dir}",
    ]


def _accounts(flavor: Flavor, password: str) -> str:
    """Give the statements of the first start: one administrator, nobody else; one line each."""
    statements = [
        # The binary log starts with the tests' own events.
        "SET SESSION sql_log_bin = 0",
        f"CREATE USER 'root'@'%' IDENTIFIED BY '{password}'",
        "GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION",
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}'",
    ]
    if flavor == "mariadb":
        statements += [
            (
                "DELETE FROM mysql.global_priv WHERE User = ''"
                " OR (User = 'root' AND Host NOT IN ('%', 'localhost'))"
            ),
            "FLUSH PRIVILEGES",
        ]
    return "".join(f"{statement};\n" for statement in statements)


_process_dir_made: Path | None = None
_process_dir_guard = threading.Lock()


def _process_dir() -> Path:
    """
    Give this process's temporary folder; sweep those of processes that are gone.

    A folder belongs to whoever holds the lock on its `owner` file. The lock
    ends with the process, however that ends, and works across containers that
    share the folder, where process ids would lie.
    """
    global _process_dir_made  # noqa: PLW0603 - one per process, made at first use
    with _process_dir_guard:
        if _process_dir_made is None:
            with _locked(Path(tempfile.gettempdir()) / f"{_PREFIX}{os.geteuid()}.lock"):
                _sweep()
                made = Path(tempfile.mkdtemp(prefix=_PREFIX))
                owner = (made / "owner").open("w")
                fcntl.flock(owner, fcntl.LOCK_EX)
            atexit.register(_remove_process_dir, made, owner)
            _process_dir_made = made
        return _process_dir_made


def _remove_process_dir(made: Path, owner: IO[str]) -> None:
    """Remove the folder at exit; *owner* is an argument so that the lock is held until then."""
    if os.getpid() == _owner_pid:
        _stop_all()
        shutil.rmtree(made, ignore_errors=True)
        owner.close()


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/"):
        owner = folder / "owner"
        if not owner.exists():
            continue
        with contextlib.suppress(OSError), owner.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
