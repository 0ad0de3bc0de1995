"""
SQL text for reading and writing rows. Pure: text in, text out; nobody is asked anything.

Rows travel as images, the comma-separated SQL literals that the source rendered (design §5). REPLACE is never used, and
``ON DUPLICATE KEY UPDATE`` only for rows that are locked and known to be there (design §9). Every written column is named:
``ON UPDATE CURRENT_TIMESTAMP`` never fires.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from syncer.core.key import Key
from syncer.core.literals import split_image
from syncer.core.schema import Column, TableName, TableSchema
from syncer.core.side import Side
from syncer.mysql import chunktext, keydigests, rowtext
from syncer.mysql.columns import image, key_select, quote_name, quote_text
from syncer.mysql.digests import chunk_digest, multiset_digest, small_digest
from syncer.mysql.documents import digest_select
from syncer.mysql.flavor import Flavor
from syncer.mysql.ranges import (
    key_condition,
    keys_condition,
    range_condition,
    scope_condition,
    split_keys,
)

__all__ = [
    "delete_rows",
    "empty_columns",
    "insert_rows",
    "key_condition",
    "keys_condition",
    "order_by",
    "overwrite_rows",
    "quote_name",
    "quote_table",
    "range_condition",
    "scope_condition",
    "select_boundary",
    "select_children",
    "select_chunk_digest",
    "select_chunk_values",
    "select_count_before",
    "select_digests",
    "select_entries",
    "select_in_scope",
    "select_keys_digest",
    "select_multiset_digest",
    "select_parents_with_children",
    "select_row_digests",
    "select_rows_as_text",
    "select_small_digest",
    "split_by_bytes",
    "split_keys",
    "split_rows",
    "table_by_key",
    "try_filter",
    "update_row",
    "update_rows",
]

_BETWEEN_ROWS = "),("


def quote_table(name: TableName) -> str:
    """Return the table's full name, quoted."""
    return f"{quote_name(name.database)}.{quote_name(name.name)}"


def table_by_key(schema: TableSchema) -> str:
    """Return the table for a FROM clause, with a hint that keeps the optimiser on the key (a locking scan locks all rows)."""
    return f"{quote_table(schema.on_server)} FORCE INDEX ({quote_name(schema.key_index)})"


def order_by(schema: TableSchema, *, descending: bool = False) -> str:
    """Return the list for ORDER BY that puts rows in key order, which is the index's."""
    suffix = " DESC" if descending else ""
    return ",".join(f"{quote_name(column.name)}{suffix}" for column in schema.key_columns)


def select_digests(
    schema: TableSchema,
    flavor: Flavor,
    columns: Sequence[Column],
    condition: str,
    *,
    lock: bool = False,
    images: Sequence[Column] = (),
    extra: Sequence[str] = (),
    ordered: bool = False,
) -> str:
    """
    Select key columns, what ``documents.read_digest`` makes the row's digest of, then the image where *images* are given, then the expressions *extra*.

    Args:
        columns: the compared columns, in the pair's order.
        condition: from ``keys_condition`` or ``range_condition``.
        lock: lock the rows, and under REPEATABLE READ the gaps of absent keys.
        ordered: in key order.
    """
    selected = [key_select(column) for column in schema.key_columns]
    selected.extend(digest_select(columns, flavor))
    if images:
        selected.append(image(images))
    selected.extend(extra)
    order = f" ORDER BY {order_by(schema)}" if ordered else ""
    return (
        f"SELECT {','.join(selected)} FROM {table_by_key(schema)} WHERE {condition}{order}"
        f"{' FOR UPDATE' if lock else ''}"
    )


def select_rows_as_text(
    schema: TableSchema,
    flavor: Flavor,
    columns: Sequence[Column],
    images: Sequence[Column],
    condition: str,
) -> str:
    """Select number and text of the rows (``rowtext.py``) that *condition* is about."""
    return (
        f"SELECT {rowtext.select(schema, flavor, columns, images)} "
        f"FROM {table_by_key(schema)} WHERE {condition}"
    )


