"""
TLS by mode, on private servers with certificates of our own, for sessions and for streams alike.

The servers say whether a connection is encrypted, never the driver.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

import pytest

from syncer.binlog.adapter import Stream
from syncer.core.position import StreamPosition
from syncer.core.side import Side
from syncer.errors import StatementRefused, SyncerError, TransientDatabaseError
from syncer.mysql.connection import Session
from syncer.mysql.endpoint import from_text
from syncer.service.streams import stream_endpoint
from testbed import provision
from testbed.binaries import ServerMissingError
from testbed.provision import Pair
from tests.integration.certificates import Authority
from tests.integration.harness import syncer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.endpoint import Endpoint

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
SIDES = pytest.mark.parametrize("side", list(Side))
PASSWORD = "tls-pw-4711"
ACCOUNTS = {"anyone": "", "needs_tls": "REQUIRE SSL", "needs_cert": "REQUIRE X509"}


class Files(NamedTuple):
    """What the clients are given."""

    ca: Path
    other_ca: Path
    cert: Path
    key: Path
    other_cert: Path
    other_key: Path

    def options(self, mode: str | None, *, ca: str = "", cert: str = "") -> dict[str, str]:
        found = {"ssl-mode": mode} if mode else {}
        if ca:
            found["ssl-ca"] = str(self.ca if ca == "right" else self.other_ca)
        if cert:
            right = cert == "right"
            found["ssl-cert"] = str(self.cert if right else self.other_cert)
            found["ssl-key"] = str(self.key if right else self.other_key)
        return found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    ours, others = Authority(folder, "ca"), Authority(folder, "other-ca")
    ours.issue("server", "localhost")
    client, stranger = ours.issue("client"), others.issue("stranger")
    return Files(ours.file, others.file, *client, *stranger)


@pytest.fixture(scope="module")
def tls_pair(files: Files) -> Iterator[Pair]:
    """Give a MySQL and a MariaDB server whose certificate is for ``localhost``, not for 127.0.0.1."""
    folder = files.ca.parent
    options: dict[str, str | None] = {
        "ssl_ca": str(files.ca),
        "ssl_cert": str(folder / "server.pem"),
        "ssl_key": str(folder / "server.key"),
        "performance_schema": "ON",
    }
    try:
        if "docker" in {provision.backend("mysql"), provision.backend("mariadb")}:
            pytest.skip("certificates cannot be handed to servers in containers")
        pair = provision.start_pair("mysql", "mariadb", options_a=options, options_b=options)
    except ServerMissingError as error:
        pytest.skip(f"NO SERVER: {error}")
    with pair:
        for server in pair.sides:
            for name, demand in ACCOUNTS.items():
                server.script(
                    f"CREATE USER {name}@'%' IDENTIFIED BY '{PASSWORD}' {demand}",
                    f"GRANT ALL PRIVILEGES ON *.* TO {name}@'%'",
                )
        yield pair


@pytest.fixture
def server(tls_pair: Pair, side: Side) -> Endpoint:
    return tls_pair.a if side is Side.A else tls_pair.b


def address(server: Endpoint, user: str, options: dict[str, str], host: str = "localhost") -> str:
    return f"mysql://{user}:{PASSWORD}@{host}:{server.port}/?{urlencode(options)}"


def cipher_of(server: Endpoint, connection: int) -> str:
    """Give the cipher of another connection; empty where it is in the clear."""
    rows = server.query(
        "SELECT s.variable_value FROM performance_schema.status_by_thread s JOIN performance_schema.threads t"
        " USING (thread_id) WHERE s.variable_name = 'Ssl_cipher' AND t.processlist_id = %s",
        [connection],
    )
    assert len(rows) == 1
    return rows[0][0]


@contextlib.contextmanager
def dump(server: Endpoint, side: Side, url: str) -> Iterator[int]:
    """Open a stream; give the server's id of its connection."""
    if server.flavor == "mysql":
        identity, gtids = server.query("SELECT @@server_uuid, @@global.gtid_executed")[0]
        words = "BINARY LOG"
    else:
        identity, gtids = server.query("SELECT @@server_id, @@global.gtid_binlog_pos")[0]
        words = "MASTER"
    file, offset = server.query(f"SHOW {words} STATUS")[0][:2]
    stream = Stream(side, stream_endpoint(from_text(url), side), server.flavor, 9_000)
    try:
        stream.open(
            StreamPosition(
                server=str(identity), gtids=gtids.replace("\n", ""), file=file, offset=offset, seq=0
            )
        )
        while not stream.packets():
            pass
        dumps = server.query(
            "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%%' AND user <> 'root'"
        )
        assert len(dumps) == 1
        yield dumps[0][0]
    finally:
        stream.release()


# mode, CA, client certificate, host, account; encrypted?
GOOD = [
    ("disabled", "", "", "localhost", "anyone", False),
    ("preferred", "", "", "localhost", "needs_tls", True),
    ("required", "", "", "127.0.0.1", "needs_tls", True),
    ("required", "other", "", "127.0.0.1", "needs_tls", True),
    ("verify-ca", "right", "", "127.0.0.1", "needs_tls", True),
    (None, "right", "", "127.0.0.1", "needs_tls", True),
    ("verify-identity", "right", "", "localhost", "needs_tls", True),
    ("required", "", "right", "localhost", "needs_cert", True),
    ("verify-identity", "right", "right", "localhost", "needs_cert", True),
]
CA, NAME, DENIED = "unable to get local issuer|self.signed", "mismatch", "denied|insists on TLS"
BAD = [
    ("disabled", "", "", "localhost", "needs_tls", DENIED),
    ("verify-ca", "other", "", "localhost", "needs_tls", CA),
    (None, "other", "", "localhost", "needs_tls", CA),
    ("verify-ca", "", "", "localhost", "needs_tls", CA),  # not one of the system's authorities
    ("verify-identity", "other", "", "localhost", "needs_tls", CA),
    ("verify-identity", "right", "", "127.0.0.1", "needs_tls", NAME),
    ("required", "", "", "localhost", "needs_cert", DENIED),
    ("verify-identity", "right", "", "localhost", "needs_cert", DENIED),
    ("required", "", "other", "localhost", "needs_cert", ""),
]


