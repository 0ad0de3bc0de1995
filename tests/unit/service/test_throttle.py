"""When whole-table comparisons give way, as far as no server is asked."""

import threading
from pathlib import Path

import pytest
import structlog

from syncer.config import Config
from syncer.config.model import FileConfig, ThrottleSection
from syncer.service import replicas
from syncer.service.replicas import ASKING, ReplicaWatch
from syncer.service.sides import Workers
from syncer.service.throttle import Throttle

FAILED = "the replicas cannot be asked: ValueError"


class FakeClock:
    time = 100.0

    def monotonic(self):
        return self.time

    now = monotonic


def throttle(clock, lagging=lambda: None, log=None, **limits):
    section = ThrottleSection(max_load=(), **limits)
    nobody = Workers.__new__(Workers)  # asking it would fail
    return Throttle(section, nobody, clock, log or structlog.get_logger(), lagging=lagging)


def test_nothing_holds_up_what_has_no_limit():
    one = throttle(FakeClock())
    one.used(10**9)
    assert one.free()
    assert one.reason is None


def test_rows_used_are_paid_for_with_time():
    clock = FakeClock()
    one = throttle(clock, rows_per_s=1000)
    one.used(50)
    clock.time += 0.001
    assert one.free(), "a twentieth of a second's worth may be used at once"
    assert one.free_in_s() is None
    one.used(3000)
    assert not one.free()
    assert one.free_in_s() == pytest.approx(2.999)
    clock.time += 2.9
    assert not one.free()
    clock.time += 0.2
    assert one.free()


def test_a_rate_that_holds_work_up_now_and_then_is_told_once():
    """It does so for every read: what is shown stays, and two lines are logged."""
    clock = FakeClock()
    log = structlog.testing.CapturingLogger()
    one = throttle(clock, log=log, rows_per_s=1000)
    for _ in range(100):
        one.used(100)
        assert not one.free()
        assert "1000 rows/s" in (one.reason or "")
        clock.time += one.free_in_s() + 0.001
        assert one.free()
        assert "1000 rows/s" in (one.reason or "")
    clock.time += 2
    assert one.free()
    assert one.reason is None
    assert [call.args for call in log.calls] == [("throttle.began",), ("throttle.ended",)]


def test_a_rate_is_kept_by_short_reads():
    assert throttle(FakeClock()).most_rows is None
    assert throttle(FakeClock(), rows_per_s=100_000).most_rows == 2000
    assert throttle(FakeClock(), rows_per_s=10).most_rows == 50, "not one row at a time"


def test_time_that_was_not_used_is_not_saved_up():
    clock = FakeClock()
    one = throttle(clock, rows_per_s=1000)
    clock.time += 3600
    one.used(5000)
    assert not one.free()


def test_a_pause_file_pauses_while_it_is_there(tmp_path):
    file = tmp_path / "pause"
    one = throttle(FakeClock(), pause_file=str(file))
    assert one.free()
    file.touch()
    assert not one.free()
    assert str(file) in (one.reason or "")
    file.unlink()
    assert one.free()


def test_a_pause_file_that_cannot_be_looked_for_pauses(tmp_path, monkeypatch):
    def refused(_path):
        raise PermissionError(13, "Permission denied")

    one = throttle(FakeClock(), pause_file=str(tmp_path / "pause"))
    monkeypatch.setattr(Path, "exists", refused)
    assert not one.free()
    assert "cannot be looked for: Permission denied" in (one.reason or "")
    nowhere = throttle(FakeClock(), pause_file="~nobody-of-this-name/pause")
    assert not nowhere.free()


def test_what_held_work_up_is_over_once_there_is_none():
    clock = FakeClock()
    log = structlog.testing.CapturingLogger()
    one = throttle(clock, log=log, rows_per_s=1000)
    one.used(1000)
    assert not one.free()
    one.rest()
    one.rest()
    assert one.reason is None
    assert [call.args for call in log.calls] == [("throttle.began",), ("throttle.ended",)]


def test_limits_by_name():
    assert ThrottleSection().loads() == {"Threads_running": 25}
    assert ThrottleSection(max_load=("Threads_running=8", "Innodb_row_lock_current_waits = 3")).loads() == {
        "Threads_running": 8,
        "Innodb_row_lock_current_waits": 3,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["Threads_running", "Threads_running=x", "=5", "a b=1", "x=-1"])
def test_a_limit_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="max_load"):
        ThrottleSection(max_load=(text,))


def test_a_replica_that_is_behind_is_waited_for_and_said_once():
    said = ["replica db3:3306 of side a is 40 s behind, more than 10"]
    logs = structlog.testing.LogCapture()
    log = structlog.wrap_logger(None, [logs], wrapper_class=structlog.BoundLogger)
    one = throttle(FakeClock(), lambda: said[0], log)
    assert not one.free()
    assert one.reason == said[0]
    said[0] = said[0].replace("40", "12")
    assert not one.free()
    said[0] = said[0].replace("db3", "db4")
    assert not one.free()
    said[0] = None
    assert one.free()
    events = [(line["event"], "db4" in line.get("reason", "")) for line in logs.entries]
    assert events == [
        ("throttle.began", False),
        ("throttle.began", True),
        ("throttle.ended", False),
    ]


def test_nobody_is_asked_where_no_replica_is_named():
    config = Config(file=FileConfig())
    watch = ReplicaWatch(config, FakeClock(), structlog.get_logger())
    watch.start()
    assert watch.reason() is None
    watch.close()


def test_replicas_that_were_not_asked_yet_are_waited_for():
    config = Config(file=FileConfig(throttle=ThrottleSection(replicas=("a=db3",))))
    assert ReplicaWatch(config, FakeClock(), structlog.get_logger()).reason() == ASKING


def test_a_look_that_fails_says_so_and_is_made_again(monkeypatch):
    looks, again = [], threading.Event()

    def fail(_watch):
        looks.append(1)
        if len(looks) == 2:
            again.set()
        raise ValueError("a bug")

    monkeypatch.setattr(ReplicaWatch, "_look", fail)
    monkeypatch.setattr(replicas, "LOOK_EVERY_S", 0.0)
    config = Config(file=FileConfig(throttle=ThrottleSection(replicas=("a=db3",))))
    watch = ReplicaWatch(config, FakeClock(), structlog.get_logger())
    watch.start()
    try:
        assert watch.reason() in {ASKING, FAILED}
        while not again.wait(0.01):  # it looks only while somebody asks
            watch.reason()
        assert watch.reason() == FAILED
    finally:
        watch.close()
