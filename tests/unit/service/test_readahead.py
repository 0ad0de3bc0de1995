"""Which reads are taken that were made ahead."""

from concurrent.futures import Future

import msgspec
import pytest

from syncer.core.side import SIDES
from syncer.core.visibility import NOTHING, Horizon
from syncer.ledger.records import ClaimedKey, ClaimedSpan
from syncer.service.readahead import ReadAhead
from syncer.service.reconciler import Reconciler
from tests.unit.core.schemas import column, paired, table

NUMBERS = paired(table(column(), column("note", "varchar")))
OTHER = msgspec.structs.replace(NUMBERS, table_id=NUMBERS.table_id + 1)
ROWS = {side: {NUMBERS.table_id: {}} for side in SIDES}


class Reads:
    """Answers at once; *lower* is what the answers prove."""

    lower = 7

    def begin_keys(self, wanted, tables):
        [(self.table_id, self.keys)] = wanted.items()
        begun = {side: Future() for side in SIDES}
        for future in begun.values():
            future.set_result(None)
        return begun

    def end_keys(self, begun):
        return ROWS, {side: Horizon(self.lower, 9) for side in SIDES}


@pytest.fixture
def ahead():
    found = ReadAhead(Reads())
    found.begin(NUMBERS, [3, 4, 5])
    return found


def due(*keys, table=NUMBERS):
    return [ClaimedKey(table.table_id, key, 0, 1.0) for key in keys]


def test_keys_are_chosen_where_all_of_them_are_due(ahead):
    assert ahead.chosen([*due(3, table=OTHER), *due(1, 3, 4, 5, 6)]) == due(3, 4, 5)
    assert ahead.chosen(due(3, 4, 6)) == []
    assert ahead.chosen(due(3, 4, 5, table=OTHER)) == []
    assert ReadAhead(Reads()).chosen(due(3)) == []


def test_a_read_is_taken_once_and_of_its_keys_and_its_table_alone(ahead):
    rows, horizons = ahead.take(NUMBERS, [5, 4, 3])
    assert (rows, {one.lower for one in horizons.values()}) == (ROWS, {7})
    assert ahead.take(NUMBERS, [3, 4, 5]) is None
    for table_, keys in ((OTHER, [3, 4, 5]), (NUMBERS, [3, 4]), (NUMBERS, [3, 4, 5, 6])):
        ahead.begin(NUMBERS, [3, 4, 5])
        assert ahead.take(table_, keys) is None
        assert ahead.chosen(due(3, 4, 5)) == [], "used up"
    ahead.begin(NUMBERS, [3, 4, 5])
    again = msgspec.structs.replace(NUMBERS)
    assert ahead.take(again, [3, 4, 5]) is None, "its definition has been read anew"
    ahead.begin(NUMBERS, [3, 4, 5])
    ahead.drop()
    assert ahead.take(NUMBERS, [3, 4, 5]) is None


def test_a_read_that_proves_nothing_any_more_is_not_taken(ahead, monkeypatch):
    """INV-3: another read, begun later, has proven more: what was forgotten since may be missing in these rows."""
    monkeypatch.setattr(Reads, "lower", NOTHING)
    assert ahead.take(NUMBERS, [3, 4, 5]) is None


class Waiting:
    """A catalog whose tables all wait, so that nothing is compared."""

    def waits(self, _table_id):
        return True


def test_nothing_that_was_read_before_a_comparison_is_taken_after_it(ahead):
    """What a comparison finds is marked by its range's old numbers: rows read before it would clear that unseen."""
    reconciler = Reconciler.__new__(Reconciler)
    reconciler._reads, reconciler._tables, reconciler._catalog = ahead, {}, Waiting()
    facts = dict.fromkeys(ClaimedSpan.__struct_fields__) | {"table_id": NUMBERS.table_id}
    assert ahead.chosen(due(3, 4, 5))
    assert not reconciler._compare(ClaimedSpan(**facts))
    assert ahead.chosen(due(3, 4, 5)) == []
