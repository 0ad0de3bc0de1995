"""What waits for a tailer."""

from __future__ import annotations

import threading

import pytest

from syncer.binlog.progress import StreamProgress
from syncer.core.origins import Origin
from syncer.core.position import Coordinate, GtidSet, StreamPosition
from syncer.errors import PositionLost

UUID = "11111111-2222-3333-4444-555555555555"


def position(offset: int, seq: int = 0) -> StreamPosition:
    return StreamPosition(server="s", gtids=f"{UUID}:1-5", file="b.000001", offset=offset, seq=seq)


def test_a_wait_ends_when_the_coordinate_is_persisted() -> None:
    progress = StreamProgress(position(100), gtids=True)
    never = threading.Event()
    assert progress.wait_until(Coordinate(1, 100), 0, never)
    assert not progress.wait_until(Coordinate(1, 101), 0.01, never)
    waiter = threading.Thread(target=lambda: progress.wait_until(Coordinate(1, 150), 10, never))
    waiter.start()
    progress.recorded([(1, f"{UUID}:6", Coordinate(1, 150), 7)], position(150, 1), last_commit_us=5)
    waiter.join(5)
    assert not waiter.is_alive()
    assert progress.upper_by_coordinate(Coordinate(1, 150)) == 1
    assert progress.lower_by_gtids(GtidSet(f"{UUID}:1-5")) == 0
    assert progress.lower_by_gtids(GtidSet(f"{UUID}:1-6")) == 1
    assert progress.origin(1) == Origin(f"{UUID}:6", 7)
    assert progress.origin(0) is None


def test_a_wait_ends_with_the_tailer() -> None:
    progress = StreamProgress(position(100), gtids=False)
    progress.become("failed", PositionLost("gone"))
    with pytest.raises(PositionLost):
        progress.wait_until(Coordinate(1, 101), 10, threading.Event())
    assert progress.wait_until(Coordinate(1, 50), 0, threading.Event())
    assert progress.snapshot().error == "gone"


def test_a_wait_ends_when_it_is_told_to_stop() -> None:
    stop = threading.Event()
    stop.set()
    assert not StreamProgress(position(100), gtids=False).wait_until(Coordinate(2, 0), 10, stop)