def select_chunk_digest(
    schema: TableSchema,
    flavor: Flavor,
    columns: Sequence[Column],
    low: Key | None,
    high: Key | None,
    *,
    as_text: bool = False,
) -> str:
    """
    Select row count and digest of the keys from *low* (inclusive) to *high* (exclusive).

    *as_text*: the digest of ``chunktext.py``, where the table fits it.
    """
    rows = (
        f"FROM {table_by_key(schema)} "
        f"WHERE {scope_condition(schema, range_condition(schema, low, high))}"
    )
    if as_text:
        return chunktext.select(columns, rows)
    return f"SELECT {chunk_digest(columns, flavor)} {rows}"


def select_entries(
    schema: TableSchema,
    flavor: Flavor,
    columns: Sequence[Column],
    low: Key | None,
    high: Key | None,
    side: Side,
) -> str:
    """Select what ``keydigests.KeyDigests`` holds of the keys from *low* (inclusive) to *high* (exclusive)."""
    return (
        f"SELECT {keydigests.select(schema, flavor, columns, side)} FROM {table_by_key(schema)} "
        f"WHERE {scope_condition(schema, range_condition(schema, low, high))}"
    )


def select_keys_digest(
    schema: TableSchema,
    flavor: Flavor,
    columns: Sequence[Column],
    keys: Sequence[Key],
    *,
    lock: bool,
) -> str:
    """Select row count and digest of the rows of *keys*; with *lock* they are locked, in the index's order."""
    return (
        f"SELECT {chunk_digest(columns, flavor)} FROM {table_by_key(schema)} "
        f"WHERE {keys_condition(schema, keys)}{' FOR UPDATE' if lock else ''}"
    )


def select_chunk_values(
    schema: TableSchema,
    flavor: Flavor,
    columns: Sequence[Column],
    images: Sequence[Column],
    low: Key | None,
    high: Key | None,
    *,
    line_end: str | None = None,
) -> str:
    """
    Select row count, digest and all images of the keys from *low* (inclusive) to *high* (exclusive).

    The images come as one text, ready to stand between the outer parentheses of VALUES, or as the bytes of lines with *line_end*
    between them; NULL for no rows.
    """
    images_of = f"GROUP_CONCAT({image(images)} SEPARATOR {quote_text(line_end or _BETWEEN_ROWS)})"
    if line_end is not None:
        images_of = f"CAST({images_of} AS BINARY)"
    return (
        f"SELECT {chunk_digest(columns, flavor)},{images_of} "
        f"FROM {table_by_key(schema)} "
        f"WHERE {scope_condition(schema, range_condition(schema, low, high))}"
    )


def split_rows(values: str, rows: int, most_bytes: int) -> Iterator[str]:
    """
    Divide what ``select_chunk_values`` gave for VALUES between rows, into texts of about *most_bytes* at most.

    It stays whole where a value holds what stands between rows. Were one taken for such after all, since rows are missing in the
    text, its literal would have no end, and the server would refuse the statement.
    """
    if len(values) > most_bytes and values.count(_BETWEEN_ROWS) == rows - 1:
        begin = 0
        while len(values) - begin > most_bytes:
            end = values.rfind(_BETWEEN_ROWS, begin, begin + most_bytes)
            if end < 0:
                end = values.find(_BETWEEN_ROWS, begin + most_bytes)
            if end < 0:
                break
            yield values[begin:end]
            begin = end + len(_BETWEEN_ROWS)
        values = values[begin:]
    yield values


def select_small_digest(
    schema: TableSchema, flavor: Flavor, columns: Sequence[Column], number: int, most_rows: int
) -> str:
    """
    Select *number*, then row count and digest of a whole table, fit to be one part of a UNION ALL.

    No more than *most_rows* and one are read: where the count says so, the digest is of no use.
    """
    where = f" WHERE {schema.where}" if schema.where else ""
    rows = f"FROM {quote_table(schema.on_server)}{where} LIMIT {int(most_rows) + 1}"
    return f"SELECT {int(number)}, {small_digest(columns, flavor, rows)}"


