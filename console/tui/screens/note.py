"""A note about a run: several lines, kept until they are sent, also when the console ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static, TextArea

from console import asked_of_runs
from console.tui.actions import hints
from console.tui.messages import ActDone
from console.tui.screens.form import FormScreen
from console.tui.text_format import visible
from console.tui.widgets.text_box import TextBox

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.client import Client
    from console.protocol import RunRow
    from console.tui.session import Session

NOTE_MAX_CHARACTERS: Final = 10_000
"""As many as the daemon takes."""


class NoteScreen(FormScreen):
    """Each change goes into the drafts of the session."""

    title_words: ClassVar[str] = "Note"
    DEFAULT_CSS = """
    NoteScreen TextArea {
        height: 10;
        margin-top: 1;
    }
    """

    def __init__(self, session: Session, row: RunRow) -> None:
        super().__init__(session)
        self._row = row
        self._draft_key = f"note:{row.id}"

    @property
    def keys_words(self) -> str:
        """What the keys do."""
        return hints(("form.submit", "sends"), ("form.close", "closes, the text stays"))

    def fields(self) -> ComposeResult:
        """The run and the text."""
        row = self._row
        yield Static(Content.assemble((f"{row.label} ", "bold $accent"), (visible(row.name)[:200], "bold $foreground")))
        yield TextBox(self.session.drafts.get(self._draft_key, ""), NOTE_MAX_CHARACTERS)

    def on_mount(self) -> None:
        """Typing goes into the text."""
        self.query_one(TextBox).focus()
        if self._draft_key in self.session.drafts:
            self.say("written before and not sent yet")

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Keep it, and say how much room is left once that is little."""
        event.stop()
        text = event.text_area.text
        if text.strip():
            self.session.drafts[self._draft_key] = text
        else:
            self.session.drafts.pop(self._draft_key, None)
        count = f"{len(text):,} of {NOTE_MAX_CHARACTERS:,} · " if len(text) > NOTE_MAX_CHARACTERS - 1000 else ""
        self.query_one(Vertical).border_subtitle = Content(f"{count}{self.keys_words}").markup

    def on_text_box_cut(self) -> None:
        """A paste was longer than a note may be."""
        self.say(f"the paste was cut: a note has at most {NOTE_MAX_CHARACTERS:,} characters", severe=True)

    def action_submit(self) -> None:
        """Send the note."""
        text, row, actor, key = self.query_one(TextBox).text.strip(), self._row, self.session.actor, self._draft_key
        if not text:
            self.say("there is nothing to send yet", severe=True)
            return

        def note(client: Client) -> ActDone:
            asked_of_runs.note(client, row.id, text, actor)
            return ActDone(f"noted at {row.label} {row.name}", draft=key)

        self.send(f"note:{row.id}", f"send the note at {row.label}", note)
