"""
Primary-key values and their stored form.

A key is a tuple with one scalar per key column, in key order. The scalar's form depends on the column's type alone, so
that the binlog decoder, the SQL reader and the ledger agree on it:

======================================  ===========================================================
column type                             scalar
======================================  ===========================================================
TINYINT..BIGINT, YEAR, BIT              ``int``
CHAR, VARCHAR, TEXT, ENUM, SET          ``str`` (ENUM and SET by member text)
CHAR, VARCHAR, TEXT in other character  ``bytes``: the text's own
sets than Unicode and latin1
BINARY, VARBINARY, BLOB                 ``bytes`` (BINARY(n) is padded with NUL to n)
UUID, INET4, INET6                      ``bytes``, 16 or 4
DECIMAL, DATE, TIME, DATETIME,          ``str``: the server's text; times with the column's
TIMESTAMP                               fraction digits, TIMESTAMP in UTC
======================================  ===========================================================

Two spellings of one key under a case-insensitive or PAD SPACE collation are different tuples here; only a server can say
that they are the same row, see ``mysql/identity.py``. Nothing in Python orders keys, but for single integers.
"""

from __future__ import annotations

import msgspec

Scalar = int | str | bytes
Key = tuple[Scalar, ...]

_BIAS = 1 << 63
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple)  # msgspec has no union of str and bytes

StoredKey = int | bytes
"""A key as the ledger stores it: an INTEGER for a single-integer key, else a BLOB."""


def encode(key: Key, *, integer: bool, unsigned: bool = False) -> StoredKey:
    """
    Return the stored form of *key*.

    Args:
        integer: the key is a single integer column; the stored form keeps numeric order.
        unsigned: that column is unsigned; values are biased by -2**63 to fit SQLite's signed 64 bits.
    """
    if integer:
        value = key[0]
        if not isinstance(value, int):
            raise TypeError("an integer key holds one int")
        return value - _BIAS if unsigned else value
    return _encoder.encode(key)


def decode(stored: StoredKey, *, unsigned: bool = False) -> Key:
    """Undo ``encode``; *unsigned* must be what it was there."""
    if isinstance(stored, int):
        return (stored + _BIAS if unsigned else stored,)
    key: Key = _decoder.decode(stored)
    return key
