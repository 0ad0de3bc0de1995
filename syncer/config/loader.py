"""
Reading the configuration: file, environment and flags become one checked ``Config``.

Precedence per key: flag > ``SYNCER_*`` > file > default. The address of a side counts as one: a URL given further up
replaces the whole section, so that a password is never sent to a server it was not meant for.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from syncer.config import address
from syncer.config.effective import SYSTEM_DATABASES, Config
from syncer.config.model import SECTIONS, FileConfig, TableSection
from syncer.config.section import Section
from syncer.core.naming import SideNames, parse_map
from syncer.core.rules import parse_chain
from syncer.core.schema import TableName
from syncer.core.side import SIDES, Side
from syncer.errors import ConfigError
from syncer.mysql.endpoint import holds_password

if TYPE_CHECKING:
    from syncer.mysql.endpoint import Endpoint

DEFAULT_FILE = Path("syncer.toml")
"""Read without being asked for, where it exists and no URL is given."""

_TOP = ("ledger", "pair")
_PASSWORDS = ("password_file", "password_env")


def load(
    path: Path | str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    passwords: Mapping[str, str] | None = None,
    need_pair: bool = True,
    log_in: bool = True,
) -> Config:
    """
    Build the effective configuration.

    Args:
        path: the file; None: ``SYNCER_CONFIG``, or ``./syncer.toml`` if it is there and no URL is in *overrides*.
        overrides: what the flags say, in the shape of the file; values of None are not said.
        environ: the environment; None: that of the process.
        passwords: ``a`` and ``b`` -> a password that a person typed; it goes before all others.
        log_in: passwords are wanted; a variable or file of one that is missing is an error.
        need_pair: refuse a configuration that names no two servers or selects no table.

    Raises:
        ConfigError: in one line, naming the key or the file.
    """
    env = os.environ if environ is None else environ
    flags = _without_none(overrides or {})
    found = _find(path, env, flags)
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if found is not None:
        _merge(tree, origins, _read(found), str(found))
    for name, dotted, value in _environment(env):
        _merge(tree, origins, _nested(dotted, value), name)
    _merge(tree, origins, flags, "the command line")
    file = _convert(tree, origins)
    typed = passwords or {}
    endpoints = {
        side: address.build(
            side, getattr(file, side.value), env, typed=typed.get(side.value), log_in=log_in
        )
        for side in SIDES
    }
    exposed = _exposed(file, endpoints, origins, found) if log_in else ()
    file = _qualify(file, *_named_in(endpoints, parse_map(file.sync.map).b))
    _check_rules(file, origins)
    config = Config(
        file=_without_passwords(file),
        endpoint_a=endpoints[Side.A],
        endpoint_b=endpoints[Side.B],
        origins=origins,
        path=found,
        exposed=exposed,
    )
    for theirs in {*config.names.b.own_databases, *(n.database for n in config.names.b.own_tables)}:
        if theirs.lower() in SYSTEM_DATABASES:
            raise ConfigError(f"map: {theirs} is a system database: nothing is kept equal with it")
    holes = config.check_policies()
    if holes:
        raise ConfigError("; ".join(holes))
    if need_pair:
        config.require_pair()
    return config


def _find(path: Path | str | None, env: Mapping[str, str], flags: Mapping[str, Any]) -> Path | None:
    if path is not None:
        return Path(path)
    if env.get("SYNCER_CONFIG"):
        return Path(env["SYNCER_CONFIG"])
    if "a" not in flags and DEFAULT_FILE.is_file():
        return DEFAULT_FILE
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file (syncer config init writes one)") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _environment(env: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    """Return (variable, dotted key, value) of every ``SYNCER_*`` that names a key; URLs first."""
    found: list[tuple[str, str, Any]] = []
    for variable in sorted(env, key=lambda v: (not v.endswith("_URL"), v)):
        if not variable.startswith("SYNCER_") or not env[variable]:
            continue
        section, _, key = variable.removeprefix("SYNCER_").lower().partition("_")
        if section in _TOP and not key:
            found.append((variable, section, env[variable]))
        elif section in SECTIONS and key:
            kind = {f.name: f.type for f in msgspec.structs.fields(SECTIONS[section])}.get(key)
            if kind is None:
                raise ConfigError(
                    f"{variable}: there is no key {section}.{key}{_hint(key, SECTIONS[section])}"
                )
            found.append((variable, f"{section}.{key}", _from_text(variable, env[variable], kind)))
    return found


def _from_text(variable: str, text: str, kind: Any) -> Any:
    raw: Any = [p.strip() for p in text.split(",") if p.strip()] if _is_list(kind) else text
    try:
        return msgspec.to_builtins(msgspec.convert(raw, kind, strict=False))
    except msgspec.ValidationError as error:
        raise ConfigError(f"{variable}: {_lower(str(error))}") from None


def _is_list(kind: Any) -> bool:
    """Whether a field's type is a list of texts."""
    return "tuple" in str(kind)


