"""What transactions are called, for the journal."""

from __future__ import annotations

import pytest

from syncer.core import origins
from syncer.core.origins import Origin, Origins
from syncer.core.position import Coordinate


def group(first, last):
    return [(seq, f"g{seq}", Coordinate(1, seq), 7) for seq in range(first, last + 1)]


def test_the_newest_are_known_and_older_ones_go_by_groups(monkeypatch):
    monkeypatch.setattr(origins, "ORIGINS_KEPT", 4)
    known = Origins()
    for first, last in ((3, 4), (5, 5), (6, 9)):
        known.add(group(first, last))
        known.add([])
    assert {seq for seq in range(12) if known.of(seq)} == {6, 7, 8, 9}
    assert known.of(8) == Origin("g8", 7)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_at_least_so_many_are_known_whatever_the_groups(monkeypatch, size):
    monkeypatch.setattr(origins, "ORIGINS_KEPT", 10)
    known = Origins()
    for first in range(1, 1 + 20 * size, size):
        known.add(group(first, first + size - 1))
    last = 20 * size
    found = [seq for seq in range(last + 2) if known.of(seq)]
    assert found[-1] == last
    assert 10 <= len(found) < 10 + size
    assert found == list(range(found[0], last + 1))


def test_a_transaction_without_a_gtid_has_its_server():
    known = Origins()
    known.add([(1, "", Coordinate(1, 9), 3)])
    assert known.of(1) == Origin(None, 3)
