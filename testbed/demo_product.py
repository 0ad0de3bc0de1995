"""
Run the product for the demonstration as its users do: a configuration file, commands, exit codes.

Nothing of `syncer` is imported here; what it did is read from its JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed import launcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.provision import Pair

__all__ = ["ACCOUNT", "GRANTS", "MARIADB_GRANTS", "DemoError", "Syncer", "make_account"]

ACCOUNT = "'syncer'@'%'"
GRANTS = (
    f"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {ACCOUNT}",
    f"GRANT SELECT, INSERT, UPDATE, CREATE ON syncer.* TO {ACCOUNT}",
    f"GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON shop.* TO {ACCOUNT}",
)
"""What the account needs on both flavours: the statements of README.md."""
MARIADB_GRANTS = (f"GRANT REPLICA MONITOR ON *.* TO {ACCOUNT}",)
"""What it needs on MariaDB besides."""

_REPOSITORY = Path(__file__).parents[1]
_END_DEADLINE_S = 30.0


class DemoError(RuntimeError):
    """The demonstration cannot go on; the message is the line that says why."""


def make_account(pair: Pair) -> str:
    """
    Create the product's account on both sides, with the grants of README.md and no more.

    It is kept out of the binary logs. Returns its password.
    """
    password = secrets.token_urlsafe(12)
    for server in pair.sides:
        server.script(
            "SET SESSION sql_log_bin = 0",
            f"CREATE USER {ACCOUNT} IDENTIFIED BY '{password}'",
            *GRANTS,
            *(MARIADB_GRANTS if server.flavor == "mariadb" else ()),
        )
    return password


class Syncer:
    """
    The product for one pair, with its configuration, password and ledger in *folder*.

    Its progress goes to our stderr: the live view on a terminal, lines elsewhere. Not shared between threads.
    """

    def __init__(self, pair: Pair, folder: Path, password: str) -> None:
        self.file = folder / "syncer.toml"
        secret = folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(password)
        sides = "".join(
            f'[{side}]\nurl = "mysql://syncer@{server.host}:{server.port}"\n'
            f"password_file = {json.dumps(str(secret))}\n\n"
            for side, server in zip("ab", pair.sides, strict=True)
        )
        self.file.write_text(
            f"ledger = {json.dumps(str(folder / 'syncer.db'))}\n\n{sides}"
            '[sync]\ntables = ["shop.*"]\n\n'
            '[policy]\nrule = "newest:updated_at"\non_delete = "update_wins"\non_tie = "a"\n\n'
            '[log]\nformat = "console"\nlevel = "warning"\n'
        )
        self._process: subprocess.Popen[str] | None = None

    def check(self) -> tuple[bool, list[dict[str, Any]]]:
        """Run preflight; give its verdict and its findings."""
        report = self._document("check", codes=(0, 3))
        return bool(report["ok"]), list(report["findings"])

    def until_in_sync(self) -> None:
        """Run until the product says that both sides are equal. Raises DemoError where it does not."""
        with self.running("--until-in-sync") as process:
            code = process.wait()
        if code != 0:
            raise DemoError(f"syncer run --until-in-sync ended with exit code {code}")

    @contextlib.contextmanager
    def running(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        """Run it in the background; at the end, drain and wait for it, whatever happened."""
        process = subprocess.Popen(
            self._command("run", *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # its report; the demonstration ends with one of its own
            env=_environment(),
            text=True,
            start_new_session=True,  # Ctrl-C is ours: it ends in order
        )
        try:
            yield process
        finally:
            self._end(process)

    def status(self) -> dict[str, Any]:
        """Give what `syncer status` says."""
        return self._document("status", codes=(0, 1))

    def applied(self) -> dict[str, int]:
        """Give the rows written to each side so far, by `a.insert`, `b.delete`..."""
        counters: dict[str, int] = self.status()["summary"]["counters"]
        prefix = "applied."
        return {k.removeprefix(prefix): v for k, v in counters.items() if k.startswith(prefix)}

    def conflicts(self) -> list[dict[str, Any]]:
        """Give the journal, oldest first."""
        options = ("--status", "all", "--limit", "100000")
        found = self._document("conflicts", "list", *options, codes=(0, 1))["conflicts"]
        return sorted(found, key=lambda conflict: int(conflict["conflict_id"]))

    def _end(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise DemoError(f"syncer did not end within {_END_DEADLINE_S:.0f} s") from None
        except BaseException:  # a second Ctrl-C: it must not outlive us
            process.kill()
            process.wait()
            raise

    def _document(self, *words: str, codes: tuple[int, ...]) -> dict[str, Any]:
        done = subprocess.run(
            self._command(*words, "--json"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(),
            text=True,
            check=False,
            start_new_session=True,
        )
        # A refused command says so on stdout (check) or as an error object on stderr.
        if done.returncode not in codes or not done.stdout:
            said = " ".join(done.stderr.split())
            raise DemoError(
                f"syncer {' '.join(words)} ended with exit code {done.returncode}: {said}"
            )
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def _command(self, *words: str) -> list[str]:
        # The launcher has the kernel end it with us, should we be killed.
        launch = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid())]
        return [*launch, sys.executable, "-m", "syncer", *words, "-c", str(self.file)]


def _environment() -> dict[str, str]:
    """Give the environment without settings that are meant for another syncer."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCER_")}
    return kept | {"PYTHONPATH": str(_REPOSITORY)}
