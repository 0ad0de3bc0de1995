"""The conflict journal for people: one line each, or one with both rows side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from syncer.cli import output, text
from syncer.core.decision import ConflictKind
from syncer.core.side import SIDES, Side
from syncer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from syncer.ledger import ConflictEntry, ConflictRecord, ConflictStatus, Ledger
    from syncer.ledger.selector import Match
    from syncer.ledger.undo import Restoration, RestorationRecord

PAGE = 1000
"""Entries read at once: a journal of millions is never in memory whole."""

STATUS_STYLES = {
    "held": "bold yellow",
    "pending": "cyan",
    "applied": "green",
    "skipped": "dim",
    "superseded": "dim",
    "reverted": "magenta",
}


def select(
    ledger: Ledger, status: str, matches: Sequence[Match] = (), limit: int | None = None
) -> list[ConflictRecord]:
    """Return the newest conflicts of *status* (open, all, or one of the journal's) that all of *matches* accept."""
    found: list[ConflictRecord] = []
    for record in _matching(ledger, status, matches):
        found.append(record)
        if len(found) == limit:
            break
    return found


def count(ledger: Ledger, status: str, matches: Sequence[Match] = ()) -> int:
    """Return how many conflicts *select* would find without a limit."""
    if matches:
        return sum(1 for _ in _matching(ledger, status, matches))
    wanted = _status(status)
    by_status = ledger.summary().conflicts
    return sum(by_status.values()) if wanted is None else by_status.get(wanted, 0)


def _matching(ledger: Ledger, status: str, matches: Sequence[Match]) -> Iterator[ConflictRecord]:
    wanted = _status(status)
    before: int | None = None
    while page := ledger.conflicts(status=wanted, before=before, limit=PAGE):
        yield from (record for record in page if all(match(record) for match in matches))
        before = page[-1].conflict_id


def _status(word: str) -> ConflictStatus | None:
    from syncer.ledger import ConflictStatus

    if word == "all":
        return None
    return ConflictStatus.HELD if word == "open" else ConflictStatus(word)


def selectors(given: Mapping[str, Any], now: float) -> list[Match]:
    """Make tests of the options ``--kind``, ``--table``, ``--column``, ``--since`` and ``--where``. Raises ConfigError."""
    from syncer.ledger import selector

    made: list[Match] = []
    try:
        for name in ("kind", "table", "column"):
            patterns = [selector.NAMES[name][0](pattern) for pattern in given.get(name) or ()]
            if patterns:
                made.append(_any_of(patterns))
        if given.get("since"):
            since = selector.moment(given["since"], now)
            made.append(lambda record: record.entry.detected_at >= since)
        made += [selector.parse(text, now) for text in given.get("where") or ()]
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return made


def _any_of(matches: Sequence[Match]) -> Match:
    return lambda record: any(match(record) for match in matches)


def _key(record: ConflictRecord) -> str:
    return key_text(record.entry.key)


def _winner(winner: Side | None) -> Text:
    return (
        Text(winner.value.upper(), output.SIDE_STYLES[winner.value]) if winner else Text("-", "dim")
    )


def _won(record: ConflictRecord) -> Text:
    entry = record.entry
    if entry.winner is not None:
        return _winner(entry.winner)
    made = entry.result_image is not None or record.batch_id is not None
    return Text("both: one row was made of them" if made else "nobody: it waits for a person")


def print_list(
    records: list[ConflictRecord], status: str, waits: Mapping[int, str], *, chosen: bool
) -> None:
    """Print one line per conflict; *waits*: the answers that wait, in words; *chosen*: by selectors."""
    console = output.out()
    if records:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column("id", justify="right")
        for name in ("detected", "status", "kind", "table", "key", "won", "by"):
            table.add_column(
                name, no_wrap=name in {"detected", "status", "kind", "won"}, overflow="fold"
            )
        if waits:
            table.add_column("next run", overflow="fold")
        for record in records:
            entry = record.entry
            table.add_row(
                str(record.conflict_id),
                text.moment(entry.detected_at),
                Text(record.status.value, STATUS_STYLES.get(record.status.value, "")),
                entry.kind.value + (" ?" if entry.possible else ""),
                entry.table,
                _key(record),
                _winner(entry.winner),
                entry.rule,
                *([Text(waits.get(record.conflict_id, ""), "cyan")] if waits else []),
            )
        console.print(table)
    else:
        none = "no conflicts" if status == "all" else f"no {status} conflicts"
        console.print(f"{none} match" if chosen else none)


def print_counts(shown: int, matching: int, open_: int) -> None:
    """Print how many of the conflicts that match are shown, where not all are, and how many are open in all; 0: nothing."""
    console = output.out()
    if shown < matching:
        line = f"{text.count(shown)} of {text.count(matching)} shown: --limit shows more"
        console.print(Text(line, "yellow"))
    if open_:
        console.print(Text(f"{text.plural(open_, 'conflict')} open in all", "yellow"))


def print_record(
    record: ConflictRecord, asked: RestorationRecord | None = None, waits: Sequence[str] = ()
) -> None:
    """Print one conflict: what happened, then both rows with the differing columns marked; *asked*: its revert; *waits*: its answer."""
    console = output.out()
    entry = record.entry
    console.print(
        Text.assemble(
            (f"conflict {record.conflict_id}  ", "bold"),
            (record.status.value, STATUS_STYLES.get(record.status.value, "")),
            f"  {entry.kind.value}  {entry.table}  key {_key(record)}",
        )
    )
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    facts.add_row("detected", text.moment(entry.detected_at))
    facts.add_row(
        "decided by", " ".join(filter(None, (entry.rule, f"({entry.path})" if entry.path else "")))
    )
    if entry.sub_kinds:
        facts.add_row("more exactly", ", ".join(entry.sub_kinds))
    facts.add_row("winner", _won(record))
    for side in SIDES:
        op = getattr(entry, f"{side.value}_op")
        when = text.moment_us(getattr(entry, f"{side.value}_commit_us"))
        if op is not None:
            facts.add_row(f"last on {side.value.upper()}", f"{op.name.lower()}  {when}")
        columns = getattr(entry, f"{side.value}_columns")
        if columns:
            facts.add_row("", f"changed {', '.join(columns)}")
        gtid, server_id = (getattr(entry, f"{side.value}_{name}") for name in ("gtid", "server_id"))
        if server_id is not None:
            said = f"transaction {gtid}  " if gtid else ""
            facts.add_row("", f"{said}server_id {server_id}")
    if entry.skew_bound_s is not None:
        facts.add_row("clocks", f"at most {text.lag(entry.skew_bound_s)} apart")
    if record.batch_id is not None:
        facts.add_row(
            "batch",
            f"{record.batch_id}"
            + (f"  transaction {record.applied_gtid}" if record.applied_gtid else ""),
        )
    if entry.possible:
        facts.add_row("possible", "one side's history is not known exactly: it may be no conflict")
    if entry.policy_version:
        facts.add_row("policy", f"version {entry.policy_version}, run {entry.run}")
    if entry.expires_at is not None and record.status.value == "skipped":
        facts.add_row("held again", text.moment(entry.expires_at))
    for name, shown in beside(entry):
        facts.add_row(name, shown)
    if entry.note:
        facts.add_row("note", entry.note)
    for name, line in zip(("answer", *[""] * len(waits)), waits, strict=False):
        facts.add_row(name, Text(line, "cyan"))
    if asked is not None:
        words = " ".join(filter(None, (asked.status.value, asked.note and f"({asked.note})")))
        facts.add_row("revert", words)
    console.print(facts)
    console.print()
    if record.pruned:
        console.print(Text("the rows were kept for as long as they are to be, and are gone", "dim"))
        return
    console.print(images(record))
    console.print(Text("values are SQL literals; ≠ marks what differs", "dim"))


def beside(entry: ConflictEntry) -> list[tuple[str, Text]]:
    """Return what other rows have to do with the conflict, by name: those that are in its way, and keys that were one row's."""
    found: list[tuple[str, Text]] = []
    if entry.in_the_way:
        keys = "; key ".join(map(key_text, entry.in_the_way))
        found.append(("in the way", Text(f"{entry.table} key {keys}", "yellow")))
    changed = [
        f"{side.value.upper()} {key_text(old)} to {key_text(new)}"
        for side in SIDES
        if (old := getattr(entry, f"{side.value}_old_key")) is not None
        and (new := getattr(entry, f"{side.value}_new_key")) is not None
    ]
    if entry.kept_key is not None:
        found.append(("kept", Text(f"the other row, as key {key_text(entry.kept_key)}", "yellow")))
    if changed:
        found.append(("key changed", Text(", ".join(changed), "yellow")))
    return found


def key_text(key: Sequence[str]) -> str:
    """Return a key as it is printed."""
    return text.printable(", ".join(key))


def images(record: ConflictRecord) -> Table:
    """Return both rows side by side, the base row between them where it is known, and the row that was made of them."""
    entry = record.entry
    with_base = entry.base_image is not None or entry.kind is ConflictKind.INSERT_INSERT
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column(" ", width=1)
    table.add_column("column", no_wrap=True)
    order = ["a", "o", "b"] if with_base else ["a", "b"]
    if entry.result_image is not None:
        order.append("made")
    titles = {"o": "base", "made": "merged"} | {
        side.value: f"{side.value.upper()} (won)" if entry.winner is side else side.value.upper()
        for side in SIDES
    }
    for which in order:
        table.add_column(
            titles[which], header_style=output.SIDE_STYLES.get(which, "dim"), overflow="fold"
        )
    images = {
        "a": entry.a_image,
        "o": entry.base_image,
        "b": entry.b_image,
        "made": entry.result_image,
    }
    for place, column in enumerate(entry.columns):
        cells = {which: None if (row := images[which]) is None else row[place] for which in order}
        absent = {which: images[which] is None for which in order}
        differs = absent["a"] != absent["b"] or cells["a"] != cells["b"]
        table.add_row(
            Text("≠" if differs else "", "bold yellow"),
            Text(column, "bold" if differs else ""),
            *(
                Text("(redacted)", "dim")
                if column in entry.redacted and not absent[w]
                else _cell(cells[w], absent[w], differs=differs and _moved(cells, w))
                for w in order
            ),
        )
    return table


def _moved(cells: Mapping[str, str | None], which: str) -> bool:
    """Say whether the cell is worth a look: where the base is known, it is not what the base has."""
    return which in {"a", "b"} and ("o" not in cells or cells[which] != cells["o"])


def _cell(cell: str | None, absent: bool, *, differs: bool) -> Text:
    if absent:
        return Text("(absent)", "dim italic")
    if cell is None:
        return Text("(not kept)", "dim")
    return Text(text.printable(cell), "yellow" if differs else "")


def print_left(left: Mapping[int, str], held: int) -> None:
    """Print which conflicts of a plan were left, and how many it holds."""
    console = output.out()
    for number, why in left.items():
        console.print(Text(f"{number}: left: {why}", "yellow"))
    if held:
        console.print(Text(f"{text.plural(held, 'conflict')} on hold", "dim"))


def print_restorations(asked: Sequence[Restoration], *, dry_run: bool) -> None:
    """Print one line per row that is to be what it was."""
    console = output.out()
    for one in asked:
        key = text.printable(", ".join(one.key))
        what = "the row" if one.image is not None else "the absence"
        what = "the merged row" if one.makes else f"{what} of side {one.winner or one.side}"
        verb = "would be" if dry_run else "is to be"
        number = f"{one.conflict_id}: " if one.conflict_id is not None else ""
        console.print(
            f"{number}{one.table} {key}: {what} {verb} restored",
            markup=False,
            highlight=False,
        )
    if not asked:
        console.print("nothing to restore")
    elif not dry_run:
        console.print(
            "a running syncer does it within a second, else the next `syncer run`", style="dim"
        )
