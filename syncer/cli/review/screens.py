"""What the review asks over its list: whether to go on, how to merge, what to look for; and its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from syncer.cli.review import panes
from syncer.cli.review.choices import WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from syncer.ledger import ConflictRecord

BOX = """
{name} {{ align: center middle; }}
{name} > .box {{ width: auto; height: auto; max-width: 90%; max-height: 90%; padding: 1 3; border: round $accent; background: $surface;
  overflow: auto auto; }}
{name} > .box > Static {{ width: auto; height: auto; }}
"""
WIDE = """
{name} > .box {{ width: {width}; }}
{name} > .box > Static {{ width: 100%; }}
"""
"""For what does not say itself how wide it is."""
KEYS = (
    ("> <", "side A's row goes to B, side B's to A"),
    ("] [", "the side that committed last, or first"),
    ("c", "the side that alone changed the row"),
    ("m", "merge both rows by the row that both agreed on"),
    ("i", "turn the choice round"),
    ("/", "skip: the difference is accepted until either side changes the row again"),
    ("I", "ignore for good: skip, and the configuration's lines for it are printed at the end"),
    ("r", "back to the answer that waits, else to the recommendation"),
    ("d x", "show or hide the difference; where the changes come from"),
    *((key, f"select {words}") for key, (_, words) in WORDS.items()),
    ("X", "select what is not selected"),
    ("& |", "the next selection narrows, or widens, this one"),
    ("f", "select by an expression, as in --where"),
    ("esc", "select nothing: keys are about the row under the cursor"),
    ("g", "go: ask for what was decided, after a question"),
    ("q", "leave: nothing is asked for"),
)


class Confirm(ModalScreen[bool]):
    """The question before anything is asked for."""

    CSS = BOX.format(name="Confirm")
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
        with Vertical(classes="box"):
            yield Static(Text.assemble(self._question, "\n\n", _keys(("y", "yes"), ("n", "no"))))

    def action_answer(self, answer: bool) -> None:
        """Hand the answer back."""
        self.dismiss(answer)


class Merge(ModalScreen[str | None]):
    """
    The three rows, and what a merge takes from where.

    The answer is what a column takes that both changed: ``a``, ``b``, ``newest``, "" where nothing is left to be said; None: no merge.
    """

    CSS = BOX.format(name="Merge") + WIDE.format(name="Merge", width="90%")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "plain", "Merge"),
        Binding("greater_than_sign", "answer('a')", "A's"),
        Binding("less_than_sign", "answer('b')", "B's"),
        Binding("right_square_bracket", "answer('newest')", "newest"),
        Binding("n,escape,q", "leave", "No"),
    ]

    def __init__(self, record: ConflictRecord, takes: Sequence[str | None]) -> None:
        """Take the conflict and what a merge takes from where; None: both sides changed it."""
        super().__init__()
        self._record, self._takes = record, takes

    def compose(self) -> ComposeResult:
        """Show them."""
        if None in self._takes:
            question = ("Both sides changed a column: whose value does it take?\n", "bold yellow")
            keys = _keys((">", "A's"), ("<", "B's"), ("]", "the newest"), ("esc", "do not merge"))
        else:
            question = ("No column was changed by both sides.\n", "bold")
            keys = _keys(("y", "merge"), ("esc", "do not merge"))
        asked = Text.assemble(question, keys)
        rows = panes.merge(self._record, self._takes)
        with VerticalScroll(classes="box"):
            yield Static(Group(panes.head(self._record), Text(), rows, Text(), asked))

    def action_plain(self) -> None:
        """Merge, where nothing is left to be said."""
        if None not in self._takes:
            self.dismiss("")

    def action_answer(self, otherwise: str) -> None:
        """Merge; the columns that both changed take these values."""
        self.dismiss(otherwise if None in self._takes else "")

    def action_leave(self) -> None:
        """Leave it as it is."""
        self.dismiss(None)


class Ask(ModalScreen[str | None]):
    """Asks for a line of text; None: nothing is to be done."""

    CSS = (
        BOX.format(name="Ask")
        + WIDE.format(name="Ask", width="74")
        + "Ask Input { margin-top: 1; }"
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave")]

    def __init__(self, question: str, help_: str) -> None:
        """Take the question, and a line that helps to answer it."""
        super().__init__()
        self._question, self._help = question, help_

    def compose(self) -> ComposeResult:
        """Show a line to write in."""
        with Vertical(classes="box"):
            yield Static(Text.assemble(self._question, "\n", (self._help, "dim")))
            yield Input()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Hand the text back."""
        self.dismiss(event.value)

    def action_leave(self) -> None:
        """Do nothing."""
        self.dismiss(None)


class Help(ModalScreen[None]):
    """Every key."""

    CSS = BOX.format(name="Help") + WIDE.format(name="Help", width="78")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "leave")]

    def compose(self) -> ComposeResult:
        """Show them."""
        table = Table.grid(padding=(0, 3))
        table.add_column(style="bold cyan", no_wrap=True)
        table.add_column()
        for key, meaning in KEYS:
            table.add_row(Text(key), Text(meaning))
        foot = Text("\nWith rows selected a key chooses for all of them. esc: back", "dim")
        with VerticalScroll(classes="box"):
            yield Static(Group(table, foot))

    def action_leave(self) -> None:
        """Go back to the list."""
        self.dismiss(None)


def _keys(*keys: tuple[str, str]) -> Text:
    shown = Text()
    for key, meaning in keys:
        shown.append(key, "bold cyan").append(f"  {meaning}      ")
    return shown
