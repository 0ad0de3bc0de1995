"""What a start owes to tables: the first comparison, and the one that an earlier run did not come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

from syncer.core.mark import Reason
from syncer.core.side import SIDES, Side
from syncer.ledger.records import Definition
from syncer.service.scope import enter_scope
from tests.unit.core.schemas import column, paired, table
from tests.unit.ledger.bench import Bench, position

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOG = structlog.get_logger()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "syncer.db")
    for side in SIDES:
        made.ledger.record(side, [], position(7))
    yield made
    made.ledger.close()


def test_a_table_that_is_owed_a_mark_is_compared_whole_once(bench):
    """Whether it flows or waits: the definition that is remembered says nothing of what changed before it."""
    flowing = {bench.t: paired(table(column()))}
    waiting = {bench.u}
    bench.ledger.set_scope({*flowing, *waiting})
    for number in (bench.t, bench.u):
        bench.ledger.define(Side.A, {number: Definition(schema=None)}, owed=True)
    enter_scope(bench.ledger, flowing, waiting, LOG)
    found = {one.table_id: one.reason for one in bench.ledger.span_progress()}
    assert found == {bench.t: Reason.DDL, bench.u: Reason.DDL}
    assert set(bench.ledger.claim_span(0.0).seqs.values()) == {7}
    assert not bench.ledger.owes(bench.t)
    assert not bench.ledger.owes(bench.u)


def test_a_table_without_a_debt_goes_on_where_it_was(bench):
    flowing = {bench.t: paired(table(column()))}
    bench.ledger.set_scope(flowing)
    enter_scope(bench.ledger, flowing, (), LOG)
    assert bench.ledger.span_progress() == []


def test_a_table_that_comes_in_anew_is_compared_as_at_a_first_start(bench):
    flowing = {bench.t: paired(table(column()))}
    enter_scope(bench.ledger, flowing, (), LOG)
    assert [one.reason for one in bench.ledger.span_progress()] == [Reason.BASELINE]
    assert bench.ledger.scope() == {bench.t}


def test_another_filter_has_the_table_compared_whole_once(bench):
    """Rows may be in scope that were not; exact marks are kept, so that no deletion comes back."""
    bench.ledger.set_scope({bench.t})
    for where, compared in (("", False), ("id > 5", True), ("id > 5", False), ("", True)):
        some = {bench.t: paired(table(column(), where=where), table_id=bench.t)}
        enter_scope(bench.ledger, some, (), LOG)
        span = bench.ledger.claim_span(0.0)
        assert (span is not None) is compared
        if span is not None:
            lower = dict.fromkeys(SIDES, 9)
            bench.ledger.narrow_span(span, up_to=None, keys=[], lower=lower, rows=0)
