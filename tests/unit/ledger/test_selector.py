"""The language that says which conflicts are meant."""

from __future__ import annotations

import re

import pytest

from syncer.core.decision import ConflictKind
from syncer.core.literals import literal_value
from syncer.core.side import Side
from syncer.ledger import ConflictEntry, ConflictRecord, ConflictStatus, selector

NOW = 1_000_000.0
ENTRIES = {
    1: {
        "kind": ConflictKind.UPDATE_UPDATE,
        "detected_at": NOW - 60,
        "sub_kinds": ("overlap", "stale_ts"),
    },
    2: {
        "kind": ConflictKind.UPDATE_DELETE,
        "detected_at": NOW - 7200,
        "b_image": None,
        "table": "crm.people",
    },
    3: {
        "kind": ConflictKind.INSERT_INSERT,
        "detected_at": NOW - 90_000,
        "a_image": ("3", "'it''s (x)'", "NULL", "'2026-01-02 03:04:05'"),
        "b_image": ("3", "'it\\'s (x)'", "-2.5", "'2025-01-02 03:04:05'"),
        "winner": Side.B,
        "base_image": ("3", "'base'", "1", "NULL"),
    },
}


def record(number, **facts):
    entry = {
        "kind": ConflictKind.UPDATE_UPDATE,
        "table": "shop.orders",
        "key": (str(number),),
        "detected_at": NOW,
        "rule": "hold",
        "path": "rule",
        "columns": ("id", "note", "total", "at"),
        "a_image": (str(number), "'left'", "10.50", "NULL"),
        "b_image": (str(number), "'right'", "10.5", "NULL"),
    }
    return ConflictRecord(
        conflict_id=number,
        status=ConflictStatus.HELD,
        changed_at=NOW,
        batch_id=None,
        entry=ConflictEntry(**{**entry, **facts}),
    )


RECORDS = [record(number, **facts) for number, facts in ENTRIES.items()]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("", [1, 2, 3]),
        ("kind:update_update", [1]),
        ("kind:update_*", [1, 2]),
        ("!kind:update_*", [3]),
        ("not kind:update_*", [3]),
        ("table:orders", [1, 3]),
        ("table:*.orders & kind:insert*", [3]),
        ("table:*.orders kind:insert*", [3]),
        ("kind:insert* | table:crm.*", [2, 3]),
        ("kind:insert_insert or kind:update_delete and table:shop.*", [3]),
        ("kind:stale_*", [1]),
        ("!kind:overlap", [2, 3]),
        ("(kind:insert_insert or kind:update_delete) and table:shop.*", [3]),
        ("!(kind:insert_insert | kind:update_delete)", [1]),
        ("!!id:1", [1]),
        ("since:5m", [1]),
        ("since:1d", [1, 2]),
        ("until:1d", [3]),
        ("since:1970-01-12T13:00", [1]),
        ("column:note", [1, 2, 3]),
        ("column:at", [2, 3]),
        ("key:2", [2]),
        ("won:b", [3]),
        ("won:none", [1, 2]),
        ("status:held", [1, 2, 3]),
        ("note = 'right'", [1]),
        ("note = right", [1]),
        ("a.note = right", []),
        ("a.note = 'it''s (x)'", [3]),
        ("note ~ 'it*'", [3]),
        ("total = 10.5", [1, 2]),
        ("total > 9", [1, 2]),
        ("total<0", [3]),
        ("b.total = 10.50", [1]),
        ("total != 10.5", [3]),
        ("a.total = NULL", [3]),
        ("o.total = 1", [3]),
        ("o.total > 1", []),
        ("at >= '2026-01-01'", [3]),
        ("nothing = 1", []),
        ("`note` = left", [1, 2]),
    ],
)
def test_words_compose(expression, found):
    match = selector.parse(expression, NOW)
    assert [r.conflict_id for r in RECORDS if match(r)] == found


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("kind:", "not expected here"),
        ("colour:red", "colour: is not known; use kind, table"),
        ("(kind:x", "not closed"),
        ("kind:x)", "not expected"),
        ("| kind:x", "not expected"),
        ("kind:x &", "the end"),
        ("since:soon", "is no time"),
        ("id:x", "give a number"),
        ("won:c", "name a, b or none"),
        ("total > NULL", "NULL is only equal"),
        ("bare", "write kind:update_delete"),
    ],
)
def test_what_cannot_be_read_is_one_line(expression, says):
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        selector.parse(expression, NOW)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("a", "b", "side"),
    [
        (5_000_001, 5_000_002, Side.B),
        (5_000_002, 5_000_001, Side.A),
        (5_000_001, 5_000_001, None),
        (0, 5_000_001, None),
        (5_000_000, 5_900_001, None),  # whole seconds on one side
        (5_000_000, 6_000_001, Side.B),
    ],
)
def test_the_newest_is_known_by_commit_times(a, b, side):
    assert selector.newest(record(1, a_commit_us=a, b_commit_us=b).entry) is side


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("NULL", None),
        ("12", "12"),
        ("'a'", "a"),
        ("''", ""),
        (r"'it\'s'", "it's"),
        ("'it''s'", "it's"),
        (r"'a\\b\nc\0'", "a\\b\nc\0"),
        ("X'00FF'", "X'00FF'"),
    ],
)
def test_a_literal_says_its_value(literal, value):
    assert literal_value(literal) == value
