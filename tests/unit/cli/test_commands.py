"""The commands that need no server: configuration and the ledger."""

import json
import os
import stat
import subprocess
import sys

import msgspec
import pytest

from syncer import config as configuration
from syncer.clock import SystemClock
from syncer.core.decision import ConflictKind
from syncer.core.guard import Stop
from syncer.core.mark import Op, Reason
from syncer.core.position import StreamPosition
from syncer.core.schema import TableName
from syncer.core.side import Side
from syncer.ledger import ConflictEntry, Ledger
from syncer.ledger.records import Batch, IntentItem
from syncer.ledger.undo import Restoration
from syncer.service.reports import ClockReport
from syncer.service.standing import CLOCKS

URLS = ("mysql://u:s3cret@db1", "mysql://u:s3cret@db2")


def entry(key, **more):
    facts = {
        "table": "shop.orders",
        "key": (key,),
        "kind": ConflictKind.UPDATE_UPDATE,
        "detected_at": 1_790_000_000.0,
        "rule": "hold",
        "path": "rule",
        "columns": ("id", "note", "city"),
        "a_image": (key, "'a\x1b[31m'", "'Rome'"),
        "b_image": (key, "NULL", "'Rome'"),
        "a_op": Op.UPDATE,
        "b_op": Op.UPDATE,
    }
    return ConflictEntry(**{**facts, **more})


@pytest.fixture
def ledger_path(tmp_path):
    """A ledger with two held conflicts and a position on one side."""
    path = tmp_path / "syncer.db"
    with Ledger.open(path, pair_id="pair-1", identity={}, clock=SystemClock()) as ledger:
        position = StreamPosition(
            server="s1", gtids="0-1-7", file="binlog.000003", offset=1234, seq=7
        )
        ledger.start({Side.A: position}, [], Reason.BASELINE)
        ledger.journal_held(
            [entry("1"), entry("2", table="crm.people", b_image=None, b_op=Op.DELETE)]
        )
    return path


def stopped(number):
    """A table that a mass guard has stopped."""
    return Stop(
        table_id=number,
        target=Side.B,
        op=Op.DELETE,
        amount=120,
        reason="120 deletes exceed deletes_max = 50",
        since=1_790_000_000.0,
        waiting=120,
    )


def test_status_reads_the_ledger_alone(syncer, ledger_path):
    result = syncer("status", "--json")
    assert result.code == 1
    assert result.err == ""
    document = result.json
    assert (document["format_version"], document["command"]) == (1, "status")
    assert document["summary"]["pair_id"] == "pair-1"
    assert document["summary"]["positions"]["a"]["offset"] == 1234
    assert document["summary"]["conflicts"] == {"held": 2}
    assert len(document["recent_conflicts"]) == 2


def test_status_for_people(syncer, ledger_path):
    result = syncer("status", "--ledger", ledger_path)
    assert result.code == 1
    assert "pair-1" in result.out
    assert "binlog.000003:1234" in result.out
    assert "B  read up to nothing yet" in result.out
    assert "2 held" in result.out


def test_a_ledger_is_read_while_a_syncer_holds_it(syncer, ledger_path):
    with Ledger.open(ledger_path, pair_id="pair-1", identity={}, clock=SystemClock()):
        assert syncer("status").code == 1
        assert syncer("conflicts", "list").code == 1


def test_status_needs_no_password(syncer, ledger_path, tmp_path):
    (tmp_path / "syncer.toml").write_text("[a]\nhost = 'x'\nuser = 'u'\npassword_file = '/gone'\n")
    assert syncer("status").code == 1
    assert syncer("config", "show").code == 2


@pytest.mark.parametrize("command", [["status"], ["conflicts", "list"], ["conflicts", "show", "1"]])
def test_no_ledger_and_a_broken_ledger_are_one_line(syncer, command, tmp_path):
    gone = syncer(*command)
    assert (gone.code, gone.out) == (5, "")
    assert "no ledger at syncer.db" in gone.err
    (tmp_path / "syncer.db").write_bytes(b"this is no ledger at all" * 100)
    broken = syncer(*command)
    assert broken.code == 5
    assert broken.err.count("\n") == 1


