"""Answers of people to held conflicts."""

import msgspec
import pytest

from syncer.core.side import Side
from syncer.errors import LedgerError
from syncer.ledger.requests import Resolution, ask
from tests.unit.ledger.test_batches import ENTRY

A, B = Side.A, Side.B
ANSWER = Resolution(take=B, actor="somebody", asked_at=5.0)


def held(bench, *keys):
    for key in keys:
        bench.mark(A, key)
    [number] = bench.ledger.journal_held([ENTRY])
    bench.ledger.hold(bench.t, list(keys), number)
    return number


def test_an_answer_is_heard_beside_the_process_that_has_the_ledger(bench):
    number = held(bench, 1, 2)
    assert bench.ledger.asked() == []
    ask(bench.path, {number: ANSWER})
    [asked] = bench.ledger.asked()
    assert (asked.conflict_id, asked.table_id, asked.keys) == (number, bench.t, (1, 2))
    assert (asked.resolution, asked.entry) == (ANSWER, ENTRY)
    bench.reopen()
    assert len(bench.ledger.asked()) == 1


def test_an_answer_ends_with_its_conflict(bench):
    number = held(bench, 1)
    ask(bench.path, {number: ANSWER})
    bench.ledger.clear(bench.t, [1], bench.seq)
    assert bench.ledger.asked() == []
    with pytest.raises(LedgerError, match="not held"):
        ask(bench.path, {number: ANSWER})


def test_all_answers_or_none(bench):
    number = held(bench, 1)
    with pytest.raises(LedgerError, match="conflict 99 is not held"):
        ask(bench.path, {number: ANSWER, 99: ANSWER})
    assert bench.ledger.asked() == []
    assert ask(bench.path, {99: ANSWER, number: ANSWER}, strict=False).left == (99,)
    assert [asked.conflict_id for asked in bench.ledger.asked()] == [number]


def test_an_answer_that_cannot_be_carried_out_is_forgotten(bench):
    number = held(bench, 1)
    ask(bench.path, {number: ANSWER})
    bench.ledger.forget_request(number)
    assert bench.ledger.asked() == []


def test_an_answer_that_waits_is_seen_replaced_and_withdrawn(bench):
    number = held(bench, 1)
    other = Resolution(take=A, actor="another", asked_at=6.0)
    assert bench.ledger.answers() == {}
    assert ask(bench.path, {number: ANSWER}).replaced == {}
    assert ask(bench.path, {number: ANSWER}).replaced == {}, "the same answer again"
    assert bench.ledger.answers() == {number: ANSWER}
    assert ask(bench.path, {number: other}, dry_run=True).replaced == {number: ANSWER}
    assert ask(bench.path, {}, withdrawn=[number], dry_run=True).replaced == {number: ANSWER}
    assert bench.ledger.answers() == {number: ANSWER}
    assert ask(bench.path, {number: other}).replaced == {number: ANSWER}
    assert ask(bench.path, {}, withdrawn=[number, 99]).replaced == {number: other}
    assert bench.ledger.answers() == {}
    assert bench.ledger.asked() == []
    assert ask(bench.path, {}, withdrawn=[number]).replaced == {}


def test_a_dry_run_refuses_what_the_real_one_does(bench):
    number = held(bench, 1)
    bench.ledger.clear(bench.t, [1], bench.seq)
    with pytest.raises(LedgerError, match=f"conflict {number} is not held"):
        ask(bench.path, {number: ANSWER}, dry_run=True)
    assert ask(bench.path, {number: ANSWER}, strict=False, dry_run=True).left == (number,)


def test_no_ledger_is_made_for_an_answer(tmp_path):
    with pytest.raises(LedgerError, match="no ledger"):
        ask(tmp_path / "none.db", {1: ANSWER})
    assert list(tmp_path.iterdir()) == []


def skipped(bench, key, **facts):
    bench.mark(A, key)
    entry = msgspec.structs.replace(ENTRY, key=(str(key),), **facts)
    [number] = bench.ledger.journal_held([entry], skipped=True)
    bench.ledger.hold(bench.t, [key], number)
    return number


def test_what_is_skipped_can_be_answered_too(bench):
    number = skipped(bench, 1)
    again = Resolution(take=None, actor="somebody", asked_at=5.0)
    assert again.holds
    ask(bench.path, {number: again})
    assert [asked.resolution for asked in bench.ledger.asked()] == [again]
    assert not ANSWER.holds


def test_what_was_skipped_for_a_time_is_held_again(bench):
    now = bench.clock.time
    never = skipped(bench, 1)
    soon, late = skipped(bench, 2, expires_at=now + 10), skipped(bench, 3, expires_at=now + 99)

    def statuses():
        return [bench.ledger.conflict(number).status.value for number in (never, soon, late)]

    assert bench.ledger.open_skipped() == 0
    bench.clock.time += 20
    assert bench.ledger.open_skipped() == 1
    assert statuses() == ["skipped", "held", "skipped"]
    opened = bench.ledger.conflict(soon)
    assert (opened.entry.note, opened.entry.expires_at) == ("it was skipped until now", None)
    assert [one.conflict_id for one in bench.ledger.held() if one.key == 2] == [soon]
    bench.reopen()
    bench.clock.time += 100
    assert (bench.ledger.open_skipped(), bench.ledger.open_skipped()) == (1, 0)
    assert statuses() == ["skipped", "held", "held"]


def test_a_skip_of_nobody_ends_as_the_journal_says(bench):
    bench.ledger.skip_s = 5.0
    number, person = skipped(bench, 1), skipped(bench, 2, expires_at=bench.clock.time + 50)
    bench.clock.time += 6
    assert bench.ledger.open_skipped() == 1
    assert bench.ledger.conflict(number).status.value == "held"
    assert bench.ledger.conflict(person).status.value == "skipped"


def test_rows_of_what_is_skipped_are_kept(bench):
    number = skipped(bench, 1)
    bench.clock.time += 1000
    assert bench.ledger.prune_images(bench.clock.time) == 0
    assert bench.ledger.conflict(number).entry.a_image == ENTRY.a_image
