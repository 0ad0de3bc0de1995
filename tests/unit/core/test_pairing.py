"""Parents before children, whatever order they come in."""

from __future__ import annotations

import itertools

import pytest

from syncer.core.pairing import write_order
from tests.unit.core.schemas import paired, table


def names(tables):
    return [found.name.name for found in write_order(tables)]


def graph(**parents):
    return [paired(table(name=name, parents=above)) for name, above in parents.items()]


def test_parents_come_first_in_any_order_of_input():
    tables = graph(a=["c"], b=["a"], c=[], d=["a", "c"])
    for order in itertools.permutations(tables):
        found = names(order)
        assert sorted(found) == ["a", "b", "c", "d"]
        for child, parent in (("a", "c"), ("b", "a"), ("d", "a"), ("d", "c")):
            assert found.index(parent) < found.index(child)


def test_a_table_that_refers_to_itself_does_not_wait():
    assert names(graph(tree=["tree"], leaf=["tree"])) == ["tree", "leaf"]


def test_parents_out_of_scope_do_not_count():
    assert names(graph(child=["elsewhere"])) == ["child"]


@pytest.mark.parametrize("flip", [False, True])
def test_a_cycle_is_broken_in_name_order(flip):
    tables = graph(b=["a"], a=["b"], free=[])
    found = names(reversed(tables) if flip else tables)
    assert found == ["free", "a", "b"]


def test_what_hangs_on_a_cycle_comes_after_it():
    assert names(graph(a=["b"], b=["a"], z=["b"], c=["z"])) == ["a", "b", "z", "c"]


def test_a_foreign_key_on_one_side_alone_counts():
    child = paired(table(name="a"), table(name="a", parents=["z"]))
    assert names([child, paired(table(name="z"))]) == ["z", "a"]


def test_no_tables_are_no_tables():
    assert write_order([]) == []
