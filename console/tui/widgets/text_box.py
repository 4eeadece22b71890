"""Fields to type into that survive what is pasted into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message
from textual.widgets import TextArea

from console.tui.text_format import visible

if TYPE_CHECKING:
    from textual import events


def typed_text(text: str, most_characters: int) -> str:
    """Text from outside as a field can hold it: control characters made visible, cut, line ends and tabs kept."""
    lines = text[: 2 * most_characters].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in lines)[:most_characters]


class TextBox(TextArea):
    """Several lines; a paste that is too long is cut, and that is said."""

    class Cut(Message):
        """Not all of a paste found room."""

    def __init__(self, text: str, most_characters: int, *, id: str | None = None) -> None:  # noqa: A002 (Textual's name)
        super().__init__(
            typed_text(text, most_characters),
            soft_wrap=True,
            show_line_numbers=False,
            highlight_cursor_line=False,
            compact=True,
            id=id,
        )
        self._most_characters = most_characters

    def on_mount(self) -> None:
        """A blinking cursor would write to the terminal while nothing happens; typing goes on at the end."""
        self.cursor_blink = False
        self.move_cursor(self.document.end)

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        room = max(0, self._most_characters - len(self.text) + len(self.selected_text))
        if len(event.text) > room:
            self.post_message(self.Cut())
        if result := self._replace_via_keyboard(typed_text(event.text, room), *self.selection):
            self.move_cursor(result.end_location)
