"""Answers of people to held conflicts."""

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
    assert ask(bench.path, {99: ANSWER, number: ANSWER}, strict=False) == [99]
    assert [asked.conflict_id for asked in bench.ledger.asked()] == [number]


def test_an_answer_that_cannot_be_carried_out_is_forgotten(bench):
    number = held(bench, 1)
    ask(bench.path, {number: ANSWER})
    bench.ledger.forget_request(number)
    assert bench.ledger.asked() == []


def test_no_ledger_is_made_for_an_answer(tmp_path):
    with pytest.raises(LedgerError, match="no ledger"):
        ask(tmp_path / "none.db", {1: ANSWER})
    assert list(tmp_path.iterdir()) == []
