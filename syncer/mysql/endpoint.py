"""Where a primary is and how to log in: URLs, the pt tools' DSNs, option files. No connections in here."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from syncer.core.side import Side
from syncer.errors import ConfigError

DEFAULT_PORT = 3306
SCHEMES = frozenset({"mysql", "mariadb"})
EXAMPLE = "mysql://user@host:3306/database"


class Secret:
    """A password that no log, traceback or repr shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        """Hide *value*; empty means that there is no password."""
        self._value = value

    def reveal(self) -> str:
        """Return the password itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


class SslMode(enum.StrEnum):
    """The modes of the servers' own clients."""

    DISABLED = "disabled"
    PREFERRED = "preferred"
    REQUIRED = "required"
    VERIFY_CA = "verify-ca"
    VERIFY_IDENTITY = "verify-identity"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """
    One primary.

    Attributes:
        socket: path of a Unix socket; wins over host and port.
        database: the database named in the text; None where none was.
        table: the table that a DSN named (``t=``); None where none was.
        password_path: the file that the password was read from; None where it came from elsewhere.
    """

    host: str = "localhost"
    port: int = DEFAULT_PORT
    user: str = ""
    password: Secret = Secret()
    socket: str | None = None
    database: str | None = None
    ssl_mode: SslMode = SslMode.PREFERRED
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    table: str | None = None
    password_path: str | None = None

    @property
    def address(self) -> str:
        """``host:port`` or the socket's path: safe to print."""
        if self.socket:
            return self.socket
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def from_text(
    text: str,
    *,
    side: Side | None = None,
    environ: Mapping[str, str] | None = None,
    home: Path | None = None,
    more: Mapping[str, str] | None = None,
) -> Endpoint:
    """
    Read an endpoint from a URL or a DSN and fill in what it leaves out.

    Precedence: the text, ``password-env``/``password-file`` in it, ``SYNCER_PASSWORD_A``/``_B`` by *side*, then the option
    file (``F=``, ``defaults-file=`` or ``~/.my.cnf``): its group ``client_syncer`` before ``client``.

    Args:
        environ: the environment; the process's own by default.
        home: the home directory; the user's own by default.
        more: fields by option name (``ssl-ca``) that go before those in the text.

    Raises:
        ConfigError: one line that never holds the password.
    """
    environ = os.environ if environ is None else environ
    fields = _url_fields(text) if "://" in text else _dsn_fields(text)
    fields.update(more or {})
    path: str | None = None
    if "password" not in fields:
        password = _password_elsewhere(fields, side, environ)
        if password is not None:
            fields["password"] = password
            if "password-env" not in fields:
                path = fields.get("password-file")
    told = "password" in fields
    file = _fill_from_file(fields, home)
    if not told and "password" in fields:
        path = str(file)
    fields.pop("password-env", None)
    fields.pop("password-file", None)
    fields.pop("defaults-file", None)
    return msgspec.structs.replace(_build(fields), password_path=path)


def holds_password(text: str) -> bool:
    """Say whether a URL or a DSN has a password in it. Raises ConfigError."""
    return bool((_url_fields(text) if "://" in text else _dsn_fields(text)).get("password"))


def parse_url(url: str) -> Endpoint:
    """Read ``mysql://user:password@host:port/database?option=...`` alone; see ``from_text`` for what may be left out."""
    return _build({k: v for k, v in _url_fields(url).items() if k in _FIELDS})


def parse_dsn(dsn: str) -> Endpoint:
    r"""Read ``h=host,P=port,u=user,p=password,D=database,t=table,S=socket`` alone; ``\,`` is a comma in a value."""
    return _build({k: v for k, v in _dsn_fields(dsn).items() if k in _FIELDS})


_FIELDS = frozenset(
    [
        "host",
        "port",
        "user",
        "password",
        "socket",
        "database",
        "table",
        "ssl-mode",
        "ssl-ca",
        "ssl-cert",
        "ssl-key",
    ]
)
_URL_OPTIONS = frozenset(
    [
        "ssl-mode",
        "ssl-ca",
        "ssl-cert",
        "ssl-key",
        "socket",
        "password-env",
        "password-file",
        "defaults-file",
        "compress",
    ]
)
_DSN_KEYS = {
    "h": "host",
    "P": "port",
    "u": "user",
    "p": "password",
    "D": "database",
    "t": "table",
    "S": "socket",
    "F": "defaults-file",
    "s": "ssl",
    "A": "charset",
}


_UNREADABLE = (
    f"the URL cannot be read: write {EXAMPLE}, and percent-encode @ : / ? # in user and password"
)


def _url_fields(url: str) -> dict[str, str]:
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname
    except ValueError:
        raise ConfigError(_UNREADABLE) from None
    if parts.scheme not in SCHEMES:
        raise ConfigError(f"unknown scheme {parts.scheme!r} in a URL: write {EXAMPLE}")
    if parts.fragment or "#" in url:
        raise ConfigError("a URL holds a bare '#': write %23")
    fields: dict[str, str] = {}
    if host:
        fields["host"] = unquote(host)
    if port is not None:
        fields["port"] = str(port)
    if parts.username:
        fields["user"] = unquote(parts.username)
    if parts.password is not None:
        fields["password"] = unquote(parts.password)
    database = unquote(parts.path.strip("/"))
    if database:
        fields["database"] = database
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        option = name.replace("_", "-").lower()
        if option not in _URL_OPTIONS:
            if "@" in parts.query:  # it may be the rest of a password
                raise ConfigError(_UNREADABLE)
            raise ConfigError(
                f"unknown option {name!r} in the URL of {fields.get('host', 'a side')}: "
                f"use {', '.join(sorted(_URL_OPTIONS))}"
            )
        fields[option] = value
    fields.pop("compress", None)  # PyMySQL has no compression; asking for it is harmless
    return fields


