"""What the map says, both ways, and what it cannot say."""

import pytest

from syncer.core.naming import AS_THEY_ARE, clashes, parse_map
from syncer.core.pairing import key_signature
from syncer.core.schema import TableName
from syncer.core.side import Side
from tests.unit.core.schemas import table


def name(text):
    return TableName(*text.split("."))


def there(entries, text):
    return str(parse_map(tuple(entries)).b.there(name(text)))


def here(entries, text):
    found = parse_map(tuple(entries)).b.here(name(text))
    return found and str(found)


BOTH = ("shop=store", "shop.orders=archive.purchases")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("shop.items", "store.items"),
        ("shop.orders", "archive.purchases"),
        ("crm.people", "crm.people"),
        ("archive.old", "archive.old"),
    ],
)
def test_a_table_goes_before_its_database_and_all_else_keeps_its_name(ours, theirs):
    assert there(BOTH, ours) == theirs
    assert here(BOTH, theirs) == ours


@pytest.mark.parametrize("theirs", ["shop.items", "shop.orders", "store.orders"])
def test_a_name_of_side_b_that_means_another_table_of_the_pair_means_none(theirs):
    assert here(BOTH, theirs) is None


def test_names_may_change_places():
    swapped = ("shop.a=shop.b", "shop.b=shop.a")
    assert there(swapped, "shop.a") == "shop.b"
    assert here(swapped, "shop.a") == "shop.b"
    assert here(("x=y", "y=x"), "x.t") == "y.t"
    assert clashes(parse_map(swapped).b, [name("shop.a"), name("shop.b")]) == {}


def test_side_a_has_the_names_of_the_pair():
    assert parse_map(BOTH).on(Side.A) is AS_THEY_ARE
    assert parse_map(BOTH).on(Side.B).there(name("shop.x")) == name("store.x")


@pytest.mark.parametrize(
    ("entries", "table_of_a", "owner"),
    [
        (("shop.orders=shop.items",), "shop.items", "shop.orders"),
        (("shop=store",), "store.items", "shop.items"),
        (("shop=store", "crm.x=store.items"), "shop.items", "crm.x"),
    ],
)
def test_two_tables_that_one_name_would_be_are_found(entries, table_of_a, owner):
    found = clashes(parse_map(entries).b, [name(table_of_a), name(owner), name("other.t")])
    assert found == {name(table_of_a): name(owner)}


def test_odd_names_stand_in_back_quotes():
    assert parse_map(("`a.b`.`c``=d`=x.`y z`",)).b.there(TableName("a.b", "c`=d")) == name("x.y z")
    assert parse_map(("`日 本`=é",)).b.database("日 本") == "é"


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (("shop",), "neither DATABASE=DATABASE nor"),
        (("shop=store.x",), "neither DATABASE=DATABASE nor"),
        (("shop.x=store",), "neither DATABASE=DATABASE nor"),
        (("a.b.c=x.y",), "neither"),
        (("=",), "neither"),
        (("shop.*=store.*",), "a name is mapped to a name, not a pattern"),
        (("shop=a", "shop=b"), "shop is mapped to a and to b"),
        (("shop=x", "crm=x"), "shop and crm are both mapped to x"),
        (("s.a=t.x", "s.b=t.x"), "s.a and s.b are both mapped to t.x"),
    ],
)
def test_what_the_map_cannot_say_is_refused_by_name(entries, words):
    with pytest.raises(ValueError, match="map: ") as caught:
        parse_map(entries)
    assert words in str(caught.value)


def test_keys_of_a_table_that_is_mapped_elsewhere_are_other_keys():
    """Marks of the one table say nothing of the other; one that was never mapped keeps the marks it has."""
    plain, mapped = table(), table(stored_as=TableName("store", "t"))
    assert key_signature(plain) == "id signed"
    assert len({key_signature(t) for t in (plain, mapped, table(stored_as=name("x.t")))}) == 3
    assert not plain.same_shape(mapped)
