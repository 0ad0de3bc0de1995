"""
Database servers for the tests that ask for them.

Four servers at most serve the whole run: two of each flavour, started when a
test first needs them and shared by the three pairs. Tests are kept apart by
databases of their own (`database`); a test that wants special options or is
going to hurt a server takes one for itself (`fresh_server`).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
from typing import TYPE_CHECKING, Any, get_args

import hypothesis
import pymysql
import pytest

from testbed.binaries import FLAVORS, Flavor, ServerMissingError
from testbed.provision import PAIRS, Pair, PairName, describe, new_server
from tests.figures import lines, totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from testbed.endpoint import Endpoint

if "CI" not in os.environ:
    # Hypothesis has a profile of its own for CI. A machine that is busy with other work is no finding elsewhere either.
    hypothesis.settings.register_profile(
        "searching",
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("searching")

_SERVER_FIXTURES = {"pairs", "fresh_server"}
_USED = pytest.StashKey[dict[str, str]]()


class Pairs:
    """The shared servers, by pair name; what was not asked for is never started."""

    def __init__(self, used: dict[str, str]) -> None:
        self._servers: dict[tuple[Flavor, str], Endpoint] = {}
        self._used = used

    def __getitem__(self, name: PairName) -> Pair:
        """Give a pair whose servers run, whatever a test before did to them."""
        flavor_a, flavor_b = PAIRS[name]
        pair = Pair(name, self._server(flavor_a, "a"), self._server(flavor_b, "b"))
        pair.start()
        for server in pair.sides:
            self._used[server.name] = server.version
        return pair

    def close(self) -> None:
        for server in self._servers.values():
            server.close()

    def _server(self, flavor: Flavor, side: str) -> Endpoint:
        key = flavor, side
        if key not in self._servers:
            # Side A has the odd ids, side B the even ones: generated keys never meet.
            server_id = {"mariadb": 11, "mysql": 21}[flavor] + (side == "b")
            self._servers[key] = _make(flavor, f"{flavor}-{side}", server_id)
        return self._servers[key]


def _make(
    flavor: Flavor, name: str, server_id: int, options: Mapping[str, str | None] | None = None
) -> Endpoint:
    try:
        return new_server(flavor, name, server_id, options=options)
    except ServerMissingError as error:
        pytest.skip(f"NO {flavor.upper()} SERVER: {error}")


@pytest.fixture(scope="session")
def pairs(pytestconfig: pytest.Config) -> Iterator[Pairs]:
    """Give pairs by name: `pairs["mixed"]`."""
    shared = Pairs(pytestconfig.stash[_USED])
    yield shared
    shared.close()


@pytest.fixture(params=get_args(PairName))
def pair(request: pytest.FixtureRequest, pairs: Pairs) -> Pair:
    """
    Run the test once per pair.

    One pair alone: `@pytest.mark.parametrize("pair", ["mixed"], indirect=True)`.
    """
    return pairs[request.param]


@pytest.fixture
def mariadb_pair(pairs: Pairs) -> Pair:
    """Give MariaDB on both sides."""
    return pairs["mariadb"]


@pytest.fixture
def mysql_pair(pairs: Pairs) -> Pair:
    """Give MySQL on both sides."""
    return pairs["mysql"]


@pytest.fixture
def mixed_pair(pairs: Pairs) -> Pair:
    """Give MySQL as side A and MariaDB as side B."""
    return pairs["mixed"]


@pytest.fixture
def make_database(request: pytest.FixtureRequest) -> Iterator[Callable[[Pair], str]]:
    """
    Give `make_database(pair) -> name`: a new database on both sides of a pair.

    It is dropped after the test, with the sessions that still use it.
    """
    made: list[tuple[Pair, str]] = []

    def make(pair: Pair) -> str:
        slug = re.sub(r"\W+", "_", request.node.originalname).removeprefix("test_")[:40]
        name = f"t_{slug}_{secrets.token_hex(3)}"
        made.append((pair, name))
        pair.script(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return name

    yield make
    for pair, name in made:
        for server in pair.sides:
            server.start()  # the test may have ended it
            _drop_database(server, name)


def _drop_database(server: Endpoint, name: str) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        # A forgotten transaction would hold the drop up for ever.
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [name])
        for (session,) in cursor.fetchall():
            with contextlib.suppress(pymysql.err.MySQLError):  # it may have ended by itself
                cursor.execute(f"KILL {session}")
        cursor.execute("SET SESSION lock_wait_timeout = 20")
        cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")


@pytest.fixture
def database(pair: Pair, make_database: Callable[[Pair], str]) -> str:
    """Give the name of a fresh database on both sides of `pair`."""
    return make_database(pair)


@pytest.fixture
def fresh_server(pytestconfig: pytest.Config) -> Iterator[Callable[..., Endpoint]]:
    """
    Give `fresh_server(flavor, *, options=None, server_id=None, start=True) -> Endpoint`.

    The server belongs to the test and ends with it. Ids count up from 101, so
    that two servers in a row generate different keys.
    """
    made: list[Endpoint] = []
    ids = itertools.count(101)

    def make(
        flavor: Flavor,
        *,
        options: Mapping[str, str | None] | None = None,
        server_id: int | None = None,
        start: bool = True,
    ) -> Endpoint:
        number = server_id or next(ids)
        server = _make(flavor, f"{flavor}-{number}", number, options)
        made.append(server)
        if start:
            server.start()
            pytestconfig.stash[_USED].setdefault(f"{flavor} (fresh)", server.version)
        return server

    yield make
    for server in made:
        server.close()


def _servers() -> tuple[dict[Flavor, str], dict[Flavor, str]]:
    """Give what can be run here, and why the rest cannot."""
    found: dict[Flavor, str] = {}
    missing: dict[Flavor, str] = {}
    for flavor in FLAVORS:
        try:
            found[flavor] = describe(flavor)
        except ServerMissingError as error:
            missing[flavor] = str(error)
    return found, missing


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_USED] = {}


def pytest_sessionstart() -> None:
    _, missing = _servers()
    if missing and os.environ.get("SYNCER_REQUIRE_ALL_SERVERS") == "1":
        raise pytest.UsageError(
            "SYNCER_REQUIRE_ALL_SERVERS=1, but: " + "; ".join(sorted(missing.values()))
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.integration)


def pytest_report_header() -> list[str]:
    found, missing = _servers()
    return [
        *(f"servers: {flavor} {what}" for flavor, what in found.items()),
        *(f"servers: NO {flavor.upper()}: {why}" for flavor, why in missing.items()),
    ]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of several hands over what it used and counted."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["servers"] = session.config.stash[_USED]
        output["figures"] = dict(totals)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    output = getattr(node, "workeroutput", {})
    node.config.stash[_USED].update(output.get("servers", {}))
    totals.update(output.get("figures", {}))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    failed = any(terminalreporter.stats.get(outcome) for outcome in ("failed", "error"))
    if told := lines(totals, failed=failed):
        form = "full" if os.environ.get("SYNCER_FAULT") == "full" else "short"
        terminalreporter.section(f"figures (faults in their {form} form)")
        for line in told:
            terminalreporter.line(line)
    _, missing = _servers()
    used = config.stash[_USED]
    if used or missing:
        terminalreporter.section("database servers of this run")
    for name, version in sorted(used.items()):
        terminalreporter.line(f"{name}: {version}")
    for flavor, why in missing.items():
        terminalreporter.line(f"{flavor.upper()} WAS NOT TESTED: {why}", red=True, bold=True)
