"""Whatever goes wrong: one line on stderr, nothing on stdout, the documented exit code."""

import getpass
import os
import signal
import subprocess
import sys
import time

import pytest

from syncer import errors
from syncer.cli import main as main_module
from syncer.cli import person
from syncer.cli.commands import status

SECRET = "s3cret"
PAIR = (f"mysql://u:{SECRET}@127.0.0.1:1", f"mysql://u:{SECRET}@127.0.0.1:2", "--tables", "shop.*")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rnu"], "No such command 'rnu'"),
        (["run", "--tabels", "x"], "No such option '--tabels'"),
        (["run", "one"], "name both servers, URL_A and URL_B"),
        (["run", *PAIR, "--rule", "newst"], "unknown rule 'newst'"),
        (["run", *PAIR, "--rule", "newest:u"], "set on_delete to"),
        (["run", *PAIR, "--direction", "up"], "'up' is not one of"),
        (["run", *PAIR, "--chunk-size", "9:3"], "MIN is not above MAX"),
        (["run", *PAIR, "--chunk-size", "many"], "neither a number of rows nor MIN:MAX"),
        (["run", *PAIR, "--once", "--until-in-sync"], "exclude each other"),
        (["run", *PAIR, "--tables", ","], "an empty list"),
        (["run", *PAIR[:2]], "no table is selected"),
        (["run"], "no server is named for side a"),
        (["check", "-c", "gone.toml"], "gone.toml: no such file"),
        (["verify", "nonsense:pw", "x"], "a: this is no URL and no DSN"),
        (["run", "mysql://u@h:bad/", "mysql://u@h"], "a: the URL cannot be read"),
        (["conflicts", "show", "0"], "0 is not in the range"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_2(syncer, arguments, message):
    result = syncer(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("syncer: error: ")
    assert message in result.err
    assert result.err.count("\n") == 1
    assert SECRET not in result.err


def test_a_server_that_is_down_is_one_line_and_exit_4(syncer):
    """No traceback, no password; the side and the address are named."""
    result = syncer("run", *PAIR)
    assert result.code == 4
    assert result.err.count("syncer: error: ") == 1
    assert "127.0.0.1:1" in result.err
    assert "Traceback" not in result.err
    assert SECRET not in result.err


def test_json_errors_are_an_object_on_stderr(syncer):
    result = syncer("run", "--rule", "x", "--json")
    assert (result.code, result.out) == (2, "")
    assert result.problem["code"] == "usage"
    result = syncer("run", "-c", "gone.toml", "--json")
    assert result.problem == {
        "code": "config",
        "message": "gone.toml: no such file (syncer config init writes one)",
        "exit_code": 2,
    }


def test_no_arguments_show_the_help(syncer):
    result = syncer()
    assert result.code == 2
    assert "Examples:" in result.err + result.out


@pytest.mark.parametrize(
    "path",
    [
        [],
        ["check"],
        ["run"],
        ["verify"],
        ["status"],
        ["conflicts"],
        ["conflicts", "list"],
        ["conflicts", "show"],
        ["config"],
        ["config", "init"],
        ["config", "show"],
    ],
)
def test_every_command_has_help(syncer, path):
    result = syncer(*path, "--help")
    assert result.code == 0
    assert result.err == ""
    assert "Examples:" in result.out
    assert result.out.startswith(f"Usage: {' '.join(['syncer', *path])}")


def test_the_version_is_printed(syncer):
    result = syncer("--version")
    assert result.code == 0
    assert result.out.startswith("syncer ")


def failing(monkeypatch, error):
    def callback(**_given):
        raise error

    monkeypatch.setattr(status.command, "callback", callback)


ALL_ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.SyncerError)
]


@pytest.mark.parametrize("kind", ALL_ERRORS, ids=lambda k: k.__name__)
def test_every_error_of_ours_keeps_its_exit_code(syncer, monkeypatch, kind):
    failing(monkeypatch, kind("what\nhappened"))
    result = syncer("status")
    assert result.code == kind.exit_code
    assert result.err == "syncer: error: what happened\n"
    assert syncer("status", "--json").problem["code"] == kind.code


