"""Schemas for tests, in one line each."""

from __future__ import annotations

from syncer.core.schema import Column, TableName, TableSchema


def column(name, data_type="int", **facts):
    facts.setdefault("column_type", data_type)
    facts.setdefault("nullable", False)
    return Column(name=name, position=0, data_type=data_type, **facts)


def text(name, collation="utf8mb4_general_ci", charset="utf8mb4", *, pad_space=True):
    return column(name, "varchar", collation=collation, charset=charset, pad_space=pad_space)


def table(*columns, key=("id",), name="t", **facts):
    return TableSchema(
        name=TableName("d`b", name),
        engine=facts.pop("engine", "InnoDB"),
        columns=columns,
        key=key,
        **facts,
    )
