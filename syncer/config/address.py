"""A side's section becomes an ``Endpoint``; where its password comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import msgspec

from syncer.config.model import EndpointSection
from syncer.core.side import Side
from syncer.errors import ConfigError
from syncer.mysql.endpoint import Endpoint, Secret, from_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_EMPTY = EndpointSection()
_TLS = ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key")


def from_url(
    side: Side, text: str, env: Mapping[str, str], more: Mapping[str, str] | None = None
) -> Endpoint:
    """Read a URL or a DSN, over which *more* is laid. Raises ConfigError, naming the side and no password."""
    try:
        return from_text(text, side=side, environ=env, more=more)
    except ConfigError as error:
        raise ConfigError(f"{side.value}: {error}") from None


def build(
    side: Side,
    section: EndpointSection,
    env: Mapping[str, str],
    *,
    typed: str | None = None,
    log_in: bool = True,
) -> Endpoint | None:
    """
    Return the server of *side*; None where the section is empty.

    The password is the first of: *typed* by a person, ``password_env``, ``password_file``, and what ``from_text`` finds (the URL
    itself, ``SYNCER_PASSWORD_A`` or ``_B``, an option file). Without *log_in* the first two are not looked for.
    """
    if section == _EMPTY:
        return None
    if section.url is not None:
        for part in ("host", "port", "socket", "user"):
            if getattr(section, part) is not None:
                raise ConfigError(f"{side.value}: url and {part} are both given: use one of them")
    tls = {k.replace("_", "-"): v for k in _TLS if (v := getattr(section, k)) is not None}
    endpoint = from_url(side, section.url or _as_url(side, section), env, tls)
    if not log_in:
        return endpoint
    password = typed if typed is not None else _password(side, section, env)
    if password is not None:
        named = typed is None and section.password_env is None
        endpoint = msgspec.structs.replace(
            endpoint,
            password=Secret(password),
            password_path=section.password_file if named else None,
        )
    return endpoint


def _as_url(side: Side, section: EndpointSection) -> str:
    if section.host is None and section.socket is None:
        raise ConfigError(f"{side.value}: none of url, host and socket is given")
    host = section.host or ""
    host = f"[{host}]" if ":" in host else quote(host, safe="")
    user = f"{quote(section.user, safe='')}@" if section.user else ""
    port = f":{section.port}" if section.port is not None else ""
    options = {"socket": section.socket} if section.socket is not None else {}
    return f"mysql://{user}{host}{port}/?{urlencode(options)}"


def _password(side: Side, section: EndpointSection, env: Mapping[str, str]) -> str | None:
    if section.password_env is not None:
        if section.password_env not in env:
            raise ConfigError(
                f"{side.value}.password_env: the variable {section.password_env} is not set"
            )
        return env[section.password_env]
    if section.password_file is not None:
        path = Path(section.password_file).expanduser()
        try:
            return path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise ConfigError(f"{side.value}.password_file: {path}: {reason}") from None
    return None