def select_multiset_digest(schema: TableSchema, flavor: Flavor, columns: Sequence[Column]) -> str:
    """Select row count, XOR and sum of the digests of all rows; the table needs no key."""
    where = f" WHERE {schema.where}" if schema.where else ""
    return f"SELECT {multiset_digest(columns, flavor)} FROM {quote_table(schema.on_server)}{where}"


def select_row_digests(
    schema: TableSchema, flavor: Flavor, columns: Sequence[Column], prefix: str
) -> str:
    """
    Select what ``documents.read_digest`` makes digests of, and how many rows have it; the table needs no key.

    Args:
        prefix: hex digits that the server's part of the digest begins with; a row without one counts to those of zeros.
    """
    cells = digest_select(columns, flavor)
    conditions = [f"{cells[0]} LIKE '{prefix}%'"] if prefix else []
    if prefix and not prefix.strip("0"):
        conditions = [f"IFNULL({cells[0]},'{prefix}') LIKE '{prefix}%'"]
    conditions += [f"({schema.where})"] if schema.where else []
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    if len(cells) > 1:
        return f"SELECT {','.join(cells)}, 1 FROM {quote_table(schema.on_server)}{where}"
    return (
        f"SELECT {cells[0]} AS d, COUNT(*) FROM {quote_table(schema.on_server)}{where} GROUP BY d"
    )


def select_boundary(schema: TableSchema, low: Key | None, high: Key | None, rows: int) -> str:
    """Select the key that stands *rows* rows after the first one of the range; no row where it holds no more than *rows*."""
    keys = ",".join(key_select(column) for column in schema.key_columns)
    return (
        f"SELECT {keys} FROM {table_by_key(schema)} WHERE {range_condition(schema, low, high)} "
        f"ORDER BY {order_by(schema)} LIMIT {int(rows)},1"
    )


def select_count_before(schema: TableSchema, high: Key | None) -> str:
    """Select the number of rows with a key below *high* (exclusive)."""
    return (
        f"SELECT COUNT(*) FROM {table_by_key(schema)} WHERE {range_condition(schema, None, high)}"
    )


def select_children(
    schema: TableSchema,
    columns: Sequence[str],
    values: Sequence[Key],
    read: Sequence[Column],
    limit: int,
) -> str:
    """Select *read* from the rows whose *columns*, which an index begins with, are one of *values*."""
    by_value = msgspec.structs.replace(schema, key=tuple(columns))
    return (
        f"SELECT {','.join(key_select(column) for column in read)} FROM {quote_table(schema.on_server)} "
        f"WHERE {keys_condition(by_value, values)} LIMIT {int(limit)}"
    )


def select_parents_with_children(
    parent: TableSchema,
    keys: Sequence[Key],
    child: TableSchema,
    pairs: Sequence[tuple[str, str]],
    but: Sequence[Key],
) -> str:
    """
    Select the keys, of *keys*, of rows that rows of *child* refer to.

    Args:
        pairs: child column and the parent column that it refers to.
        but: keys of children that do not count.
    """
    selected = ",".join(key_select(column) for column in parent.key_columns)
    joined = " AND ".join(f"c.{quote_name(ours)}=p.{quote_name(theirs)}" for ours, theirs in pairs)
    # Bare column names mean the innermost table: p's outside, c's inside.
    rest = f" AND NOT ({keys_condition(child, but)})" if but else ""
    return (
        f"SELECT {selected} FROM {quote_table(parent.on_server)} p WHERE {keys_condition(parent, keys)} "
        f"AND EXISTS (SELECT 1 FROM {quote_table(child.on_server)} c WHERE {joined}{rest})"
    )


