"""``syncer conflicts list``, ``show``, ``resolve``, ``review`` and ``revert``: the journal of a ledger."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from syncer.cli import answers, journal, options, output, person, text
from syncer.cli.answers import GONE
from syncer.cli.commands.status import config_option
from syncer.cli.shape import Command, Group
from syncer.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from syncer.config.effective import Config
    from syncer.core.threeway import Groups
    from syncer.ledger import ConflictEntry, ConflictRecord, Ledger
    from syncer.ledger.records import Wanted

STATUSES = ("open", "held", "pending", "applied", "skipped", "superseded", "reverted", "all")


@click.group(
    "conflicts",
    cls=Group,
    examples="""
syncer conflicts list
syncer conflicts list --status all --table 'shop.*' --limit 20
syncer conflicts show 42
syncer conflicts resolve 42 --take a
syncer conflicts export -o plan.toml
syncer conflicts apply plan.toml
syncer conflicts revert 40
""",
    short_help="Look at the conflicts of the journal, and decide those that are held.",
)
def group() -> None:
    """
    Look at the conflicts of the journal, what both sides had and which rule chose, and decide those that are held.

    Only the ledger is touched: it works beside a running syncer and while no server answers.
    """


def selector_options(command: Any) -> Any:
    """Which conflicts are meant; all options together."""
    for option in reversed(
        (
            click.option(
                "--kind",
                metavar="GLOB",
                multiple=True,
                help="Only of these kinds or sub-kinds, as update_delete or overlap; repeat it.",
            ),
            click.option(
                "--table",
                metavar="GLOB",
                multiple=True,
                help="Only of these tables; repeat it.",
            ),
            click.option(
                "--column",
                metavar="GLOB",
                multiple=True,
                help="Only where the two rows differ in such a column; repeat it.",
            ),
            click.option(
                "--since",
                metavar="TIME",
                help="Only those detected since: 30m, 2h, 7d (ago), or 2026-11-21T08:00 (UTC).",
            ),
            click.option(
                "--where",
                metavar="EXPRESSION",
                multiple=True,
                help="Only those that match: kind:, table:, column:, key:, since:, until:, rule:, won:, id:, and comparisons of "
                "columns (city = 'Rome', a.total >= 10, b.note ~ 'x*', o.city != NULL), joined by & | ! and parentheses.",
            ),
        )
    ):
        command = option(command)
    return command


def open_ledger(given: dict[str, Any]) -> Ledger:
    """Open the ledger that *given* names, for reading beside a running syncer."""
    return open_with_groups(given)[0]


def open_with_groups(
    given: dict[str, Any],
) -> tuple[Ledger, Callable[[ConflictEntry], Groups]]:
    """Open the ledger that *given* names as ``open_ledger``, and say what each table's policy says of a merge."""
    config = options.load(given, need_pair=False, log_in=False)
    from syncer.clock import SystemClock
    from syncer.ledger import Ledger

    ledger = Ledger.open(
        config.ledger, pair_id=None, identity={}, clock=SystemClock(), read_only=True
    )
    return ledger, lambda entry: _groups(config, entry)


def _groups(config: Config, entry: ConflictEntry) -> Groups:
    from syncer.core.schema import TableName
    from syncer.core.threeway import Groups

    database, _, name = entry.table.partition(".")
    return Groups.of(config.policy_for(TableName(database, name)))


