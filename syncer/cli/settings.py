"""The effective configuration and the template of a new file, as text."""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import NODEFAULT

from syncer.cli.masking import masked_url
from syncer.config import FileConfig, TableSection
from syncer.config.model import SECTIONS
from syncer.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syncer.config import Config
    from syncer.mysql.endpoint import Endpoint


def describe(kind: type[Section]) -> Iterator[tuple[str, str, Any, str]]:
    """Yield (key, description, default, example) of a section's keys; the default is NODEFAULT where none is."""
    schema = msgspec.json.schema(kind)
    properties = schema["$defs"][kind.__name__]["properties"]
    for field in msgspec.structs.fields(kind):
        facts = properties[field.encode_name]
        default = field.default
        if field.default_factory is not NODEFAULT:
            default = field.default_factory()
        yield field.name, facts.get("description", ""), default, (facts.get("examples") or [""])[0]


def literal(value: Any) -> str:
    """Return *value* as TOML."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(v) for v in value) + "]"
    return json.dumps(masked_url(str(value)), ensure_ascii=False)


def show(config: Config) -> str:
    """Return the effective configuration as TOML; comments say where each value comes from."""
    file = config.file
    name = masked_url(str(config.path)) if config.path else "no file"
    lines = [f"# effective configuration ({name})", ""]
    lines += [_line(k, getattr(file, k), config.origins.get(k)) for k in ("ledger", "pair")]
    if file.pair is None and config.endpoint_a and config.endpoint_b:
        lines[-1] = f"pair = {literal(config.pair_id)}  # default: made from both addresses"
    for section, kind in SECTIONS.items():
        if section in {"a", "b"}:
            endpoint = config.endpoint_a if section == "a" else config.endpoint_b
            lines += ["", f"[{section}]", *_endpoint(endpoint, config, section)]
            continue
        if section == "engine":
            lines += _tables(config)
        lines += ["", f"[{section}]"]
        for field in msgspec.structs.fields(kind):
            value = getattr(getattr(file, section), field.name)
            lines.append(_line(field.name, value, config.origins.get(f"{section}.{field.name}")))
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any, origin: str | None) -> str:
    note = f"from {origin}" if origin else "default"
    return f"# {key}: not set" if value is None else f"{key} = {literal(value)}  # {note}"


def _endpoint(endpoint: Endpoint | None, config: Config, section: str) -> Iterator[str]:
    if endpoint is None:
        yield "# not named"
        return
    origins = {o for k, o in config.origins.items() if k.startswith(f"{section}.")}
    yield f"# from {', '.join(sorted(origins))}"
    where = ("socket",) if endpoint.socket else ("host", "port")
    for key in (*where, "user"):
        yield f"{key} = {literal(getattr(endpoint, key))}"
    yield f"# password: {'set (not shown)' if endpoint.password else 'none'}"
    for key in ("ssl_mode", "ssl_ca", "ssl_cert", "ssl_key"):
        value = getattr(endpoint, key)
        if value is not None:
            yield f"{key} = {literal(value)}"


def _tables(config: Config) -> Iterator[str]:
    for entry in config.tables:
        yield from ("", "[[table]]")
        for field in msgspec.structs.fields(TableSection):
            value = getattr(entry, field.name)
            if value is not None:
                yield f"{field.name} = {literal(value)}"


def show_json(config: Config) -> dict[str, Any]:
    """Return the effective configuration as plain values; passwords are only said to be set."""
    plain: dict[str, Any] = _without_urls(msgspec.to_builtins(config.file))
    for side, endpoint in (("a", config.endpoint_a), ("b", config.endpoint_b)):
        plain[side] = None if endpoint is None else _endpoint_json(endpoint)
    if config.endpoint_a and config.endpoint_b:
        plain["pair"] = config.pair_id
    path = masked_url(str(config.path)) if config.path else None
    return {"path": path, "config": plain, "origins": dict(config.origins)}


def _without_urls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_urls(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_urls(inner) for inner in value]
    return masked_url(value) if isinstance(value, str) else value


def _endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.structs.asdict(endpoint)
    plain["password"] = "***" if endpoint.password else None
    plain["ssl_mode"] = str(endpoint.ssl_mode)
    return plain


_INTRO = """\
# syncer: two primaries kept equal. Every key is described in docs/config.md.
# A flag goes before an environment variable (SYNCER_<SECTION>_<KEY>), that before this file.
# Look at the result with: syncer config show        Then: syncer check, syncer run
"""

_ACTIVE = {
    "a": 'url = "mysql://syncer@db1.example:3306"\npassword_env = "DB1_PASSWORD"',
    "b": 'url = "mysql://syncer@db2.example:3306"\npassword_env = "DB2_PASSWORD"',
    "sync": 'tables = ["shop.*"]',
    "policy": 'rule = "hold"',
}


def template() -> str:
    """Return a commented file: a few keys are set, all others are shown with their default or an example."""
    parts = [_INTRO + "\n" + "\n".join(_commented(FileConfig, skip={*SECTIONS, "table"}))]
    for section, kind in SECTIONS.items():
        if section == "engine":
            entry = "\n".join(_commented(TableSection))
            parts.append(f"# {_first_line(TableSection)}\n# [[table]]\n{entry}")
        active = _ACTIVE.get(section, "")
        taken = set(re.findall(r"^(\w+) =", active, re.MULTILINE))
        title = f"# {_first_line(kind)}\n[{section}]"
        if section == "b":  # its keys are those of [a]
            parts.append(f"[b]\n{active}")
            continue
        commented = "\n".join(_commented(kind, skip=taken))
        parts.append("\n".join(p for p in (title, active, commented) if p))
    return "\n\n".join(parts) + "\n"


def _first_line(kind: type[Section]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _commented(kind: type[Section], skip: set[str] | None = None) -> Iterator[str]:
    for key, description, default, example in describe(kind):
        if key in (skip or set()):
            continue
        shown = default not in {None, NODEFAULT} and default != ()
        value = literal(default) if shown else _example(example)
        yield f"# {key} = {value or '...'}".ljust(38) + f"  # {description}"


def _example(example: str) -> str:
    return example if example.startswith("[") else literal(example) if example else ""