def test_conflicts_list_for_machines(syncer, ledger_path):
    result = syncer("conflicts", "list", "--json")
    assert result.code == 1
    assert result.json["open"] == 2
    assert [c["entry"]["key"] for c in result.json["conflicts"]] == [["2"], ["1"]]


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ([], ["2", "1"]),
        (["--limit", "1"], ["2"]),
        (["--table", "shop.*"], ["1"]),
        (["--table", "orders"], ["1"]),
        (["--table", "crm.people"], ["2"]),
        (["--table", "crm.*", "--table", "shop.*"], ["2", "1"]),
        (["--kind", "update_*"], ["2", "1"]),
        (["--kind", "insert_*"], []),
        (["--column", "note", "--table", "shop.*"], ["1"]),
        (["--column", "city"], ["2"]),
        (["--since", "2020-01-01"], ["2", "1"]),
        (["--since", "2100-01-01"], []),
        (["--where", "a.city = Rome & !table:crm.*"], ["1"]),
        (["--where", "b.city = Rome", "--where", "key:1"], ["1"]),
        (["--status", "applied"], []),
        (["--status", "all", "--table", "nothing.*"], []),
    ],
)
def test_conflicts_are_filtered(syncer, ledger_path, options, keys):
    result = syncer("conflicts", "list", "--json", *options)
    assert [c["entry"]["key"][0] for c in result.json["conflicts"]] == keys
    # The exit code is about open conflicts that the selectors match, whatever --status and --limit show.
    chosen = [
        word for word in options if word not in {"--limit", "1", "--status", "applied", "all"}
    ]
    code = 1 if keys or not chosen else 0
    assert result.code == code
    shown = syncer("conflicts", "list", *options)
    assert shown.code == code
    assert ("2 conflicts open in all" in shown.out) == bool(chosen or "--status" in options)
    if not keys:
        assert ("conflicts match" in shown.out) == bool(chosen)


def test_a_list_that_was_cut_says_so(syncer, ledger_path):
    shown = syncer("conflicts", "list", "--limit", "1").out
    assert "1 of 2 shown: --limit shows more" in shown
    found = syncer("conflicts", "list", "--limit", "1", "--json").json
    assert (found["matching"], len(found["conflicts"])) == (2, 1)
    assert "shown" not in syncer("conflicts", "list", "--limit", "2").out
    chosen = ("--where", "a.city = Rome", "--status", "all", "--limit", "1")
    assert "1 of 2 shown" in syncer("conflicts", "list", *chosen).out
    one = syncer("conflicts", "list", "--table", "crm.*", "--limit", "1", "--json").json
    assert (one["open"], one["matching"], len(one["conflicts"])) == (2, 1, 1)


def test_a_revert_of_what_was_superseded_names_what_was_applied(syncer):
    with Ledger.open("syncer.db", pair_id="p", identity={}, clock=SystemClock()) as ledger:
        table = ledger.table_id(TableName("shop", "orders"))
        for key in (1, 2):
            [number] = ledger.journal_held([entry(str(key))])
            ledger.hold(table, [key], number, dict.fromkeys(Side, 0))
            ledger.clear(table, [key], dict.fromkeys(Side, 7))
        won = entry("1", winner=Side.A)
        item = IntentItem(table_id=table, keys=(1,), action=Op.UPDATE, present=True, conflict=won)
        ledger.begin_batches([Batch(batch_id=1, target=Side.B, lower={}, items=(item,))])
        ledger.finish(1, {0})
    left = syncer("conflicts", "revert", "1", "2").out
    said = "it is superseded: only what was applied can be reverted"
    assert f"1: left: {said}, and of this row that is 3\n" in left
    assert f"2: left: {said}\n" in left


