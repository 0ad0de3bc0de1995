"""
The terminal of the review, after Unison: a list, its keys, the difference of the row under the cursor.

It returns what was confirmed; whoever started it asks the ledger. Values of rows are shown as text, never as markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.console import Group
from rich.text import Text
from textual.app import App
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Static

from syncer.cli import journal, text
from syncer.cli.review.choices import Choice, Review

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from syncer.core.mark import Op
    from syncer.ledger import ConflictEntry, ConflictRecord
    from syncer.ledger.records import Wanted

STYLES = {
    Choice.OPEN: "bold yellow",
    Choice.TAKE_A: "bold cyan",
    Choice.TAKE_B: "bold magenta",
    Choice.SKIP: "dim",
}
_OPS = {"i": "ins", "u": "upd", "d": "del"}

Takes = list[tuple["ConflictRecord", "Wanted"]]


class Confirm(ModalScreen[bool]):
    """The question before anything is asked for."""

    CSS = """
    Confirm { align: center middle; }
    #question { width: auto; max-width: 80%; padding: 1 3; border: thick $accent; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        """Take the question."""
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Show it."""
        yield Static(Text(f"{self._question}\n\ny  yes      n  no"), id="question")

    def action_answer(self, answer: bool) -> None:
        """Hand the answer back."""
        self.dismiss(answer)


class ReviewApp(App[Takes]):
    """Shows the conflicts of a ``Review``; returns what was confirmed, or None."""

    CSS = """
    #list { height: 1fr; }
    #about { height: auto; max-height: 50%; border-top: solid $accent; padding: 0 1; }
    #counts { height: 1; padding: 0 1; background: $boost; }
    """
    ENABLE_COMMAND_PALETTE = False
    TITLE = "syncer review"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("greater_than_sign", "choose('TAKE_A')", "A to B", key_display=">"),
        Binding("less_than_sign", "choose('TAKE_B')", "B to A", key_display="<"),
        Binding("right_square_bracket", "newest(False)", "newest", key_display="]"),
        Binding("left_square_bracket", "newest(True)", "oldest", key_display="["),
        Binding("slash", "choose('SKIP')", "skip", key_display="/"),
        Binding("r", "restore", "recommended"),
        Binding("d", "difference", "diff"),
        Binding("g", "go", "go"),
        Binding("q", "leave", "quit"),
    ]

    def __init__(self, review: Review) -> None:
        """Take what is reviewed."""
        super().__init__()
        self._review = review

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield DataTable(id="list", cursor_type="row", zebra_stripes=True)
        with VerticalScroll(id="about"):
            yield Static(id="difference")
        yield Static(id="counts")
        yield Footer()

    def on_mount(self) -> None:
        """Fill the list."""
        table = self._table
        for name in ("A", "", "B", "what", "kind", "id"):
            table.add_column(name, key=name or "choice")
        for at, record in enumerate(self._review.records):
            entry = record.entry
            key = text.printable(", ".join(entry.key))
            table.add_row(
                _op(entry, "a"),
                self._shown(at),
                _op(entry, "b"),
                Text(f"{entry.table}#{key}"),
                Text(entry.kind.value),
                Text(str(record.conflict_id), "dim"),
                key=str(at),
            )
        table.focus()
        self._refresh_counts()

    @property
    def _table(self) -> DataTable[Text]:
        return self.query_one("#list", DataTable)

    def _shown(self, at: int) -> Text:
        choice = self._review.choice(at)
        return Text(f"{choice.value:^5}", STYLES[choice])

    def _refresh_counts(self) -> None:
        self.query_one("#counts", Static).update(Text(self._review.summary()))

    def _changed(self, *, step: bool) -> None:
        """Show the choice of the row under the cursor, and go to the next one."""
        table = self._table
        at = table.cursor_row
        table.update_cell(str(at), "choice", self._shown(at))
        self._refresh_counts()
        if step:
            table.action_cursor_down()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Show the difference of the row under the cursor."""
        record = self._review.records[event.cursor_row]
        head = Text(f"conflict {record.conflict_id}  {record.entry.rule}", "dim")
        self.query_one("#difference", Static).update(Group(head, journal.images(record)))

    def action_choose(self, name: str) -> None:
        """Choose for the row under the cursor."""
        self._review.choose(self._table.cursor_row, Choice[name])
        self._changed(step=True)

    def action_newest(self, oldest: bool) -> None:
        """Take the newest, or the oldest, where commit times say which it is."""
        if self._review.take_newest(self._table.cursor_row, oldest=oldest):
            self._changed(step=True)
        else:
            self.notify("no commit times, or equal ones", severity="warning")

    def action_restore(self) -> None:
        """Go back to the recommendation."""
        self._review.restore(self._table.cursor_row)
        self._changed(step=False)

    def action_difference(self) -> None:
        """Show or hide the difference."""
        about = self.query_one("#about")
        about.display = not about.display

    def action_go(self) -> None:
        """Ask, then end with what was chosen."""
        takes = self._review.takes()
        if not takes:
            self.notify("nothing is decided", severity="warning")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.exit(takes)

        question = f"Decide {text.plural(len(takes), 'conflict')}? ({self._review.summary()})"
        self.push_screen(Confirm(question), answered)

    def action_leave(self) -> None:
        """End; nothing is asked for."""
        self.exit(None)


def _op(entry: ConflictEntry, side: str) -> Text:
    op: Op | None = entry.a_op if side == "a" else entry.b_op
    absent = (entry.a_image if side == "a" else entry.b_image) is None
    return Text(_OPS[op.value] if op is not None else "-" if absent else "row")
