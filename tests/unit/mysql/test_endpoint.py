from __future__ import annotations

import pickle

import pytest

from syncer.core.side import Side
from syncer.errors import ConfigError
from syncer.mysql.endpoint import SslMode, from_text, parse_dsn, parse_url

SECRET = "hush-4711"


def read(text, tmp_path, *, side=None, environ=None, my_cnf=None):
    if my_cnf is not None:
        (tmp_path / ".my.cnf").write_text(my_cnf)
    return from_text(text, side=side, environ=environ or {}, home=tmp_path)


def test_a_url_gives_every_part():
    found = parse_url(
        "mysql://ann%40x:p%40ss%2F%23@db.example:3307/sh%20op?ssl-mode=verify-ca&ssl-ca=/ca.pem&socket=/s"
    )
    assert (found.user, found.password.reveal()) == ("ann@x", "p@ss/#")
    assert (found.host, found.port, found.database) == ("db.example", 3307, "sh op")
    assert (found.ssl_mode, found.ssl_ca, found.socket) == (SslMode.VERIFY_CA, "/ca.pem", "/s")


def test_an_ipv6_address_keeps_its_brackets_in_messages_only():
    found = parse_url("mysql://u@[::1]:3307/")
    assert found.host == "::1"
    assert found.address == "[::1]:3307"


def test_a_dsn_of_the_pt_tools_is_read():
    found = parse_dsn(r"h=db1,P=3307,u=ann,p=a\,b=c,D=shop,t=orders,S=/sock,A=utf8,s=1")
    assert (found.host, found.port, found.user, found.password.reveal()) == (
        "db1",
        3307,
        "ann",
        "a,b=c",
    )
    assert (found.database, found.table, found.socket) == ("shop", "orders", "/sock")
    assert found.ssl_mode is SslMode.REQUIRED


@pytest.mark.parametrize(
    "text",
    [
        f"mysql://u:{SECRET}/x@host/db",
        f"mysql://u:{SECRET}@host:port/db",
        f"mysql://u:{SECRET}#x@host/db",
        f"mysql://u:{SECRET}@host:99999/db",
        f"postgres://u:{SECRET}@host/db",
        f"mysql://u:{SECRET}@host/db?ssl-mode=maybe",
        f"mysql://u:{SECRET}@host/db?frobnicate=1",
        f"mysql://:{SECRET}@host/db",
        f"h=host,u=u,p={SECRET},comma",
        f"h=host,u=u,p={SECRET},P=x",
        f"h=host,u=u,p={SECRET},z=1",
        f"mysql://u:{SECRET}@host/?ssl-cert=/c.pem",
        "host",
        "",
    ],
)
def test_a_bad_text_is_refused_in_one_line_without_the_password(text, tmp_path):
    with pytest.raises(ConfigError) as caught:
        read(text, tmp_path)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None or SECRET not in str(caught.value.__cause__)


def test_a_password_never_shows():
    found = parse_url(f"mysql://u:{SECRET}@h/")
    assert SECRET not in f"{found} {found!r} {found.password} {found.password!r}"
    with pytest.raises(TypeError):
        pickle.dumps(found.password)


def test_passwords_come_from_the_nearest_place(tmp_path):
    path = tmp_path / "pw"
    path.write_text("from-file\n")
    environ = {"NAMED": "from-env", "SYNCER_PASSWORD_A": "from-side"}
    my_cnf = "[client]\npassword=from-cnf\n"

    def password(text, side=Side.A):
        return read(text, tmp_path, side=side, environ=environ, my_cnf=my_cnf).password.reveal()

    assert password("mysql://u:in-url@h/?password-env=NAMED") == "in-url"
    assert password("mysql://u@h/?password-env=NAMED") == "from-env"
    assert password(f"mysql://u@h/?password-file={path}") == "from-file"
    assert password("mysql://u@h/") == "from-side"
    assert password("h=h,u=u") == "from-side"
    assert password("mysql://u@h/", side=Side.B) == "from-cnf"


@pytest.mark.parametrize(
    "option", ["password-env=NOPE", "password-file=/nope", "defaults-file=/nope"]
)
def test_a_password_source_that_is_not_there_is_named(option, tmp_path):
    with pytest.raises(ConfigError, match=option.partition("=")[2]):
        read(f"mysql://u@h/?{option}", tmp_path)


def test_an_option_file_fills_in_what_the_text_leaves_out(tmp_path):
    my_cnf = """
# comment
[mysqld]
user=mysql
[client]
user = "ann"
password='pa #ss'
socket=/run/my.sock
ssl_ca=/ca.pem   # why
skip-name
!includedir /etc/x
[client_syncer]
user=syncer
"""
    found = read("mysql:///shop", tmp_path, my_cnf=my_cnf)
    assert (found.user, found.password.reveal(), found.socket, found.ssl_ca) == (
        "syncer",
        "pa #ss",
        "/run/my.sock",
        "/ca.pem",
    )
    assert read("mysql://db1/", tmp_path).socket is None, (
        "a host in the text is not the local socket"
    )


def test_f_in_a_dsn_names_another_option_file(tmp_path):
    other = tmp_path / "other.cnf"
    other.write_text("[client]\nuser=bob\npassword=x\n")
    assert read(f"F={other},h=db1", tmp_path, my_cnf="[client]\nuser=ann\n").user == "bob"


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ("", SslMode.PREFERRED),
        ("ssl-ca=/ca.pem", SslMode.VERIFY_CA),
        ("ssl-ca=/ca.pem\nssl-mode=REQUIRED", SslMode.REQUIRED),
        ("ssl-mode=VERIFY_IDENTITY", SslMode.VERIFY_IDENTITY),
        ("ssl", SslMode.REQUIRED),
        ("ssl=1\nssl_ca=/ca.pem", SslMode.VERIFY_CA),
        ("ssl  # on\nssl-verify-server-cert", SslMode.VERIFY_IDENTITY),
        ("ssl\nssl-verify-server-cert=off", SslMode.REQUIRED),
        ("skip-ssl", SslMode.DISABLED),
        ("ssl=0", SslMode.DISABLED),
    ],
)
def test_an_option_file_says_which_tls_its_user_wants(options, mode, tmp_path):
    found = read("mysql://u@h/", tmp_path, my_cnf=f"[client]\n{options}\n")
    assert found.ssl_mode is mode
    assert read("mysql://u@h/?ssl-mode=disabled", tmp_path).ssl_mode is SslMode.DISABLED


def test_a_ca_in_the_text_is_looked_at_unless_the_mode_says_no(tmp_path):
    assert read("mysql://u@h/?ssl-ca=/ca.pem", tmp_path).ssl_mode is SslMode.VERIFY_CA
    assert read("mysql://u@h/?ssl-ca=/c&ssl-mode=preferred", tmp_path).ssl_mode is SslMode.PREFERRED
