"""
Rows that have to do with each other, by a foreign key or a unique value, found where they are.

What is found says where to look and proves nothing (INV-3): it is read outside of any snapshot that a decision rests on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncer.core.key import Key
from syncer.core.links import NULL
from syncer.core.literals import split_image
from syncer.core.pairing import PairedTable
from syncer.mysql.columns import key_select, quote_name, read_key
from syncer.mysql.connection import Session
from syncer.mysql.documents import digest_select, read_digest
from syncer.mysql.statements import keys_condition, quote_table

Pairs = Sequence[tuple[str, str]]
"""Child column and the parent's column that it refers to."""


def children_of(
    session: Session,
    parent: PairedTable,
    keys: Sequence[Key],
    child: PairedTable,
    pairs: Pairs,
    most: int,
    among: Sequence[Key] | None = None,
) -> dict[Key, str]:
    """
    Return keys and digests of rows of *child* that refer to the rows of *keys*; "" for a row without a digest.

    Args:
        most: so many rows are found at most.
        among: the rows that are asked about; where not given, the child's foreign key is to have an index here.
    """
    side = session.side
    ours, theirs = child.schema(side), parent.schema(side)
    selected = [key_select(column) for column in ours.key_columns]
    selected += digest_select(child.compared(side), session.flavor)
    joined = " AND ".join(f"c.{quote_name(one)}=p.{quote_name(other)}" for one, other in pairs)
    asked = "" if among is None else f" AND {keys_condition(ours, among)}"
    # Bare column names mean the innermost table: p's inside, c's outside.
    sql = (
        f"SELECT {','.join(selected)} FROM {quote_table(ours.on_server)} c WHERE EXISTS ("
        f"SELECT 1 FROM {quote_table(theirs.on_server)} p WHERE {joined} AND {keys_condition(theirs, keys)}"
        f"){asked} LIMIT {int(most)}"
    )
    width = len(ours.key)
    return {
        read_key(ours.key_columns, row): read_digest(row[width:]) or ""
        for row in session.query(sql)
    }


def parents_of(
    session: Session,
    parent: PairedTable,
    pairs: Pairs,
    rows: Sequence[Mapping[str, str]],
) -> list[Key]:
    """
    Return the keys of the rows of *parent* that *rows* refer to.

    Args:
        rows: of a child, as this server's literals by column name in small letters; they need not be there any more.
    """
    schema = parent.schema(session.side)
    wanted = dict.fromkeys(
        " AND ".join(f"{quote_name(other)}={row[one.lower()]}" for one, other in pairs)
        for row in rows
        if all(one.lower() in row for one, _ in pairs)
    )
    if not wanted:
        return []
    selected = ",".join(key_select(column) for column in schema.key_columns)
    conditions = " OR ".join(f"({one})" for one in wanted)
    sql = f"SELECT {selected} FROM {quote_table(schema.on_server)} WHERE {conditions}"
    return [read_key(schema.key_columns, row) for row in session.query(sql)]


def rivals(
    session: Session, table: PairedTable, key: Key, image: str, most: int
) -> tuple[Key, ...]:
    """
    Return the keys of other rows that have a unique value of the row *image*, at most *most* for each unique key.

    Empty where none is found: it has gone meanwhile, or its index is over parts of columns or over expressions.
    """
    schema = table.schema(session.side)
    row = dict(zip(map(str.lower, table.written), split_image(image), strict=True))
    selected = ",".join(key_select(column) for column in schema.key_columns)
    found: dict[Key, None] = {}
    for columns in schema.unique:
        values = [row.get(name.lower(), NULL) for name in columns]
        if NULL in values:
            continue  # NULL is in nobody's way; what is not written is not known
        condition = " AND ".join(
            f"{quote_name(name)}={value}" for name, value in zip(columns, values, strict=True)
        )
        sql = (
            f"SELECT {selected} FROM {quote_table(schema.on_server)} WHERE {condition} "
            f"AND NOT ({keys_condition(schema, [key])}) LIMIT {int(most)}"
        )
        found |= dict.fromkeys(read_key(schema.key_columns, one) for one in session.query(sql))
    return tuple(found)
