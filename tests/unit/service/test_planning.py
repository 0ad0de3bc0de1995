"""From rows and marks to decisions, writes, intents and journal entries: plain values in, plain values out."""

from __future__ import annotations

import msgspec
import pytest

from syncer.core.decision import ConflictKind, Decision, Verdict
from syncer.core.mark import KeyMarks, Op, Reason, SideMarks
from syncer.core.origins import Origin
from syncer.core.outcome import Base
from syncer.core.side import Side
from syncer.core.visibility import Horizon
from syncer.ledger.records import ClaimedKey
from syncer.ledger.requests import AskedConflict, Resolution
from syncer.mysql.carrying import Rows
from syncer.mysql.reader import RowRead
from syncer.service.planned import Planned, operation, restorations
from syncer.service.planning import answered, join_marks, plan
from syncer.service.reading import KeyGroup
from syncer.service.tables import printable_key
from tests.unit.core.facts import both, exact, inexact, policy, touch
from tests.unit.core.schemas import column, paired, table, text

A, B = Side.A, Side.B
WITHIN = {A: Horizon(10, 10), B: Horizon(10, 10)}
NUMBERS = paired(table(column(), column("note", "varchar")))
WORDS = paired(table(text(), column("note", "varchar")))


def read(key, digest, image=None, values=()):
    return RowRead(key, digest, values, image or f"{key[0]!r},'{digest}'")


def group(a=None, b=None, *, keys=((1,),), **facts):
    return KeyGroup(tuple(keys), {A: a, B: b}, **facts)


def planned(a=None, b=None, *, winner=A, conflict=None, keys=((1,),), marks=None, in_table=NUMBERS):
    return Planned(
        table=in_table,
        group=group(a, b, keys=keys),
        stored=tuple(in_table.store(key) for key in keys),
        marks=marks or KeyMarks(a=exact()),
        decision=Decision(verdict=Verdict.COPY, winner=winner, conflict=conflict, rule="why"),
    )


# join_marks: several spellings of one key


def test_one_spelling_is_taken_as_it_is():
    marks = KeyMarks(a=exact("i"), b=inexact())
    assert join_marks([marks]) is marks


def test_of_spellings_the_touch_that_ended_last_counts():
    """'x' was changed in 1, renamed to 'X' in 5, back in 6, and changed in 10: that is the row's last change."""
    whole = msgspec.structs.replace(touch("u", first=1, last=10), commit_us=1000)
    inner = msgspec.structs.replace(touch("i", first=5, last=6), last_op=Op.DELETE, commit_us=60)
    for order in ([whole, inner], [inner, whole]):
        found = join_marks([KeyMarks(a=SideMarks(one)) for one in order]).a.exact
        assert (found.first_seq, found.last_seq) == (1, 10)
        assert (found.last_op, found.commit_us) == (Op.UPDATE, 1000)


def test_spellings_fold_in_the_order_of_their_numbers():
    """'a' was deleted in transaction 3 and 'A' inserted in 7: one row, recreated."""
    gone, new = KeyMarks(a=exact("d", first=3)), KeyMarks(a=exact("i", first=7))
    for order in ([gone, new], [new, gone]):
        joined = join_marks(order).a.exact
        assert joined == touch("d", first=3).fold(touch("i", first=7))
        assert (joined.first_op, joined.last_op, joined.recreated) == (Op.DELETE, Op.INSERT, True)


def test_inexact_marks_of_spellings_cover_each_other():
    joined = join_marks(
        [KeyMarks(b=inexact(first=4, last=5)), KeyMarks(b=inexact(first=2)), KeyMarks()]
    )
    assert (joined.b.inexact_first, joined.b.inexact_last, joined.b.reason) == (
        2,
        5,
        Reason.BASELINE,
    )
    assert joined.b.exact is None
    assert joined.a == SideMarks()


def test_exact_and_inexact_spellings_stay_apart():
    joined = join_marks([KeyMarks(a=exact()), KeyMarks(a=inexact(Reason.PURGED))])
    assert joined.a == both(exact(), inexact(Reason.PURGED))