def test_many_are_resolved_at_once_and_what_cannot_be_is_named(syncer, ledger_path):
    asked = syncer("conflicts", "resolve", "--where", "a.city = Rome", "--take", "a", "--dry-run")
    assert asked.code == 0
    assert "1: shop.orders 1: the row of side a would go to side b" in asked.out
    assert "2: crm.people 2: the row of side a would go to side b" in asked.out
    left = syncer("conflicts", "resolve", "--table", "shop.*", "--take", "newest")
    assert left.code == 1
    assert "left: no commit times" in left.out
    done = syncer("conflicts", "resolve", "--table", "crm.*", "--take", "b", "--json")
    assert (done.code, done.json["conflicts"], done.json["left"]) == (0, [2], [])
    assert syncer("conflicts", "resolve", "1", "2", "--take", "a", "--kind", "none").code == 0
    assert syncer("conflicts", "resolve", "--take", "a").code == 2
    for words in (("a", "--else", "b"), ("a", "--for", "7d"), ("skip", "--for", "2020-01-01")):
        assert syncer("conflicts", "resolve", "1", "--take", *words).code == 2, words
    assert "until" in syncer("conflicts", "resolve", "1", "--take", "skip", "--for", "7d").out
    wrong = syncer("conflicts", "resolve", "--take", "a", "--where", "colour:red")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)


def test_a_plan_is_exported_edited_and_applied(syncer, ledger_path, tmp_path):
    plan = tmp_path / "plan.toml"
    assert syncer("conflicts", "export", "-o", plan).code == 0
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600
    assert syncer("conflicts", "export", "-o", plan).code == 2
    text = plan.read_text()
    assert syncer("conflicts", "export").out.splitlines()[1:] == text.splitlines()[1:]
    plan.write_text(text.replace('default = "hold"', 'default = "b"').replace("id = 2", "id = 9"))
    shown = syncer("conflicts", "apply", plan, "--dry-run")
    assert shown.code == 1
    assert "1: shop.orders 1: the row of side b would go to side a" in shown.out
    assert "9: left: there is no such conflict" in shown.out
    done = syncer("conflicts", "apply", plan, "--json")
    assert (done.code, done.json["taken"]) == (1, [{"conflict_id": 1, "take": "b"}])
    plan.write_text(text.replace("id = 2", 'id = 2\ntake = "c"'))
    wrong = syncer("conflicts", "apply", plan)
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert "plan.toml: line " in wrong.err
    plan.write_text(text.replace('pair = "pair-1"', 'pair = "other"'))
    assert "it is a plan of pair 'other'" in syncer("conflicts", "apply", plan).err


def test_the_base_stands_between_both_rows(syncer, tmp_path):
    with Ledger.open("syncer.db", pair_id="p", identity={}, clock=SystemClock()) as ledger:
        base = ("1", "'base'", "'Rome'")
        ledger.journal_held([entry("1", base_image=base), entry("2", kind=ConflictKind.DRIFT)])
    shown = syncer("conflicts", "show", "1").out
    header = next(line for line in shown.splitlines() if "column" in line)
    assert header.split() == ["column", "A", "base", "B"]
    assert "base" not in syncer("conflicts", "show", "2").out


def test_a_conflict_is_shown_column_by_column(syncer, ledger_path):
    result = syncer("conflicts", "show", "1")
    assert result.code == 0
    lines = {line.split()[1]: line for line in result.out.splitlines() if line.startswith("≠")}
    assert set(lines) == {"note"}
    assert "NULL" in lines["note"]
    assert "\x1b[31m" not in result.out
    assert "'a\\x1b[31m'" in lines["note"]


def test_an_absent_row_says_so(syncer, ledger_path):
    assert "(absent)" in syncer("conflicts", "show", "2").out


def test_an_unknown_conflict_is_exit_2(syncer, ledger_path):
    result = syncer("conflicts", "show", "99")
    assert result.code == 2
    assert "no conflict 99" in result.err


