"""What a read knows of XA transactions on MariaDB: a branch counts once it is known to have ended (INV-3)."""

from __future__ import annotations

import pytest

from syncer.binlog.events import xid_of_sql
from syncer.core.position import Coordinate
from syncer.core.visibility import NO_BRANCHES, NO_IDS, Branches
from syncer.mysql.snapshot import Bounds
from syncer.service.reading import _with_branches

KNOWN = Branches(3, frozenset({5}))
WAITING = {7: "X'61',X'',1", 8: "X'62',X'01',2"}


def bounds(*prepared, asked=True):
    at = Coordinate(1, 9)
    return Bounds(None, at, committed=at, prepared=prepared if asked else None)


@pytest.mark.parametrize(
    ("read", "waiting", "known", "ended"),
    [
        (bounds("'a'"), WAITING, KNOWN, {5, 8}),
        (bounds("X'62',X'01',2"), WAITING, KNOWN, {5, 7}),
        (bounds(), WAITING, KNOWN, {5, 7, 8}),
        (bounds("another's words"), WAITING, KNOWN, {5}),
        (bounds(asked=False), WAITING, KNOWN, {5}),
        (bounds(asked=False), NO_IDS, KNOWN, {5}),
        (bounds(asked=False), NO_IDS, NO_BRANCHES, set()),
    ],
)
def test_a_branch_that_is_still_prepared_has_not_ended(read, waiting, known, ended):
    assert _with_branches(read, known, waiting).branches == Branches(known.since, frozenset(ended))


@pytest.mark.parametrize(
    ("text", "xid"),
    [
        ("'a'", "X'61',X'',1"),
        ("'a','b'", "X'61',X'62',1"),
        ("'a','',7", "X'61',X'',7"),
        ("X'0AFF',X'',18446744073709551615", "X'0aff',X'',18446744073709551615"),
        ("a", None),
        ("'a',7", None),
        ("", None),
    ],
)
def test_an_id_is_read_as_xa_recover_writes_it(text, xid):
    assert xid_of_sql(text) == xid
