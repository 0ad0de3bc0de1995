"""What is seen of a run: the live frame fits every width, lines come at a calm pace, and nothing steers the terminal."""

import io
import threading

import pytest
from rich.console import Console

from syncer.cli import display, frame, liveview, text
from syncer.core.side import Side
from syncer.service.reports import BaselineProgress, ConflictLine, RunSnapshot, SideStatus

CONFLICTS = tuple(
    ConflictLine(
        conflict_id=n, kind=kind, table="shop.orders", key=key, rule="hold", winner=w, status=s
    )
    for n, kind, key, w, s in (
        (3, "update_delete", "42", "b", "applied"),
        (2, "presence_ambiguous", "a\x1b]0;own\x07", None, "held"),
    )
)
BASELINE = BaselineProgress(
    tables_total=3,
    tables_done=1,
    rows_total=1_000_000,
    rows_done=250_000,
    differing=7,
    table="shop.orders",
    eta_s=61,
)


def snapshot(**more):
    side = SideStatus(
        endpoint="db1:3306",
        server="MariaDB 10.11.19",
        state="connected",
        position="b.1:4",
        lag_s=0.25,
        transactions=more.pop("transactions", 12_345),
        applied_updates=7,
    )
    facts = {
        "phase": "tailing",
        "uptime_s": 10.0,
        "a": side,
        "b": side,
        "dirty_keys": 1,
        "dirty_spans": 0,
        "held": 0,
        "conflicts_resolved": 2,
        "conflicts_held": 1,
        "baseline": BaselineProgress(),
        "cycles": 1,
        "chunk_rows": 100,
    }
    return RunSnapshot(**{**facts, **more})


def drawn(taken, width=110, **more):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(frame.draw(taken, frame.History(), title="shop.*", width=width, **more))
    return console.file.getvalue()


def test_a_frame_says_what_matters():
    picture = drawn(snapshot(recent_conflicts=CONFLICTS, latency_p50_ms=12.0))
    for part in (
        "following both streams",
        "db1:3306",
        "MariaDB 10.11.19",
        "lag 250 ms",
        "12,345",
        "~7",
        "1 key",
        "1 held",
        "12 ms",
        "B won",
        "update/delete",
        "presence ambiguous",
    ):
        assert part in picture


def test_the_bar_is_there_only_while_tables_are_compared():
    assert "compare" not in drawn(snapshot())
    picture = drawn(snapshot(phase="baseline", baseline=BASELINE))
    for part in (
        "comparing tables",
        "25%",
        "left 1:01",
        "250k of 1.0M rows",
        "table 2 of 3",
        "7 differ",
    ):
        assert part in picture


def test_trouble_is_told_with_its_side():
    broken = SideStatus(state="interrupted", error="connection\nrefused; next try in 2 s")
    picture = drawn(snapshot(a=broken, throttled_by="side b is read-only"))
    assert " A connection refused; next try in 2 s" in picture
    assert "waiting side b is read-only" in picture


def test_the_frame_says_that_it_is_stopping():
    assert "finishing the batch in hand" in drawn(snapshot(), stopping=True)


@pytest.mark.parametrize("width", [30, 60, 76, 80, 110, 200])
def test_a_frame_keeps_to_its_width(width):
    taken = snapshot(recent_conflicts=CONFLICTS, baseline=BASELINE, throttled_by="x" * 300)
    assert max(map(len, drawn(taken, width).splitlines())) <= width


def test_a_value_does_not_steer_the_terminal():
    assert "\x1b" not in drawn(snapshot(recent_conflicts=CONFLICTS))
    assert text.printable("a\x1b\n\u202eb ü 漢") == "a\\x1b\\n\\u202eb ü 漢"


def test_rates_come_from_the_counters():
    history = frame.History()
    for second in range(4):
        history.learn(snapshot(uptime_s=float(second), transactions=100 * second))
    assert list(history.rates[Side.A]) == [100.0, 100.0, 100.0]
    assert history.rate(Side.A) == 100.0
    assert frame.sparkline([0, 1, 2, 4], 6) == "   ▃▅█"
    assert frame.sparkline([], 3) == "   "


def test_lines_come_at_a_change_of_phase_and_else_rarely():
    lines = []
    watcher = display.Lines(lines.append, every_s=1000)
    for phase in ("starting", "baseline", "baseline", "tailing", "reconciling", "tailing"):
        watcher.update(
            snapshot(phase=phase, baseline=BASELINE if phase == "baseline" else BaselineProgress())
        )
    assert [line.split()[0] for line in lines] == ["starting", "baseline", "tailing"]
    assert "25% of 1,000,000 rows" in lines[1]
    assert all("\n" not in line for line in lines)


def test_the_live_view_draws_and_leaves_no_trace_but_logs():
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=30)
    with liveview.LiveView("shop.*", threading.Event(), console=console) as view:
        view.update(snapshot())
        display.logs._stream.write("2026-11-21 something happened\n")
    shown = console.file.getvalue()
    assert "following both streams" in shown
    assert "something happened" in shown
    assert "\x1b[?25h" in shown
    assert display.logs._stream.target is None


def test_a_verification_says_what_it_waits_for():
    """And says so once: how busy a server is changes all the time."""
    lines = []
    watcher = display.Lines(lines.append, every_s=1000)
    for busy in (30, 31, 32):
        watcher.verify_progress(BASELINE, f"side a: Threads_running is {busy}, more than 25")
    watcher.verify_progress(BASELINE)
    assert ["waiting: side a: Threads_running is 30" in line for line in lines] == [True, False]
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(frame.progress(BASELINE, 78, "side a\nis busy"))
    assert " waiting side a is busy" in console.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (42.4, "42 s"),
        (59.6, "1:00"),
        (187, "3:07"),
        (7387, "2:03:07"),
        (353_000, "4d 02:03"),
    ],
)
def test_durations(seconds, shown):
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (999.6, "1.0k"),
        (12_345, "12.3k"),
        (250_000, "250k"),
        (1_250_000, "1.2M"),
        (3e12, "3000G"),
    ],
)
def test_short_numbers(number, shown):
    assert text.short(number) == shown
