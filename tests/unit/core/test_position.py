"""Places in a stream."""

from __future__ import annotations

import pytest

from syncer.core.position import Coordinate, GtidSet, MariaDbGtids, StreamPosition

U = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
V = "3e11fa47-71ca-11e1-9e33-c80aa9429563"


def test_coordinates_are_ordered_by_number_beyond_six_digits():
    """``binlog.999999`` is followed by ``binlog.1000000``, which is less as text."""
    last = Coordinate.parse("binlog.999999", 500)
    first = Coordinate.parse("binlog.1000000", 4)
    assert last < first
    assert first.index == 1_000_000
    assert Coordinate.parse("binlog.000012", 4) == Coordinate(12, 4)


def test_offsets_decide_within_a_file():
    assert Coordinate(3, 99) < Coordinate(3, 100) < Coordinate(4, 4)


@pytest.mark.parametrize(("file", "index"), [("a.b.000007", 7), ("db-01.3.000010", 10), (".1", 1)])
def test_only_the_last_part_of_a_file_name_is_its_number(file, index):
    assert Coordinate.parse(file, 4).index == index


@pytest.mark.parametrize("file", ["binlog", "binlog.", "binlog.12a", "12"])
def test_a_file_name_without_a_number_is_refused(file):
    with pytest.raises(ValueError, match="binlog file name"):
        Coordinate.parse(file, 4)


def test_a_saved_position_is_ordered_by_its_coordinate():
    position = StreamPosition(server="s", gtids="", file="binlog.000009", offset=77, seq=3)
    assert position.coordinate == Coordinate(9, 77)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{U}:1",
        f"{U}:1-5",
        f"{U}:1-5:7:9-12",
        f"{U}:1-5,{V}:3",
        f"{U}:tag:1-5",
        f"{U}:1-2,{U}:a_tag:4:6-7,{V}:1",
    ],
)
def test_a_set_writes_what_it_reads(text):
    assert str(GtidSet(text)) == text


def test_a_set_reads_what_servers_write():
    """White space, upper case, repeated sources, touching intervals, tags behind untagged intervals."""
    text = f"{U.upper()}:1-3,\n {U}:4:6, {V}:1:Tag:2-3:other:5"
    assert str(GtidSet(text)) == f"{U}:1-4:6,{V}:1,{V}:other:5,{V}:tag:2-3"


@pytest.mark.parametrize("text", ["1-5", "0-1-7", f"{U[:-1]}:1", f"{U}:1x", f"{U}:1-x", "-"])
def test_what_is_no_set_is_refused(text):
    with pytest.raises(ValueError):
        GtidSet(text)


def test_membership_of_one():
    found = GtidSet(f"{U}:2-4:8,{U}:tag:5")
    for gtid in (f"{U}:2", f"{U}:4", f"{U}:8", f"{U}:tag:5", f"{U.upper()}:TAG:5"):
        assert found.contains_one(gtid)
    for gtid in (f"{U}:1", f"{U}:5", f"{U}:9", f"{V}:2", f"{U}:tag:4", f"{U}:other:5"):
        assert not found.contains_one(gtid)


def test_adding_joins_intervals():
    found = GtidSet(f"{U}:1:3")
    for number in (5, 2, 4, 2):
        found.add(f"{U}:{number}")
    assert str(found) == f"{U}:1-5"
    found.add(f"{U}:Tag:9")
    assert str(found) == f"{U}:1-5,{U}:tag:9"


def test_containment():
    whole = GtidSet(f"{U}:1-10,{V}:5,{U}:t:1-3")
    for part in ("", f"{U}:2-3:9", f"{V}:5", f"{U}:t:2", str(whole)):
        assert whole.contains(GtidSet(part))
    for other in (f"{U}:10-11", f"{V}:4-5", f"{U}:t:4", f"{U}:other:1"):
        assert not whole.contains(GtidSet(other))
    assert GtidSet("").contains(GtidSet(""))
    assert not GtidSet("").contains(whole)


@pytest.mark.parametrize(
    ("one", "other", "left"),
    [
        ("1-10", "3-4:7", "1-2:5-6:8-10"),
        ("1-10", "1-10", ""),
        ("1-10", "", "1-10"),
        ("1-3:7-9", "2-8", "1:9"),
        ("5", "1-4:6-9", "5"),
        ("1-3", "3-5", "1-2"),
    ],
)
def test_subtraction(one, other, left):
    left_text = f"{U}:{left}" if left else ""
    assert str(GtidSet(f"{U}:{one}").subtract(GtidSet(f"{U}:{other}"))) == left_text
    assert str(GtidSet(f"{U}:t:{one}").subtract(GtidSet(f"{U}:t:{other}"))) == (
        f"{U}:t:{left}" if left else ""
    )
    assert str(GtidSet(f"{U}:{one}").subtract(GtidSet(f"{U}:t:{other}"))) == f"{U}:{one}"


def test_a_set_without_members_is_false_and_equal_to_another():
    assert not GtidSet("")
    assert not GtidSet(f"{U}:1").subtract(GtidSet(f"{U}:1"))
    assert GtidSet(f"{U}:1").subtract(GtidSet(f"{U}:1")) == GtidSet("")
    assert GtidSet(f"{U}:1")
    assert GtidSet(f"{U}:1") != GtidSet(f"{V}:1")
    assert GtidSet("") != ""


def test_a_mariadb_position_keeps_the_last_of_each_domain():
    found = MariaDbGtids("0-1-100,1-2-7")
    found.add("0-2-101")
    assert list(found.items()) == [(0, 2, 101), (1, 2, 7)]
    assert str(found) == "0-2-101,1-2-7"
    assert str(MariaDbGtids(" 1-2-7,\n0-1-100 ")) == "0-1-100,1-2-7"
    assert str(MariaDbGtids("")) == ""


@pytest.mark.parametrize("text", ["0-1", "0-1-2-3", "a-1-2", f"{U}:1"])
def test_what_is_no_mariadb_position_is_refused(text):
    with pytest.raises(ValueError):
        MariaDbGtids(text)
