"""Keys and their stored form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core.key import decode, encode

SCALARS = st.one_of(
    st.integers(-(1 << 63), (1 << 64) - 1), st.text(max_size=8), st.binary(max_size=8)
)


@given(st.lists(SCALARS, min_size=1, max_size=4).map(tuple))
def test_any_key_comes_back_as_it_was(key):
    stored = encode(key, integer=False)
    assert isinstance(stored, bytes)
    assert decode(stored) == key
    assert [type(part) for part in decode(stored)] == [type(part) for part in key]


@given(st.lists(SCALARS, min_size=1, max_size=2), st.lists(SCALARS, min_size=1, max_size=2))
def test_different_keys_are_stored_differently(one, other):
    """Text and bytes of one content, 1 and '1', ('a','b') and ('ab',): all are apart."""
    same = [(type(part), part) for part in one] == [(type(part), part) for part in other]
    assert (encode(tuple(one), integer=False) == encode(tuple(other), integer=False)) is same


@pytest.mark.parametrize(
    ("one", "other"), [(("a",), (b"a",)), ((1,), ("1",)), (("a", "b"), ("ab",)), (("",), (b"",))]
)
def test_forms_that_look_alike_are_apart(one, other):
    assert encode(one, integer=False) != encode(other, integer=False)


@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 63), (1 << 63) - 1))
def test_signed_integers_keep_their_order(one, other):
    stored = [encode((number,), integer=True) for number in (one, other)]
    assert (stored[0] < stored[1]) is (one < other)
    assert decode(stored[0]) == (one,)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
def test_unsigned_integers_fit_sqlite_and_keep_their_order(one, other):
    stored = [encode((number,), integer=True, unsigned=True) for number in (one, other)]
    assert all(-(1 << 63) <= number < 1 << 63 for number in stored)
    assert (stored[0] < stored[1]) is (one < other)
    assert decode(stored[0], unsigned=True) == (one,)


def test_an_integer_key_of_text_is_refused():
    with pytest.raises(TypeError):
        encode(("1",), integer=True)