def test_spellings_without_marks_add_nothing():
    assert join_marks([KeyMarks(), KeyMarks(a=exact())]) == KeyMarks(a=exact())
    assert join_marks([KeyMarks(), KeyMarks()]) == KeyMarks()


# plan


def test_a_key_is_decided_by_its_own_marks_and_rows():
    groups = [
        group(read((1,), "x"), read((1,), "y")),
        group(read((2,), "x"), read((2,), "x"), keys=[(2,)]),
        group(read((3,), "x"), None, keys=[(3,)]),
    ]
    marks = {1: KeyMarks(a=exact()), 2: KeyMarks(b=exact()), 3: KeyMarks(b=exact("d"))}
    found = plan(NUMBERS, groups, marks, WITHIN, {})
    assert [(p.decision.verdict, p.decision.winner) for p in found] == [
        (Verdict.COPY, A),
        (Verdict.EQUAL, None),
        (Verdict.COPY, B),
    ]
    assert [p.stored for p in found] == [(1,), (2,), (3,)]


def test_all_spellings_of_a_key_are_decided_as_one():
    """A changed 'a', B deleted 'A': a conflict, though no spelling has two marks."""
    keys = [("a",), ("A",)]
    marks = {
        WORDS.store(("a",)): KeyMarks(a=exact("u")),
        WORDS.store(("A",)): KeyMarks(b=exact("d")),
    }
    (found,) = plan(WORDS, [group(read(("a",), "x"), None, keys=keys)], marks, WITHIN, {})
    assert (found.decision.verdict, found.decision.conflict) == (
        Verdict.HOLD,
        ConflictKind.UPDATE_DELETE,
    )
    assert found.stored == tuple(WORDS.store(key) for key in keys)


def test_a_key_without_marks_that_differs_is_an_alarm():
    (found,) = plan(NUMBERS, [group(read((1,), "x"), None)], {}, WITHIN, {})
    assert found.decision.verdict is Verdict.ALARM


def test_the_oldest_mark_and_the_most_tries_of_any_spelling_count():
    keys = [("a",), ("A",)]
    stored = [WORDS.store(key) for key in keys]
    claims = {
        stored[0]: ClaimedKey(1, stored[0], 2, 50.0),
        stored[1]: ClaimedKey(1, stored[1], 5, 40.0),
    }
    (found,) = plan(WORDS, [group(keys=keys)], {}, WITHIN, claims)
    assert (found.marked_at, found.tries) == (40.0, 5)
    (found,) = plan(WORDS, [group(keys=keys)], {}, WITHIN, {})
    assert (found.marked_at, found.tries) == (None, 0)


def test_several_rows_under_one_key_are_held_whatever_the_rule():
    chosen = paired(table(text(), column("note")), policy=policy("prefer:a"))
    crowded = group(read(("a",), "x"), read(("A",), "y"), keys=[("a",), ("A",)], crowded=True)
    (found,) = plan(chosen, [crowded], {}, WITHIN, {})
    assert found.decision.verdict is Verdict.HOLD
    assert found.decision.conflict is ConflictKind.UNIQUE_VIOLATION


def test_the_rule_s_value_comes_from_the_rows():
    chosen = paired(
        table(column(), column("t")), policy=policy("newest:t", on_delete="hold", on_tie="hold")
    )
    rows = group(read((1,), "x", values=(1,)), read((1,), "y", values=(2,)))
    (found,) = plan(chosen, [rows], {1: KeyMarks(exact(), exact())}, WITHIN, {})
    assert found.decision.winner is B


# Writes


@pytest.mark.parametrize("winner", [A, B])
def test_a_write_makes_the_target_what_the_source_is(winner):
    rows = {winner: read((1,), "new", "1,'new'"), winner.other: read((1,), "old", "1,'old'")}
    found = planned(rows[A], rows[B], winner=winner)
    write = found.write()
    assert found.target is winner.other
    assert (write.expected, write.meant, write.image) == ("old", "new", "1,'new'")
    assert write.op is Op.UPDATE
    assert operation(write) == "update"


def test_an_absent_target_is_expected_absent():
    write = planned(read((1,), "new"), None).write()
    assert (write.expected, write.target_key, write.meant, write.op) == (
        None,
        None,
        "new",
        Op.INSERT,
    )
    assert operation(write) == "insert"