@SIDES
@pytest.mark.parametrize(("mode", "ca", "cert", "host", "user", "encrypted"), GOOD)
def test_a_mode_that_is_met_connects_and_the_server_knows_the_cipher(
    server, side, files, mode, ca, cert, host, user, encrypted
):
    url = address(server, user, files.options(mode, ca=ca, cert=cert), host)
    with Session.open(from_text(url), side, purpose="test") as session:
        assert bool(cipher_of(server, session.connection_id)) is encrypted
    with dump(server, side, url) as connection:
        assert bool(cipher_of(server, connection)) is encrypted


@SIDES
@pytest.mark.parametrize(("mode", "ca", "cert", "host", "user", "reason"), BAD)
def test_a_mode_that_is_not_met_is_refused_with_its_reason(
    server, side, files, mode, ca, cert, host, user, reason
):
    url = address(server, user, files.options(mode, ca=ca, cert=cert), host)
    # A certificate that the server does not trust ends the connection without a word.
    kinds = SyncerError if cert == "other" else StatementRefused
    with pytest.raises(kinds, match=rf"^side {side} .*({reason})") as session:
        Session.open(from_text(url), side, purpose="test")
    with (
        pytest.raises(kinds, match=rf"^side {side}: .*({reason}|may not read)") as stream,
        dump(server, side, url),
    ):
        pass
    for caught in session, stream:
        assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_a_server_without_tls_is_refused_by_every_mode_that_asks_for_it(
    fresh_server, flavor, files
):
    off = {"tls-version": ""} if flavor == "mysql" else {"skip-ssl": None}
    server = fresh_server(flavor, options=off)
    server.script(
        f"CREATE USER anyone@'%' IDENTIFIED BY '{PASSWORD}'", "GRANT ALL ON *.* TO anyone@'%'"
    )
    for mode, ca in (("required", ""), ("verify-ca", "right"), ("verify-identity", "right")):
        url = address(server, "anyone", files.options(mode, ca=ca))
        with pytest.raises(StatementRefused, match="TLS could not be set up"):
            Session.open(from_text(url), Side.A, purpose="test")
        with (
            pytest.raises(StatementRefused, match="TLS could not be set up"),
            dump(server, Side.A, url),
        ):
            pass
    for mode in ("preferred", "disabled"):
        url = address(server, "anyone", files.options(mode))
        with Session.open(from_text(url), Side.A, purpose="test") as session:
            assert session.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'") in (
                [("Ssl_cipher", "")],
                [],
            )
        with dump(server, Side.A, url):
            pass


def test_a_server_that_goes_down_in_the_handshake_is_tried_again():
    """The end of a connection is no verdict on certificates."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            client, _ = listener.accept()
            with client:
                body = b"\x0a8.4.0\0" + bytes(4) + b"12345678\0" + b"\xff\xff\xff\x02\0\xff\xdf\x15"
                body += bytes(10) + b"123456789012\0" + b"mysql_native_password\0"
                client.sendall(len(body).to_bytes(3, "little") + b"\0" + body)
                client.recv(1000)

        thread = threading.Thread(target=greet)
        thread.start()
        url = f"mysql://u:{PASSWORD}@127.0.0.1:{listener.getsockname()[1]}/?ssl-mode=required"
        with pytest.raises(TransientDatabaseError):
            Session.open(from_text(url), Side.A, purpose="test")
        thread.join()


@pytest.mark.parametrize("where", ["file", "option file"])
def test_a_run_with_client_certificates_from_the_configuration(tls_pair, tmp_path, files, where):
    """Every connection of a run passes REQUIRE X509, and the server's name is checked."""
    database = f"tls_{where.replace(' ', '_')}"
    tls_pair.script(
        f"CREATE DATABASE {database}", f"CREATE TABLE {database}.t (id int PRIMARY KEY, v int)"
    )
    tls_pair.a.script(f"INSERT INTO {database}.t VALUES (1, 1)")
    options = files.options("verify-identity", ca="right", cert="right")
    if where == "option file":
        (tmp_path / ".my.cnf").write_text(
            f"[client]\npassword={PASSWORD}\nssl-verify-server-cert\n"
            + "".join(f"{name}={value}\n" for name, value in options.items() if name != "ssl-mode")
        )
        (tmp_path / ".my.cnf").chmod(0o600)
    lines = ['ledger = "l.db"', "[sync]", f'databases = ["{database}"]']
    for side, server in zip("ab", tls_pair.sides, strict=True):
        lines += [f"[{side}]", f'url = "mysql://needs_cert@localhost:{server.port}"']
        if where == "file":
            lines += [
                *(f'{name.replace("-", "_")} = "{value}"' for name, value in options.items()),
                'password_env = "PW"',
            ]
    (tmp_path / "syncer.toml").write_text("\n".join(lines))
    env = {"PW": PASSWORD, "HOME": str(tmp_path)}
    done = syncer("run", "--until-in-sync", "--json", cwd=tmp_path, env=env).must(0)
    assert done.document()["in_sync"]
    assert tls_pair.b.query(f"SELECT * FROM {database}.t") == [(1, 1)]
    env["HOME"] = "/nonexistent"
    if where == "option file":  # without it nothing is there to log in with
        syncer("run", "--until-in-sync", cwd=tmp_path, env=env).must(3)