def test_one_conflict_for_machines(syncer, ledger_path):
    document = syncer("conflicts", "show", "2", "--json").json
    assert document["conflict_id"] == 2
    assert document["status"] == "held"
    assert document["entry"]["b_image"] is None
    assert document["entry"]["b_op"] == "d"


def test_init_writes_a_file_that_loads_and_never_overwrites(syncer, tmp_path):
    result = syncer("config", "init")
    assert result.code == 0
    path = tmp_path / "syncer.toml"
    config = configuration.load(path, environ={"DB1_PASSWORD": "x", "DB2_PASSWORD": "y"})
    assert config.sync.tables == ("shop.*",)
    path.write_text("mine")
    again = syncer("config", "init")
    assert again.code == 2
    assert "is not overwritten" in again.err
    assert path.read_text() == "mine"
    assert syncer("config", "init", "no/such/folder/x.toml").code == 2


def test_every_commented_key_of_the_template_is_a_key(syncer, tmp_path):
    """Uncommenting any line must give a file that is understood."""
    syncer("config", "init")
    text = (tmp_path / "syncer.toml").read_text()
    text = text.replace('url = "mysql://syncer@db1.example:3306"\n', "")
    for line in text.splitlines():
        if line.startswith("# ") and " = " in line.split("  #")[0] and " = ..." not in line:
            whole = text.replace(
                "# [[table]]", "[[table]]\nmatch = '*.*'\non_delete = 'hold'\non_tie = 'a'"
            )
            whole = whole.replace(
                line, "" if line.startswith("# match") else line.removeprefix("# ")
            )
            if not line.startswith(("# host", "# socket")):
                whole = whole.replace(
                    "[a]",
                    "[a]\nhost = 'h'\nuser = 'u'" if "# user" not in line else "[a]\nhost = 'h'",
                )
            elif "# user" not in line:
                whole = whole.replace("[a]", "[a]\nuser = 'u'")
            path = tmp_path / "one.toml"
            path.write_text(whole)
            configuration.load(
                path, environ={"DB1_PASSWORD": "x", "DB2_PASSWORD": "y"}, log_in=False
            )


def test_show_marks_origins_and_hides_passwords(syncer, monkeypatch):
    monkeypatch.setenv("SYNCER_ENGINE_BATCH_ROWS", "7")
    result = syncer("config", "show", *URLS, "--tables", "shop.*,crm.*", "--rule", "prefer:b")
    assert result.code == 0
    assert 'rule = "prefer:b"  # from the command line' in result.out
    assert 'tables = ["shop.*", "crm.*"]  # from the command line' in result.out
    assert "batch_rows = 7  # from SYNCER_ENGINE_BATCH_ROWS" in result.out
    assert "retry_limit = 8  # default" in result.out
    assert "# password: set (not shown)" in result.out
    assert "s3cret" not in result.out + result.err


def test_show_prints_a_file_that_loads_again(syncer, tmp_path):
    shown = syncer("config", "show", *URLS, "--tables", "shop.*").out
    path = tmp_path / "again.toml"
    path.write_text(shown)
    assert syncer("config", "show", "-c", path).code == 0


def test_show_for_machines_hides_passwords(syncer):
    result = syncer("config", "show", *URLS, "--json", "--chunk-size", "30")
    assert result.json["config"]["a"]["password"] == "***"
    assert result.json["config"]["engine"]["chunk_rows_min"] == 30
    assert result.json["config"]["engine"]["chunk_rows_max"] == 30
    assert "s3cret" not in result.out


def test_ask_pass_asks_for_both(syncer, monkeypatch):
    answers = iter(["one", "two"])
    monkeypatch.setattr("click.prompt", lambda *a, **k: next(answers))
    result = syncer("config", "show", "mysql://u@db1", "mysql://u@db2", "--ask-pass", "--json")
    assert result.json["config"]["b"]["password"] == "***"
    assert next(answers, None) is None


