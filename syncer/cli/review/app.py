"""
The terminal of the review, after Unison: a list, its keys, what is known of the row under the cursor.

It returns what was confirmed; whoever started it asks the ledger. Values of rows are shown as text, never as markup.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import App
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Footer, Static

from syncer.cli import answers, text
from syncer.cli.review import panes
from syncer.cli.review.choices import Choice, Review
from syncer.cli.review.screens import Ask, Confirm, Help, Merge
from syncer.core.side import Side
from syncer.ledger import selector

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from syncer.ledger import ConflictRecord
    from syncer.ledger.records import Wanted

STYLES = {
    Choice.OPEN: "bold yellow",
    Choice.TAKE_A: "bold cyan",
    Choice.TAKE_B: "bold magenta",
    Choice.MERGE: "bold green",
    Choice.SKIP: "dim",
}
WHY_CHARACTERS = 48
WHERE = "kind:update_*  table:orders  column:note  key:42  a.total > 100"
IGNORED = "The lines for the configuration are printed when the review ends."

Takes = list[tuple["ConflictRecord", "Wanted"]]


def _key(key: str, action: str, name: str, shown: str, *, show: bool = True) -> Binding:
    return Binding(key, action, name, key_display=shown, show=show)


class ReviewApp(App[Takes]):
    """Shows the conflicts of a ``Review``; returns what was confirmed, or None."""

    CSS = """
    #list { height: 1fr; scrollbar-size-horizontal: 0; }
    #about { height: auto; max-height: 50%; border-top: solid $accent; padding: 0 1; }
    #counts { height: 1; padding: 0 1; background: $boost; }
    """
    ENABLE_COMMAND_PALETTE = False
    TITLE = "syncer review"
    BINDINGS: ClassVar[list[BindingType]] = [
        _key("question_mark", "help", "keys", "?"),
        _key("g", "go", "go", "g"),
        _key("q", "leave", "quit", "q"),
        _key("greater_than_sign", "choose('TAKE_A')", "A to B", ">"),
        _key("less_than_sign", "choose('TAKE_B')", "B to A", "<"),
        _key("right_square_bracket", "newest(False)", "newest", "]"),
        _key("left_square_bracket", "newest(True)", "oldest", "[", show=False),
        _key("c", "changed", "changed", "c", show=False),
        _key("m", "merge", "merge", "m"),
        _key("i", "invert", "invert", "i", show=False),
        _key("slash", "choose('SKIP')", "skip", "/"),
        _key("I", "ignore", "ignore", "I", show=False),
        _key("r", "restore", "reset", "r"),
        _key("d", "show('difference')", "diff", "d"),
        _key("x", "show('details')", "details", "x"),
        *(_key(word, f"select('{word}')", "select", word, show=False) for word in "AC12WMUX"),
        _key("ampersand", "join('&')", "and", "&", show=False),
        _key("vertical_line", "join('|')", "or", "|", show=False),
        _key("f", "find", "find", "f"),
        _key("escape", "select('')", "select none", "esc", show=False),
    ]

    def __init__(self, review: Review) -> None:
        """Take what is reviewed."""
        super().__init__()
        self._review = review
        self._pane = "difference"

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield DataTable(id="list", cursor_type="row", zebra_stripes=True)
        with VerticalScroll(id="about", can_focus=False):
            yield Static(id="pane")
        yield Static(id="counts")
        yield Footer()

    def on_mount(self) -> None:
        """Fill the list."""
        table = self._table
        for key, name in (("mark", " "), ("a", "A"), ("choice", ""), ("b", "B")):
            table.add_column(name, key=key)
        for name in ("row", "kind", "held by"):
            table.add_column(name, key=name)
        for at, record in enumerate(self._review.records):
            entry = record.entry
            key = text.printable(", ".join(entry.key))
            table.add_row(
                Text(" "),
                Text(panes.op(entry, Side.A)),
                self._shown(at),
                Text(panes.op(entry, Side.B)),
                Text(f"{entry.table}#{key}"),
                Text(entry.kind.value),
                self._why(at),
                key=str(at),
            )
        table.focus()
        self._refresh_counts()

    @property
    def _table(self) -> DataTable[Text]:
        return self.query_one("#list", DataTable)

    @property
    def _targets(self) -> list[int]:
        return self._review.targets(self._table.cursor_row)

    def _shown(self, at: int) -> Text:
        choice = self._review.choice(at)
        merge = self._review.merge_of(at)
        drawn = choice.value
        if merge is not None and merge.side is not None:
            drawn = drawn.replace("M", merge.side.value.upper())
        return Text(f"{drawn:^5}", STYLES[choice])

    def _why(self, at: int) -> Text:
        """Who holds it; or what waits for it, where that is not to be replaced."""
        said = self._review.answer(at)
        if said is not None:
            return Text(f"[waits: {answers.words(said.wanted)}]", "yellow")
        why = self._review.records[at].entry.rule
        if len(why) > WHY_CHARACTERS:
            why = f"{why[: WHY_CHARACTERS - 1]}…"
        return Text(f"[{why}]", "dim")

    def _refresh_counts(self) -> None:
        self.query_one("#counts", Static).update(Text(self._review.summary()))

    def _refresh_pane(self) -> None:
        at = self._table.cursor_row
        record = self._review.records[at]
        if self._pane == "details":
            shown = panes.details(record, self._review.answer(at))
        else:
            merge = self._review.merge_of(at)
            takes = () if merge is None else self._review.merged(at, merge.side)
            shown = panes.difference(record, takes)
        self.query_one("#pane", Static).update(shown)

    def _apply(self, choose: Callable[[int], str], *, step: bool = True) -> None:
        """Choose for the selected rows, or for the one under the cursor and go to the next; say which could not be had."""
        places = self._targets
        reasons = [why for at in places if (why := choose(at))]
        for at in places:
            self._table.update_cell(str(at), "choice", self._shown(at))
            self._table.update_cell(str(at), "held by", self._why(at), update_width=True)
        if reasons:
            left = f"{len(reasons)} of {len(places)} left: " if len(places) > 1 else ""
            self.notify(f"{left}{reasons[0]}", severity="warning", markup=False)
        self._refresh_counts()
        self._refresh_pane()
        if step and not reasons and not self._review.selected:
            self._table.action_cursor_down()

    def _select(self) -> None:
        for at in range(len(self._review.records)):
            mark = Text("●", "bold green") if at in self._review.selected else Text(" ")
            self._table.update_cell(str(at), "mark", mark)
        self._refresh_counts()

    def on_data_table_row_highlighted(self, _event: DataTable.RowHighlighted) -> None:
        """Show what is known of the row under the cursor."""
        self._refresh_pane()

    def action_choose(self, name: str) -> None:
        """Choose for the rows meant."""
        self._apply(lambda at: self._review.choose(at, Choice[name]))

    def action_newest(self, oldest: bool) -> None:
        """Take the newest, or the oldest, where commit times say which it is."""
        self._apply(lambda at: self._review.take_newest(at, oldest=oldest))

    def action_changed(self) -> None:
        """Take the side that alone changed the row."""
        self._apply(self._review.take_changed)

    def action_invert(self) -> None:
        """Turn the choice round."""
        self._apply(self._review.invert, step=False)

    def action_restore(self) -> None:
        """Go back to the recommendation."""
        self._apply(self._review.restore, step=False)

    def action_merge(self) -> None:
        """Show what a merge takes from where, and ask; without asking where several rows are selected."""
        places = self._targets
        at = places[0]
        takes = self._review.merged(at, None)
        if len(places) > 1 or not takes:
            self._apply(self._review.merge)
            return

        def answered(otherwise: str | None) -> None:
            if otherwise is not None:
                self._apply(lambda place: self._review.merge(place, otherwise or None))

        self.push_screen(Merge(self._review.records[at], takes), answered)

    def action_show(self, pane: str) -> None:
        """Show one of the panes, or hide it."""
        about = self.query_one("#about")
        about.display = self._pane != pane or not about.display
        self._pane = pane
        self._refresh_pane()

    def action_select(self, word: str) -> None:
        """Select rows: what is chosen next is chosen for all of them."""
        self._review.select(word)
        self._select()

    def action_join(self, how: str) -> None:
        """Narrow or widen the selection by the next one."""
        self._review.join(how)
        self.notify("and ..." if how == "&" else "or ...", timeout=2)

    def action_find(self) -> None:
        """Select by an expression."""

        def answered(expression: str | None) -> None:
            if expression is None:
                return
            try:
                self._review.select_matching(selector.parse(expression, time.time()))
            except ValueError as error:
                said = str(error).removeprefix("--where: ")
                self.notify(said, severity="error", markup=False)
            self._select()

        self.push_screen(Ask("Select by an expression, as in --where:", WHERE), answered)

    def action_ignore(self) -> None:
        """Leave the rows meant as they are, and have the configuration's lines for it when the review ends."""
        places = self._targets

        def answered(reason: str | None) -> None:
            if reason is not None:
                self._apply(lambda at: self._review.ignore(at, reason))

        rows = text.plural(len(places), "row")
        self.push_screen(Ask(f"Why is it right that {rows} differ?", IGNORED), answered)

    def action_help(self) -> None:
        """Show every key."""
        self.push_screen(Help())

    def action_go(self) -> None:
        """Ask, then end with what was chosen."""
        takes = self._review.takes()
        if not takes:
            self.notify("nothing is decided", severity="warning")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.exit(takes)

        question = f"Decide {text.plural(len(takes), 'conflict')}?\n{self._review.summary()}"
        self.push_screen(Confirm(question), answered)

    def action_leave(self) -> None:
        """End; nothing is asked for."""
        self.exit(None)