def test_an_absent_source_deletes_the_row_as_the_target_spells_it():
    write = planned(None, read(("A",), "old"), keys=[("a",), ("A",)], in_table=WORDS).write()
    assert (write.key, write.target_key) == (("A",), ("A",))
    assert (write.expected, write.meant, write.image, write.op) == ("old", None, None, Op.DELETE)
    assert operation(write) == "delete"


def test_a_write_knows_both_spellings():
    found = planned(
        read(("a",), "new"), read(("A ",), "old"), keys=[("a",), ("A ",)], in_table=WORDS
    )
    assert (found.write().key, found.write().target_key) == (("a",), ("A ",))


def test_nothing_is_written_without_a_winner_or_without_rows():
    with pytest.raises(ValueError, match="winner"):
        planned(read((1,), "x"), None, winner=None).write()
    with pytest.raises(ValueError, match="row"):
        planned(None, None).write()


# Intents and entries


def test_an_intent_lists_every_spelling_and_what_will_be_there():
    keys = [("a",), ("A",)]
    insert = planned(read(("a",), "x"), None, keys=keys, in_table=WORDS).item(7.0)
    assert insert.keys == tuple(WORDS.store(key) for key in keys)
    assert (insert.action, insert.present, insert.conflict) == (Op.INSERT, True, None)
    delete = planned(None, read(("a",), "x"), keys=keys, in_table=WORDS).item(7.0)
    assert (delete.action, delete.present) == (Op.DELETE, False)


def test_an_intent_carries_its_entry_only_where_there_is_a_conflict():
    found = planned(
        read((1,), "x"), read((1,), "y"), winner=B, conflict=ConflictKind.UPDATE_UPDATE
    ).item(7.0)
    assert found.conflict is not None
    assert (found.conflict.winner, found.conflict.kind) == (B, ConflictKind.UPDATE_UPDATE)
    assert found.conflict.detected_at == 7.0


def test_an_entry_has_both_images_column_by_column():
    marks = KeyMarks(exact("u", commit_us=5), exact("ud", commit_us=9))
    row_a = read((1,), "x", "1,'it\\'s, so'")
    entry = planned(row_a, None, conflict=ConflictKind.UPDATE_DELETE, marks=marks).entry(
        3.0, winner=A
    )
    assert entry.columns == ("id", "note")
    assert entry.a_image == ("1", "'it\\'s, so'")
    assert entry.b_image is None
    assert (entry.a_op, entry.b_op) == (Op.UPDATE, Op.DELETE)
    assert (entry.a_commit_us, entry.b_commit_us) == (5, 9)
    assert (entry.table, entry.key, entry.rule) == ("shop.t", ("1",), "why")


def test_an_entry_names_the_transactions_of_both_sides_where_they_are_known():
    marks = KeyMarks(exact("u", 4, 6), exact("u", 7))
    named = {(A, 6): Origin("uuid:6", 11), (B, 7): Origin(None, 12)}
    found = msgspec.structs.replace(
        planned(read((1,), "x"), read((1,), "y"), conflict=ConflictKind.UPDATE_UPDATE, marks=marks),
        origin=lambda side, seq: named.get((side, seq)),
        skew_bound_s=0.5,
        base=Base(("1", "'o'")),
    )
    entry = found.entry(3.0, winner=A)
    assert (entry.a_gtid, entry.a_server_id) == ("uuid:6", 11)
    assert (entry.b_gtid, entry.b_server_id) == (None, 12)
    assert (entry.sub_kinds, entry.skew_bound_s) == (("overlap",), 0.5)
    assert (entry.a_columns, entry.b_columns) == (("note",), ("note",))
    named.clear()
    entry = found.entry(3.0, winner=A)
    assert (entry.a_gtid, entry.a_server_id) == (None, None)


def test_an_entry_of_unknown_history_claims_no_operation():
    entry = planned(read((1,), "x"), None, marks=KeyMarks(inexact(), inexact())).entry(
        3.0, winner=None
    )
    assert (entry.a_op, entry.b_op, entry.a_commit_us, entry.b_commit_us) == (None, None, 0, 0)
    assert entry.kind is ConflictKind.DRIFT
    assert entry.winner is None