@group.command(
    "list",
    cls=Command,
    examples="""
syncer conflicts list
syncer conflicts list --status applied --table 'shop.*' --json
syncer conflicts list --kind update_delete --since 2h
syncer conflicts list --where "column:price & !table:shop.log_* | a.total > 100"
""",
    exits={
        0: "no conflict that the selectors match is open",
        1: "some are open, whatever --status and --limit show",
        2: "usage or configuration",
        5: "the ledger cannot be read",
    },
    short_help="List conflicts, newest first.",
)
@config_option
@click.option(
    "--status",
    type=click.Choice(STATUSES),
    default="open",
    show_default=True,
    help="Which conflicts; open: those that wait for a person.",
)
@selector_options
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many."
)
@options.ledger_option
@options.output_options
def list_command(**given: Any) -> int:
    """
    List the conflicts of the journal, newest first.

    The exit code is about those that the selectors match, all of them where there are none.
    """
    from syncer.clock import SystemClock

    matches = journal.selectors(given, SystemClock().now())
    with open_ledger(given) as ledger:
        records = journal.select(ledger, given["status"], matches, given["limit"])
        matching = len(records)
        if matching == given["limit"]:
            matching = journal.count(ledger, given["status"], matches)
        open_ = journal.count(ledger, "open")
        theirs = journal.count(ledger, "open", matches) if matches else open_
        said = ledger.answers()
    if given["as_json"]:
        listed = [
            output.builtins(record) | {"answer": answers.waiting(said.get(record.conflict_id))}
            for record in records
        ]
        document = {"open": open_, "matching": matching, "conflicts": listed}
        output.document("conflicts list", document)
    else:
        shown = {n: said[n] for record in records if (n := record.conflict_id) in said}
        waits = {number: answers.words(one.wanted) for number, one in shown.items()}
        journal.print_list(records, given["status"], waits, chosen=bool(matches))
        journal.print_counts(
            len(records), matching, open_ if matches or given["status"] != "open" else 0
        )
        answers.print_waiting(list(shown.values()))
    return int(ExitCode.DIFFERENT if theirs else ExitCode.OK)


@group.command(
    "show",
    cls=Command,
    examples="""
syncer conflicts show 42
syncer conflicts show 42 --json | jq .entry.a_image
""",
    exits={0: "shown", 2: "usage, or no such conflict", 5: "the ledger cannot be read"},
    short_help="Show one conflict with both rows, column by column.",
)
@click.argument(
    "conflict_id", type=click.IntRange(min=1), metavar="ID", help="Number from the list."
)
@config_option
@options.ledger_option
@options.output_options
def show_command(**given: Any) -> int:
    """Show one conflict with both rows, column by column; the values are SQL literals."""
    with open_ledger(given) as ledger:
        record = _find(ledger, given["conflict_id"])
        asked = ledger.restoration_of(record.conflict_id)
        said = ledger.answers().get(record.conflict_id)
    if given["as_json"]:
        more = {"revert": asked, "answer": answers.waiting(said)}
        output.document("conflicts show", msgspec.structs.asdict(record), **more)
    else:
        waits = answers.waits(record, said) if said is not None else ()
        journal.print_record(record, asked, waits)
    return int(ExitCode.OK)