def _nested(dotted: str, value: Any) -> dict[str, Any]:
    head, _, tail = dotted.partition(".")
    return {head: _nested(tail, value) if tail else value}


def _merge(
    tree: dict[str, Any], origins: dict[str, str], layer: Mapping[str, Any], origin: str
) -> None:
    """Lay *layer* over *tree*, one section deep; a URL replaces its whole section."""
    for key, value in layer.items():
        if not isinstance(value, dict) or not isinstance(tree.get(key, {}), dict):
            tree[key] = value
            origins[key] = origin
            continue
        section = tree.setdefault(key, {})
        if key in {"a", "b"} and "url" in value:
            section.clear()
            for known in [k for k in origins if k.startswith(f"{key}.")]:
                del origins[known]
        for name, item in value.items():
            section[name] = item
            origins[f"{key}.{name}"] = origin


def _without_none(layer: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in layer.items():
        if isinstance(value, Mapping):
            inner = _without_none(value)
            if inner:
                kept[key] = inner
        elif value is not None:
            kept[key] = value
    return kept


_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<where>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")


def _convert(tree: dict[str, Any], origins: Mapping[str, str]) -> FileConfig:
    try:
        return msgspec.convert(tree, FileConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), origins)) from None


def _explain(message: str, origins: Mapping[str, str]) -> str:
    """Say msgspec's finding in our words: the source, the key, what is wrong."""
    match = _AT.match(message)
    assert match is not None
    what, where = match["what"], (match["where"] or "").lstrip(".")
    unknown = _UNKNOWN.fullmatch(what)
    if unknown:
        kind: type[Section] = FileConfig
        if where:
            kind = TableSection if where.startswith("table") else SECTIONS[where.partition(".")[0]]
        field = unknown["field"]
        where = f"{where}.{field}" if where else field
        what = f"unknown key{_hint(field, kind)}"
    section = where.partition(".")[0].partition("[")[0]
    if what.startswith("Invalid enum value"):
        what += _choices(TableSection if section == "table" else SECTIONS[section], where)
    source = (
        origins.get(where)
        or origins.get(section)
        or next((o for k, o in origins.items() if k.startswith(f"{section}.")), "")
    )
    return ": ".join(part for part in (source, where, _lower(what)) if part)


def _hint(name: str, kind: type[Section]) -> str:
    known = [f.name for f in msgspec.structs.fields(kind)]
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(known)})"


def _choices(kind: type[Section], where: str) -> str:
    """Return what the key at *where* may be."""
    field = where.rpartition(".")[2].partition("[")[0]
    kinds = {f.name: f.type for f in msgspec.structs.fields(kind)}
    parts = _parts(kinds[field])
    known: list[object] = [
        v for p in parts for v in (p if isinstance(p, type) and issubclass(p, Enum) else ())
    ]
    known += [p for p in parts if isinstance(p, str)]
    return f": use {', '.join(str(v) for v in known)}" if known else ""


