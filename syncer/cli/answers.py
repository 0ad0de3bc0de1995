"""What a person says of held conflicts, and what waits to be carried out: from the command to the ledger, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from syncer.cli import output, person, text
from syncer.cli.journal import key_text
from syncer.core.side import Side

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from syncer.ledger import ConflictRecord
    from syncer.ledger.records import Wanted
    from syncer.ledger.requests import Asked, Resolution

GONE = "not held any more"
SOON = "a running syncer {} within a second, else the next `syncer run`"


def ask_for(
    path: Path,
    takes: Sequence[tuple[ConflictRecord, Wanted]],
    now: float,
    *,
    withdrawn: Collection[int] = (),
    strict: bool = False,
    dry_run: bool = False,
) -> Asked:
    """Ask for what is to be taken; what else is given is as in ``syncer.ledger.requests.ask``."""
    from syncer.ledger.requests import Asked, Resolution, ask

    if not takes and not withdrawn:
        return Asked()
    actor = person.name()
    answers = {
        record.conflict_id: Resolution(
            take=one.side,
            actor=actor,
            asked_at=now,
            merge=one.merge,
            skip=one.skip,
            until=one.until,
        )
        for record, one in takes
    }
    return ask(path, answers, withdrawn=withdrawn, strict=strict, dry_run=dry_run)


def _said(one: Wanted) -> dict[str, object]:
    found: dict[str, object] = {"take": one.word}
    if one.until is not None:
        found["until"] = one.until
    if one.merge:
        found["else"] = None if one.side is None else one.side.value
    return found


def waiting(answer: Resolution | None) -> dict[str, object] | None:
    """Return an answer that waits as the commands' JSON says it."""
    if answer is None:
        return None
    return _said(answer.wanted) | {"actor": answer.actor, "asked_at": answer.asked_at}


def taken(
    takes: Sequence[tuple[ConflictRecord, Wanted]], replaced: Mapping[int, Resolution]
) -> list[dict[str, object]]:
    """Return what was asked for as the commands' JSON says it."""
    found = []
    for record, one in takes:
        said: dict[str, object] = {"conflict_id": record.conflict_id, **_said(one)}
        before = replaced.get(record.conflict_id)
        if before is not None:
            said["replaces"] = _said(before.wanted)
        found.append(said)
    return found


def words(one: Wanted) -> str:
    """Return an answer as it is given: ``take merge, else b``."""
    also = f", else {one.side}" if one.merge and one.side is not None else ""
    until = "" if one.until is None else f" until {text.moment(one.until)}"
    return f"take {one.word}{also}{until}"


def outcome(record: ConflictRecord, one: Wanted, *, dry_run: bool = False) -> str:
    """Say what is to become of a conflict, in words."""
    from syncer.service.oversize import SIZE

    entry = record.entry
    if entry.path == SIZE:
        return f"it {'would be' if dry_run else 'is'} decided anew"
    if one.skip:
        also = "" if one.until is None else f" until {text.moment(one.until)}"
        return f"the difference {'would be' if dry_run else 'is'} accepted{also}"
    if one.word == "hold":
        if record.status.value == "held":
            return f"it {'would stay' if dry_run else 'stays'} held"
        return f"it {'would be' if dry_run else 'is'} opened again"
    if one.merge:
        also = "" if one.side is None else f", side {one.side} where both changed a column"
        return f"both rows {'would be' if dry_run else 'are'} merged{also}"
    side = one.side or Side.A
    image = entry.a_image if side is Side.A else entry.b_image
    what = "the row" if image is not None else "the absence"
    return f"{what} of side {side} {'would go' if dry_run else 'goes'} to side {side.other}"


def print_asked(
    takes: Sequence[tuple[ConflictRecord, Wanted]],
    left: Sequence[tuple[ConflictRecord, str]],
    replaced: Mapping[int, Resolution],
    *,
    dry_run: bool,
) -> None:
    """Print one line per answered conflict, what goes where, then one for each that was left, and why."""
    console = output.out()
    for record, one in takes:
        line = f"{_place(record)}: {outcome(record, one, dry_run=dry_run)}"
        before = replaced.get(record.conflict_id)
        line += "" if before is None else f"; {_withdrawn(before, dry_run=dry_run)}"
        console.print(line, markup=False, highlight=False)
    for record, why in left:
        console.print(Text(f"{_place(record)}: left: {why}", "yellow"))
    if not takes:
        console.print("nothing to decide")
    elif not dry_run:
        console.print(SOON.format("does it"), style="dim")


def print_withdrawn(
    held: Sequence[ConflictRecord], replaced: Mapping[int, Resolution], *, dry_run: bool
) -> None:
    """Print one line for each of *held* of which an answer waited."""
    for record in held:
        before = replaced.get(record.conflict_id)
        if before is not None:
            stays = "would stay" if dry_run else "stays"
            said = f"{_place(record)}: it {stays} held; {_withdrawn(before, dry_run=dry_run)}"
            output.out().print(said, markup=False, highlight=False)


def _place(record: ConflictRecord) -> str:
    return f"{record.conflict_id}: {record.entry.table} {key_text(record.entry.key)}"


def _withdrawn(before: Resolution, *, dry_run: bool) -> str:
    verb = "would be" if dry_run else "is"
    return f"the answer that waited {verb} withdrawn: {words(before.wanted)}"


def print_waiting(answers: Sequence[Resolution]) -> None:
    """Print how many answers wait, and for what."""
    if answers:
        waits = (
            "1 answer waits" if len(answers) == 1 else f"{text.count(len(answers))} answers wait"
        )
        takes = SOON.format("takes it" if len(answers) == 1 else "takes them")
        output.out().print(Text(f"{waits}: {takes}", "yellow"))


def waits(record: ConflictRecord, answer: Resolution) -> list[str]:
    """Return in lines what an answer that waits makes of a conflict, who gave it, and what it waits for."""
    one = answer.wanted
    return [
        f"{words(one)}: {outcome(record, one)}",
        f"by {answer.actor}, {text.moment(answer.asked_at)}",
        f"it waits: {SOON.format('takes it')}",
    ]