def test_ask_pass_without_a_terminal_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "syncer", "check", *URLS, "--ask-pass"],
        capture_output=True, text=True, check=False, start_new_session=True, stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("syncer: error: --ask-pass needs a terminal")
    assert "SYNCER_PASSWORD_A" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_password_that_everybody_can_read_is_warned_of(syncer, tmp_path):
    (tmp_path / "syncer.toml").write_text(f"[a]\nurl = '{URLS[0]}'\n[b]\nurl = '{URLS[1]}'\n")
    (tmp_path / "syncer.toml").chmod(0o644)
    warned = syncer("config", "show", "--tables", "shop.*", "--log-format", "json")
    assert warned.code == 0
    assert [json.loads(line)["event"] for line in warned.err.splitlines()] == ["config.exposed"]
    assert "chmod 600 syncer.toml" in warned.err
    assert "s3cret" not in warned.out + warned.err
    (tmp_path / "syncer.toml").chmod(0o600)
    assert syncer("config", "show", "--tables", "shop.*").err == ""


def test_a_new_configuration_file_is_for_its_owner_alone(syncer, tmp_path):
    before = os.umask(0)
    try:
        assert syncer("config", "init").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "syncer.toml").stat().st_mode) == 0o600


def test_status_says_how_old_its_figures_are(syncer, ledger_path):
    taken = ClockReport(measured_at=SystemClock().now() - 7300)
    with Ledger.open(ledger_path, pair_id="pair-1", identity={}, clock=SystemClock()) as ledger:
        ledger.set_meta(CLOCKS, msgspec.json.encode(taken).decode())
    assert ", 2:01:4" in syncer("status").out


def test_status_asks_for_somebody_where_a_table_waits(syncer, tmp_path):
    """With no conflict at all: a paused table counts, and one that a guard has stopped until it is let go on."""
    path = tmp_path / "syncer.db"
    with Ledger.open(path, pair_id="p", identity={}, clock=SystemClock()) as ledger:
        number = ledger.table_id(TableName("shop", "orders"))
        assert syncer("status").code == 0
        ledger.pause(number, "column extra is missing on side b")
        for words in (("status",), ("status", "--json")):
            found = syncer(*words)
            assert found.code == 1
            assert "column extra is missing on side b" in found.out
        ledger.resume(number)
        assert syncer("status").code == 0
        ledger.stop_table(stopped(number))
        assert syncer("status").code == 1
    assert syncer("guard", "confirm", "shop.orders").code == 0
    assert syncer("status").code == 0


def test_a_stopped_table_is_listed_confirmed_and_shown(syncer, ledger_path):
    with Ledger.open(ledger_path, pair_id="pair-1", identity={}, clock=SystemClock()) as ledger:
        number = ledger.table_id(TableName("shop", "orders"))
        ledger.stop_table(stopped(number))
        ledger.mark_table(number, [Side.A], Reason.TRUNCATE, {Side.A: 0})
    assert "stopped before writing to side b" in syncer("status").out
    listed = syncer("guard", "list")
    assert listed.code == 5
    assert "120 deletes exceed deletes_max = 50" in listed.out
    assert syncer("guard", "confirm", "shop.orders", "--dry-run").code == 0
    assert syncer("guard", "list").code == 5
    wrong = syncer("guard", "confirm", "shop.orders", "shop.items")
    assert (wrong.code, wrong.err.count("\n")) == (5, 1)
    assert syncer("guard", "confirm", "orders").code == 2
    assert syncer("guard", "confirm").code == 2
    assert (
        "would be turned back on side a"
        in syncer("guard", "reject", "shop.orders", "--dry-run").out
    )
    assert syncer("guard", "reject").code == 2
    (ledger_path.parent / "way.toml").write_text('[sync]\ndirection = "a-to-b"\n', "utf-8")
    one_way = syncer("guard", "reject", "shop.orders", "-c", ledger_path.parent / "way.toml")
    assert (one_way.code, "write the rows again on side a" in one_way.err) == (2, True)
    assert syncer("guard", "reject", "shop.items").code == 5
    done = syncer("guard", "confirm", "shop.orders", "--json")
    assert (done.code, done.json["confirmed"][0]["amount"]) == (0, 120)
    after = syncer("guard", "list", "--json")
    assert (after.code, after.json["stopped"][0]["left"]) == (0, 120)
    assert "goes on" in syncer("guard", "list").out
    with Ledger.open(ledger_path, pair_id="pair-1", identity={}, clock=SystemClock()) as ledger:
        span = ledger.claim_span(0.0)
        ledger.narrow_span(span, up_to=None, keys=[], lower={Side.A: 0})
    assert "no table is stopped" in syncer("guard", "list").out, "what is over is not shown"


