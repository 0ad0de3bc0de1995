"""A fence is an end that is not before what was read."""

from __future__ import annotations

import pytest

from syncer.core.position import Coordinate
from syncer.errors import ServerChanged
from syncer.service.positions import not_before


def test_an_end_before_what_was_read_is_of_another_binlog():
    """Whoever waited for it would not wait at all (INV-4)."""
    read = Coordinate(7, 500)
    for end in (read, Coordinate(7, 501), Coordinate(8, 4)):
        assert not_before("side a", read, end) == end
    for end in (Coordinate(7, 499), Coordinate(1, 10**9)):
        with pytest.raises(
            ServerChanged, match="side a: its binlog ends before what was read of it"
        ):
            not_before("side a", read, end)