@group.command(
    "resolve",
    cls=Command,
    examples="""
syncer conflicts resolve 42 --take a
syncer conflicts resolve 42 43 44 --take b --dry-run
syncer conflicts resolve --where "kind:update_update & table:shop.orders" --take newest --dry-run
syncer conflicts resolve --table 'shop.*' --since 1d --where "a.status = 'paid'" --take a
syncer conflicts resolve 42 --take merge --else newest
syncer conflicts resolve 42 --take skip --for 7d
""",
    exits={
        0: "asked; a running syncer does it within a second, else the next `syncer run`",
        1: "some were left: they are no longer held, `newest` knows no newest, or a merge cannot be made",
        2: "usage or configuration",
        5: "the ledger cannot be written, or a conflict named by its number is not held",
    },
    short_help="Let one side's row win held conflicts, or merge both.",
)
@click.argument(
    "numbers",
    type=click.IntRange(min=1),
    metavar="[ID...]",
    nargs=-1,
    help="Numbers from the list.",
)
@click.option(
    "--take",
    type=click.Choice(["a", "b", "newest", "merge", "skip", "hold"]),
    required=True,
    help="The side whose row, or whose absence, goes to the other side; newest: where it was changed last, by commit time; merge: "
    "of each column the value of the side that alone changed it; skip: the difference is accepted; hold: it stays held, whatever was said before; what was skipped is opened again.",
)
@click.option(
    "--else",
    "otherwise",
    type=click.Choice(["a", "b", "newest"]),
    help="With --take merge: whose value a column takes that both sides changed; without it such rows are left.",
)
@click.option(
    "--for",
    "period",
    metavar="TIME",
    help="With --take skip: how long, as 12h or 7d, or until when; it is held again then.  [default: [journal] skip_days]",
)
@selector_options
@click.option(
    "--dry-run", is_flag=True, help="Show what would be asked, or refused; nothing is written."
)
@config_option
@options.ledger_option
@options.output_options
def resolve_command(**given: Any) -> int:
    """
    Let one side's row win held conflicts: those named, and of these those that the selectors match; or all that they match.

    A merge needs the row that both sides agreed on last, which a policy with column_merge keeps, and follows the policy's merging
    rules; where they find more to be said the conflict stays held, and its note says what.

    With --take hold the selectors are about what is skipped; by their numbers skipped conflicts are answered like held ones.

    Works beside a running syncer and without one. It is carried out only if both rows still are what the journal shows:
    otherwise the conflict is held anew, to be looked at again. The journal keeps the losing row.

    Until it is carried out it waits, which list and show say, and another answer takes its place.
    """
    from syncer.clock import SystemClock
    from syncer.ledger.wants import end_of_skip, wanted

    now = SystemClock().now()
    take, until = given["take"], None
    if given["otherwise"] and take != "merge":
        raise click.UsageError("--else goes with --take merge")
    if given["period"]:
        if take != "skip":
            raise click.UsageError("--for goes with --take skip")
        try:
            until = end_of_skip(given["period"], now)
        except ValueError as error:
            raise click.UsageError(f"--for: {error}") from None
    numbers = list(dict.fromkeys(given["numbers"]))
    matches = journal.selectors(given, now)
    if not numbers and not matches:
        raise click.UsageError(
            "name conflicts by number (syncer conflicts list), or by --where and the other selectors"
        )
    opened, groups = open_with_groups(given)
    with opened as ledger:
        path = ledger.path
        if numbers:
            records = [_find(ledger, number) for number in numbers]
            records = [one for one in records if all(match(one) for match in matches)]
        else:
            records = journal.select(ledger, "skipped" if take == "hold" else "open", matches)
    takes: list[tuple[ConflictRecord, Wanted]] = []
    left: list[tuple[ConflictRecord, str]] = []
    for record in records:
        entry = record.entry
        try:
            answer = wanted(entry, take, given["otherwise"], groups(entry), until)
            takes.append((record, answer))
        except ValueError as error:
            left.append((record, str(error)))
    said = answers.ask_for(path, takes, now, strict=bool(numbers), dry_run=given["dry_run"])
    left += [(record, GONE) for record, _ in takes if record.conflict_id in said.left]
    takes = [one for one in takes if one[0].conflict_id not in said.left]
    if given["as_json"]:
        asked = {
            "take": given["take"],
            "dry_run": given["dry_run"],
            "conflicts": [record.conflict_id for record, _ in takes],
            "taken": answers.taken(takes, said.replaced),
            "left": [{"conflict_id": record.conflict_id, "reason": why} for record, why in left],
        }
        output.document("conflicts resolve", asked)
    else:
        answers.print_asked(takes, left, said.replaced, dry_run=given["dry_run"])
    return int(ExitCode.DIFFERENT if left else ExitCode.OK)


def _find(ledger: Ledger, number: int) -> ConflictRecord:
    record = ledger.conflict(number)
    if record is None:
        raise ConfigError(f"no conflict {number} in the journal (syncer conflicts list)")
    return record


def _applied_since(ledger: Ledger, record: ConflictRecord) -> str:
    """Name the decision that was applied to the row of a conflict which was superseded; "" where none was."""
    from syncer.ledger import ConflictStatus

    if record.status is not ConflictStatus.SUPERSEDED:
        return ""
    number = ledger.applied_to(record.entry.table, record.entry.key)
    return "" if number is None else f", and of this row that is {number}"