def test_an_entry_can_be_about_the_write_itself():
    found = planned(read((1,), "x"), None, conflict=ConflictKind.INSERT_INSERT)
    entry = found.entry(
        3.0, winner=None, kind=ConflictKind.READ_BACK, rule="hold", note="a trigger"
    )
    assert (entry.kind, entry.rule, entry.note) == (ConflictKind.READ_BACK, "hold", "a trigger")


def test_a_key_is_printed_part_by_part():
    assert printable_key(NUMBERS, (1,)) == "1"
    assert printable_key(WORDS, ("a,b",)) == "a,b"
    entry = planned(None, read((b"\x01",), "x"), keys=[(b"\x01",)], in_table=WORDS)
    assert entry.entry(1.0, winner=None).key == ("0x01",)


# redaction


def test_redacted_values_are_never_in_an_entry_and_answers_still_count():
    secret = msgspec.structs.replace(NUMBERS, redacted=("note",))
    left, right = read((1,), "x", "1,'left'"), read((1,), "y", "1,'right'")
    item = planned(left, right, in_table=secret)
    entry = item.entry(1.0, winner=None)
    assert (entry.a_image, entry.b_image) == (("1", None), ("1", None))
    assert (entry.a_digest, entry.b_digest, entry.redacted) == (None, None, ("note",))
    asked = AskedConflict(
        conflict_id=1,
        resolution=Resolution(take=B, actor="somebody", asked_at=1.0),
        table_id=1,
        keys=(1,),
        entry=entry,
    )
    decided = answered(item, asked)
    assert (decided.decision.winner, decided.actor) == (B, "somebody")
    plain = planned(left, right).entry(1.0, winner=None)
    assert (plain.a_image, plain.a_digest, plain.key_stored) == (("1", "'left'"), "x", (1,))


def test_what_is_overwritten_is_kept_and_what_is_inserted_is_not():
    kept = msgspec.structs.replace(NUMBERS, undo=True)
    left, right = read((1,), "x", "1,'left'"), read((1,), "y", "1,'right'")
    undo = planned(left, right, in_table=kept).item(1.0).undo
    assert (undo.side, undo.key_stored, undo.expected, undo.meant, undo.image) == (
        B,
        (1,),
        "x",
        "y",
        "1,'right'",
    )
    gone = planned(None, right, in_table=kept).item(1.0).undo
    assert (gone.expected, gone.meant) == (None, "y")
    assert planned(left, None, in_table=kept).item(1.0).undo is None
    assert planned(left, right).item(1.0).undo is None
    long = read((1,), "y", f"1,'{'r' * 20_000}'")
    assert planned(left, long, in_table=kept).item(1.0).undo is None
    bytes_ = read((1,), "y", "1,'\udcff'")
    assert planned(left, bytes_, in_table=kept).item(1.0).undo is None


def test_of_many_rows_those_are_kept_that_the_ledger_has_room_for():
    kept = msgspec.structs.replace(NUMBERS, undo=True)
    there = [read((key,), f"was {key}", f"{key},'old'") for key in (1, 2, 3, 4)]
    there[1] = read((2,), "was 2", f"2,'{'r' * 20_000}'")
    there[2] = read((3,), "was 3", "3,'\udcff'")
    rows = Rows([one.key for one in there], [1, 2, 3, 4], ["image"] * 4, list("abcd"), there)
    found = restorations(kept, B, rows)
    assert (found.table, found.side, found.columns) == (kept.full_name, B, kept.written)
    assert (found.stored, found.keys, found.expected) == ([1, 4], [("1",), ("4",)], ["a", "d"])
    assert (found.meant, found.images) == (["was 1", "was 4"], ["1,'old'", "4,'old'"])
    deleted = restorations(kept, B, Rows([(1,)], [1], [], [], there[:1]))
    assert (
        next(iter(deleted.restorations())) == planned(None, there[0], in_table=kept).item(1.0).undo
    )
    assert restorations(NUMBERS, B, rows) is None
    assert restorations(kept, B, Rows([(2,)], [2], [], [], there[1:2])) is None