def test_an_unexpected_error_names_its_place_but_not_its_text(syncer, monkeypatch):
    """The text of a foreign exception may hold a row or a password."""
    failing(monkeypatch, KeyError(SECRET))
    result = syncer("status")
    assert result.code == 4
    assert "unexpected KeyError in " in result.err
    assert "--log-level debug" in result.err
    assert SECRET not in result.err
    assert result.err.count("\n") == 1


def test_the_traceback_is_shown_at_debug(syncer, monkeypatch):
    real = status.command.callback

    def callback(**given):
        try:
            real(**given)
        except errors.LedgerError:
            raise RuntimeError from None

    monkeypatch.setattr(status.command, "callback", callback)
    assert "Traceback" not in syncer("status", "--log-level", "info").err
    assert "Traceback" in syncer("status", "--log-level", "debug", "--log-format", "console").err


def test_an_interrupt_is_130(syncer, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt())
    assert syncer("status").code == 130


def test_a_reader_that_goes_away_is_no_error():
    """``syncer config show | head -1`` ends quietly."""
    code = (
        "import sys; from syncer.cli.main import entry\n"
        "sys.argv[1:] = ['config', 'show']\n"
        "import os; r, w = os.pipe(); os.dup2(w, 1); os.close(r); os.close(w); entry()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_that_nobody_can_read_keeps_its_exit_code():
    """As where the program that takes the log has died: 0 would say that all is well."""
    code = (
        "import sys; from syncer.cli.main import entry\n"
        "sys.argv[1:] = ['status', '--ledger', '/nowhere/at/all', *sys.argv[1:]]\n"
        "import os; r, w = os.pipe(); os.dup2(w, 2); os.close(r); os.close(w); entry()"
    )
    for more in ((), ("--json",)):
        done = subprocess.run([sys.executable, "-c", code, *more], capture_output=True, check=False)
        assert done.returncode == 5


LOG_READER_GONE = """
import os, signal, sys
read, write = os.pipe()
os.dup2(write, 2)
os.close(read), os.close(write)
from syncer.cli import display, main, signals
from syncer.cli.commands import status
display._to_stderr("a line")
with signals.draining() as stop:
    signal.raise_signal(signal.SIGTERM)
    assert stop.wait(20)
def callback(**given):
    raise BrokenPipeError
status.command.callback = callback
print("alive")
sys.exit(main.main(["status"]))
"""


def test_a_log_that_nobody_reads_ends_nothing_and_makes_no_success():
    """What breaks all the same was not done: 0 is for a reader that wants no more of the results."""
    done = subprocess.run(
        [sys.executable, "-c", LOG_READER_GONE], stdout=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (4, "alive\n")


def test_who_answers_has_a_name_even_where_the_user_has_none(monkeypatch):
    def unknown():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(getpass, "getuser", unknown)
    assert person.name() == f"uid {os.getuid()}"


DRAIN = """
import sys, time
from syncer.cli import signals
with signals.draining() as stop:
    print("ready", flush=True)
    stop.wait(30)
    print("draining", flush=True)
    time.sleep(30)
"""


IN_A_WAIT = """
import signal
from syncer.cli import signals
with signals.draining() as stop:
    with stop._cond:
        signal.raise_signal(signal.SIGTERM)
    assert stop.wait(20)
"""


def test_a_signal_may_come_while_the_event_it_sets_is_locked():
    """As within its wait(); the command would never end by itself."""
    done = subprocess.run([sys.executable, "-c", IN_A_WAIT], timeout=60, check=False)
    assert done.returncode == 0


def test_the_first_signal_drains_and_the_second_ends_at_once():
    child = subprocess.Popen(
        [sys.executable, "-c", DRAIN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGTERM)
    assert child.stdout.readline() == "draining\n"
    before = time.monotonic()
    child.send_signal(signal.SIGINT)
    assert child.wait(10) == 130
    assert time.monotonic() - before < 5
    _, err = child.communicate()
    assert "finishing the batch in hand" in err


def test_main_never_ends_the_process(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["syncer", "--version"])
    assert main_module.main() == 0
    with pytest.raises(SystemExit) as ended:
        main_module.entry()
    assert ended.value.code == 0


def test_python_m_works():
    done = subprocess.run(
        [sys.executable, "-m", "syncer", "--version"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert done.returncode == 0
    assert done.stdout.startswith("syncer ")
