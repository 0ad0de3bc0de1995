"""The table "Layers" of ARCHITECTURE.md, enforced on every import of every module: conditional and lazy ones too."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "syncer"

EVERYTHING = frozenset(
    {
        "core",
        "errors",
        "clock",
        "config",
        "binlog",
        "mysql",
        "ledger",
        "telemetry",
        "service",
        "cli",
    }
)
LAYERS: dict[str, frozenset[str]] = {
    "core": frozenset({"core"}),
    "errors": frozenset(),
    "clock": frozenset(),
    "binlog": frozenset({"core", "errors", "clock"}),
    "mysql": frozenset({"core", "errors", "clock"}),
    "ledger": frozenset({"core", "errors", "clock"}),
    "telemetry": frozenset({"core", "errors"}),
    "config": frozenset({"core", "errors", "mysql.endpoint"}),
    "service": EVERYTHING - {"cli"},
    "cli": EVERYTHING,
    "__init__": frozenset(),
    "__main__": frozenset({"cli"}),
}
"""Component -> what of ours it may import; a component may always import itself."""

THIRD_PARTY: dict[str, frozenset[str]] = {
    "pymysqlreplication": frozenset({"binlog"}),
    "pymysql": frozenset({"binlog", "mysql"}),
    "sqlite3": frozenset({"ledger"}),
    "click": frozenset({"cli"}),
    "rich": frozenset({"cli"}),
    "textual": frozenset({"cli"}),  # optional: syncer conflicts review
    "structlog": frozenset({"binlog", "mysql", "ledger", "telemetry", "service", "cli"}),
    "msgspec": EVERYTHING,
    "zstandard": frozenset({"binlog"}),  # optional: MySQL's compressed transactions
}
"""Library -> who may import it. A library that is not here may be imported by nobody."""

PURE = frozenset(
    [
        "__future__",
        "abc",
        "base64",
        "bisect",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
        "struct",
        "textwrap",
        "types",
        "typing",
        "unicodedata",
        "zlib",
    ]
)
"""What core may use of the standard library: no sockets, clocks, threads, files, logs, chance."""


DYNAMIC = ("import_module", "__import__")


def imported(tree: ast.AST, module: str) -> list[str]:
    """Return every dotted name that a module imports, relative imports resolved; ``from x import y`` gives x.y."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")[: -node.level]
                base = ".".join([*parent, *filter(None, [base])])
            found += [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(DYNAMIC):
            named = [a.value for a in node.args if isinstance(a, ast.Constant)]
            found.append(str(named[0]) if named else f"dynamic.{ast.unparse(node)}")
    return found


def violations(package: Path) -> list[str]:
    """Return one line per import under *package* that the tables forbid."""
    found = []
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        parts = [*relative.with_suffix("").parts]
        component = parts[0]
        if component not in LAYERS:
            found.append(f"{relative}: {component} is in no layer")
            continue
        # A package's __init__ keeps that last part, so that one level of a relative import is the package itself.
        for name in imported(ast.parse(path.read_text("utf-8")), ".".join(["syncer", *parts])):
            reason = judge(component, name)
            if reason:
                found.append(f"{relative}: {reason}")
    return found


def judge(component: str, name: str) -> str | None:
    head, _, rest = name.partition(".")
    if head == "dynamic":
        return f"{rest}: dynamic imports hide from this test"
    if head == "syncer":
        target = rest.split(".")[0]
        if target in {"", "*"} or target == component:
            return None
        allowed = any(f"{rest}.".startswith(f"{permit}.") for permit in LAYERS[component])
        return None if allowed else f"{component} may not import syncer.{rest}"
    if head in THIRD_PARTY:
        return None if component in THIRD_PARTY[head] else f"{component} may not import {head}"
    if head not in sys.stdlib_module_names:
        return f"{head} is no library of ours: see THIRD_PARTY"
    if component == "core" and head not in PURE:
        return f"core is pure and may not import {head}"
    return None


def test_every_import_keeps_to_the_layers():
    assert violations(PACKAGE) == []


def test_every_module_is_looked_at():
    """Guards the walk itself: a folder that is left out would pass silently."""
    seen = {
        path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")
    }
    assert {"core", "errors", "clock", "config", "telemetry", "cli", "__main__"} <= seen
    assert seen <= set(LAYERS)


def test_the_table_of_the_architecture_is_the_one_enforced():
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8").partition("## Layers")[2]
    rows = re.findall(r"^\| `(\w+)/` \|.*\| (.+?) \|$", text, re.MULTILINE)
    assert len(rows) >= 7
    for folder, cell in rows:
        if cell == "all":
            stated = set(EVERYTHING)
        elif cell.startswith("all but "):
            stated = set(EVERYTHING) - set(re.findall(r"`([\w.]+)`", cell))
        else:
            stated = set(re.findall(r"`([\w./]+)`", cell))
        stated = {name.replace("/", ".").removesuffix(".py") for name in stated}
        assert stated - {folder} == LAYERS[folder] - {folder}, folder


BROKEN = {
    "core/a.py": ("import socket", "core is pure"),
    "core/b.py": ("import time", "core is pure"),
    "core/c.py": ("from syncer.errors import SyncerError", "core may not import syncer.errors"),
    "core/d.py": ("def f():\n    import structlog", "core may not import structlog"),
    "binlog/a.py": (
        "from syncer.mysql.reader import x",
        "binlog may not import syncer.mysql.reader",
    ),
    "binlog/b.py": ("from ..ledger import Ledger", "binlog may not import syncer.ledger.Ledger"),
    "ledger/a.py": ("import pymysql.cursors", "ledger may not import pymysql"),
    "ledger/b.py": ("from syncer import mysql", "ledger may not import syncer.mysql"),
    "mysql/a.py": ("import pymysqlreplication", "mysql may not import pymysqlreplication"),
    "mysql/b.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from syncer.config import Config",
        "mysql may not import syncer.config",
    ),
    "mysql/__init__.py": ("from ..service import app", "mysql may not import syncer.service.app"),
    "config/a.py": ("from syncer.mysql.connection import Session", "config may not import"),
    "config/b.py": ("from syncer.mysql.endpoints import x", "config may not import"),
    "service/a.py": ("import syncer.cli.main", "service may not import syncer.cli.main"),
    "service/b.py": ("import click", "service may not import click"),
    "telemetry/a.py": ("import requests", "requests is no library of ours"),
    "cli/a.py": ("import importlib\nimportlib.import_module(name)", "dynamic imports"),
    "cli/b.py": (
        "import importlib\nimportlib.import_module('pymysql')",
        "cli may not import pymysql",
    ),
    "utils.py": ("", "utils is in no layer"),
}


@pytest.mark.parametrize("path", BROKEN)
def test_a_broken_rule_is_found(path, tmp_path):
    code, reason = BROKEN[path]
    module = tmp_path / path
    module.parent.mkdir(exist_ok=True)
    module.write_text(code)
    found = violations(tmp_path)
    assert len(found) == 1
    assert reason in found[0]


def test_what_is_allowed_is_not_found(tmp_path):
    """The counterpart of the broken ones: the test does not simply say no."""
    for path, code in {
        "core/a.py": "import hashlib\nimport msgspec\nfrom syncer.core.side import Side\nfrom . import side",
        "binlog/a.py": "import pymysqlreplication, pymysql, socket\nfrom syncer.errors import StreamError",
        "config/a.py": "from syncer.mysql.endpoint import Endpoint\nfrom syncer.mysql import endpoint",
        "cli/a.py": "import click, rich\nfrom syncer.service.app import run",
    }.items():
        module = tmp_path / path
        module.parent.mkdir(exist_ok=True)
        module.write_text(code)
    assert violations(tmp_path) == []
