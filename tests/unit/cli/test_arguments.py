"""Passwords on the command line are gone from the process list."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from syncer.cli.arguments import password_places

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("argument", "password"),
    [
        ("mysql://u:hush@h:1/d", "hush"),
        ("--x=mariadb://u:hu%40sh@h", "hu%40sh"),
        ("mysql://u:hu:sh@h", "hu:sh"),
        ("h=db,u=x,p=hush,D=d", "hush"),
        ("p=hush,h=db", "hush"),
        ("h=db,p=hu\\,sh", "hu\\,sh"),
        ("mysql://u@h:1/p=d", None),
        ("mysql://h/d?ssl-ca=/p=x", None),
        ("shop.*", None),
        ("--tables", None),
    ],
)
def test_passwords_are_found_in_urls_and_dsns(argument, password):
    line = f"syncer\0run\0{argument}\0--json\0".encode()
    found = [line[low:high].decode() for low, high in password_places(line)]
    assert found == ([password] if password else [])


def test_a_running_process_shows_no_password():
    """What the product reads is what was typed; what ``ps`` shows is not."""
    code = (
        "import sys; sys.argv[0] = 'syncer'; import syncer.__main__ as m; m.hide_passwords();"
        "print(*sys.argv[1:], flush=True); sys.stdin.read()"
    )
    urls = ["mysql://u:hush-4711@h:1/d", "h=db,u=x,p=hush-4711,D=d"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *urls],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY,
        env={"PYTHONPATH": str(REPOSITORY)},
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline().split() == urls
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        process.stdin.close()
    assert shown[3:5] == [b"mysql://u:*********@h:1/d", b"h=db,u=x,p=*********,D=d"]
