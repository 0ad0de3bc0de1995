"""Bad input: one clear line on stderr, the documented exit code, no traceback, no password."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from syncer.errors import ExitCode
from testbed import dataset
from testbed.provision import Pair
from tests.integration.harness import Product, syncer

if TYPE_CHECKING:
    from tests.integration.harness import Done

SECRET = "s3cr3t-Pa55"
# Where the flavour plays no part, one pair of each flavour is enough.
_one_pair = pytest.mark.parametrize("pair", ["mixed"], indirect=True)


def refused(done: Done, code: ExitCode, *words: str, pair: Pair | None = None) -> None:
    """Check what is said and what is not."""
    text = str(done)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.code == code, text
    assert len(said) == 1, text
    assert said[0].startswith("syncer: error: "), text
    assert "Traceback" not in done.stdout + done.stderr, text
    assert not done.stdout.strip(), text
    for word in words:
        assert word.lower() in said[0].lower(), f"{word!r} is not named\n{text}"
    secrets = [SECRET, *(server.password for server in pair.sides)] if pair else [SECRET]
    assert not any(secret in done.stdout + done.stderr for secret in secrets), "a password is shown"


@pytest.fixture
def orders(pair, database, shop) -> str:
    """Give the full name of a table that is in order."""
    shop(20)
    return f"{database}.orders"


@pytest.fixture
def run(pair, tmp_path):
    """Give ``run(*options, a=url, b=url) -> Done`` with a ledger of its own."""

    def run(*options: object, a: str = "", b: str = "") -> Done:
        urls = (a or pair.a.url(), b or pair.b.url())
        ledger = () if "--ledger" in options else ("--ledger", tmp_path / "ledger.db")
        words = ("run", *urls, "--until-in-sync", *ledger, *options)
        return syncer(*words, cwd=tmp_path, timeout_s=60)

    return run


def test_a_wrong_password(pair, orders, run):
    for side, server in zip("ab", pair.sides, strict=True):
        done = run("--table", orders, **{side: server.url(password=SECRET)})
        refused(done, ExitCode.PREFLIGHT, f"side {side}", "access denied", "password", pair=pair)


@_one_pair
def test_an_unknown_table(pair, orders, run):
    done = run("--table", f"{orders}_of_nobody")
    refused(done, ExitCode.USAGE, f"{orders}_of_nobody", "unknown table", pair=pair)


@_one_pair
def test_a_table_on_one_side_only(pair, orders, run, database):
    for side, server in zip("ab", pair.sides, strict=True):
        server.script(f"CREATE TABLE only_{side} (id INT PRIMARY KEY)", db=database)
    for side, other in ("ab", "ba"):
        done = run("--table", f"{database}.only_{side}")
        refused(done, ExitCode.PREFLIGHT, f"only_{side}", f"side {other}", pair=pair)


def test_a_table_without_a_key(pair, orders, run, database):
    pair.script("CREATE TABLE keyless (v INT)", db=database)
    done = run("--table", f"{database}.keyless")
    refused(done, ExitCode.PREFLIGHT, f"{database}.keyless", "key", pair=pair)
    told = json.loads(run("--table", f"{database}.keyless", "--json").stderr)["error"]
    assert {one["code"] for one in told["findings"]} == {"no_key"}
    assert all(one["fix"] for one in told["findings"])


@pytest.mark.parametrize(
    ("missing", "granted"),
    [
        ("replication slave", "SELECT, INSERT, UPDATE, DELETE"),
        ("delete", "SELECT, INSERT, UPDATE"),
        ("select", "INSERT, UPDATE, DELETE"),
    ],
)
def test_a_missing_grant(pair, orders, run, database, missing, granted):
    for server in pair.sides:
        user = f"u_{database[-6:]}"
        server.script(
            f"CREATE USER '{user}'@'%' IDENTIFIED BY '{SECRET}'",
            f"GRANT {granted} ON `{database}`.* TO '{user}'@'%'",
            f"GRANT ALL ON `syncer`.* TO '{user}'@'%'",
        )
        if missing != "replication slave":
            more = ", BINLOG MONITOR" if server.flavor == "mariadb" else ", REPLICATION CLIENT"
            server.script(f"GRANT REPLICATION SLAVE{more} ON *.* TO '{user}'@'%'")
    try:
        done = run("--table", orders, a=pair.a.url(user, SECRET), b=pair.b.url(user, SECRET))
        if missing == "select":
            # What may not be read cannot even be seen.
            refused(done, ExitCode(done.code), "grant", pair=pair)
            assert done.code in {ExitCode.USAGE, ExitCode.PREFLIGHT}, str(done)
        else:
            refused(done, ExitCode.PREFLIGHT, missing, "side a", pair=pair)
    finally:
        pair.script(f"DROP USER '{user}'@'%'")


@_one_pair
def test_a_server_that_is_down(pair, orders, run, fresh_server):
    down = fresh_server("mariadb", start=False)
    for side, other in ("ab", "ba"):
        done = run("--table", orders, **{side: down.url(password=SECRET)})
        refused(done, ExitCode.RETRY, f"side {side}", str(down.port), pair=pair)
        assert f"side {other}" not in done.stderr


def test_a_server_without_a_binary_log(pair, orders, run, fresh_server, database):
    flavor = pair.b.flavor
    bare = fresh_server(flavor, options={"skip_log_bin": None})
    bare.script(f"CREATE DATABASE {database}")
    dataset.create(bare, database)
    done = run("--table", orders, b=bare.url())
    refused(done, ExitCode.PREFLIGHT, "log_bin", "side b", pair=pair)
    assert bare.password not in done.stderr


@pytest.mark.parametrize(
    ("flavor", "options", "named"),
    [
        ("mysql", {"binlog_format": "STATEMENT"}, "binlog_format"),
        ("mariadb", {"binlog_format": "MIXED"}, "binlog_format"),
        ("mysql", {"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}, "gtid_mode"),
    ],
)
@_one_pair
def test_a_server_whose_log_does_not_say_enough(
    pair, orders, run, fresh_server, database, flavor, options, named
):
    poor = fresh_server(flavor, options=options)
    poor.script(f"CREATE DATABASE {database}")
    dataset.create(poor, database)
    refused(run("--table", orders, b=poor.url()), ExitCode.PREFLIGHT, named, "side b", pair=pair)


@_one_pair
def test_the_same_server_twice(pair, orders, run):
    done = run("--table", orders, b=pair.a.url())
    refused(done, ExitCode.USAGE, "same server", pair=pair)
    done = run("--table", orders, b=pair.a.url().replace("127.0.0.1", "localhost"))
    refused(done, ExitCode.PREFLIGHT, "same server", pair=pair)


@_one_pair
def test_two_syncers_on_one_ledger(pair, orders, run, make_product):
    product = make_product(pair, tables=orders)
    running = product.start()
    running.connected()
    done = run("--table", orders, "--ledger", product.ledger)
    refused(done, ExitCode.RETRY, "ledger", str(product.ledger), pair=pair)
    product.settled()
    running.stop().must(0)  # the first one was not disturbed
    assert run("--table", orders, "--ledger", product.ledger).code == 0


def test_two_syncers_on_one_pair_with_ledgers_of_their_own(pair, orders, make_product, database):
    """The younger one takes the pair over; the older one must not write again (INV-17)."""
    first, second = (make_product(pair, tables=orders) for _ in range(2))
    older = first.start()
    older.connected()
    first.settled()
    younger = second.start()
    younger.connected()
    second.settled()
    pair.a.script("UPDATE orders SET status = 'x' WHERE id = 1", db=database)
    done = older.wait(60)
    assert done.code == ExitCode.OPERATOR, str(done)
    errors = [line for line in done.stderr.splitlines() if line.startswith("syncer: error:")]
    assert len(errors) == 1, str(done)
    assert "Traceback" not in done.stderr
    second.settled()
    younger.stop().must(0)
    assert [s.query("SELECT status FROM orders WHERE id = 1", db=database) for s in pair.sides] == [
        [("x",)]
    ] * 2


@_one_pair
@pytest.mark.parametrize("damage", ["no database", "torn", "empty"])
def test_a_corrupt_ledger(pair, orders, run, tmp_path, damage):
    ledger = tmp_path / "bad.db"
    if damage == "no database":
        ledger.write_bytes(b"this is not what you are looking for\n" * 400)
    elif damage == "torn":
        assert run("--table", orders, "--ledger", ledger).code == 0
        whole = ledger.read_bytes()
        ledger.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    else:
        ledger.write_bytes(b"")
    before = ledger.read_bytes()
    done = run("--table", orders, "--ledger", ledger)
    if damage == "empty":  # as good as none
        assert done.code == 0, str(done)
        return
    refused(done, ExitCode.OPERATOR, "ledger", str(ledger), pair=pair)
    assert ledger.read_bytes() == before, (
        "the ledger is somebody's property: it must not be changed"
    )


@_one_pair
def test_the_ledger_of_another_pair(pair, orders, run, tmp_path, pairs, database):
    ledger = tmp_path / "theirs.db"
    assert run("--table", orders, "--ledger", ledger).code == 0
    done = run("--table", orders, "--ledger", ledger, a=pair.b.url(), b=pair.a.url())
    refused(done, ExitCode.OPERATOR, "ledger", str(ledger), "belongs to", pair=pair)


@_one_pair
def test_a_ledger_of_a_newer_version(pair, orders, run, tmp_path):
    ledger = tmp_path / "newer.db"
    assert run("--table", orders, "--ledger", ledger).code == 0
    with sqlite3.connect(ledger) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    refused(run("--table", orders, "--ledger", ledger), ExitCode.OPERATOR, "newer", pair=pair)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rule", "newest:updated_at", "--on-tie", "a"), ("on_delete",)),
        (("--rule", "newest:updated_at", "--on-delete", "hold"), ("on_tie",)),
        (
            ("--rule", "newest:placed_at", "--on-delete", "hold", "--on-tie", "a"),
            ("on_null", "placed_at"),
        ),
        (
            ("--rule", "newest:no_such", "--on-delete", "hold", "--on-tie", "a"),
            ("no_such", "no column"),
        ),
        (("--rule", "latest:updated_at"), ("unknown rule", "latest", "newest")),
        (("--rule", "highest_version"), ("names a column",)),
        (("--on-delete", "sometimes"), ("sometimes", "update_wins")),
        (("--once", "--until-in-sync"), ("--once",)),
        (("--no-such-option",), ("--no-such-option",)),
    ],
)
@_one_pair
def test_a_policy_with_a_hole_or_a_word_that_is_not_known(pair, orders, run, options, words):
    refused(run("--table", orders, *options), ExitCode.USAGE, *words, pair=pair)


@pytest.mark.parametrize(
    "options",
    [
        ("--rule", "newest:nocol", "--on-delete", "hold", "--on-tie", "a", "--on-null", "lose"),
        ("--rule", "newest:placed_at", "--on-delete", "hold", "--on-tie", "a"),
        ("--rule", "custom:nowhere:decide then hold"),
        ("--where", "nocol = 1"),
    ],
)
@_one_pair
def test_check_does_not_call_ready_what_a_run_refuses(pair, orders, run, make_product, options):
    """In the words of the run, with the table."""
    refusal = run("--table", orders, *options).must(2).stderr.partition("error: ")[2].strip()
    product = make_product(pair, *options, tables=orders)
    found = product("check", "--json").must(3).document()
    assert not found["ok"]
    [finding] = [one for one in found["findings"] if one["level"] == "error"]
    assert (finding["code"], finding["message"]) == ("policy", refusal)
    assert finding["fix"]
    assert product("check").must(3).stdout.splitlines()[-1].startswith("REFUSED")


@_one_pair
def test_urls_that_are_none(pair, orders, run):
    refused(run("--table", orders, a=f"postgres://root:{SECRET}@h/db"), ExitCode.USAGE, pair=pair)
    refused(run("--table", orders, a=f"mysql://root:{SECRET}@h:port/db"), ExitCode.USAGE, pair=pair)
    refused(syncer("run", pair.a.url(), "--table", orders), ExitCode.USAGE, pair=pair)


@_one_pair
def test_no_command_that_reads_a_ledger_makes_one(pair, tmp_path):
    for words in (("status",), ("conflicts", "list"), ("conflicts", "show", "1")):
        done = syncer(*words, "--ledger", tmp_path / "none.db", cwd=tmp_path)
        refused(done, ExitCode.OPERATOR, "none.db", pair=pair)
    assert list(tmp_path.iterdir()) == []


def test_bad_input_leaves_the_pair_untouched(pair, orders, run, make_product, database):
    """After all of that the pair works."""
    product: Product = make_product(pair, tables=orders)
    pair.a.script("UPDATE orders SET status = 'y' WHERE id = 1", db=database)
    product.until_in_sync("--rule", "prefer:a")
    assert pair.b.query("SELECT status FROM orders WHERE id = 1", db=database) == [("y",)]