def _parts(kind: Any) -> list[Any]:
    return [part for one in get_args(kind) for part in (one, *_parts(one))]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _named_in(
    endpoints: Mapping[Side, Endpoint | None], names: SideNames
) -> tuple[str | None, str | None]:
    """Return the database and the table that the URLs or DSNs name, as the pair calls them. Raises ConfigError if they disagree."""
    a, b = (endpoints[side] for side in SIDES)
    base_a, base_b = (end.database if end else None for end in (a, b))
    table_a, table_b = (end.table if end else None for end in (a, b))
    if base_b and table_b:
        ours = names.here(TableName(base_b, table_b))
        known_b = (ours.database, ours.name) if ours else (base_b, table_b)
    else:
        known_b = (names.own_databases.get(base_b or "", base_b or ""), table_b or "")
    found: list[str | None] = []
    for part, said_a, said_b, known in zip(
        ("database", "table"), (base_a, table_a), (base_b, table_b), known_b, strict=True
    ):
        if said_a and said_b and said_a != known:
            whole = part == "table" and base_a and base_b
            pair = f"{base_a}.{said_a}={base_b}.{said_b}" if whole else f"{said_a}={said_b}"
            raise ConfigError(
                f"a names {part} {said_a} and b names {said_b}: if they belong together, say so with --map {pair}"
            )
        found.append(said_a or known or None)
    return found[0], found[1]


def _qualify(file: FileConfig, database: str | None, table: str | None) -> FileConfig:
    """Give every table pattern its database; what the URLs name is selected if nothing else is."""

    def full(pattern: str) -> str:
        return pattern if "." in pattern or pattern == "*" else f"{database or '*'}.{pattern}"

    sync = file.sync
    databases, tables = sync.databases, sync.tables
    if not databases and not tables:
        tables = (table,) if table is not None else ()
        databases = (database,) if database is not None and not tables else ()
    sync = msgspec.structs.replace(
        sync,
        databases=databases,
        tables=tuple(map(full, tables)),
        ignore_tables=tuple(map(full, sync.ignore_tables)),
    )
    entries = tuple(msgspec.structs.replace(e, match=full(e.match)) for e in file.table)
    return msgspec.structs.replace(file, sync=sync, table=entries)


def _exposed(
    file: FileConfig,
    endpoints: Mapping[Side, Endpoint | None],
    origins: Mapping[str, str],
    found: Path | None,
) -> tuple[str, ...]:
    """Return the files with a secret in use that every user of the machine can read; a group may be meant to."""
    secret: dict[str, None] = {}
    for side, endpoint in endpoints.items():
        if endpoint is None:
            continue
        url = getattr(file, side.value).url
        if url and origins.get(f"{side.value}.url") == str(found) and holds_password(url):
            secret[str(found)] = None
        secret |= dict.fromkeys(p for p in (endpoint.password_path, endpoint.ssl_key) if p)
    return tuple(name for name in secret if _open_to_all(Path(name).expanduser()))


def _open_to_all(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # whoever needs the file will say what is wrong with it
    return stat.S_ISREG(mode) and bool(mode & stat.S_IROTH)


def _without_passwords(file: FileConfig) -> FileConfig:
    """Take the URLs out: from here on only the endpoints know passwords."""
    sides = {s.value: msgspec.structs.replace(getattr(file, s.value), url=None) for s in SIDES}
    return msgspec.structs.replace(file, **sides)


def _check_rules(file: FileConfig, origins: Mapping[str, str]) -> None:
    rules = [("policy.rule", file.policy.rule)]
    rules += [(f"table {e.match}: rule", e.rule) for e in file.table if e.rule is not None]
    for key, text in rules:
        try:
            parse_chain(text)
        except ValueError as error:
            raise ConfigError(
                ": ".join(filter(None, [origins.get(key), key, str(error)]))
            ) from None
