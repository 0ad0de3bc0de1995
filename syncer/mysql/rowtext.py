"""
Many rows as one text: key, digest and image of each, where the key is one integer. Pure.

A driver takes a result apart value by value; a text is taken apart in a few calls, which costs a third. No literal holds the
character that ends an entry, since a server's QUOTE escapes it. Where a row has no digest or image, or the server cut the text
off, for its ``max_allowed_packet``, what is left does not add up, and nothing follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from syncer.core.schema import Column, TableSchema
from syncer.mysql.columns import image, key_select, quote_text
from syncer.mysql.documents import digest_select, split
from syncer.mysql.flavor import Flavor

END = "\0"


def fits(schema: TableSchema, columns: Sequence[Column]) -> bool:
    """Say whether rows can come so: one integer is the key, no filter is asked, and no document is compared by value."""
    return schema.integer_key and not schema.where and not split(columns)[1]


def select(
    schema: TableSchema, flavor: Flavor, columns: Sequence[Column], images: Sequence[Column]
) -> str:
    """Return the expressions to select, without FROM: how many rows, and their text; NULL for none."""
    [digest] = digest_select(columns, flavor)
    key = key_select(schema.key_columns[0])
    entry = f"{key},',',{digest},',',{image(images)},{quote_text(END)}"
    return f"COUNT(*),GROUP_CONCAT({entry} SEPARATOR '')"


def take_apart(count: int, text: str) -> Iterator[tuple[int, str, str]]:
    """
    Yield key, digest and image of each of *count* rows.

    Raises ValueError where *text* is not all of them.
    """
    entries = text.split(END)
    if len(entries) != count + 1 or entries.pop():
        raise ValueError("the text is not whole")
    for entry in entries:
        key, digest, whole = entry.split(",", 2)
        yield int(key), digest, whole
