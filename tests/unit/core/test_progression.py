"""Progressions against sets."""

from hypothesis import given
from hypothesis import strategies as st

from syncer.core.progression import Progression, intersect, made, subtract


@st.composite
def progressions(draw):
    low, step, size = draw(st.integers(-40, 40)), draw(st.integers(1, 7)), draw(st.integers(1, 20))
    return made(low, low + (size - 1) * step, step)


def members(*some):
    found = [key for one in some for key in one.members()]
    assert len(found) == len(set(found)), "disjoint"
    assert all(one.size == len(one.members()) and one.high == one.members()[-1] for one in some)
    return set(found)


@given(progressions(), progressions())
def test_what_both_hold(one, other):
    both = intersect(one, other)
    assert (members(both) if both else set()) == members(one) & members(other)


@given(progressions(), progressions())
def test_what_is_left(whole, other):
    hole = intersect(whole, other)
    if hole is not None:
        assert members(*subtract(whole, hole)) == members(whole) - members(hole)


@given(progressions(), st.sets(st.integers(0, 19)))
def test_members_taken_out_and_put_together(whole, places):
    some = {key for place, key in enumerate(whole.members()) if place in places}
    assert members(*whole.parts(some)) == some
    assert members(*whole.without(some)) == members(whole) - some


@given(progressions(), st.sets(st.integers(-60, 160)))
def test_what_of_others_lies_inside(whole, values):
    assert list(whole.inside(sorted(values))) == sorted(values & members(whole))


def test_one_member_has_one_form():
    assert made(5, 5, 3) == Progression(5, 5) == Progression(5, 5, 1)
    assert Progression(5, 5).lattice == (1, 0)
    assert Progression(5, 9, 2).lattice == (2, 1)