@group.command(
    "review",
    cls=Command,
    examples="""
syncer conflicts review
syncer conflicts review --table 'shop.*' --where "kind:update_update"
""",
    exits={
        0: "what was confirmed is asked for, or nothing was",
        1: "some were left: they are no longer held",
        2: "usage or configuration; no terminal, or textual is not installed",
        5: "the ledger cannot be read or written",
    },
    short_help="Decide held conflicts on the terminal, key by key.",
)
@selector_options
@config_option
@options.ledger_option
@options.output_options
def review_command(**given: Any) -> int:
    """
    Decide held conflicts on the terminal.

    > takes side A's row, < side B's, ] the newest, [ the oldest, m merges, / skips, r goes back to the recommendation, d and x show the
    difference and where it comes from, g goes on, q leaves, ? shows every key.

    What only one side changed is accepted beforehand, conflicts are not. An answer that waits is shown, and stays unless another is
    chosen. Nothing is asked for before g and y. Needs the package textual: pip install 'syncer[review]'.
    """
    from syncer.clock import SystemClock

    if given["as_json"] or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("review needs a terminal; use resolve, or export and apply")
    try:
        from syncer.cli.review.app import ReviewApp
        from syncer.cli.review.choices import Review
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise ConfigError(
            "review needs the package textual: pip install 'syncer[review]'"
        ) from None
    now = SystemClock().now()
    opened, groups = open_with_groups(given)
    with opened as ledger:
        records = journal.select(ledger, "open", journal.selectors(given, now))[::-1]
        path, said_before = ledger.path, ledger.answers()
    if not records:
        output.out().print("no conflict is open")
        return int(ExitCode.OK)
    review = Review(records, groups, said_before)
    takes = ReviewApp(review).run() or []
    lines = review.policy_lines(person.name(), text.moment(now)[:10])
    if lines:
        output.out().print("To ignore these for good, add to the configuration:\n", style="dim")
        output.out().print(lines, markup=False, highlight=False, soft_wrap=True)
    said = answers.ask_for(path, takes, SystemClock().now())
    left = [(record, GONE) for record, _ in takes if record.conflict_id in said.left]
    takes = [one for one in takes if one[0].conflict_id not in said.left]
    answers.print_asked(takes, left, said.replaced, dry_run=False)
    return int(ExitCode.DIFFERENT if left else ExitCode.OK)


@group.command(
    "revert",
    cls=Command,
    examples="""
syncer conflicts revert 40
syncer conflicts revert 40 41 --dry-run
syncer conflicts revert 43 --take b
""",
    exits={
        0: "asked; a running syncer does it within a second, else the next `syncer run`",
        1: "some cannot be taken back: each is named with the reason",
        2: "usage or configuration, or no such conflict",
        5: "the ledger cannot be written",
    },
    short_help="Take decisions back: the losing row wins after all.",
)
@click.argument(
    "numbers",
    type=click.IntRange(min=1),
    metavar="ID...",
    nargs=-1,
    required=True,
    help="Numbers from `conflicts list --status applied`.",
)
@click.option(
    "--take",
    type=click.Choice(["a", "b"]),
    help="Of a decision that merged both rows: whose row is to stand again.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be asked.")
@config_option
@options.ledger_option
@options.output_options
def revert_command(**given: Any) -> int:
    """
    Take applied decisions back: the row, or the absence, that lost is written where it was lost, and travels from there.

    Of a merge it is the row that --take names, and to revert that is to have the merged row again.
    Only where the row still is what the decision made of it; one that changed since is left, which `conflicts show` tells. It is a
    decision of its own in the journal; the old one becomes reverted.
    """
    from syncer.clock import SystemClock
    from syncer.core.side import Side
    from syncer.ledger.restorations import ask_back, revert

    actor = person.name()
    take = Side(given["take"]) if given["take"] else None
    asked, left = [], {}
    with open_ledger(given) as ledger:
        path = ledger.path
        for number in dict.fromkeys(given["numbers"]):
            record = _find(ledger, number)
            try:
                asked.append(revert(record, actor, take))
            except ValueError as error:
                left[number] = f"{error}{_applied_since(ledger, record)}"
    if asked and not given["dry_run"]:
        ask_back(path, asked, SystemClock().now())
    if given["as_json"]:
        document = {
            "dry_run": given["dry_run"],
            "conflicts": [one.conflict_id for one in asked],
            "left": [{"conflict_id": number, "reason": why} for number, why in left.items()],
        }
        output.document("conflicts revert", document)
    else:
        journal.print_restorations(asked, dry_run=given["dry_run"])
        journal.print_left(left, 0)
    return int(ExitCode.DIFFERENT if left else ExitCode.OK)