def test_a_policy_is_explained_in_words_and_for_machines(syncer, tmp_path):
    (tmp_path / "syncer.toml").write_text(
        '[policy]\nrule = "newest:t"\non_delete = "hold"\non_tie = "a"\n'
        '[[table]]\nmatch = "shop.*"\nrule = "prefer:b"\n'
    )
    shown = syncer("policy", "explain", "shop.orders")
    assert shown.code == 0
    assert "what side B has stands" in shown.out
    assert "depends on when changes are compared: prefer:b" in shown.out
    found = syncer("policy", "explain", "crm.people", "--json").json
    assert (found["rules"], found["modifiers"]["on_tie"]) == (["newest:t"], "a")
    assert found["outcomes"][0]["kinds"][:2] == ["insert_insert", "update_update"]
    assert found["depends_on_timing"] == ["on_tie=a: ties are not transitive"]
    for chain in ("keep_both:a then update_wins then hold", "equals:region=eu then prefer:a"):
        given = syncer("policy", "explain", "crm.people", "--json", "--rule", chain)
        assert given.json["rules"] == chain.split(" then ")
    for words, message in (
        (["orders"], "name it as database.table"),
        (["crm.x", "--rule", "delete_wins"], "leaves rows open"),
    ):
        refused = syncer("policy", "explain", *words)
        assert refused.code == 2
        assert message in refused.err
        assert refused.err.count("\n") == 1


@pytest.mark.parametrize("width", [80, 120])
def test_a_policy_keeps_to_the_width_of_the_terminal(syncer, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    rule = (
        "--rule",
        "column_merge then newest:updated_at then prefer:b",
        "--on-delete",
        "hold",
        "--on-tie",
        "a",
    )
    shown = syncer("policy", "explain", "shop.orders", *rule)
    assert shown.code == 0
    assert max(map(len, shown.out.splitlines())) <= width
    assert "key_change_collision" in shown.out, "no word of a kind is broken"


def test_an_undo_names_its_rows_and_asks_for_them(syncer, tmp_path):
    with Ledger.open("syncer.db", pair_id="p", identity={}, clock=SystemClock()) as ledger:
        number = ledger.table_id(TableName("shop", "orders"))
        back = Restoration(
            table="shop.orders",
            key=("7",),
            key_stored=(7,),
            side=Side.B,
            columns=("id",),
            expected=None,
            meant="x",
            image="7",
            actor="",
        )
        item = IntentItem(table_id=number, keys=(7,), action=Op.DELETE, present=False, undo=back)
        ledger.begin_batches([Batch(batch_id=1, target=Side.B, lower={}, items=(item,))])
        ledger.finish(1, {0})
    assert syncer("undo").code == 2
    assert syncer("undo", "--since", "soon").code == 2
    assert "nothing to restore" in syncer("undo", "--table", "crm.*").out
    shown = syncer("undo", "--since", "1h", "--dry-run")
    assert (shown.code, "shop.orders 7: the row of side b would be restored" in shown.out) == (
        0,
        True,
    )
    assert "nothing was asked" in syncer("undo", "--status").out
    done = syncer("undo", "--table", "orders", "--json")
    assert done.json["rows"] == [{"table": "shop.orders", "key": ["7"], "side": "b"}]
    assert syncer("undo", "--status").out.startswith("asked  shop.orders 7")
