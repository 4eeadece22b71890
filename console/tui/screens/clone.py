"""A run once more with another command: its words are edited, what differs is shown before it is enqueued."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content
from textual.widgets import Static, TextArea

from console import asked_of_runs
from console.tui.actions import hints
from console.tui.messages import ActDone, ClonePlanned
from console.tui.pace import Pause
from console.tui.run_acts import started_words
from console.tui.screens.form import FormScreen
from console.tui.styles import MUTED
from console.tui.text_format import visible
from console.tui.widgets.text_box import TextBox

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.asked_of_runs import ClonePlan
    from console.client import Client
    from console.protocol import RunRow
    from console.tui.session import Session

COMMAND_MAX_CHARACTERS: Final = 32_768
TYPING_PAUSE_S: Final = 0.2
SHOWN_CHANGES: Final = 8


class CloneScreen(FormScreen):
    """The daemon says what the words come to; secrets stay masked and stay what they are."""

    title_words: ClassVar[str] = "Clone with changes"
    DEFAULT_CSS = """
    CloneScreen TextArea {
        height: auto;
        min-height: 3;
        max-height: 10;
        margin: 1 0;
    }
    """

    def __init__(self, session: Session, row: RunRow) -> None:
        super().__init__(session)
        self._row = row
        self._asked_no = 0
        self._planned_no = -1
        """The text whose plan is shown."""

    @property
    def keys_words(self) -> str:
        """What the keys do."""
        return hints(("form.submit", "enqueues"), ("form.close", "closes"))

    def fields(self) -> ComposeResult:
        """The run, its command, what differs."""
        row = self._row
        yield Static(Content.assemble((f"{row.label} ", "bold $accent"), (visible(row.name)[:200], "bold $foreground")))
        yield TextBox("", COMMAND_MAX_CHARACTERS)
        yield Static("", id="clone-differs", markup=False)

    def on_mount(self) -> None:
        """The command is asked for: a row holds what fits into a table."""
        self._pause = Pause(self, TYPING_PAUSE_S, self._ask)
        self.query_one(TextBox).focus()
        self.query_one(TextBox).read_only = True
        self.say("asking for the command…")
        self._ask()

    @property
    def _words(self) -> list[str]:
        """The words of the command; raises ValueError for quotes that do not match."""
        return shlex.split(self.query_one(TextBox).text.replace("\n", " "))

    def _ask(self) -> None:
        words: list[str] | None = None
        if self._planned_no >= 0:
            try:
                words = self._words
            except ValueError as error:
                self.say(f"the command cannot be read: {str(error).lower()}", severe=True)
                return
            if not words:
                self.say("there is no command", severe=True)
                return
        asked_no, run_id = self._asked_no, self._row.id

        def plan(client: Client) -> ClonePlanned:
            return ClonePlanned(asked_no, asked_of_runs.plan_clone(client, run_id, words))

        self.session.courier.ask("clone-plan", self, plan)

    def on_clone_planned(self, message: ClonePlanned) -> None:
        """Show what it comes to; the first answer fills the box."""
        message.stop()
        if message.asked_no != self._asked_no:
            return
        box = self.query_one(TextBox)
        if self._planned_no < 0:
            with self.prevent(TextArea.Changed):
                box.read_only = False
                box.text = message.plan.command
            box.move_cursor(box.document.end)
        self._planned_no = message.asked_no
        self.query_one("#clone-differs", Static).update(what_differs(message.plan, self._row.label))
        self.say(f"in {message.plan.folder}")

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Other words: ask what they come to, after a pause."""
        event.stop()
        if self._planned_no >= 0:
            self._asked_no += 1
            self._pause.soon()

    def action_submit(self) -> None:
        """Enqueue it, once what is shown belongs to what was typed."""
        if self._planned_no != self._asked_no:
            self.say("what differs is not known yet: look at it, then send", severe=True)
            self._ask()
            return
        words, row, context = self._words, self._row, self.session.context()

        def clone(client: Client) -> ActDone:
            made = asked_of_runs.clone(client, row.id, words, context)
            return ActDone(f"clone of {row.label}: {started_words(made)}")

        self.send(f"clone:{row.id}", f"clone {row.label}", clone)


def what_differs(plan: ClonePlan, label: str) -> Content:
    """The words and the params that would not be those of the run."""
    if not plan.changes:
        return Content.styled(f"the same command as {label}: change a word", MUTED)
    lines = [Content.styled(f"differs from {label}", "bold $primary")]
    for before, after in plan.changes[:SHOWN_CHANGES]:
        lines.append(
            Content.assemble(
                ("  " + visible(" ".join(before))[:200] if before else "  (nothing)", "$error"),
                (" -> ", MUTED),
                (visible(" ".join(after))[:200] if after else "(nothing)", "bold $success"),
            )
        )
    if len(plan.changes) > SHOWN_CHANGES:
        lines.append(Content.styled(f"  … and {len(plan.changes) - SHOWN_CHANGES} more places", MUTED))
    for key, old, new in plan.params[:SHOWN_CHANGES]:
        lines.append(
            Content.assemble(
                (f"  param {visible(key)[:60]}  ", MUTED),
                ("none" if old is None else visible(old)[:80], "$error"),
                (" -> ", MUTED),
                ("none" if new is None else visible(new)[:80], "bold $success"),
            )
        )
    return Content("\n").join(lines)
