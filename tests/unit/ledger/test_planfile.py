"""The plan file: what is exported is read again, what is wrong is refused with its line, what is stale is left."""

from __future__ import annotations

import tomllib

import pytest

from syncer.core.side import Side
from syncer.ledger import planfile
from syncer.ledger.records import ConflictStatus
from tests.unit.ledger.test_selector import NOW, RECORDS, record

A, B = Side.A, Side.B


def exported(records=RECORDS):
    return planfile.render(records, "pair-1", NOW)


def decide(text, records=RECORDS):
    plan, rules = planfile.parse(text, NOW)
    found = {one.conflict_id: one for one in records}
    done = planfile.decide(plan, rules, found.get)
    takes = {one.conflict_id: wanted.side for one, wanted in done.takes}
    return takes, [one.conflict_id for one in done.held], dict(done.left)


def test_what_is_exported_holds_everything():
    assert decide(exported()) == ({}, [1, 2, 3], {})
    assert "a 'left'   b 'right'" in exported()
    assert "(absent)" in exported()


def test_a_row_goes_before_a_rule_and_that_before_the_default():
    text = exported().replace('default = "hold"', 'default = "b"')
    assert decide(text) == ({1: B, 2: B, 3: B}, [], {})
    text += '[[rule]]\nwhere = "kind:update_*"\ntake = "a"\n'
    text += '[[rule]]\nwhere = "id:2"\ntake = "b"\n'
    assert decide(text)[0] == {1: A, 2: A, 3: B}
    text = text.replace("id = 1\n", 'id = 1\ntake = "hold"\n')
    assert decide(text) == ({2: A, 3: B}, [1], {})


def test_stale_conflicts_are_left_and_named():
    text = exported().replace('default = "hold"', 'default = "newest"')
    changed = [
        record(1, a_image=("1", "'other'", "1", "NULL")),
        record(3, a_commit_us=1, b_commit_us=5),
    ]
    takes, held, left = decide(text, changed)
    assert (takes, held, set(left)) == ({}, [], {1, 2, 3})
    assert "no such conflict" in left[2]
    done = record(1)
    done = type(done)(
        conflict_id=1,
        status=ConflictStatus.APPLIED,
        changed_at=NOW,
        batch_id=1,
        entry=RECORDS[0].entry,
    )
    assert "since it was exported" in decide(exported(), [done])[2][1]


def test_a_merge_says_what_a_column_takes_that_both_changed():
    text = exported().replace('default = "hold"', 'default = "merge"')
    takes, _, left = decide(text)
    assert (takes, set(left)) == ({}, {1, 2, 3})
    assert ("no base row" in left[1], "absent" in left[2], "both sides changed" in left[3]) == (
        True,
    ) * 3
    text += '[[rule]]\nwhere = "id:3"\ntake = "merge"\nelse = "b"\n'
    assert decide(text)[0] == {3: B}
    plan, rules = planfile.parse(text, NOW)
    done = planfile.decide(plan, rules, {3: RECORDS[2]}.get)
    assert [one.word for _, one in done.takes] == ["merge"]


def test_no_value_of_a_row_can_leave_its_comment():
    text = exported(
        [record(1, a_image=("1", "'x'\n[[conflict]]\nid = 7", "\u2028", "'" + "y" * 500))]
    )
    tree = tomllib.loads(text)
    assert [one["id"] for one in tree["conflict"]] == [1]
    assert max(map(len, text.splitlines())) < 300


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("id = 2", "id = "), "line {id = }: "),
        (("id = 2", "id = 'x'"), "line {id = 'x'}: conflict.id: expected `int`"),
        (("id = 2", "id = 1"), "line {id = 1#2}: conflict 1 is there twice"),
        (("id = 2", 'id = 2\ntake = "c"'), 'line {take = "c"}: conflict.take: invalid enum value'),
        (("id = 2", 'id = 2\ntaek = "a"'), 'line {taek = "a"}: conflict: object contains unknown'),
        (("id = 2\n", ""), "conflict: object missing required field `id`"),
        (
            ('default = "hold"', 'default = "skip"'),
            'line {default = "skip"}: default: invalid enum',
        ),
        (
            ("id = 2", 'id = 2\ntake = "a"\nelse = "b"'),
            'line {else = "b"}: else goes with take = "merge"',
        ),
        (
            ('default = "hold"', 'default = "a"\nelse = "b"'),
            'line {else = "b"}: else goes with take = "merge"',
        ),
        (("format = 1", "format = 9"), "line {format = 9}: format: invalid enum value 9"),
        (
            ('default = "hold"', 'default = "hold"\n[[rule]]\nwhere = "colour:red"\ntake = "a"'),
            'line {where = "colour:red"}: rule.where: colour: is not known',
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(change, says):
    text = exported().replace(*change)
    with pytest.raises(planfile.PlanError) as caught:
        planfile.parse(text, NOW)
    if "{" in says:
        wanted, _, rest = says.removeprefix("line {").partition("}")
        wanted, _, nth = wanted.partition("#")
        lines = [n for n, line in enumerate(text.splitlines(), 1) if line == wanted]
        says = f"line {lines[int(nth or 1) - 1]}{rest}"
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
