"""Which keys of a chunk differ, by what both sides said of it: for comparisons with proof and without alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from syncer.core.key import Key
from syncer.core.pairing import PairedTable
from syncer.core.side import Side
from syncer.mysql.documents import split
from syncer.mysql.keydigests import KeyDigests, read_entry, unlike
from syncer.mysql.reader import SnapshotReader, digest_of

Differing = dict[Key, tuple[str | None, str | None]]
"""Per key the digests of both sides' rows; None for no row."""
MOST_BY_KEY = 1000
"""More rows than so many are not read by their keys but with all others of their chunk."""


def by_entries(table: PairedTable, found: Mapping[Side, KeyDigests]) -> Differing | None:
    """Return what differs, by the texts of both sides; None where a server did not give all of its text."""
    if not all(one.whole for one in found.values()):
        return None
    only = unlike(found[Side.A].text, found[Side.B].text)
    a, b = (
        {
            key: digest or digest_of((None,))
            for key, digest in (read_entry(table.schema(side).key_columns, one) for one in entries)
        }
        for side, entries in zip(Side, only, strict=True)
    )
    return {key: (a.get(key), b.get(key)) for key in a | b}


def by_rows(found: Mapping[Side, Mapping[Key, str]]) -> Differing:
    """Return the keys whose digests differ, or that one side lacks."""
    a, b = found[Side.A], found[Side.B]
    unequal = [key for key, value in a.items() if b.get(key) != value]
    return {key: (a.get(key), b.get(key)) for key in (*unequal, *(k for k in b if k not in a))}


def closer_look(
    table: PairedTable, low: Key | None, high: Key | None, differing: Collection[Key] | None
) -> Callable[[SnapshotReader], dict[Key, str]] | None:
    """
    Return what to read of the chunk from *low* (inclusive) to *high* (exclusive), for ``by_rows``; None: *differing* is all there is to know.

    Where a text of keys and digests was cut off (*differing* is None), its rows come one by one. And documents that differ as
    texts may be equal by value (``documents.py``).
    """
    documents = any(split(table.compared(side))[1] for side in Side)
    if differing is not None and not (differing and documents):
        return None
    if differing is None or len(differing) > MOST_BY_KEY:
        return lambda reader: reader.digests_in_range(table, low, high)
    keys = list(differing)
    return lambda reader: reader.digests_by_key(table, keys)
