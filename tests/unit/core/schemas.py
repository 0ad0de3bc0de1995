"""Schemas and paired tables for tests, in one line each."""

from __future__ import annotations

from syncer.core.pairing import PairedTable
from syncer.core.policy import Policy
from syncer.core.schema import Column, ForeignKey, TableName, TableSchema


def column(name="id", data_type="int", **facts):
    facts.setdefault("column_type", data_type)
    facts.setdefault("nullable", False)
    return Column(name=name, position=facts.pop("position", 0), data_type=data_type, **facts)


def text(name="id", collation="utf8mb4_general_ci", *, pad_space=True):
    return column(name, "varchar", collation=collation, charset="utf8mb4", pad_space=pad_space)


def table(*columns, key=("id",), name="t", parents=(), **facts):
    return TableSchema(
        name=TableName("shop", name),
        engine="InnoDB",
        columns=columns or (column(),),
        key=key,
        foreign_keys=tuple(
            ForeignKey(
                name=f"to_{parent}",
                columns=("id",),
                parent=TableName("shop", parent),
                parent_columns=("id",),
                on_delete="RESTRICT",
                on_update="RESTRICT",
            )
            for parent in parents
        ),
        **facts,
    )


def paired(a=None, b=None, *, table_id=1, columns=None, policy=None):
    a = a or table()
    names = columns or tuple(c.name for c in a.columns)
    return PairedTable(
        table_id=table_id,
        name=a.name,
        a=a,
        b=b or a,
        columns=names,
        written=names,
        policy=policy or Policy(),
    )