def select_in_scope(schema: TableSchema) -> str:
    """Return the expression that is 1 for a row that the table's filter takes, else 0."""
    return f"IF(({schema.where}),1,0)"


def try_filter(schema: TableSchema) -> str:
    """Select nothing, so that the server says what it thinks of the filter."""
    return f"SELECT {select_in_scope(schema)} FROM {quote_table(schema.on_server)} LIMIT 0"


def insert_rows(schema: TableSchema, columns: Sequence[Column], images: Sequence[str]) -> str:
    """
    Insert rows that are not there; a row that is makes the server refuse the whole statement.

    *images*: one row each, or several that ``select_chunk_values`` gave as one text.
    """
    names = ",".join(quote_name(column.name) for column in columns)
    return f"INSERT INTO {quote_table(schema.on_server)} ({names}) VALUES ({'),('.join(images)})"


def overwrite_rows(schema: TableSchema, columns: Sequence[Column], images: Sequence[str]) -> str:
    """
    Overwrite many rows at once.

    Only for rows that are locked and known to be there, of tables without another unique key and without triggers:
    anywhere else it could change or insert a row that nobody meant.
    """
    if schema.unique or schema.triggers:
        raise ValueError(f"{schema.name} has unique keys or triggers: update row by row")
    assigned = [f"{quote_name(c.name)}=VALUES({quote_name(c.name)})" for c in columns]
    assigned += _kept(schema, columns)
    return f"{insert_rows(schema, columns, images)} ON DUPLICATE KEY UPDATE {','.join(assigned)}"


def _kept(schema: TableSchema, written: Sequence[Column]) -> list[str]:
    """Assignments that keep columns as they are which are not written and would become the present time."""
    names = {column.name for column in written}
    return [
        f"{quote_name(c.name)}={quote_name(c.name)}"
        for c in schema.columns
        if c.on_update and c.name not in names
    ]


def update_row(schema: TableSchema, columns: Sequence[Column], row: str, key: Key) -> str:
    """Update the row of *key* to the image *row*; key columns too, since the spelling of a key may change."""
    literals = split_image(row)
    assigned = [
        f"{quote_name(column.name)}={text}" for column, text in zip(columns, literals, strict=True)
    ]
    assigned += _kept(schema, columns)
    return (
        f"UPDATE {table_by_key(schema)} SET {','.join(assigned)} WHERE {key_condition(schema, key)}"
    )


def update_rows(
    schema: TableSchema, columns: Sequence[Column], images: Sequence[str], keys: Sequence[Key]
) -> list[str]:
    """Return the statements that update the rows of *keys* to *images*, in one where the table allows it."""
    if not images:
        return []
    if not schema.unique and not schema.triggers:
        return [overwrite_rows(schema, columns, images)]
    return [update_row(schema, columns, row, key) for row, key in zip(images, keys, strict=True)]


def delete_rows(schema: TableSchema, keys: Sequence[Key]) -> str:
    """Delete the rows of *keys*. The form with two table names is the one that takes an index hint."""
    table = quote_table(schema.on_server)
    return f"DELETE {table} FROM {table_by_key(schema)} WHERE {keys_condition(schema, keys)}"


def empty_columns(schema: TableSchema, columns: Sequence[str], keys: Sequence[Key]) -> str:
    """Set *columns* of the rows of *keys* to NULL."""
    assigned = ",".join(f"{quote_name(column)}=NULL" for column in columns)
    return f"UPDATE {table_by_key(schema)} SET {assigned} WHERE {keys_condition(schema, keys)}"


def split_by_bytes(images: Sequence[str], limit: int) -> Iterator[list[str]]:
    """
    Split *images* into lists of at most *limit* bytes, for ``max_allowed_packet``.

    An image above the limit stands alone; no list is empty.
    """
    batch: list[str] = []
    size = 0
    for text in images:
        length = len(text.encode("utf-8", "surrogateescape")) + 3
        if batch and size + length > limit:
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch
