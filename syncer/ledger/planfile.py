"""
The plan file: held conflicts as TOML that a person edits and hands back.

What counts for a conflict is its own ``take``; without one, that of the first ``[[rule]]`` whose ``where`` matches; without one,
``default``; ``else`` goes with ``take = "merge"`` at any of them. ``seen`` names what the person saw: an entry that no longer is what it was is left. Pure: text in, text out.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from syncer.core.threeway import NO_GROUPS, Groups
from syncer.ledger import selector
from syncer.ledger.records import ConflictEntry, ConflictRecord, ConflictStatus, Wanted
from syncer.ledger.wants import wanted

FORMAT = 1
SHOWN = 60
"""Characters of a value that are shown."""

NO_ANSWERS: Mapping[int, str] = {}

Take = Literal["a", "b", "newest", "merge", "hold"]
Else = Literal["a", "b", "newest"]
_ELSE = 'else goes with take = "merge"'
_UNSEEN = "changed, or decided, since it was exported"


class PlanConflict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One conflict of a plan; *take* None: the rules and the default decide."""

    id: Annotated[int, Meta(ge=1)]
    seen: str
    take: Take | None = None
    otherwise: Else | None = msgspec.field(default=None, name="else")


class PlanRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to take where an expression matches (``selector``)."""

    where: str
    take: Take
    otherwise: Else | None = msgspec.field(default=None, name="else")


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan file as read."""

    format: Literal[1]
    pair: str
    default: Take = "hold"
    otherwise: Else | None = msgspec.field(default=None, name="else")
    rule: tuple[PlanRule, ...] = ()
    conflict: tuple[PlanConflict, ...] = ()


class PlanError(ValueError):
    """A plan cannot be read: one line, with the number of the line in the file where it is known."""


class Planned(msgspec.Struct, frozen=True):
    """
    What a plan says of the conflicts of a ledger.

    Attributes:
        takes: what is to be asked.
        held: those that stay held because the plan says so: an answer that waits is to be withdrawn.
        left: those that cannot be carried out: their number, and why.
    """

    takes: tuple[tuple[ConflictRecord, Wanted], ...]
    held: tuple[ConflictRecord, ...]
    left: tuple[tuple[int, str], ...]


def fingerprint(entry: ConflictEntry) -> str:
    """Return a short text that is another one where the conflict is, or either row."""
    facts = (entry.table, entry.key, entry.kind.value, entry.a_image, entry.b_image)
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:16]


def render(
    records: Sequence[ConflictRecord], pair: str, now: float, waits: Mapping[int, str] = NO_ANSWERS
) -> str:
    """Return the plan of *records*, each on hold, with what a person has to see as comments; *waits*: answers that wait, in words."""
    made = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    lines = [
        f"# {len(records)} conflicts, exported {made}. Set take, then: syncer conflicts apply FILE (--dry-run shows what it does)",
        "# take: a or b (that side's row, or its absence, goes to the other side), newest (by commit time), hold (stays), or merge:",
        '# what one side alone changed is taken; else = "a", "b" or "newest" says what a column takes that both changed.',
        "# A conflict without a take of its own follows the first [[rule]] that matches, else default. Leave id and seen as they are.",
        f"format = {FORMAT}",
        f"pair = {_quoted(pair)}",
        'default = "hold"',
        "",
        "# [[rule]]",
        '# where = "kind:update_delete & table:shop.* & a.total > 100"',
        '# take = "a"',
    ]
    for record in records:
        lines += ["", *_comments(record)]
        if (said := waits.get(record.conflict_id)) is not None:
            lines.append(
                f"#   an answer waits: {said}; what this plan takes or holds goes before it"
            )
        lines += ["[[conflict]]", f"id = {record.conflict_id}"]
        lines += [f'seen = "{fingerprint(record.entry)}"', '# take = "a"']
    return "\n".join(lines) + "\n"


