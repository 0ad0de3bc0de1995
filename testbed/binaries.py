"""
Find the database programs of this machine and tell how to launch them.

MariaDB is looked for where its packages put it. MySQL is looked for in the
private folder that `scripts/install-servers` fills, then in the system. The
private folder brings its own C library, so its programs are started through
its own dynamic loader; `Installation.command` hides that.

Nothing is started here but `--version`.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Flavor = Literal["mariadb", "mysql"]

FLAVORS: tuple[Flavor, ...] = ("mariadb", "mysql")

_SYSTEM_FOLDERS = ("/usr/local/mysql/bin", "/usr/local/sbin", "/usr/sbin", "/usr/local/bin")
# MariaDB's packages keep MySQL's names only as deprecated links, so ask for its own.
_MARIADB_NAMES = {
    "mysqld": "mariadbd",
    "mysql": "mariadb",
    "mysqladmin": "mariadb-admin",
    "mysqlbinlog": "mariadb-binlog",
    "mysqldump": "mariadb-dump",
    "mysql_install_db": "mariadb-install-db",
    "mysql_tzinfo_to_sql": "mariadb-tzinfo-to-sql",
}


class ServerMissingError(RuntimeError):
    """
    A database program is not installed here.

    The message names the program and the command that installs it.
    """


@dataclass(frozen=True, slots=True)
class Installation:
    """One usable set of database programs of one flavour."""

    flavor: Flavor
    version: str
    """As the server program prints it, such as `10.11.19-MariaDB-0+deb12u1`."""
    root: Path | None = None
    """The private folder with its own C library, or None for system programs."""

    def command(self, program: str) -> list[str]:
        """
        Give the start of the command line that runs *program*.

        Args:
            program: MySQL's name of it (`mysqld`, `mysql`, `mysqldump`,
                `mysqlbinlog`, ...) for both flavours; translated for MariaDB.

        Raises:
            ServerMissingError: It is not installed.
        """
        if self.root is not None:
            for folder in ("usr/sbin", "usr/bin"):
                path = self.root / folder / program
                if path.exists():
                    return [*_loader(self.root), str(path)]
            raise ServerMissingError(_missing(self.flavor, program))
        name = _MARIADB_NAMES.get(program, program) if self.flavor == "mariadb" else program
        path_found = _which(name)
        if path_found is None:
            raise ServerMissingError(_missing(self.flavor, name))
        return [str(path_found)]

    def server_folders(self) -> dict[str, str]:
        """Give the server options that say where its files are; empty for system programs."""
        if self.root is None:
            return {}
        share = self.root / "usr/share/mysql"
        return {
            "basedir": str(self.root / "usr"),
            "lc_messages_dir": str(share),
            "character_sets_dir": str(share / "charsets"),
            "plugin_dir": str(self.root / "usr/lib/mysql/plugin"),
        }

    def client_options(self) -> list[str]:
        """Give the options that every client program of this installation needs."""
        if self.root is None:
            return []
        return [f"--character-sets-dir={self.root / 'usr/share/mysql/charsets'}"]


def servers_dir() -> Path:
    """Give the folder of private servers and data templates, the one `scripts/install-servers` uses."""
    if configured := os.environ.get("SYNCER_SERVERS_DIR"):
        return Path(configured)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "syncer-servers"


@functools.cache
def find(flavor: Flavor) -> Installation:
    """
    Find the programs of *flavor*; the answer is kept for the life of the process.

    Raises:
        ServerMissingError: There is no server program of that flavour.
    """
    if flavor == "mysql":
        root = servers_dir() / "mysql" / "root"
        if (root / "usr/sbin/mysqld").exists():
            return Installation(
                "mysql", _version([*_loader(root), str(root / "usr/sbin/mysqld")]), root
            )
        for folder in _SYSTEM_FOLDERS:
            mysqld = Path(folder) / "mysqld"
            # MariaDB's packages may own this name too.
            if mysqld.exists() and "MariaDB" not in (version := _version([str(mysqld)])):
                return Installation("mysql", version)
    elif (mariadbd := _which("mariadbd")) is not None:
        return Installation("mariadb", _version([str(mariadbd)]))
    raise ServerMissingError(_missing(flavor, "mysqld" if flavor == "mysql" else "mariadbd"))


def available() -> dict[Flavor, Installation]:
    """Give every flavour that can be started here; a missing one is left out."""
    found: dict[Flavor, Installation] = {}
    for flavor in FLAVORS:
        try:
            found[flavor] = find(flavor)
        except ServerMissingError:
            continue
    return found


def _which(name: str) -> Path | None:
    # /usr/sbin is not in the path of ordinary users.
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS])
    found = shutil.which(name, path=search)
    return Path(found) if found else None


@functools.cache
def _loader(root: Path) -> tuple[str, ...]:
    """Give the dynamic loader of a private folder with its library path."""
    loaders = sorted(
        path for lib in ("usr/lib*", "lib*") for path in root.glob(f"{lib}/ld-linux*.so.*")
    )
    loaders += sorted(root.glob("usr/lib/*/ld-linux*.so.*")) + sorted(
        root.glob("lib/*/ld-linux*.so.*")
    )
    if not loaders:
        raise ServerMissingError(f"{root} holds no dynamic loader; remove it and install again")
    libraries = [path for lib in ("usr/lib", "lib") for path in root.glob(f"{lib}/*-linux-gnu*")]
    libraries += [path for path in (root / "usr/lib", root / "lib") if path.is_dir()]
    return str(loaders[0]), "--library-path", os.pathsep.join(map(str, libraries))


def _version(command: list[str]) -> str:
    done = subprocess.run(
        [*command, "--no-defaults", "--version"], capture_output=True, text=True, check=True
    )
    match = re.search(r"Ver (\S+)", done.stdout)
    return match.group(1) if match else done.stdout.strip()


def _missing(flavor: Flavor, program: str) -> str:
    return f"{program} is not installed here; run scripts/install-servers {flavor}"
