"""Replicas as people name them."""

import pytest

from syncer.core.replica import Replica, parse_replica
from syncer.core.side import Side


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a=db3", Replica(Side.A, "db3", 3306)),
        (" b=db-4.example:3307 ", Replica(Side.B, "db-4.example", 3307)),
        ("b=[fe80::1]:1", Replica(Side.B, "fe80::1", 1)),
        ("a=[::1]", Replica(Side.A, "::1", 3306)),
    ],
)
def test_an_address_is_read(text, found):
    assert parse_replica(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "db3",
        "c=db3",
        "a=",
        "a=db3:",
        "a=db3:0",
        "a=db3:65536",
        "a=::1",
        "a=u:p@db3",
        "a=mysql://db3",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="replicas"):
        parse_replica(text)


def test_a_replica_is_named_with_its_side():
    assert str(parse_replica("b=[::1]:3307")) == "replica [::1]:3307 of side b"
