"""The prompt for a query over runs: completions while typing, errors at their column, and the last good result.

A query is asked with each letter and tried at a pause, so that its answer is often there when it is wanted. It counts
from the moment on that the daemon has answered it; one that is not finished yet, or wrong, changes nothing but the line
under the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rich.highlighter import Highlighter
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from console import run_queries
from console.client import DaemonRefused
from console.tui.pace import Pause
from console.tui.styles import MUTED
from console.tui.text_format import cell_width, fit, visible
from console.tui.widgets.prompt import Prompt, PromptInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.text import Text
    from textual.app import ComposeResult

    from console.client import Client
    from console.run_columns import TablePage
    from console.run_queries import Completion, Completions, Fault
    from console.tui.messages import RequestFailed
    from console.tui.session import Session

PLACEHOLDER: Final = "words, or val/acc > 0.8 and lr < 1e-3"
HISTORY_MAX: Final = 50
ITEM_CELLS: Final = 40
HIDE_AFTER_S: Final = 0.25
"""A prompt that was left waits for its answer, but no longer."""
ANSWER_KEEPS_S: Final = 1.0
"""So long after it was asked a query need not be asked again."""
GOES_ON: Final = ("metric", "param", "fact", "form")
"""Of a word that may become the name of one of these, it is not yet known whether it is a word to look for."""
NO_COMPLETIONS: Final = run_queries.Completions(0, 0, ())


class FaultMark(Highlighter):
    """Underlines the columns of a fault in what is typed."""

    def __init__(self) -> None:
        self.start = self.end = 0
        self.style = "underline"

    def highlight(self, text: Text) -> None:
        """Called by the input for what it draws."""
        if self.end > self.start:
            text.stylize(self.style, self.start, self.end)


class QueryPrompt(Vertical):
    """A prompt with a line under it. The screen gives `fetch`, which asks for the first page of a query."""

    DEFAULT_CSS = """
    QueryPrompt {
        height: auto;
        display: none;
    }
    QueryPrompt > Static {
        height: 1;
        background: $panel;
        padding-left: 1;
    }
    """

    @dataclass
    class Accepted(Message):
        """The daemon has answered what was typed; `table_page` is the first page."""

        text: str
        table_page: TablePage
        number: int

    @dataclass
    class Refused(Message):
        """What was typed and kept is wrong: it does not count."""

        fault: Fault

        @property
        def words(self) -> str:
            """What is wrong, and what to do."""
            return self.fault.message + f": {self.fault.hint}" * bool(self.fault.hint)

    @dataclass
    class Completed(Message):
        """What may come next in a text."""

        text: str
        found: Completions

    @dataclass
    class Tried(Message):
        """What the daemon says of a text: a page, or what is wrong."""

        number: int
        text: str
        table_page: TablePage | None
        fault: Fault | None

    def __init__(self, session: Session, fetch: Callable[[Client, str], TablePage], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._session = session
        self._fetch = fetch
        self._number = 0
        """Of the last question; an answer to an earlier one does not count."""
        self._asked: tuple[str, float] | None = None
        """The text of the last question, and when it was asked."""
        self._answer: QueryPrompt.Tried | None = None
        self._wanted: Literal["tried", "kept"] | None = None
        """What the answer is waited for."""
        self._history: list[str] = []
        self._place = 0
        self._mark = FaultMark()
        self._completions = NO_COMPLETIONS
        self._completed_text: str | None = None
        self._wish: str | None = None
        """The text that is to be completed as soon as it is known how."""
        self._fault: Fault | None = None
        self._left = True

    def compose(self) -> ComposeResult:
        """The prompt and its line."""
        yield Prompt("/", PLACEHOLDER, hides=False)
        yield Static(markup=False)

    def on_mount(self) -> None:
        """The input marks what is wrong."""
        self.text_input.highlighter = self._mark
        self._hiding = Pause(self, HIDE_AFTER_S, self.settle)

    @property
    def text_input(self) -> PromptInput:
        """The input itself."""
        return self.query_one(PromptInput)

    @property
    def text(self) -> str:
        """What is typed."""
        return self.text_input.value

    def open(self, text: str) -> None:
        """Show the prompt with a text and take the focus."""
        self._mark.style = f"underline {self.app.theme_variables.get('error', '')}".strip()
        self._place = len(self._history)
        self._completions, self._completed_text, self._fault = NO_COMPLETIONS, None, None
        self._hiding.cancel()
        self._asked = None
        self._left = False
        self.display = True
        self.query_one(Prompt).open(text)
        self._show_line()
        self._ask_completions()

    def on_prompt_letters(self, message: Prompt.Letters) -> None:
        """Ask for what the pause will want, unless the line is slow."""
        message.stop()
        if not self._session.profile.slow:
            self._ask_completions()
            self._ask(message.text)

    def on_prompt_typed(self, message: Prompt.Typed) -> None:
        """Try what was typed so far."""
        message.stop()
        if self._session.profile.slow:
            self._ask_completions()
        self._want(message.text, "tried")

    def on_prompt_left(self, message: Prompt.Left) -> None:
        """Typing is over; the message goes on to the screen."""
        self._left = True
        if message.kept:
            text = message.text.strip()
            if text and text not in self._history[-1:]:
                self._history = [*self._history, text][-HISTORY_MAX:]
            self._want(message.text, "kept")
            # To hide it moves every line of the table, which soon is painted with other rows anyway.
            self._hiding.soon()
        else:
            self._drop_question()
            self.settle()

    def settle(self) -> None:
        """Hide if it was left; for the screen, when it has the rows."""
        if self._left:
            self._hiding.cancel()
            self.display = False

    def on_prompt_wanted(self, message: Prompt.Wanted) -> None:
        """A key of the prompt: take the first completion, or an earlier query."""
        message.stop()
        if message.what == "completion":
            self._take_completion()
        elif self._history:
            self._place = (self._place - 1) % len(self._history)
            self.text_input.value = self._history[self._place]
            self.text_input.cursor_position = len(self.text)

    def ask_anew(self) -> None:
        """For the screen, when its order changed: what was asked of the old one does not count."""
        asked, wanted = self._asked, self._wanted
        self._drop_question()
        if asked is not None and wanted is not None:
            self._want(asked[0], wanted)

    def _drop_question(self) -> None:
        self._number += 1
        self._asked = self._answer = self._wanted = None

    def _want(self, text: str, what: Literal["tried", "kept"]) -> None:
        self._ask(text)
        self._wanted = what
        if self._answer is not None:
            self._use(self._answer)

    def _ask(self, text: str) -> None:
        """Ask the daemon, unless that was done a moment ago."""
        now_s = self._session.monotonic()
        if self._asked is not None and text == self._asked[0] and now_s - self._asked[1] < ANSWER_KEEPS_S:
            return
        self._drop_question()
        self._asked = (text, now_s)
        number = self._number
        if fault := run_queries.too_long(text):
            self.post_message(self.Tried(number, text, None, fault))
            return

        def fetch(client: Client) -> QueryPrompt.Tried:
            try:
                return self.Tried(number, text, self._fetch(client, text.strip()), None)
            except DaemonRefused as error:
                if fault := run_queries.fault_of(error):
                    return self.Tried(number, text, None, fault)
                raise

        self._session.courier.ask_at_once("filter", self, fetch)

    def on_query_prompt_tried(self, message: Tried) -> None:
        """Keep an answer until it is wanted."""
        message.stop()
        if message.number == self._number:
            self._answer = message
            if self._wanted is not None:
                self._use(message)

    def on_request_failed(self, message: RequestFailed) -> None:
        """Ask again when it is wanted again; the message goes on to the app, which says so."""
        if message.kind == "filter":
            self._asked = None

    def _use(self, answer: Tried) -> None:
        """Pass a good answer on; show what is wrong."""
        kept, self._wanted = self._wanted == "kept", None
        page = answer.table_page
        if page is None:
            self._set_fault(answer.fault)
            if kept and answer.fault is not None:
                self.post_message(self.Refused(answer.fault))
            return
        self._set_fault(None)
        if page.page.matched_count or kept or not self._may_go_on(answer.text):
            self.post_message(self.Accepted(answer.text.strip(), page, answer.number))

    def on_query_prompt_accepted(self, message: Accepted) -> None:
        """Keep from the screen what was answered while the key was on its way that drops it."""
        if message.number != self._number:
            message.stop()

    def _may_go_on(self, text: str) -> bool:
        """Whether what was typed last may be the beginning of a comparison."""
        found = self._completions
        typed = self._completed_text == text and found.start < found.end == len(text)
        return typed and any(each.kind in GOES_ON for each in found.items)

    def _ask_completions(self) -> None:
        text, at = self.text, self.text_input.cursor_position
        if run_queries.too_long(text):
            return

        def fetch(client: Client) -> QueryPrompt.Completed:
            return self.Completed(text, run_queries.complete(client, text, at))

        self._session.courier.ask_at_once("complete", self, fetch)

    def on_query_prompt_completed(self, message: Completed) -> None:
        """Show what may come next, unless more was typed meanwhile."""
        message.stop()
        if message.text == self.text:
            self._completions, self._completed_text = message.found, message.text
            self._show_line()
            if message.text == self._wish:
                self._take_completion()

    def _take_completion(self) -> None:
        found, self._wish = self._completions, None
        if self._completed_text != self.text:
            # A quick finger: it is taken when it is known.
            self._wish = self.text
            self._ask_completions()
        if not found.items or self._completed_text != self.text:
            return
        first = found.items[0]
        ends = first.text.endswith((":", "("))
        self.text_input.replace(first.text + " " * (not ends), found.start, found.end)
        self._completions = NO_COMPLETIONS
        self._ask_completions()

    def _set_fault(self, fault: Fault | None) -> None:
        self._fault = fault
        start, end = (fault.column_start, fault.column_end) if fault is not None else (0, 0)
        if (start, end) != (self._mark.start, self._mark.end):
            self._mark.start, self._mark.end = start, end
            self.text_input.refresh()
        self._show_line()

    def _show_line(self) -> None:
        fault, width = self._fault, max(10, self.size.width - 2)
        unfinished = fault is not None and fault.column_start >= len(self.text.rstrip())
        if fault is not None and not (unfinished and self._completions.items):
            words = visible(fault.message) + f"   {visible(fault.hint)}" * bool(fault.hint)
            line = Content.styled(fit(words, width).rstrip(), "$error" if not unfinished else MUTED)
        else:
            line = completion_line(self._completions.items, width)
        static = self.query_one(Static)
        if not isinstance(static.content, Content) or not static.content.is_same(line):
            static.update(line)


def completion_line(items: tuple[Completion, ...], width: int) -> Content:
    """As many completions as have room, the first as the one that a key takes."""
    parts: list[tuple[str, str]] = []
    left = width
    for place, each in enumerate(items):
        name = visible(each.text)
        shown = name if cell_width(name) <= ITEM_CELLS else fit(name, ITEM_CELLS)
        count = f" {each.run_count}" if each.run_count is not None else ""
        room = cell_width(shown) + len(count) + 2 * (place > 0)
        if room > left:
            break
        left -= room
        parts += [("  " * (place > 0), ""), (shown, "bold $accent" if place == 0 else "$foreground"), (count, MUTED)]
    return Content.assemble(*parts)
