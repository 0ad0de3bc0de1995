"""Rows are taken apart as the driver does it, value by value."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pymysql.connections import MySQLResult
from pymysql.protocol import MysqlPacket

from syncer.mysql.results import take_apart

VALUES = st.none() | st.binary(max_size=300) | st.integers(65_530, 65_540).map(bytes)


def encoded(value):
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + value
    return b"\xfd" + size.to_bytes(3, "little") + value


@given(st.lists(VALUES, max_size=6), st.data())
def test_rows_are_taken_apart_as_the_driver_does(values, data):
    plan = tuple(
        data.draw(st.sampled_from([(None, None), ("latin-1", None), ("latin-1", len), (None, len)]))
        for _ in range(len(values) + data.draw(st.integers(0, 1)))
    )
    packet = b"".join(map(encoded, values))
    result = MySQLResult(None)
    result.converters = plan
    assert take_apart(packet, plan) == result._read_row_from_packet(MysqlPacket(packet, "utf8"))


def test_a_very_long_value():
    long = bytes(1 << 24)
    packet = b"\xfe" + len(long).to_bytes(8, "little") + long + b"\1x"
    assert take_apart(packet, ((None, None), ("ascii", None))) == (long, "x")
