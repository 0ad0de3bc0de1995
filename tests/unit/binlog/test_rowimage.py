"""Row images made by hand; the real servers' are in tests/integration/test_tailer.py."""

from __future__ import annotations

import struct

import pytest

from syncer.binlog import rowimage, tablemap
from syncer.binlog.tablemap import LayoutUnknownError
from syncer.core import key as core_key
from syncer.core.schema import Column, TableName, TableSchema

TEXT = {"length": 100, "charset": "utf8mb4"}
COLUMNS = [
    ("note", tablemap.VARCHAR, struct.pack("<H", 400), "varchar", TEXT),
    ("id", tablemap.LONG, b"", "int", {}),
]


def table_map(columns=COLUMNS, extra: bytes = b"") -> tablemap.TableMap:
    meta = b"".join(column[2] for column in columns)
    kinds = bytes(column[1] for column in columns)
    body = b"\x01d\0\x01t\0" + bytes([len(columns)]) + kinds + bytes([len(meta)]) + meta
    return tablemap.parse(body + bytes((len(columns) + 7) // 8) + extra, 0)


def schema(*, columns=COLUMNS, key=("id",), **changes) -> TableSchema:
    made = [
        Column(
            name=name,
            position=at,
            data_type=kind,
            column_type=kind,
            nullable=True,
            **(more | changes.get(name, {})),
        )
        for at, (name, _, _, kind, more) in enumerate(columns)
    ]
    return TableSchema(name=TableName("d", "t"), engine="InnoDB", columns=tuple(made), key=key)


def row(note: bytes | None, number: int | None) -> bytes:
    # The unused bits of the null bitmap are set, as MySQL sets them.
    nulls = 0xFC | (note is None) | (number is None) << 1
    body = b"" if note is None else struct.pack("<H", len(note)) + note
    return bytes([nulls]) + body + (b"" if number is None else struct.pack("<i", number))


def test_keys_behind_nullable_columns() -> None:
    reader = rowimage.key_reader(table_map(), schema())
    body = b"\x02\xff" + row(b"abc", 5) + row(None, -6) + row(b"", 7)
    assert reader.read(body, 0) == [5, -6, 7]


def test_unsigned_keys_are_biased() -> None:
    found = table_map(
        extra=b"\x01\x01\x80"
    )  # optional metadata: signedness, first numeric column unsigned
    assert [column.unsigned for column in found.columns] == [None, True]
    reader = rowimage.key_reader(found, schema(id={"unsigned": True}))
    [stored] = reader.read(b"\x02\xff" + row(None, 5), 0)
    assert core_key.decode(stored, unsigned=True) == (5,)
    with pytest.raises(LayoutUnknownError, match="sign"):
        rowimage.key_reader(found, schema())


def test_an_after_image_without_the_key_keeps_it() -> None:
    reader = rowimage.key_reader(table_map(), schema())
    before, after = b"\xfe" + struct.pack("<i", 9), b"\xfe" + struct.pack("<H", 1) + b"x"
    assert reader.read(b"\x02\x02\x01" + before + after, 0, update=True) == [9, 9]


def test_an_after_image_of_nothing_changes_nothing() -> None:
    reader = rowimage.key_reader(table_map(), schema())
    rows = b"".join(b"\xfe" + struct.pack("<i", key) for key in (9, 8))
    assert reader.read(b"\x02\x02\x00" + rows, 0, update=True) == [9, 9, 8, 8]


def test_half_a_composite_key_in_an_after_image() -> None:
    reader = rowimage.key_reader(table_map(), schema(key=("id", "note")))
    before, after = row(b"old", 9), b"\xfe" + struct.pack("<H", 3) + b"new"
    images = reader.read(b"\x02\x03\x01" + before + after, 0, update=True)
    assert [core_key.decode(image) for image in images] == [(9, "old"), (9, "new")]


@pytest.mark.parametrize(
    "body",
    [
        b"\x03\xff" + row(b"a", 1),  # another number of columns
        b"\x02\xff" + row(b"a", 1) + b"\xfc",  # a torn row
        b"\x02\xff" + row(b"a", None),  # a NULL key
        b"\x02\x01" + b"\xfe" + struct.pack("<H", 0),  # an image without its key
    ],
)
def test_what_does_not_fit_is_never_guessed(body: bytes) -> None:
    with pytest.raises(LayoutUnknownError):
        rowimage.key_reader(table_map(), schema()).read(body, 0)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"note": {"length": 50}}, ("note",)),
        ({"note": {"charset": "big5"}}, ("note",)),
        ({}, ()),
    ],
)
def test_layouts_that_do_not_fit_are_refused(changes, key) -> None:
    with pytest.raises(LayoutUnknownError):
        rowimage.key_reader(table_map(), schema(key=key, **changes))


def test_columns_of_another_type_are_refused() -> None:
    with pytest.raises(LayoutUnknownError):
        rowimage.key_reader(table_map(), schema(columns=list(reversed(COLUMNS))))


def test_invalid_text_is_not_a_key() -> None:
    with pytest.raises(LayoutUnknownError):
        rowimage.key_reader(table_map(), schema(key=("note",))).read(
            b"\x02\xff" + row(b"\xff", 1), 0
        )


def test_column_names_in_the_binlog_must_agree() -> None:
    # Full metadata: names, each with its length. A swap of two columns of one type shows in nothing else.
    same, swapped = b"\x04\x08\x04note\x02ID", b"\x04\x08\x02id\x04note"
    rowimage.key_reader(table_map(extra=same), schema())
    with pytest.raises(LayoutUnknownError, match="names"):
        rowimage.key_reader(table_map(extra=swapped), schema())