def _comments(record: ConflictRecord) -> Iterator[str]:
    entry = record.entry
    at = datetime.fromtimestamp(entry.detected_at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    yield f"# {entry.kind.value}  {_shown(entry.table)}  key {_shown(', '.join(entry.key))}  {at}"
    differ = set(selector.differing(entry))
    for place, name in enumerate(entry.columns):
        if name not in differ:
            continue
        cells = [("a", entry.a_image), ("base", entry.base_image), ("b", entry.b_image)]
        parts = [
            f"{side} {_cell(row, place)}"
            for side, row in cells
            if side != "base" or row is not None
        ]
        yield f"#   {_shown(name)}: {'   '.join(parts)}"


def _cell(row: tuple[str | None, ...] | None, place: int) -> str:
    if row is None:
        return "(absent)"
    return "(not kept)" if (cell := row[place]) is None else _shown(cell)


def _shown(text: str) -> str:
    """One line of a file, whatever the row holds."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return safe if len(safe) <= SHOWN else safe[: SHOWN - 1] + "…"


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def parse(text: str, now: float) -> tuple[Plan, list[tuple[selector.Match, PlanRule]]]:
    """Read a plan and its rules. Raises PlanError."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        what = re.sub(r"\s*\(at .*\)", "", str(error))
        raise PlanError(_at(int(found[1]) if found else None, _lower(what))) from None
    try:
        plan = msgspec.convert(tree, Plan)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        path = path.rstrip("`").lstrip(".")
        unknown = re.search(r"unknown field `(\w+)`", what)
        key = unknown[1] if unknown else None
        line = _line_of(text, path, key)
        named = re.sub(r"\[\d+\]", "", path)
        raise PlanError(_at(line, f"{named}: {_lower(what)}" if named else _lower(what))) from None
    numbers: set[int] = set()
    for place, one in enumerate(plan.conflict):
        if one.id in numbers:
            raise PlanError(
                _at(
                    _line_of(text, f"conflict[{place}].id", None),
                    f"conflict {one.id} is there twice",
                )
            )
        numbers.add(one.id)
        if one.otherwise and one.take != "merge":
            raise PlanError(_at(_line_of(text, f"conflict[{place}].else", None), _ELSE))
    if plan.otherwise and plan.default != "merge":
        raise PlanError(_at(_line_of(text, "else", None), _ELSE))
    rules = []
    for place, rule in enumerate(plan.rule):
        if rule.otherwise and rule.take != "merge":
            raise PlanError(_at(_line_of(text, f"rule[{place}].else", None), _ELSE))
        try:
            rules.append((selector.parse(rule.where, now), rule))
        except ValueError as error:
            what = str(error).removeprefix("--where: ")
            line = _line_of(text, f"rule[{place}].where", None)
            raise PlanError(_at(line, f"rule.where: {what}")) from None
    return plan, rules


def _at(line: int | None, what: str) -> str:
    return f"line {line}: {what}" if line else what


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _line_of(text: str, path: str, key: str | None) -> int | None:
    """Return the number of the line of a *path* such as ``conflict[2].take``, or of *key* in it; of its header where it has none."""
    found = re.fullmatch(r"(?:(\w+)(?:\[(\d+)\])?)?(?:\.(\w+))?", path)
    if found is None:
        return None
    section, place, inner = found[1], found[2], found[3]
    wanted = inner or key or (None if place is not None else section)
    lines = text.splitlines()
    start = 0
    if place is not None:
        heads = [
            n for n, line in enumerate(lines) if re.match(rf"\s*\[\[\s*{section}\s*\]\]", line)
        ]
        if int(place) >= len(heads):
            return None
        start = heads[int(place)] + 1
    for number in range(start, len(lines)):
        if re.match(r"\s*\[", lines[number]):
            break
        if wanted and re.match(rf"""\s*["']?{re.escape(wanted)}["']?\s*=""", lines[number]):
            return number + 1
    return start or None


def decide(
    plan: Plan,
    rules: Iterable[tuple[selector.Match, PlanRule]],
    find: Callable[[int], ConflictRecord | None],
    groups: Callable[[ConflictEntry], Groups] = lambda _entry: NO_GROUPS,
) -> Planned:
    """
    Say what *plan* does to the conflicts that *find* knows; what is no longer as it was seen is left.

    *groups*: what the policy of an entry's table says of a merge.
    """
    ordered = list(rules)
    takes: list[tuple[ConflictRecord, Wanted]] = []
    held: list[ConflictRecord] = []
    left: list[tuple[int, str]] = []
    for one in plan.conflict:
        record = find(one.id)
        if record is None:
            left.append((one.id, "there is no such conflict in this ledger"))
            continue
        if record.status is not ConflictStatus.HELD or fingerprint(record.entry) != one.seen:
            left.append((one.id, _UNSEEN))
            continue
        take, otherwise = plan.default, plan.otherwise
        for match, rule in ordered:
            if match(record):
                take, otherwise = rule.take, rule.otherwise
                break
        if one.take is not None:
            take, otherwise = one.take, one.otherwise
        if take == "hold":
            held.append(record)
            continue
        try:
            takes.append((record, wanted(record.entry, take, otherwise, groups(record.entry))))
        except ValueError as error:
            left.append((one.id, str(error)))
    return Planned(tuple(takes), tuple(held), tuple(left))
