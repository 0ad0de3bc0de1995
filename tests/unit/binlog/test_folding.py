"""Keys of one transaction."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from syncer.binlog.folding import TableKeys
from syncer.core.mark import Op, Touch


def marks(states: TableKeys):
    return states.marks(1, 7, 99)


def test_every_sequence_folds_like_the_core() -> None:
    for length in (1, 2, 3, 4):
        for operations in itertools.product(Op, repeat=length):
            states = TableKeys()
            for operation in operations:
                states.touch(operation, [5])
            wanted = Touch(7, 7, operations[0], operations[0], recreated=False, commit_us=99)
            for operation in operations[1:]:
                wanted = wanted.fold(
                    Touch(7, 7, operation, operation, recreated=False, commit_us=99)
                )
            assert [mark.touch for mark in marks(states)] == [wanted]


def test_repeated_keys_in_one_event_fold_too() -> None:
    states = TableKeys()
    states.touch(Op.INSERT, [1, 2, 1])
    states.update([1, 2, 2, 9])  # 1 became 2, 2 became 9
    found = {
        mark.low: (mark.touch.first_op, mark.touch.last_op, mark.touch.recreated)
        for mark in marks(states)
    }
    assert found == {1: ("i", "d", False), 2: ("i", "d", False), 9: ("i", "i", False)}


def test_keys_at_an_even_distance_with_one_history_become_a_run() -> None:
    states = TableKeys()
    states.touch(Op.INSERT, [*range(-8, 8), 20, 21, 22, *range(40, 80, 2)])
    states.touch(Op.UPDATE, [60])
    assert [(mark.low, mark.high, mark.step) for mark in marks(states)] == [
        (-8, 7, 1), (20, 20, 1), (21, 21, 1), (22, 22, 1), (40, 58, 2), (60, 60, 1), (62, 78, 2),
    ]  # fmt: skip


def test_events_that_go_on_evenly_are_one_run() -> None:
    states = TableKeys()
    for low in range(1, 2001, 200):
        states.touch(Op.INSERT, list(range(low, low + 200, 2)))
    assert len(states) == 1000
    assert [(mark.low, mark.high, mark.step) for mark in marks(states)] == [(1, 1999, 2)]


@st.composite
def events(draw):
    """An operation and its keys: a progression, or anything."""
    op = draw(st.sampled_from(list(Op)))
    if draw(st.booleans()):
        low, step = draw(st.integers(0, 40)), draw(st.integers(1, 4))
        return op, list(range(low, low + step * draw(st.integers(8, 14)), step))
    return op, draw(st.lists(st.integers(0, 80), max_size=12))


@given(st.lists(events(), max_size=8), st.sets(st.integers(0, 80), max_size=3))
def test_runs_say_the_same_as_single_keys(some, forgotten) -> None:
    states, wanted = TableKeys(), {}
    for op, keys in some:
        states.touch(op, keys)
        for key in keys:
            touch = Touch(7, 7, op, op, recreated=False, commit_us=99)
            wanted[key] = wanted[key].fold(touch) if key in wanted else touch
    assert len(states) == len(wanted)
    if forgotten:
        states.forget(forgotten)
    found = [
        (key, mark.touch)
        for mark in marks(states)
        for key in range(mark.low, mark.high + 1, mark.step)
    ]
    assert len(found) == len(dict(found)), "a key has one mark"
    assert dict(found) == {key: touch for key, touch in wanted.items() if key not in forgotten}


def test_other_keys_never_make_runs() -> None:
    states = TableKeys()
    states.touch(Op.DELETE, [b"a", b"b", b"c", b"d"])
    assert [(mark.low, mark.high) for mark in marks(states)] == [
        (k, k) for k in (b"a", b"b", b"c", b"d")
    ]