def _dsn_fields(dsn: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in dsn.replace("\\,", "\0").split(","):
        key, equals, value = part.replace("\0", ",").partition("=")
        if not equals or key not in _DSN_KEYS:
            # Not even the key is echoed: a password with a comma would end up here.
            raise ConfigError(
                f"this is no URL and no DSN: write {EXAMPLE} or h=host,P=port,u=user,D=database "
                "(a comma in a value is written \\,)"
            )
        fields[_DSN_KEYS[key]] = value
    fields.pop("charset", None)
    if fields.pop("ssl", "0") not in {"", "0"}:
        fields["ssl-mode"] = SslMode.REQUIRED
    return fields


def _password_elsewhere(
    fields: Mapping[str, str], side: Side | None, environ: Mapping[str, str]
) -> str | None:
    name = fields.get("password-env")
    if name:
        if name not in environ:
            raise ConfigError(f"password-env names {name}, which is not in the environment")
        return environ[name]
    path = fields.get("password-file")
    if path:
        try:
            return Path(path).expanduser().read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"password-file {path} cannot be read: {_reason(error)}") from error
    return None if side is None else environ.get(f"SYNCER_PASSWORD_{side.name}")


def _fill_from_file(fields: dict[str, str], home: Path | None) -> Path:
    """Add what the option file says and *fields* does not; return the file's path."""
    named = fields.get("defaults-file")
    path = Path(named).expanduser() if named else (home or _home()) / ".my.cnf"
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        if named:
            raise ConfigError(f"option file {path} cannot be read: {_reason(error)}") from error
        return path
    groups = _option_groups(text)
    options = {**groups.get("client", {}), **groups.get("client_syncer", {})}
    if "host" in fields:
        options.pop("socket", None)  # the text says where; a local socket is elsewhere
        options.pop("port", None)
    if "socket" in fields:
        options.pop("host", None)
    if "ssl-mode" not in options and (mode := _mode_of_flags(options)) is not None:
        options["ssl-mode"] = mode
    for name, value in options.items():
        if name in _FIELDS and name not in {"database", "table"}:
            fields.setdefault(name, value)
    return path


_OFF = frozenset({"0", "off", "false", "no"})


def _mode_of_flags(options: Mapping[str, str]) -> SslMode | None:
    """Give the mode that MariaDB's clients mean by ``ssl`` and ``ssl-verify-server-cert``; None where neither is there."""

    def on(name: str) -> bool | None:
        return options[name].lower() not in _OFF if name in options else None

    if on("ssl-verify-server-cert"):
        return SslMode.VERIFY_IDENTITY
    if on("skip-ssl") or on("ssl") is False:
        return SslMode.DISABLED
    if on("ssl"):
        return SslMode.VERIFY_CA if options.get("ssl-ca") else SslMode.REQUIRED
    return None


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def _option_groups(text: str) -> dict[str, dict[str, str]]:
    """Read an option file: groups of ``name = value``, where a flag has no value; includes are passed over."""
    groups: dict[str, dict[str, str]] = {}
    group: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("["):
            group = groups.setdefault(line.strip("[]").strip(), {})
        elif line and line[0] not in "#;!":
            name, _, value = line.partition("=")
            group[_option_value(name).replace("_", "-").lower()] = _option_value(value.strip())
    return groups


def _option_value(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()


def _build(fields: Mapping[str, str]) -> Endpoint:
    given: dict[str, Any] = {
        name.replace("-", "_"): value for name, value in fields.items() if value
    }
    where = given.get("host") or given.get("socket") or "the endpoint"
    if "port" in given:
        given["port"] = _port(given["port"], where)
    if "password" in given:
        given["password"] = Secret(given["password"])
    if "ssl_mode" in given:
        mode = str(given["ssl_mode"]).lower().replace("_", "-")
        try:
            given["ssl_mode"] = SslMode(mode)
        except ValueError:
            raise ConfigError(
                f"unknown ssl-mode {mode!r} for {where}: use {', '.join(SslMode)}"
            ) from None
    elif "ssl_ca" in given:
        # Who names a CA means it to be looked at; the default mode would not.
        given["ssl_mode"] = SslMode.VERIFY_CA
    if ("ssl_key" in given) != ("ssl_cert" in given):
        raise ConfigError(f"ssl-cert and ssl-key go together: one of them is missing for {where}")
    if not given.get("user"):
        raise ConfigError(f"no user for {where}: write {EXAMPLE}, or name one in ~/.my.cnf")
    return Endpoint(**given)


def _port(text: str, where: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"the port for {where} is not a number from 1 to 65535")
    return int(text)


def _reason(error: Exception) -> str:
    return error.strerror or "unknown error" if isinstance(error, OSError) else "not UTF-8 text"
