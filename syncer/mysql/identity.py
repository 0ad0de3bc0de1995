"""
Which spellings of a key are the same row.

Under a collation that folds case, accents or trailing spaces, ``'a'`` and ``'A '`` are one key. Only a server can say so: it
is asked for the collation's own weights of every spelling, in one query for many keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from syncer.core.key import Key, Scalar
from syncer.core.schema import Column, TableSchema
from syncer.mysql.columns import MEMBERS, key_literal
from syncer.mysql.connection import Session
from syncer.mysql.statements import split_by_bytes

EXPRESSIONS_PER_QUERY = 2000
"""A result has at most 4,096 columns."""


def identities(session: Session, schema: TableSchema, keys: Iterable[Key]) -> dict[Key, Key]:
    """
    Map every key to one representative of its row: the first of *keys* with that identity.

    {} for no keys. No query where equal keys are equal tuples. Blocking. Idempotent.

    Limit: trailing spaces count as equal where the collation says so, trailing characters without any weight after a space
    (zero width, under the oldest Unicode collations) do not.

    Raises:
        DatabaseError: the server could not be asked.
    """
    chosen = list(dict.fromkeys(keys))
    folding = [at for at, column in enumerate(schema.key_columns) if folds(column)]
    if not folding or len(chosen) < 2:
        return {key: key for key in chosen}
    spelled = list(dict.fromkeys((at, key[at]) for key in chosen for at in folding))
    weights = _weights(session, schema.key_columns, spelled)
    first: dict[tuple[object, ...], Key] = {}
    return {
        key: first.setdefault(
            tuple(weights.get((at, part), part) for at, part in enumerate(key)), key
        )
        for key in chosen
    }


def joined(same: Sequence[Mapping[Key, Key]]) -> dict[Key, Key]:
    """Return the coarsest of the maps of ``identities``, of the same keys: what any of them holds to be one is one."""
    first, *others = same
    stands = dict(first)

    def root(key: Key) -> Key:
        while stands[key] != key:
            key = stands[key]
        return key

    for other in others:
        for key, representative in other.items():
            stands[root(key)] = root(representative)
    return {key: root(key) for key in first}


def folds(column: Column) -> bool:
    """Say whether two spellings of a value of *column* can be equal. ENUM and SET come in their one official spelling."""
    if column.collation is None or column.data_type in MEMBERS or column.collation == "binary":
        return False
    return column.pad_space or not column.collation.endswith("_bin")


def _weights(
    session: Session, columns: Sequence[Column], spelled: Sequence[tuple[int, Scalar]]
) -> dict[tuple[int, Scalar], str]:
    """Ask for the weights of each (key part, spelling), as hex text."""
    found: dict[tuple[int, Scalar], str] = {}
    for start in range(0, len(spelled), EXPRESSIONS_PER_QUERY):
        part = spelled[start : start + EXPRESSIONS_PER_QUERY]
        row: list[object] = []
        texts = [weight(columns[at], text) for at, text in part]
        for some in split_by_bytes(texts, session.most_bytes // 2):
            row += session.query("SELECT " + ",".join(some))[0]
        # A tag keeps weights apart from the plain values of other key parts.
        found.update(zip(part, (f"weight {value}" for value in row), strict=True))
    return found


def weight(column: Column, scalar: Scalar) -> str:
    """Return the expression for the weights of one spelling under the collation of *column*."""
    text = key_literal(column, scalar)
    if column.pad_space:
        text = f"RTRIM({text})"
    return f"HEX(WEIGHT_STRING(CONVERT({text} USING {column.charset}) COLLATE {column.collation}))"
