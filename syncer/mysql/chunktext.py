"""
The rows of a chunk as one text, and its digest: for rows that both sides read in the same order. Pure; no I/O in here.

``digests.chunk_digest`` does not care for the order: it hashes every row and joins the numbers. MariaDB needs more time to make a
number of a hash than for the hash itself, and one hash of all rows costs it next to nothing: a quarter less in all [measured]. MySQL
is slower so, since its GROUP_CONCAT is, and a mixed pair needs the same digest on both sides.

Were the order another one after all, equal rows would have different digests: their keys and digests are looked at then, which costs
time and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncer.core.pairing import PairedTable
from syncer.core.schema import Column
from syncer.mysql.digests import COMMA, NO_TEXT, has_texts, may_be_null, row_text
from syncer.mysql.flavor import Flavor

TEXT_BYTES = 8 << 20
"""Larger chunks are left out. A text may be twice as long as its rows, and still be below the ``max_allowed_packet`` that is the default."""
_LIMIT = "LEAST(@@group_concat_max_len,@@max_allowed_packet)-8"
"""A text of so many bytes may have been cut off, within a character or before it: with a warning, and nothing else that tells."""


def fits(table: PairedTable, flavor: Flavor, rows: int) -> bool:
    """Say whether chunks of about so many *rows* are digested so by a server of *flavor*: by those of both sides then."""
    if flavor is not Flavor.MARIADB or table.mixed or rows * table.row_bytes > TEXT_BYTES:
        return False
    return table.read_alike


def select(columns: Sequence[Column], rows: str) -> str:
    """
    Select the row count, and 64 bits of the SHA-256 of the texts of all *rows*, which is the rest of a SELECT from FROM on.

    Each row has the same number of fields, and no field holds what stands between (``digests.row_text``): no other rows have that
    text. Where a row has none, or all are too long for one, it is a number that no other digest has. It is NULL for no rows.
    """
    text = row_text(columns, Flavor.MARIADB)
    if may_be_null(columns, Flavor.MARIADB):
        text = f"IFNULL({text},UUID_SHORT())"
    between = NO_TEXT if has_texts(columns) else COMMA
    whole = f"SELECT COUNT(*) AS n, GROUP_CONCAT({text} SEPARATOR {between}) AS t {rows}"
    number = "CAST(CONV(LEFT(SHA2(t,256),16),16,10) AS UNSIGNED)"
    unlike = "IF(n=0,NULL,UUID_SHORT())"
    return f"SELECT n, IF(OCTET_LENGTH(t)<{_LIMIT},{number},{unlike}) FROM ({whole}) AS c"
